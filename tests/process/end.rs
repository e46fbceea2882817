//! How a child ends, and what its spawner learns of it.

use std::process::{self, Command};
use std::time::{Duration, Instant};

use nix::sys::signal::Signal;
use nix::sys::wait::waitpid;
use nix::unistd::Pid;
use unix_ipc::{CallError, Connection, PeerExit, Pending, SpawnOptions, test_command};

use crate::util::folder::Folder;
use crate::util::{self, Holdings, Watchdog, is_running, wait_until};
use crate::worker::{
    Stray, WorkerClient, WorkerTask, behind_a_shell, is_child, send_signal, staying, with_witness,
};

/// How a call says that the child ended.
#[track_caller]
fn exit_of<T: std::fmt::Debug>(result: Result<T, CallError>) -> PeerExit {
    match result {
        Err(CallError::PeerDied { exit, .. }) => exit,
        other => panic!("{other:?}"),
    }
}

#[test]
fn the_last_client_dropped_lets_the_child_return_from_serve() {
    if is_child() {
        return;
    }
    let _watchdog = Watchdog::new();
    let folder = Folder::new();
    let client = WorkerClient::spawn(with_witness(test_command(), &folder.file("served"))).unwrap();
    let clone = client.clone();
    drop(client);
    assert_eq!(clone.echo(b"one is left").unwrap(), b"one is left");
    assert!(!folder.file("served").exists());
    drop(clone);
    assert_eq!(folder.read("served"), "Ok(())");
}

#[test]
fn a_child_that_ignores_the_hang_up_is_killed_after_the_grace_and_reaped() {
    if is_child() || !util::alone() {
        return;
    }
    let _watchdog = Watchdog::new();
    let before = Holdings::now();
    let folder = Folder::new();
    let grace = Duration::from_millis(300);
    let command = staying(with_witness(test_command(), &folder.file("served")));
    let connection = Connection::spawn_with(command, &SpawnOptions::new().grace(grace)).unwrap();
    let client = WorkerClient::new(connection);
    let pid = client.process().unwrap();
    let hung_up = Instant::now();
    drop(client);
    assert!(hung_up.elapsed() < grace, "the drop waited for the child");
    assert_eq!(folder.read("served"), "Ok(())");
    assert!(wait_until(Duration::from_secs(20), || !is_running(pid)));
    assert!(hung_up.elapsed() >= grace, "the child had no grace");
    before.assert_restored();
}

#[test]
fn a_child_in_a_busy_handler_is_killed_after_the_grace() {
    if is_child() || !util::alone() {
        return;
    }
    let _watchdog = Watchdog::new();
    let before = Holdings::now();
    let options = SpawnOptions::new().grace(Duration::from_millis(50));
    let client = WorkerClient::new(Connection::spawn_with(test_command(), &options).unwrap());
    let pid = client.process().unwrap();
    drop(client.begin_be_busy().unwrap());
    drop(client);
    assert!(wait_until(Duration::from_secs(20), || !is_running(pid)));
    before.assert_restored();
}

#[test]
fn p46_two_hundred_children_leave_no_zombie_no_descriptor_and_no_thread() {
    if is_child() || !util::alone() {
        return;
    }
    let _watchdog = Watchdog::after(Duration::from_secs(180));
    let before = Holdings::now();
    let threads = util::threads();
    let mut kept = Vec::new();
    for number in 0..200 {
        let client = WorkerClient::spawn(test_command()).unwrap();
        match number % 4 {
            // Dropped idle, after a call, with a call on its way, or together with others later.
            0 => drop(client),
            1 => assert_eq!(client.echo(b"1").unwrap(), b"1"),
            2 => drop(client.begin_process().unwrap()),
            _ => kept.push(client),
        }
        if kept.len() == 10 {
            kept.clear();
        }
    }
    drop(kept);
    before.assert_restored();
    let gone = wait_until(Duration::from_secs(20), || util::threads() == threads);
    assert!(gone, "{} threads, {threads} before", util::threads());
}

#[test]
fn a_call_to_a_child_that_died_says_how_it_ended() {
    if is_child() {
        return;
    }
    let _watchdog = Watchdog::new();
    let spawn = || WorkerClient::spawn(test_command()).unwrap();
    for status in [0, 3, 255] {
        assert_eq!(exit_of(spawn().exit(status)), PeerExit::Exited(status));
    }
    for signal in [Signal::SIGKILL, Signal::SIGABRT, Signal::SIGTERM, Signal::SIGILL] {
        assert_eq!(exit_of(spawn().raise(signal as i32)), PeerExit::Killed(signal as i32));
    }
}

#[test]
fn every_later_call_says_how_the_child_ended_too() {
    if is_child() {
        return;
    }
    let _watchdog = Watchdog::new();
    let client = WorkerClient::spawn(test_command()).unwrap();
    let clone = client.clone();
    let ending = client.begin_exit(7).unwrap();
    // Sent before the child is gone or not: it has to say the same.
    let behind = client.begin_process().and_then(Pending::wait);
    assert_eq!(exit_of(ending.wait()), PeerExit::Exited(7));
    assert_eq!(exit_of(behind), PeerExit::Exited(7));
    for client in [&client, &clone] {
        let error = client.echo(b"hello").unwrap_err();
        assert_eq!(error.to_string(), "`echo`: the server process exited with status 7");
        assert!(error.is_gone());
        assert!(client.begin_echo(&[0; 1 << 20]).is_err());
    }
}

#[test]
fn p30_the_reply_of_a_child_that_exits_at_once_arrives() {
    if let Some(connection) = Connection::inherited().unwrap() {
        let task = connection.tasks::<WorkerTask>().next().unwrap().unwrap();
        let WorkerTask::Echo { bytes, reply } = task else { panic!("{task:?}") };
        reply.send(bytes).unwrap();
        process::exit(4);
    }
    let _watchdog = Watchdog::new();
    let mut command = test_command();
    for round in 0..40 {
        let client = WorkerClient::spawn(&mut command).unwrap();
        // Calls that nobody reads any more make the kernel reset the connection ahead of the reply.
        let words = vec![round; if round % 2 == 0 { 5 } else { 50_000 }];
        let answered = client.begin_echo(&words).unwrap();
        let unread: Vec<_> = (0..3).map_while(|_| client.begin_process().ok()).collect();
        assert_eq!(answered.wait().unwrap(), words, "round {round}");
        for call in unread {
            assert_eq!(exit_of(call.wait()), PeerExit::Exited(4));
        }
    }
}

#[test]
fn p49_a_grandchild_that_holds_the_socket_hides_no_death() {
    if is_child() {
        return;
    }
    let _watchdog = Watchdog::new();
    let folder = Folder::new();
    let script = "exec 9<&0; sleep 3600 <&9 & exec 9<&-; echo $! > \"$SLEEPER\"; exec \"$@\"";
    let mut command = behind_a_shell(script, &test_command());
    command.env("SLEEPER", folder.file("sleeper"));
    let client = WorkerClient::spawn(command).unwrap();
    let sleeper = Stray(folder.read("sleeper").trim().parse().unwrap());
    let pid = client.process().unwrap();
    let waiting = client.begin_be_busy().unwrap();
    send_signal(pid, Signal::SIGKILL);
    assert_eq!(exit_of(waiting.wait()), PeerExit::Killed(9));
    assert_eq!(exit_of(client.process()), PeerExit::Killed(9));
    assert!(is_running(sleeper.0), "what held the socket was gone, so nothing was shown");
}

/// The number of a child that somebody else reaped goes to another process, which lives on.
#[test]
fn p50_a_process_that_gets_the_number_of_a_dead_child_is_not_killed() {
    const LAST_PID: &str = "/proc/sys/kernel/ns_last_pid";
    if is_child() || !util::alone() {
        return;
    }
    let _watchdog = Watchdog::new();
    let mut stranger = None;
    for _ in 0..20 {
        let options = SpawnOptions::new().grace(Duration::ZERO);
        let client = WorkerClient::new(Connection::spawn_with(test_command(), &options).unwrap());
        let pid = client.process().unwrap();
        send_signal(pid, Signal::SIGKILL);
        waitpid(Pid::from_raw(pid.cast_signed()), None).unwrap();
        if std::fs::write(LAST_PID, (pid - 1).to_string()).is_err() {
            eprintln!("not run: only a privileged process chooses the numbers of processes");
            return;
        }
        let mut started = Command::new("sleep").arg("3600").spawn().unwrap();
        if started.id() != pid {
            started.kill().unwrap();
            started.wait().unwrap();
            continue;
        }
        assert!(client.echo(b"anybody there?").unwrap_err().is_gone());
        drop(client);
        stranger = Some(started);
        break;
    }
    let mut stranger = stranger.expect("no process got the number of a dead one");
    // Another child that is killed at once passes through the same hands behind the first.
    let options = SpawnOptions::new().grace(Duration::ZERO);
    let client = WorkerClient::new(Connection::spawn_with(staying(test_command()), &options).unwrap());
    let pid = client.process().unwrap();
    drop(client);
    assert!(wait_until(Duration::from_secs(20), || !is_running(pid)));
    assert!(is_running(stranger.id()));
    stranger.kill().unwrap();
    stranger.wait().unwrap();
}
