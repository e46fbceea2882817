//! Calls that have a time, and calls that nobody waits for any more.

use std::time::Duration;

use crate::calls::{ABACUS, CalculatorTask, client, received, server};
use crate::util::Watchdog;

#[test]
fn a_call_with_a_time_names_the_moment() {
    let _watchdog = Watchdog::new();
    let (raw, client) = client();
    let pending = client.with_timeout(Duration::from_secs(50)).begin_add(23, 42).unwrap();
    raw.expect("hello/client");
    raw.expect("call/timed");
    raw.give("hello/server", &[]);
    raw.give("reply/add", &[]);
    assert_eq!(pending.wait().unwrap(), 65);

    // Filled with a moment that is centuries away.
    let (raw, connection) = server();
    raw.give("call/timed", &[]);
    received(&raw, &connection).unwrap().dispatch(&ABACUS);
    raw.expect("reply/add");
}

#[test]
fn a_call_that_is_given_up_is_taken_back() {
    let _watchdog = Watchdog::new();
    let (raw, client) = client();
    let pending = client.begin_add(23, 42).unwrap();
    raw.expect("hello/client");
    raw.expect("call/add");
    drop(pending);
    raw.expect("cancel");

    let (raw, connection) = server();
    raw.give("call/add", &[]);
    raw.give("cancel", &[]);
    // One that means nothing is passed over.
    raw.give("cancel", &[]);
    raw.give("oneway/log", &[]);
    let task = received(&raw, &connection).unwrap();
    assert!(matches!(task, CalculatorTask::Log { .. }));
}
