use std::env;
use std::process::{Command, Stdio};
use std::thread;

/// Says in the child that a test started it, and which.
const GUARD_VARIABLE: &str = "UNIX_IPC_TEST_COMMAND";

/// A command that runs the calling test again, in a child process, to spawn a service from.
///
/// It is for the inside of a `#[test]`, under `cargo test` and nextest alike. The test runs twice:
/// in the child it finds a connection and serves, in the parent it finds none and calls.
///
/// ```no_run
/// use unix_ipc::{Connection, ipc_service, test_command};
///
/// #[ipc_service]
/// trait Doubler {
///     fn double(&self, number: u32) -> u32;
/// }
///
/// struct Twice;
/// impl Doubler for Twice {
///     fn double(&self, number: u32) -> u32 {
///         2 * number
///     }
/// }
///
/// // with `#[test]`
/// fn doubles_in_another_process() {
///     if let Some(connection) = Connection::inherited().unwrap() {
///         return DoublerServer::new(Twice).serve(connection).unwrap();
///     }
///     let client = DoublerClient::spawn(test_command().env("LEVEL", "2")).unwrap();
///     assert_eq!(client.double(21).unwrap(), 42);
/// }
/// ```
///
/// The child is this executable with the arguments `<test> --exact --nocapture --include-ignored
/// --test-threads=1 -q`; what it writes to standard output, the harness's report, is dropped.
///
/// # Panics
///
/// Panics, and says what to do instead, where the test cannot be told or would start itself for
/// ever: in a doctest or a `main`, in a thread that the test spawned, and in the child itself, which
/// has to look for its connection before it gets here.
pub fn test_command() -> Command {
    let current = thread::current();
    let test = match test_to_run(current.name(), env::var_os(GUARD_VARIABLE).is_some()) {
        Ok(test) => test,
        Err(way_out) => panic!("{way_out}"),
    };
    let program =
        env::current_exe().unwrap_or_else(|error| panic!("this executable cannot be found: {error}"));
    let mut command = Command::new(program);
    command.arg(test).args(["--exact", "--nocapture", "--include-ignored", "--test-threads=1", "-q"]);
    command.env(GUARD_VARIABLE, test).stdout(Stdio::null());
    command
}

/// The name of the test that runs in a thread of this name, which is how the harness names it, or
/// why there is none.
pub(super) fn test_to_run(thread: Option<&str>, is_child: bool) -> Result<&str, &'static str> {
    if is_child {
        return Err("`test_command` was called in a child that it started, which would go on for ever -- \
                    call `Connection::inherited()` first and serve what it returns");
    }
    match thread {
        None => {
            Err("`test_command` was called in a thread without a name, which says no test -- call it in \
                     the thread of the `#[test]` and move the command into yours")
        }
        Some("main") => {
            Err("`test_command` was called in the main thread, where no `#[test]` runs (a doctest, \
                             a `main`, `harness = false`) -- spawn `Command::new(env::current_exe()?)`, or \
                             a program of your own")
        }
        Some(test) => Ok(test),
    }
}
