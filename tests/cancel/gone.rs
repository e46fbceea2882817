//! A client that is killed leaves calls behind, which nobody waits for.

use std::io::{BufRead, BufReader};
use std::process::{Command, Stdio};
use std::sync::Arc;
use std::time::Duration;
use std::{env, mem, thread};

use unix_ipc::{Listener, Receiver, Sender, channel};

use crate::service::{Sloth, SlowClient, SlowServer};
use crate::util::{Watchdog, wait_until};

const PATH: &str = "UNIX_IPC_TEST_GONE";

/// What the client does that is to be killed: a handler runs for it, and calls are behind.
fn leave_calls(path: &str) -> ! {
    let client = SlowClient::connect(path).expect("the server lives");
    for _ in 0..100 {
        client.marks().expect("the server lives");
    }
    let ((runs, running), (gate, theirs)): (_, (Sender<()>, Receiver<()>)) =
        (channel().expect("there is room"), channel().expect("there is room"));
    let held = client.begin_hold(runs, theirs).expect("the server lives");
    running.recv().expect("the handler runs");
    let calls: Vec<_> = (0..50).map(|number| client.begin_mark(number).expect("the server lives")).collect();
    client.note(1000).expect("the server lives");
    println!("\nleft");
    mem::forget((gate, held, calls));
    loop {
        thread::park();
    }
}

#[test]
fn calls_of_a_client_that_was_killed_are_not_begun_and_what_needs_no_reply_is() {
    if let Ok(path) = env::var(PATH) {
        leave_calls(&path);
    }
    let _watchdog = Watchdog::new();
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("socket");
    let listener = Arc::new(Listener::bind(&path).unwrap());
    let serving = thread::spawn({
        let listener = Arc::clone(&listener);
        move || SlowServer::new(Sloth::default()).listen(&listener)
    });
    let mut killed = Command::new(env::current_exe().unwrap())
        .args(["--exact", "--nocapture"])
        .arg("gone::calls_of_a_client_that_was_killed_are_not_begun_and_what_needs_no_reply_is")
        .env(PATH, &path)
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    let lines = BufReader::new(killed.stdout.take().unwrap()).lines();
    assert!(lines.map_while(Result::ok).any(|line| line == "left"), "the client got so far");
    killed.kill().unwrap();
    killed.wait().unwrap();
    let client = SlowClient::connect(&path).unwrap();
    assert!(wait_until(Duration::from_secs(20), || client.marks().unwrap() == [1000]));
    drop(client);
    listener.close().unwrap();
    serving.join().unwrap().unwrap();
}
