//! A handler that calls another service has no more time for it than its own caller.

use std::thread;
use std::time::Duration;

use unix_ipc::{CallError, Connection, channel};

use crate::service::{Sloth, SlowClient, SlowServer, WAYS, is_child, spawn};
use crate::util::Watchdog;

/// A client of a server in this process, to be sent to the child.
fn other() -> (SlowClient, thread::JoinHandle<()>) {
    let (ours, theirs) = Connection::pair().expect("there is room for a socket");
    let serving = thread::spawn(move || {
        SlowServer::new(Sloth::default()).serve(ours).expect("its client keeps to the protocol");
    });
    (SlowClient::new(theirs), serving)
}

#[test]
fn a_call_within_a_call_ends_when_that_one_does() {
    if is_child() {
        return;
    }
    let _watchdog = Watchdog::new();
    for way in WAYS {
        let client = spawn(way, true);
        let (other, serving) = other();
        let ((runs, _running), (gate, theirs)) = (channel().unwrap(), channel().unwrap());
        // Both end at the same time, so that the answer may still come, which says how the inner call ended.
        match client.with_timeout(Duration::from_millis(50)).call_on(other, runs, theirs) {
            Err(CallError::Timeout { method: "call_on", .. }) => {}
            Ok(answer) => assert!(answer.starts_with("`hold`: no reply within"), "{answer}"),
            Err(error) => panic!("{error}"),
        }
        // Only a server that gave its own call up is free for this one: the gate is closed.
        client.mark(1).unwrap();
        if way == "alone" {
            assert_eq!(client.marks().unwrap(), [1]);
        }
        drop(gate);
        serving.join().unwrap();
    }
}

#[test]
fn a_call_within_a_call_without_a_time_has_none() {
    if is_child() {
        return;
    }
    let _watchdog = Watchdog::new();
    let client = spawn("alone", false);
    let (other, serving) = other();
    let ((runs, _running), (gate, theirs)) = (channel().unwrap(), channel().unwrap());
    let calling = client.begin_call_on(other, runs, theirs).unwrap();
    drop(gate);
    assert_eq!(calling.wait().unwrap(), "held");
    serving.join().unwrap();
}
