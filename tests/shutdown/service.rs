//! The service that the tests end, in a child that serves in one of several ways.

use std::env;
use std::process;
use std::sync::OnceLock;
use std::time::Duration;

use unix_ipc::{CallContext, Connection, Listener, Receiver, Sender, Stopper, ipc_service, test_command};

/// Far longer than anything takes, and no test waits for its end.
pub(crate) const LONG: Duration = Duration::from_secs(50);

#[ipc_service]
pub(crate) trait Office {
    fn add(&self, a: u32, b: u32) -> u32;
    fn process(&self) -> u32;
    /// Says that it runs, and ends when the gate's senders are gone.
    fn hold(&self, runs: Sender<()>, gate: Receiver<()>) -> u32;
    fn bytes(&self, count: u32) -> Vec<u8>;
    /// Says that it runs, and whether it was cancelled.
    fn wait(&self, ctx: &CallContext, events: Sender<bool>);
    /// Stops the server from within.
    fn stop(&self) -> u32;
    /// Does not end whatever happens.
    fn never(&self, runs: Sender<()>);
}

#[derive(Default)]
pub(crate) struct Clerk {
    /// What ends its own server, where a handler may.
    pub(crate) stopper: OnceLock<Stopper>,
}

impl Office for Clerk {
    fn add(&self, a: u32, b: u32) -> u32 {
        a + b
    }

    fn process(&self) -> u32 {
        process::id()
    }

    fn hold(&self, runs: Sender<()>, gate: Receiver<()>) -> u32 {
        let _ = runs.send(());
        let _ = gate.recv();
        7
    }

    fn bytes(&self, count: u32) -> Vec<u8> {
        vec![7; count as usize]
    }

    fn wait(&self, ctx: &CallContext, events: Sender<bool>) {
        let _ = events.send(false);
        let _ = events.send(ctx.wait_cancelled(LONG));
    }

    fn stop(&self) -> u32 {
        if let Some(stopper) = self.stopper.get() {
            stopper.shutdown(LONG);
        }
        8
    }

    fn never(&self, runs: Sender<()>) {
        let _ = runs.send(());
        loop {
            std::thread::park();
        }
    }
}

/// How the child serves, and the path where it listens, if it does.
const WAY: &str = "UNIX_IPC_TEST_WAY";
const PATH: &str = "UNIX_IPC_TEST_PATH";

/// The status with which the child ends when serving is over.
pub(crate) const STATUS: i32 = 23;

/// The time that a child that watches for SIGTERM gives to calls that run.
pub(crate) const SIGTERM_TIME: Duration = Duration::from_millis(300);

/// Serves, where this is the child that a test spawned, and ends with a status of its own.
pub(crate) fn is_child() -> bool {
    let Some(connection) = Connection::inherited().expect("the connection is sound") else { return false };
    let way = env::var(WAY).expect("the test says how");
    let mut server = OfficeServer::new(Clerk::default());
    if way.contains("sigterm") {
        server = server.shutdown_on_sigterm(SIGTERM_TIME).expect("there is room for an eventfd");
    }
    if way.contains("workers") {
        server = server.workers(3);
    }
    let served = match env::var_os(PATH) {
        None => server.serve(connection),
        Some(path) => {
            let listener = Listener::bind(path).expect("nothing is there yet");
            // The spawner sees that it listens when it has an answer.
            let answers = connection.tasks::<OfficeTask>().next();
            answers.expect("the spawner asks").expect("it keeps to the protocol").dispatch(&Clerk::default());
            server.listen(&listener)
        }
    };
    served.expect("its clients keep to the protocol");
    process::exit(STATUS);
}

/// A child, whose connection has rings where it is a busy one.
pub(crate) fn spawn(way: &str, is_busy: bool) -> OfficeClient {
    let client = OfficeClient::spawn(test_command().env(WAY, way)).expect("the test runs as a child");
    for number in 0..if is_busy { 100 } else { 0 } {
        assert_eq!(client.add(number, 1).ok(), Some(number + 1));
    }
    client
}

/// A child that listens at a path, and the client that spawned it.
pub(crate) fn spawn_listener(way: &str, path: &std::path::Path) -> OfficeClient {
    let mut command = test_command();
    let connection =
        Connection::spawn(command.env(WAY, way).env(PATH, path)).expect("the test runs as a child");
    let spawner = OfficeClient::new(connection);
    spawner.process().expect("it listens");
    spawner
}
