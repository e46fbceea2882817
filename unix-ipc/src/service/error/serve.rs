use std::error::Error;
use std::fmt;
use std::io;

use crate::error::{ProtocolError, RecvError};

/// Why a server stopped before its client hung up.
#[derive(Debug)]
#[non_exhaustive]
pub enum ServeError {
    /// The client broke the protocol, or is a client of something else. It has been told and hung up on.
    Protocol(ProtocolError),
    /// A system call failed.
    Io(io::Error),
}

impl fmt::Display for ServeError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Protocol(_) => f.write_str("the client broke the protocol"),
            Self::Io(_) => f.write_str("could not serve"),
        }
    }
}

impl Error for ServeError {
    fn source(&self) -> Option<&(dyn Error + 'static)> {
        match self {
            Self::Protocol(source) => Some(source),
            Self::Io(source) => Some(source),
        }
    }
}

impl From<ServeError> for io::Error {
    fn from(error: ServeError) -> Self {
        match error {
            ServeError::Io(source) => source,
            ServeError::Protocol(_) => Self::new(io::ErrorKind::InvalidData, error),
        }
    }
}

impl From<io::Error> for ServeError {
    fn from(error: io::Error) -> Self {
        Self::Io(error)
    }
}

/// For errors that end a connection; what concerns one message only does not end serving.
impl From<RecvError> for ServeError {
    fn from(error: RecvError) -> Self {
        match error {
            RecvError::Protocol(source) => Self::Protocol(source),
            other => Self::Io(other.into()),
        }
    }
}
