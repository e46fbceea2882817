use std::io;

use super::child::PeerExit;
use crate::error::{LimitExceeded, ProtocolError};

/// Why a connection is over; the same for all calls that were in flight.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Ended {
    PeerDied(PeerExit),
    Disconnected,
    /// In order: what it did not answer it did not begin.
    ShutDown,
    Protocol(ProtocolError),
    /// The server has no room for this client.
    Refused(LimitExceeded),
    Io(IoFailure),
}

/// A failed system call, in a form that several callers can have.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct IoFailure {
    kind: io::ErrorKind,
    code: Option<i32>,
    text: String,
}

impl From<io::Error> for IoFailure {
    fn from(error: io::Error) -> Self {
        Self { kind: error.kind(), code: error.raw_os_error(), text: error.to_string() }
    }
}

impl From<IoFailure> for io::Error {
    fn from(failure: IoFailure) -> Self {
        match failure.code {
            Some(code) => Self::from_raw_os_error(code),
            None => Self::new(failure.kind, failure.text),
        }
    }
}
