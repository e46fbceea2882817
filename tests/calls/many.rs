//! One client, used by everybody at once.

use std::sync::atomic::{AtomicU64, Ordering};
use std::thread;

use unix_ipc::{CallError, Connection, channel, test_command};

use crate::util::{Holdings, Watchdog, alone, wait_until};
use crate::worker::{Diligent, WorkerClient, WorkerServer, serve};

#[test]
fn p26_threads_share_one_client_and_each_has_its_own_reply() {
    if let Some(connection) = Connection::inherited().unwrap() {
        return serve(connection).unwrap();
    }
    let _watchdog = Watchdog::new();
    let client = WorkerClient::spawn(test_command()).unwrap();
    thread::scope(|scope| {
        for thread in 0..8u64 {
            let client = client.clone();
            scope.spawn(move || {
                for number in (0..400).map(|number| thread << 32 | number) {
                    assert_eq!(client.double(number).unwrap(), 2 * number);
                    if number % 40 == 0 {
                        let bytes = vec![thread as u8; 100_000 + number as u32 as usize];
                        assert!(client.echo(bytes.clone()).unwrap() == bytes);
                    }
                }
            });
        }
    });
}

#[test]
fn begun_calls_are_waited_for_in_any_order_and_by_other_threads() {
    if let Some(connection) = Connection::inherited().unwrap() {
        return serve(connection).unwrap();
    }
    let _watchdog = Watchdog::new();
    let client = WorkerClient::spawn(test_command()).unwrap();
    let mut pending: Vec<_> =
        (0..1000).map(|number| (number, client.begin_double(number).unwrap())).collect();
    // Every other from the back, then the rest in four threads.
    let (odd, even): (Vec<_>, Vec<_>) = pending.drain(..).rev().partition(|(number, _)| number % 2 == 1);
    for (number, call) in odd {
        assert_eq!(call.wait().unwrap(), 2 * number);
    }
    let mut shares: Vec<Vec<_>> = (0..4).map(|_| Vec::new()).collect();
    even.into_iter().enumerate().for_each(|(index, call)| shares[index % 4].push(call));
    thread::scope(|scope| {
        for share in shares {
            scope.spawn(move || {
                for (number, call) in share {
                    assert_eq!(call.wait().unwrap(), 2 * number);
                }
            });
        }
    });
}

#[test]
fn is_ready_says_when_waiting_returns_at_once() {
    if let Some(connection) = Connection::inherited().unwrap() {
        return serve(connection).unwrap();
    }
    let _watchdog = Watchdog::new();
    let client = WorkerClient::spawn(test_command()).unwrap();
    let (gate, theirs) = channel().unwrap();
    let call = client.begin_wait(theirs).unwrap();
    let behind = client.begin_double(4).unwrap();
    assert!(!call.is_ready() && !behind.is_ready());
    drop(gate);
    assert!(wait_until(std::time::Duration::from_secs(20), || call.is_ready() && behind.is_ready()));
    assert_eq!((behind.wait().unwrap(), call.wait().unwrap()), (8, 7));
}

#[test]
fn a_dropped_pending_gives_the_reply_up_and_closes_what_it_carries() {
    if let Some(connection) = Connection::inherited().unwrap() {
        return crate::both_ways::serve_files(connection).unwrap();
    }
    if !alone() {
        return;
    }
    let _watchdog = Watchdog::new();
    let client = crate::both_ways::FilesClient::spawn(test_command()).unwrap();
    drop(client.open().unwrap());
    let before = Holdings::now();
    for _ in 0..500 {
        drop(client.begin_open().unwrap());
    }
    drop(client.open().unwrap());
    before.assert_restored();
}

#[test]
fn p55_a_client_that_leaves_in_1000_calls_costs_the_server_nothing() {
    if !alone() {
        return;
    }
    let _watchdog = Watchdog::new();
    let before = Holdings::now();
    let served = AtomicU64::new(0);
    thread::scope(|scope| {
        for round in 0..100 {
            let (ours, theirs) = Connection::pair().unwrap();
            let served = &served;
            let server = scope.spawn(move || {
                let mut server = WorkerServer::new(Diligent::default());
                // With workers in every other round.
                let ended =
                    if round % 2 == 0 { server.serve(theirs) } else { server.workers(2).serve(theirs) };
                ended.unwrap();
                served.fetch_add(1, Ordering::Relaxed);
            });
            let client = WorkerClient::new(ours);
            let (gate, closed) = channel::<()>().unwrap();
            let first = client.begin_wait(closed).unwrap();
            let others: Vec<_> = (0..9).map(|number| client.begin_double(number).unwrap()).collect();
            drop((first, others, client));
            drop(gate);
            server.join().unwrap();
        }
    });
    assert_eq!(served.into_inner(), 100);
    before.assert_restored();
}

#[test]
fn p59_calls_that_arrive_while_the_server_stops_all_come_to_something() {
    let _watchdog = Watchdog::new();
    for round in 0..40 {
        let (ours, theirs) = Connection::pair().unwrap();
        let client = WorkerClient::new(ours);
        let answered = AtomicU64::new(0);
        thread::scope(|scope| {
            for _ in 0..4 {
                scope.spawn(|| {
                    loop {
                        match client.double(1) {
                            Ok(_) => answered.fetch_add(1, Ordering::Relaxed),
                            Err(CallError::Disconnected { .. } | CallError::NoReply { .. }) => break,
                            Err(other) => panic!("{other}"),
                        };
                    }
                });
            }
            // The server leaves its loop in the middle of the calls.
            for task in theirs.tasks::<crate::worker::WorkerTask>().take(50 + round) {
                task.unwrap().dispatch(&Diligent::default());
            }
            drop(theirs);
        });
        assert_eq!(answered.into_inner(), 50 + round as u64);
    }
}
