use std::fmt;
use std::io;
use std::marker::PhantomData;
use std::sync::Arc;

use serde::{Deserialize, Deserializer, Serialize, Serializer, de, ser};

use crate::codec::{self, EncodeError, Encoder, REPLY_PLACE, ReplyPath};
use crate::deadline::Deadline;
use crate::error::SendError;
use crate::raw_channel::RawSender;
use crate::socket::Socket;

/// The sending end of a [`channel`](crate::channel()), or the place where a call's reply goes.
///
/// Clones share the end, in this process for free and in others with a descriptor of their own; the
/// receiver is told that nobody sends any more when the last is dropped. Who hands out clones drops his own for
/// that. The reply sender of a call over
/// a [`Connection`](crate::Connection) has no descriptor: it takes one value, and when it is dropped
/// without one the caller learns it.
///
/// What is sent through one sender and its clones in a process arrives in that order; what several processes send
/// comes as each has sent its own. A sender that is busy goes on through memory that it shares with the receiver, where a
/// small value costs no system call; [`Limits::ring_bytes`](crate::Limits::ring_bytes) of a raw end turns that off.
pub struct Sender<T> {
    end: End,
    values: PhantomData<fn(T)>,
}

#[derive(Clone, Debug)]
enum End {
    Socket(Arc<RawSender>),
    Reply(Arc<dyn ReplyPath>),
}

/// Whether to wait for room.
#[derive(Clone, Copy)]
enum Room {
    Until(Deadline),
    Now,
}

impl<T: Serialize> Sender<T> {
    /// Sends a value.
    ///
    /// # Errors
    ///
    /// Each gives the value back, handles and all: [`SendError::Disconnected`] where the receiver is gone or
    /// the reply was given already, [`SendError::Refused`] where a limit would be exceeded,
    /// [`SendError::Encode`] where the value's `Serialize` fails, [`SendError::Io`] otherwise.
    ///
    /// # Blocking
    ///
    /// Waits while the socket's buffer is full, for as long as the receiver does not read. Two processes
    /// that both send and do not receive can wait for each other. A reply that is sent by the thread
    /// that serves the connection never waits.
    pub fn send(&self, value: T) -> Result<(), SendError<T>> {
        self.transmit(value, Room::Until(Deadline::NEVER))
    }

    /// Sends a value if there is room for it now.
    ///
    /// # Errors
    ///
    /// Those of [`send`](Self::send), and [`SendError::Full`].
    ///
    /// # Blocking
    ///
    /// Never.
    pub fn try_send(&self, value: T) -> Result<(), SendError<T>> {
        self.transmit(value, Room::Now)
    }

    #[cfg(feature = "bootstrap")]
    pub(crate) fn send_until(&self, value: T, deadline: Deadline) -> Result<(), SendError<T>> {
        self.transmit(value, Room::Until(deadline))
    }

    fn transmit(&self, value: T, room: Room) -> Result<(), SendError<T>> {
        let mut message = Encoder::new();
        let value = match message.put_own(value) {
            Ok(value) => value,
            Err((error, value)) => return Err(SendError::from(error).map(|()| value)),
        };
        self.end.transmit(&mut message, room).map_err(|error| {
            let value = value.or_else(|| message.take_back());
            error.map(|()| value.expect("a message that was not sent has its value"))
        })
    }
}

impl From<EncodeError> for SendError {
    fn from(source: EncodeError) -> Self {
        Self::Encode { value: (), source }
    }
}

impl End {
    #[inline]
    fn transmit(&self, message: &mut Encoder<'_>, room: Room) -> Result<(), SendError> {
        let raw = match self {
            Self::Socket(raw) => raw,
            Self::Reply(path) => return path.send(message, matches!(room, Room::Until(_))),
        };
        let descriptors = message.attachments().open();
        let descriptors = descriptors.map_err(|source| SendError::Io { value: (), source })?;
        match room {
            Room::Until(deadline) => raw.send_all(message.bytes(), &descriptors, deadline)?,
            Room::Now => raw.try_send_all(message.bytes(), &descriptors)?,
        }
        message.attachments().accepted();
        Ok(())
    }
}

impl<T> Sender<T> {
    /// Turns this into the raw end.
    ///
    /// # Errors
    ///
    /// A reply sender has no descriptor; one whose end has other clones needs a duplicate of it, for which
    /// there may be no room. The sender is gone in both cases.
    pub fn into_raw_sender(self) -> io::Result<RawSender> {
        match self.end {
            End::Socket(raw) => Arc::try_unwrap(raw).map(RawSender::without_lane).or_else(|shared| {
                shared.give_lane_up();
                let socket = Socket::from(shared.socket().descriptor().try_clone()?);
                Ok(RawSender::from(socket).with_limits(*shared.limits()))
            }),
            End::Reply(_) => {
                Err(io::Error::new(io::ErrorKind::Unsupported, "a reply sender has no descriptor of its own"))
            }
        }
    }

    /// The same end for values of another type that have the same bytes.
    #[cfg(feature = "macros")]
    pub(crate) fn retype<U>(self) -> Sender<U> {
        Sender { end: self.end, values: PhantomData }
    }

    /// The way back of a call, where this is one.
    #[cfg(feature = "macros")]
    pub(crate) fn reply_path(&self) -> Option<&Arc<dyn ReplyPath>> {
        match &self.end {
            End::Socket(_) => None,
            End::Reply(path) => Some(path),
        }
    }
}

impl<T> Clone for Sender<T> {
    fn clone(&self) -> Self {
        Self { end: self.end.clone(), values: PhantomData }
    }
}

impl<T> fmt::Debug for Sender<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Sender").field(&self.end).finish()
    }
}

impl<T> From<RawSender> for Sender<T> {
    fn from(raw: RawSender) -> Self {
        Self { end: End::Socket(Arc::new(raw.with_lane())), values: PhantomData }
    }
}

/// The receiving process gets a descriptor of its own. A reply sender becomes a socket of its own, whose
/// other end goes to the caller when the message is sent.
impl<T> Serialize for Sender<T> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let index = match &self.end {
            End::Socket(raw) => {
                raw.give_lane_up();
                codec::attach(Arc::clone(raw.socket().descriptor()))
            }
            End::Reply(path) => codec::attach_later(Arc::clone(path).forward()),
        };
        index.map_err(ser::Error::custom)?.serialize(serializer)
    }
}

impl<'de, T> Deserialize<'de> for Sender<T> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let index = u32::deserialize(deserializer)?;
        let end = if index == REPLY_PLACE {
            End::Reply(codec::take_reply().map_err(de::Error::custom)?)
        } else {
            let descriptor = codec::take_descriptor(index).map_err(de::Error::custom)?;
            End::Socket(Arc::new(RawSender::from(descriptor).with_lane()))
        };
        Ok(Self { end, values: PhantomData })
    }
}
