//! The resource limits of a child, set from outside.
#![allow(unsafe_code)]

use std::io;
use std::os::fd::BorrowedFd;
use std::ptr;

use nix::errno::Errno;
use nix::libc;
use nix::sys::resource::Resource;

use super::pidfd;

/// Sets both limits, the soft and the hard one, in the child that `child` names.
///
/// From outside and after the start, for the reason that [`core_dumps`](super::core_dumps) has.
pub(crate) fn set(child: BorrowedFd<'_>, pid: u32, resource: Resource, value: u64) -> io::Result<()> {
    if !pidfd::names_child(child)? {
        return Err(Errno::ESRCH.into());
    }
    let pid = libc::pid_t::try_from(pid).map_err(|_| Errno::ESRCH)?;
    let limit = libc::rlimit { rlim_cur: value, rlim_max: value };
    // SAFETY: the call reads one `rlimit` from the place it is given, which is ours.
    Errno::result(unsafe { libc::prlimit(pid, resource as _, &raw const limit, ptr::null_mut()) })?;
    Ok(())
}
