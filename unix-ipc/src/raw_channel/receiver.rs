use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::sync::{Arc, Mutex, OnceLock};
use std::time::Duration;

use nix::poll::PollFlags;

#[cfg(feature = "serde")]
use super::Body;
use super::Message;
use super::incoming::{Broken, Incoming};
use super::lane::Reading;
use super::read_ahead::Shown;
#[cfg(feature = "serde")]
use super::read_ahead::Values;
use super::sender::sole_descriptor;
use crate::deadline::Deadline;
use crate::error::{ProtocolError, RecvError};
use crate::frame::Kind;
use crate::limits::Limits;
use crate::socket::Socket;
use crate::sync::lock;
use crate::sys::wait::ready;

/// A message's bytes and descriptors.
type Parts = (Vec<u8>, Vec<OwnedFd>);

/// The receiving end of a [`raw_channel`](crate::raw_channel()).
///
/// Dropping it closes the descriptor, and senders learn that nobody receives any more.
#[derive(Debug)]
pub struct RawReceiver {
    socket: Socket,
    /// In a place of its own, so that an end is small enough for a user's enum.
    reading: Box<Mutex<Reading>>,
    /// What is shown in the place of the socket, once that is not enough.
    shown: OnceLock<Arc<Shown>>,
    #[cfg(feature = "serde")]
    limits: Limits,
}

impl RawReceiver {
    /// The same end with other limits: [`Limits::message_bytes`], [`Limits::descriptors`] and
    /// [`Limits::unfinished_messages`] count here.
    #[must_use]
    pub fn with_limits(self, limits: Limits) -> Self {
        lock(&self.reading).set_limits(limits);
        Self {
            #[cfg(feature = "serde")]
            limits,
            ..self
        }
    }

    /// Receives one whole message.
    ///
    /// The descriptors are the caller's, close-on-exec.
    ///
    /// # Errors
    ///
    /// [`RecvError::Disconnected`] where every sender is gone and everything they sent was received;
    /// after [`RecvError::Refused`] and [`RecvError::Protocol`] the message is gone, its descriptors are
    /// closed, and the next one can be received.
    ///
    /// # Blocking
    ///
    /// Waits until a message is there.
    pub fn recv(&self) -> Result<Parts, RecvError> {
        self.receive(Deadline::NEVER).map(Message::into_parts)
    }

    /// Receives one whole message if it is there: `None` where it is not, or only its beginning is.
    ///
    /// # Errors
    ///
    /// Those of [`recv`](Self::recv).
    ///
    /// # Blocking
    ///
    /// Never.
    pub fn try_recv(&self) -> Result<Option<Parts>, RecvError> {
        Ok(self.try_receive()?.map(Message::into_parts))
    }

    /// Receives one whole message, or gives up when the time is over.
    ///
    /// # Errors
    ///
    /// Those of [`recv`](Self::recv), and [`RecvError::Timeout`]; what came of a message by then is kept.
    ///
    /// # Blocking
    ///
    /// Waits for as long as `timeout` says.
    pub fn recv_timeout(&self, timeout: Duration) -> Result<Parts, RecvError> {
        self.receive(Deadline::after(timeout)).map(Message::into_parts)
    }

    /// The bytes of the next message where they are in memory that both ends share, and there are no descriptors with them.
    #[cfg(feature = "serde")]
    #[inline]
    pub(crate) fn at_hand(&self) -> Option<Body> {
        lock(&self.reading).at_hand()
    }

    pub(crate) fn receive(&self, deadline: Deadline) -> Result<Message, RecvError> {
        loop {
            match self.look(true)? {
                Incoming::Message(message) => return Ok(message),
                Incoming::End => return Err(RecvError::Disconnected),
                Incoming::Piece if deadline.has_passed() => return Err(RecvError::Timeout),
                Incoming::Piece => {}
                #[cfg(feature = "macros")]
                Incoming::Rung => {}
                // The lock is free while this thread waits, for others that receive with a deadline.
                Incoming::Nothing => self.wait(deadline)?,
            }
        }
    }

    pub(crate) fn try_receive(&self) -> Result<Option<Message>, RecvError> {
        match self.look(false)? {
            Incoming::Message(message) => Ok(Some(message)),
            Incoming::End => Err(RecvError::Disconnected),
            Incoming::Piece | Incoming::Nothing => Ok(None),
            #[cfg(feature = "macros")]
            Incoming::Rung => Ok(None),
        }
    }

    #[inline]
    fn look(&self, patient: bool) -> Result<Incoming, RecvError> {
        let incoming = lock(&self.reading).look(&self.socket, patient);
        match incoming.map_err(Broken::into_error)? {
            Incoming::Message(message) if message.kind != Kind::Value => {
                Err(ProtocolError::Kind(message.kind as u8).into())
            }
            other => Ok(other),
        }
    }

    fn wait(&self, deadline: Deadline) -> Result<(), RecvError> {
        let Some(sleep) = lock(&self.reading).fall_asleep() else { return Ok(()) };
        let is_ready = ready(self.socket.as_fd(), PollFlags::POLLIN, deadline);
        lock(&self.reading).wake_up(sleep);
        if is_ready? { Ok(()) } else { Err(RecvError::Timeout) }
    }

    /// What an event loop may wait for, for as long as this end is here.
    pub(crate) fn shown(&self) -> &Arc<OwnedFd> {
        let mut reading = lock(&self.reading);
        if self.shown.get().is_none()
            && let Some(shown) = reading.show(&self.socket)
        {
            let _ = self.shown.set(shown);
        }
        self.shown.get().map_or_else(|| self.socket.descriptor(), |shown| shown.descriptor())
    }

    #[cfg(feature = "macros")]
    pub(crate) fn socket(&self) -> &Socket {
        &self.socket
    }

    /// The socket, which moves to another process, and what was read ahead of it: from now on nothing is.
    #[cfg(feature = "serde")]
    pub(crate) fn moving(&self) -> (&Socket, Values) {
        let mut reading = lock(&self.reading);
        reading.close();
        (&self.socket, reading.read_ahead())
    }

    /// The end as it came to this process.
    #[cfg(feature = "serde")]
    pub(crate) fn moved(socket: Socket, read_ahead: Values) -> Self {
        let receiver = Self::from(socket);
        lock(&receiver.reading).add_ahead(read_ahead);
        receiver
    }

    #[cfg(feature = "serde")]
    pub(crate) fn limits(&self) -> &Limits {
        &self.limits
    }

    /// Whether a message is half received: its beginning would be lost if the descriptor went elsewhere.
    #[cfg(feature = "serde")]
    pub(crate) fn is_in_a_message(&self) -> bool {
        lock(&self.reading).inbox().is_in_a_message()
    }
}

impl Message {
    fn into_parts(mut self) -> Parts {
        (self.body.take_vec(), self.take_descriptors())
    }
}

impl From<Socket> for RawReceiver {
    fn from(socket: Socket) -> Self {
        let limits = Limits::default();
        Self {
            socket,
            reading: Box::new(Mutex::new(Reading::new(limits))),
            shown: OnceLock::new(),
            #[cfg(feature = "serde")]
            limits,
        }
    }
}

/// Takes the descriptor over; that it is a connected socket of packets shows at the first message.
impl From<OwnedFd> for RawReceiver {
    fn from(descriptor: OwnedFd) -> Self {
        Socket::from(descriptor).into()
    }
}

/// Gives the descriptor up without closing it. What is not in the socket any more, or not in it at all, is lost: the
/// beginning of a long message that was half received, and what a [`Sender`](crate::Sender) that sends fast has put into memory that both
/// share. [`try_recv`](RawReceiver::try_recv) has it, until there is nothing.
impl From<RawReceiver> for OwnedFd {
    fn from(receiver: RawReceiver) -> Self {
        drop(receiver.reading);
        sole_descriptor(receiver.socket)
    }
}

/// For an event loop: readable when [`try_recv`](RawReceiver::try_recv) may have something. It need not be the socket.
impl AsFd for RawReceiver {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.shown().as_fd()
    }
}
