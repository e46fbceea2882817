//! The service, and listeners that serve it.

use std::os::fd::OwnedFd;
use std::path::Path;
use std::thread;
use std::time::Duration;

use unix_ipc::{CallContext, Connection, Handle, Limits, Listener, Receiver, Sender, ipc_service};

use crate::util::wait_until;

#[ipc_service]
pub(crate) trait Counter {
    fn double(&self, number: u64) -> u64;
    fn bytes(&self, count: usize) -> Vec<u8>;
    /// The same for something.
    fn bytes_for(&self, file: Handle<OwnedFd>, count: usize) -> Vec<u8>;
    /// Returns when the sender at the other end is gone.
    fn wait(&self, gate: Receiver<()>);
    /// Waits, reads what has come meanwhile, says so, and waits again.
    fn read_ahead(&self, ctx: &CallContext, first: Receiver<()>, read: Sender<bool>, second: Receiver<()>);
    #[oneway]
    fn note(&self, number: u64);
    /// The same as `wait`, for nobody.
    #[oneway]
    fn pause(&self, gate: Receiver<()>);
}

pub(crate) struct Clerk;

impl Counter for Clerk {
    fn double(&self, number: u64) -> u64 {
        2 * number
    }

    fn bytes(&self, count: usize) -> Vec<u8> {
        vec![7; count]
    }

    fn bytes_for(&self, _: Handle<OwnedFd>, count: usize) -> Vec<u8> {
        vec![7; count]
    }

    fn wait(&self, gate: Receiver<()>) {
        let _ = gate.recv();
    }

    fn read_ahead(&self, ctx: &CallContext, first: Receiver<()>, read: Sender<bool>, second: Receiver<()>) {
        let _ = first.recv();
        let _ = read.send(ctx.is_cancelled());
        let _ = second.recv();
    }

    fn note(&self, _: u64) {}

    fn pause(&self, gate: Receiver<()>) {
        let _ = gate.recv();
    }
}

/// Far above what anything here takes, so that it decides only how long a failing test takes.
pub(crate) const LONG: Duration = Duration::from_secs(20);

/// Serves at a fresh path while something happens; the listener is closed afterwards.
pub(crate) fn serve_while(limits: Limits, workers: usize, happens: impl FnOnce(&Path)) {
    let directory = tempfile::tempdir().expect("there is room for a directory");
    let listener = Listener::bind(directory.path().join("counter")).expect("nothing is there yet");
    let listener = listener.with_limits(limits);
    thread::scope(|scope| {
        let server = scope.spawn(|| CounterServer::new(Clerk).workers(workers).listen(&listener));
        happens(listener.path());
        listener.close().expect("a listener can be closed");
        server.join().expect("the server does not panic").expect("the listener does not fail");
    });
}

/// One that connects and says nothing.
pub(crate) fn stranger(path: &Path) -> Connection {
    Connection::connect(path).expect("somebody listens")
}

/// Who connects as soon as there is room.
pub(crate) fn client_in_time(path: &Path) -> CounterClient {
    let mut client = None;
    let connects = || {
        client = CounterClient::connect(path).ok();
        client.is_some()
    };
    assert!(wait_until(LONG, connects), "there is room for one more");
    client.expect("it has connected")
}
