//! Processes by number.
#![allow(unsafe_code)]

use std::io;
use std::os::fd::{AsFd, BorrowedFd, FromRawFd, OwnedFd, RawFd};

use nix::errno::Errno;
use nix::libc;
use nix::poll::PollFlags;

use super::wait::ready;
use crate::deadline::Deadline;

/// Opens the process that has the number now, close-on-exec as the kernel always does.
#[expect(clippy::disallowed_methods, reason = "the one place where the kernel hands over processes")]
pub(crate) fn open(pid: u32) -> io::Result<OwnedFd> {
    let pid = libc::pid_t::try_from(pid).map_err(|_| Errno::ESRCH)?;
    // SAFETY: the call takes two integers.
    let number = Errno::result(unsafe { libc::syscall(libc::SYS_pidfd_open, pid, 0) })?;
    let number = RawFd::try_from(number).map_err(|_| Errno::EBADF)?;
    // SAFETY: the kernel has just made this descriptor for us, so nobody else owns it.
    Ok(unsafe { OwnedFd::from_raw_fd(number) })
}

/// Whether no process with this number runs any more, reaped or not; false where that cannot be told.
pub(crate) fn has_ended(pid: u32) -> bool {
    match open(pid) {
        Ok(process) => is_over(process.as_fd()),
        Err(error) => error.raw_os_error() == Some(libc::ESRCH),
    }
}

/// Whether an open process has ended, reaped or not.
pub(crate) fn is_over(process: BorrowedFd<'_>) -> bool {
    ready(process, PollFlags::POLLIN, Deadline::now()).unwrap_or(false)
}

#[cfg(test)]
mod tests {
    use std::process::{self, Command};

    use super::*;

    #[test]
    fn a_process_has_ended_before_it_is_reaped_and_after() {
        assert!(!has_ended(process::id()));
        let mut child = Command::new("/bin/true").spawn().unwrap();
        let pidfd = open(child.id()).unwrap();
        assert!(ready(pidfd.as_fd(), PollFlags::POLLIN, Deadline::NEVER).unwrap());
        assert!(has_ended(child.id()), "a zombie");
        child.wait().unwrap();
        assert!(has_ended(child.id()), "a number without a process");
    }
}
