//! Messages of every length.

use std::fs::File;
use std::io::Read;
use std::os::fd::AsFd;
use std::thread;

use unix_ipc::{RecvError, raw_channel};

use crate::util::Watchdog;
use crate::{eventually, inherited_receiver, inherited_sender, role, start, text};

/// Around every place where something changes: nothing, one packet, two packets, the socket's buffer.
const LENGTHS: [usize; 16] = [
    0,
    1,
    15,
    16,
    17,
    4096,
    65_519,
    65_520,
    65_521,
    65_536,
    131_008,
    131_009,
    212_992,
    1 << 20,
    10_000_000,
    33 << 20,
];

#[test]
fn messages_of_every_length_arrive_whole_and_in_order() {
    let _watchdog = Watchdog::new();
    let (sender, receiver) = raw_channel().unwrap();
    thread::scope(|scope| {
        scope.spawn(move || {
            for (number, length) in (0..).zip(LENGTHS) {
                sender.send(&text(length, number), &[]).unwrap();
            }
        });
        for (number, length) in (0..).zip(LENGTHS) {
            let (bytes, descriptors) = receiver.recv().unwrap();
            assert_eq!(bytes.len(), length);
            assert!(bytes == text(length, number) && descriptors.is_empty());
        }
        assert!(matches!(receiver.recv(), Err(RecvError::Disconnected)));
    });
}

#[test]
fn messages_of_every_length_arrive_from_another_process() {
    if role().is_some() {
        let sender = inherited_sender();
        for (number, length) in (0..).zip(LENGTHS) {
            sender.send(&text(length, number), &[]).unwrap();
        }
        return;
    }
    let _watchdog = Watchdog::new();
    let (sender, receiver) = raw_channel().unwrap();
    let mut child = start("sends", &sender);
    drop(sender);
    for (number, length) in (0..).zip(LENGTHS) {
        assert!(receiver.recv().unwrap().0 == text(length, number), "{length} bytes");
    }
    assert!(matches!(receiver.recv(), Err(RecvError::Disconnected)));
    assert!(child.wait().unwrap().success());
}

#[test]
fn messages_of_every_length_arrive_in_another_process() {
    if role().is_some() {
        let receiver = inherited_receiver();
        for (number, length) in (0..).zip(LENGTHS) {
            assert!(receiver.recv().unwrap().0 == text(length, number), "{length} bytes");
        }
        return;
    }
    let _watchdog = Watchdog::new();
    let (sender, receiver) = raw_channel().unwrap();
    let mut child = start("receives", &receiver);
    drop(receiver);
    for (number, length) in (0..).zip(LENGTHS) {
        sender.send(&text(length, number), &[]).unwrap();
    }
    assert!(child.wait().unwrap().success());
}

#[test]
fn p35_empty_messages_are_messages() {
    let _watchdog = Watchdog::new();
    let (sender, receiver) = raw_channel().unwrap();
    let null = File::open("/dev/null").unwrap();
    sender.send(&[], &[]).unwrap();
    sender.send(&[], &[null.as_fd(), null.as_fd()]).unwrap();
    sender.try_send(&[], &[]).unwrap();
    drop(sender);
    let lengths: Vec<_> = (0..3)
        .map(|_| receiver.recv().unwrap())
        .map(|(bytes, descriptors)| (bytes.len(), descriptors.len()))
        .collect();
    assert_eq!(lengths, [(0, 0), (0, 2), (0, 0)]);
    assert!(matches!(receiver.recv(), Err(RecvError::Disconnected)));
}

#[test]
fn p15_p25_descriptors_arrive_with_the_long_message_they_were_sent_with() {
    let _watchdog = Watchdog::new();
    let (sender, receiver) = raw_channel().unwrap();
    thread::scope(|scope| {
        scope.spawn(move || {
            for number in 0..4u8 {
                let (mut reader, writer) = std::io::pipe().unwrap();
                sender.send(&text(2 << 20, number), &[writer.as_fd()]).unwrap();
                drop(writer);
                let mut tag = Vec::new();
                reader.read_to_end(&mut tag).unwrap();
                assert_eq!(tag, [number], "the receiver got this message's pipe");
            }
        });
        // A slow reader: each look finds only what fits the socket's buffer.
        for number in 0..4u8 {
            let mut received = None;
            eventually(|| {
                received = receiver.try_recv().unwrap();
                received.is_some()
            });
            let (bytes, descriptors) = received.unwrap();
            assert!(bytes == text(2 << 20, number));
            let [pipe]: [_; 1] = descriptors.try_into().unwrap();
            nix::unistd::write(&pipe, &[number]).unwrap();
        }
    });
}

#[test]
fn p14_descriptors_of_different_messages_do_not_merge() {
    let (sender, receiver) = raw_channel().unwrap();
    let null = File::open("/dev/null").unwrap();
    for count in [1, 0, 3, 2] {
        sender.send(b"", &vec![null.as_fd(); count]).unwrap();
    }
    let counts: Vec<_> = (0..4).map(|_| receiver.recv().unwrap().1.len()).collect();
    assert_eq!(counts, [1, 0, 3, 2]);
}

#[test]
fn p22_try_recv_of_half_a_message_finds_nothing_and_loses_nothing() {
    let _watchdog = Watchdog::new();
    let (sender, receiver) = raw_channel().unwrap();
    thread::scope(|scope| {
        scope.spawn(|| sender.send(&text(1 << 20, 1), &[]).unwrap());
        let mut looks = 0;
        let mut received = None;
        eventually(|| {
            looks += 1;
            received = receiver.try_recv().unwrap();
            received.is_some()
        });
        assert!(received.unwrap().0 == text(1 << 20, 1));
        assert!(looks > 1, "the message does not fit the socket's buffer");
    });
}

#[test]
fn try_send_of_a_long_message_is_whole_or_not_at_all() {
    let (sender, receiver) = raw_channel().unwrap();
    let null = File::open("/dev/null").unwrap();
    // One thread: nobody reads meanwhile.
    for length in [65_521, 1 << 20, 33 << 20] {
        sender.try_send(&text(length, 3), &[null.as_fd(), null.as_fd()]).unwrap();
    }
    for length in [65_521, 1 << 20, 33 << 20] {
        let (bytes, descriptors) = receiver.try_recv().unwrap().unwrap();
        assert!(bytes == text(length, 3));
        assert_eq!(descriptors.len(), 2);
    }
}

#[test]
fn p28_two_long_messages_cross_on_one_thread_by_try_send() {
    let (there, from_here) = raw_channel().unwrap();
    let (back, from_there) = raw_channel().unwrap();
    there.try_send(&text(10_000_000, 1), &[]).unwrap();
    back.try_send(&text(10_000_000, 2), &[]).unwrap();
    assert!(from_here.recv().unwrap().0 == text(10_000_000, 1));
    assert!(from_there.recv().unwrap().0 == text(10_000_000, 2));
}
