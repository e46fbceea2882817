use std::fs::File;
use std::hint;
use std::io;
use std::time::Instant;

use nix::unistd::dup2_stdout;

use super::*;
use crate::deadline::Deadline;
use crate::sys::liveness::{arm, liveness_pipe};
use crate::sys::pidfd;

/// Starts a child whose liveness pipe comes as its standard output, where the connection would
/// send it in a packet, and waits until it is armed.
pub(super) fn start_armed(command: &mut Command, options: &SpawnOptions) -> (Child, OwnedFd) {
    let (ours, theirs) = pair();
    let (read, write) = liveness_pipe().unwrap();
    command.stdout(read);
    let child = start(command, theirs, Some(write), options).unwrap();
    command.stdout(Stdio::null());
    assert_eq!(hear(&ours).as_deref(), Some("armed"));
    (child, ours)
}

/// The other side of it.
fn armed() -> OwnedFd {
    let socket = claimed();
    arm(io::stdout().as_fd().try_clone_to_owned().unwrap()).unwrap();
    // From now on it is open nowhere but where `arm` keeps it.
    dup2_stdout(File::open("/dev/null").unwrap()).unwrap();
    say(&socket, "armed");
    socket
}

pub(super) fn armed_echo() {
    echo(&armed());
}

#[test]
fn p47_a_busy_child_ends_with_its_parent() {
    match role().as_deref() {
        Some("child") => {
            let _socket = armed();
            let until = Instant::now() + 2 * WATCHDOG;
            while Instant::now() < until {
                hint::spin_loop();
            }
        }
        Some(_) => {
            let up = claimed();
            let (child, _socket) = start_armed(&mut rerun("child"), &SpawnOptions::new());
            say(&up, &child.pid().to_string());
            hear(&up);
        }
        None => {
            let (parent, socket) = start_default(&mut rerun("parent"));
            let child = pidfd::open(hear(&socket).unwrap().parse().unwrap()).unwrap();
            parent.kill().unwrap();
            assert_eq!(parent.exit(WATCHDOG), Some(PeerExit::Killed(9)));
            assert!(wait::ready(child.as_fd(), PollFlags::POLLIN, Deadline::after(WATCHDOG)).unwrap());
        }
    }
}

#[test]
fn p47_a_child_outlives_the_thread_that_spawned_it() {
    if role().is_some() {
        return armed_echo();
    }
    let mut command = rerun("child");
    let (child, socket) = in_a_thread_that_ended(|| start_armed(&mut command, &SpawnOptions::new()));
    assert!(answers(&socket));
    assert_eq!(child.exit(Duration::ZERO), None);
    drop(socket);
    assert_eq!(child.exit(WATCHDOG), Some(PeerExit::Exited(0)));
}

#[test]
fn p48_a_parent_that_died_before_the_pipe_was_armed_is_noticed() {
    if role().is_some() {
        armed();
        return;
    }
    let (read, write) = liveness_pipe().unwrap();
    drop(write);
    let (child, socket) = start_default(rerun("child").stdout(read));
    assert_eq!(hear(&socket), None);
    assert_eq!(child.exit(WATCHDOG), Some(PeerExit::Killed(9)));
}

#[test]
fn only_a_pipe_can_be_armed() {
    let error = arm(File::open("/dev/null").unwrap().into()).unwrap_err();
    assert_eq!(error.kind(), io::ErrorKind::InvalidData);
}
