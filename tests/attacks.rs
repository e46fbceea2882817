//! Promises that only an unkind peer, or an unkind moment, puts to the test.

#[path = "util/mod.rs"]
mod util;

use std::fs;
use std::thread;
use std::time::{Duration, Instant};

use nix::sys::resource::{Resource, getrlimit, setrlimit};
use serde::{Deserialize, Deserializer, Serialize};
use unix_ipc::{
    CallError, Connection, LimitExceeded, Limits, Listener, Sender, SpawnOptions, channel, ipc_service,
    test_command,
};
use util::{Watchdog, alone, wait_until};

/// Far above what it takes for a thread to fall asleep.
const SOON: Duration = Duration::from_secs(30);

/// Panics where it is decoded and the number is odd.
#[derive(Debug, Serialize)]
struct Even(u32);

impl<'de> Deserialize<'de> for Even {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let number = u32::deserialize(deserializer)?;
        assert!(number.is_multiple_of(2), "{number} is odd");
        Ok(Self(number))
    }
}

#[ipc_service]
trait Plain {
    fn double(&self, number: u32) -> u32;
    fn halve(&self, number: Even) -> u32;
    fn text(&self) -> String;
}

struct Server;

impl Plain for Server {
    fn double(&self, number: u32) -> u32 {
        2 * number
    }

    fn halve(&self, number: Even) -> u32 {
        number.0 / 2
    }

    fn text(&self) -> String {
        "text".to_owned()
    }
}

#[test]
fn a_connection_without_descriptors_can_be_spawned() {
    if let Some(connection) = Connection::inherited().unwrap() {
        PlainServer::new(Server).serve(connection).unwrap();
        return;
    }
    let _watchdog = Watchdog::new();
    for descriptors in 0..4 {
        let mut limits = Limits::default();
        limits.descriptors = descriptors;
        limits.spare_pairs = usize::MAX;
        let options = SpawnOptions::new().limits(limits);
        let client = PlainClient::new(Connection::spawn_with(test_command(), &options).unwrap());
        assert_eq!(client.double(4).unwrap(), 8);
    }
}

/// Whether a thread of this process waits for something (proc(5)).
fn sleeps(thread: &str) -> bool {
    let tasks = fs::read_dir("/proc/self/task").expect("proc is there").flatten();
    let mut stats = tasks.filter_map(|task| fs::read_to_string(task.path().join("stat")).ok());
    stats.any(|stat| stat.contains(&format!("({thread}) S ")))
}

#[test]
fn the_peer_is_known_to_all_while_one_thread_waits_for_calls() {
    let _watchdog = Watchdog::new();
    let (ours, theirs) = Connection::pair().unwrap();
    thread::scope(|scope| {
        let named = |name: &str| thread::Builder::new().name(name.to_owned());
        let reader = named("reads").spawn_scoped(scope, || {
            for task in theirs.tasks::<PlainTask>() {
                task.unwrap().dispatch(&Server);
            }
        });
        assert!(wait_until(SOON, || sleeps("reads")));
        let asked = named("asks").spawn_scoped(scope, || theirs.peer_credentials()).unwrap();
        assert!(wait_until(SOON, || sleeps("asks")));
        let client = PlainClient::new(ours);
        let start = Instant::now();
        assert_eq!(client.double(1).unwrap(), 2);
        let peer = asked.join().unwrap().unwrap();
        assert_eq!(u32::try_from(peer.pid()), Ok(std::process::id()));
        assert!(start.elapsed() < Limits::default().handshake / 2, "{:?}", start.elapsed());
        drop(client);
        reader.unwrap().join().unwrap();
    });
}

#[test]
fn p53_an_argument_that_panics_while_it_is_decoded_fails_its_call_alone() {
    let _watchdog = Watchdog::new();
    let odd = |client: &PlainClient| {
        let error = client.halve(Even(3)).unwrap_err();
        let CallError::Panicked { message, .. } = &error else { panic!("{error:?}") };
        assert_eq!(message, "3 is odd");
        assert_eq!(client.halve(Even(4)).unwrap(), 2);
    };
    let (ours, theirs) = Connection::pair().unwrap();
    let server = thread::spawn(|| PlainServer::new(Server).serve(theirs));
    odd(&PlainClient::new(ours));
    server.join().unwrap().unwrap();
    for workers in [1, 2] {
        let directory = tempfile::tempdir().unwrap();
        let listener = Listener::bind(directory.path().join("plain")).unwrap();
        thread::scope(|scope| {
            let server = scope.spawn(|| PlainServer::new(Server).workers(workers).listen(&listener));
            let other = PlainClient::connect(listener.path()).unwrap();
            (0..3).for_each(|_| odd(&PlainClient::connect(listener.path()).unwrap()));
            assert_eq!(other.double(1).unwrap(), 2);
            listener.close().unwrap();
            server.join().unwrap().unwrap();
        });
    }
}

#[test]
fn a_forwarded_reply_keeps_to_the_callers_limits() {
    let _watchdog = Watchdog::new();
    let (ours, theirs) = Connection::pair().unwrap();
    let mut limits = Limits::default();
    limits.message_bytes = 1000;
    let client = PlainClient::new(ours.with_limits(limits));
    let server = thread::spawn(move || {
        let (sender, receiver) = channel::<Sender<String>>().unwrap();
        for task in theirs.tasks::<PlainTask>() {
            let PlainTask::Text { reply } = task.unwrap() else { panic!("another call") };
            sender.send(reply).unwrap();
            let _ = receiver.recv().unwrap().send("x".repeat(2000));
        }
    });
    let error = client.text().unwrap_err();
    let CallError::Refused { source: LimitExceeded::MessageBytes { limit: 1000, .. }, .. } = error else {
        panic!("{error:?}");
    };
    drop(client);
    server.join().unwrap();
}

#[test]
fn p43_a_name_that_is_too_long_is_named_wherever_it_stands() {
    let error = Listener::bind("n".repeat(200)).unwrap_err();
    assert!(error.to_string().contains("200 bytes"), "{error}");
}

#[test]
fn more_workers_than_there_is_memory_for_are_an_error_and_no_hang() {
    if !alone() {
        return;
    }
    let _watchdog = Watchdog::new();
    let directory = tempfile::tempdir().unwrap();
    let listener = Listener::bind(directory.path().join("plain")).unwrap();
    // Room for the stacks of some, of two megabytes each.
    let statm = fs::read_to_string("/proc/self/statm").unwrap();
    let pages: u64 = statm.split(' ').next().unwrap().parse().unwrap();
    let (_, hard) = getrlimit(Resource::RLIMIT_AS).unwrap();
    setrlimit(Resource::RLIMIT_AS, pages * 4096 + (100 << 20), hard).unwrap();
    let result = PlainServer::new(Server).workers(1000).listen(&listener);
    setrlimit(Resource::RLIMIT_AS, hard, hard).unwrap();
    assert!(matches!(result, Err(unix_ipc::ServeError::Io(_))), "{result:?}");
}

#[test]
fn a_peer_that_hangs_up_without_a_word_is_nobody_at_once() {
    let _watchdog = Watchdog::after(SOON);
    let (ours, theirs) = Connection::pair().unwrap();
    drop(theirs);
    let error = ours.peer_credentials().unwrap_err();
    assert_eq!(error.kind(), std::io::ErrorKind::UnexpectedEof);
}
