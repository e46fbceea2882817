//! Calls that were given up before they began are not begun.

use std::thread;
use std::time::Duration;

use unix_ipc::{CallError, Pending, Receiver, RecvError, Sender, channel};

use crate::service::{SlowClient, WAYS, is_child, spawn};
use crate::util::{Holdings, Watchdog, alone, wait_until};

/// What opens a handler's gate, and the thread whose call it is.
type Occupied = (Sender<()>, thread::JoinHandle<Result<(), CallError>>);

/// Has all threads of the server be in handlers, until the gates are dropped.
fn occupy(client: &SlowClient, way: &str) -> Vec<Occupied> {
    let workers = if way == "alone" { 1 } else { 2 };
    let (runs, running) = channel().expect("there is room for a socket");
    (0..workers)
        .map(|_| {
            let (gate, theirs): (Sender<()>, Receiver<()>) = channel().expect("there is room for a socket");
            let (client, runs) = (client.clone(), runs.clone());
            let held = thread::spawn(move || client.hold(runs, theirs));
            running.recv().expect("the handler runs");
            (gate, held)
        })
        .collect()
}

fn release(occupied: Vec<Occupied>) {
    for (gate, held) in occupied {
        drop(gate);
        held.join().expect("it only calls").expect("the gate is open");
    }
}

/// The server is told of each call before the gates open, so that it knows what is of no use.
fn begun_and_dropped(way: &str, is_busy: bool, count: u32) {
    let client = spawn(way, is_busy);
    let occupied = occupy(&client, way);
    let wanted = client.begin_mark(1).expect("the child lives");
    // More than fit into a ring, or a socket, would wait for the server to read.
    let dropped: Vec<_> =
        (0..count).map(|number| client.begin_mark(1000 + number).expect("the child lives")).collect();
    let also_wanted = client.begin_mark(2).expect("the child lives");
    client.note(3).expect("the child lives");
    drop(dropped);
    release(occupied);
    wanted.wait().expect("the child lives");
    also_wanted.wait().expect("the child lives");
    let is_noted = || {
        let mut marks = client.marks().expect("the child lives");
        marks.sort_unstable();
        marks == [1, 2, 3]
    };
    assert!(wait_until(Duration::from_secs(20), is_noted), "{way} {is_busy}: {:?}", client.marks());
}

#[test]
fn a_call_that_was_dropped_before_it_began_is_not_begun() {
    if is_child() {
        return;
    }
    let _watchdog = Watchdog::new();
    for is_busy in [false, true] {
        for count in [1, 50] {
            begun_and_dropped("alone", is_busy, count);
        }
    }
    // More than a socket holds while nobody reads.
    #[cfg(not(unix_ipc_without_rings))]
    begun_and_dropped("alone", true, 500);
}

#[test]
fn the_same_with_workers() {
    if is_child() {
        return;
    }
    let _watchdog = Watchdog::new();
    for is_busy in [false, true] {
        let client = spawn("workers", is_busy);
        let occupied = occupy(&client, "workers");
        let dropped: Vec<_> = (0..50).map(|number| client.begin_mark(number).unwrap()).collect();
        drop(dropped);
        let wanted = client.begin_mark(77).unwrap();
        release(occupied);
        wanted.wait().unwrap();
        assert_eq!(client.marks().unwrap(), [77], "{is_busy}");
    }
}

#[test]
fn a_call_whose_time_was_over_before_it_began_is_not_begun() {
    if is_child() {
        return;
    }
    let _watchdog = Watchdog::new();
    for way in WAYS {
        for is_busy in [false, true] {
            let client = spawn(way, is_busy);
            let occupied = occupy(&client, way);
            let hasty = client.with_timeout(Duration::from_millis(20));
            for number in 0..5 {
                let error = hasty.mark(number).unwrap_err();
                assert!(matches!(error, CallError::Timeout { method: "mark", .. }), "{error}");
            }
            let error = client.begin_mark(6).unwrap().wait_timeout(Duration::from_millis(1)).unwrap_err();
            assert!(matches!(error, CallError::Timeout { .. }), "{error}");
            release(occupied);
            client.with_timeout(Duration::from_secs(50)).mark(7).unwrap();
            assert_eq!(client.marks().unwrap(), [7], "{way} {is_busy}");
        }
    }
}

#[test]
fn long_calls_and_calls_with_descriptors_are_given_up_as_well() {
    if is_child() || !alone() {
        return;
    }
    let _watchdog = Watchdog::new();
    let without_child = Holdings::now();
    for is_busy in [false, true] {
        let client = spawn("alone", is_busy);
        let theirs = client.holdings().unwrap();
        let before = Holdings::now();
        let occupied = occupy(&client, "alone");
        let dropped: Vec<_> =
            (0..10).map(|number| client.begin_carry(number, vec![7; 3000]).unwrap()).collect();
        let (gate, receiver) = channel().unwrap();
        let (runs, never_runs) = channel().unwrap();
        let held = client.begin_hold(runs, receiver).unwrap();
        drop((dropped, held));
        let long = thread::scope(|scope| {
            // Longer than what the server's socket or ring holds: it is on its way when the server comes back.
            let long = scope.spawn(|| client.begin_carry(100, vec![8; 4 << 20]).map(Pending::wait));
            release(occupied);
            long.join().unwrap()
        });
        long.unwrap().unwrap();
        assert_eq!(client.marks().unwrap(), [100]);
        assert!(matches!(never_runs.recv(), Err(RecvError::Disconnected)));
        drop((gate, never_runs));
        assert_eq!(client.holdings().unwrap(), theirs);
        before.assert_restored();
        drop(client);
        without_child.assert_restored();
    }
}

#[test]
fn p55_a_thousand_calls_are_given_up_and_nothing_is_left_of_them() {
    if is_child() || !alone() {
        return;
    }
    let _watchdog = Watchdog::new();
    let without_child = Holdings::now();
    for way in WAYS {
        let client = spawn(way, true);
        client.mark(0).unwrap();
        let theirs = client.holdings().unwrap();
        let before = Holdings::now();
        for number in 0..1000 {
            drop(client.begin_carry(number, vec![1; 100]).unwrap());
        }
        client.mark(2000).unwrap();
        assert!(client.marks().unwrap().contains(&2000));
        assert_eq!(client.holdings().unwrap(), theirs);
        before.assert_restored();
        drop(client);
        without_child.assert_restored();
    }
}
