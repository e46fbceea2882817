//! How the end of a spawner reaches its children.

use std::fs;
use std::io::{self, Read};
use std::path::PathBuf;
use std::process::Child;
use std::thread;
use std::time::{Duration, Instant};

use nix::sys::signal::Signal;
use unix_ipc::{Connection, SpawnOptions, test_command};

use crate::util::folder::Folder;
use crate::util::{Watchdog, is_running, wait_until};
use crate::worker::{
    Stray, WorkerClient, again, behind_a_shell, is_child, role, send_signal, staying, with_witness,
};

/// The longest time from a spawner's end to its children's.
const AT_ONCE: Duration = Duration::from_secs(1);

/// Waits to be killed, or for the end of the test that started this process.
fn wait_for_ever() -> ! {
    let _ = io::stdin().read(&mut [0]);
    panic!("nobody killed this process");
}

fn shared(name: &str) -> PathBuf {
    PathBuf::from(std::env::var_os("SHARED").expect("the test that started this said where")).join(name)
}

fn leave(name: &str, text: &str) {
    fs::write(shared("unfinished"), text).expect("the folder is there");
    fs::rename(shared("unfinished"), shared(name)).expect("the folder is there");
}

/// Starts this test again as a spawner that leaves files in a folder.
fn start_spawner(folder: &Folder) -> Child {
    again("spawner").env("SHARED", folder.file("")).spawn().expect("the test runs again")
}

/// Kills the spawner and says when it was gone.
fn kill_spawner(mut spawner: Child) -> Instant {
    spawner.kill().expect("a child can be killed");
    let killed = Instant::now();
    spawner.wait().expect("a child can be waited for");
    killed
}

#[track_caller]
fn assert_gone_at_once(pid: u32, killed: Instant) {
    assert!(wait_until(Duration::from_secs(20), || !is_running(pid)), "the child outlives its spawner");
    let after = killed.elapsed();
    println!("the child was gone {after:?} after its spawner was killed");
    assert!(after < AT_ONCE, "{after:?}");
}

#[test]
fn p47_a_waiting_child_is_gone_with_its_spawner() {
    if is_child() {
        return;
    }
    let _watchdog = Watchdog::new();
    if role().is_some() {
        let client = WorkerClient::spawn(staying(test_command())).unwrap();
        leave("child", &client.process().unwrap().to_string());
        wait_for_ever();
    }
    let folder = Folder::new();
    let spawner = start_spawner(&folder);
    let child = folder.read("child").parse().unwrap();
    assert!(is_running(child));
    assert_gone_at_once(child, kill_spawner(spawner));
}

#[test]
fn p47_a_busy_child_is_gone_with_its_spawner() {
    if is_child() {
        return;
    }
    let _watchdog = Watchdog::new();
    if role().is_some() {
        let client = WorkerClient::spawn(test_command()).unwrap();
        let child = client.process().unwrap();
        let call = client.begin_be_busy().unwrap();
        assert!(call.wait_timeout(Duration::from_millis(50)).is_err());
        leave("child", &child.to_string());
        wait_for_ever();
    }
    let folder = Folder::new();
    let spawner = start_spawner(&folder);
    let child = folder.read("child").parse().unwrap();
    assert_gone_at_once(child, kill_spawner(spawner));
}

#[test]
fn p47_a_stopped_child_is_gone_with_its_spawner() {
    if is_child() {
        return;
    }
    let _watchdog = Watchdog::new();
    if role().is_some() {
        let client = WorkerClient::spawn(test_command()).unwrap();
        let child = client.process().unwrap();
        send_signal(child, Signal::SIGSTOP);
        leave("child", &child.to_string());
        wait_for_ever();
    }
    let folder = Folder::new();
    let spawner = start_spawner(&folder);
    let child: u32 = folder.read("child").parse().unwrap();
    let is_stopped =
        || fs::read_to_string(format!("/proc/{child}/stat")).is_ok_and(|stat| stat.contains(") T "));
    assert!(wait_until(Duration::from_secs(20), is_stopped));
    assert_gone_at_once(child, kill_spawner(spawner));
}

#[test]
fn a_child_that_may_outlive_its_spawner_does_and_sees_the_hang_up() {
    if is_child() {
        return;
    }
    let _watchdog = Watchdog::new();
    if role().is_some() {
        let options = SpawnOptions::new().outlive_parent(true);
        let command = staying(with_witness(test_command(), &shared("served")));
        let client = WorkerClient::new(Connection::spawn_with(command, &options).unwrap());
        leave("child", &client.process().unwrap().to_string());
        wait_for_ever();
    }
    let folder = Folder::new();
    let spawner = start_spawner(&folder);
    let child = Stray(folder.read("child").parse().unwrap());
    kill_spawner(spawner);
    assert_eq!(folder.read("served"), "Ok(())");
    assert!(is_running(child.0));
}

#[test]
fn p47_a_child_lives_on_when_the_thread_that_spawned_it_ends() {
    if is_child() {
        return;
    }
    let _watchdog = Watchdog::new();
    let command = test_command();
    let client = thread::spawn(move || WorkerClient::spawn(command).unwrap()).join().unwrap();
    for _ in 0..100 {
        assert_eq!(client.echo(b"hello").unwrap(), b"hello");
    }
    let command = test_command();
    let moved = client.clone();
    let other = thread::spawn(move || {
        moved.echo(b"from a thread").unwrap();
        WorkerClient::spawn(command).unwrap()
    });
    let other = other.join().unwrap();
    assert_ne!(client.process().unwrap(), other.process().unwrap());
}

/// The spawner dies while its child is still on its way to `inherited`.
#[test]
fn p48_a_child_whose_spawner_died_first_ends_in_inherited() {
    let inherited = Connection::inherited();
    if !matches!(inherited, Ok(None)) {
        return leave("went on", &format!("{inherited:?}"));
    }
    let _watchdog = Watchdog::new();
    if role().is_some() {
        let script = "echo $$ > \"$SHARED/new\"; mv \"$SHARED/new\" \"$SHARED/child\"; \
                      while [ -e /proc/$PPID ]; do :; done; echo orphan > \"$SHARED/state\"; exec \"$@\"";
        let _ = WorkerClient::spawn(behind_a_shell(script, &test_command()));
        unreachable!("the child waits for this process to end");
    }
    let folder = Folder::new();
    let spawner = start_spawner(&folder);
    let child: u32 = folder.read("child").trim().parse().unwrap();
    let killed = kill_spawner(spawner);
    assert_eq!(folder.read("state").trim(), "orphan");
    assert!(wait_until(Duration::from_secs(20), || !is_running(child)));
    println!("the child was gone {:?} after its spawner was killed", killed.elapsed());
    assert!(!folder.file("went on").exists());
}
