use std::error::Error;
use std::fmt;
use std::io;
use std::time::Duration;

use super::{PeerExit, Rlimit};
use crate::error::ProtocolError;

/// Why no child was spawned, or why it is of no use.
///
/// A child that was started has been hung up on, and is killed if it does not end by itself.
///
/// What the system said, as why a program could not be started, is not in the error's text but is its
/// [`source`](std::error::Error::source).
#[derive(Debug)]
#[non_exhaustive]
pub enum SpawnError {
    /// The program could not be started, as when it does not exist.
    Start(io::Error),
    /// The child ended before it introduced itself.
    Exited(PeerExit),
    /// The child did not introduce itself in time ([`Limits::handshake`](crate::Limits::handshake)).
    TimedOut {
        /// The time it had.
        after: Duration,
    },
    /// The child runs, but closed its end of the connection before it introduced itself.
    Disconnected,
    /// What the child said about itself does not fit.
    Handshake(ProtocolError),
    /// A limit of [`SpawnOptions::rlimit`](crate::SpawnOptions::rlimit) could not be set, as where it is above the hard limit of this
    /// process.
    Rlimit {
        /// The limit.
        limit: Rlimit,
        /// What the system said: prlimit(2) has a list.
        source: io::Error,
    },
    /// A system call failed.
    Io(io::Error),
}

impl SpawnError {
    /// The same error, for another one who waits for it. What the system said is kept as its code, or as kind and text.
    pub(crate) fn copy(&self) -> Self {
        let copy = |source: &io::Error| match source.raw_os_error() {
            Some(code) => io::Error::from_raw_os_error(code),
            None => io::Error::new(source.kind(), source.to_string()),
        };
        match self {
            Self::Start(source) => Self::Start(copy(source)),
            Self::Exited(exit) => Self::Exited(*exit),
            Self::TimedOut { after } => Self::TimedOut { after: *after },
            Self::Disconnected => Self::Disconnected,
            Self::Handshake(source) => Self::Handshake(source.clone()),
            Self::Rlimit { limit, source } => Self::Rlimit { limit: *limit, source: copy(source) },
            Self::Io(source) => Self::Io(copy(source)),
        }
    }
}

impl fmt::Display for SpawnError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Start(_) => f.write_str("the program could not be started"),
            Self::Exited(exit) => {
                write!(f, "the child {}{exit} before it introduced itself", exit.auxiliary())
            }
            Self::TimedOut { after } => write!(f, "the child did not introduce itself within {after:?}"),
            Self::Disconnected => f.write_str("the child hung up before it introduced itself"),
            Self::Handshake(_) => f.write_str("the child's introduction does not fit"),
            Self::Rlimit { limit, .. } => write!(f, "the child's limit on {limit} could not be set"),
            Self::Io(_) => f.write_str("the child could not be connected to"),
        }
    }
}

impl Error for SpawnError {
    fn source(&self) -> Option<&(dyn Error + 'static)> {
        match self {
            Self::Exited(_) | Self::TimedOut { .. } | Self::Disconnected => None,
            Self::Start(source) | Self::Rlimit { source, .. } | Self::Io(source) => Some(source),
            Self::Handshake(source) => Some(source),
        }
    }
}

impl From<SpawnError> for io::Error {
    fn from(error: SpawnError) -> Self {
        let kind = match error {
            SpawnError::Start(source) | SpawnError::Rlimit { source, .. } | SpawnError::Io(source) => {
                return source;
            }
            SpawnError::Exited(_) | SpawnError::Disconnected => io::ErrorKind::UnexpectedEof,
            SpawnError::TimedOut { .. } => io::ErrorKind::TimedOut,
            SpawnError::Handshake(_) => io::ErrorKind::InvalidData,
        };
        Self::new(kind, error)
    }
}

impl From<io::Error> for SpawnError {
    fn from(error: io::Error) -> Self {
        Self::Io(error)
    }
}

impl From<ProtocolError> for SpawnError {
    fn from(error: ProtocolError) -> Self {
        Self::Handshake(error)
    }
}
