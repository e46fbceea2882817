//! The service, which keeps a book of what was begun, and the ways in which it is served.

use std::env;
use std::fs::File;
use std::mem;
use std::sync::{Arc, Mutex};
use std::thread::{self, JoinHandle};
use std::time::Duration;

use serde::{Deserialize, Serialize};
use tempfile::TempDir;
use unix_ipc::{
    CallContext, Connection, Handle, Limits, Listener, Receiver, Sender, ServeError, SpawnOptions,
    ipc_service, test_command,
};

use crate::settings::BOUND;
use crate::util::{Holdings, threads};

#[ipc_service]
pub(crate) trait Book {
    fn mark(&self, number: u64);
    /// Takes about so long.
    fn work(&self, number: u64, microseconds: u64);
    fn carry(&self, number: u64, bytes: &[u8], file: Option<Handle<File>>);
    /// Ends when it is cancelled, and says whether that came in time.
    fn attend(&self, ctx: &CallContext, number: u64, given: Option<Duration>) -> bool;
    #[oneway]
    fn note(&self, thread: u64, number: u64);
    /// Says that it has begun, and ends when the gate's senders are gone.
    fn hold(&self, begun: Sender<()>, gate: Receiver<()>);
    /// What has happened since this was called last.
    fn take(&self) -> Entries;
    /// How many descriptors and threads the process has.
    fn holdings(&self) -> (usize, usize);
}

#[derive(Default, Serialize, Deserialize)]
pub(crate) struct Entries {
    /// The calls that were begun.
    pub(crate) begun: Vec<u64>,
    /// The one-way calls: by which thread, and its number.
    pub(crate) notes: Vec<(u64, u64)>,
    /// The calls that were not told of their end.
    pub(crate) deaf: Vec<u64>,
    /// The calls that had more time left than they were given, or another's.
    pub(crate) mistimed: Vec<u64>,
}

#[derive(Default)]
pub(crate) struct Clerk {
    entries: Mutex<Entries>,
}

impl Clerk {
    fn add(&self, act: impl FnOnce(&mut Entries)) {
        act(&mut self.entries.lock().expect("nobody panics with it"));
    }
}

impl Book for Clerk {
    fn mark(&self, number: u64) {
        self.add(|entries| entries.begun.push(number));
    }

    fn work(&self, number: u64, microseconds: u64) {
        self.mark(number);
        thread::park_timeout(Duration::from_micros(microseconds));
    }

    fn carry(&self, number: u64, _bytes: &[u8], _file: Option<Handle<File>>) {
        self.mark(number);
    }

    fn attend(&self, ctx: &CallContext, number: u64, given: Option<Duration>) -> bool {
        self.mark(number);
        let is_right = match (ctx.time_left(), given) {
            (Some(left), Some(given)) => left <= given,
            (left, given) => left.is_none() && given.is_none(),
        };
        let is_told = ctx.wait_cancelled(BOUND);
        self.add(|entries| {
            entries.mistimed.extend((!is_right).then_some(number));
            entries.deaf.extend((!is_told).then_some(number));
        });
        is_told
    }

    fn note(&self, thread: u64, number: u64) {
        self.add(|entries| entries.notes.push((thread, number)));
    }

    fn hold(&self, begun: Sender<()>, gate: Receiver<()>) {
        let _ = begun.send(());
        let _ = gate.recv();
    }

    fn take(&self) -> Entries {
        mem::take(&mut *self.entries.lock().expect("nobody panics with it"))
    }

    fn holdings(&self) -> (usize, usize) {
        (Holdings::now().descriptor_count(), threads())
    }
}

/// How the service is served.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Way {
    /// By a child with one thread.
    Serve,
    /// By a child with several.
    Workers,
    /// By a thread of this process, to whoever connects.
    Listener,
    /// By several.
    ListenerWithWorkers,
}

impl Way {
    pub(crate) const ALL: [Self; 4] = [Self::Serve, Self::Workers, Self::Listener, Self::ListenerWithWorkers];

    /// How many calls run at once.
    pub(crate) fn threads(self) -> usize {
        match self {
            Self::Serve | Self::Listener => 1,
            Self::Workers | Self::ListenerWithWorkers => 3,
        }
    }
}

/// How many threads a child serves with.
const WORKERS: &str = "UNIX_IPC_TEST_SOAK_CANCELS";

/// Serves, where this is the child: then the test is over there.
pub(crate) fn is_child() -> bool {
    let Some(connection) = Connection::inherited().expect("the connection is sound") else { return false };
    let server = BookServer::new(Clerk::default());
    let served = match env::var(WORKERS).expect("the test says how many").parse() {
        Ok(1) => { server }.serve(connection),
        Ok(workers) => server.workers(workers).serve(connection),
        Err(error) => panic!("{error}"),
    };
    served.expect("the client keeps to the protocol");
    true
}

type Serving = (Arc<Listener>, JoinHandle<Result<(), ServeError>>, TempDir);

/// Somebody who serves in such a way, and a client for each thread that calls.
pub(crate) struct Office {
    pub(crate) clients: Vec<BookClient>,
    serving: Option<Serving>,
}

impl Office {
    /// Clients of a child are clones of one, and those of a listener have a connection each.
    pub(crate) fn open(way: Way, clients: usize, has_rings: bool) -> Self {
        let mut limits = Limits::default();
        if !has_rings {
            limits.ring_bytes = 0;
        }
        if matches!(way, Way::Serve | Way::Workers) {
            let mut command = test_command();
            command.env(WORKERS, way.threads().to_string());
            let connection = Connection::spawn_with(command, &SpawnOptions::new().limits(limits));
            let client = BookClient::new(connection.expect("the test runs as a child"));
            return Self { clients: vec![client; clients], serving: None };
        }
        let directory = tempfile::tempdir().expect("there is room for a directory");
        let listener = Arc::new(Listener::bind(directory.path().join("office")).expect("nothing is there"));
        let theirs = Arc::clone(&listener);
        let server = BookServer::new(Clerk::default());
        let serving = thread::spawn(move || match way.threads() {
            1 => { server }.listen(&theirs),
            several => server.workers(several).listen(&theirs),
        });
        let connect = || {
            let connection = Connection::connect(listener.path()).expect("it listens");
            BookClient::new(connection.with_limits(limits))
        };
        let clients = (0..clients).map(|_| connect()).collect();
        Self { clients, serving: Some((listener, serving, directory)) }
    }

    pub(crate) fn close(self) {
        drop(self.clients);
        if let Some((listener, serving, _directory)) = self.serving {
            listener.close().expect("it listens");
            serving.join().expect("it does not panic").expect("it ends well");
        }
    }
}
