//! The end of a server, in order.

use std::thread;
use std::time::Duration;

use unix_ipc::{CallError, Connection, Gone};

use crate::calls::{ABACUS, CalculatorClient, CalculatorServer};
use crate::raw::Raw;
use crate::util::Watchdog;

#[test]
fn a_server_that_ends_says_so_and_that_all_is_answered() {
    let _watchdog = Watchdog::new();
    let (raw, end) = Raw::pair();
    let mut server = CalculatorServer::new(ABACUS);
    let stopper = server.stopper().unwrap();
    let serving = thread::spawn(move || server.serve(end.into()));
    raw.give("hello/client", &[]);
    raw.expect("hello/server");
    raw.give("call/add", &[]);
    raw.expect("reply/add");
    stopper.shutdown(Duration::from_secs(50));
    raw.expect("shutdown");
    raw.expect("shutdown/answered");
    raw.expect_end();
    serving.join().unwrap().unwrap();
}

#[test]
fn a_server_ends_when_its_client_says_so_and_refuses_what_comes_behind() {
    let _watchdog = Watchdog::new();
    let (raw, end) = Raw::pair();
    raw.give("hello/client", &[]);
    raw.give("oneway/log", &[]);
    raw.give("shutdown", &[]);
    raw.give("call/add", &[]);
    let connection = Connection::from(end);
    CalculatorServer::new(ABACUS).serve(connection).unwrap();
    raw.expect("hello/server");
    raw.expect("shutdown");
    raw.expect("failure/shutting-down");
    raw.expect("shutdown/answered");
    raw.expect_end();
}

#[test]
fn a_client_makes_no_call_of_a_server_that_ends() {
    let _watchdog = Watchdog::new();
    let (raw, end) = Raw::pair();
    let client = CalculatorClient::new(end.into());
    let begun = client.begin_add(23, 42).unwrap();
    let other = client.begin_add(23, 42).unwrap();
    raw.give("hello/server", &[]);
    raw.give("shutdown", &[]);
    raw.give("failure/shutting-down", &[]);
    assert!(matches!(begun.wait(), Err(CallError::ShuttingDown { method: "add" })));
    assert!(matches!(client.add(1, 2), Err(CallError::ShuttingDown { .. })));
    raw.give("shutdown/answered", &[]);
    drop(raw);
    assert!(matches!(other.wait(), Err(CallError::ShuttingDown { .. })));
    assert!(matches!(client.wait_gone(Duration::ZERO), Some(Gone::ShutDown)));
}

#[test]
fn a_server_that_goes_before_all_is_answered_has_not_ended_in_order() {
    let _watchdog = Watchdog::new();
    let (raw, end) = Raw::pair();
    let client = CalculatorClient::new(end.into());
    let begun = client.begin_add(23, 42).unwrap();
    raw.give("hello/server", &[]);
    raw.give("shutdown", &[]);
    drop(raw);
    assert!(matches!(begun.wait(), Err(CallError::Disconnected { .. })));
}
