//! Processes that stand still for a second (SIGSTOP): who waits with a time has an error after it, the others have their answer when it
//! goes on, and nobody else waits.

use std::env;
use std::path::Path;
use std::process::{self, Child};
use std::thread;
use std::time::Duration;

use nix::sys::signal::{Signal, kill, raise};
use nix::unistd::Pid;
use unix_ipc::{CallError, Listener, SendError, channel, test_command};

use crate::service::{Hand, WorkerClient, WorkerServer, serve_in_child, spawn, warm};
use crate::util::{Holdings, Watchdog, alone, wait_until};

const SECOND: Duration = Duration::from_secs(1);
const HASTY: Duration = Duration::from_millis(100);

fn has_stopped(pid: u32) -> bool {
    let stat = std::fs::read_to_string(format!("/proc/{pid}/stat")).unwrap_or_default();
    stat.contains(") T ")
}

fn stop(pid: u32) {
    kill(Pid::from_raw(pid.cast_signed()), Signal::SIGSTOP).unwrap();
    assert!(wait_until(Duration::from_secs(20), || has_stopped(pid)));
}

fn go_on(pid: u32) {
    kill(Pid::from_raw(pid.cast_signed()), Signal::SIGCONT).unwrap();
}

#[test]
fn a_server_that_stands_still_keeps_those_waiting_who_wait_without_a_time() {
    if serve_in_child() || !alone() {
        return;
    }
    let _watchdog = Watchdog::new();
    let before = Holdings::with_mappings();
    for rings in [true, false] {
        let client = spawn(rings);
        warm(&client);
        let pid = client.process().unwrap();
        stop(pid);
        let waiting: Vec<_> = (0..50_u8).map(|number| client.begin_echo(&[number; 1000]).unwrap()).collect();
        thread::scope(|scope| {
            let patient = scope.spawn(|| client.echo(b"patient"));
            for _ in 0..3 {
                let error = client.with_timeout(HASTY).echo(b"hasty").unwrap_err();
                assert!(matches!(error, CallError::Timeout { after: HASTY, .. }), "{error:?}");
            }
            thread::park_timeout(SECOND);
            assert!(!patient.is_finished() && !waiting[0].is_ready());
            go_on(pid);
            assert_eq!(patient.join().unwrap().unwrap(), b"patient");
        });
        for (number, call) in (0..).zip(waiting) {
            assert_eq!(call.wait().unwrap(), [number; 1000]);
        }
        warm(&client);
    }
    before.assert_restored();
}

#[test]
fn a_stopped_server_is_ended_when_its_last_client_goes() {
    if serve_in_child() || !alone() {
        return;
    }
    let _watchdog = Watchdog::new();
    let before = Holdings::with_mappings();
    let client = spawn(true);
    stop(client.process().unwrap());
    drop(client);
    before.assert_restored();
}

const PATH: &str = "UNIX_IPC_TEST_STOPPED";

/// A client in another process, which stops itself: with a call half sent, or with replies that it does not read.
fn be_client(path: &Path) {
    let client = WorkerClient::connect(path).unwrap();
    warm(&client);
    let long = vec![5; 20 << 20];
    thread::scope(|scope| {
        let sent = scope.spawn(|| client.echo(&long));
        let unread: Vec<_> = (0..500).map(|_| client.begin_echo(&[7; 10_000]).unwrap()).collect();
        raise(Signal::SIGSTOP).unwrap();
        assert!(sent.join().unwrap().unwrap() == long);
        unread.into_iter().for_each(|call| assert_eq!(call.wait().unwrap(), [7; 10_000]));
    });
}

#[test]
fn a_client_that_stands_still_keeps_nobody_else_waiting() {
    if let Some(path) = env::var_os(PATH) {
        return be_client(Path::new(&path));
    }
    if !alone() {
        return;
    }
    let _watchdog = Watchdog::new();
    for workers in [1, 3] {
        let directory = tempfile::tempdir().unwrap();
        let before = Holdings::with_mappings();
        let listener = Listener::bind(directory.path().join("worker")).unwrap();
        thread::scope(|scope| {
            let serving = &listener;
            let server = scope.spawn(move || {
                let server = WorkerServer::new(Hand);
                if workers > 1 { server.workers(workers).listen(serving) } else { { server }.listen(serving) }
            });
            let honest = WorkerClient::connect(listener.path()).unwrap();
            warm(&honest);
            let mut stopped: Vec<Child> = (0..2)
                .map(|_| test_command().env(PATH, listener.path()).spawn().expect("the test runs as a child"))
                .collect();
            for client in &stopped {
                assert!(wait_until(Duration::from_secs(20), || has_stopped(client.id())));
            }
            // More than the time for which an unfair server could be lucky.
            for number in 0..2000_u32 {
                let bytes = number.to_le_bytes().repeat(number as usize % 500);
                assert!(honest.echo(&bytes).unwrap() == bytes);
            }
            stopped.iter().for_each(|client| go_on(client.id()));
            for client in &mut stopped {
                assert!(client.wait().unwrap().success());
            }
            warm(&honest);
            drop(honest);
            listener.close().unwrap();
            server.join().unwrap().unwrap();
        });
        drop(listener);
        before.assert_restored();
    }
}

const CHANNEL: &str = "UNIX_IPC_TEST_STOPPED_CHANNEL";

#[test]
fn a_receiver_that_stands_still_makes_the_channel_full_and_then_has_everything() {
    if let Some(path) = env::var_os(CHANNEL) {
        let receiver = unix_ipc::Receiver::<(u32, Vec<u8>)>::connect(path).unwrap();
        assert_eq!(receiver.recv().unwrap().0, process::id(), "the first says who receives");
        let numbers = receiver.iter().map(|value| value.unwrap().0);
        assert!(numbers.eq(0..3000));
        return;
    }
    if !alone() {
        return;
    }
    let _watchdog = Watchdog::new();
    let before = Holdings::with_mappings();
    {
        let (ours, theirs) = channel::<(u32, Vec<u8>)>().unwrap();
        let bootstrapper = unix_ipc::Bootstrapper::<(u32, Vec<u8>)>::new().unwrap();
        drop((ours, theirs));
        let mut receiver = test_command().env(CHANNEL, bootstrapper.path()).spawn().unwrap();
        let pid = receiver.id();
        bootstrapper.send((pid, Vec::new())).unwrap();
        stop(pid);
        let mut number = 0;
        while number < 3000 {
            match bootstrapper.send_timeout((number, vec![1; 500]), HASTY) {
                Ok(()) => number += 1,
                Err(SendError::Timeout(_)) => go_on(pid),
                Err(error) => panic!("{error:?}"),
            }
        }
        go_on(pid);
        drop(bootstrapper);
        assert!(receiver.wait().unwrap().success());
    }
    before.assert_restored();
}
