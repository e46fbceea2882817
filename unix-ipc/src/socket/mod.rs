//! A Unix domain socket of packets (`SOCK_SEQPACKET`): one message of the kernel is one packet.
//!
//! Every call is non-blocking (`MSG_DONTWAIT`) and silent (`MSG_NOSIGNAL`); waiting is [`wait`](crate::sys::wait).
//! The status flags of the open file are never touched: other processes share them.

#[cfg(any(feature = "bootstrap", feature = "macros"))]
pub(crate) mod listening;

#[cfg(feature = "macros")]
use std::io::IoSliceMut;
use std::io::{self, IoSlice};
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, OwnedFd, RawFd};
use std::sync::Arc;
#[cfg(feature = "macros")]
use std::time::Duration;

use nix::errno::Errno;
use nix::libc;
use nix::poll::{PollFd, PollFlags};
use nix::sys::socket::{
    self, AddressFamily, ControlMessage, MsgFlags, Shutdown, SockFlag, SockType, UnixCredentials, sockopt,
};

#[cfg(feature = "macros")]
use nix::sys::time::{TimeVal, TimeValLike};

use crate::deadline::Deadline;
#[cfg(feature = "macros")]
use crate::sys::process;
#[cfg(any(feature = "bootstrap", feature = "macros"))]
use crate::sys::receive::Credentials;
use crate::sys::receive::{self, Received, Wait};
use crate::sys::wait::wait;

/// One end of a connected socket; clones share it.
#[derive(Clone, Debug)]
pub(crate) struct Socket(Arc<OwnedFd>);

impl Socket {
    /// Two ends of a new connection, close-on-exec.
    pub(crate) fn pair() -> io::Result<(Self, Self)> {
        let (one, other) =
            socket::socketpair(AddressFamily::Unix, SockType::SeqPacket, None, SockFlag::SOCK_CLOEXEC)?;
        Ok((one.into(), other.into()))
    }

    /// Sends one packet, or nothing: `WouldBlock` where there is no room now.
    pub(crate) fn send(&self, parts: &[IoSlice<'_>], descriptors: &[BorrowedFd<'_>]) -> io::Result<()> {
        let numbers: Vec<RawFd> = descriptors.iter().map(AsRawFd::as_raw_fd).collect();
        let rights = [ControlMessage::ScmRights(&numbers)];
        self.send_with(parts, if numbers.is_empty() { &[] } else { &rights })
    }

    /// Sends one packet of bytes that lie together.
    #[inline]
    pub(crate) fn send_bytes(&self, packet: &[u8]) -> io::Result<()> {
        let flags = MsgFlags::MSG_DONTWAIT | MsgFlags::MSG_NOSIGNAL;
        loop {
            match socket::send(self.0.as_raw_fd(), packet, flags) {
                Ok(_) => return Ok(()),
                Err(Errno::EINTR) => {}
                Err(errno) => return Err(errno.into()),
            }
        }
    }

    /// Sends one packet that names its sender, which the receiver can trust: credentials(7) says that
    /// the kernel checks them.
    pub(crate) fn send_with_credentials(
        &self,
        parts: &[IoSlice<'_>],
        descriptors: &[BorrowedFd<'_>],
    ) -> io::Result<()> {
        let numbers: Vec<RawFd> = descriptors.iter().map(AsRawFd::as_raw_fd).collect();
        let credentials = UnixCredentials::new();
        let named = [ControlMessage::ScmCredentials(&credentials), ControlMessage::ScmRights(&numbers)];
        let sent = self.send_with(parts, if numbers.is_empty() { &named[..1] } else { &named });
        if !matches!(&sent, Err(error) if is_unmapped_user(error)) {
            return sent;
        }
        // A user without a number in its user namespace cannot name itself; the kernel can. It binds
        // the socket to a name while the option is on, so it goes off again at once.
        self.pass_credentials(true)?;
        let sent = self.send_with(parts, if numbers.is_empty() { &[] } else { &named[1..] });
        self.pass_credentials(false)?;
        sent
    }

    fn send_with(&self, parts: &[IoSlice<'_>], control: &[ControlMessage<'_>]) -> io::Result<()> {
        let flags = MsgFlags::MSG_DONTWAIT | MsgFlags::MSG_NOSIGNAL;
        loop {
            match socket::sendmsg::<()>(self.0.as_raw_fd(), parts, control, flags, None) {
                Ok(_) => return Ok(()),
                Err(Errno::EINTR) => {}
                Err(errno) => return Err(errno.into()),
            }
        }
    }

    /// Receives one packet: `WouldBlock` where none is there (and none was waited for), `None` at the end.
    ///
    /// A reset says only that the peer is going, ahead of what it sent before, so it is passed over.
    #[inline]
    pub(crate) fn receive(&self, buffer: &mut [u8], wait: Wait) -> io::Result<Option<Received>> {
        let mut resets = 0;
        loop {
            match receive::receive(self.as_fd(), buffer, wait) {
                Ok(received) if received.bytes == 0 && self.has_ended(&received)? => return Ok(None),
                Ok(received) => return Ok(Some(received)),
                // A wait that began anew after each signal might never end.
                #[cfg(feature = "macros")]
                Err(error) if error.kind() == io::ErrorKind::Interrupted && wait == Wait::Briefly => {
                    return Err(io::ErrorKind::WouldBlock.into());
                }
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) if error.kind() == io::ErrorKind::ConnectionReset && resets < 2 => resets += 1,
                Err(error) => return Err(error),
            }
        }
    }

    /// Copies the beginning of the next packet, which stays in the queue, and says how long it is: `None` where none is there.
    #[cfg(feature = "serde")]
    pub(crate) fn peek(&self, start: &mut [u8]) -> Option<usize> {
        let flags = MsgFlags::MSG_PEEK | MsgFlags::MSG_DONTWAIT | MsgFlags::MSG_TRUNC;
        // Whatever is wrong shows when the packet is received.
        socket::recv(self.0.as_raw_fd(), start, flags).ok().filter(|length| *length > 0)
    }

    /// Who sent the next packet, which stays in the queue: `None` where none is there, `UnexpectedEof` where none comes
    /// any more. The socket has to ask for names.
    #[cfg(feature = "macros")]
    pub(crate) fn peek_sender(&self) -> io::Result<Option<Credentials>> {
        match receive::peek(self.as_fd()) {
            // A packet has a sender, so this is the end.
            Ok(peeked) => peeked.sender.map(Some).ok_or_else(|| io::ErrorKind::UnexpectedEof.into()),
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => Ok(None),
            Err(error) => Err(error),
        }
    }

    /// The first bytes of the next packet, which stays in the queue: `None` where none is there, or none that has as many.
    #[cfg(feature = "macros")]
    pub(crate) fn peek_start<const N: usize>(&self) -> io::Result<Option<[u8; N]>> {
        let mut start = [0; N];
        let flags = MsgFlags::MSG_PEEK | MsgFlags::MSG_DONTWAIT;
        let mut place = [IoSliceMut::new(&mut start)];
        // By recvmsg(2), as everything else: a process may be allowed that alone.
        let peeked = socket::recvmsg::<()>(self.0.as_raw_fd(), &mut place, None, flags);
        let bytes = peeked.map(|message| message.bytes);
        match bytes {
            Ok(bytes) => Ok(Some(start).filter(|_| bytes == N)),
            Err(errno) => Err(errno.into()),
        }
    }

    /// Tells the end from a packet without bytes, which reads the same.
    fn has_ended(&self, received: &Received) -> io::Result<bool> {
        // Only a packet names its sender, where the socket asks for names.
        if !received.descriptors.is_empty() || received.descriptors_lost || received.sender.is_some() {
            return Ok(false);
        }
        let hang_up = PollFlags::from_bits_retain(libc::POLLRDHUP) | PollFlags::POLLHUP;
        let mut look = [PollFd::new(self.as_fd(), hang_up)];
        wait(&mut look, Deadline::now())?;
        // nix does not know POLLRDHUP: it shows events with that bit as none it can name.
        Ok(look[0].revents().is_none_or(|events| events.contains(PollFlags::POLLHUP)))
    }

    /// Closes one direction, or both, for everybody who shares the socket.
    pub(crate) fn shut_down(&self, how: Shutdown) -> io::Result<()> {
        Ok(socket::shutdown(self.0.as_raw_fd(), how)?)
    }

    /// Whether received packets name their sender (`SO_PASSCRED`, unix(7)).
    pub(crate) fn pass_credentials(&self, on: bool) -> io::Result<()> {
        Ok(socket::setsockopt(&self.0, sockopt::PassCred, &on)?)
    }

    /// How long [`Wait::Briefly`] is (`SO_RCVTIMEO`, socket(7)). It belongs to the open file, so it is for an end that no
    /// other process waits at, or one that waits in the same way.
    #[cfg(feature = "macros")]
    pub(crate) fn set_brief_wait(&self, time: Duration) -> io::Result<()> {
        let time = TimeVal::microseconds(i64::try_from(time.as_micros()).unwrap_or(i64::MAX));
        Ok(socket::setsockopt(&self.0, sockopt::ReceiveTimeout, &time)?)
    }

    /// Who connected, or who listens, at the other end of a connection through a path (`SO_PEERCRED`,
    /// unix(7)). Of a socketpair it names who made it.
    #[cfg(any(feature = "bootstrap", feature = "macros"))]
    pub(crate) fn peer_credentials(&self) -> io::Result<Credentials> {
        let peer = socket::getsockopt(&self.0, sockopt::PeerCredentials)?;
        Ok(Credentials { pid: peer.pid(), uid: peer.uid(), gid: peer.gid() })
    }

    /// Whether the process has ended that made the other end of a connection through a path (`SO_PEERPIDFD`, Linux 6.5): false where
    /// that cannot be told.
    #[cfg(feature = "macros")]
    pub(crate) fn peer_process_has_ended(&self) -> bool {
        match socket::getsockopt(&self.0, sockopt::PeerPidfd) {
            Ok(process) => process::is_over(process.as_fd()),
            // Before Linux 6.16 there is no descriptor of a process that was reaped.
            Err(errno) => matches!(errno, Errno::EINVAL | Errno::ESRCH),
        }
    }

    /// Whether this is a Unix domain socket of packets; any other descriptor is an error that says so.
    #[cfg(feature = "macros")]
    pub(crate) fn check_type(&self) -> io::Result<()> {
        let refuse = |what: &str| Err(io::Error::new(io::ErrorKind::InvalidInput, what.to_owned()));
        let Ok(kind) = socket::getsockopt(&self.0, sockopt::SockType) else {
            return refuse("the descriptor is not a socket");
        };
        if socket::getsockname::<socket::UnixAddr>(self.0.as_raw_fd()).is_err() {
            return refuse("the socket is not a Unix domain socket");
        }
        if kind != SockType::SeqPacket {
            return refuse("the socket is not of type SOCK_SEQPACKET (systemd: `ListenSequentialPacket=`)");
        }
        Ok(())
    }

    /// The descriptor, which other owners may keep open after this end has gone.
    pub(crate) fn descriptor(&self) -> &Arc<OwnedFd> {
        &self.0
    }

    /// The descriptor alone: duplicated where somebody else holds it too.
    pub(crate) fn into_descriptor(self) -> io::Result<OwnedFd> {
        Arc::try_unwrap(self.0).or_else(|shared| shared.try_clone())
    }
}

impl AsFd for Socket {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.0.as_fd()
    }
}

impl From<OwnedFd> for Socket {
    fn from(descriptor: OwnedFd) -> Self {
        Self(Arc::new(descriptor))
    }
}

impl From<Arc<OwnedFd>> for Socket {
    fn from(descriptor: Arc<OwnedFd>) -> Self {
        Self(descriptor)
    }
}

/// EINVAL for an id that has no number, EPERM for one that is not the sender's.
fn is_unmapped_user(error: &io::Error) -> bool {
    error.raw_os_error().is_some_and(|code| code == Errno::EINVAL as i32 || code == Errno::EPERM as i32)
}

/// Whether an error means that the peer is going or gone.
pub(crate) fn is_hang_up(error: &io::Error) -> bool {
    matches!(
        error.kind(),
        io::ErrorKind::BrokenPipe | io::ErrorKind::ConnectionReset | io::ErrorKind::NotConnected
    )
}
