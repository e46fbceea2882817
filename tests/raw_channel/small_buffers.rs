//! Sockets whose buffers are smaller than a packet: the kernel answers EMSGSIZE, or has room for one packet at a time.

use std::fs::File;
use std::os::fd::AsFd;
use std::thread;

use nix::sys::socket::{getsockopt, setsockopt, sockopt};
use unix_ipc::{RawReceiver, RawSender, raw_channel};

use crate::text;
use crate::util::Watchdog;

/// A channel with the smallest buffer that the kernel allows: about 4 KiB.
fn narrow() -> (RawSender, RawReceiver) {
    let (sender, receiver) = raw_channel().unwrap();
    setsockopt(&sender, sockopt::SndBuf, &1).unwrap();
    assert!(getsockopt(&sender, sockopt::SndBuf).unwrap() < 8 << 10);
    (sender, receiver)
}

#[test]
fn p27_messages_longer_than_the_buffer_arrive_whole_with_their_descriptors() {
    let _watchdog = Watchdog::new();
    let (sender, receiver) = narrow();
    let null = File::open("/dev/null").unwrap();
    let lengths = [1000, 4000, 5000, 20_000, 65_520, 65_521, 1 << 20];
    thread::scope(|scope| {
        scope.spawn(|| {
            for length in lengths {
                sender.send(&text(length, 1), &[null.as_fd(); 3]).unwrap();
            }
        });
        for length in lengths {
            let (bytes, descriptors) = receiver.recv().unwrap();
            assert!(bytes == text(length, 1) && descriptors.len() == 3, "{length} bytes");
        }
    });
}

#[test]
fn p26_p27_threads_with_one_sender_do_not_tear_short_messages_that_need_several_packets() {
    let _watchdog = Watchdog::new();
    let (sender, receiver) = narrow();
    let sender = &sender;
    thread::scope(|scope| {
        for who in 0..4 {
            scope.spawn(move || (0..20).for_each(|_| sender.send(&text(30_000, who), &[]).unwrap()));
        }
        let mut counts = [0; 4];
        for _ in 0..80 {
            let (bytes, _) = receiver.recv().unwrap();
            let who = (0..4).find(|who| bytes == text(30_000, *who)).expect("the message is whole");
            counts[usize::from(who)] += 1;
        }
        assert_eq!(counts, [20; 4]);
    });
}

#[test]
fn p27_try_send_of_what_does_not_fit_the_buffer_is_whole_or_not_at_all() {
    let (sender, receiver) = narrow();
    let null = File::open("/dev/null").unwrap();
    for length in [5000, 20_000, 65_520, 65_521] {
        sender.try_send(&text(length, 1), &[null.as_fd()]).unwrap();
        let (bytes, descriptors) = receiver.try_recv().unwrap().expect("it is there whole");
        assert!(bytes == text(length, 1) && descriptors.len() == 1);
    }
}

#[test]
fn p25_a_full_buffer_is_full_and_then_has_room_again() {
    let (sender, receiver) = narrow();
    for _ in 0..3 {
        let count = (0..1000).find(|_| sender.try_send(&text(1000, 1), &[]).is_err()).unwrap();
        assert!(count > 0);
        assert!(sender.try_send(&text(20_000, 1), &[]).unwrap_err().is_full());
        for _ in 0..count {
            assert!(receiver.try_recv().unwrap().unwrap().0 == text(1000, 1));
        }
        assert!(receiver.try_recv().unwrap().is_none());
    }
}
