//! The process that is lied to. It is told what to do over a connection that nobody lies on.

use std::env;
use std::fs::{self, File};
use std::io;
use std::os::fd::OwnedFd;
use std::panic;
use std::path::Path;
use std::process::{self, Child, Stdio};
use std::thread;
use std::time::Duration;

use serde::{Deserialize, Serialize};
use unix_ipc::{
    CallError, Connection, Handle, Limits, Listener, RawReceiver, RawSender, Receiver, RecvError, SendError,
    Sender, ipc_service, test_command,
};

use super::values::Value;
use super::wire::{Door, Vault as _, VaultClient, VaultServer};
use crate::settings::BOUND;
use crate::util;

/// What the victim allows a peer. Memory is held against these.
pub(crate) fn limits() -> Limits {
    let mut limits = Limits::default();
    limits.message_bytes = 1 << 20;
    limits.unfinished_messages = 4;
    limits.calls_in_flight = 64;
    limits.unread_reply_bytes = 1 << 20;
    limits.queued_reply_bytes = 1 << 20;
    limits
}

/// What one peer can make the victim keep, at most: both rings grown, what is unfinished and its copy, and what waits.
pub(crate) fn bytes_of_a_peer() -> u64 {
    let limits = limits();
    let messages = limits.message_bytes * (limits.unfinished_messages + 2);
    let bytes = 2 * limits.long_ring_bytes + messages + limits.unread_reply_bytes + limits.queued_reply_bytes;
    bytes as u64
}

/// What the victim holds.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Usage {
    pub(crate) descriptors: usize,
    pub(crate) threads: usize,
    pub(crate) mappings: usize,
}

#[ipc_service]
pub(crate) trait Victim {
    /// Serves whoever is at the other end.
    fn serve(&self, socket: Handle<OwnedFd>, workers: usize) -> Result<(), String>;
    /// Serves whoever comes, and goes on with it.
    fn listen(&self, path: &Path) -> io::Result<()>;
    /// Calls whoever is at the other end, until that is over: how many calls were answered.
    fn call(&self, socket: Handle<OwnedFd>) -> u64;
    /// Receives until there is no sender: how many values came.
    fn receive(&self, socket: Handle<OwnedFd>) -> u64;
    /// Sends until there is no receiver: how many values it took.
    fn send(&self, socket: Handle<OwnedFd>) -> u64;
    fn usage(&self) -> Usage;
    /// The bytes of memory it has now, and has had at most.
    fn memory(&self) -> (u64, u64);
}

struct Prey;

impl Victim for Prey {
    fn serve(&self, socket: Handle<OwnedFd>, workers: usize) -> Result<(), String> {
        let connection = Connection::from(socket.into_inner()).with_limits(limits());
        let server = VaultServer::new(Door);
        let served = if workers > 1 {
            server.workers(workers).serve(connection)
        } else {
            { server }.serve(connection)
        };
        served.map_err(|error| format!("{error:?}"))
    }

    fn listen(&self, path: &Path) -> io::Result<()> {
        let listener = Listener::bind(path)?.with_limits(limits());
        thread::spawn(move || {
            let ended = VaultServer::new(Door).workers(3).listen(&listener);
            panic!("nobody told it to stop: {ended:?}");
        });
        Ok(())
    }

    fn call(&self, socket: Handle<OwnedFd>) -> u64 {
        let connection = Connection::from(socket.into_inner()).with_limits(limits());
        let client = VaultClient::from(connection);
        thread::scope(|scope| {
            let callers = [0, 1].map(|_| scope.spawn(|| call_until_it_is_over(&client)));
            callers.map(|caller| caller.join().expect("no panic")).iter().sum()
        })
    }

    fn receive(&self, socket: Handle<OwnedFd>) -> u64 {
        let raw = RawReceiver::from(socket.into_inner()).with_limits(limits());
        let receiver = Receiver::<Value>::from(raw);
        let mut values = 0;
        loop {
            match receiver.recv() {
                Ok(value) => value.touch(),
                Err(RecvError::Disconnected) => return values,
                Err(RecvError::Io(error)) => panic!("{error}"),
                Err(_) => continue,
            }
            values += 1;
        }
    }

    fn send(&self, socket: Handle<OwnedFd>) -> u64 {
        let sender = Sender::<Value>::from(RawSender::from(socket.into_inner()));
        let mut taken = 0;
        for number in 0.. {
            match sender.try_send(Value::small(number)) {
                Ok(()) => taken += 1,
                Err(SendError::Disconnected(_)) => break,
                Err(SendError::Full(_)) => thread::park_timeout(Duration::from_micros(50)),
                // The lie is named once.
                Err(error) => drop(error),
            }
        }
        taken
    }

    fn usage(&self) -> Usage {
        let pid = process::id();
        let descriptors = fs::read_dir("/proc/self/fd").map_or(0, Iterator::count);
        Usage { descriptors, threads: util::threads(), mappings: util::mappings(pid) }
    }

    fn memory(&self) -> (u64, u64) {
        let status = fs::read_to_string("/proc/self/status").expect("proc(5) is there");
        let kibibytes = |name: &str| {
            let line = status.lines().find_map(|line| line.strip_prefix(name));
            let number = line.and_then(|line| line.trim().trim_end_matches(" kB").parse::<u64>().ok());
            number.expect("a number") << 10
        };
        (kibibytes("VmRSS:"), kibibytes("VmHWM:"))
    }
}

fn call_until_it_is_over(client: &VaultClient) -> u64 {
    let mut answered = 0;
    for number in 0.. {
        let called = match number % 4 {
            0 => File::open("/dev/null").map_or(Ok(0), |file| client.count(vec![file.into()])).map(drop),
            1 => client.note("a word"),
            2 => client.begin_double(number).map(drop),
            _ => client.double(number).map(drop),
        };
        match called {
            Ok(()) => answered += 1,
            Err(CallError::Disconnected { .. } | CallError::Protocol { .. }) if is_over(client) => break,
            Err(CallError::Timeout { .. } | CallError::Io { .. } | CallError::PeerDied { .. }) => {
                panic!("{called:?}")
            }
            Err(_) => {}
        }
    }
    answered
}

/// A wrong reply fails one call; the end of the connection fails every call.
fn is_over(client: &VaultClient) -> bool {
    matches!(client.note("?"), Err(CallError::Disconnected { .. } | CallError::Protocol { .. }))
}

/// Where the victim is told what to do. It is not spawned by the library: then it would make no memory of its own, for lanes.
const CONTROL: &str = "UNIX_IPC_TEST_SOAK_CONTROL";

/// The victim's process, which ends with this.
pub(crate) struct Process(Child);

impl Process {
    pub(crate) fn start(control: &Path) -> (Self, VictimClient) {
        let mut command = test_command();
        let child = command.env(CONTROL, control).stdin(Stdio::piped()).spawn().expect("the test runs again");
        let process = Self(child);
        let mut client = None;
        let is_here = util::wait_until(BOUND, || {
            client = VictimClient::connect(control).ok();
            client.is_some()
        });
        assert!(is_here, "the victim does not listen");
        (process, client.expect("it is here"))
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        drop(self.0.stdin.take());
        let ended = self.0.wait().expect("it is a child");
        assert!(ended.success() || thread::panicking(), "the victim ended: {ended}");
    }
}

/// True in the victim, when nobody tells it anything any more.
pub(crate) fn is_victim() -> bool {
    let Some(control) = env::var_os(CONTROL) else { return false };
    // Dispatching catches panics; here none may go unseen.
    panic::set_hook(Box::new(|what| {
        eprintln!("the victim panics: {what}");
        process::abort();
    }));
    let listener = Listener::bind(control).expect("nothing is there");
    thread::scope(|scope| {
        scope.spawn(|| {
            // The end of whoever started this is the end of it.
            let _ = io::stdin().read_line(&mut String::new());
            process::exit(0);
        });
        VictimServer::new(Prey).workers(2).listen(&listener).expect("nobody lies here");
    });
    true
}

/// Holds a wire-made call against the same by the library: the tests of lies are none if the truth is no truth.
pub(crate) fn doubled(number: u64) -> u64 {
    Door.double(number)
}
