//! Plain channels: packets, values, and what stands in values.

use std::collections::BTreeMap;
use std::fs::File;
use std::io::Read;
use std::os::fd::{AsFd, OwnedFd};
use std::os::unix::fs::FileExt;

use serde::{Deserialize, Serialize};
use unix_ipc::{
    Connection, Handle, RawReceiver, RawSender, Receiver, RecvError, Sender, SharedMemory, ipc_service,
};

use crate::raw::Raw;
use crate::util::Watchdog;

/// A body that fills two packets.
const LONG: usize = 65_521;

fn raw_sender() -> (RawSender, Raw) {
    let (raw, end) = Raw::pair();
    (end.into(), raw)
}

fn raw_receiver() -> (Raw, RawReceiver) {
    let (raw, end) = Raw::pair();
    (raw, end.into())
}

fn null() -> File {
    File::open("/dev/null").expect("it is always there")
}

/// The descriptors are these many, each of `/dev/null`.
#[track_caller]
fn assert_null(descriptors: Vec<OwnedFd>, count: usize) {
    assert_eq!(descriptors.len(), count);
    for descriptor in descriptors {
        let read = File::from(descriptor).read(&mut [0]);
        assert_eq!(read.expect("it can be read"), 0);
    }
}

#[test]
fn whole_messages_are_as_written() {
    let _watchdog = Watchdog::new();
    let (sender, raw) = raw_sender();
    sender.send(b"hi", &[]).unwrap();
    sender.send(b"hi", &[null().as_fd()]).unwrap();
    sender.send(b"", &[]).unwrap();
    sender.try_send(b"hi", &[]).unwrap();
    assert_null(raw.expect("value/bytes"), 0);
    assert_null(raw.expect("value/descriptor"), 1);
    assert_null(raw.expect("value/empty"), 0);
    assert_null(raw.expect("value/bytes"), 0);

    let (raw, receiver) = raw_receiver();
    raw.give("value/bytes", &[]);
    raw.give("value/descriptor", &[null().as_fd()]);
    raw.give("value/empty", &[]);
    assert_eq!(receiver.recv().unwrap().0, b"hi");
    let (bytes, descriptors) = receiver.recv().unwrap();
    assert_eq!(bytes, b"hi");
    assert_null(descriptors, 1);
    assert_eq!(receiver.recv().unwrap().0, b"");
    drop(raw);
    assert!(matches!(receiver.recv(), Err(RecvError::Disconnected)));
}

#[test]
fn long_messages_come_in_pieces() {
    let _watchdog = Watchdog::new();
    let long = vec![b'a'; LONG];
    let (sender, raw) = raw_sender();
    sender.send(&long, &[null().as_fd()]).unwrap();
    assert_null(raw.expect("fragment/first"), 0);
    assert_null(raw.expect("fragment/last"), 1);

    let (raw, receiver) = raw_receiver();
    raw.give("fragment/first", &[]);
    // A piece is not a message; a message of another sender comes in between.
    assert!(receiver.try_recv().unwrap().is_none());
    raw.give("value/bytes", &[]);
    assert_eq!(receiver.recv().unwrap().0, b"hi");
    raw.give("fragment/last", &[null().as_fd()]);
    let (bytes, descriptors) = receiver.recv().unwrap();
    assert_eq!(bytes, long);
    assert_null(descriptors, 1);
}

#[test]
fn long_byte_strings_are_pieces_of_their_own() {
    let _watchdog = Watchdog::new();
    let long = vec![b'a'; 64 << 10];
    let (sender, raw) = raw_sender();
    Sender::from(sender).send(long.clone()).unwrap();
    assert_null(raw.expect("fragment/head"), 0);
    assert_null(raw.expect("fragment/block"), 0);
    assert_null(raw.expect("fragment/block-end"), 0);

    let (raw, receiver) = raw_receiver();
    raw.give("fragment/head", &[]);
    raw.give("fragment/block", &[]);
    raw.give("fragment/block-end", &[]);
    assert_eq!(Receiver::<Vec<u8>>::from(receiver).recv().unwrap(), long);
}

#[test]
fn long_messages_that_do_not_wait_are_in_memory() {
    let _watchdog = Watchdog::new();
    let long = vec![b'a'; LONG];
    let (sender, raw) = raw_sender();
    sender.try_send(&long, &[null().as_fd()]).unwrap();
    let mut descriptors = raw.expect("memory/value");
    let memory = File::from(descriptors.remove(0));
    assert_null(descriptors, 1);
    let mut content = vec![0; LONG];
    memory.read_exact_at(&mut content, 0).unwrap();
    assert_eq!(content, long);
    assert_eq!(memory.metadata().unwrap().len(), LONG as u64);
    assert!(
        memory.write_at(b"x", 0).is_err() && memory.set_len(1).is_err() && memory.set_len(1 << 20).is_err()
    );

    let (raw, receiver) = raw_receiver();
    let sealed = SharedMemory::new(&long).unwrap();
    raw.give("memory/value", &[sealed.as_fd(), null().as_fd()]);
    let (bytes, descriptors) = receiver.recv().unwrap();
    assert_eq!(bytes, long);
    assert_null(descriptors, 1);
}

#[derive(Debug, PartialEq, Serialize, Deserialize)]
struct Everything {
    flag: bool,
    byte: u8,
    short: i16,
    wide: i128,
    single: f32,
    double: f64,
    letter: char,
    text: String,
    block: Vec<u8>,
    sequence: Vec<u16>,
    nothing: Option<u8>,
    something: Option<u8>,
    map: BTreeMap<u8, String>,
    array: [u16; 2],
    result: Result<(), u8>,
    variant: Variant,
    unit: (),
}

#[derive(Debug, PartialEq, Serialize, Deserialize)]
enum Variant {
    Unit,
    Newtype(Box<Variant>),
    Fields { a: u8, b: u16 },
}

fn everything() -> Everything {
    Everything {
        flag: true,
        byte: 42,
        short: -2,
        wide: -42,
        single: 1.0,
        double: 1.0,
        letter: '€',
        text: "abc".to_owned(),
        block: vec![1, 2],
        sequence: vec![1, 2],
        nothing: None,
        something: Some(7),
        map: BTreeMap::from([(5, "v".to_owned())]),
        array: [3, 4],
        result: Err(9),
        variant: Variant::Fields { a: 8, b: 10 },
        unit: (),
    }
}

#[test]
fn values_are_bincode_with_integers_of_fixed_width() {
    let _watchdog = Watchdog::new();
    let (sender, raw) = raw_sender();
    Sender::from(sender).send(everything()).unwrap();
    raw.expect("value/typed");

    let (raw, receiver) = raw_receiver();
    raw.give("value/typed", &[]);
    assert_eq!(Receiver::<Everything>::from(receiver).recv().unwrap(), everything());
}

type Handles = (Sender<u8>, Handle<File>, Handle<File>);

#[test]
fn descriptors_in_values_are_indices() {
    let _watchdog = Watchdog::new();
    let (inner, inner_raw) = raw_sender();
    let (sender, raw) = raw_sender();
    Sender::<Handles>::from(sender).send((inner.into(), null().into(), null().into())).unwrap();
    let mut descriptors = raw.expect("value/handles");
    let arrived = Sender::<Vec<u8>>::from(RawSender::from(descriptors.remove(0)));
    assert_null(descriptors, 2);
    arrived.into_raw_sender().unwrap().send(b"hi", &[]).unwrap();
    inner_raw.expect("value/bytes");

    let (inner, inner_receiver) = raw_receiver();
    let (raw, receiver) = raw_receiver();
    raw.give("value/handles", &[inner.as_fd(), null().as_fd(), null().as_fd()]);
    let (sender, one, other) = Receiver::<Handles>::from(receiver).recv().unwrap();
    assert_null(vec![one.into_inner().into(), other.into_inner().into()], 2);
    sender.into_raw_sender().unwrap().send(b"hi", &[]).unwrap();
    assert_eq!(inner_receiver.recv().unwrap().0, b"hi");
}

#[test]
fn the_ends_of_a_channel_have_one_direction() {
    let (sender, receiver) = unix_ipc::raw_channel().unwrap();
    let (sender, receiver) = (Raw::from(OwnedFd::from(sender)), Raw::from(OwnedFd::from(receiver)));
    assert!(!receiver.can_send());
    assert!(sender.can_send());
}

#[ipc_service]
trait Clock {
    fn now(&self) -> u64;
}

#[test]
fn clients_in_values_say_how_far_they_are() {
    let _watchdog = Watchdog::new();
    let (service, end) = Raw::pair();
    let client = ClockClient::new(Connection::from(end));
    let (sender, raw) = raw_sender();
    let sender = Sender::<ClockClient>::from(sender);
    sender.send(client).unwrap();
    let end = raw.expect("client/fresh").remove(0);

    // The same connection, in the receiver's hands: its first call is call 1.
    let (raw, receiver) = raw_receiver();
    let receiver = Receiver::<ClockClient>::from(receiver);
    raw.give("client/fresh", &[end.as_fd()]);
    drop(end);
    let client = receiver.recv().unwrap();
    let pending = client.begin_now().unwrap();
    service.expect("hello/clock");
    service.expect("call/now");
    service.give("hello/clock-server", &[]);
    service.give("reply/add", &[]);
    assert_eq!(pending.wait().unwrap(), 65);

    // One that has made a call goes on where it was.
    let (back, raw) = raw_sender();
    Sender::<ClockClient>::from(back).send(client).unwrap();
    let end = raw.expect("client/used").remove(0);
    let (raw, receiver) = raw_receiver();
    raw.give("client/used", &[end.as_fd()]);
    let client = Receiver::<ClockClient>::from(receiver).recv().unwrap();
    let pending = client.begin_now().unwrap();
    service.expect("call/now-again");
    service.give("reply/now-again", &[]);
    assert_eq!(pending.wait().unwrap(), 65);
}

#[test]
fn a_server_does_not_notice_that_its_client_moves() {
    let _watchdog = Watchdog::new();
    let (raw, end) = Raw::pair();
    raw.give("hello/clock", &[]);
    raw.give("call/now", &[]);
    raw.give("call/now-again", &[]);
    let connection = Connection::from(end);
    for task in connection.tasks::<ClockTask>().take(2) {
        let ClockTask::Now { reply } = task.unwrap();
        reply.send(65).unwrap();
    }
    raw.expect("hello/clock-server");
    raw.expect("reply/add");
    raw.expect("reply/now-again");
}
