use std::error::Error;
use std::fmt;
use std::io;

use super::LimitExceeded;
#[cfg(feature = "serde")]
use crate::codec::EncodeError;

/// Why a value was not sent, with the value: nothing of it, no byte and no handle, has left.
///
/// A raw sender is lent its bytes and descriptors, so its errors hold `()`.
///
/// The number of a limit, and what the system said, are not in the text but the error's
/// [`source`](std::error::Error::source).
#[non_exhaustive]
pub enum SendError<T = ()> {
    /// The receiver is gone, or the reply was already given.
    Disconnected(T),
    /// The channel has no room now (only from `try_send`).
    Full(T),
    /// The time was over before the value could be sent.
    Timeout(T),
    /// The message would exceed a limit.
    Refused {
        /// What was to be sent.
        value: T,
        /// The limit, with the number.
        source: LimitExceeded,
    },
    /// The value's `Serialize` failed.
    #[cfg(feature = "serde")]
    Encode {
        /// What was to be sent.
        value: T,
        /// What it said.
        source: EncodeError,
    },
    /// A system call failed.
    Io {
        /// What was to be sent.
        value: T,
        /// What the system said.
        source: io::Error,
    },
}

impl<T> SendError<T> {
    /// Takes the value back.
    pub fn into_inner(self) -> T {
        match self {
            Self::Disconnected(value) | Self::Full(value) | Self::Timeout(value) => value,
            Self::Refused { value, .. } | Self::Io { value, .. } => value,
            #[cfg(feature = "serde")]
            Self::Encode { value, .. } => value,
        }
    }

    /// Whether the receiver is gone, so that no later send can succeed.
    pub fn is_disconnected(&self) -> bool {
        matches!(self, Self::Disconnected(_))
    }

    /// Whether the channel had no room.
    pub fn is_full(&self) -> bool {
        matches!(self, Self::Full(_))
    }

    /// The same error with another value in it.
    pub(crate) fn map<U>(self, change: impl FnOnce(T) -> U) -> SendError<U> {
        match self {
            Self::Disconnected(value) => SendError::Disconnected(change(value)),
            Self::Full(value) => SendError::Full(change(value)),
            Self::Timeout(value) => SendError::Timeout(change(value)),
            Self::Refused { value, source } => SendError::Refused { value: change(value), source },
            #[cfg(feature = "serde")]
            Self::Encode { value, source } => SendError::Encode { value: change(value), source },
            Self::Io { value, source } => SendError::Io { value: change(value), source },
        }
    }
}

/// Without a bound on `T`: the value is not shown.
impl<T> fmt::Debug for SendError<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Disconnected(_) => f.write_str("Disconnected(..)"),
            Self::Full(_) => f.write_str("Full(..)"),
            Self::Timeout(_) => f.write_str("Timeout(..)"),
            Self::Refused { source, .. } => {
                f.debug_struct("Refused").field("source", source).finish_non_exhaustive()
            }
            #[cfg(feature = "serde")]
            Self::Encode { source, .. } => {
                f.debug_struct("Encode").field("source", source).finish_non_exhaustive()
            }
            Self::Io { source, .. } => f.debug_struct("Io").field("source", source).finish_non_exhaustive(),
        }
    }
}

impl<T> fmt::Display for SendError<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Disconnected(_) => f.write_str("the receiver is gone"),
            Self::Full(_) => f.write_str("the channel has no room"),
            Self::Timeout(_) => f.write_str("the value could not be sent in time"),
            Self::Refused { .. } => f.write_str("the message was refused"),
            #[cfg(feature = "serde")]
            Self::Encode { .. } => f.write_str("the value could not be encoded"),
            Self::Io { .. } => f.write_str("the message could not be sent"),
        }
    }
}

impl<T> Error for SendError<T> {
    fn source(&self) -> Option<&(dyn Error + 'static)> {
        match self {
            Self::Disconnected(_) | Self::Full(_) | Self::Timeout(_) => None,
            Self::Refused { source, .. } => Some(source),
            #[cfg(feature = "serde")]
            Self::Encode { source, .. } => Some(source),
            Self::Io { source, .. } => Some(source),
        }
    }
}

impl<T> From<SendError<T>> for io::Error {
    fn from(error: SendError<T>) -> Self {
        let kind = match &error {
            SendError::Disconnected(_) => io::ErrorKind::BrokenPipe,
            SendError::Full(_) => io::ErrorKind::WouldBlock,
            SendError::Timeout(_) => io::ErrorKind::TimedOut,
            SendError::Refused { .. } => io::ErrorKind::InvalidInput,
            #[cfg(feature = "serde")]
            SendError::Encode { .. } => io::ErrorKind::InvalidData,
            SendError::Io { .. } => io::ErrorKind::Other,
        };
        match error {
            SendError::Io { source, .. } => source,
            // The value may not be `Send + Sync + 'static`, so it stays behind.
            other => Self::new(kind, other.map(drop)),
        }
    }
}
