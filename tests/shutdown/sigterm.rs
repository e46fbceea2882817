//! SIGTERM ends a server that watches for it as its client would.

use std::thread;

use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use unix_ipc::{CallError, Gone, PeerExit, channel};

use crate::service::{LONG, OfficeClient, SIGTERM_TIME, STATUS, is_child, spawn, spawn_listener};
use crate::util::{Watchdog, wait_until};

fn terminate(client: &OfficeClient) {
    let pid = client.process().expect("the child lives");
    kill(Pid::from_raw(pid.cast_signed()), Signal::SIGTERM).expect("it is there");
}

#[test]
fn a_child_that_watches_for_it_ends_in_order() {
    if is_child() {
        return;
    }
    let _watchdog = Watchdog::new();
    for way in ["sigterm", "sigterm workers"] {
        for is_busy in [false, true] {
            let client = spawn(way, is_busy);
            terminate(&client);
            assert!(matches!(client.wait_gone(LONG), Some(Gone::ShutDown)), "{way} {is_busy}");
            assert_eq!(client.shutdown(LONG).unwrap(), PeerExit::Exited(STATUS));
        }
    }
}

#[test]
fn one_that_does_not_is_killed_by_it() {
    if is_child() {
        return;
    }
    let _watchdog = Watchdog::new();
    let client = spawn("alone", true);
    terminate(&client);
    let gone = client.wait_gone(LONG);
    assert!(matches!(gone, Some(Gone::Died(PeerExit::Killed(15)))), "{gone:?}");
}

#[test]
fn calls_that_run_are_finished() {
    if is_child() {
        return;
    }
    let _watchdog = Watchdog::new();
    for way in ["sigterm", "sigterm workers"] {
        for is_busy in [false, true] {
            let client = spawn(way, is_busy);
            let pid = Pid::from_raw(client.process().unwrap().cast_signed());
            let ((runs, running), (gate, theirs)) = (channel().unwrap(), channel().unwrap());
            let held = client.begin_hold(runs, theirs).unwrap();
            running.recv().unwrap();
            let begun = std::time::Instant::now();
            kill(pid, Signal::SIGTERM).unwrap();
            thread::scope(|scope| {
                let held = scope.spawn(|| held.wait());
                drop(gate);
                match held.join().unwrap() {
                    Ok(answer) => assert_eq!(answer, 7, "{way} {is_busy}"),
                    // A machine that is busy for so long leaves no time for it.
                    Err(error) => assert!(begun.elapsed() > SIGTERM_TIME, "{way} {is_busy}: {error}"),
                }
            });
            assert_eq!(client.shutdown(LONG).unwrap(), PeerExit::Exited(STATUS));
        }
    }
}

#[test]
fn a_listener_ends_for_all_of_its_clients() {
    if is_child() {
        return;
    }
    let _watchdog = Watchdog::new();
    for way in ["sigterm", "sigterm workers"] {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("office");
        let spawner = spawn_listener(way, &path);
        let clients: Vec<_> = (0..3)
            .map(|_| {
                // It listens a moment after it has said so.
                let mut client = None;
                assert!(wait_until(LONG, || {
                    client = OfficeClient::connect(&path).ok();
                    client.is_some()
                }));
                client.unwrap()
            })
            .collect();
        clients.iter().for_each(|client| assert_eq!(client.add(1, 2).unwrap(), 3));
        terminate(&clients[0]);
        for client in &clients {
            assert!(matches!(client.wait_gone(LONG), Some(Gone::ShutDown)), "{way}");
            assert!(matches!(client.add(1, 2), Err(CallError::ShuttingDown { .. })));
        }
        let gone = spawner.wait_gone(LONG);
        assert!(matches!(gone, Some(Gone::Died(PeerExit::Exited(STATUS)))), "{gone:?}");
    }
}
