//! A client ends the process that it spawned.

use std::io;
use std::thread;
use std::time::Duration;

use unix_ipc::{CallError, Connection, PeerExit, SpawnOptions, channel, test_command};

use crate::service::{Clerk, LONG, OfficeClient, STATUS, is_child, spawn};
use crate::util::{Holdings, Watchdog, alone, is_running, threads, wait_until};

const WAYS: [&str; 4] = ["alone", "workers", "sigterm", "sigterm workers"];

#[test]
fn the_exit_status_comes_back_and_calls_are_refused_from_then_on() {
    if is_child() || !alone() {
        return;
    }
    let _watchdog = Watchdog::new();
    let before = Holdings::with_mappings();
    for way in WAYS {
        for is_busy in [false, true] {
            let client = spawn(way, is_busy);
            assert_eq!(client.shutdown(LONG).unwrap(), PeerExit::Exited(STATUS), "{way} {is_busy}");
            let error = client.add(1, 2).unwrap_err();
            assert!(matches!(error, CallError::ShuttingDown { method: "add" }) && error.is_gone(), "{error}");
            assert_eq!(client.clone().shutdown(LONG).unwrap(), PeerExit::Exited(STATUS));
        }
    }
    before.assert_restored();
    assert_eq!(threads(), 3);
}

#[test]
fn p59_calls_that_run_are_finished_and_new_ones_are_refused() {
    if is_child() {
        return;
    }
    let _watchdog = Watchdog::new();
    for way in WAYS {
        for is_busy in [false, true] {
            let client = spawn(way, is_busy);
            let ((runs, running), (gate, theirs)) = (channel().unwrap(), channel().unwrap());
            let held = client.begin_hold(runs, theirs).unwrap();
            let long = client.begin_bytes(5 << 20).unwrap();
            running.recv().unwrap();
            thread::scope(|scope| {
                let ending = scope.spawn(|| client.shutdown(LONG));
                let refused = || matches!(client.begin_add(1, 2), Err(CallError::ShuttingDown { .. }));
                // Begun, and given up, until the thread beside has asked.
                assert!(wait_until(LONG, refused), "{way} {is_busy}");
                assert!(!ending.is_finished());
                drop(gate);
                assert_eq!(held.wait().unwrap(), 7);
                assert_eq!(long.wait().unwrap().len(), 5 << 20);
                assert_eq!(ending.join().unwrap().unwrap(), PeerExit::Exited(STATUS), "{way} {is_busy}");
            });
        }
    }
}

#[test]
fn p59_every_call_that_comes_while_it_ends_has_an_answer_or_a_word_for_it() {
    if is_child() {
        return;
    }
    let _watchdog = Watchdog::new();
    for way in WAYS {
        for round in 0..10 {
            let client = spawn(way, round % 2 == 0);
            thread::scope(|scope| {
                let callers: Vec<_> = (0..3)
                    .map(|_| {
                        let client = client.clone();
                        scope.spawn(move || (0..).find_map(|number| client.add(number, 1).err()))
                    })
                    .collect();
                thread::park_timeout(Duration::from_millis(round));
                assert_eq!(client.shutdown(LONG).unwrap(), PeerExit::Exited(STATUS));
                for caller in callers {
                    let error = caller.join().unwrap().unwrap();
                    assert!(matches!(error, CallError::ShuttingDown { .. }), "{way}: {error}");
                }
            });
        }
    }
}

#[test]
fn a_process_that_does_not_end_is_killed_when_its_grace_is_over() {
    if is_child() {
        return;
    }
    let _watchdog = Watchdog::new();
    for way in ["alone", "workers"] {
        let options = SpawnOptions::new().grace(Duration::from_millis(20));
        let mut command = test_command();
        let connection = Connection::spawn_with(command.env("UNIX_IPC_TEST_WAY", way), &options).unwrap();
        let client = OfficeClient::new(connection);
        let (runs, running) = channel().unwrap();
        let never = client.begin_never(runs).unwrap();
        running.recv().unwrap();
        let pid = if way == "workers" { client.process().unwrap() } else { 0 };
        assert_eq!(client.shutdown(Duration::from_millis(20)).unwrap(), PeerExit::Killed(9), "{way}");
        let error = never.wait().unwrap_err();
        assert!(error.is_gone(), "{error}");
        assert!(pid == 0 || !is_running(pid));
    }
}

#[test]
fn a_server_that_the_client_did_not_spawn_is_not_ended() {
    let _watchdog = Watchdog::new();
    let client = OfficeClient::local(Clerk::default()).unwrap();
    let error = client.shutdown(LONG).unwrap_err();
    assert_eq!(error.kind(), io::ErrorKind::Unsupported);
    assert_eq!(client.add(1, 2).unwrap(), 3);
}
