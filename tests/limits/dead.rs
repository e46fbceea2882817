//! Places of clients that are gone, or might be taken to be.

use std::io::{BufRead, BufReader};
use std::mem;
use std::os::unix::net::UnixStream;
use std::path::Path;
use std::process::Stdio;
use std::time::{Duration, Instant};
use std::{env, thread};

use nix::sys::socket::{getsockopt, sockopt};
use unix_ipc::{ConnectError, LimitExceeded, Limits};

use crate::raw::RawClient;
use crate::service::{CounterClient, LONG, client_in_time, serve_while};
use crate::util::{Watchdog, again, wait_until};

/// More of these replies than a ring, a socket and what is read ahead hold.
const REPLIES: usize = 60;
const REPLY: usize = 100_000;

/// How long nothing can be sent to a client before it is asked whether its process has ended.
const DEAF: Duration = Duration::from_secs(1);

/// With so many threads, and with rings and without.
const WAYS: [(usize, bool); 4] = [(1, true), (3, true), (1, false), (3, false)];

/// Limits for so many clients.
fn limits(clients: usize, has_rings: bool) -> Limits {
    let mut limits = Limits::default();
    (limits.clients, limits.handshake) = (clients, DEAF);
    if !has_rings {
        limits.ring_bytes = 0;
    }
    limits
}

/// Calls until there are rings, where there may be.
fn warm(client: &CounterClient) {
    (0..100).for_each(|number| assert_eq!(client.double(number).expect("the server lives"), 2 * number));
}

#[test]
fn who_reads_nothing_and_lives_keeps_its_place() {
    let _watchdog = Watchdog::new();
    for (workers, has_rings) in WAYS {
        serve_while(limits(2, has_rings), workers, |path| {
            let late = [client_in_time(path), client_in_time(path)];
            late.iter().for_each(warm);
            let begin = |client: &CounterClient| client.begin_bytes(REPLY).unwrap();
            let unread: Vec<_> = late.iter().flat_map(|client| [client; REPLIES]).map(begin).collect();
            let start = Instant::now();
            assert!(wait_until(LONG, || start.elapsed() > DEAF + DEAF / 2));
            for _ in 0..3 {
                let error = CounterClient::connect(path).unwrap_err();
                let expected = LimitExceeded::Clients { limit: 2 };
                assert!(matches!(error, ConnectError::Refused(limit) if limit == expected), "{error:?}");
            }
            unread.into_iter().for_each(|call| assert_eq!(call.wait().unwrap().len(), REPLY));
            late.iter().for_each(warm);
        });
    }
}

const PATH: &str = "UNIX_IPC_TEST_DEAF";

/// Sends its own end of the connection to a server that does not read it, because of what is not read here.
fn leave_its_end(path: &str) -> ! {
    let socket = RawClient::connect(Path::new(path)).into_socket();
    let end = || socket.try_clone().expect("there is room for a descriptor");
    let client = CounterClient::new(end().into()).with_timeout(Duration::from_millis(500));
    warm(&client);
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
fn who_was_killed_and_left_its_end_in_what_nobody_reads_makes_room() {
    if let Ok(path) = env::var(PATH) {
        leave_its_end(&path);
    }
    let stream = UnixStream::pair().unwrap().0;
    if getsockopt(&stream, sockopt::PeerPidfd).is_err() {
        eprintln!("skipped: this kernel does not tell the process of a socket (Linux 6.5)");
        return;
    }
    let _watchdog = Watchdog::new();
    for (workers, has_rings) in WAYS {
        serve_while(limits(1, has_rings), workers, |path| {
            let mut killed =
                again().env(PATH, path).stdout(Stdio::piped()).spawn().expect("the test runs as a child");
            let lines = BufReader::new(killed.stdout.take().expect("it is a pipe")).lines();
            assert!(lines.map_while(Result::ok).any(|line| line == "left"), "the client got so far");
            killed.kill().expect("it runs");
            killed.wait().expect("it was killed");
            assert_eq!(client_in_time(path).double(4).unwrap(), 8);
        });
    }
}
