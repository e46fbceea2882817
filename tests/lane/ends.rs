//! Receivers and senders that go in the midst of a stream, of themselves or killed, and receivers that do not read.

use std::io::Read;
use std::thread;

use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use unix_ipc::{Receiver, RecvError, SendError, Sender, channel};

use crate::util::{Watchdog, alone, wait_until};
use crate::values::{HOT, Value, assert_left, hot_channel, random};
use crate::yard::{Order, serve_in_child, stranger, yard};

/// The most that is sent to a receiver that is gone before its sender is told: what goes into a lane without a bell.
const MOST_UNNOTICED: usize = 129;

/// Sends to a receiver that is gone until that is said, and holds that it is said from then on, with the value given back.
fn assert_disconnected(sender: &Sender<Value>) {
    let unnoticed = (0..1000).position(|_| match sender.send(Value::of(7, 10, false)) {
        Ok(()) => false,
        Err(SendError::Disconnected(value)) => {
            value.assert_is(7, 10, false);
            true
        }
        Err(other) => panic!("{other:?}"),
    });
    assert!(unnoticed.is_some_and(|unnoticed| unnoticed <= MOST_UNNOTICED), "{unnoticed:?}");
    for number in 0..100_u64 {
        let has_file = number > 60;
        let value = Value::of(number, 0, has_file);
        let sent = if number.is_multiple_of(3) { sender.try_send(value) } else { sender.send(value) };
        let Err(SendError::Disconnected(value)) = sent else { panic!("{sent:?}") };
        value.assert_is(number, 0, has_file);
    }
}

#[test]
fn p06_a_sender_learns_at_once_that_the_receiver_was_dropped_and_has_its_handle_back() {
    // Where other tests start processes, those have the receiver's descriptor for a moment.
    if !alone() {
        return;
    }
    for left in [0, 1, 50] {
        for has_file in [false, true] {
            let (sender, receiver) = hot_channel();
            (0..left).for_each(|number| sender.send(Value::small(number)).unwrap());
            drop(receiver);
            let sent = sender.send(Value::of(9, 5, has_file));
            let Err(SendError::Disconnected(value)) = sent else { panic!("{sent:?}") };
            value.assert_is(9, 5, has_file);
            assert_disconnected(&sender);
        }
    }
}

#[test]
fn a_receiver_that_is_dropped_while_a_thread_sends_ends_that_stream() {
    let _watchdog = Watchdog::new();
    for seed in 1..=100 {
        let (sender, receiver) = channel().unwrap();
        let sending =
            thread::spawn(move || (0..).find_map(|number| sender.send(Value::small(number)).err()).unwrap());
        let mut state = seed;
        let most = HOT + random(&mut state) % 500;
        (0..most).for_each(|number| receiver.recv().unwrap().assert_is(number, 0, false));
        drop(receiver);
        assert!(sending.join().unwrap().is_disconnected());
    }
}

#[test]
fn a_sender_whose_receivers_process_was_killed_is_told_so_and_never_again_otherwise() {
    if serve_in_child() || !alone() {
        return;
    }
    let _watchdog = Watchdog::new();
    for seed in 1..=50_u64 {
        let (orders, mut child) = stranger();
        let (sender, receiver) = channel().unwrap();
        let (answers, answered) = channel().unwrap();
        orders.send(Order::Listen(receiver, answers)).unwrap();
        for number in 0..HOT + 2 {
            sender.send(Value::small(number)).unwrap();
            assert_eq!(answered.recv().unwrap(), number);
        }
        let mut state = seed.wrapping_mul(0x9E37_79B9_7F4A_7C15);
        if seed.is_multiple_of(2) {
            // It sleeps, and the next value would ring for it.
            assert!(wait_until(std::time::Duration::from_secs(20), || sleeps(child.id())));
        } else {
            (0..random(&mut state) % 200).for_each(|number| {
                sender.send(Value::of(number, 0, random(&mut state).is_multiple_of(9))).unwrap();
            });
        }
        child.kill().unwrap();
        child.wait().unwrap();
        assert_disconnected(&sender);
    }
}

/// Whether the only thread of a process that may receive is not running.
fn sleeps(pid: u32) -> bool {
    let states = std::fs::read_dir(format!("/proc/{pid}/task")).unwrap().flatten().map(|task| {
        let stat = std::fs::read_to_string(task.path().join("stat")).unwrap_or_default();
        stat.rsplit_once(')').is_some_and(|(_, rest)| rest.trim_start().starts_with('S'))
    });
    states.into_iter().all(|sleeps| sleeps)
}

#[test]
fn p30_everything_that_a_killed_process_had_sent_is_received_before_the_end() {
    if serve_in_child() {
        return;
    }
    let _watchdog = Watchdog::new();
    for count in (0..50).map(|round| 100 + round * 3) {
        let yard = yard();
        let pid = Pid::from_raw(i32::try_from(yard.process().unwrap()).unwrap());
        let (sender, receiver) = channel().unwrap();
        let sending = yard.begin_send_few(sender, count).unwrap();
        // One is received at a time until the lane is there; what follows is left for later.
        let next = HOT.min(count);
        (0..next).for_each(|number| receiver.recv().unwrap().assert_is(number, 0, number.is_multiple_of(10)));
        sending.wait().unwrap();
        kill(pid, Signal::SIGKILL).unwrap();
        for number in next..count {
            receiver.recv().unwrap().assert_is(number, 0, number.is_multiple_of(10));
        }
        assert!(matches!(receiver.recv(), Err(RecvError::Disconnected)));
    }
}

#[test]
fn a_stream_of_a_process_that_is_killed_at_any_moment_ends_without_a_gap() {
    if serve_in_child() {
        return;
    }
    let _watchdog = Watchdog::new();
    for seed in 1..=50_u64 {
        let yard = yard();
        let pid = Pid::from_raw(i32::try_from(yard.process().unwrap()).unwrap());
        let (sender, receiver) = channel().unwrap();
        let flood = yard.begin_flood(sender).unwrap();
        let mut state = seed.wrapping_mul(0x9E37_79B9_7F4A_7C15);
        let most = random(&mut state) % 1000;
        (0..most).for_each(|number| assert_eq!(receiver.recv().unwrap().number, number));
        kill(pid, Signal::SIGKILL).unwrap();
        for (next, value) in (most..).zip(&receiver) {
            assert_eq!(value.unwrap().number, next);
        }
        assert!(flood.wait().is_err());
    }
}

fn read_all(receiver: &Receiver<Value>, count: u64) {
    for number in 0..count {
        let value = receiver.recv().unwrap();
        assert_eq!(value.number, number);
        if let Some(file) = value.file {
            assert_eq!(file.into_inner().read(&mut [0; 8]).unwrap(), 8);
        }
    }
}

#[test]
fn who_does_not_read_holds_the_sender_up_and_misses_nothing() {
    let _watchdog = Watchdog::new();
    for (len, has_file) in [(0, false), (1000, false), (15_000, false), (20_000, false), (0, true)] {
        let (sender, receiver) = hot_channel();
        let is_full = |number: &u64| match sender.try_send(Value::of(*number, len, has_file)) {
            Ok(()) => false,
            Err(SendError::Full(value)) => {
                value.assert_is(*number, len, has_file);
                true
            }
            Err(SendError::Refused { value, .. }) => {
                // There are too many files on their way.
                value.assert_is(*number, len, has_file);
                true
            }
            Err(other) => panic!("{other:?}"),
        };
        let full = (0..100_000).find(is_full).expect("the lane and the socket are full some time");
        let sending = thread::spawn(move || {
            (full..full + 500).for_each(|number| sender.send(Value::of(number, len, false)).unwrap());
        });
        read_all(&receiver, full + 500);
        sending.join().unwrap();
        assert!(matches!(receiver.recv(), Err(RecvError::Disconnected)));
    }
}

#[test]
fn what_did_not_fit_is_not_there_and_the_rest_is_in_order() {
    let (sender, receiver) = hot_channel();
    let mut sent = Vec::new();
    let mut state = 1;
    for number in 0..20_000 {
        let len = if random(&mut state).is_multiple_of(50) { 20_000 } else { 64 };
        if sender.try_send(Value::of(number, len, false)).is_ok() {
            sent.push((number, len, false));
        }
        if random(&mut state).is_multiple_of(3) && !sent.is_empty() {
            let (number, len, has_file) = sent.remove(0);
            receiver.try_recv().unwrap().unwrap().assert_is(number, len, has_file);
        }
    }
    assert_left(&receiver, &sent);
}
