//! Rings: offered, taken, used and left behind.

use std::fs::File;
use std::os::fd::AsFd;
use std::os::unix::fs::FileExt;
use std::thread;
use std::time::Duration;

use unix_ipc::Connection;

use crate::calls::{ABACUS, Calculator as _, CalculatorClient, CalculatorServer};
use crate::raw::Raw;
use crate::spawning::sized_memory;
use crate::util::{Watchdog, wait_until};
use crate::vectors::{assert_is, filled, vector};

/// How many bytes for records a ring may grow to, as the vector has it.
const MOST: u64 = 1 << 20;
/// Stands in the place of a record in a ring that grows.
const GROWN: u64 = u64::MAX - 1;
const ASLEEP: u64 = 128;
const RECORDS: u64 = 512;

/// One of two rings, by hand.
struct Ring<'a> {
    file: &'a File,
    start: u64,
    position: u64,
}

impl<'a> Ring<'a> {
    /// The ring of the end that made it, and of the other.
    fn both(file: &'a File) -> (Self, Self) {
        (Self { file, start: 0, position: 0 }, Self { file, start: RECORDS + MOST, position: 0 })
    }

    fn word(&self, at: u64) -> u64 {
        let mut word = [0; 8];
        self.file.read_exact_at(&mut word, self.start + at).expect("the memory can be read");
        u64::from_ne_bytes(word)
    }

    fn set_word(&self, at: u64, word: u64) {
        self.file.write_all_at(&word.to_ne_bytes(), self.start + at).expect("the memory can be written");
    }

    /// Writes a vector as the next record, about this call.
    fn give(&mut self, name: &str, id: u64) {
        let mut packet = filled(vector(name));
        packet[8..16].copy_from_slice(&id.to_le_bytes());
        let at = self.start + RECORDS + self.position;
        let (first, rest) = packet.split_at(8);
        self.file.write_all_at(rest, at + 8).expect("the memory can be written");
        self.file.write_all_at(first, at).expect("the memory can be written");
        self.position += (packet.len() as u64).next_multiple_of(64);
    }

    /// Waits for the next record, which has to be this vector, but for the call that it is about.
    #[track_caller]
    fn expect(&mut self, name: &str) {
        let at = RECORDS + self.position;
        assert!(wait_until(Duration::from_secs(20), || self.word(at) != 0), "{name} does not come");
        let mut packet = vec![0; vector(name).len()];
        self.file.read_exact_at(&mut packet, self.start + at).expect("the memory can be read");
        packet[8..16].copy_from_slice(&filled(vector(name))[8..16]);
        assert_is(name, &packet);
        self.position += (packet.len() as u64).next_multiple_of(64);
        assert_eq!(self.word(RECORDS + self.position), 0, "nothing is behind it");
    }
}

#[test]
fn a_client_offers_rings_and_goes_on_in_them() {
    let _watchdog = Watchdog::new();
    let (raw, end) = Raw::pair();
    let client = CalculatorClient::from(Connection::from(end));
    client.log("hi").unwrap();
    raw.expect_named("hello/client");
    raw.expect("oneway/log");
    for _ in 2..8 {
        client.log("hi").unwrap();
        raw.expect("oneway/log");
    }
    let file = File::from(raw.expect("ring").remove(0));
    let (mut theirs, mut ours) = Ring::both(&file);

    // It goes on over the socket until it knows that its rings were taken.
    let pending = client.begin_add(23, 42).unwrap();
    raw.expect("call/add");
    ours.give("reply/add", 1);
    raw.give("hello/server", &[]);
    raw.give("switch", &[]);
    assert_eq!(pending.wait().unwrap(), 65);
    raw.expect("switch");

    client.log("hi").unwrap();
    theirs.expect("oneway/log");
    theirs.set_word(ASLEEP, 1);
    client.log("hi").unwrap();
    theirs.expect("oneway/log");
    raw.expect("bell");
    assert_eq!(theirs.word(ASLEEP), 0, "who rings says so");

    // A bell is no message, and descriptors come ahead of theirs.
    let pending = client.begin_open("x").unwrap();
    theirs.expect("call/open");
    raw.give("bell", &[]);
    raw.give("descriptors", &[File::open("/dev/null").unwrap().as_fd()]);
    ours.give("reply/handle", 2);
    pending.wait().unwrap();
}

#[test]
fn a_server_takes_rings_and_lets_them_go_when_its_client_moves() {
    let _watchdog = Watchdog::new();
    let (raw, end) = Raw::pair();
    let serving = thread::spawn(|| CalculatorServer::new(ABACUS).serve(Connection::from(end)));
    raw.give("hello/client", &[]);
    raw.expect_named("hello/server");

    let file = sized_memory(2 * (RECORDS + MOST));
    let (mut ours, mut theirs) = Ring::both(&file);
    raw.give("ring", &[file.as_fd()]);
    raw.expect("switch");
    raw.give("switch", &[]);
    // It sleeps, perhaps, and a bell too many does no harm.
    ours.give("call/add", 1);
    raw.give("bell", &[]);
    theirs.expect("reply/add");
    // From here on it is longer, and the first bytes stay where they are.
    ours.set_word(RECORDS + ours.position, GROWN);
    ours.position += 64;
    ours.give("call/open", 2);
    raw.give("bell", &[]);
    theirs.expect("reply/handle");
    let mut descriptors = raw.expect("descriptors");
    assert_eq!(descriptors.len(), 1);
    descriptors.clear();

    raw.give("reset", &[]);
    raw.give("call/add", &[]);
    raw.expect("reset");
    raw.expect("reply/add");
    drop(raw);
    serving.join().unwrap().unwrap();
    assert_eq!(ABACUS.add(23, 42), 65);
}
