use std::fmt;
use std::iter::FusedIterator;
use std::marker::PhantomData;
use std::os::fd::{AsFd, BorrowedFd};
use std::sync::Arc;
use std::time::Duration;

use serde::de::{DeserializeOwned, SeqAccess, Visitor};
use serde::{Deserialize, Deserializer, Serialize, Serializer, de, ser};

use crate::codec::{self, Arrived, DecodeError};
use crate::deadline::Deadline;
use crate::error::RecvError;
use crate::raw_channel::{Message, RawReceiver, Values};

/// The receiving end of a [`channel`](crate::channel()).
///
/// It has one owner, which may be another process: send it as a value of a message. Its descriptor
/// ([`AsFd`]) is for the event loop of somebody else: readable means that
/// [`try_recv`](Self::try_recv) may have something. From the first time it is asked for, every value comes with a system
/// call; before that, a busy sender and this end may share memory.
pub struct Receiver<T> {
    raw: RawReceiver,
    values: PhantomData<fn() -> T>,
}

impl<T: DeserializeOwned> Receiver<T> {
    /// Receives a value.
    ///
    /// # Errors
    ///
    /// [`RecvError::Disconnected`] where every sender is gone and everything they sent was received. After
    /// [`RecvError::Refused`], [`RecvError::Decode`] and [`RecvError::Protocol`] that message is gone, its
    /// descriptors are closed, and the next one can be received.
    ///
    /// # Blocking
    ///
    /// Waits until a value is there.
    pub fn recv(&self) -> Result<T, RecvError> {
        if let Some(value) = self.at_hand() {
            return value;
        }
        self.decode(self.raw.receive(Deadline::NEVER)?)
    }

    /// Receives a value if one is there whole.
    ///
    /// # Errors
    ///
    /// Those of [`recv`](Self::recv).
    ///
    /// # Blocking
    ///
    /// Never.
    pub fn try_recv(&self) -> Result<Option<T>, RecvError> {
        if let Some(value) = self.at_hand() {
            return value.map(Some);
        }
        self.raw.try_receive()?.map(|message| self.decode(message)).transpose()
    }

    /// Receives a value, or gives up when the time is over.
    ///
    /// # Errors
    ///
    /// Those of [`recv`](Self::recv), and [`RecvError::Timeout`].
    ///
    /// # Blocking
    ///
    /// Waits for as long as `timeout` says.
    pub fn recv_timeout(&self, timeout: Duration) -> Result<T, RecvError> {
        if let Some(value) = self.at_hand() {
            return value;
        }
        self.decode(self.raw.receive(Deadline::after(timeout))?)
    }

    /// The values one after another, until every sender is gone.
    ///
    /// A message that cannot be received is an item too; after [`RecvError::Io`] there is none.
    ///
    /// ```
    /// let (sender, receiver) = unix_ipc::channel()?;
    /// for number in 1..=3 {
    ///     sender.send(number)?;
    /// }
    /// drop(sender);
    /// assert_eq!(receiver.iter().sum::<Result<i32, _>>()?, 6);
    /// # Ok::<(), std::io::Error>(())
    /// ```
    pub fn iter(&self) -> Iter<'_, T> {
        Iter { receiver: self, ended: false }
    }

    /// The next value, where that takes no system call.
    #[inline]
    fn at_hand(&self) -> Option<Result<T, RecvError>> {
        let mut body = self.raw.at_hand()?;
        let decoded = codec::decode_with(&mut body, Arrived::default(), self.raw.limits(), PhantomData);
        Some(decoded.map_err(RecvError::from))
    }

    fn decode(&self, mut message: Message) -> Result<T, RecvError> {
        codec::decode_message(&mut message, self.raw.limits()).map_err(RecvError::from)
    }
}

impl From<DecodeError> for RecvError {
    fn from(error: DecodeError) -> Self {
        match error {
            DecodeError::Limit(limit) => Self::Refused(limit),
            other => Self::Decode(other),
        }
    }
}

impl<T> Receiver<T> {
    /// Connects to the [`Bootstrapper`](crate::Bootstrapper) at a path.
    ///
    /// # Errors
    ///
    /// [`ConnectError::Io`](crate::ConnectError::Io) where nobody listens there.
    ///
    /// # Blocking
    ///
    /// Waits at most 10 seconds for a place in the listener's queue.
    #[cfg(feature = "bootstrap")]
    pub fn connect(path: impl AsRef<std::path::Path>) -> Result<Self, crate::ConnectError> {
        let deadline = Deadline::after(crate::Limits::default().handshake);
        let socket = crate::socket::listening::connect(path.as_ref(), deadline)?;
        socket.shut_down(nix::sys::socket::Shutdown::Write)?;
        socket.pass_credentials(true)?;
        Ok(RawReceiver::from(socket).into())
    }

    /// Turns this into the raw end.
    pub fn into_raw_receiver(self) -> RawReceiver {
        self.raw
    }

    pub(super) fn raw(&self) -> &RawReceiver {
        &self.raw
    }
}

impl<T> fmt::Debug for Receiver<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Receiver").field(&self.raw).finish()
    }
}

impl<T> AsFd for Receiver<T> {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.raw.as_fd()
    }
}

impl<T> From<RawReceiver> for Receiver<T> {
    fn from(raw: RawReceiver) -> Self {
        Self { raw, values: PhantomData }
    }
}

/// The receiving process gets the end; one that has received half of a long message stays where it is,
/// with an error that says so.
impl<T> Serialize for Receiver<T> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        if self.raw.is_in_a_message() {
            return Err(ser::Error::custom("the receiver is in the middle of a message"));
        }
        let (socket, read_ahead) = self.raw.moving();
        let index = codec::attach(Arc::clone(socket.descriptor())).map_err(ser::Error::custom)?;
        if read_ahead.is_empty() {
            return index.serialize(serializer);
        }
        (index | READ_AHEAD, read_ahead).serialize(serializer)
    }
}

impl<'de, T> Deserialize<'de> for Receiver<T> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let (index, read_ahead) = deserializer.deserialize_tuple(2, Moved)?;
        let descriptor = codec::take_descriptor(index).map_err(de::Error::custom)?;
        Ok(RawReceiver::moved(descriptor.into(), read_ahead).into())
    }
}

/// Set in the index of a receiver's descriptor where the bytes of values follow that were read ahead of the socket.
const READ_AHEAD: u32 = 1 << 31;

/// The index of a receiver's descriptor, and what was read ahead.
struct Moved;

impl<'de> Visitor<'de> for Moved {
    type Value = (u32, Values);

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a receiver")
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut fields: A) -> Result<Self::Value, A::Error> {
        let index: u32 = fields.next_element()?.ok_or_else(|| de::Error::invalid_length(0, &self))?;
        if index & READ_AHEAD == 0 {
            return Ok((index, Values::default()));
        }
        let read_ahead = fields.next_element()?.ok_or_else(|| de::Error::invalid_length(1, &self))?;
        Ok((index ^ READ_AHEAD, read_ahead))
    }
}

/// The values of a [`Receiver`], one after another, from [`Receiver::iter`]; `next` waits.
#[derive(Debug)]
pub struct Iter<'a, T> {
    receiver: &'a Receiver<T>,
    ended: bool,
}

impl<T: DeserializeOwned> Iterator for Iter<'_, T> {
    type Item = Result<T, RecvError>;

    fn next(&mut self) -> Option<Self::Item> {
        next(self.receiver, &mut self.ended)
    }
}

impl<T: DeserializeOwned> FusedIterator for Iter<'_, T> {}

/// The values of a [`Receiver`], one after another, with the receiver in it; `next` waits.
#[derive(Debug)]
pub struct IntoIter<T> {
    receiver: Receiver<T>,
    ended: bool,
}

impl<T: DeserializeOwned> Iterator for IntoIter<T> {
    type Item = Result<T, RecvError>;

    fn next(&mut self) -> Option<Self::Item> {
        next(&self.receiver, &mut self.ended)
    }
}

impl<T: DeserializeOwned> FusedIterator for IntoIter<T> {}

fn next<T: DeserializeOwned>(receiver: &Receiver<T>, ended: &mut bool) -> Option<Result<T, RecvError>> {
    if *ended {
        return None;
    }
    let received = receiver.recv();
    *ended = matches!(received, Err(RecvError::Disconnected | RecvError::Io(_)));
    if matches!(received, Err(RecvError::Disconnected)) { None } else { Some(received) }
}

impl<'a, T: DeserializeOwned> IntoIterator for &'a Receiver<T> {
    type Item = Result<T, RecvError>;
    type IntoIter = Iter<'a, T>;

    fn into_iter(self) -> Iter<'a, T> {
        self.iter()
    }
}

impl<T: DeserializeOwned> IntoIterator for Receiver<T> {
    type Item = Result<T, RecvError>;
    type IntoIter = IntoIter<T>;

    fn into_iter(self) -> IntoIter<T> {
        IntoIter { receiver: self, ended: false }
    }
}
