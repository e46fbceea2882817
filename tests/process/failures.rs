//! Spawning that fails: promptly, with the reason, and with nothing left behind.

use std::error::Error;
use std::process::{Command, Stdio};
use std::time::Duration;

use unix_ipc::{
    Connection, Limits, PeerExit, ProtocolError, SpawnError, SpawnOptions, ipc_service, test_command,
};

use crate::util::folder::Folder;
use crate::util::{self, Holdings, Watchdog};
use crate::worker::{WorkerClient, behind_a_shell, is_child};

fn sh(script: &str) -> Command {
    let mut command = Command::new("/bin/sh");
    command.args(["-c", script]).stdout(Stdio::null());
    command
}

/// An error with its causes, as programs print it.
fn text(error: &dyn Error) -> String {
    let cause = error.source().map(|source| format!(": {}", text(source)));
    format!("{error}{}", cause.unwrap_or_default())
}

#[test]
fn a_missing_program_is_an_error_of_the_start_and_leaves_nothing() {
    if !util::alone() {
        return;
    }
    let _watchdog = Watchdog::new();
    let before = Holdings::now();
    for _ in 0..10 {
        let error = WorkerClient::spawn(Command::new("/nowhere/to/be/found")).unwrap_err();
        assert!(matches!(&error, SpawnError::Start(source) if source.kind() == std::io::ErrorKind::NotFound));
    }
    before.assert_restored();
    assert_eq!(util::threads(), 3, "the harness, the test and its watchdog");
}

#[test]
fn a_child_that_ends_before_it_answers_is_named_by_its_status() {
    let _watchdog = Watchdog::new();
    let error = WorkerClient::spawn(sh("exit 3")).unwrap_err();
    assert!(matches!(error, SpawnError::Exited(PeerExit::Exited(3))), "{error:?}");
    assert_eq!(error.to_string(), "the child exited with status 3 before it introduced itself");
    let error = WorkerClient::spawn(Command::new("/bin/true")).unwrap_err();
    assert!(matches!(error, SpawnError::Exited(PeerExit::Exited(0))), "{error:?}");
}

#[test]
fn a_child_killed_before_it_answers_is_named_by_its_signal() {
    let _watchdog = Watchdog::new();
    let error = WorkerClient::spawn(sh("kill -9 $$")).unwrap_err();
    assert!(matches!(error, SpawnError::Exited(PeerExit::Killed(9))), "{error:?}");
    assert!(error.to_string().contains("killed by signal 9 (SIGKILL)"), "{error}");
}

#[test]
fn p42_a_child_that_never_asks_for_its_connection_times_out_and_is_killed() {
    if !util::alone() {
        return;
    }
    let _watchdog = Watchdog::new();
    let before = Holdings::now();
    let mut limits = Limits::default();
    limits.handshake = Duration::from_millis(200);
    // An hour of grace, because a child that never joined gets none.
    let options = SpawnOptions::new().limits(limits).grace(Duration::from_secs(3600));
    let mut command = Command::new("sleep");
    let error = Connection::spawn_with(command.arg("3600"), &options).unwrap_err();
    assert!(matches!(error, SpawnError::TimedOut { after } if after == limits.handshake), "{error:?}");
    before.assert_restored();
}

#[test]
fn a_child_that_closes_its_standard_input_has_hung_up_and_is_killed() {
    if !util::alone() {
        return;
    }
    let _watchdog = Watchdog::new();
    let before = Holdings::now();
    let options = SpawnOptions::new().grace(Duration::from_secs(3600));
    let error = Connection::spawn_with(sh("exec sleep 3600 <&-"), &options).unwrap_err();
    assert!(matches!(error, SpawnError::Disconnected), "{error:?}");
    before.assert_restored();
}

/// The connection is for the child itself: a program that the child starts cannot take it, so behind a wrapper that
/// waits for its program nobody does.
#[test]
fn p42_a_wrapper_that_forks_is_named_by_its_own_status() {
    if is_child() {
        return;
    }
    let _watchdog = Watchdog::new();
    let folder = Folder::new();
    let mut command = behind_a_shell("\"$@\"; echo $? > \"$STATUS\"; exit 5", &test_command());
    command.env("STATUS", folder.file("status")).stderr(Stdio::null());
    let error = WorkerClient::spawn(command).unwrap_err();
    assert!(matches!(error, SpawnError::Exited(PeerExit::Exited(5))), "{error:?}");
    // The test that ran there found no connection, and was refused a child of its own (P52).
    assert_eq!(folder.read("status").trim(), "101");
}

#[ipc_service]
trait Clock {
    fn now(&self) -> u64;
}

#[test]
fn a_child_that_serves_something_else_is_named_with_both_services() {
    if is_child() {
        return;
    }
    let _watchdog = Watchdog::new();
    let error = ClockClient::spawn(test_command()).unwrap_err();
    let SpawnError::Handshake(ProtocolError::Service { ours, theirs }) = &error else { panic!("{error:?}") };
    assert_eq!((ours.as_str(), theirs.as_str()), ("Clock", "Worker"));
    let text = text(&error);
    assert!(text.contains("Clock") && text.contains("Worker"), "{text}");
}
