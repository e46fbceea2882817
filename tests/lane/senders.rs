//! Several senders of one channel: clones in threads, and those of other processes.

use std::thread;

use unix_ipc::{RecvError, Sender, channel};

use crate::util::Watchdog;
use crate::values::{Value, random, warm};
use crate::yard::{YardClient, serve_in_child, yard};

/// Who sends is in the highest bits of a number.
const WHO: u32 = 32;

/// Sends numbers of one sender, some of them around the lane.
pub(crate) fn send_as(who: u64, sender: &Sender<Value>, count: u64) {
    let mut state = who + 1;
    for number in 0..count {
        let (len, has_file) = match random(&mut state) % 30 {
            0 => (20_000, false),
            1 => (100, true),
            2 => (100_000, false),
            other => (other as usize, false),
        };
        sender.send(Value::of(who << WHO | number, len, has_file)).unwrap();
    }
}

/// Receives until all senders are gone: how many came of each, whose order is checked.
fn receive_of_each(senders: usize, values: impl IntoIterator<Item = Result<Value, RecvError>>) -> Vec<u64> {
    let mut next = vec![0; senders];
    for value in values {
        let value = value.unwrap();
        let (who, number) = ((value.number >> WHO) as usize, value.number & u64::from(u32::MAX));
        assert_eq!(number, next[who], "the order of sender {who}");
        next[who] += 1;
        let (number, len, has_file) = (value.number, value.bytes.len(), value.file.is_some());
        value.assert_is(number, len, has_file);
    }
    next
}

#[test]
fn p26_clones_in_threads_keep_the_order_of_each() {
    let _watchdog = Watchdog::new();
    for _ in 0..3 {
        let (sender, receiver) = channel().unwrap();
        let senders: Vec<_> = (0..4)
            .map(|who| {
                let sender = sender.clone();
                thread::spawn(move || send_as(who, &sender, 1500))
            })
            .collect();
        drop(sender);
        assert_eq!(receive_of_each(4, receiver), [1500; 4]);
        senders.into_iter().for_each(|sender| sender.join().unwrap());
    }
}

#[test]
fn a_process_that_joins_late_is_heard_and_loses_nothing() {
    if serve_in_child() {
        return;
    }
    let _watchdog = Watchdog::new();
    let yard = yard();
    for joins_after in [0, 100, 130, 131, 150, 500, 1000] {
        let (sender, receiver) = channel().unwrap();
        // The child's sender gets a lane, ours was sent on and has none.
        let sending = yard.begin_send_as(0, sender.clone(), 2000).unwrap();
        let mut values = receiver.iter();
        let first: Vec<_> = values.by_ref().take(joins_after).collect();
        let joining = thread::spawn(move || send_as(1, &sender, 500));
        assert_eq!(receive_of_each(2, first.into_iter().chain(values)), [2000, 500]);
        joining.join().unwrap();
        sending.wait().unwrap();
    }
}

#[test]
fn processes_that_are_all_busy_share_a_receiver_of_which_one_has_the_lane() {
    if serve_in_child() {
        return;
    }
    let _watchdog = Watchdog::new();
    let yards: Vec<YardClient> = (0..3).map(|_| yard()).collect();
    for _ in 0..3 {
        let (sender, receiver) = channel().unwrap();
        let sending: Vec<_> = (0..)
            .zip(&yards)
            .map(|(who, yard)| yard.begin_send_as(who, sender.clone(), 1500).unwrap())
            .collect();
        drop(sender);
        assert_eq!(receive_of_each(3, receiver), [1500; 3]);
        sending.into_iter().for_each(|sending| sending.wait().unwrap());
    }
}

#[test]
fn what_another_process_sent_is_received_beside_a_lane_that_is_never_empty() {
    if serve_in_child() {
        return;
    }
    let _watchdog = Watchdog::new();
    let yard = yard();
    let (sender, receiver) = channel().unwrap();
    let (others, other_receiver) = channel().unwrap();
    others.send(sender.clone()).unwrap();
    let other: Sender<Value> = other_receiver.recv().unwrap();
    drop(sender);
    // Neither of the two in this process has a lane, for both were sent on; the child's has.
    let flood = yard.begin_flood(other.clone()).unwrap();
    for number in 0..1000 {
        assert_eq!(receiver.recv().unwrap().number, number);
    }
    // The socket may be full of the child's values: another thread waits for room in it.
    let sending = thread::spawn(move || other.send(Value::small(u64::MAX)).unwrap());
    assert!(receiver.iter().any(|value| value.unwrap().number == u64::MAX));
    sending.join().unwrap();
    drop(receiver);
    flood.wait().unwrap();
}

#[test]
fn a_channel_between_threads_gets_a_lane_again_after_each_is_warm() {
    let (sender, receiver) = channel().unwrap();
    for _ in 0..20 {
        warm(&sender, &receiver);
    }
}
