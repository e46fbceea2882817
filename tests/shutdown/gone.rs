//! News of the server's end without a call.

use std::thread;
use std::time::Duration;

use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use unix_ipc::{Connection, Gone, PeerExit, Pending, ProtocolError};

use crate::service::{Clerk, LONG, OfficeClient, OfficeServer, is_child, spawn};
use crate::util::Watchdog;

#[test]
fn a_client_hears_how_its_child_died_without_a_call() {
    if is_child() {
        return;
    }
    let _watchdog = Watchdog::new();
    for is_busy in [false, true] {
        let client = spawn("alone", is_busy);
        let pid = Pid::from_raw(client.process().unwrap().cast_signed());
        assert!(client.wait_gone(Duration::ZERO).is_none());
        assert!(client.wait_gone(Duration::from_millis(20)).is_none());
        thread::scope(|scope| {
            let waiting: Vec<_> = (0..3).map(|_| scope.spawn(|| client.wait_gone(LONG))).collect();
            // Whoever waits does not hold up a call.
            for number in 0..100 {
                assert_eq!(client.add(number, 1).unwrap(), number + 1);
            }
            kill(pid, Signal::SIGKILL).unwrap();
            for waits in waiting {
                let gone = waits.join().unwrap();
                assert!(matches!(gone, Some(Gone::Died(PeerExit::Killed(9)))), "{gone:?}");
            }
        });
        assert_eq!(
            client.wait_gone(LONG).unwrap().to_string(),
            "the server process was killed by signal 9 (SIGKILL)"
        );
    }
}

#[test]
fn p58_a_client_may_be_dropped_by_whoever_hears_of_the_end() {
    if is_child() {
        return;
    }
    let _watchdog = Watchdog::new();
    let client = spawn("alone", true);
    let pid = Pid::from_raw(client.process().unwrap().cast_signed());
    let watcher = thread::spawn({
        let client = client.clone();
        move || {
            let gone = client.wait_gone(LONG);
            drop(client);
            gone
        }
    });
    let waits = client.begin_add(1, 2);
    kill(pid, Signal::SIGKILL).unwrap();
    drop(client);
    assert!(matches!(watcher.join().unwrap(), Some(Gone::Died(PeerExit::Killed(9)))));
    let _ = waits.map(Pending::wait);
}

#[test]
fn a_hang_up_and_a_broken_protocol_are_told_apart() {
    let _watchdog = Watchdog::new();
    let (ours, theirs) = Connection::pair().unwrap();
    let client = OfficeClient::new(theirs);
    drop(ours);
    assert!(matches!(client.wait_gone(LONG), Some(Gone::Disconnected)));

    // Two clients.
    let (ours, theirs) = Connection::pair().unwrap();
    let (client, other) = (OfficeClient::new(theirs), OfficeClient::new(ours));
    let (one, two) = (client.begin_add(1, 2), other.begin_add(1, 2));
    let found = one.unwrap().wait().unwrap_err();
    assert!(!found.is_gone(), "{found}");
    let gone = client.wait_gone(LONG);
    assert!(matches!(gone, Some(Gone::Protocol(ProtocolError::Role))), "{gone:?}");
    drop(two);
}

#[test]
fn a_server_s_end_is_no_death() {
    let _watchdog = Watchdog::new();
    let (ours, theirs) = Connection::pair().unwrap();
    let mut server = OfficeServer::new(Clerk::default());
    let stopper = server.stopper().unwrap();
    let serving = thread::spawn(move || server.serve(ours));
    let client = OfficeClient::new(theirs);
    assert_eq!(client.add(1, 2).unwrap(), 3);
    assert!(client.wait_gone(Duration::ZERO).is_none());
    stopper.shutdown(LONG);
    assert!(matches!(client.wait_gone(LONG), Some(Gone::ShutDown)));
    serving.join().unwrap().unwrap();
}
