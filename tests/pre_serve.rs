//! What a server does once, between its client's introduction and its own.
#![cfg(test)]

mod util;

use std::env;
use std::error::Error;
use std::fs;
use std::io;
use std::process::{Command, exit};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, mpsc};
use std::thread;

use unix_ipc::{Connection, Listener, ProtocolError, ServeError, SpawnError, ipc_service, test_command};
use util::Watchdog;

#[ipc_service]
trait Recorder {
    /// What has happened in the server's process so far.
    fn events(&self) -> Vec<String>;
    fn thread(&self) -> String;
}

#[ipc_service]
trait Other {
    fn events(&self) -> Vec<String>;
}

#[derive(Clone, Default)]
struct Events(Arc<Mutex<Vec<String>>>);

impl Events {
    fn add(&self, event: impl Into<String>) {
        self.0.lock().expect("nobody panics").push(event.into());
    }

    fn all(&self) -> Vec<String> {
        self.0.lock().expect("nobody panics").clone()
    }
}

impl Recorder for Events {
    fn events(&self) -> Vec<String> {
        self.all()
    }

    fn thread(&self) -> String {
        this_thread()
    }
}

impl Other for Events {
    fn events(&self) -> Vec<String> {
        self.all()
    }
}

fn this_thread() -> String {
    format!("{:?}", thread::current().id())
}

/// What the child does, as the test says in this variable.
const MODE: &str = "UNIX_IPC_TEST_MODE";
/// The file that the hook makes.
const WITNESS: &str = "UNIX_IPC_TEST_WITNESS";
/// How a child ends whose `serve` has the hook's error.
const REFUSED: i32 = 77;

/// Serves, where this is the child that the test spawned: then the test is over there.
fn is_child() -> bool {
    let Some(connection) = Connection::inherited().expect("the connection is sound") else { return false };
    let events = Events::default();
    let server = RecorderServer::new(events.clone());
    let mode = env::var(MODE).expect("the test says what to do");
    let server = if mode.contains("workers") { server.workers(3) } else { server };
    let before = util::threads();
    let served = server
        .pre_serve(move || {
            if mode.contains("fail") {
                return Err(io::Error::from_raw_os_error(nix::libc::EXDEV));
            }
            assert_eq!(util::threads(), before, "there are no workers yet");
            events.add(this_thread());
            fs::write(env::var(WITNESS).expect("the test names a file"), "")
        })
        .serve(connection);
    if matches!(&served, Err(ServeError::Io(error)) if error.raw_os_error() == Some(nix::libc::EXDEV)) {
        exit(REFUSED);
    }
    served.expect("the client keeps to the protocol");
    true
}

fn command(mode: &str) -> Command {
    let mut command = test_command();
    command.env(MODE, mode);
    command
}

/// An error with its causes, as programs print it.
fn text(error: &dyn Error) -> String {
    let cause = error.source().map(|source| format!(": {}", text(source)));
    format!("{error}{}", cause.unwrap_or_default())
}

#[test]
fn spawn_returns_when_the_hook_has_run_in_the_thread_that_serves() {
    if is_child() {
        return;
    }
    let _watchdog = Watchdog::new();
    let folder = tempfile::tempdir().unwrap();
    for mode in ["one thread", "workers"] {
        let witness = folder.path().join(mode);
        let client = RecorderClient::spawn(command(mode).env(WITNESS, &witness)).unwrap();
        assert!(witness.exists(), "{mode}");
        let events = client.events().unwrap();
        assert_eq!(events.len(), 1, "{events:?}");
        if mode == "one thread" {
            assert_eq!(client.thread().unwrap(), events[0]);
        }
    }
}

#[test]
fn an_error_of_the_hook_is_told_to_the_client_and_returned_by_serve() {
    if is_child() {
        return;
    }
    let _watchdog = Watchdog::new();
    for mode in ["fail", "fail with workers"] {
        let error = RecorderClient::spawn(command(mode)).unwrap_err();
        assert!(matches!(&error, SpawnError::Handshake(ProtocolError::Accused(_))), "{error:?}");
        let expected = "could not prepare to serve: Invalid cross-device link (os error 18)";
        assert!(text(&error).ends_with(expected), "{}", text(&error));
    }
    // A client that does not wait for the introduction hears it in its first call.
    let client = RecorderClient::new(Connection::spawn(command("fail")).unwrap());
    let error = client.events().unwrap_err();
    assert!(text(&error).contains("could not prepare to serve"), "{}", text(&error));
}

#[test]
fn hooks_run_once_and_in_the_order_given() {
    let _watchdog = Watchdog::new();
    let events = Events::default();
    let (first, second) = (events.clone(), events.clone());
    let mut server = RecorderServer::new(events.clone())
        .pre_serve(move || {
            first.add("first");
            Ok(())
        })
        .workers(2)
        .pre_serve(move || {
            second.add("second");
            Ok(())
        });
    for _ in 0..3 {
        let (ours, theirs) = Connection::pair().unwrap();
        let client = thread::spawn(move || RecorderClient::new(ours).events().unwrap());
        server.serve(theirs).unwrap();
        assert_eq!(client.join().unwrap(), ["first", "second"]);
    }
    assert_eq!(events.all(), ["first", "second"]);
}

#[test]
fn no_hook_runs_for_a_client_that_does_not_fit_or_leaves() {
    let _watchdog = Watchdog::new();
    let events = Events::default();
    let noted = events.clone();
    let mut server = RecorderServer::new(events.clone()).pre_serve(move || {
        noted.add("prepared");
        Ok(())
    });
    let (ours, theirs) = Connection::pair().unwrap();
    drop(ours);
    server.serve(theirs).unwrap();

    let (ours, theirs) = Connection::pair().unwrap();
    let other = thread::spawn(move || OtherClient::new(ours).events().unwrap_err());
    let error = server.serve(theirs).unwrap_err();
    assert!(matches!(error, ServeError::Protocol(ProtocolError::Service { .. })), "{error:?}");
    // It hears what this is, and not only that it is of no use.
    let heard = text(&other.join().unwrap());
    assert!(heard.contains("Recorder") && heard.contains("Other"), "{heard}");
    assert_eq!(events.all(), <[&str; 0]>::default());

    // The hook is still there for the client that fits.
    let (ours, theirs) = Connection::pair().unwrap();
    let client = thread::spawn(move || RecorderClient::new(ours).events().unwrap());
    server.serve(theirs).unwrap();
    assert_eq!(client.join().unwrap(), ["prepared"]);
}

#[test]
fn calls_that_were_sent_before_the_hook_has_run_are_served_after_it() {
    let _watchdog = Watchdog::new();
    let events = Events::default();
    let (go, wait) = mpsc::channel::<()>();
    let noted = events.clone();
    let (ours, theirs) = Connection::pair().unwrap();
    let mut server = RecorderServer::new(events.clone()).pre_serve(move || {
        // Calls are on their way; none is read.
        wait.recv().expect("the test goes on");
        noted.add("prepared");
        Ok(())
    });
    let serving = thread::spawn(move || server.serve(theirs));
    let client = RecorderClient::new(ours);
    let calls: Vec<_> = (0..50).map(|_| client.begin_events().unwrap()).collect();
    go.send(()).unwrap();
    for call in calls {
        assert_eq!(call.wait().unwrap(), ["prepared"]);
    }
    drop(client);
    serving.join().unwrap().unwrap();
}

#[test]
fn a_listener_accepts_nobody_before_the_hook_has_run() {
    let _watchdog = Watchdog::new();
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("recorder");
    let listener = Listener::bind(&path).unwrap();
    let runs = Arc::new(AtomicUsize::new(0));

    let failing = |_: &Events| Err(io::Error::from(io::ErrorKind::PermissionDenied));
    let events = Events::default();
    let error = RecorderServer::new(events.clone()).pre_serve(move || failing(&events)).listen(&listener);
    assert!(
        matches!(&error, Err(ServeError::Io(error)) if error.kind() == io::ErrorKind::PermissionDenied),
        "{error:?}"
    );

    let events = Events::default();
    let (noted, counted) = (events.clone(), Arc::clone(&runs));
    let mut server = RecorderServer::new(events).workers(2).pre_serve(move || {
        counted.fetch_add(1, Ordering::Relaxed);
        noted.add("prepared");
        Ok(())
    });
    thread::scope(|scope| {
        let serving = scope.spawn(|| server.listen(&listener));
        for _ in 0..3 {
            assert_eq!(RecorderClient::connect(&path).unwrap().events().unwrap(), ["prepared"]);
        }
        listener.close().unwrap();
        serving.join().unwrap().unwrap();
    });
    assert_eq!(runs.load(Ordering::Relaxed), 1);
}

#[test]
fn a_server_with_a_hook_can_be_sent_and_shared_as_one_without() {
    fn check<T: Send + Sync + 'static>(_: &T) {}
    check(&RecorderServer::new(Events::default()).pre_serve(|| Ok(())));
}
