use std::fs;
use std::time::{Duration, Instant};

use nix::errno::Errno;
use nix::sys::wait::{Id, WaitPidFlag, waitid};

use super::*;
use crate::deadline::Deadline;
use crate::service::child::reaper::THREAD_NAME;
use crate::sys::pidfd;

/// Whether this process has no child, not even one that has ended.
pub(super) fn has_no_child() -> bool {
    waitid(Id::All, WaitPidFlag::WEXITED | WaitPidFlag::WNOHANG | WaitPidFlag::WNOWAIT) == Err(Errno::ECHILD)
}

pub(super) fn reaper_thread() -> Option<String> {
    threads().into_iter().find_map(|(id, name)| (name == THREAD_NAME).then_some(id))
}

fn expect_nothing_left() {
    eventually("the reaping of every child", has_no_child);
    eventually("the end of the reaper's thread", || reaper_thread().is_none());
}

fn sleeper() -> Command {
    let mut command = Command::new("/bin/sleep");
    command.arg("1000");
    command
}

fn with_grace(grace: Duration) -> SpawnOptions {
    SpawnOptions::new().grace(grace)
}

const AN_HOUR: Duration = Duration::from_secs(3600);

#[test]
fn p46_of_200_children_dropped_nothing_is_left() {
    if role().is_none() {
        return succeeds(&mut rerun("parent"));
    }
    let before = descriptors_of(std::process::id()).len();
    for _ in 0..2 {
        let (mut cat, mut sleep) = (Command::new("/bin/cat"), sleeper());
        let polite: Vec<_> = (0..50).map(|_| start_with(&mut cat, &with_grace(AN_HOUR))).collect();
        let deaf: Vec<_> = (0..50).map(|_| start_with(&mut sleep, &with_grace(Duration::ZERO))).collect();
        drop((polite, deaf));
        expect_nothing_left();
    }
    assert_eq!(descriptors_of(std::process::id()).len(), before);
}

#[test]
fn a_deaf_child_is_killed_when_its_grace_is_over_and_not_before() {
    let grace = Duration::from_millis(100);
    let (child, socket) = start_with(&mut sleeper(), &with_grace(grace));
    let pidfd = pidfd::open(child.pid()).unwrap();
    drop(socket);
    let dropped = Instant::now();
    drop(child);
    assert!(wait::ready(pidfd.as_fd(), PollFlags::POLLIN, Deadline::after(WATCHDOG)).unwrap());
    assert!(dropped.elapsed() >= grace);
    eventually("the reaping", || !pidfd::names_child(pidfd.as_fd()).unwrap());
}

#[test]
fn dropping_does_not_wait_for_the_child() {
    let (child, _socket) = start_with(&mut sleeper(), &with_grace(AN_HOUR));
    let pidfd = pidfd::open(child.pid()).unwrap();
    drop(child);
    assert!(pidfd::names_child(pidfd.as_fd()).unwrap());
    pidfd::kill(pidfd.as_fd()).unwrap();
    eventually("the reaping", || !pidfd::names_child(pidfd.as_fd()).unwrap());
}

#[test]
fn a_child_in_its_grace_is_kept_alive_by_its_liveness_pipe() {
    if role().is_some() {
        return liveness::armed_echo();
    }
    let (child, socket) = liveness::start_armed(&mut rerun("child"), &with_grace(AN_HOUR));
    let pidfd = pidfd::open(child.pid()).unwrap();
    drop(child);
    assert!(answers(&socket));
    drop(socket);
    eventually("the reaping", || !pidfd::names_child(pidfd.as_fd()).unwrap());
}

#[test]
fn a_detached_child_runs_on_and_is_reaped() {
    if role().is_some() {
        return liveness::armed_echo();
    }
    let (child, socket) = liveness::start_armed(&mut rerun("child"), &with_grace(Duration::ZERO));
    let pidfd = pidfd::open(child.pid()).unwrap();
    child.release();
    drop(child);
    // One that comes after it is killed, so it has been passed over.
    let_one_be_killed();
    assert!(answers(&socket));
    drop(socket);
    eventually("the reaping", || !pidfd::names_child(pidfd.as_fd()).unwrap());
}

fn let_one_be_killed() {
    let (child, _socket) = start_with(&mut sleeper(), &with_grace(Duration::ZERO));
    let pidfd = pidfd::open(child.pid()).unwrap();
    drop(child);
    eventually("the reaping", || !pidfd::names_child(pidfd.as_fd()).unwrap());
}

#[test]
fn no_signal_of_the_program_reaches_the_reaper() {
    if role().is_none() {
        return succeeds(&mut rerun("parent"));
    }
    let before = blocked(&gettid().to_string());
    let (child, socket) = start_with(&mut Command::new("/bin/cat"), &with_grace(AN_HOUR));
    drop(child);
    let reaper = reaper_thread_now();
    // All but SIGKILL, SIGSTOP and the two that the C library keeps for itself.
    assert_eq!(!blocked(&reaper), (1 << 8) | (1 << 18) | (1 << 31) | (1 << 32));
    assert_eq!(blocked(&gettid().to_string()), before);
    drop(socket);
    expect_nothing_left();
}

/// The thread takes its name after it has started, so it may be a moment before it is seen.
pub(super) fn reaper_thread_now() -> String {
    let mut found = None;
    eventually("the reaper's thread", || {
        found = reaper_thread();
        found.is_some()
    });
    found.unwrap()
}

fn blocked(thread: &str) -> u64 {
    let status = fs::read_to_string(format!("/proc/self/task/{thread}/status")).unwrap();
    let blocked = status.lines().find_map(|line| line.strip_prefix("SigBlk:")).unwrap();
    u64::from_str_radix(blocked.trim(), 16).unwrap()
}
