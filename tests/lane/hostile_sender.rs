//! A sender that offers nonsense, or writes nonsense into the memory of its lane: the receiver names it, or passes it over,
//! and receives what is right.

use std::fs::File;
use std::io;
use std::os::fd::{AsFd, BorrowedFd};
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;

use nix::fcntl::SealFlag;
use unix_ipc::{ProtocolError, RawReceiver, RawSender, RecvError, raw_channel};

use crate::forged::{
    ALIGN, ANSWER, ASLEEP, BELL, CONSUMED, DONE, RECORDS, RING, SIZED, SWITCH, TAKEN, control, memory, offer,
    offer_of, set_word, storm, word, write_record,
};
use crate::packets::{self, Header, VALUE, WHOLE};
use crate::util::{Holdings, Watchdog, alone};
use crate::yard::mappings;

const BYTES: u64 = 4096;
const ID: u64 = 8;

const LONGER: ProtocolError = ProtocolError::Ring("a packet longer than the ring");
const NOT_SMALL: ProtocolError = ProtocolError::Ring("a record that is no small message");

/// A channel whose sender writes packets by hand.
struct Hostile {
    sender: RawSender,
    receiver: RawReceiver,
}

impl Hostile {
    fn new() -> Self {
        let (sender, receiver) = raw_channel().unwrap();
        Self { sender, receiver }
    }

    fn write(&self, packet: &[u8], descriptors: &[BorrowedFd<'_>]) {
        packets::write(&self.sender, packet, descriptors);
    }

    /// Offers a lane that is in order.
    fn offer(&self) -> File {
        let file = memory(RECORDS + BYTES, SIZED);
        set_word(&file, ANSWER, ID);
        self.write(&offer(ID, &[BYTES, 0, 0], 1), &[file.as_fd()]);
        assert!(self.receiver.try_recv().unwrap().is_none());
        file
    }

    /// A lane that is taken, of which the next record is read.
    fn lane(&self) -> File {
        let file = self.offer();
        assert_eq!(word(&file, ANSWER), ID | TAKEN);
        self.write(&control(SWITCH, ID), &[]);
        file
    }

    #[track_caller]
    fn expect(&self, expected: &ProtocolError) {
        let mut found = None;
        let most = allocation_counter::measure(|| found = Some(self.receiver.recv())).bytes_max;
        let Some(Err(RecvError::Protocol(found))) = found else {
            panic!("expected {expected:?}, found {found:?}")
        };
        assert_eq!(&found, expected);
        assert!(most < 128 << 10, "{most} bytes were allocated");
    }

    #[track_caller]
    fn is_well(&self) {
        self.sender.send(b"next", &[]).unwrap();
        assert_eq!(self.receiver.recv().unwrap().0, b"next");
        assert!(self.receiver.try_recv().unwrap().is_none(), "nothing is left of what was refused");
    }
}

fn record(kind: u8, body: &[u8]) -> Vec<u8> {
    Header { kind, ..Header::of(WHOLE, u32::try_from(body.len()).unwrap()) }.packet(body)
}

#[test]
fn an_offer_of_a_size_that_rings_do_not_have_is_named() {
    let hostile = Hostile::new();
    for bytes in [0, 1, 128, 255, 257, 4095, (1 << 24) + 1, 1 << 25, 1 << 63, u64::MAX] {
        let file = memory(RECORDS + BYTES, SIZED);
        hostile.write(&offer(ID, &[bytes, 0, 0], 1), &[file.as_fd()]);
        hostile.expect(&ProtocolError::Ring("a size that rings do not have"));
        hostile.is_well();
    }
}

#[test]
fn an_offer_of_another_length_is_named() {
    let hostile = Hostile::new();
    for len in [0, 1, 8, 16, 23, 25, 32, 4000] {
        hostile.write(&offer_of(ID, &vec![0; len], 0), &[]);
        hostile.expect(&ProtocolError::Kind(RING));
        hostile.is_well();
    }
}

#[test]
fn p33_an_offer_with_too_many_or_too_few_descriptors_is_named_and_all_are_closed() {
    let _watchdog = Watchdog::new();
    let hostile = Hostile::new();
    for (name, actual, declared) in [(0, 0, 1), (0, 2, 1), (0, 200, 1), (5, 1, 0), (5, 3, 0)] {
        let (mut reader, writer) = io::pipe().unwrap();
        let riding = vec![writer.as_fd(); actual];
        hostile.write(&offer(ID, &[BYTES, name, 0], u16::try_from(actual).unwrap()), &riding);
        hostile.expect(&ProtocolError::DescriptorCount { declared, actual });
        drop(writer);
        assert_eq!(io::Read::read(&mut reader, &mut [0]).unwrap(), 0, "the receiver has none open");
        hostile.is_well();
    }
}

#[test]
fn p63_an_offer_of_a_file_that_is_not_memory_of_that_size_is_named() {
    let hostile = Hostile::new();
    let files = [
        memory(RECORDS + BYTES, SealFlag::empty()),
        memory(RECORDS + BYTES, SealFlag::F_SEAL_SHRINK),
        memory(RECORDS + BYTES, SealFlag::F_SEAL_GROW),
        memory(RECORDS + BYTES - 1, SIZED),
        memory(RECORDS + BYTES + 1, SIZED),
        memory(0, SIZED),
        File::open("/dev/zero").unwrap(),
        tempfile::tempfile().unwrap(),
    ];
    for file in files {
        hostile.write(&offer(ID, &[BYTES, 0, 0], 1), &[file.as_fd()]);
        hostile.expect(&ProtocolError::MemoryFile);
        hostile.is_well();
    }
}

#[test]
fn an_offer_of_memory_that_nobody_has_is_passed_over() {
    let hostile = Hostile::new();
    for bytes in [0, 1, BYTES, 32 << 10, u64::MAX] {
        for area in [0, 1, 2, u64::MAX] {
            for name in [1, u64::MAX] {
                hostile.write(&offer(ID, &[bytes, name, area], 0), &[]);
                hostile.is_well();
            }
        }
    }
}

#[test]
fn only_one_of_hundreds_of_offers_is_taken_and_nothing_is_kept_of_the_others() {
    if !alone() {
        return;
    }
    let _watchdog = Watchdog::new();
    let hostile = Hostile::new();
    let taken = hostile.lane();
    let before = (Holdings::now(), mappings());
    for round in 0..200 {
        let file = hostile.offer();
        assert_eq!(word(&file, ANSWER), ID | DONE, "in round {round}");
    }
    assert_eq!((Holdings::now(), mappings()), before);
    write_record(&taken, 0, &record(VALUE, b"in the lane"));
    assert_eq!(hostile.receiver.recv().unwrap().0, b"in the lane");
    let _ = hostile.receiver.as_fd();
    let late = Hostile::new();
    let _ = late.receiver.as_fd();
    assert_eq!(word(&late.offer(), ANSWER), ID | DONE, "an end that was shown takes none");
}

#[test]
fn records_come_in_order_until_the_switch_and_from_the_socket_after_it() {
    let hostile = Hostile::new();
    let file = hostile.lane();
    write_record(&file, 0, &record(VALUE, b"one"));
    write_record(&file, ALIGN, &record(VALUE, b"two"));
    write_record(&file, 2 * ALIGN, &control(SWITCH, ID));
    write_record(&file, 3 * ALIGN, &record(VALUE, b"four"));
    hostile.sender.send(b"three", &[]).unwrap();
    for expected in [b"one".as_slice(), b"two", b"three"] {
        assert_eq!(hostile.receiver.recv().unwrap().0, expected);
    }
    for other in [0, ID + 1, u64::MAX] {
        hostile.write(&control(SWITCH, other), &[]);
        assert!(hostile.receiver.try_recv().unwrap().is_none(), "that is another lane's");
    }
    hostile.write(&control(SWITCH, ID), &[]);
    assert_eq!(hostile.receiver.recv().unwrap().0, b"four");
}

#[test]
fn a_record_that_is_no_small_message_is_named_and_ends_the_lane() {
    let lie =
        |kind, form, descriptors, length: u32| Header { kind, form, descriptors, length, id: 0 }.packet(&[]);
    let mut records: Vec<(Vec<u8>, ProtocolError)> = vec![
        (lie(VALUE, WHOLE, 0, 1024 - 16 + 1), LONGER),
        (lie(VALUE, WHOLE, 0, u32::MAX), LONGER),
        (vec![255; 16], LONGER),
        (lie(SWITCH, WHOLE, 0, 1), NOT_SMALL),
        (lie(SWITCH, WHOLE, 1, 0), NOT_SMALL),
        (lie(SWITCH, 1, 0, 0), NOT_SMALL),
        (lie(0, 1, 0, 0), ProtocolError::Kind(0)),
    ];
    records.extend((1..=3).map(|form| (lie(VALUE, form, 0, 64), NOT_SMALL)));
    records.extend((4..=255).map(|form| (lie(VALUE, form, 0, 0), ProtocolError::Flags(form))));
    records.extend([1, 2, u16::MAX].map(|descriptors| (lie(VALUE, WHOLE, descriptors, 0), NOT_SMALL)));
    records.extend((2..=19).filter(|kind| *kind != SWITCH).map(|kind| (lie(kind, WHOLE, 0, 0), NOT_SMALL)));
    records.extend((20..=255).map(|kind| (lie(kind, WHOLE, 0, 0), ProtocolError::Kind(kind))));
    for (lie, expected) in records {
        let hostile = Hostile::new();
        let file = hostile.lane();
        write_record(&file, 0, &lie);
        hostile.expect(&expected);
        assert_eq!(word(&file, ANSWER), ID | DONE);
        hostile.is_well();
    }
}

#[test]
fn marks_that_are_the_receivers_own_are_not_read_back() {
    for nonsense in [0, 1, 63, 4096, u64::MAX] {
        let hostile = Hostile::new();
        let file = hostile.lane();
        for number in 0..200_u64 {
            // All that stands in front of the records.
            (0..RECORDS).step_by(8).for_each(|at| set_word(&file, at, nonsense));
            let at = number * ALIGN % BYTES;
            set_word(&file, RECORDS + (at + ALIGN) % BYTES, 0);
            write_record(&file, at, &record(VALUE, &number.to_ne_bytes()));
            assert_eq!(hostile.receiver.recv().unwrap().0, number.to_ne_bytes());
        }
    }
}

#[test]
fn a_lane_that_cannot_be_closed_for_records_gives_what_it_holds_and_no_more() {
    let _watchdog = Watchdog::new();
    for fill in [record(VALUE, &[1]), control(SWITCH, ID), vec![255; 16], record(BELL, &[])] {
        let hostile = Hostile::new();
        let file = hostile.lane();
        (0..BYTES).step_by(ALIGN as usize).for_each(|at| write_record(&file, at, &fill));
        let _ = hostile.receiver.as_fd();
        let mut count = 0;
        while hostile.receiver.try_recv().unwrap().is_some() {
            count += 1;
        }
        assert!(count <= BYTES / ALIGN, "{count}");
        assert_eq!(word(&file, ANSWER), ID | DONE);
        hostile.is_well();
    }
}

#[test]
fn a_switch_or_bell_out_of_place_is_passed_over_and_one_with_something_in_it_is_named() {
    let hostile = Hostile::new();
    let (_, writer) = io::pipe().unwrap();
    for has_lane in [false, true] {
        if has_lane {
            hostile.lane();
        }
        for kind in [SWITCH, BELL] {
            for id in [0, 1, u64::MAX] {
                hostile.write(&control(kind, id), &[]);
                hostile.is_well();
            }
            hostile.write(&record(kind, b"x"), &[]);
            hostile.expect(&ProtocolError::Kind(kind));
            hostile.write(
                &Header { kind, descriptors: 1, ..Header::of(WHOLE, 0) }.packet(&[]),
                &[writer.as_fd()],
            );
            hostile.expect(&ProtocolError::Kind(kind));
            hostile.is_well();
        }
    }
}

#[test]
fn thousands_of_bells_hold_nobody_up() {
    let _watchdog = Watchdog::new();
    let hostile = Hostile::new();
    let file = hostile.lane();
    let rings = (0..).find(|_| !packets::try_write(&hostile.sender, &control(BELL, 0), &[])).unwrap();
    write_record(&file, 0, &record(VALUE, b"one"));
    assert_eq!(hostile.receiver.try_recv().unwrap().unwrap().0, b"one", "it comes before {rings} bells");
    let looks = (0..).find(|_| {
        assert!(hostile.receiver.try_recv().unwrap().is_none());
        packets::try_write(&hostile.sender, &record(VALUE, b"two"), &[])
    });
    assert!(looks.is_some());
    assert_eq!(hostile.receiver.recv().unwrap().0, b"two");
}

#[test]
fn memory_that_always_changes_is_at_worst_an_error() {
    let _watchdog = Watchdog::new();
    for seed in 1..=60_u64 {
        let hostile = Hostile::new();
        let file = hostile.lane();
        let is_over = AtomicBool::new(false);
        thread::scope(|scope| {
            scope.spawn(|| {
                storm(&file, seed, 30_000);
                is_over.store(true, Ordering::Relaxed);
            });
            while !is_over.load(Ordering::Relaxed) {
                let _ = hostile.receiver.try_recv();
                if seed.is_multiple_of(2) {
                    packets::try_write(&hostile.sender, &control(SWITCH, ID), &[]);
                }
            }
        });
        if seed.is_multiple_of(3) {
            let _ = hostile.receiver.as_fd();
        }
        set_word(&file, ASLEEP, 0);
        set_word(&file, CONSUMED, 0);
        drop(hostile.sender);
        // What is in the memory is read at most once.
        let left = (0..100_000).find(|_| matches!(hostile.receiver.recv(), Err(RecvError::Disconnected)));
        assert!(left.is_some(), "seed {seed}");
    }
}
