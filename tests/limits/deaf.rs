//! Clients that read nothing of what is answered: they keep their places for as long as nobody else needs them.

use std::io::{BufRead, BufReader};
use std::mem;
use std::path::Path;
use std::process::{Command, Stdio};
use std::time::Duration;
use std::{env, thread};

use unix_ipc::{ConnectError, LimitExceeded, Limits, Pending};

use crate::raw::RawClient;
use crate::service::{CounterClient, client_in_time, serve_while};
use crate::util::{Holdings, Watchdog, alone};

/// More than a ring, a socket and what is read ahead hold.
const REPLIES: usize = 60;
const REPLY: usize = 100_000;

/// As many clients as this, each of which may be deaf for so long.
fn limits(clients: usize, deaf: Duration, ring_bytes: usize) -> Limits {
    let mut limits = Limits::default();
    (limits.clients, limits.handshake) = (clients, deaf);
    limits.ring_bytes = limits.ring_bytes.min(ring_bytes);
    limits
}

fn connect_to(path: &Path) -> CounterClient {
    CounterClient::connect(path).expect("there is room")
}

/// Has more answered than there is room for, and reads nothing of it.
fn become_deaf(client: &CounterClient) -> Vec<Pending<Vec<u8>>> {
    (0..REPLIES).map(|_| client.begin_bytes(REPLY).expect("the server lives")).collect()
}

#[test]
fn who_reads_nothing_for_long_makes_room_for_who_comes_later() {
    if !alone() {
        return;
    }
    let _watchdog = Watchdog::new();
    let before = Holdings::now();
    for (workers, ring_bytes) in [(1, usize::MAX), (3, usize::MAX), (1, 0), (3, 0)] {
        serve_while(limits(4, Duration::from_millis(50), ring_bytes), workers, |path| {
            let idle = connect_to(path);
            let deaf: Vec<_> = (0..3).map(|_| connect_to(path)).collect();
            let unread: Vec<_> = deaf.iter().flat_map(become_deaf).collect();
            let late: Vec<_> = (0..3).map(|_| client_in_time(path)).collect();
            for client in late.iter().chain([&idle]) {
                assert_eq!(client.double(21).unwrap(), 42);
            }
            // What had left the server is there.
            let read = unread.into_iter().map(Pending::wait).filter_map(Result::ok);
            assert!(read.count() < 3 * REPLIES);
            deaf.iter().for_each(|client| assert!(client.double(1).unwrap_err().is_gone()));
        });
    }
    before.assert_restored();
}

#[test]
fn who_reads_late_keeps_its_place_within_its_time() {
    let _watchdog = Watchdog::new();
    for (workers, ring_bytes) in [(1, usize::MAX), (3, usize::MAX), (1, 0), (3, 0)] {
        serve_while(limits(2, Duration::from_secs(1000), ring_bytes), workers, |path| {
            let late = [connect_to(path), connect_to(path)];
            let unread: Vec<_> = late.iter().flat_map(become_deaf).collect();
            for _ in 0..3 {
                let error = CounterClient::connect(path).unwrap_err();
                let expected = LimitExceeded::Clients { limit: 2 };
                assert!(matches!(error, ConnectError::Refused(limit) if limit == expected), "{error:?}");
            }
            unread.into_iter().for_each(|call| assert_eq!(call.wait().unwrap().len(), REPLY));
            late.iter().for_each(|client| assert_eq!(client.double(1).unwrap(), 2));
        });
    }
}

const PATH: &str = "UNIX_IPC_TEST_DEAF";

/// Sends its own end of the connection to a server that does not read it, because of what is not read here.
fn leave_its_end(path: &str) -> ! {
    let socket = RawClient::connect(Path::new(path)).into_socket();
    let end = || socket.try_clone().expect("there is room for a descriptor");
    let client = CounterClient::new(end().into()).with_timeout(Duration::from_millis(500));
    let send = || client.begin_bytes_for(end().into(), REPLY);
    // Until there is no more room, neither for calls nor for answers.
    while let Ok(call) = send() {
        mem::forget(call);
    }
    println!("\nleft");
    loop {
        thread::park();
    }
}

#[test]
fn who_is_killed_and_has_its_end_left_in_what_nobody_reads_makes_room() {
    if let Ok(path) = env::var(PATH) {
        leave_its_end(&path);
    }
    let _watchdog = Watchdog::new();
    for (workers, ring_bytes) in [(1, usize::MAX), (3, usize::MAX), (1, 0), (3, 0)] {
        serve_while(limits(1, Duration::from_millis(50), ring_bytes), workers, |path| {
            let test = thread::current().name().expect("a test has a name").to_owned();
            let mut killed = Command::new(env::current_exe().expect("this is a program"))
                .args(["--exact", "--nocapture", &test])
                .env(PATH, path)
                .stdout(Stdio::piped())
                .spawn()
                .expect("the test runs as a child");
            let lines = BufReader::new(killed.stdout.take().expect("it is a pipe")).lines();
            assert!(lines.map_while(Result::ok).any(|line| line == "left"), "the client got so far");
            killed.kill().expect("it runs");
            killed.wait().expect("it was killed");
            assert_eq!(client_in_time(path).double(4).unwrap(), 8);
        });
    }
}
