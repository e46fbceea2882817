use std::io;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::process;

use nix::poll::PollFlags;

use super::lane::LaneLock;
use super::outgoing::{self, Outgoing, Progress, refusal};
use super::{Parts, random};
use crate::deadline::Deadline;
use crate::error::SendError;
use crate::frame::Kind;
use crate::limits::Limits;
use crate::socket::{self, Socket};
use crate::sync::Turn;
use crate::sys::wait::ready;

/// The sending end of a [`raw_channel`](crate::raw_channel()).
///
/// It can be shared by threads, and its descriptor by processes: messages are never torn or mixed.
/// Dropping it closes the descriptor.
#[derive(Debug)]
pub struct RawSender {
    socket: Socket,
    /// Held through a long message: a sender has one on its way at a time.
    turn: Turn,
    /// Tells this sender's long messages from those of others.
    stream: u64,
    limits: Limits,
    /// Only for values: whoever has a raw end may write to its descriptor by other means.
    pub(super) lane: Option<LaneLock>,
}

impl RawSender {
    /// The same end with other limits: [`Limits::message_bytes`] and [`Limits::descriptors`] count here.
    #[must_use]
    pub fn with_limits(self, limits: Limits) -> Self {
        Self { limits, ..self }
    }

    /// Sends one message: bytes, and descriptors, of which the receiver gets duplicates.
    ///
    /// # Errors
    ///
    /// [`SendError::Disconnected`] where the receiver is gone, [`SendError::Refused`] where a limit of this
    /// end or of the kernel is exceeded, [`SendError::Io`] otherwise. The next message is not affected.
    ///
    /// # Blocking
    ///
    /// Waits while the socket's buffer is full, for as long as the receiver does not read.
    pub fn send(&self, bytes: &[u8], descriptors: &[BorrowedFd<'_>]) -> Result<(), SendError> {
        self.send_all(bytes.into(), descriptors, Deadline::NEVER)
    }

    /// Sends one message if there is room for it now.
    ///
    /// A message longer than a packet, or than the socket's buffer, travels in a sealed memory file, so that it
    /// is sent whole or not at all. The file is one of the 253 descriptors that the kernel allows.
    ///
    /// # Errors
    ///
    /// Those of [`send`](Self::send), and [`SendError::Full`] where there is no room, or where the message is
    /// long and the process may not make a memory file.
    ///
    /// # Blocking
    ///
    /// Never.
    pub fn try_send(&self, bytes: &[u8], descriptors: &[BorrowedFd<'_>]) -> Result<(), SendError> {
        self.try_send_all(bytes.into(), descriptors)
    }

    #[inline]
    pub(crate) fn send_all<D: AsFd>(
        &self,
        bytes: Parts<'_>,
        descriptors: &[D],
        deadline: Deadline,
    ) -> Result<(), SendError> {
        self.check(bytes, descriptors.len())?;
        if let Some(sent) = self.send_small(bytes, descriptors.len()) {
            return sent.map_err(send_error);
        }
        self.send_slowly(bytes, descriptors, deadline)
    }

    /// Sends what goes through an open lane, which is most of what a busy sender has.
    #[inline]
    fn send_small(&self, bytes: Parts<'_>, descriptors: usize) -> Option<io::Result<()>> {
        let lane = self.lane.as_ref().filter(|_| descriptors == 0)?;
        lane.lock()?.send_small(bytes.in_one_place()?, &self.socket)
    }

    fn send_slowly<D: AsFd>(
        &self,
        bytes: Parts<'_>,
        descriptors: &[D],
        deadline: Deadline,
    ) -> Result<(), SendError> {
        let mut message = Outgoing::new(Kind::Value, 0, 0);
        let mut turn = None;
        loop {
            if turn.is_none() && message.is_long(bytes) {
                turn = Some(self.turn.take(deadline).ok_or(SendError::Timeout(()))?);
                message = Outgoing::new(Kind::Value, 0, self.stream());
            }
            match self.send_packet(&mut message, bytes, descriptors, true) {
                Ok(Progress::Done) => return Ok(()),
                Ok(Progress::More) => {}
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => self.wait_for_room(deadline)?,
                Err(error) => return Err(send_error(error)),
            }
        }
    }

    pub(crate) fn try_send_all<D: AsFd>(&self, bytes: Parts<'_>, descriptors: &[D]) -> Result<(), SendError> {
        self.check(bytes, descriptors.len())?;
        if let Some(sent) = self.send_small(bytes, descriptors.len()) {
            return sent.map_err(send_error);
        }
        let mut message = Outgoing::new(Kind::Value, 0, 0);
        if !message.is_long(bytes)
            && self.send_packet(&mut message, bytes, descriptors, false).map_err(send_error)?
                == Progress::Done
        {
            return Ok(());
        }
        // It must not come before what is in the lane.
        let mut lane = self.lane.as_ref().and_then(LaneLock::lock);
        if let Some(lane) = &mut lane {
            lane.leave();
        }
        outgoing::send_at_once(&mut (&self.socket).into(), (Kind::Value, 0), bytes, descriptors)
            .map_err(send_error)
    }

    fn send_packet<D: AsFd>(
        &self,
        message: &mut Outgoing,
        bytes: Parts<'_>,
        descriptors: &[D],
        patient: bool,
    ) -> io::Result<Progress> {
        match self.lane.as_ref().and_then(LaneLock::lock) {
            Some(mut lane) => lane.send_packet(message, &self.socket, bytes, descriptors, patient),
            None => message.send_packet(&mut (&self.socket).into(), bytes, descriptors),
        }
    }

    /// The same end for a program that sends values and has no other way to the descriptor.
    #[cfg(feature = "serde")]
    pub(crate) fn with_lane(self) -> Self {
        Self { lane: Some(LaneLock::new(self.limits.ring_bytes)), ..self }
    }

    /// The same end for one that may have.
    #[cfg(feature = "serde")]
    pub(crate) fn without_lane(self) -> Self {
        self.give_lane_up();
        Self { lane: None, ..self }
    }

    /// Sends over the socket from now on, because somebody else may send there too, and what both send is to be in order.
    #[cfg(feature = "serde")]
    pub(crate) fn give_lane_up(&self) {
        if let Some(mut lane) = self.lane.as_ref().and_then(LaneLock::lock) {
            lane.give_up();
        }
    }

    fn check(&self, bytes: Parts<'_>, descriptors: usize) -> Result<(), SendError> {
        let allowed = self.limits.check(bytes.len() as u64, descriptors);
        allowed.map_err(|source| SendError::Refused { value: (), source })
    }

    fn wait_for_room(&self, deadline: Deadline) -> Result<(), SendError> {
        match ready(self.socket.as_fd(), PollFlags::POLLOUT, deadline) {
            Ok(true) => Ok(()),
            Ok(false) => Err(SendError::Timeout(())),
            Err(source) => Err(SendError::Io { value: (), source }),
        }
    }

    /// A number that no other sender of the same channel has, the copy in a forked process included.
    fn stream(&self) -> u64 {
        self.stream ^ u64::from(process::id())
    }

    #[cfg(feature = "serde")]
    pub(crate) fn limits(&self) -> &Limits {
        &self.limits
    }

    #[cfg(feature = "serde")]
    pub(crate) fn socket(&self) -> &Socket {
        &self.socket
    }
}

fn send_error(error: io::Error) -> SendError {
    if socket::is_hang_up(&error) {
        return SendError::Disconnected(());
    }
    if error.kind() == io::ErrorKind::WouldBlock {
        return SendError::Full(());
    }
    match refusal(&error) {
        Some(source) => SendError::Refused { value: (), source },
        None => SendError::Io { value: (), source: error },
    }
}

impl From<Socket> for RawSender {
    fn from(socket: Socket) -> Self {
        Self { socket, turn: Turn::default(), stream: random(), limits: Limits::default(), lane: None }
    }
}

/// Takes the descriptor over; that it is a connected socket of packets shows at the first message.
impl From<OwnedFd> for RawSender {
    fn from(descriptor: OwnedFd) -> Self {
        Socket::from(descriptor).into()
    }
}

/// Gives the descriptor up without closing it.
impl From<RawSender> for OwnedFd {
    fn from(sender: RawSender) -> Self {
        sole_descriptor(sender.socket)
    }
}

impl AsFd for RawSender {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.socket.as_fd()
    }
}

/// The descriptor of an end that is owned, and so not in any message on its way.
pub(super) fn sole_descriptor(socket: Socket) -> OwnedFd {
    socket.into_descriptor().expect("a descriptor that a message still holds can be duplicated")
}
