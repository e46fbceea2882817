use std::io;
use std::os::fd::{AsFd, OwnedFd};
use std::process::{self, Command, Stdio};
use std::sync::Arc;

use nix::libc;

use super::claim::CONNECTION_VARIABLE;
use super::{Child, SpawnError, SpawnOptions};
use crate::sys::before_exec::BeforeExec;
use crate::sys::inherit::{Announcement, above_stdio};
use crate::sys::{core_dumps, pidfd, rlimits};

/// Starts `command` with `socket` as the end that the child [`claim`](super::claim())s.
///
/// `liveness` is the writing end of a [`liveness_pipe`](super::liveness_pipe()); it is closed when
/// the child is reaped. Returns when the program runs. The command is left without the socket and
/// its variable, so that it can be kept and spawned from again, with /dev/null as its standard
/// input unless the options keep that, and without the environment where the options empty it.
pub(crate) fn start(
    command: &mut Command,
    socket: OwnedFd,
    liveness: Option<OwnedFd>,
    options: &SpawnOptions,
) -> Result<Child, SpawnError> {
    // A system that refuses pidfds says so here, before there is a child that could not be ended.
    pidfd::open(process::id())?;
    if options.empty_environment {
        empty_environment(command);
    }
    let started = if options.keep_stdin {
        start_beside_stdin(command, socket, options)
    } else {
        start_at_stdin(command, socket, options)
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
    let child = Child::new(pid, pidfd, liveness, options.grace);
    match limit(&child, options) {
        Ok(()) => Ok(child),
        Err(error) => {
            // It is not to run without what was asked for: no grace.
            let _ = child.kill();
            Err(error)
        }
    }
}

/// Sets the child's limits. It has run without them so far, which gives nothing away: it is the caller's own program, and
/// what it is to be held against comes with the first call, which nobody can make before this is done.
///
/// To be called again when the program is known to run: at the end of execve(2) the kernel puts the limit on the stack back that was
/// there at its beginning.
pub(crate) fn limit(child: &Child, options: &SpawnOptions) -> Result<(), SpawnError> {
    // A child that has ended is not an error here: how it ended is to be said.
    let Some(pidfd) = child.pidfd() else { return Ok(()) };
    for &(limit, value) in &options.rlimits {
        match rlimits::set(pidfd, child.pid(), limit.resource(), value) {
            Err(error) if error.raw_os_error() == Some(libc::ESRCH) => return Ok(()),
            result => result.map_err(|source| SpawnError::Rlimit { limit, source })?,
        }
    }
    Ok(())
}

/// Leaves a command the variables that it was told, and none that it would inherit.
fn empty_environment(command: &mut Command) {
    let told = command.get_envs().filter_map(|(name, value)| Some((name.to_owned(), value?.to_owned())));
    let told: Vec<_> = told.collect();
    command.env_clear().envs(told);
}

/// The socket as standard input: std then starts the child without a fork, where the options ask for none.
fn start_at_stdin(
    command: &mut Command,
    socket: OwnedFd,
    options: &SpawnOptions,
) -> Result<process::Child, SpawnError> {
    let announcement = Announcement::at_stdin(socket.as_fd())?;
    command.stdin(socket);
    let started = start_announced(command, announcement, before_exec(options, None));
    // Closes the child's end here: while the command held it, nobody would see the child hang up.
    command.stdin(Stdio::null());
    started
}

/// The socket at a number of its own.
fn start_beside_stdin(
    command: &mut Command,
    socket: OwnedFd,
    options: &SpawnOptions,
) -> Result<process::Child, SpawnError> {
    let socket = above_stdio(socket)?;
    let announcement = Announcement::in_place(socket.as_fd())?;
    start_announced(command, announcement, before_exec(options, Some(socket)))
}

fn before_exec(options: &SpawnOptions, kept: Option<OwnedFd>) -> BeforeExec {
    BeforeExec { close_descriptors: options.close_descriptors, hooks: options.hooks.clone(), kept }
}

fn start_announced(
    command: &mut Command,
    announcement: Announcement,
    before_exec: BeforeExec,
) -> Result<process::Child, SpawnError> {
    let before_exec = Arc::new(before_exec);
    before_exec.arm(command);
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
