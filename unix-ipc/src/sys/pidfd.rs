//! Processes by descriptor, which a process that gets the same number later cannot be taken for.
#![allow(unsafe_code)]

use std::io;
use std::mem;
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, OwnedFd};
use std::os::unix::process::ExitStatusExt;
use std::process::ExitStatus;
use std::ptr;
use std::time::Duration;

use nix::errno::Errno;
use nix::libc;
use nix::poll::PollFlags;
use nix::sys::signal::Signal;

pub(crate) use super::process::open;
use super::wait;
use crate::deadline::Deadline;

/// What looking at a child that has ended came to.
#[derive(Debug)]
pub(crate) enum Reaped {
    /// It is reaped, and this is how it ended.
    Ended(ExitStatus),
    /// It cannot be reaped yet: it runs, or a debugger has it first.
    NotYet,
    /// It is not there to be reaped: somebody else was first, or the host ignores SIGCHLD.
    Elsewhere,
}

/// Opens a child that was started under this number; `None` when it is gone already and somebody
/// else has reaped it.
pub(crate) fn open_child(pid: u32) -> io::Result<Option<OwnedFd>> {
    match open(pid) {
        // The number may have been free again, and another process's by now.
        Ok(pidfd) => Ok(names_child(pidfd.as_fd())?.then_some(pidfd)),
        Err(error) if error.raw_os_error() == Some(libc::ESRCH) => Ok(None),
        Err(error) => Err(error),
    }
}

/// Whether the process is a child of this one that nobody has reaped. Reaps nothing.
pub(crate) fn names_child(pidfd: BorrowedFd<'_>) -> io::Result<bool> {
    match wait_for(pidfd, libc::WEXITED | libc::WNOHANG | libc::WNOWAIT) {
        Ok(_) => Ok(true),
        Err(Errno::ECHILD) => Ok(false),
        Err(error) => Err(error.into()),
    }
}

/// Reaps the child, if it has ended. Does not block.
pub(crate) fn reap(pidfd: BorrowedFd<'_>) -> io::Result<Reaped> {
    match wait_for(pidfd, libc::WEXITED | libc::WNOHANG) {
        Ok(Some(status)) => Ok(Reaped::Ended(status)),
        Ok(None) => Ok(Reaped::NotYet),
        Err(Errno::ECHILD) => Ok(Reaped::Elsewhere),
        Err(error) => Err(error.into()),
    }
}

/// How a process ended that somebody else has reaped; `None` where the kernel does not keep it
/// (before Linux 6.15). May wait a moment for a process that is ending.
pub(crate) fn status_of_reaped(pidfd: BorrowedFd<'_>) -> Option<ExitStatus> {
    match exit_info(pidfd) {
        Ok(None) => {}
        known => return known.ok().flatten(),
    }
    // It has ended and nobody is to reap it, but it is not yet taken away. The descriptor hangs up
    // when it is.
    wait::ready(pidfd, PollFlags::empty(), Deadline::after(TAKEN_AWAY)).ok()?;
    exit_info(pidfd).ok().flatten()
}

/// The longest wait for the kernel to take an ended process away.
const TAKEN_AWAY: Duration = Duration::from_millis(50);

/// Kills the process; one that has ended already is no error.
pub(crate) fn kill(pidfd: BorrowedFd<'_>) -> io::Result<()> {
    let no_info = ptr::null::<libc::siginfo_t>();
    // SAFETY: the descriptor is open while it is borrowed, and no `siginfo_t` is passed.
    let sent =
        unsafe { libc::syscall(libc::SYS_pidfd_send_signal, pidfd.as_raw_fd(), libc::SIGKILL, no_info, 0) };
    match Errno::result(sent) {
        Ok(_) | Err(Errno::ESRCH) => Ok(()),
        Err(error) => Err(error.into()),
    }
}

/// `waitid` on the descriptor; `None` where `WNOHANG` finds nothing to report.
///
/// Not nix's, which reaps a child that a real-time signal killed and then returns an error.
fn wait_for(pidfd: BorrowedFd<'_>, options: libc::c_int) -> nix::Result<Option<ExitStatus>> {
    let id = libc::id_t::try_from(pidfd.as_raw_fd()).map_err(|_| Errno::EBADF)?;
    // SAFETY: all zeroes is a `siginfo_t`, and what `WNOHANG` leaves behind when nothing happened.
    let mut info: libc::siginfo_t = unsafe { mem::zeroed() };
    // SAFETY: the descriptor is open while it is borrowed; the call writes one `siginfo_t` to ours.
    while let Err(error) = Errno::result(unsafe { libc::waitid(libc::P_PIDFD, id, &raw mut info, options) }) {
        if error != Errno::EINTR {
            return Err(error);
        }
    }
    // SAFETY: `waitid` left the structure zeroed or filled it for a child, and both have the fields.
    let (pid, status) = unsafe { (info.si_pid(), info.si_status()) };
    if pid == 0 {
        return Ok(None);
    }
    // As wait(2) has it: the status in the second byte, or the signal in the first.
    Ok(Some(ExitStatus::from_raw(if info.si_code == libc::CLD_EXITED { status << 8 } else { status })))
}

/// Asks the kernel for the status it keeps with the descriptor; `None` while it has none.
fn exit_info(pidfd: BorrowedFd<'_>) -> nix::Result<Option<ExitStatus>> {
    // SAFETY: integers alone, so all zeroes is a value of it.
    let mut info: libc::pidfd_info = unsafe { mem::zeroed() };
    info.mask = libc::PIDFD_INFO_EXIT.into();
    // SAFETY: the descriptor is open while it is borrowed, and the request's number holds the size
    // of the structure, so the kernel writes no further.
    Errno::result(unsafe { libc::ioctl(pidfd.as_raw_fd(), libc::PIDFD_GET_INFO, &raw mut info) })?;
    let known = info.mask & u64::from(libc::PIDFD_INFO_EXIT) != 0;
    Ok(known.then(|| ExitStatus::from_raw(info.exit_code)))
}

/// The signal's name, which real-time signals do not have.
pub(crate) fn signal_name(signal: i32) -> Option<&'static str> {
    Signal::try_from(signal).ok().map(Signal::as_str)
}

/// Has the kernel reap this process's children, for the tests of a host that does so.
#[cfg(test)]
pub(crate) fn ignore_sigchld() {
    use nix::sys::signal::{SigHandler, signal};

    // SAFETY: ignoring installs no code that could run at the wrong time.
    unsafe { signal(Signal::SIGCHLD, SigHandler::SigIgn) }.unwrap();
}
