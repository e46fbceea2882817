use std::error::Error;
use std::fmt;
use std::io;

use super::{LimitExceeded, ProtocolError};
#[cfg(feature = "serde")]
use crate::codec::DecodeError;

/// Why there is no message.
///
/// After [`Refused`](Self::Refused), [`Decode`](Self::Decode) and [`Protocol`](Self::Protocol) the message in
/// question is gone, with its descriptors closed, and the next one can be received.
#[derive(Debug)]
#[non_exhaustive]
pub enum RecvError {
    /// Every sender is gone, and so is everything they sent.
    Disconnected,
    /// The time was over before a message was there.
    Timeout,
    /// The message exceeded a limit of the receiver.
    Refused(LimitExceeded),
    /// The message is not a value of the expected type.
    #[cfg(feature = "serde")]
    Decode(DecodeError),
    /// The packet is not one of this protocol.
    Protocol(ProtocolError),
    /// A system call failed.
    Io(io::Error),
}

impl fmt::Display for RecvError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Disconnected => f.write_str("every sender is gone"),
            Self::Timeout => f.write_str("no message came in time"),
            Self::Refused(_) => f.write_str("the message was refused"),
            #[cfg(feature = "serde")]
            Self::Decode(_) => f.write_str("the message could not be decoded"),
            Self::Protocol(_) => f.write_str("the peer broke the protocol"),
            Self::Io(_) => f.write_str("the message could not be received"),
        }
    }
}

impl Error for RecvError {
    fn source(&self) -> Option<&(dyn Error + 'static)> {
        match self {
            Self::Disconnected | Self::Timeout => None,
            Self::Refused(source) => Some(source),
            #[cfg(feature = "serde")]
            Self::Decode(source) => Some(source),
            Self::Protocol(source) => Some(source),
            Self::Io(source) => Some(source),
        }
    }
}

impl From<RecvError> for io::Error {
    fn from(error: RecvError) -> Self {
        let kind = match error {
            RecvError::Io(source) => return source,
            RecvError::Disconnected => io::ErrorKind::UnexpectedEof,
            RecvError::Timeout => io::ErrorKind::TimedOut,
            RecvError::Refused(_) | RecvError::Protocol(_) => io::ErrorKind::InvalidData,
            #[cfg(feature = "serde")]
            RecvError::Decode(_) => io::ErrorKind::InvalidData,
        };
        Self::new(kind, error)
    }
}

impl From<io::Error> for RecvError {
    fn from(error: io::Error) -> Self {
        Self::Io(error)
    }
}

impl From<LimitExceeded> for RecvError {
    fn from(error: LimitExceeded) -> Self {
        Self::Refused(error)
    }
}

impl From<ProtocolError> for RecvError {
    fn from(error: ProtocolError) -> Self {
        Self::Protocol(error)
    }
}
