//! Threads that share a receiver: each value comes to one of them, and nobody sleeps beside a value.

use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex};
use std::thread::{self, Scope, ScopedJoinHandle};
use std::time::Duration;

use unix_ipc::{Receiver, RecvError, Sender, channel};

use crate::util::{Watchdog, wait_until};
use crate::values::{HOT, Value, random, warm};
use crate::yard::{serve_in_child, yard};

const THREADS: usize = 5;

/// Receives in one of the ways, until all senders are gone.
fn receive_all(how: usize, values: &Receiver<Value>, received: &AtomicU64) -> Vec<u64> {
    let mut numbers = Vec::new();
    loop {
        let value = match how % 3 {
            0 => values.recv(),
            1 => values.recv_timeout(Duration::from_micros(50)),
            _ => match values.try_recv() {
                Ok(None) => Err(RecvError::Timeout),
                other => other.map(Option::unwrap),
            },
        };
        match value {
            Ok(value) => numbers.push(value.number),
            Err(RecvError::Timeout) => {
                thread::yield_now();
                continue;
            }
            Err(RecvError::Disconnected) => return numbers,
            Err(other) => panic!("{other:?}"),
        }
        received.fetch_add(1, Ordering::Relaxed);
    }
}

/// Sends in bursts, and waits after each until all is received.
fn send_in_bursts(sender: &Sender<Value>, seed: u64, bursts: u64, received: &AtomicU64) -> u64 {
    let (mut state, mut sent) = (seed, 0);
    for _ in 0..bursts {
        for _ in 0..1 + random(&mut state) % 40 {
            let (len, has_file) = match random(&mut state) % 12 {
                0 => (20_000, false),
                1 => (0, true),
                _ => (0, false),
            };
            sender.send(Value::of(sent, len, has_file)).unwrap();
            sent += 1;
        }
        assert!(
            wait_until(Duration::from_secs(30), || received.load(Ordering::Relaxed) == sent),
            "{sent} were sent and {} received",
            received.load(Ordering::Relaxed)
        );
    }
    sent
}

/// Threads that receive in all ways, until the stream ends.
fn start_receiving<'scope>(
    scope: &'scope Scope<'scope, '_>,
    receiver: &'scope Receiver<Value>,
    received: &'scope AtomicU64,
) -> Vec<ScopedJoinHandle<'scope, Vec<u64>>> {
    (0..THREADS).map(|how| scope.spawn(move || receive_all(how, receiver, received))).collect()
}

#[test]
fn every_value_comes_to_one_thread_and_all_come_between_bursts() {
    let _watchdog = Watchdog::new();
    for seed in 1..=10 {
        let (sender, receiver) = channel().unwrap();
        let received = AtomicU64::new(0);
        let (sent, mut numbers) = thread::scope(|scope| {
            let threads = start_receiving(scope, &receiver, &received);
            let sent = send_in_bursts(&sender, seed, 100, &received);
            drop(sender);
            let numbers: Vec<u64> = threads.into_iter().flat_map(|thread| thread.join().unwrap()).collect();
            (sent, numbers)
        });
        numbers.sort_unstable();
        assert!(numbers.iter().copied().eq(0..sent));
    }
}

#[test]
fn threads_of_which_each_wants_one_value_each_get_one() {
    let _watchdog = Watchdog::new();
    let (sender, receiver) = channel().unwrap();
    warm(&sender, &receiver);
    let receiver = Arc::new(Mutex::new(Some(Arc::new(receiver))));
    for round in 0..400 {
        let shared = receiver.lock().unwrap().clone().unwrap();
        let threads: Vec<_> = (0..THREADS)
            .map(|_| {
                let receiver = Arc::clone(&shared);
                thread::spawn(move || receiver.recv().unwrap().number)
            })
            .collect();
        for number in 0..THREADS as u64 {
            // Around the lane and through it.
            sender.send(Value::of(number, 0, (number + round).is_multiple_of(4))).unwrap();
        }
        let mut numbers: Vec<_> = threads.into_iter().map(|thread| thread.join().unwrap()).collect();
        numbers.sort_unstable();
        assert_eq!(numbers, [0, 1, 2, 3, 4], "in round {round}");
    }
}

#[test]
fn threads_share_the_stream_of_a_child() {
    if serve_in_child() {
        return;
    }
    let _watchdog = Watchdog::new();
    let yard = yard();
    for _ in 0..5 {
        let (sender, receiver) = channel().unwrap();
        let sending = yard.begin_send_as(0, sender, 3000).unwrap();
        // One thread alone lets the lane come into being.
        let mut numbers: Vec<_> =
            receiver.iter().take(HOT as usize + 10).map(|value| value.unwrap().number).collect();
        let received = AtomicU64::new(0);
        thread::scope(|scope| {
            let threads = start_receiving(scope, &receiver, &received);
            numbers.extend(threads.into_iter().flat_map(|thread| thread.join().unwrap()));
        });
        numbers.sort_unstable();
        assert!(numbers.iter().copied().eq(0..3000));
        sending.wait().unwrap();
    }
}
