//! Packets that anybody may have sent, and what is made of them.

use std::os::fd::OwnedFd;
use std::process;

use arbitrary::Unstructured;

use super::long_body::LongBody;
use super::{Body, Inbox, Incoming, Message};
use crate::error::{LimitExceeded, RecvError};
use crate::frame::{self, Form, Fragment, Header, Kind, MEMORY_BYTES};
use crate::fuzzing::{Descriptors, count_descriptors, number, packet, set_counts};
use crate::limits::Limits;
use crate::sys::receive::{Credentials, Received};

/// The longest message, in bytes: long enough for a few pieces.
const MESSAGE_BYTES: usize = 2048;
/// The most messages that are half received.
const UNFINISHED: usize = 3;
/// The most descriptors of one message.
const DESCRIPTORS: usize = 2;

/// Headers are what they were made of, and packets in any order are messages or errors, within the limits.
pub fn frame(input: &[u8]) {
    come_back(input);
    let mut descriptors = Descriptors::new();
    let limits = Limits { message_bytes: MESSAGE_BYTES, descriptors: DESCRIPTORS, ..Limits::default() };
    let mut inbox = Inbox::new(limits, UNFINISHED);
    let mut input = Unstructured::new(input);
    while !input.is_empty() {
        let (packet, received) = next_packet(&mut input, &mut descriptors);
        if let Ok(Incoming::Message(message)) = accept(&mut inbox, &packet, received) {
            check(message);
        }
        let (messages, bytes) = inbox.held();
        let allowed = messages <= UNFINISHED && bytes <= 2 * UNFINISHED * MESSAGE_BYTES;
        assert!(allowed, "{messages} messages are half received, with {bytes} bytes");
    }
    goes_on(&mut inbox);
    drop(inbox);
    descriptors.assert_closed();
    count_descriptors();
}

/// What decodes encodes to the same bytes.
fn come_back(input: &[u8]) {
    if let Ok((header, body)) = Header::decode(input) {
        assert_eq!([&header.encode(), body].concat(), input);
    }
    if let Ok((place, piece)) = Fragment::decode(input) {
        assert_eq!([&place.encode(), piece].concat(), input);
        assert_eq!(Fragment::stream(input), Some(place.stream));
        let end = place.offset as usize + piece.len();
        assert!(!piece.is_empty() && end <= place.total as usize, "a piece lies outside of its message");
    }
    if let Some(length) = input.first_chunk::<MEMORY_BYTES>() {
        assert_eq!(frame::decode_memory_length(length), Ok(u64::from_le_bytes(*length)));
    }
}

/// A packet, and what came beside it.
fn next_packet(input: &mut Unstructured<'_>, descriptors: &mut Descriptors) -> (Vec<u8>, Received) {
    let how = number(input, 32);
    let riding = descriptors.some(input);
    let mut packet = packet(input).to_vec();
    if how & 1 == 0 {
        set_counts(&mut packet, riding.len());
    }
    let sender = match how & 6 {
        0 => None,
        2 => Some(process::id().cast_signed()),
        4 => Some(0),
        _ => Some(i32::MAX),
    };
    let received = Received {
        descriptors: riding,
        sender: sender.map(|pid| Credentials { pid, uid: 0, gid: 0 }),
        cut: how & 24 == 8,
        descriptors_lost: how & 24 == 16,
        ..Received::of(packet.len())
    };
    (packet, received)
}

/// Gives an inbox a packet, as a socket would.
fn accept(inbox: &mut Inbox, packet: &[u8], received: Received) -> Result<Incoming, RecvError> {
    let mut message = Message::room();
    let (room, length) = message.body.packet().expect("there is room for a packet");
    room[..packet.len()].copy_from_slice(packet);
    *length = packet.len();
    inbox.accept(message, received).map_err(|broken| broken.into_fault().error)
}

/// What came whole is within the limits, and as long as it says.
fn check(mut message: Message) -> Vec<u8> {
    assert!(message.body.len() <= MESSAGE_BYTES && message.descriptors.len() <= DESCRIPTORS);
    let (len, start) = (message.body.len(), message.body.start().to_vec());
    let whole = message.body.take_vec();
    assert_eq!((whole.len(), whole.starts_with(&start)), (len, true));
    whole
}

/// Whatever came before, honest messages come through: a long one too, unless as many as may be are half received.
fn goes_on(inbox: &mut Inbox) {
    let body: Vec<u8> = (0..=255).chain(8_u64.to_le_bytes()).chain(0..20).collect();
    let whole = encode(Form::Whole, body.len(), &[], &body);
    let Ok(Incoming::Message(message)) = accept(inbox, &whole, Received::of(whole.len())) else {
        panic!("an honest message does not come through");
    };
    assert_eq!(check(message), body);

    let mut parts =
        [(Form::Head, 0, 264), (Form::Fragment, 264, 270), (Form::Fragment, 270, 284)].into_iter();
    let last = parts.find_map(|(form, start, end)| {
        let place = Fragment { stream: 0x5EED, offset: start as u32, total: body.len() as u32 };
        let packet = encode(form, body.len(), &place.encode(), &body[start..end]);
        match accept(inbox, &packet, Received::of(packet.len())) {
            Ok(Incoming::Piece) => None,
            other => Some(other),
        }
    });
    match last {
        Some(Ok(Incoming::Message(message))) => assert_eq!(check(message), body),
        Some(Err(RecvError::Refused(LimitExceeded::UnfinishedMessages { .. }))) => {}
        other => panic!("an honest long message comes to {other:?}"),
    }
}

fn encode(form: Form, total: usize, place: &[u8], piece: &[u8]) -> Vec<u8> {
    let header = Header { kind: Kind::Value, form, descriptors: 0, length: 0, id: total as u64 };
    let mut packet = [&header.encode(), place, piece].concat();
    set_counts(&mut packet, 0);
    packet
}

/// A message that came with a block in its midst.
pub(crate) fn in_parts(head: &[u8], rest: &[u8]) -> Option<Message> {
    let mut long = LongBody::new(u32::try_from(head.len() + rest.len()).ok()?);
    long.push_head(head).ok()?;
    rest.chunks(7).for_each(|piece| long.push(piece));
    Some(Message::new(Body::from(long), Vec::<OwnedFd>::new()))
}
