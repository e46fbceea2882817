use std::error::Error;
use std::fs;
use std::io;
use std::time::Duration;

use super::*;
use crate::deadline::Deadline;
use crate::service::child::SpawnError;
use crate::sys::pidfd;

fn exit_of(script: &str) -> String {
    let (child, _socket) = start_default(&mut shell(script));
    child.exit(WATCHDOG).unwrap().to_string()
}

#[test]
fn a_status_is_named() {
    assert_eq!(exit_of("exit 0"), "exited with status 0");
    assert_eq!(exit_of("exit 3"), "exited with status 3");
}

#[test]
fn a_signal_is_named() {
    assert_eq!(exit_of("kill -9 $$"), "killed by signal 9 (SIGKILL)");
    assert_eq!(exit_of("kill -6 $$"), "killed by signal 6 (SIGABRT)");
}

#[test]
fn a_real_time_signal_has_its_number() {
    assert_eq!(exit_of("kill -40 $$"), "killed by signal 40");
}

#[test]
fn an_unknown_end_says_so() {
    assert_eq!(PeerExit::Unknown.to_string(), "ended with unknown status");
}

#[test]
fn a_running_child_has_no_exit() {
    let (child, socket) = start_default(&mut Command::new("/bin/cat"));
    assert_eq!(child.exit(Duration::ZERO), None);
    assert_eq!(child.exit(Duration::from_millis(5)), None);
    drop(socket);
    assert_eq!(child.exit(WATCHDOG), Some(PeerExit::Exited(0)));
}

#[test]
fn every_thread_gets_the_one_answer() {
    let (child, socket) = start_default(&mut shell("read x; exit 3"));
    thread::scope(|scope| {
        let waiting: Vec<_> = (0..8).map(|_| scope.spawn(|| child.exit(WATCHDOG))).collect();
        drop(socket);
        for thread in waiting {
            assert_eq!(thread.join().unwrap(), Some(PeerExit::Exited(3)));
        }
    });
    assert_eq!(child.exit(Duration::ZERO), Some(PeerExit::Exited(3)));
}

#[test]
fn p46_a_child_whose_exit_was_asked_for_is_no_zombie() {
    let (child, _socket) = start_default(&mut Command::new("/bin/true"));
    child.exit(WATCHDOG).unwrap();
    assert!(!pidfd::names_child(child.pidfd().unwrap()).unwrap());
}

#[test]
fn a_missing_program_is_a_start_error() {
    let (_ours, theirs) = pair();
    let error = start(&mut Command::new("/nowhere/at/all"), theirs, None, &SpawnOptions::new()).unwrap_err();
    let SpawnError::Start(source) = &error else { panic!("{error:?}") };
    assert_eq!(source.kind(), io::ErrorKind::NotFound);
    assert_eq!(error.to_string(), "the program could not be started");
    assert!(error.source().is_some());
    assert_eq!(io::Error::from(error).kind(), io::ErrorKind::NotFound);
}

#[test]
fn a_spawn_error_keeps_its_kind() {
    let after = Duration::from_secs(2);
    let timed_out = SpawnError::TimedOut { after };
    assert_eq!(timed_out.to_string(), "the child did not introduce itself within 2s");
    assert_eq!(io::Error::from(timed_out).kind(), io::ErrorKind::TimedOut);
    let exited = SpawnError::Exited(PeerExit::Killed(11));
    assert_eq!(exited.to_string(), "the child was killed by signal 11 (SIGSEGV) before it introduced itself");
    assert_eq!(io::Error::from(exited).kind(), io::ErrorKind::UnexpectedEof);
}

#[test]
fn kill_ends_a_child_that_does_not_listen() {
    let (child, _socket) = start_default(Command::new("/bin/sleep").arg("1000"));
    child.kill().unwrap();
    assert_eq!(child.exit(WATCHDOG), Some(PeerExit::Killed(9)));
    child.kill().unwrap();
}

/// A child whose number has gone to somebody else: only the descriptor still tells them apart.
#[test]
fn p50_kill_and_drop_spare_the_process_that_has_the_number_now() {
    let (bystander, _socket) = start_default(&mut Command::new("/bin/cat"));
    let mut ended = Command::new("/bin/true").spawn().unwrap();
    let pidfd = pidfd::open(ended.id()).unwrap();
    assert!(wait::ready(pidfd.as_fd(), PollFlags::POLLIN, Deadline::after(WATCHDOG)).unwrap());
    let mistaken = Child::new(bystander.pid(), Some(pidfd), None, Duration::ZERO);
    mistaken.kill().unwrap();
    assert_eq!(mistaken.exit(WATCHDOG), Some(PeerExit::Exited(0)));
    assert!(ended.wait().is_err(), "it is reaped already");
    mistaken.kill().unwrap();
    drop(mistaken);
    assert_eq!(bystander.exit(Duration::from_millis(20)), None);
}

#[test]
fn p50_a_process_that_is_no_child_is_not_taken_for_one() {
    assert!(pidfd::open_child(std::process::id()).unwrap().is_none());
    assert!(pidfd::open_child(nix::unistd::getppid().as_raw().try_into().unwrap()).unwrap().is_none());
}

/// Whether the kernel keeps the status of a process that somebody else has reaped.
fn kernel_keeps_statuses() -> bool {
    let release = fs::read_to_string("/proc/sys/kernel/osrelease").unwrap();
    let mut numbers = release.split(['.', '-']).map(|part| part.trim().parse::<u32>().unwrap_or(0));
    (numbers.next(), numbers.next()) >= (Some(6), Some(15))
}

/// In a process of its own, since ignoring SIGCHLD is the whole process's.
#[test]
fn the_status_is_known_although_the_host_ignores_sigchld() {
    if role().is_none() {
        return succeeds(&mut rerun("ignores"));
    }
    pidfd::ignore_sigchld();
    let (child, socket) = start_default(&mut shell("read x; exit 3"));
    drop(socket);
    let expected = if kernel_keeps_statuses() { PeerExit::Exited(3) } else { PeerExit::Unknown };
    assert_eq!(child.exit(WATCHDOG), Some(expected));
    assert_eq!(child.exit(Duration::ZERO), Some(expected));
}

#[test]
fn a_child_that_was_gone_before_it_could_be_opened_is_no_error() {
    if role().is_none() {
        return succeeds(&mut rerun("ignores"));
    }
    pidfd::ignore_sigchld();
    let pid = start_default(&mut Command::new("/bin/true")).0.pid();
    eventually("the end of the child", || !fs::exists(format!("/proc/{pid}")).unwrap());
    assert!(pidfd::open_child(pid).unwrap().is_none());
    let child = Child::new(pid, None, None, Duration::ZERO);
    assert!(child.pidfd().is_none());
    assert_eq!(child.exit(Duration::ZERO), Some(PeerExit::Unknown));
    child.kill().unwrap();
}
