//! What is refused, and that it costs nothing else.

use std::fs::File;
use std::os::fd::AsFd;
use std::thread;

use unix_ipc::{LimitExceeded, Limits, RecvError, SendError, raw_channel};

use crate::text;
use crate::util::{Watchdog, alone};

#[test]
fn a_message_of_64_mib_is_sent_and_one_byte_more_is_refused_with_the_number() {
    let _watchdog = Watchdog::new();
    let (sender, receiver) = raw_channel().unwrap();
    let limit = Limits::default().message_bytes;
    assert_eq!(limit, 64 << 20);
    let bytes = vec![9; limit + 1];
    for result in [sender.send(&bytes, &[]), sender.try_send(&bytes, &[])] {
        let refusal = LimitExceeded::MessageBytes { actual: limit as u64 + 1, limit: limit as u64 };
        assert!(matches!(result, Err(SendError::Refused { source, .. }) if source == refusal));
    }
    thread::scope(|scope| {
        scope.spawn(|| sender.send(&bytes[1..], &[]).unwrap());
        assert!(receiver.recv().unwrap().0 == bytes[1..], "nothing of the refused ones came before it");
    });
}

#[test]
fn p34_a_limit_of_more_than_32_bits_is_one_of_32_bits() {
    let (sender, _receiver) = raw_channel().unwrap();
    let mut limits = Limits::default();
    limits.message_bytes = usize::MAX;
    let sender = sender.with_limits(limits);
    // Pages that nobody touches: the length alone is looked at.
    let bytes = vec![0; (4 << 30) + 1];
    let actual = bytes.len() as u64;
    let refusal = LimitExceeded::MessageBytes { actual, limit: u32::MAX.into() };
    let result = sender.send(&bytes, &[]);
    assert!(matches!(result, Err(SendError::Refused { source, .. }) if source == refusal));
}

#[test]
fn both_ends_can_have_other_limits() {
    let (sender, receiver) = raw_channel().unwrap();
    let mut limits = Limits::default();
    (limits.message_bytes, limits.descriptors) = (100, 1);
    let sender = sender.with_limits(limits);
    let null = File::open("/dev/null").unwrap();
    let refusal = LimitExceeded::MessageBytes { actual: 101, limit: 100 };
    let result = sender.send(&[0; 101], &[]);
    assert!(matches!(result, Err(SendError::Refused { source, .. }) if source == refusal));
    let refusal = LimitExceeded::Descriptors { actual: 2, limit: 1 };
    let result = sender.send(&[0; 100], &[null.as_fd(), null.as_fd()]);
    assert!(matches!(result, Err(SendError::Refused { source, .. }) if source == refusal));
    sender.send(&[0; 100], &[null.as_fd()]).unwrap();

    limits.message_bytes = 99;
    let receiver = receiver.with_limits(limits);
    let refusal = LimitExceeded::MessageBytes { actual: 100, limit: 99 };
    assert!(matches!(receiver.recv(), Err(RecvError::Refused(source)) if source == refusal));
    sender.send(&[0; 99], &[]).unwrap();
    assert_eq!(receiver.recv().unwrap().0, [0; 99]);
}

#[test]
fn a_long_message_above_the_receivers_limit_is_refused_once_and_passed_over() {
    let _watchdog = Watchdog::new();
    let (sender, receiver) = raw_channel().unwrap();
    let mut limits = Limits::default();
    limits.message_bytes = 1 << 20;
    let receiver = receiver.with_limits(limits);
    thread::scope(|scope| {
        scope.spawn(|| {
            sender.send(&text(10 << 20, 1), &[File::open("/dev/null").unwrap().as_fd()]).unwrap();
            sender.send(&text(1 << 20, 2), &[]).unwrap();
        });
        let refusal = LimitExceeded::MessageBytes { actual: 10 << 20, limit: 1 << 20 };
        assert!(matches!(receiver.recv(), Err(RecvError::Refused(source)) if source == refusal));
        assert!(receiver.recv().unwrap().0 == text(1 << 20, 2));
    });
}

#[test]
fn p08_p09_253_descriptors_are_sent_and_more_are_refused_with_the_number() {
    if !alone() {
        return;
    }
    let _watchdog = Watchdog::new();
    let (sender, receiver) = raw_channel().unwrap();
    let null = File::open("/dev/null").unwrap();
    for count in [64, 65, 253] {
        sender.send(b"many", &vec![null.as_fd(); count]).unwrap();
        assert_eq!(receiver.recv().unwrap().1.len(), count);
    }
    for count in [254, 1000] {
        let refusal = LimitExceeded::Descriptors { actual: count as u64, limit: 253 };
        for result in
            [sender.send(b"", &vec![null.as_fd(); count]), sender.try_send(b"", &vec![null.as_fd(); count])]
        {
            assert!(matches!(result, Err(SendError::Refused { source, .. }) if source == refusal));
        }
        sender.send(b"next", &[]).unwrap();
        assert_eq!(receiver.recv().unwrap().0, b"next");
    }
}

#[test]
fn p08_253_descriptors_beside_a_memory_file_are_refused_with_the_number() {
    let (sender, receiver) = raw_channel().unwrap();
    let null = File::open("/dev/null").unwrap();
    let long = text(100_000, 1);
    let result = sender.try_send(&long, &vec![null.as_fd(); 253]);
    let refusal = LimitExceeded::Descriptors { actual: 254, limit: 253 };
    assert!(matches!(&result, Err(SendError::Refused { source, .. }) if *source == refusal), "{result:?}");
    sender.try_send(&long, &vec![null.as_fd(); 252]).unwrap();
    let (bytes, descriptors) = receiver.recv().unwrap();
    assert!(bytes == long && descriptors.len() == 252);
}
