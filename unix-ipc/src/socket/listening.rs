//! Sockets at a path: listening, connecting, and paths longer than an address holds.

use std::fs::{self, File, OpenOptions, Permissions};
use std::io;
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, OwnedFd};
use std::os::unix::fs::{MetadataExt, OpenOptionsExt, PermissionsExt};
use std::path::{Path, PathBuf};

use nix::errno::Errno;
use nix::libc;
use nix::poll::PollFlags;
use nix::sys::socket::{self, AddressFamily, Backlog, SockFlag, SockType, UnixAddr, sockopt};
use nix::sys::time::{TimeVal, TimeValLike};

use super::Socket;
use crate::deadline::Deadline;
use crate::sys::accept::accept;
use crate::sys::fork::Generation;
use crate::sys::receive::Credentials;
use crate::sys::wait::ready;

/// The longest path that fits `sockaddr_un` with its terminator (unix(7)).
const ADDRESS_BYTES: usize = 107;

/// A listening socket and the file that names it, which goes with it.
#[derive(Debug)]
pub(crate) struct Listening {
    socket: OwnedFd,
    path: PathBuf,
    /// Device and inode of the file we made: whatever else is at the path later is not ours to remove.
    file: (u64, u64),
    /// A copy of the process that listens leaves the file alone.
    made_in: Generation,
}

impl Listening {
    /// Listens at a path where nothing is yet. The file has the mode from its first moment.
    pub(crate) fn bind(path: &Path, mode: u32) -> io::Result<Self> {
        // Non-blocking, because a connection that `poll` announced may have gone to another thread. The
        // description is ours alone.
        let flags = SockFlag::SOCK_CLOEXEC | SockFlag::SOCK_NONBLOCK;
        let socket = socket::socket(AddressFamily::Unix, SockType::SeqPacket, flags, None)?;
        // bind(2) gives the file the mode of the socket's own inode, so there is no moment in between.
        File::from(socket.try_clone()?).set_permissions(Permissions::from_mode(mode))?;
        with_address(path, |address| Ok(socket::bind(socket.as_raw_fd(), address)?))?;
        let made = fs::symlink_metadata(path)?;
        let listening = Self {
            socket,
            path: path.to_owned(),
            file: (made.dev(), made.ino()),
            made_in: Generation::current(),
        };
        socket::listen(&listening.socket, Backlog::MAXCONN)?;
        Ok(listening)
    }

    /// Whether this is the process that listens, and no copy of it.
    #[cfg(feature = "bootstrap-simple")]
    pub(crate) fn is_ours(&self) -> bool {
        self.made_in.is_current()
    }

    pub(crate) fn path(&self) -> &Path {
        &self.path
    }

    /// Waits until a connection may be there, or `TimedOut`.
    pub(crate) fn wait(&self, deadline: Deadline) -> io::Result<()> {
        let is_ready = ready(self.socket.as_fd(), PollFlags::POLLIN, deadline)?;
        if is_ready { Ok(()) } else { Err(io::ErrorKind::TimedOut.into()) }
    }

    /// The next connection, if one is there.
    pub(crate) fn try_accept(&self) -> io::Result<Option<(Socket, Credentials)>> {
        match accept(&self.socket) {
            Ok(accepted) => {
                let socket = Socket::from(accepted);
                let peer = socket.peer_credentials()?;
                Ok(Some((socket, peer)))
            }
            Err(Errno::EAGAIN | Errno::EINTR | Errno::ECONNABORTED) => Ok(None),
            Err(errno) => Err(errno.into()),
        }
    }

    /// Refuses connections from now on, and wakes whoever waits for one.
    #[cfg(feature = "macros")]
    pub(crate) fn close(&self) -> io::Result<()> {
        Ok(socket::shutdown(self.socket.as_raw_fd(), socket::Shutdown::Both)?)
    }
}

impl Drop for Listening {
    fn drop(&mut self) {
        let is_ours = |found: fs::Metadata| (found.dev(), found.ino()) == self.file;
        if self.made_in.is_current() && fs::symlink_metadata(&self.path).is_ok_and(is_ours) {
            let _ = fs::remove_file(&self.path);
        }
    }
}

impl AsFd for Listening {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.socket.as_fd()
    }
}

/// Connects to whoever listens at a path.
pub(crate) fn connect(path: &Path, deadline: Deadline) -> io::Result<Socket> {
    let socket = socket::socket(AddressFamily::Unix, SockType::SeqPacket, SockFlag::SOCK_CLOEXEC, None)?;
    // A listener with a full queue makes connect(2) wait, which only this option bounds. It is off again
    // before anybody else can have the socket.
    if let Some(left) = deadline.left() {
        let left = TimeVal::microseconds(i64::try_from(left.as_micros()).unwrap_or(i64::MAX).max(1));
        socket::setsockopt(&socket, sockopt::SendTimeout, &left)?;
    }
    with_address(path, |address| connect_to(&socket, address))?;
    socket::setsockopt(&socket, sockopt::SendTimeout, &TimeVal::zero())?;
    Ok(socket.into())
}

fn connect_to(socket: &OwnedFd, address: &UnixAddr) -> io::Result<()> {
    loop {
        match socket::connect(socket.as_raw_fd(), address) {
            Ok(()) => return Ok(()),
            Err(Errno::EINTR) => {}
            Err(Errno::EAGAIN) => return Err(io::ErrorKind::TimedOut.into()),
            Err(errno) => return Err(errno.into()),
        }
    }
}

/// Calls with the path's address. A path that is too long for one is named through its directory's
/// descriptor, which proc(5) shows under a short name.
fn with_address<R>(path: &Path, call: impl FnOnce(&UnixAddr) -> io::Result<R>) -> io::Result<R> {
    if path.as_os_str().len() <= ADDRESS_BYTES {
        return call(&UnixAddr::new(path)?);
    }
    let (Some(directory), Some(name)) = (path.parent(), path.file_name()) else {
        return Err(io::ErrorKind::InvalidInput.into());
    };
    let directory = if directory.as_os_str().is_empty() { Path::new(".") } else { directory };
    let flags = libc::O_PATH | libc::O_DIRECTORY;
    let directory = OpenOptions::new().read(true).custom_flags(flags).open(directory)?;
    let short = Path::new("/proc/self/fd").join(directory.as_raw_fd().to_string()).join(name);
    if short.as_os_str().len() > ADDRESS_BYTES {
        let message = format!("the name of the socket has {} bytes, too many for an address", name.len());
        return Err(io::Error::new(io::ErrorKind::InvalidInput, message));
    }
    call(&UnixAddr::new(&short)?)
}
