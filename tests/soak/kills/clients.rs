//! Clients that are killed under a server, which is in this process and goes on for the others.

use std::io::{BufRead, BufReader};
use std::path::Path;
use std::process::{Child, Stdio};
use std::sync::Arc;
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant};

use fastrand::Rng;
use tempfile::TempDir;
use unix_ipc::{Listener, ServeError, test_command};

use super::service::{MOMENT, PATH, TargetClient, TargetServer, Victim, warm};
use super::{Moment, Waits};
use crate::settings::BOUND;
use crate::util::{Holdings, is_running, threads, wait_until};

/// A server of this process, with a client that keeps to the protocol and lives on.
pub(super) struct House {
    listener: Arc<Listener>,
    server: JoinHandle<Result<(), ServeError>>,
    honest: TargetClient,
    /// What this process holds with these two alone, threads included.
    before: (Holdings, usize),
    _directory: TempDir,
}

impl House {
    pub(super) fn open() -> Self {
        let directory = tempfile::tempdir().expect("there is room for a directory");
        let listener = Arc::new(Listener::bind(directory.path().join("house")).expect("nothing is there"));
        let serving = Arc::clone(&listener);
        let server = thread::spawn(move || TargetServer::new(Victim).workers(2).listen(&serving));
        let honest = TargetClient::connect(listener.path()).expect("it listens");
        warm(&honest);
        let before = (Holdings::with_mappings(), threads());
        Self { listener, server, honest, before, _directory: directory }
    }

    /// Waits until nothing is left of the dead.
    pub(super) fn assert_restored(&self) {
        let (before, running) = &self.before;
        before.assert_restored();
        assert!(wait_until(BOUND, || threads() == *running), "{} threads, not {running}", threads());
    }

    pub(super) fn close(self) {
        self.listener.close().expect("it listens");
        self.server.join().expect("it does not panic").expect("it ends well");
    }

    fn path(&self) -> &Path {
        self.listener.path()
    }
}

/// Starts a client, and returns when it says that it is ready; with the number of its own child, if it says one.
fn start(path: &Path, moment: Moment) -> (Child, Option<u32>) {
    let mut command = test_command();
    command.env(MOMENT, moment.name()).env(PATH, path).stderr(Stdio::piped());
    let mut client = command.spawn().expect("the test runs as a child");
    let mut output = BufReader::new(client.stderr.take().expect("it was asked for"));
    let (mut said, mut line) = (None, String::new());
    while line.trim() != "ready" {
        said = line.trim().parse().ok().or(said);
        line.clear();
        let read = output.read_line(&mut line).expect("a pipe can be read");
        assert!(read > 0, "the client ended before it was ready");
    }
    // What it says as it dies has no reader, which must not be what ends it.
    thread::spawn(move || output.lines().for_each(drop));
    (client, said)
}

/// Kills a client at such a moment, and calls as another one.
pub(super) fn kill(house: &House, moment: Moment, rng: &mut Rng) -> Waits {
    let (mut client, grandchild) = start(house.path(), moment);
    if moment == Moment::Sleeping {
        let stat = format!("/proc/{}/stat", client.id());
        let sleeps = || std::fs::read_to_string(&stat).is_ok_and(|stat| stat.contains(") S "));
        assert!(wait_until(BOUND, sleeps), "the client waits");
    }
    thread::park_timeout(Duration::from_micros(rng.u64(..5000)));
    let killed = Instant::now();
    client.kill().expect("it is there");
    client.wait().expect("it is there no more");
    let ended = Instant::now();
    if let Some(grandchild) = grandchild {
        assert!(wait_until(BOUND, || !is_running(grandchild)), "the child of the dead goes on");
    }
    assert_eq!(house.honest.echo(b"next").expect("the server goes on"), b"next");
    let waits = Waits::until(Instant::now(), killed, ended);
    let other = TargetClient::connect(house.path()).expect("it listens");
    warm(&other);
    waits
}
