//! The core dumps of a child.
#![allow(unsafe_code)]

use std::io;
use std::os::fd::BorrowedFd;
use std::ptr;

use nix::errno::Errno;
use nix::libc;

use super::pidfd;

/// Lowers the soft limit on core dumps to 0 in the child that `child` names. The hard limit stays,
/// so that the child can ask for dumps again.
///
/// From outside and after the start: a limit set inside the child would need a `pre_exec`, and with
/// it the slow way to start a process.
pub(crate) fn forbid(child: BorrowedFd<'_>, pid: u32) -> io::Result<()> {
    if !pidfd::names_child(child)? {
        return Err(Errno::ESRCH.into());
    }
    let pid = libc::pid_t::try_from(pid).map_err(|_| Errno::ESRCH)?;
    let mut limit = libc::rlimit { rlim_cur: 0, rlim_max: 0 };
    // SAFETY: the call writes one `rlimit` to the place it is given, which is ours.
    Errno::result(unsafe { libc::prlimit(pid, libc::RLIMIT_CORE, ptr::null(), &raw mut limit) })?;
    limit.rlim_cur = 0;
    // SAFETY: the call reads one `rlimit` from the place it is given, which is ours.
    Errno::result(unsafe { libc::prlimit(pid, libc::RLIMIT_CORE, &raw const limit, ptr::null_mut()) })?;
    Ok(())
}
