//! How many one-way calls the server has not begun.

use std::thread;

use unix_ipc::{CallError, Connection, LimitExceeded, Limits, Sender, channel};

use crate::service::{Clerk, CounterClient, CounterServer, serve_while};
use crate::util::Watchdog;

const QUEUED: u64 = 10;

/// A client with this limit, of a server with one thread, while something happens.
fn with_client(limit: u64, happens: impl FnOnce(CounterClient)) {
    let mut limits = Limits::default();
    limits.queued_oneway_calls = limit as usize;
    let (ours, theirs) = Connection::pair().expect("a pair");
    thread::scope(|scope| {
        scope.spawn(|| CounterServer::new(Clerk).serve(theirs).expect("it serves to the end"));
        happens(CounterClient::new(ours.with_limits(limits)));
    });
}

/// Has the server wait in a handler until the sender is dropped.
fn stop(client: &CounterClient) -> Sender<()> {
    let (gate, closed) = channel().expect("a channel");
    client.pause(closed).expect("there is room");
    gate
}

#[track_caller]
fn assert_full(client: &CounterClient) {
    let error = client.note(0).expect_err("there is no room");
    assert!(!error.is_gone());
    let expected = LimitExceeded::QueuedOneWayCalls { limit: QUEUED };
    assert!(matches!(error, CallError::Refused { source, .. } if source == expected), "{error:?}");
    let text = "10 one-way calls have not been begun, which is the limit";
    assert_eq!(std::error::Error::source(&error).map(ToString::to_string).as_deref(), Some(text));
}

#[test]
fn one_more_than_the_limit_is_refused_with_the_number_and_the_connection_lives_on() {
    let _watchdog = Watchdog::new();
    with_client(QUEUED, |client| {
        // At first over the socket, and then through rings, where there are some.
        for calls in [0, 200, 200] {
            (0..calls).for_each(|number| assert_eq!(client.double(number).unwrap(), 2 * number));
            let gate = stop(&client);
            let threads = client.clone();
            thread::scope(|scope| {
                let notes = |count| (0..count).for_each(|number| threads.note(number).unwrap());
                scope.spawn(move || notes(4));
                scope.spawn(move || notes(5));
            });
            assert_full(&client);
            assert_full(&client.clone());
            // Calls with replies are others.
            let call = client.begin_double(21).unwrap();
            drop(gate);
            assert_eq!(call.wait().unwrap(), 42);
            // Behind that reply all were begun.
            (0..QUEUED).for_each(|number| client.note(number).unwrap());
            assert_eq!(client.double(4).unwrap(), 8);
        }
    });
}

#[test]
fn a_limit_of_one_and_of_none() {
    let _watchdog = Watchdog::new();
    with_client(1, |client| {
        for number in 0..500 {
            client.note(number).unwrap();
            assert_eq!(client.double(number).unwrap(), 2 * number);
        }
    });
    with_client(0, |client| {
        let expected = LimitExceeded::QueuedOneWayCalls { limit: 0 };
        let error = client.note(1).unwrap_err();
        assert!(matches!(error, CallError::Refused { source, .. } if source == expected), "{error:?}");
        assert_eq!(client.double(1).unwrap(), 2);
    });
}

#[test]
fn whoever_sends_as_fast_as_there_is_room_does_not_meet_the_usual_limit() {
    let _watchdog = Watchdog::new();
    for long in [false, true] {
        with_client(Limits::default().queued_oneway_calls as u64, |client| {
            if long {
                // The rings grow, and hold more calls than before.
                (0..50).for_each(|_| assert_eq!(client.bytes(500_000).unwrap().len(), 500_000));
            }
            for number in 0..300_000 {
                client.note(number).unwrap();
            }
            assert_eq!(client.double(4).unwrap(), 8);
        });
    }
    for workers in [1, 3] {
        serve_while(Limits::default(), workers, |path| {
            let client = CounterClient::connect(path).unwrap();
            for number in 0..100_000 {
                client.note(number).unwrap();
            }
            assert_eq!(client.double(4).unwrap(), 8);
        });
    }
}

#[test]
fn what_is_read_before_its_turn_has_not_begun() {
    let _watchdog = Watchdog::new();
    with_client(QUEUED, |client| {
        for calls in [0, 200] {
            (0..calls).for_each(|number| assert_eq!(client.double(number).unwrap(), 2 * number));
            let (first_gate, first) = channel().unwrap();
            let (second_gate, second) = channel().unwrap();
            let (read, has_read) = channel().unwrap();
            let call = client.begin_read_ahead(first, read, second).unwrap();
            (0..QUEUED).for_each(|number| client.note(number).unwrap());
            drop(first_gate);
            assert!(!has_read.recv().unwrap());
            assert_full(&client);
            drop(second_gate);
            call.wait().unwrap();
            assert_eq!(client.double(4).unwrap(), 8);
            // As many again, so that the last mark is behind the last of them.
            (0..QUEUED).for_each(|number| client.note(number).unwrap());
            assert_eq!(client.double(4).unwrap(), 8);
        }
    });
}

#[test]
fn a_client_that_moves_counts_from_nothing_and_passes_over_marks_of_before() {
    let _watchdog = Watchdog::new();
    for calls in [0, 200] {
        with_client(QUEUED, |client| {
            (0..calls).for_each(|number| assert_eq!(client.double(number).unwrap(), 2 * number));
            let gate = stop(&client);
            (1..QUEUED).for_each(|number| client.note(number).unwrap());
            assert_full(&client);
            let (sender, receiver) = channel::<CounterClient>().unwrap();
            sender.send(client).unwrap();
            let moved = receiver.recv().unwrap();
            (0..2 * QUEUED).for_each(|number| moved.note(number).unwrap());
            let call = moved.begin_double(21).unwrap();
            drop(gate);
            assert_eq!(call.wait().unwrap(), 42);
            for number in 0..10_000 {
                moved.note(number).unwrap();
            }
            assert_eq!(moved.double(4).unwrap(), 8);
        });
    }
}
