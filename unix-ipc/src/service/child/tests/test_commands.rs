use std::panic;

use super::*;
use crate::service::child::test_command;
use crate::service::child::test_command::test_to_run;

#[test]
fn it_runs_the_calling_test_in_a_child() {
    if let Some(socket) = claim().unwrap() {
        return say(&socket, thread::current().name().unwrap());
    }
    let (child, socket) = start_default(&mut test_command());
    assert_eq!(hear(&socket).as_deref(), thread::current().name());
    assert_eq!(child.exit(WATCHDOG), Some(PeerExit::Exited(0)));
}

#[test]
fn a_failing_child_is_seen_to_fail() {
    if claim().unwrap().is_some() {
        panic::resume_unwind(Box::new("silently"));
    }
    let (child, _socket) = start_default(&mut test_command());
    assert_eq!(child.exit(WATCHDOG), Some(PeerExit::Exited(101)));
}

#[test]
fn p52_a_child_that_would_start_itself_is_refused() {
    if let Some(socket) = claim().unwrap() {
        return say(&socket, &refusal());
    }
    let (_child, socket) = start_default(&mut test_command());
    assert!(hear(&socket).unwrap().contains("call `Connection::inherited()` first"));
}

#[test]
fn a_thread_that_the_test_spawned_is_refused() {
    let refused = thread::spawn(refusal).join().unwrap();
    assert!(refused.contains("call it in the thread of the `#[test]`"), "{refused}");
}

#[test]
fn the_main_thread_is_refused() {
    let refused = test_to_run(Some("main"), false).unwrap_err();
    assert!(refused.contains("Command::new(env::current_exe()?)"), "{refused}");
}

/// What the panic says.
fn refusal() -> String {
    let panicked = panic::catch_unwind(test_command).unwrap_err();
    *panicked.downcast::<String>().unwrap()
}
