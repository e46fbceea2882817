//! Spawning that succeeds.

use std::fs;
use std::io::{self, Write};
use std::process::Stdio;

use nix::sys::signal::Signal;
use unix_ipc::{Connection, SpawnOptions, test_command};

use crate::util::Watchdog;
use crate::util::folder::Folder;
use crate::worker::{WorkerClient, behind_a_shell, is_child, send_signal};

#[test]
fn a_command_is_spawned_from_by_reference_by_value_and_again() {
    if is_child() {
        return;
    }
    let _watchdog = Watchdog::new();
    let mut command = test_command();
    let first = WorkerClient::spawn(&mut command).unwrap();
    let second = WorkerClient::spawn(&mut command).unwrap();
    let third: WorkerClient = Connection::spawn(command).unwrap().into();
    let mut processes: Vec<_> = [&first, &second, &third].map(|client| client.process().unwrap()).into();
    processes.sort_unstable();
    processes.dedup();
    assert_eq!(processes.len(), 3);
}

#[test]
fn a_command_that_is_kept_does_not_keep_the_connection() {
    if is_child() {
        return;
    }
    let _watchdog = Watchdog::new();
    let folder = Folder::new();
    let mut command = crate::worker::with_witness(test_command(), &folder.file("served"));
    let client = WorkerClient::spawn(&mut command).unwrap();
    assert_eq!(client.echo(b"before").unwrap(), b"before");
    drop(client);
    assert_eq!(folder.read("served"), "Ok(())");
    drop(command);
}

#[test]
fn the_peer_of_a_spawned_connection_is_the_child() {
    if is_child() {
        return;
    }
    let _watchdog = Watchdog::new();
    let connection = Connection::spawn(test_command()).unwrap();
    let pid = connection.peer_credentials().unwrap().pid();
    assert_eq!(WorkerClient::new(connection).process().unwrap(), pid.cast_unsigned());
}

#[test]
fn a_child_behind_a_shell_that_becomes_it_serves() {
    if is_child() {
        return;
    }
    let _watchdog = Watchdog::new();
    let client = WorkerClient::spawn(behind_a_shell("exec \"$@\"", &test_command())).unwrap();
    assert_eq!(client.echo(b"hello").unwrap(), b"hello");
    let pid = client.process().unwrap();
    send_signal(pid, Signal::SIGKILL);
    let error = client.echo(b"hello").unwrap_err();
    assert!(error.to_string().contains("killed by signal 9 (SIGKILL)"), "{error}");
}

#[test]
fn a_child_that_prints_disturbs_no_call() {
    if is_child() {
        return;
    }
    let _watchdog = Watchdog::new();
    let folder = Folder::new();
    let mut command = test_command();
    command.stdout(fs::File::create(folder.file("printed")).unwrap());
    let client = WorkerClient::spawn(command).unwrap();
    let line = "many words ".repeat(10_000);
    client.print(&line).unwrap();
    assert_eq!(client.echo(b"still in step").unwrap(), b"still in step");
    assert!(folder.read("printed").contains(&line));
}

#[test]
fn a_child_without_environment_serves() {
    if is_child() {
        return;
    }
    let _watchdog = Watchdog::new();
    let mut command = test_command();
    command.env_clear();
    let client = WorkerClient::spawn(&mut command).unwrap();
    assert_eq!(client.echo(b"hello").unwrap(), b"hello");
    assert_eq!(
        command.get_envs().filter(|(_, value)| value.is_some()).count(),
        0,
        "the variable stayed behind"
    );
}

#[test]
fn a_child_reads_nothing_unless_it_keeps_its_standard_input() {
    if is_child() {
        return;
    }
    let _watchdog = Watchdog::new();
    let mut command = test_command();
    command.stdin(Stdio::inherit());
    assert_eq!(WorkerClient::spawn(&mut command).unwrap().standard_input().unwrap(), "");

    for text in ["read me", "and me"] {
        let (reader, mut writer) = io::pipe().unwrap();
        writer.write_all(text.as_bytes()).unwrap();
        drop(writer);
        let keeping = SpawnOptions::new().keep_stdin(true);
        let connection = Connection::spawn_with(command.stdin(reader), &keeping).unwrap();
        assert_eq!(WorkerClient::new(connection).standard_input().unwrap(), text);
    }
    // The same command goes back to the usual way as well.
    assert_eq!(WorkerClient::spawn(&mut command).unwrap().standard_input().unwrap(), "");
}
