use std::error::Error;
use std::fmt;
use std::io;
use std::time::Duration;

use super::{LimitExceeded, ProtocolError};

/// Why there is no connection to the process that listens at a path.
#[derive(Debug)]
#[non_exhaustive]
pub enum ConnectError {
    /// Nobody listens there, or the system refuses.
    Io(io::Error),
    /// The peer hung up before it introduced itself.
    Disconnected,
    /// The peer did not introduce itself in time.
    TimedOut {
        /// The limit ([`Limits::handshake`](crate::Limits::handshake)).
        after: Duration,
    },
    /// The peer is not what was expected.
    Handshake(ProtocolError),
    /// The listener has no room for one more client: the limit, with the number.
    Refused(LimitExceeded),
}

impl fmt::Display for ConnectError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Io(_) => f.write_str("could not connect"),
            Self::Disconnected => f.write_str("the peer hung up before it introduced itself"),
            Self::TimedOut { after } => write!(f, "the peer did not introduce itself within {after:?}"),
            Self::Handshake(_) => f.write_str("the peer is not the expected one"),
            Self::Refused(_) => f.write_str("the listener refused the connection"),
        }
    }
}

impl Error for ConnectError {
    fn source(&self) -> Option<&(dyn Error + 'static)> {
        match self {
            Self::Io(source) => Some(source),
            Self::Handshake(source) => Some(source),
            Self::Refused(source) => Some(source),
            Self::Disconnected | Self::TimedOut { .. } => None,
        }
    }
}

impl From<ConnectError> for io::Error {
    fn from(error: ConnectError) -> Self {
        let kind = match error {
            ConnectError::Io(source) => return source,
            ConnectError::Disconnected => io::ErrorKind::UnexpectedEof,
            ConnectError::TimedOut { .. } => io::ErrorKind::TimedOut,
            ConnectError::Handshake(_) => io::ErrorKind::InvalidData,
            ConnectError::Refused(_) => io::ErrorKind::ConnectionRefused,
        };
        Self::new(kind, error)
    }
}

impl From<io::Error> for ConnectError {
    fn from(error: io::Error) -> Self {
        Self::Io(error)
    }
}
