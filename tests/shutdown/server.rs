//! A server ends from within, or by a thread beside it.

use std::thread;
use std::time::Duration;

use unix_ipc::{CallError, Connection, Gone, Listener, Pending, ServeError, Stopper, channel};

use crate::service::{Clerk, LONG, OfficeClient, OfficeServer};
use crate::util::{Holdings, Watchdog, alone, threads, wait_until};

type Serving = thread::JoinHandle<Result<(), ServeError>>;

/// A server in a thread, with what ends it.
fn serve(workers: usize, is_busy: bool) -> (OfficeClient, Stopper, Serving) {
    let (ours, theirs) = Connection::pair().expect("there is room for a socket");
    let mut server = OfficeServer::new(Clerk::default());
    let stopper = server.stopper().expect("there is room for an eventfd");
    server.service().stopper.set(stopper.clone()).expect("nobody has set it");
    if workers > 1 {
        server = server.workers(workers);
    }
    let serving = thread::spawn(move || server.serve(ours));
    let client = OfficeClient::new(theirs);
    for number in 0..if is_busy { 100 } else { 1 } {
        assert_eq!(client.add(number, 1).ok(), Some(number + 1));
    }
    (client, stopper, serving)
}

#[test]
fn an_idle_server_ends_at_once_and_its_client_hears_of_it() {
    if !alone() {
        return;
    }
    let _watchdog = Watchdog::new();
    let before = Holdings::with_mappings();
    for workers in [1, 3] {
        for is_busy in [false, true] {
            let (client, stopper, serving) = serve(workers, is_busy);
            stopper.shutdown(LONG);
            serving.join().unwrap().unwrap();
            assert!(matches!(client.wait_gone(LONG), Some(Gone::ShutDown)), "{workers} {is_busy}");
            let error = client.add(1, 2).unwrap_err();
            assert!(matches!(error, CallError::ShuttingDown { .. }), "{error}");
        }
    }
    before.assert_restored();
    assert_eq!(threads(), 3);
}

#[test]
fn p59_calls_that_run_are_finished_in_the_time_and_new_ones_are_refused() {
    let _watchdog = Watchdog::new();
    for workers in [1, 3] {
        for is_busy in [false, true] {
            let (client, stopper, serving) = serve(workers, is_busy);
            let ((runs, running), (gate, theirs)) = (channel().unwrap(), channel().unwrap());
            let held = client.begin_hold(runs, theirs).unwrap();
            running.recv().unwrap();
            let waits = client.begin_add(1, 2).unwrap();
            stopper.shutdown(LONG);
            let late = client.begin_add(1, 2);
            drop(gate);
            assert_eq!(held.wait().unwrap(), 7);
            serving.join().unwrap().unwrap();
            for call in [Ok(waits), late] {
                match call.and_then(Pending::wait) {
                    Err(CallError::ShuttingDown { .. }) => {}
                    // Another worker may have taken it before it was asked to stop.
                    Ok(3) if workers > 1 => {}
                    other => panic!("{workers} {is_busy}: {other:?}"),
                }
            }
        }
    }
}

#[test]
fn a_handler_can_stop_its_own_server() {
    let _watchdog = Watchdog::new();
    for workers in [1, 3] {
        for is_busy in [false, true] {
            let (client, _stopper, serving) = serve(workers, is_busy);
            assert_eq!(client.stop().unwrap(), 8);
            serving.join().unwrap().unwrap();
            assert!(matches!(client.add(1, 2), Err(CallError::ShuttingDown { .. })));
        }
    }
}

#[test]
fn when_the_time_is_over_clients_are_hung_up_on_and_handlers_hear_of_it() {
    let _watchdog = Watchdog::new();
    for is_busy in [false, true] {
        let (client, stopper, serving) = serve(3, is_busy);
        let (events, seen) = channel().unwrap();
        let waits = client.begin_wait(events).unwrap();
        assert!(!seen.recv().unwrap());
        stopper.shutdown(Duration::from_millis(20));
        let error = waits.wait().unwrap_err();
        assert!(matches!(error, CallError::Disconnected { .. }), "{error}");
        assert!(seen.recv().unwrap());
        serving.join().unwrap().unwrap();
    }
}

#[test]
fn a_client_that_reads_nothing_does_not_hold_up_the_end() {
    let _watchdog = Watchdog::new();
    for workers in [1, 3] {
        let (client, stopper, serving) = serve(workers, true);
        let unread: Vec<_> = (0..20).map(|_| client.begin_bytes(1 << 20).unwrap()).collect();
        stopper.shutdown(Duration::from_millis(20));
        serving.join().unwrap().unwrap();
        drop(unread);
    }
}

#[test]
fn a_listener_s_clients_are_all_answered_or_refused() {
    if !alone() {
        return;
    }
    let _watchdog = Watchdog::new();
    let before = Holdings::with_mappings();
    for workers in [1, 3] {
        let directory = tempfile::tempdir().unwrap();
        let listener = Listener::bind(directory.path().join("office")).unwrap();
        let mut server = OfficeServer::new(Clerk::default());
        let stopper = server.stopper().unwrap();
        if workers > 1 {
            server = server.workers(workers);
        }
        thread::scope(|scope| {
            let serving = scope.spawn(|| { server }.listen(&listener));
            let clients: Vec<_> = (0..5).map(|_| OfficeClient::connect(listener.path()).unwrap()).collect();
            let callers: Vec<_> = clients
                .iter()
                .cloned()
                .map(|client| scope.spawn(move || (0..).find_map(|number| client.add(number, 1).err())))
                .collect();
            let all_call = || clients.iter().all(|client| client.add(1, 2).is_ok());
            assert!(wait_until(LONG, all_call));
            stopper.shutdown(LONG);
            for caller in callers {
                let error = caller.join().unwrap().unwrap();
                assert!(matches!(error, CallError::ShuttingDown { .. }), "{error}");
            }
            serving.join().unwrap().unwrap();
        });
    }
    before.assert_restored();
}

#[test]
fn a_server_that_waits_for_its_client_s_introduction_ends() {
    let _watchdog = Watchdog::new();
    for workers in [1, 3] {
        for prepares in [false, true] {
            let (ours, theirs) = Connection::pair().unwrap();
            let mut server = OfficeServer::new(Clerk::default());
            let stopper = server.stopper().unwrap();
            if prepares {
                server = server.pre_serve(|| panic!("there is no client"));
            }
            if workers > 1 {
                server = server.workers(workers);
            }
            let serving = thread::spawn(move || server.serve(ours));
            stopper.shutdown(LONG);
            serving.join().unwrap().unwrap();
            assert!(OfficeClient::new(theirs).add(1, 2).unwrap_err().is_gone());
        }
    }
}
