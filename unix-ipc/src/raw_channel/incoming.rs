//! What a look at a socket or a ring found.

use super::Message;
use crate::error::RecvError;
use crate::frame::{Header, Kind};
use crate::sys::receive::Received;

/// What a look for a packet found.
pub(super) enum Found {
    /// A packet, with what came beside it.
    Packet(Received),
    /// A packet of so many bytes, with nothing beside it.
    #[cfg(feature = "macros")]
    Bytes(usize),
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

/// A message that could not be received.
#[derive(Debug)]
pub(crate) struct Broken {
    /// Which message, where its header was sound: then only this message is lost.
    pub(crate) about: Option<(Kind, u64)>,
    pub(crate) error: RecvError,
}

impl Broken {
    pub(super) fn about(header: &Header, error: impl Into<RecvError>) -> Self {
        Self { about: Some((header.kind, header.id)), error: error.into() }
    }

    /// Passes over an offer for which a plain channel has no descriptor or that its limits forbid: it is no message of the user's.
    #[cold]
    pub(super) fn unless_offer(self) -> Result<Incoming, Self> {
        match (self.about, &self.error) {
            (Some((Kind::Ring, _)), RecvError::Refused(_)) => Ok(Incoming::Piece),
            _ => Err(self),
        }
    }
}

impl<E: Into<RecvError>> From<E> for Broken {
    fn from(error: E) -> Self {
        Self { about: None, error: error.into() }
    }
}
