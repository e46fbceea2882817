use std::io;
use std::os::fd::{AsFd, OwnedFd};
use std::process::{self, Command, Stdio};
use std::sync::Arc;

use super::claim::CONNECTION_VARIABLE;
use super::{Child, SpawnError, SpawnOptions};
use crate::sys::inherit::{Announcement, above_stdio, pass_in_place};
use crate::sys::{core_dumps, pidfd};

/// Starts `command` with `socket` as the end that the child [`claim`](super::claim())s.
///
/// `liveness` is the writing end of a [`liveness_pipe`](super::liveness_pipe()); it is closed when
/// the child is reaped. Returns when the program runs. The command is left without the socket and
/// its variable, so that it can be kept and spawned from again, and with /dev/null as its standard
/// input unless the options keep that.
pub(crate) fn start(
    command: &mut Command,
    socket: OwnedFd,
    liveness: Option<OwnedFd>,
    options: &SpawnOptions,
) -> Result<Child, SpawnError> {
    // A system that refuses pidfds says so here, before there is a child that could not be ended.
    pidfd::open(process::id())?;
    let started = if options.keep_stdin {
        start_beside_stdin(command, socket)
    } else {
        start_at_stdin(command, socket)
    };
    let mut started = started?;
    let pid = started.id();
    let pidfd = pidfd::open_child(pid).inspect_err(|_| end(&mut started))?;
    if let Some(pidfd) = &pidfd
        && !options.core_dumps
    {
        // Fails for a child that has ended, or that changed its user on start. Dumps cost time only.
        let _ = core_dumps::forbid(pidfd.as_fd(), pid);
    }
    Ok(Child::new(pid, pidfd, liveness, options.grace))
}

/// The socket as standard input: std then starts the child without a fork.
fn start_at_stdin(command: &mut Command, socket: OwnedFd) -> Result<process::Child, SpawnError> {
    let announcement = Announcement::at_stdin(socket.as_fd())?;
    command.stdin(socket);
    let started = start_announced(command, announcement);
    // Closes the child's end here: while the command held it, nobody would see the child hang up.
    command.stdin(Stdio::null());
    started
}

/// The socket at a number of its own.
fn start_beside_stdin(command: &mut Command, socket: OwnedFd) -> Result<process::Child, SpawnError> {
    let socket = Arc::new(above_stdio(socket)?);
    let announcement = Announcement::in_place(socket.as_fd())?;
    pass_in_place(command, &socket);
    start_announced(command, announcement)
}

fn start_announced(command: &mut Command, announcement: Announcement) -> Result<process::Child, SpawnError> {
    command.env(CONNECTION_VARIABLE, announcement.to_string());
    let started = command.spawn().map_err(SpawnError::Start);
    command.env_remove(CONNECTION_VARIABLE);
    started
}

/// Ends a child for which no pidfd was to be had (the table of descriptors filled up just now), the
/// only one that is killed by number: it was started a moment ago and nobody has reaped it.
fn end(started: &mut process::Child) {
    let ended: io::Result<()> = started.kill().and_then(|()| started.wait().map(drop));
    // An error says that there is no such child any more.
    drop(ended);
}
