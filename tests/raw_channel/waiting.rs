//! What waits, for how long, and what never does.

use std::os::fd::AsFd;
use std::thread;
use std::time::{Duration, Instant};

use nix::fcntl::{FcntlArg, OFlag, fcntl};
use unix_ipc::{RawReceiver, RawSender, RecvError, SendError, raw_channel};

use crate::util::Watchdog;
use crate::{inherited_receiver, role, start, text};

#[test]
fn try_recv_finds_nothing_then_the_message_then_nothing() {
    let (sender, receiver) = raw_channel().unwrap();
    assert!(receiver.try_recv().unwrap().is_none());
    sender.send(b"there", &[]).unwrap();
    assert_eq!(receiver.try_recv().unwrap().unwrap().0, b"there");
    assert!(receiver.try_recv().unwrap().is_none());
    drop(sender);
    assert!(matches!(receiver.try_recv(), Err(RecvError::Disconnected)));
}

#[test]
fn recv_timeout_gives_up_and_loses_nothing() {
    let _watchdog = Watchdog::new();
    let (sender, receiver) = raw_channel().unwrap();
    let start = Instant::now();
    assert!(matches!(receiver.recv_timeout(Duration::from_millis(20)), Err(RecvError::Timeout)));
    assert!(start.elapsed() >= Duration::from_millis(20));
    assert!(matches!(receiver.recv_timeout(Duration::ZERO), Err(RecvError::Timeout)));
    sender.send(b"late", &[]).unwrap();
    assert_eq!(receiver.recv_timeout(Duration::ZERO).unwrap().0, b"late");
    sender.send(b"ever", &[]).unwrap();
    assert_eq!(receiver.recv_timeout(Duration::MAX).unwrap().0, b"ever");
}

#[test]
fn p21_recv_timeout_in_the_middle_of_a_message_keeps_what_came() {
    let _watchdog = Watchdog::new();
    let (sender, receiver) = raw_channel().unwrap();
    thread::scope(|scope| {
        scope.spawn(|| sender.send(&text(33 << 20, 1), &[]).unwrap());
        let mut timeouts = 0;
        let bytes = loop {
            match receiver.recv_timeout(Duration::ZERO) {
                Ok((bytes, _)) => break bytes,
                Err(RecvError::Timeout) => timeouts += 1,
                Err(error) => panic!("{error}"),
            }
        };
        assert!(timeouts > 0 && bytes == text(33 << 20, 1));
    });
}

/// Fills the socket's buffer and says how many messages that took.
fn fill(sender: &RawSender) -> usize {
    let full = |count: &usize| match sender.try_send(&text(1000, *count as u8), &[]) {
        Ok(()) => false,
        Err(error) if error.is_full() => true,
        Err(error) => panic!("{error}"),
    };
    (0..1_000_000).find(full).unwrap()
}

fn drain(receiver: &RawReceiver, count: usize) {
    for number in 0..count {
        assert!(receiver.recv().unwrap().0 == text(1000, number as u8));
    }
}

#[test]
fn p29_try_send_says_full_where_send_would_wait_for_this_very_thread() {
    let _watchdog = Watchdog::new();
    let (sender, receiver) = raw_channel().unwrap();
    for _ in 0..3 {
        let count = fill(&sender);
        assert!(count > 10);
        assert!(
            sender.try_send(&text(1 << 20, 0), &[]).unwrap_err().is_full(),
            "nor is there room for a long one"
        );
        drain(&receiver, count);
    }
    assert!(receiver.try_recv().unwrap().is_none());
}

#[test]
fn a_waiting_send_goes_on_when_there_is_room() {
    let _watchdog = Watchdog::new();
    let (sender, receiver) = raw_channel().unwrap();
    let count = fill(&sender);
    thread::scope(|scope| {
        scope.spawn(|| sender.send(b"waited", &[]).unwrap());
        drain(&receiver, count);
        assert_eq!(receiver.recv().unwrap().0, b"waited");
    });
}

#[test]
fn a_waiting_send_ends_when_the_receiver_goes() {
    let _watchdog = Watchdog::new();
    let (sender, receiver) = raw_channel().unwrap();
    fill(&sender);
    thread::scope(|scope| {
        let waiting = scope.spawn(|| sender.send(&text(1 << 20, 0), &[]));
        drop(receiver);
        assert!(matches!(waiting.join().unwrap(), Err(SendError::Disconnected(()))));
    });
}

#[test]
fn a_waiting_recv_ends_when_the_last_sender_goes() {
    let _watchdog = Watchdog::new();
    let (sender, receiver) = raw_channel().unwrap();
    thread::scope(|scope| {
        let waiting = scope.spawn(|| receiver.recv());
        drop(sender);
        assert!(matches!(waiting.join().unwrap(), Err(RecvError::Disconnected)));
    });
}

#[test]
fn two_threads_that_receive_share_the_messages() {
    let _watchdog = Watchdog::new();
    let (sender, receiver) = raw_channel().unwrap();
    let count = || std::iter::from_fn(|| receiver.recv().ok()).map(|(bytes, _)| bytes.len()).sum::<usize>();
    let total = thread::scope(|scope| {
        let counts = [scope.spawn(count), scope.spawn(count)];
        for length in [100, 200_000, 1, 70_000, 3] {
            sender.send(&text(length, 0), &[]).unwrap();
        }
        drop(sender);
        counts.map(|count| count.join().unwrap()).iter().sum::<usize>()
    });
    assert_eq!(total, 270_104);
}

fn flags(end: impl AsFd) -> OFlag {
    OFlag::from_bits_retain(fcntl(end.as_fd(), FcntlArg::F_GETFL).unwrap())
}

#[test]
fn p41_no_operation_touches_the_status_flags_that_processes_share() {
    let (sender, receiver) = raw_channel().unwrap();
    let before = (flags(&sender), flags(&receiver));
    let count = fill(&sender);
    drain(&receiver, count);
    assert!(receiver.try_recv().unwrap().is_none());
    assert!(matches!(receiver.recv_timeout(Duration::from_millis(1)), Err(RecvError::Timeout)));
    assert_eq!((flags(&sender), flags(&receiver)), before);
    assert!(!before.0.contains(OFlag::O_NONBLOCK) && !before.1.contains(OFlag::O_NONBLOCK));
}

#[test]
fn p41_another_processs_non_blocking_mode_does_not_make_recv_give_up() {
    if role().is_some() {
        let receiver = inherited_receiver();
        let flags = flags(&receiver) | OFlag::O_NONBLOCK;
        fcntl(&receiver, FcntlArg::F_SETFL(flags)).unwrap();
        return;
    }
    let _watchdog = Watchdog::new();
    let (sender, receiver) = raw_channel().unwrap();
    assert!(start("sets the mode", &receiver).wait().unwrap().success());
    assert!(flags(&receiver).contains(OFlag::O_NONBLOCK));
    assert!(matches!(receiver.recv_timeout(Duration::from_millis(20)), Err(RecvError::Timeout)));
    thread::scope(|scope| {
        let waiting = scope.spawn(|| receiver.recv());
        sender.send(b"came", &[]).unwrap();
        assert_eq!(waiting.join().unwrap().unwrap().0, b"came");
    });
}
