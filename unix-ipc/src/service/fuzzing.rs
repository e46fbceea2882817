//! A peer that sends anything, to a server and to a client.

use std::fs::File;
use std::io::{self, IoSlice};
use std::os::fd::{AsFd, OwnedFd};
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use arbitrary::Unstructured;
use nix::poll::PollFlags;
use nix::sys::socket::Shutdown;

use super::connection::{Link, Maker};
use super::hello::{Hello, Role};
use super::task::Task;
use super::{client, server};
use crate::deadline::Deadline;
use crate::frame::{Form, HEADER_BYTES, Header, Kind, PACKET_BYTES};
use crate::fuzzing::{Descriptors, PATIENCE, bytes, count_descriptors, number, packet, set_counts};
use crate::ring::{self, RingReceiver, RingSender, Size};
use crate::socket::Socket;
use crate::sys::pages::Pages;
use crate::sys::receive::{Received, Wait};
use crate::sys::wait::ready;
use crate::{Handle, Limits, Sender};

/// What the peer is a client or the server of.
#[crate::ipc_service(crate = "crate")]
pub(super) trait Subject {
    fn echo(&self, bytes: &[u8]) -> Vec<u8>;
    fn sum(&self, a: i64, b: Option<i64>) -> Result<i64, String>;
    fn keep(&self, file: Handle<OwnedFd>, more: Vec<Handle<OwnedFd>>) -> Vec<Handle<OwnedFd>>;
    fn count(&self, numbers: Sender<u32>);
    fn open(&self, name: &str) -> io::Result<Handle<File>>;
    #[oneway]
    fn note(&self, text: &str);
}

/// Small ones, so that each is reached.
pub(super) const LIMITS: Limits = Limits {
    message_bytes: 4096,
    descriptors: 3,
    nesting: 32,
    unfinished_messages: 2,
    calls_in_flight: 8,
    queued_oneway_calls: 4,
    unread_reply_bytes: 16 << 10,
    queued_reply_bytes: 16 << 10,
    clients: 4,
    handshake: Duration::from_secs(10),
    ring_bytes: RINGS.bytes,
    long_ring_bytes: RINGS.most,
    spin: Duration::ZERO,
    spare_pairs: 0,
};

/// The most things that a peer does.
pub(super) const MOST_ACTS: usize = 64;

/// The most packets that it takes out of its ring at once.
const MOST_RECEIVED: usize = 64;

const RINGS: Size = Size { bytes: 1024, most: 4096 };

/// Introductions are what they were made of, and a server and a client of whoever sends anything come to an end, without
/// anything left behind.
pub fn handshake(input: &[u8]) {
    come_back(input);
    let mut input = Unstructured::new(input);
    match number(&mut input, 2) {
        0 => server::fuzzing::serve(&mut input),
        _ => client::fuzzing::call(&mut input),
    }
    count_descriptors();
}

/// What decodes encodes to the same bytes.
fn come_back(input: &[u8]) {
    let Ok(theirs) = Hello::decode(input, &LIMITS) else { return };
    assert_eq!(theirs.encode().finish().0, input);
    let ours = Hello::new(Role::Server, SubjectTask::SERVICE, SubjectTask::METHODS);
    assert_eq!(ours.match_methods(&theirs).len(), theirs.methods.len());
    let _ = ours.check(&theirs);
}

type Rings = (RingSender<Arc<Pages>>, RingReceiver<Arc<Pages>>);

/// The other end of a connection, by hand.
pub(super) struct Peer {
    socket: Socket,
    role: Role,
    pub(super) descriptors: Descriptors,
    /// The memory of the rings that were offered last, by whichever end.
    memory: Option<Arc<Pages>>,
    /// The ends of them, as long as they are used as they should be.
    rings: Option<Rings>,
}

impl Peer {
    /// With this role, and the library's end.
    pub(super) fn new(input: &mut Unstructured<'_>, role: Role) -> (Self, Link) {
        let (socket, theirs) = Socket::pair().expect("a pair");
        let maker = [Maker::Us, Maker::Peer, Maker::Client][usize::from(number(input, 3))];
        let link = Link::new(theirs, LIMITS).with_maker(maker);
        (Self { socket, role, descriptors: Descriptors::new(), memory: None, rings: None }, link)
    }

    /// Whether there are rings, or will be.
    pub(super) fn has_rings(&self) -> bool {
        self.memory.is_some()
    }

    /// Does one thing.
    pub(super) fn act(&mut self, input: &mut Unstructured<'_>) {
        match number(input, 10) {
            0 => self.introduce(),
            1..=4 => self.send(input),
            5 => self.offer_rings(input),
            6 => self.send_control(Kind::Switch),
            7 => self.send_through_ring(input),
            8 => self.receive_through_ring(),
            _ => self.write_memory(input),
        }
    }

    /// As it should be.
    fn introduce(&self) {
        let hello = Hello::new(self.role, SubjectTask::SERVICE, SubjectTask::METHODS).encode().finish().0;
        self.send_packet(Kind::Hello, &hello, &[]);
    }

    fn send_control(&self, kind: Kind) {
        self.send_packet(kind, &[], &[]);
    }

    fn send_packet(&self, kind: Kind, body: &[u8], descriptors: &[OwnedFd]) {
        let mut packet =
            [&Header { kind, form: Form::Whole, descriptors: 0, length: 0, id: 0 }.encode(), body].concat();
        set_counts(&mut packet, descriptors.len());
        self.send_bytes(&packet, descriptors);
    }

    /// Where there is no room, or nobody, nothing is sent.
    fn send_bytes(&self, packet: &[u8], descriptors: &[OwnedFd]) {
        let descriptors: Vec<_> = descriptors.iter().map(AsFd::as_fd).collect();
        let _ = self.socket.send(&[IoSlice::new(packet)], &descriptors);
    }

    /// Any packet.
    fn send(&mut self, input: &mut Unstructured<'_>) {
        let is_honest = number(input, 4) > 0;
        let descriptors = self.descriptors.some(input);
        let mut packet = packet(input).to_vec();
        if is_honest {
            set_counts(&mut packet, descriptors.len());
        }
        self.send_bytes(&packet, &descriptors);
    }

    /// Rings that are as they should be, or not quite.
    fn offer_rings(&mut self, input: &mut Unstructured<'_>) {
        let len = ring::memory_bytes(RINGS);
        let (pages, file) = Pages::create(c"rings", len, &ring::filled_parts(RINGS)).expect("memory");
        let sizes = (RINGS.bytes as u64 | (RINGS.most as u64) << 32).wrapping_add(number(input, 2).into());
        self.send_packet(Kind::Ring, &sizes.to_le_bytes(), &[file]);
        self.use_rings(pages, RINGS, true);
    }

    fn use_rings(&mut self, pages: Pages, size: Size, first: bool) {
        let pages = Arc::new(pages);
        self.rings = Some(ring::ends(&pages, size, first));
        self.memory = Some(pages);
    }

    /// Any packet that may be sent through a ring, behind its descriptors. The library's end sleeps, and the bell says that there
    /// is one.
    fn send_through_ring(&mut self, input: &mut Unstructured<'_>) {
        let Some((sender, _)) = &mut self.rings else { return };
        let riding = self.descriptors.some(input);
        let mut packet = packet(input).to_vec();
        set_counts(&mut packet, riding.len());
        let Some((header, body)) = packet.split_first_chunk::<HEADER_BYTES>() else { return };
        if header[0] == 0 || packet.len() > sender.longest() || sender.check_room(packet.len()).is_err() {
            return;
        }
        if !riding.is_empty() {
            self.send_packet(Kind::Descriptors, &[], &riding);
        }
        let sent = self.rings.as_mut().map(|(sender, _)| sender.send(header, &[], body));
        if matches!(sent, Some(Ok(_))) {
            self.send_control(Kind::Bell);
        }
    }

    fn receive_through_ring(&mut self) {
        let Some((_, receiver)) = &mut self.rings else { return };
        let mut packet = vec![0; PACKET_BYTES];
        // Where anything was written to the memory, it may have no end.
        let more = |_: &usize| receiver.receive(&mut packet).is_ok_and(|len| len > 0);
        let _count = (0..MOST_RECEIVED).take_while(more).count();
        receiver.tell();
        receiver.fall_asleep();
    }

    /// Writes anything to the memory.
    fn write_memory(&mut self, input: &mut Unstructured<'_>) {
        let Some(memory) = &self.memory else { return };
        let at = 8 * usize::from(input.arbitrary::<u16>().unwrap_or(0)) % ring::memory_bytes(RINGS);
        match number(input, 4) {
            0 => memory.word(at).store(input.arbitrary().unwrap_or(0), Ordering::Relaxed),
            1 => memory.word(at).store(number(input, u8::MAX).into(), Ordering::Relaxed),
            2 => memory.write(at, bytes(input, 64.min(ring::memory_bytes(RINGS) - at))),
            _ => haunt(memory, input),
        }
    }

    /// Reads what the library has sent, which has the limits of packets: false at its end.
    pub(super) fn read(&mut self) -> bool {
        let mut packet = vec![0; PACKET_BYTES];
        loop {
            match self.socket.receive(&mut packet, Wait::No) {
                Ok(Some(received)) => self.look_at(&packet, &received),
                Ok(None) => return false,
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => return true,
                Err(error) => panic!("the library's end cannot be read: {error}"),
            }
        }
    }

    /// Each packet of the library's is one.
    fn look_at(&mut self, packet: &[u8], received: &Received) {
        assert!(!received.cut && !received.descriptors_lost);
        let (header, body) = Header::decode(&packet[..received.bytes]).expect("the library sends packets");
        assert_eq!(usize::from(header.descriptors), received.descriptors.len());
        if let (Kind::Ring, [file]) = (header.kind, received.descriptors.as_slice()) {
            assert_eq!(body, (RINGS.bytes as u64 | (RINGS.most as u64) << 32).to_le_bytes());
            let pages = Pages::open(file.as_fd(), ring::memory_bytes(RINGS)).expect("the memory of rings");
            self.use_rings(pages, RINGS, false);
        }
    }

    /// Sends nothing more.
    pub(super) fn finish(&mut self) {
        self.socket.shut_down(Shutdown::Write).expect("a socket can be shut down");
        self.descriptors.hang_up();
    }

    /// The library's end is gone, and none of the descriptors is left. (Where tests fork, a copy of this process may have them
    /// for a moment longer.)
    pub(super) fn assert_over(mut self) {
        let hung_up = ready(self.socket.as_fd(), PollFlags::empty(), Deadline::after(PATIENCE));
        assert!(hung_up.expect("a socket can be waited for"), "the library's end is still there");
        assert!(!self.read(), "a socket that was hung up on has an end");
        self.descriptors.assert_closed();
    }
}

/// Has a record begin wherever one may.
fn haunt(memory: &Pages, input: &mut Unstructured<'_>) {
    let (kind, length) = (number(input, 16), number(input, 32));
    for at in (0..ring::memory_bytes(RINGS)).step_by(64).skip(8) {
        memory.word(at).store(u64::from(kind) | u64::from(length) << 32, Ordering::Relaxed);
    }
}
