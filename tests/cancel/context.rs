//! What a handler can ask about its call.

use std::process;
use std::time::Duration;

use nix::unistd::{getgid, getuid};
use unix_ipc::{CallError, Receiver, channel};

use crate::service::{Event, LONG, Sloth, SlowClient, SlowServer, WAYS, is_child, spawn};
use crate::util::Watchdog;

#[derive(Clone, Copy, Debug)]
enum End {
    Dropped,
    TimedOut,
    WaitTimedOut,
    ClientGone,
}

const ENDS: [End; 4] = [End::Dropped, End::TimedOut, End::WaitTimedOut, End::ClientGone];

/// A handler runs, its call ends so, and it hears of it.
fn hears(client: SlowClient, end: End, asks: bool) {
    let (events, seen): (_, Receiver<Event>) = channel().expect("there is room for a socket");
    let hasty = match end {
        End::TimedOut => client.with_timeout(Duration::from_millis(100)),
        _ => client.clone(),
    };
    let call = if asks { hasty.begin_ask(events) } else { hasty.begin_wait(events) };
    let call = call.expect("the server lives");
    assert_eq!(seen.recv().expect("the handler says so"), Event::Runs);
    match end {
        End::Dropped => drop(call),
        // The handler ends when the time does, and so its reply may still come.
        End::TimedOut => match call.wait() {
            Ok(()) | Err(CallError::Timeout { .. }) => {}
            Err(error) => panic!("{error}"),
        },
        End::WaitTimedOut => {
            let error = call.wait_timeout(Duration::from_millis(10)).expect_err("the handler goes on");
            assert!(matches!(error, CallError::Timeout { .. }), "{error}");
        }
        End::ClientGone => drop((call, client, hasty)),
    }
    assert_eq!(seen.recv().expect("the handler says so"), Event::Cancelled(true));
}

#[test]
fn a_handler_hears_that_nobody_waits_any_more() {
    if is_child() {
        return;
    }
    let _watchdog = Watchdog::new();
    for way in ["alone", "workers", "own loop"] {
        for is_busy in [false, true] {
            for end in ENDS {
                for asks in [false, true] {
                    eprintln!("{way} {is_busy} {end:?} {asks}");
                    if matches!(end, End::ClientGone) {
                        // The child ends with its client: it has to run for long enough to say so.
                        let server = SlowServer::new(Sloth::default());
                        let (ours, theirs) = unix_ipc::Connection::pair().unwrap();
                        let serving = std::thread::spawn(move || {
                            let mut server = if way == "workers" { server.workers(2) } else { server };
                            server.serve(ours)
                        });
                        let client = SlowClient::new(theirs);
                        (0..if is_busy { 100 } else { 0 }).for_each(|number| client.mark(number).unwrap());
                        hears(client, end, asks);
                        serving.join().unwrap().unwrap();
                    } else {
                        hears(spawn(way, is_busy), end, asks);
                    }
                }
            }
        }
    }
}

#[test]
fn other_calls_go_on_while_a_handler_waits_for_its_end() {
    if is_child() {
        return;
    }
    let _watchdog = Watchdog::new();
    for is_busy in [false, true] {
        let client = spawn("workers", is_busy);
        let (events, seen): (_, Receiver<Event>) = channel().unwrap();
        let waits = client.begin_wait(events).unwrap();
        assert_eq!(seen.recv().unwrap(), Event::Runs);
        for number in 0..1000 {
            client.mark(number).unwrap();
        }
        drop(waits);
        assert_eq!(seen.recv().unwrap(), Event::Cancelled(true));
        assert_eq!(client.marks().unwrap().len(), 1000);
    }
}

#[test]
fn what_comes_behind_a_call_that_is_cancelled_is_run_in_its_turn() {
    if is_child() {
        return;
    }
    let _watchdog = Watchdog::new();
    for way in WAYS {
        for is_busy in [false, true] {
            let client = spawn(way, is_busy);
            let (events, seen): (_, Receiver<Event>) = channel().unwrap();
            let waits: Vec<_> = (0..2).map(|_| client.begin_wait(events.clone()).unwrap()).collect();
            assert_eq!(seen.recv().unwrap(), Event::Runs);
            for number in 0..20 {
                client.note(number).unwrap();
            }
            let last = client.begin_mark(20).unwrap();
            drop(waits);
            last.wait().unwrap();
            if way == "alone" {
                assert_eq!(client.marks().unwrap(), (0..=20).collect::<Vec<_>>(), "{is_busy}");
            }
            drop(events);
            while let Ok(event) = seen.recv() {
                assert!(matches!(event, Event::Runs | Event::Cancelled(true)), "{event:?}");
            }
        }
    }
}

#[test]
fn the_caller_is_who_the_kernel_says() {
    if is_child() {
        return;
    }
    let _watchdog = Watchdog::new();
    let ours = (process::id().cast_signed(), getuid().as_raw(), getgid().as_raw());
    for way in WAYS {
        let client = spawn(way, false);
        assert_eq!(client.caller().unwrap(), Some(ours), "{way}");
        let (sender, seen) = channel().unwrap();
        client.note_caller(sender).unwrap();
        assert!(seen.recv().unwrap(), "{way}");
    }
}

#[test]
fn the_time_left_is_the_callers() {
    if is_child() {
        return;
    }
    let _watchdog = Watchdog::new();
    for way in WAYS {
        let client = spawn(way, true);
        assert_eq!(client.left().unwrap(), None);
        let left = client.with_timeout(LONG).left().unwrap().unwrap();
        assert!(left <= LONG && left > LONG / 2, "{left:?}");
        assert_eq!(client.left().unwrap(), None);
    }
}
