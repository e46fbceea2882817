//! A client that is killed leaves calls behind, which nobody waits for.

use std::io::{self, BufRead, BufReader, Write};
use std::path::Path;
use std::process::Stdio;
use std::sync::{Arc, Barrier};
use std::time::{Duration, Instant};
use std::{env, mem, thread};

use unix_ipc::{Listener, Receiver, Sender, channel};

use crate::service::{Event, LONG, Sloth, Slow, SlowClient, SlowServer};
use crate::util::{Watchdog, again, wait_until};

const PATH: &str = "UNIX_IPC_TEST_GONE";
const BUSY: &str = "UNIX_IPC_TEST_GONE_BUSY";

/// A server whose only client is gone hears of it between two calls that are so far apart.
const TICK: Duration = Duration::from_millis(20);

/// A client of the server at this path, whose connection has rings where it is a busy one.
fn connect(path: &str, is_busy: bool) -> SlowClient {
    let client = SlowClient::connect(path).expect("the server lives");
    (0..if is_busy { 100 } else { 0 }).for_each(|_| drop(client.marks().expect("the server lives")));
    client
}

/// What the client does that is to be killed: once the server's thread is in a handler, it leaves calls behind.
fn connect_and_leave_calls(path: &str) -> ! {
    let client = connect(path, true);
    leave_calls(&client)
}

fn leave_calls(client: &SlowClient) -> ! {
    println!("\nconnected");
    io::stdin().read_line(&mut String::new()).expect("it is a pipe");
    let calls: Vec<_> = (0..50).map(|number| client.begin_mark(number).expect("the server lives")).collect();
    client.note(1000).expect("the server lives");
    println!("\nleft");
    mem::forget(calls);
    loop {
        thread::park();
    }
}

/// The same for a server that has this client alone, and is in a handler of its.
fn block_and_leave_calls(path: &str, is_busy: bool) -> ! {
    let client = connect(path, is_busy);
    let (runs, running): (Sender<()>, Receiver<()>) = channel().expect("there is room");
    let _blocks = client.begin_block(runs).expect("the server lives");
    running.recv().expect("the handler runs");
    leave_calls(&client);
}

/// The same: a handler waits for its call's end.
fn leave_a_wait(path: &str, is_busy: bool) -> ! {
    let client = connect(path, is_busy);
    let (events, seen): (Sender<Event>, Receiver<Event>) = channel().expect("there is room");
    let _waits = client.begin_wait(events).expect("the server lives");
    assert_eq!(seen.recv().expect("the handler runs"), Event::Runs);
    println!("\nleft");
    loop {
        thread::park();
    }
}

/// Runs this test again in another process, which is killed when it has got so far; `hold` is called once it is connected, where it
/// waits for that.
fn kill_there(path: &Path, is_busy: bool, hold: impl FnOnce()) {
    let mut killed = again()
        .env(PATH, path)
        .env(BUSY, if is_busy { "1" } else { "" })
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .expect("the test runs as a child");
    let mut lines = BufReader::new(killed.stdout.take().expect("it is a pipe")).lines().map_while(Result::ok);
    let mut hold = Some(hold);
    loop {
        match lines.next().expect("the client got so far").as_str() {
            "left" => break,
            "connected" => {
                hold.take().expect("it connects once")();
                writeln!(killed.stdin.as_ref().expect("it is a pipe")).expect("it reads");
            }
            _ => {}
        }
    }
    killed.kill().expect("it runs");
    killed.wait().expect("it was killed");
}

#[test]
fn a_handler_hears_that_its_client_was_killed() {
    if let Ok(path) = env::var(PATH) {
        leave_a_wait(&path, env::var(BUSY).is_ok_and(|busy| !busy.is_empty()));
    }
    let _watchdog = Watchdog::new();
    for workers in [1, 2] {
        for is_busy in [false, true] {
            let directory = tempfile::tempdir().unwrap();
            let path = directory.path().join("socket");
            let listener = Arc::new(Listener::bind(&path).unwrap());
            let serving = thread::spawn({
                let listener = Arc::clone(&listener);
                move || {
                    let server = SlowServer::new(Sloth::default());
                    let mut server = if workers > 1 { server.workers(workers) } else { server };
                    server.listen(&listener)
                }
            });
            for _ in 0..workers {
                kill_there(&path, is_busy, || ());
            }
            // All of the server's threads were in such handlers.
            let client = SlowClient::connect(&path).unwrap();
            client.with_timeout(LONG / 2).mark(1).unwrap();
            drop(client);
            listener.close().unwrap();
            serving.join().unwrap().unwrap();
        }
    }
}

#[test]
fn calls_of_a_client_that_was_killed_are_not_begun_and_what_needs_no_reply_is() {
    if let Ok(path) = env::var(PATH) {
        connect_and_leave_calls(&path);
    }
    let _watchdog = Watchdog::new();
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("socket");
    let listener = Arc::new(Listener::bind(&path).unwrap());
    let serving = thread::spawn({
        let listener = Arc::clone(&listener);
        move || SlowServer::new(Sloth::default()).listen(&listener)
    });
    let client = SlowClient::connect(&path).unwrap();
    let ((runs, running), (gate, theirs)): (_, (Sender<()>, Receiver<()>)) =
        (channel().unwrap(), channel().unwrap());
    let mut held = None;
    kill_there(&path, true, || {
        held = Some(client.begin_hold(runs, theirs).unwrap());
        running.recv().unwrap();
    });
    drop(gate);
    held.unwrap().wait().unwrap();
    assert!(wait_until(Duration::from_secs(20), || client.marks().unwrap() == [1000]));
    drop(client);
    listener.close().unwrap();
    serving.join().unwrap().unwrap();
}

#[test]
fn calls_of_the_only_client_are_not_begun_once_it_was_killed() {
    if let Ok(path) = env::var(PATH) {
        block_and_leave_calls(&path, env::var(BUSY).is_ok_and(|busy| !busy.is_empty()));
    }
    let _watchdog = Watchdog::new();
    for is_busy in [false, true] {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("socket");
        let listener = Listener::bind(&path).unwrap();
        let killed = Arc::new(Barrier::new(2));
        let service = Sloth::behind(&killed);
        let serving = thread::spawn(move || {
            let mut server = SlowServer::new(service);
            server.serve(listener.accept().unwrap()).map(|()| server.into_inner().marks())
        });
        kill_there(&path, is_busy, || ());
        let dead_since = Instant::now();
        assert!(wait_until(LONG, || dead_since.elapsed() > TICK));
        killed.wait();
        assert_eq!(serving.join().unwrap().unwrap(), [1000], "busy: {is_busy}");
    }
}
