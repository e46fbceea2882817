//! Calls that end without a reply, each with an error of its own.

use std::thread;
use std::time::{Duration, Instant};

use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use unix_ipc::{
    CallError, Connection, LimitExceeded, PeerExit, Pending, SpawnOptions, channel, test_command,
};

use crate::answers::{AnswersClient, AnswersServer, Plain, Stubborn, serve_by_hand};
use crate::util::Watchdog;

#[test]
fn p54_a_dropped_reply_sender_is_no_reply() {
    if let Some(connection) = Connection::inherited().unwrap() {
        return serve_by_hand(connection).unwrap();
    }
    let _watchdog = Watchdog::new();
    let client = AnswersClient::spawn(test_command()).unwrap();
    let error = client.forget().unwrap_err();
    assert!(matches!(error, CallError::NoReply { method: "forget" }), "{error}");
    assert_eq!(client.double(1).unwrap(), 2);
}

#[test]
fn p53_a_panic_reaches_the_caller_with_its_message_and_the_server_goes_on() {
    if let Some(connection) = Connection::inherited().unwrap() {
        return AnswersServer::new(Plain).serve(connection).unwrap();
    }
    let _watchdog = Watchdog::new();
    let client = AnswersClient::spawn(test_command()).unwrap();
    let begun = Instant::now();
    let CallError::Panicked { method: "panic", message } = client.panic("ünexpected").unwrap_err() else {
        panic!("another error")
    };
    println!("a panic reached its caller after {:?}", begun.elapsed());
    assert_eq!(message, "ünexpected");
    let CallError::Panicked { message, .. } = client.panic_oddly().unwrap_err() else {
        panic!("another error")
    };
    assert_eq!(message, "a panic without a message");
    client.panic_one_way().unwrap();
    assert_eq!(client.double(1).unwrap(), 2);
}

#[test]
fn p53_with_workers_a_panic_is_its_callers_alone() {
    if let Some(connection) = Connection::inherited().unwrap() {
        return AnswersServer::new(Plain).workers(3).serve(connection).unwrap();
    }
    let _watchdog = Watchdog::new();
    let client = AnswersClient::spawn(test_command()).unwrap();
    thread::scope(|scope| {
        for number in 0..6 {
            let client = &client;
            scope.spawn(move || {
                for _ in 0..50 {
                    if number % 2 == 0 {
                        assert!(matches!(client.panic("x").unwrap_err(), CallError::Panicked { .. }));
                    } else {
                        assert_eq!(client.double(number).unwrap(), 2 * number);
                    }
                }
            });
        }
    });
}

#[test]
fn a_panic_in_a_thread_of_this_process_is_told_apart_from_its_end() {
    let _watchdog = Watchdog::new();
    let client = AnswersClient::local(Plain).unwrap();
    assert!(matches!(client.panic("x").unwrap_err(), CallError::Panicked { .. }));
    assert_eq!(client.double(1).unwrap(), 2);
}

#[test]
fn p30_calls_of_a_child_that_exits_say_how_it_ended() {
    if let Some(connection) = Connection::inherited().unwrap() {
        return AnswersServer::new(Plain).serve(connection).unwrap();
    }
    let _watchdog = Watchdog::new();
    let client = AnswersClient::spawn(test_command()).unwrap();
    let before = client.begin_double(4).unwrap();
    let exits = client.begin_exit(3).unwrap();
    // The child may be gone by now.
    let behind = client.begin_double(5);
    let is_exit = |error: CallError| {
        let is = matches!(error, CallError::PeerDied { exit: PeerExit::Exited(3), .. }) && error.is_gone();
        assert!(is, "{error}");
    };
    is_exit(exits.wait().unwrap_err());
    is_exit(behind.and_then(Pending::wait).unwrap_err());
    assert_eq!(before.wait().unwrap(), 8);
    is_exit(client.double(1).unwrap_err());
    is_exit(client.panic_one_way().unwrap_err());
}

#[test]
fn every_waiting_caller_of_a_killed_child_hears_of_it() {
    if let Some(connection) = Connection::inherited().unwrap() {
        return serve_by_hand(connection).unwrap();
    }
    let _watchdog = Watchdog::new();
    let connection = Connection::spawn(test_command()).unwrap();
    let child = Pid::from_raw(connection.peer_credentials().unwrap().pid());
    let client = AnswersClient::new(connection);
    assert_eq!(client.double(1).unwrap(), 2);
    let pending: Vec<_> = (0..8).map(|number| client.begin_later(number).unwrap()).collect();
    let (sender, ended) = channel::<Duration>().unwrap();
    thread::scope(|scope| {
        let killed = Instant::now();
        for call in pending {
            let sender = sender.clone();
            scope.spawn(move || {
                let error = call.wait().unwrap_err();
                sender.send(killed.elapsed()).unwrap();
                assert!(matches!(error, CallError::PeerDied { exit: PeerExit::Killed(9), .. }), "{error}");
            });
        }
        kill(child, Signal::SIGKILL).unwrap();
    });
    let longest = (0..8).map(|_| ended.recv().unwrap()).max().unwrap();
    println!("the last of 8 callers heard of the kill after {longest:?}");
}

#[test]
fn a_server_that_leaves_is_disconnected() {
    let _watchdog = Watchdog::new();
    let (ours, theirs) = Connection::pair().unwrap();
    let client = AnswersClient::new(ours);
    let pending = client.begin_double(1).unwrap();
    drop(theirs);
    let error = pending.wait().unwrap_err();
    assert!(matches!(error, CallError::Disconnected { method: "double" }) && error.is_gone(), "{error}");
    assert!(client.double(1).unwrap_err().is_gone());
}

#[test]
fn p61_a_reply_that_is_too_large_is_refused_with_both_numbers() {
    if let Some(connection) = Connection::inherited().unwrap() {
        let mut limits = unix_ipc::Limits::default();
        limits.message_bytes = 10_000;
        return serve_by_hand(connection.with_limits(limits)).unwrap();
    }
    let _watchdog = Watchdog::new();
    let client = AnswersClient::spawn(test_command()).unwrap();
    let error = client.bytes(20_000).unwrap_err();
    let CallError::Refused { method: "bytes", source: LimitExceeded::MessageBytes { actual, limit: 10_000 } } =
        error
    else {
        panic!("{error:?}")
    };
    assert!(actual >= 20_000);
    assert_eq!(client.bytes(9_000).unwrap().len(), 9_000);
    // A refused value comes back to whoever sent it, who still has the reply to give.
    assert_eq!(client.second_choice(20_000).unwrap(), [2]);
}

#[test]
fn p61_a_reply_above_the_clients_limit_is_refused_by_the_client() {
    if let Some(connection) = Connection::inherited().unwrap() {
        return serve_by_hand(connection).unwrap();
    }
    let _watchdog = Watchdog::new();
    let mut limits = unix_ipc::Limits::default();
    limits.message_bytes = 10_000;
    let connection = Connection::spawn_with(test_command(), &SpawnOptions::new().limits(limits)).unwrap();
    let client = AnswersClient::new(connection);
    for bytes in [20_000, 1_000_000] {
        let error = client.bytes(bytes).unwrap_err();
        let refused = matches!(error, CallError::Refused { source: LimitExceeded::MessageBytes { .. }, .. });
        assert!(refused, "{error}");
        assert_eq!(client.bytes(9_000).unwrap().len(), 9_000);
    }
}

#[test]
fn p39_what_cannot_be_encoded_fails_its_own_call() {
    if let Some(connection) = Connection::inherited().unwrap() {
        return serve_by_hand(connection).unwrap();
    }
    let _watchdog = Watchdog::new();
    let client = AnswersClient::spawn(test_command()).unwrap();
    let error = client.stubborn().unwrap_err();
    assert!(matches!(error, CallError::Protocol { method: "stubborn", .. }), "{error}");
    assert!(format!("{error:?}").contains("will not go"), "{error:?}");
    let error = client.take_stubborn(&Stubborn).unwrap_err();
    assert!(matches!(error, CallError::Encode { method: "take_stubborn", .. }), "{error}");
    assert_eq!(client.double(1).unwrap(), 2);
}
