//! Pieces of long messages that do not fit together.

use nix::sys::wait::{Id, WaitPidFlag, waitid};
use nix::unistd::Pid;
use unix_ipc::{
    DecodeError, LimitExceeded, Limits, ProtocolError, Receiver, RecvError, channel, raw_channel,
    test_command,
};

use crate::packets::{FRAGMENT, HEAD, Header, fragment, fragment_body, packet, try_write};
use crate::util::Watchdog;
use crate::{Canary, Hostile, eventually, most_allocated};

fn misplaced(offset: u64, expected: u64) -> ProtocolError {
    ProtocolError::Fragment { offset, expected }
}

#[test]
fn pieces_in_order_are_one_message() {
    let hostile = Hostile::new();
    for (offset, piece) in [(0, b"ab"), (2, b"cd"), (4, b"ef")] {
        hostile.write(&fragment(7, offset, 6, piece), &[]);
    }
    assert_eq!(hostile.receiver.recv().unwrap().0, b"abcdef");
    hostile.is_well();
}

#[test]
fn who_sends_many_pieces_does_not_hold_up_somebody_who_does_not_wait() {
    let hostile = Hostile::new();
    for offset in 0..130 {
        hostile.write(&fragment(7, offset, 130, b"x"), &[]);
    }
    // Two looks take less than all.
    assert!(hostile.receiver.try_recv().unwrap().is_none());
    assert!(hostile.receiver.try_recv().unwrap().is_none());
    assert_eq!(hostile.receiver.try_recv().unwrap().unwrap().0, [b'x'; 130]);
    hostile.is_well();
}

#[test]
fn a_piece_that_skips_some_is_named_and_ends_its_message() {
    let hostile = Hostile::new();
    hostile.write(&fragment(7, 0, 6, b"ab"), &[]);
    hostile.refuses(&fragment(7, 4, 6, b"ef"), &misplaced(4, 2));
    hostile.refuses(&fragment(7, 2, 6, b"cdef"), &misplaced(2, 0));
}

#[test]
fn a_piece_that_overlaps_is_named_and_ends_its_message() {
    let hostile = Hostile::new();
    hostile.write(&fragment(7, 0, 6, b"abc"), &[]);
    hostile.refuses(&fragment(7, 2, 6, b"cdef"), &misplaced(2, 3));
}

#[test]
fn a_piece_that_comes_twice_is_named_and_ends_its_message() {
    let hostile = Hostile::new();
    hostile.write(&fragment(7, 0, 6, b"ab"), &[]);
    hostile.write(&fragment(7, 2, 6, b"cd"), &[]);
    hostile.refuses(&fragment(7, 2, 6, b"cd"), &misplaced(2, 4));
}

#[test]
fn a_piece_past_the_end_is_named() {
    let hostile = Hostile::new();
    hostile.refuses(&fragment(7, 0, 3, b"abcd"), &ProtocolError::Length { declared: 3, actual: 4 });
    let last = fragment(7, u32::MAX, u32::MAX, b"x");
    hostile.refuses(&last, &ProtocolError::Length { declared: u32::MAX.into(), actual: 1 << 32 });
}

#[test]
fn a_piece_past_the_end_ends_its_message() {
    let hostile = Hostile::new();
    hostile.write(&fragment(7, 0, 4, b"ab"), &[]);
    hostile.refuses(&fragment(7, 2, 4, b"cde"), &ProtocolError::Length { declared: 4, actual: 5 });
    hostile.refuses(&fragment(7, 2, 4, b"cd"), &misplaced(2, 0));
}

#[test]
fn a_piece_of_no_known_message_is_named() {
    let hostile = Hostile::new();
    hostile.refuses(&fragment(7, 2, 6, b"cd"), &misplaced(2, 0));
}

#[test]
fn a_piece_without_a_byte_is_named() {
    let hostile = Hostile::new();
    hostile.refuses(&fragment(7, 0, 6, b""), &ProtocolError::Length { declared: 6, actual: 0 });
    hostile.refuses(&fragment(7, 0, 0, b""), &ProtocolError::Length { declared: 0, actual: 0 });
    hostile.refuses(&packet(FRAGMENT, 0, b"short"), &ProtocolError::ShortHeader { actual: 5, expected: 16 });
}

#[test]
fn a_total_kind_or_id_that_changes_is_named_and_ends_its_message() {
    let hostile = Hostile::new();
    hostile.write(&fragment(7, 0, 6, b"ab"), &[]);
    hostile.refuses(&fragment(7, 2, 4, b"cd"), &ProtocolError::Call(0));
    hostile.write(&fragment(7, 0, 6, b"ab"), &[]);
    let body = fragment_body(7, 2, 6, b"cdef");
    let other_id = Header { id: 5, ..Header::of(FRAGMENT, 20) }.packet(&body);
    hostile.refuses(&other_id, &ProtocolError::Call(5));
    hostile.write(&fragment(7, 0, 6, b"ab"), &[]);
    let other_kind = Header { kind: 5, ..Header::of(FRAGMENT, 20) }.packet(&body);
    hostile.refuses(&other_kind, &ProtocolError::Call(0));
}

#[test]
fn a_new_beginning_ends_the_senders_unfinished_message() {
    let hostile = Hostile::new();
    hostile.write(&fragment(7, 0, 6, b"ab"), &[]);
    hostile.write(&fragment(7, 0, 4, b"AB"), &[]);
    hostile.write(&fragment(7, 2, 4, b"CD"), &[]);
    assert_eq!(hostile.receiver.recv().unwrap().0, b"ABCD");
    hostile.is_well();
}

#[test]
fn p14_descriptors_on_a_piece_that_is_not_the_last_are_closed_and_end_the_message() {
    let _watchdog = Watchdog::new();
    let hostile = Hostile::new();
    let canary = Canary::new();
    hostile.write(&packet(FRAGMENT, 1, &fragment_body(7, 0, 4, b"ab")), &[canary.fd()]);
    hostile.expect(&ProtocolError::DescriptorCount { declared: 0, actual: 1 });
    canary.assert_closed_by_receiver();
    hostile.refuses(&fragment(7, 2, 4, b"cd"), &misplaced(2, 0));
}

#[test]
fn a_wrong_count_of_descriptors_on_the_last_piece_ends_the_message() {
    let _watchdog = Watchdog::new();
    let (sender, receiver) = channel::<u32>().unwrap();
    let sender = sender.into_raw_sender().unwrap();
    let canary = Canary::new();
    crate::packets::write(&sender, &fragment(7, 0, 4, b"ab"), &[]);
    let last = packet(FRAGMENT, 2, &fragment_body(7, 2, 4, b"cd"));
    crate::packets::write(&sender, &last, &[canary.fd()]);
    let expected = ProtocolError::DescriptorCount { declared: 2, actual: 1 };
    assert!(matches!(receiver.recv(), Err(RecvError::Protocol(found)) if found == expected));
    canary.assert_closed_by_receiver();
    // A receiver that holds half a message refuses to travel.
    assert!(unix_ipc::serialize(&receiver).is_ok(), "the message is over");
}

#[test]
fn p32_a_total_above_the_limit_is_refused_once_and_its_pieces_are_passed_over() {
    let hostile = Hostile::new();
    let piece = [1; 1000];
    for offset in (0..10_000).step_by(1000) {
        hostile.write(&fragment(7, offset, u32::MAX, &piece), &[]);
    }
    let actual = u32::MAX.into();
    let refusal = LimitExceeded::MessageBytes { actual, limit: 64 << 20 };
    let most = most_allocated(|| {
        assert!(matches!(hostile.receiver.recv(), Err(RecvError::Refused(found)) if found == refusal));
        assert!(hostile.receiver.try_recv().unwrap().is_none());
    });
    assert!(most < 128 << 10, "{most} bytes were allocated");
    hostile.is_well();
}

#[test]
fn p32_memory_grows_with_what_came_and_not_with_the_total() {
    let hostile = Hostile::new();
    hostile.write(&fragment(7, 0, 64 << 20, b"x"), &[]);
    let most = most_allocated(|| assert!(hostile.receiver.try_recv().unwrap().is_none()));
    assert!(most < 128 << 10, "{most} bytes were allocated");
    hostile.is_well();
}

#[test]
fn beginnings_above_the_limit_are_refused_once_each_and_their_pieces_are_passed_over() {
    let (sender, receiver) = raw_channel().unwrap();
    let mut limits = Limits::default();
    limits.unfinished_messages = 2;
    let hostile = Hostile { sender, receiver: receiver.with_limits(limits) };
    for stream in 1..=4 {
        hostile.write(&fragment(stream, 0, 6, b"ab"), &[]);
    }
    let refusal = LimitExceeded::UnfinishedMessages { limit: 2 };
    for _ in 3..=4 {
        assert!(matches!(hostile.receiver.recv(), Err(RecvError::Refused(found)) if found == refusal));
    }
    assert!(hostile.receiver.try_recv().unwrap().is_none());
    for stream in 1..=4 {
        hostile.write(&fragment(stream, 2, 6, b"cd"), &[]);
        hostile.write(&fragment(stream, 4, 6, b"ef"), &[]);
    }
    for _ in 1..=2 {
        assert_eq!(hostile.receiver.recv().unwrap().0, b"abcdef");
    }
    hostile.is_well();
    hostile.write(&fragment(4, 0, 2, b"gh"), &[]);
    assert_eq!(hostile.receiver.recv().unwrap().0, b"gh", "a refused sender is heard again");
}

#[test]
fn p26_unfinished_messages_of_dead_processes_do_not_block_a_living_sender() {
    if std::env::var_os("ROLE").is_some() {
        // The sending end is the standard input: 64 beginnings, and no end.
        for stream in 0..64 {
            eventually(|| try_write(std::io::stdin(), &fragment(stream, 0, 100_000, b"begun"), &[]));
        }
        return;
    }
    let _watchdog = Watchdog::new();
    let (sender, receiver) = raw_channel().unwrap();
    let input = sender.as_fd_clone();
    let mut child = test_command().env("ROLE", "begins").stdin(input).spawn().unwrap();
    // Dead, and not reaped yet, so its number is still there.
    let id = Id::Pid(Pid::from_raw(child.id().try_into().unwrap()));
    waitid(id, WaitPidFlag::WEXITED | WaitPidFlag::WNOWAIT).unwrap();
    assert!(receiver.try_recv().unwrap().is_none());
    let text = vec![5; 200_000];
    std::thread::scope(|scope| {
        scope.spawn(|| sender.send(&text, &[]).unwrap());
        assert!(receiver.recv().unwrap().0 == text);
    });
    assert!(child.wait().unwrap().success());
}

trait Duplicate {
    fn as_fd_clone(&self) -> std::os::fd::OwnedFd;
}

impl<F: std::os::fd::AsFd> Duplicate for F {
    fn as_fd_clone(&self) -> std::os::fd::OwnedFd {
        self.as_fd().try_clone_to_owned().unwrap()
    }
}

/// The first piece of a message, behind which a block of so many bytes begins.
fn head(total: u32, block: u64) -> Vec<u8> {
    packet(HEAD, 0, &fragment_body(7, 0, total, &block.to_le_bytes()))
}

#[test]
fn a_message_with_a_block_is_one_message() {
    let hostile = Hostile::new();
    hostile.write(&head(13, 3), &[]);
    hostile.write(&fragment(7, 8, 13, b"ab"), &[]);
    hostile.write(&fragment(7, 10, 13, b"cde"), &[]);
    assert_eq!(hostile.receiver.recv().unwrap().0, b"\x03\0\0\0\0\0\0\0abcde");
    hostile.is_well();
}

#[test]
fn a_block_that_cannot_follow_is_named() {
    let hostile = Hostile::new();
    hostile.refuses(&head(100, 93), &ProtocolError::Block);
    hostile.refuses(&head(100, u64::MAX), &ProtocolError::Block);
    let short = packet(HEAD, 0, &fragment_body(7, 0, 100, b"seven b"));
    hostile.refuses(&short, &ProtocolError::Block);
    hostile.write(&fragment(7, 0, 100, b"ab"), &[]);
    let late = packet(HEAD, 0, &fragment_body(7, 2, 100, &10_u64.to_le_bytes()));
    hostile.refuses(&late, &ProtocolError::Block);
}

#[test]
fn a_block_of_any_claimed_length_allocates_nothing_to_speak_of() {
    let hostile = Hostile::new();
    let most = most_allocated(|| {
        hostile.write(&head((32 << 20) + 8, 32 << 20), &[]);
        hostile.write(&fragment(7, 8, (32 << 20) + 8, b"x"), &[]);
        assert!(hostile.receiver.try_recv().unwrap().is_none());
    });
    assert!(most < 1 << 20, "{most} bytes");
}

/// What a typed receiver makes of a block of three bytes and what is behind it.
fn with_block<T: serde::de::DeserializeOwned>(block: u64, behind: &[u8]) -> Result<T, RecvError> {
    let Hostile { sender, receiver } = Hostile::new();
    let total = 8 + behind.len() as u32;
    crate::packets::write(&sender, &head(total, block), &[]);
    crate::packets::write(&sender, &fragment(7, 8, total, behind), &[]);
    Receiver::<T>::from(receiver).recv()
}

#[test]
fn a_block_is_a_byte_string_and_what_is_behind_it_is_read_on() {
    let (bytes, number): (Vec<u8>, u16) = with_block(3, b"abc\x07\0").unwrap();
    assert_eq!((bytes.as_slice(), number), (&b"abc"[..], 7));
    let (bytes, more): (Vec<u8>, Vec<u8>) = with_block(3, b"abc\x02\0\0\0\0\0\0\0de").unwrap();
    assert_eq!((bytes.as_slice(), more.as_slice()), (&b"abc"[..], &b"de"[..]));
    // Elements one by one do not mind where they lie.
    assert_eq!(with_block::<std::collections::VecDeque<u8>>(3, b"abc").unwrap(), *b"abc");
    assert_eq!(with_block::<(Vec<u8>, u8)>(3, b"abcd").unwrap(), (b"abc".to_vec(), b'd'));
}

#[test]
fn a_block_where_none_can_be_is_an_error_of_that_message() {
    let end = |found: Result<_, RecvError>| matches!(found, Err(RecvError::Decode(DecodeError::End)));
    assert!(end(with_block::<String>(3, b"abc").map(drop)));
    // The promised block is one byte shorter than the value's.
    assert!(end(with_block::<Vec<u16>>(3, b"abc").map(drop)));
    assert!(matches!(
        with_block::<Vec<u8>>(2, b"abc"),
        Err(RecvError::Decode(DecodeError::Trailing { count: 1 }))
    ));
}
