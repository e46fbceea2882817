//! Lanes: offered, taken, left, gone back to and closed.

use std::fs::File;
use std::io;
use std::os::fd::{AsFd, OwnedFd};
use std::os::unix::fs::FileExt;
use std::process;

use unix_ipc::{Connection, Handle, RawReceiver, RawSender, Receiver, Sender, test_command};

use crate::raw::Raw;
use crate::spawning::{announcement, leave_welcome, sized_memory};
use crate::util::Watchdog;
use crate::vectors::{assert_is, filled, vector};

/// The bytes for records where a sender makes the memory.
const BYTES: u64 = 1 << 16;
const ANSWER: u64 = 16;
/// The number that the vectors give an offer, without its two lowest bits.
const OFFER: u64 = 0x5a5a_5a5a_5a5a_5a58;
const RECORDS: u64 = 512;
const ALIGN: u64 = 32;
/// After so many values a lane is offered.
const HOT: usize = 128;

/// What stands in the place of the next record where the receiver takes no more.
const CLOSED: u64 = u64::MAX;

/// A lane, by hand.
struct Lane {
    file: File,
    position: u64,
}

impl Lane {
    /// Memory for one.
    fn new() -> Self {
        let lane = Self { file: sized_memory(RECORDS + BYTES), position: 0 };
        lane.set_word(ANSWER, OFFER);
        lane
    }

    fn of(file: OwnedFd) -> Self {
        Self { file: file.into(), position: 0 }
    }

    fn word(&self, at: u64) -> u64 {
        let mut word = [0; 8];
        self.file.read_exact_at(&mut word, at).expect("the memory can be read");
        u64::from_ne_bytes(word)
    }

    fn set_word(&self, at: u64, word: u64) {
        self.file.write_all_at(&word.to_ne_bytes(), at).expect("the memory can be written");
    }

    /// Answers the offer that stands in the memory.
    fn answer(&self, answer: u64) {
        let offer = self.word(ANSWER);
        assert_eq!(offer & 3, 0, "nothing was answered");
        self.set_word(ANSWER, offer | answer);
    }

    /// Writes a vector as the next record.
    fn give(&mut self, name: &str) {
        let packet = filled(vector(name));
        let at = RECORDS + self.position;
        let (first, rest) = packet.split_at(8);
        self.file.write_all_at(rest, at + 8).expect("the memory can be written");
        self.file.write_all_at(first, at).expect("the memory can be written");
        self.position += (packet.len() as u64).next_multiple_of(ALIGN);
    }

    /// The next record is this vector.
    #[track_caller]
    fn expect(&mut self, name: &str) {
        let mut packet = vec![0; vector(name).len()];
        self.file.read_exact_at(&mut packet, RECORDS + self.position).expect("the memory can be read");
        assert_is(name, &packet);
        self.position += (packet.len() as u64).next_multiple_of(ALIGN);
        assert_eq!(self.word(RECORDS + self.position), 0, "nothing is behind it");
    }
}

/// A number, or a handle, whose bytes are those of the vectors.
type Value = Result<u64, Handle<File>>;

#[test]
fn a_sender_offers_a_lane_and_goes_on_in_it() {
    let _watchdog = Watchdog::new();
    let (raw, end) = Raw::pair();
    let sender = Sender::<u64>::from(RawSender::from(end));
    for _ in 0..HOT {
        sender.send(0x41).unwrap();
        raw.expect("forwarded/reply");
    }
    let mut lane = Lane::of(raw.expect("lane/offer").remove(0));

    // Until there is an answer all goes over the socket.
    sender.send(0x41).unwrap();
    raw.expect("forwarded/reply");
    lane.answer(1);
    for _ in 0..3 {
        sender.send(0x41).unwrap();
        lane.expect("forwarded/reply");
    }
    raw.expect("lane/switch");

    // A receiver that sleeps is rung for.
    lane.set_word(128, 1);
    sender.send(0x41).unwrap();
    raw.expect("bell");
    lane.expect("forwarded/reply");

    lane.set_word(RECORDS + lane.position, CLOSED);
    sender.send(0x41).unwrap();
    raw.expect("forwarded/reply");
}

#[test]
fn a_sender_goes_over_the_socket_with_what_is_not_for_a_lane_and_comes_back() {
    let _watchdog = Watchdog::new();
    let (raw, end) = Raw::pair();
    let sender = Sender::<Value>::from(RawSender::from(end));
    (0..HOT).for_each(|_| {
        sender.send(Ok(7)).unwrap();
        raw.expect("lane/number");
    });
    let mut lane = Lane::of(raw.expect("lane/offer").remove(0));
    lane.answer(1);
    for _ in 0..3 {
        sender.send(Ok(7)).unwrap();
        raw.expect("lane/switch");
        lane.expect("lane/number");
        sender.send(Err(File::open("/dev/null").unwrap().into())).unwrap();
        lane.expect("lane/switch");
        assert_eq!(raw.expect("lane/handle").len(), 1);
    }
}

#[test]
fn a_receiver_takes_a_lane_and_both_ways_are_one_order() {
    let _watchdog = Watchdog::new();
    let (raw, end) = Raw::pair();
    let receiver = Receiver::<Value>::from(RawReceiver::from(end));
    let mut lane = Lane::new();
    raw.give("lane/offer", &[lane.file.as_fd()]);
    raw.give("lane/number", &[]);
    assert!(matches!(receiver.recv(), Ok(Ok(7))));
    assert_eq!(lane.word(ANSWER), OFFER | 1);

    raw.give("lane/switch", &[]);
    lane.give("lane/number");
    lane.give("lane/switch");
    raw.give("lane/handle", &[File::open("/dev/null").unwrap().as_fd()]);
    raw.give("lane/switch", &[]);
    lane.give("lane/number");
    raw.give("bell", &[]);
    assert!(matches!(receiver.recv(), Ok(Ok(7))));
    assert!(matches!(receiver.recv(), Ok(Err(_))));
    assert!(matches!(receiver.recv(), Ok(Ok(7))));
    assert!(matches!(receiver.try_recv(), Ok(None)));

    drop(receiver);
    assert_eq!(lane.word(RECORDS + lane.position), CLOSED);
    assert_eq!(lane.word(ANSWER), OFFER | 2);
}

#[test]
fn what_was_in_the_lane_of_a_receiver_that_moves_goes_with_it() {
    let _watchdog = Watchdog::new();
    let (raw, end) = Raw::pair();
    let moved = Receiver::<Result<u64, ()>>::from(RawReceiver::from(end));
    let mut lane = Lane::new();
    raw.give("lane/offer", &[lane.file.as_fd()]);
    raw.give("lane/number", &[]);
    raw.give("lane/switch", &[]);
    moved.recv().unwrap().unwrap();
    assert!(moved.try_recv().unwrap().is_none());
    (0..2).for_each(|_| lane.give("lane/number"));
    lane.give("lane/switch");
    raw.give("lane/number", &[]);
    raw.give("lane/switch", &[]);
    lane.give("lane/number");
    let (to, carrier) = Raw::pair();
    Sender::from(RawSender::from(carrier)).send(moved).unwrap();
    let socket = to.expect("value/receiver-ahead").remove(0);
    assert_eq!(lane.word(RECORDS + lane.position), CLOSED);

    let (to, carrier) = Raw::pair();
    to.give("value/receiver-ahead", &[socket.as_fd()]);
    drop(socket);
    let arrived: Receiver<Result<u64, ()>> = Receiver::from(RawReceiver::from(carrier)).recv().unwrap();
    raw.give("lane/number", &[]);
    drop(raw);
    let values: Vec<_> = arrived.iter().map(Result::unwrap).collect();
    assert_eq!(values, [Ok(7); 5]);
}

#[test]
fn a_child_offers_the_memory_that_it_has_in_common_with_its_spawner() {
    if Connection::inherited().unwrap().is_some() {
        let output = io::stderr().as_fd().try_clone_to_owned().unwrap();
        let sender = Sender::<Value>::from(RawSender::from(output));
        return (0..=HOT).for_each(|_| sender.send(Ok(7)).unwrap());
    }
    let _watchdog = Watchdog::new();
    let (raw, socket) = Raw::pair();
    let (liveness, _ours) = io::pipe().unwrap();
    leave_welcome(&raw, &liveness);
    let (values, output) = Raw::pair();
    let mut command = test_command();
    command.env("UNIX_IPC_CONNECTION", announcement(&socket, process::id()));
    let mut child = command.stdin(socket).stderr(output).spawn().unwrap();
    drop(command);
    (0..HOT).for_each(|_| drop(values.expect("lane/number")));
    assert_eq!(values.expect("lane/offer-named").len(), 0);
    // Nobody has answered.
    values.expect("lane/number");
    assert!(child.wait().unwrap().success());
}

#[test]
fn a_receiver_passes_over_the_offer_of_memory_that_it_has_not() {
    let _watchdog = Watchdog::new();
    let (raw, end) = Raw::pair();
    let receiver = Receiver::<Value>::from(RawReceiver::from(end));
    raw.give("lane/offer-named", &[]);
    raw.give("lane/number", &[]);
    assert!(matches!(receiver.recv(), Ok(Ok(7))));
}
