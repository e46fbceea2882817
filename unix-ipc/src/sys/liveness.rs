//! The pipe through which the kernel ends a child with its parent.
//!
//! Nobody ever writes to it. The parent keeps the writing end; when the parent is gone, however it
//! ended, the reading end hangs up and its owner gets the signal it asked for. Unlike
//! `PR_SET_PDEATHSIG` this does not fire when only the *thread* that started the child ends, and it
//! needs no thread in the child.
#![allow(unsafe_code)]

use std::io;
use std::mem;
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, OwnedFd};
use std::process;

use nix::errno::Errno;
use nix::fcntl::{FcntlArg, OFlag, fcntl};
use nix::libc;
use nix::poll::PollFlags;
use nix::sys::signal::{Signal, kill};
use nix::sys::stat::{SFlag, fstat};
use nix::unistd::{Pid, pipe2};

use super::wait;
use crate::deadline::Deadline;

/// A pipe, as its reading end for the child and its writing end for the parent, which keeps it
/// until the child is reaped.
///
/// One pipe for each child: owner and signal belong to the description that all copies of a
/// reading end share.
pub(crate) fn liveness_pipe() -> io::Result<(OwnedFd, OwnedFd)> {
    Ok(pipe2(OFlag::O_CLOEXEC)?)
}

/// Has the kernel kill this process as soon as the writing end is closed everywhere; when it is
/// closed already, the process ends here.
///
/// Fails, and changes nothing, when `read` is no pipe.
pub(crate) fn arm(read: OwnedFd) -> io::Result<()> {
    if fstat(&read)?.st_mode & SFlag::S_IFMT.bits() != SFlag::S_IFIFO.bits() {
        return Err(io::Error::new(io::ErrorKind::InvalidData, "the liveness descriptor is no pipe"));
    }
    own(read.as_fd())?;
    let flags = OFlag::from_bits_retain(fcntl(&read, FcntlArg::F_GETFL)?);
    fcntl(&read, FcntlArg::F_SETFL(flags | OFlag::O_ASYNC))?;
    // Armed first and looked at then, so that no moment is left in which a hang-up goes unseen.
    if wait::ready(read.as_fd(), PollFlags::empty(), Deadline::now())? {
        kill(Pid::this(), Signal::SIGKILL)?;
    }
    // Left open on purpose, the one descriptor that is: closed, it could not hang up any more, and
    // it has to for as long as this process runs.
    mem::forget(read);
    Ok(())
}

/// `struct f_owner_ex` of fcntl(2), which libc does not have everywhere.
#[repr(C)]
struct Owner {
    kind: libc::c_int,
    pid: libc::pid_t,
}

const F_SETSIG: libc::c_int = 10;
const F_SETOWN_EX: libc::c_int = 15;
/// The whole process, whichever of its threads armed the pipe and whichever is left.
const F_OWNER_PID: libc::c_int = 1;

/// Makes SIGKILL to this process what `O_ASYNC` on the pipe means.
fn own(read: BorrowedFd<'_>) -> io::Result<()> {
    let pid = libc::pid_t::try_from(process::id()).map_err(|_| Errno::ESRCH)?;
    let owner = Owner { kind: F_OWNER_PID, pid };
    // SAFETY: the descriptor is open while it is borrowed, and the kernel reads one `f_owner_ex`.
    Errno::result(unsafe { libc::fcntl(read.as_raw_fd(), F_SETOWN_EX, &raw const owner) })?;
    // SAFETY: the descriptor is open while it is borrowed, and the argument is an integer.
    Errno::result(unsafe { libc::fcntl(read.as_raw_fd(), F_SETSIG, libc::SIGKILL) })?;
    Ok(())
}
