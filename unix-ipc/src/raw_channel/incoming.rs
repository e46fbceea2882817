//! What a look at a socket or a ring found.

use super::Message;
use crate::error::RecvError;
use crate::frame::{Header, Kind};
use crate::sys::receive::Received;

/// What a look for a packet found.
pub(super) enum Found {
    /// A packet, with what came beside it.
    Packet(Received),
    /// Nothing, and no more to look at now.
    Nothing,
    /// The other end rang: there may be something, or room.
    #[cfg(feature = "macros")]
    Bell,
    End,
}

/// What a look at the socket found.
#[derive(Debug)]
pub(crate) enum Incoming {
    /// A whole message.
    Message(Message),
    /// Nothing whole is there now, and nothing more to read.
    Nothing,
    /// Nothing whole is there yet, but there may be more to read.
    Piece,
    /// The other end rang: there may be something to read, or room to send.
    #[cfg(feature = "macros")]
    Rung,
    /// No sender is left, and nothing they sent.
    End,
}

/// A message that could not be received; one word, as a [`Message`] is.
#[derive(Debug)]
pub(crate) struct Broken(Box<Fault>);

/// What is known of it.
#[derive(Debug)]
pub(crate) struct Fault {
    /// Which message, where its header was sound: then only this message is lost.
    pub(crate) about: Option<(Kind, u64)>,
    pub(crate) error: RecvError,
}

impl Broken {
    pub(super) fn about(header: &Header, error: impl Into<RecvError>) -> Self {
        Self(Box::new(Fault { about: Some((header.kind, header.id)), error: error.into() }))
    }

    #[cfg(feature = "macros")]
    pub(crate) fn into_fault(self) -> Fault {
        *self.0
    }

    pub(crate) fn into_error(self) -> RecvError {
        self.0.error
    }

    /// Passes over an offer for which a plain channel has no descriptor or that its limits forbid: it is no message of the user's.
    #[cold]
    pub(super) fn unless_offer(self) -> Result<Incoming, Self> {
        match (self.0.about, &self.0.error) {
            (Some((Kind::Ring, _)), RecvError::Refused(_)) => Ok(Incoming::Piece),
            _ => Err(self),
        }
    }
}

impl<E: Into<RecvError>> From<E> for Broken {
    fn from(error: E) -> Self {
        Self(Box::new(Fault { about: None, error: error.into() }))
    }
}
