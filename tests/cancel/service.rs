//! The service that the tests call, in a child that serves in one of several ways.

use std::env;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Barrier, Mutex};
use std::thread;
use std::time::Duration;

use unix_ipc::{CallContext, Connection, Receiver, Sender, ipc_service, test_command};

use crate::util::{Holdings, threads};

/// Far longer than anything takes, and no test waits for its end.
pub(crate) const LONG: Duration = Duration::from_secs(50);

#[ipc_service]
pub(crate) trait Slow {
    /// Says that it runs, and ends when the gate's senders are gone.
    fn hold(&self, runs: Sender<()>, gate: Receiver<()>);
    /// The same, ended by the server's own process.
    fn block(&self, runs: Sender<()>);
    fn mark(&self, number: u32);
    fn carry(&self, number: u32, bytes: Vec<u8>);
    #[oneway]
    fn note(&self, number: u32);
    /// What was marked, carried and noted.
    fn marks(&self) -> Vec<u32>;
    /// Says that it runs, and then whether it was cancelled.
    fn wait(&self, ctx: &CallContext, events: Sender<Event>);
    /// The same, but asks again and again.
    fn ask(&self, events: Sender<Event>, ctx: &CallContext);
    fn caller(&self, ctx: &CallContext) -> Option<(i32, u32, u32)>;
    fn left(&self, ctx: &CallContext) -> Option<Duration>;
    /// Calls another service's `hold` without any time of its own: how that ended.
    fn call_on(&self, other: SlowClient, runs: Sender<()>, gate: Receiver<()>) -> String;
    /// Whether the context of a one-way call knows its caller.
    #[oneway]
    fn note_caller(&self, ctx: &CallContext, seen: Sender<bool>);
    fn holdings(&self) -> (usize, usize);
    fn keep(&self, number: u32, senders: Vec<Sender<()>>);
    /// Leaves a thread behind that asks about this call until `stop_asking`.
    fn go_on_asking(&self, ctx: &CallContext);
    fn stop_asking(&self);
}

#[derive(Debug, PartialEq, serde::Serialize, serde::Deserialize)]
pub(crate) enum Event {
    Runs,
    Cancelled(bool),
}

#[derive(Default)]
pub(crate) struct Sloth {
    marks: Mutex<Vec<u32>>,
    barrier: Option<Arc<Barrier>>,
    asking: Mutex<Vec<thread::JoinHandle<()>>>,
    may_stop: Arc<AtomicBool>,
}

impl Sloth {
    /// One whose `block` ends when somebody else is there as well.
    pub(crate) fn behind(barrier: &Arc<Barrier>) -> Self {
        Self { barrier: Some(Arc::clone(barrier)), ..Self::default() }
    }

    fn add(&self, number: u32) {
        self.marks.lock().expect("nobody panics with it").push(number);
    }
}

impl Slow for Sloth {
    fn hold(&self, runs: Sender<()>, gate: Receiver<()>) {
        let _ = runs.send(());
        let _ = gate.recv();
    }

    fn block(&self, runs: Sender<()>) {
        let _ = runs.send(());
        self.barrier.as_ref().expect("the test has it").wait();
    }

    fn mark(&self, number: u32) {
        self.add(number);
    }

    fn carry(&self, number: u32, _: Vec<u8>) {
        self.add(number);
    }

    fn note(&self, number: u32) {
        self.add(number);
    }

    fn marks(&self) -> Vec<u32> {
        self.marks.lock().expect("nobody panics with it").clone()
    }

    fn wait(&self, ctx: &CallContext, events: Sender<Event>) {
        let _ = events.send(Event::Runs);
        let cancelled = ctx.wait_cancelled(LONG);
        let _ = events.send(Event::Cancelled(cancelled));
    }

    fn ask(&self, events: Sender<Event>, ctx: &CallContext) {
        let _ = events.send(Event::Runs);
        while !ctx.is_cancelled() {
            thread::yield_now();
        }
        let _ = events.send(Event::Cancelled(true));
    }

    fn caller(&self, ctx: &CallContext) -> Option<(i32, u32, u32)> {
        ctx.peer().map(|peer| (peer.pid(), peer.uid(), peer.gid()))
    }

    fn left(&self, ctx: &CallContext) -> Option<Duration> {
        ctx.time_left()
    }

    fn call_on(&self, other: SlowClient, runs: Sender<()>, gate: Receiver<()>) -> String {
        other.hold(runs, gate).map_or_else(|error| error.to_string(), |()| "held".to_owned())
    }

    fn note_caller(&self, ctx: &CallContext, seen: Sender<bool>) {
        let _ = seen.send(ctx.peer().is_some() && !ctx.is_cancelled() && ctx.time_left().is_none());
    }

    fn holdings(&self) -> (usize, usize) {
        (Holdings::now().descriptor_count(), threads())
    }

    fn keep(&self, number: u32, _: Vec<Sender<()>>) {
        self.add(number);
    }

    fn go_on_asking(&self, ctx: &CallContext) {
        let (ctx, may_stop) = (ctx.clone(), Arc::clone(&self.may_stop));
        let asks = move || {
            while !may_stop.load(Ordering::SeqCst) {
                let _ = ctx.is_cancelled();
            }
        };
        self.asking.lock().expect("nobody panics with it").push(thread::spawn(asks));
    }

    fn stop_asking(&self) {
        self.may_stop.store(true, Ordering::SeqCst);
        for asking in self.asking.lock().expect("nobody panics with it").drain(..) {
            asking.join().expect("it only asks");
        }
        self.may_stop.store(false, Ordering::SeqCst);
    }
}

/// How the child serves, as the test says in this variable.
const WAY: &str = "UNIX_IPC_TEST_WAY";

/// With one thread, and with several, which read by turns.
pub(crate) const WAYS: [&str; 2] = ["alone", "workers"];

/// Serves, where this is the child that a test spawned: then the test is over there.
pub(crate) fn is_child() -> bool {
    let Some(connection) = Connection::inherited().expect("the connection is sound") else { return false };
    let server = SlowServer::new(Sloth::default());
    let served = match env::var(WAY).expect("the test says how").as_str() {
        "alone" => { server }.serve(connection),
        "workers" => server.workers(2).serve(connection),
        // A loop of one's own, which hands tasks to other threads.
        _ => {
            thread::scope(|scope| {
                for task in connection.tasks::<SlowTask>() {
                    let task = task.expect("the client keeps to the protocol");
                    let service = server.service();
                    scope.spawn(move || task.dispatch(service));
                }
            });
            Ok(())
        }
    };
    served.expect("the client keeps to the protocol");
    true
}

/// A child, whose connection has rings where it is a busy one.
pub(crate) fn spawn(way: &str, is_busy: bool) -> SlowClient {
    let client = SlowClient::spawn(test_command().env(WAY, way)).expect("the test runs as a child");
    for _ in 0..if is_busy { 100 } else { 0 } {
        client.marks().expect("the child lives");
    }
    client
}
