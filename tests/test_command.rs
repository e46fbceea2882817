//! `test_command`: a test that spawns itself, under either harness and wherever it stands.

mod util;

use std::env;
use std::process::{Command, Output};
use std::thread;

use unix_ipc::{Connection, ipc_service, test_command};
use util::Watchdog;

#[ipc_service]
trait Namer {
    /// The test that runs in the child, by the name of its thread, and the arguments it was started with.
    fn test(&self) -> (Option<String>, Vec<String>);
    fn variable(&self, name: &str) -> Option<String>;
}

struct ByThread(Option<String>);

impl Namer for ByThread {
    fn test(&self) -> (Option<String>, Vec<String>) {
        (self.0.clone(), env::args().skip(1).collect())
    }

    fn variable(&self, name: &str) -> Option<String> {
        env::var(name).ok()
    }
}

fn is_child() -> bool {
    let Some(connection) = Connection::inherited().expect("the connection is sound") else { return false };
    let name = thread::current().name().map(str::to_owned);
    NamerServer::new(ByThread(name)).serve(connection).expect("the client keeps to the protocol");
    true
}

/// The child runs the same test and no other.
#[track_caller]
fn assert_child_runs(expected: &str) {
    let _watchdog = Watchdog::new();
    let client = NamerClient::spawn(test_command()).expect("the test runs as a child");
    let (name, arguments) = client.test().expect("the child lives");
    // With a single thread the harness may run a test in the first one, which has the program's name.
    assert!(name.is_none_or(|name| name == expected || name == "main"));
    let flags = ["--exact", "--nocapture", "--include-ignored", "--test-threads=1", "-q"];
    assert_eq!(arguments[0], expected);
    assert_eq!(arguments[1..], flags);
}

#[test]
fn a_test_spawns_itself() {
    if is_child() {
        return;
    }
    assert_child_runs("a_test_spawns_itself");
}

mod outer {
    mod inner {
        #[test]
        fn a_test_in_modules_spawns_itself() {
            if crate::is_child() {
                return;
            }
            crate::assert_child_runs("outer::inner::a_test_in_modules_spawns_itself");
        }
    }

    /// Of the same name as another, of which it is no part.
    #[test]
    fn a_test_spawns_itself() {
        if crate::is_child() {
            return;
        }
        crate::assert_child_runs("outer::a_test_spawns_itself");
    }
}

#[test]
fn a_test_that_returns_a_result_spawns_itself() -> Result<(), Box<dyn std::error::Error>> {
    if let Some(connection) = Connection::inherited()? {
        return Ok(NamerServer::new(ByThread(None)).serve(connection)?);
    }
    let _watchdog = Watchdog::new();
    let mut command = test_command();
    let client = NamerClient::spawn(command.env("LEVEL", "2"))?;
    assert_eq!(client.variable("LEVEL")?.as_deref(), Some("2"));
    Ok(())
}

#[test]
fn the_command_goes_to_threads_that_the_test_spawned() {
    if is_child() {
        return;
    }
    let _watchdog = Watchdog::new();
    let commands: Vec<_> = (0..4).map(|_| test_command()).collect();
    thread::scope(|scope| {
        for command in commands {
            scope.spawn(|| assert!(NamerClient::spawn(command).unwrap().test().is_ok()));
        }
    });
}

#[test]
fn a_thread_that_the_test_spawned_is_told_the_way_out() {
    let panicked = thread::spawn(test_command).join().unwrap_err();
    let message = panicked.downcast_ref::<String>().unwrap();
    assert!(message.contains("in the thread of the `#[test]`"), "{message}");
}

/// A test that spawns before it looks for its connection would start itself for ever.
#[test]
fn p52_a_child_that_would_spawn_itself_is_told_to_look_for_its_connection_first() {
    if env::var_os("LOOKED").is_some() {
        let _ = test_command();
        return;
    }
    let output = test_command().env("LOOKED", "1").output().unwrap();
    let said = String::from_utf8_lossy(&output.stderr);
    assert!(!output.status.success());
    assert!(said.contains("call `Connection::inherited()` first"), "{said}");
}

/// Runs tests of this file under a harness that is started here.
const HARNESS: &str = "UNIX_IPC_TEST_HARNESS";
const TESTS: [&str; 3] =
    ["a_test_spawns_itself", "outer::inner::a_test_in_modules_spawns_itself", "outer::a_test_spawns_itself"];

#[track_caller]
fn assert_passed(output: &Output, count: &str) {
    let text =
        format!("{}{}", String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
    assert!(output.status.success(), "{text}");
    assert!(text.contains(count), "{text}");
}

#[test]
fn tests_spawn_themselves_with_one_thread_and_with_several() {
    let executable = env::current_exe().unwrap();
    for threads in ["--test-threads=1", "--test-threads=4"] {
        let mut harness = Command::new(&executable);
        let output = harness.args(TESTS).args(["--exact", threads]).output().unwrap();
        assert_passed(&output, "3 passed");
    }
}

#[test]
fn tests_spawn_themselves_in_a_process_each_as_nextest_runs_them() {
    let executable = env::current_exe().unwrap();
    for test in TESTS {
        let mut harness = Command::new(&executable);
        harness.args([test, "--exact", "--nocapture"]);
        harness.env("NEXTEST", "1").env("NEXTEST_EXECUTION_MODE", "process-per-test");
        assert_passed(&harness.output().unwrap(), "1 passed");
    }
}

#[test]
fn tests_spawn_themselves_under_nextest_where_it_is_installed() {
    let cargo = env::var_os("CARGO").unwrap_or_else(|| "cargo".into());
    if env::var_os(HARNESS).is_some() {
        return;
    }
    let nextest = || Command::new(&cargo);
    if !nextest().args(["nextest", "--version"]).output().is_ok_and(|output| output.status.success()) {
        eprintln!("not run: `cargo nextest` is not installed");
        return;
    }
    // Beside the build that this test is part of, whose executables it finds ready.
    let target = std::path::Path::new(env!("CARGO_TARGET_TMPDIR")).parent().unwrap();
    let mut command = nextest();
    command.args([
        "nextest",
        "run",
        "--offline",
        "--package",
        env!("CARGO_PKG_NAME"),
        "--test",
        "test_command",
    ]);
    command.arg("--target-dir").arg(target).args(["--filterset", "test(spawns_itself)", "--no-fail-fast"]);
    command.current_dir(env!("CARGO_MANIFEST_DIR")).env(HARNESS, "1");
    let output = command.output().unwrap();
    assert_passed(&output, "4 passed");
}
