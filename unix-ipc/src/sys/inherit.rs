//! How a socket gets from a process to its child, and to nobody else.
#![allow(unsafe_code, clippy::disallowed_methods)]

use std::fmt;
use std::fs::File;
use std::io;
use std::mem::MaybeUninit;
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, FromRawFd, OwnedFd, RawFd};
use std::process;
use std::str::FromStr;
use std::sync::atomic::{AtomicBool, Ordering};

use nix::errno::Errno;
use nix::libc;
use nix::poll::PollFlags;
use nix::sys::socket::{SockType, UnixAddr, getsockname, getsockopt, sockopt};
use nix::sys::stat::SFlag;
use nix::unistd::{dup2_stdin, getppid};

use super::wait;
use crate::deadline::Deadline;

/// What a spawner tells its child about the socket it leaves it, as text `fd:dev:ino:pid`.
///
/// Descriptor numbers mean something else in every process and variables are inherited further than
/// descriptors, so the number alone proves nothing.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Announcement {
    number: RawFd,
    device: u64,
    inode: u64,
    spawner: u32,
}

/// Standard input, which costs no fork (std then starts the process with `posix_spawn`).
const STDIN: RawFd = 0;
/// The first number that is not one of the standard streams.
pub(super) const FIRST_OWN: RawFd = 3;

/// Whether this process has taken the socket that its spawner left it.
static TAKEN: AtomicBool = AtomicBool::new(false);

impl Announcement {
    /// For a child that gets `socket` as its standard input.
    pub(crate) fn at_stdin(socket: BorrowedFd<'_>) -> io::Result<Self> {
        Self::of(socket, STDIN)
    }

    /// For a child that gets `socket` at the number it has here.
    pub(crate) fn in_place(socket: BorrowedFd<'_>) -> io::Result<Self> {
        Self::of(socket, socket.as_raw_fd())
    }

    fn of(socket: BorrowedFd<'_>, number: RawFd) -> io::Result<Self> {
        let (device, inode) = identity(socket.as_raw_fd())?;
        Ok(Self { number, device, inode, spawner: process::id() })
    }

    /// Takes the socket, once in a process; `None` when there is none, or when it is not for us.
    ///
    /// It is moved to a number of its own, close-on-exec; /dev/null takes its place at number 0.
    pub(crate) fn take(self) -> io::Result<Option<OwnedFd>> {
        let for_us = self.spawner != process::id() && (self.number == STDIN || self.number >= FIRST_OWN);
        if !for_us || !self.is_there() {
            return Ok(None);
        }
        // A copy for the questions that are left, so that they are asked of something we own.
        let socket = duplicate(self.number)?;
        if !is_sequential(socket.as_fd()) || !self.is_from_spawner(socket.as_fd())? {
            return Ok(None);
        }
        let nothing = File::open("/dev/null")?;
        if TAKEN.swap(true, Ordering::Relaxed) {
            return Ok(None);
        }
        self.vacate(&nothing)?;
        Ok(Some(socket))
    }

    fn is_there(self) -> bool {
        identity(self.number).is_ok_and(|found| found == (self.device, self.inode))
    }

    /// Whether this process is the child that the socket was meant for, not a grandchild that the
    /// child started before it took its socket. A child whose parent is gone cannot be told by its
    /// parent; then the socket has hung up, and taking it does nobody any harm.
    fn is_from_spawner(self, socket: BorrowedFd<'_>) -> io::Result<bool> {
        let parent = u32::try_from(getppid().as_raw()).ok();
        Ok(parent == Some(self.spawner) || wait::ready(socket, PollFlags::empty(), Deadline::now())?)
    }

    /// Gives up the number under which the socket came.
    fn vacate(self, nothing: &File) -> io::Result<()> {
        if self.number == STDIN {
            return Ok(dup2_stdin(nothing)?);
        }
        // SAFETY: the number is open and still our spawner's socket (`is_there`), which nobody but
        // its taker has a use for; `TAKEN` lets one thread get here, once.
        drop(unsafe { OwnedFd::from_raw_fd(self.number) });
        Ok(())
    }
}

impl fmt::Display for Announcement {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { number, device, inode, spawner } = self;
        write!(f, "{number}:{device}:{inode}:{spawner}")
    }
}

/// The text was not written by a spawner.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Unreadable;

impl FromStr for Announcement {
    type Err = Unreadable;

    fn from_str(text: &str) -> Result<Self, Unreadable> {
        let mut parts = text.split(':');
        let announcement = Self {
            number: number(parts.next())?,
            device: number(parts.next())?,
            inode: number(parts.next())?,
            spawner: number(parts.next())?,
        };
        if parts.next().is_some() { Err(Unreadable) } else { Ok(announcement) }
    }
}

fn number<N: FromStr>(text: Option<&str>) -> Result<N, Unreadable> {
    text.and_then(|text| text.parse().ok()).ok_or(Unreadable)
}

/// Device and inode of the socket at a number; an error when there is no socket.
fn identity(number: RawFd) -> io::Result<(u64, u64)> {
    let mut stat = MaybeUninit::<libc::stat>::uninit();
    // SAFETY: the call writes one `stat` to ours, and leaves what is at the number, if anything, as it is.
    Errno::result(unsafe { libc::fstat(number, stat.as_mut_ptr()) })?;
    // SAFETY: the call succeeded, so it wrote the structure.
    let stat = unsafe { stat.assume_init() };
    if stat.st_mode & SFlag::S_IFMT.bits() != SFlag::S_IFSOCK.bits() {
        return Err(Errno::ENOTSOCK.into());
    }
    Ok((stat.st_dev, stat.st_ino))
}

/// A second descriptor of what is at a number, above the standard streams and close-on-exec.
fn duplicate(number: RawFd) -> io::Result<OwnedFd> {
    // SAFETY: the call takes integers; it closes and changes nothing.
    let copy = Errno::result(unsafe { libc::fcntl(number, libc::F_DUPFD_CLOEXEC, FIRST_OWN) })?;
    // SAFETY: the kernel has just made this descriptor for us, so nobody else owns it.
    Ok(unsafe { OwnedFd::from_raw_fd(copy) })
}

/// Whether it is a Unix socket of packets, which is all that a spawner of ours makes.
fn is_sequential(socket: BorrowedFd<'_>) -> bool {
    getsockopt(&socket, sockopt::SockType) == Ok(SockType::SeqPacket)
        && getsockname::<UnixAddr>(socket.as_raw_fd()).is_ok()
}

/// The same descriptor at a number that no standard stream has, where a child can inherit it in place.
pub(crate) fn above_stdio(fd: OwnedFd) -> io::Result<OwnedFd> {
    if fd.as_raw_fd() >= FIRST_OWN { Ok(fd) } else { duplicate(fd.as_raw_fd()) }
}
