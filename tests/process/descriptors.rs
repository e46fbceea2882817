//! What a child inherits, and what it hands down.

use std::fs::File;
use std::io;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;

use unix_ipc::{Connection, SpawnOptions, raw_channel, test_command};

use crate::util::{self, Watchdog};
use crate::worker::{NOTHING, WorkerClient, given, is_child};

/// The numbers a child started with, apart from those that the tests themselves were given.
fn without(given: &[u32], started_with: &[(u32, String)]) -> Vec<u32> {
    started_with.iter().map(|(number, _)| *number).filter(|number| !given.contains(number)).collect()
}

#[test]
fn p19_a_child_inherits_the_standard_streams_and_the_connection_is_one_of_them() {
    if is_child() || !util::alone() {
        return;
    }
    let _watchdog = Watchdog::new();
    let given = given();
    let _files: Vec<_> = (0..50).map(|_| File::open("/dev/null").unwrap()).collect();
    let _channels: Vec<_> = (0..50).map(|_| raw_channel().unwrap()).collect();
    let _connections: Vec<_> = (0..10).map(|_| Connection::pair().unwrap()).collect();
    let _others: Vec<_> = (0..3).map(|_| WorkerClient::spawn(test_command()).unwrap()).collect();

    let started_with = WorkerClient::spawn(test_command()).unwrap().started_with().unwrap();
    assert_eq!(without(&given, &started_with), [0, 1, 2], "{started_with:?}");
    assert!(started_with[0].1.starts_with("socket:"), "{started_with:?}");
    assert_eq!(started_with[1].1, "/dev/null");
}

#[test]
fn p19_a_child_that_keeps_its_standard_input_inherits_the_connection_beside_it() {
    if is_child() || !util::alone() {
        return;
    }
    let _watchdog = Watchdog::new();
    let given = given();
    let _channels: Vec<_> = (0..50).map(|_| raw_channel().unwrap()).collect();
    let mut command = test_command();
    command.stdin(File::open("/dev/zero").unwrap());
    let connection = Connection::spawn_with(command, &SpawnOptions::new().keep_stdin(true)).unwrap();
    let started_with = WorkerClient::new(connection).started_with().unwrap();
    assert_eq!(started_with[0], (0, "/dev/zero".to_owned()));
    let numbers = without(&given, &started_with);
    assert!(matches!(numbers[..], [0, 1, 2, _]), "{started_with:?}");
    let (_, beside) = started_with.iter().find(|(number, _)| *number == numbers[3]).unwrap();
    assert!(beside.starts_with("socket:"), "{started_with:?}");
}

#[test]
fn p20_children_spawned_at_once_inherit_nothing_of_each_other() {
    if is_child() || !util::alone() {
        return;
    }
    let _watchdog = Watchdog::new();
    let given = given();
    let is_over = AtomicBool::new(false);
    thread::scope(|scope| {
        let opening = scope.spawn(|| {
            while !is_over.load(Ordering::Relaxed) {
                drop((raw_channel().unwrap(), Connection::pair().unwrap(), io::pipe().unwrap()));
            }
        });
        let spawning: Vec<_> = (0..8)
            .map(|number| {
                let mut command = test_command();
                let given = &given;
                scope.spawn(move || {
                    // Both ways to start a process.
                    let options = SpawnOptions::new().keep_stdin(number % 2 == 1);
                    let expected = if number % 2 == 1 { 4 } else { 3 };
                    let spawn = |command: &mut _| Connection::spawn_with(command, &options).unwrap();
                    for _ in 0..12 {
                        command.stdin(std::process::Stdio::null());
                        let client = WorkerClient::new(spawn(&mut command));
                        let started_with = client.started_with().unwrap();
                        assert_eq!(without(given, &started_with).len(), expected, "{started_with:?}");
                    }
                })
            })
            .collect();
        let ended: Vec<_> = spawning.into_iter().map(thread::ScopedJoinHandle::join).collect();
        is_over.store(true, Ordering::Relaxed);
        opening.join().unwrap();
        assert!(ended.iter().all(Result::is_ok));
    });
}

#[test]
fn a_grandchild_finds_no_connection_and_inherits_no_descriptor() {
    if is_child() {
        return;
    }
    let _watchdog = Watchdog::new();
    let client = WorkerClient::spawn(test_command()).unwrap();
    assert_eq!(client.start_grandchild().unwrap(), Some(NOTHING));
    assert_eq!(client.echo(b"and the child").unwrap(), b"and the child", "has it still");
}
