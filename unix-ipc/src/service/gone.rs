use std::error::Error;
use std::fmt;
use std::io;

use super::child::PeerExit;
use super::ended::Ended;
use crate::error::{LimitExceeded, ProtocolError};

/// How the other end of a connection went.
///
/// A generated client's `wait_gone` tells it without a call.
#[derive(Debug)]
#[non_exhaustive]
pub enum Gone {
    /// The child process ended.
    Died(PeerExit),
    /// It hung up; or this end did, because the client has moved to another process.
    Disconnected,
    /// It ended in order: what it did not answer it did not begin.
    ShutDown,
    /// It broke the protocol, or says that this end did.
    Protocol(ProtocolError),
    /// It has no room for this client ([`Limits::clients`](crate::Limits::clients)).
    Refused(LimitExceeded),
    /// A system call failed.
    Io(io::Error),
}

impl From<Ended> for Gone {
    fn from(ended: Ended) -> Self {
        match ended {
            Ended::PeerDied(exit) => Self::Died(exit),
            Ended::Disconnected => Self::Disconnected,
            Ended::ShutDown => Self::ShutDown,
            Ended::Protocol(source) => Self::Protocol(source),
            Ended::Refused(source) => Self::Refused(source),
            Ended::Io(failure) => Self::Io(failure.into()),
        }
    }
}

impl fmt::Display for Gone {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Died(exit) => write!(f, "the server process {}{exit}", exit.auxiliary()),
            Self::Disconnected => f.write_str("the server hung up"),
            Self::ShutDown => f.write_str("the server has shut down"),
            Self::Protocol(_) => f.write_str("the peer broke the protocol"),
            Self::Refused(_) => f.write_str("the server refused this client"),
            Self::Io(_) => f.write_str("the connection failed"),
        }
    }
}

impl Error for Gone {
    fn source(&self) -> Option<&(dyn Error + 'static)> {
        match self {
            Self::Protocol(source) => Some(source),
            Self::Refused(source) => Some(source),
            Self::Io(source) => Some(source),
            _ => None,
        }
    }
}
