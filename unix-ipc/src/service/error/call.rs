use std::convert::Infallible;
use std::error::Error;
use std::fmt;
use std::io;
use std::time::Duration;

use crate::codec::{DecodeError, EncodeError, Failure};
use crate::error::{LimitExceeded, ProtocolError};
use crate::service::calls::CallFault;
use crate::service::child::PeerExit;
use crate::service::ended::Ended;

/// Why a call has no result.
///
/// [`Service`](Self::Service) is the service's own error; every other variant is the call's, and says which
/// method was called.
///
/// After an error for which [`is_gone`](Self::is_gone) is true the client is of no more use, and neither are its
/// clones: spawn or connect another. The same may be so after [`Protocol`](Self::Protocol), as every call fails with
/// it where the peer is another service. After the rest the next call may succeed.
///
/// The text names the method and what happened in a word; the number of a limit, the nonsense of a peer and what the
/// system said are the error's [`source`](Error::source), which a report has to print too.
///
/// # Examples
///
/// A child that crashes is replaced:
///
/// ```standalone_crate
/// use std::{env, error::Error, process::Command};
/// use unix_ipc::{CallError, Connection, PeerExit, SpawnError, ipc_service};
///
/// #[ipc_service]
/// trait Plugin {
///     fn run(&self, input: &str) -> Result<usize, String>;
/// }
///
/// struct Fragile;
///
/// impl Plugin for Fragile {
///     fn run(&self, input: &str) -> Result<usize, String> {
///         match input {
///             "" => Err("no input".to_owned()),
///             "panic" => panic!("I panic"),
///             "abort" => std::process::abort(),
///             _ => Ok(input.len()),
///         }
///     }
/// }
///
/// fn spawn() -> Result<PluginClient, SpawnError> {
///     PluginClient::spawn(Command::new(env::current_exe()?))
/// }
///
/// fn main() -> Result<(), Box<dyn Error>> {
///     if let Some(connection) = Connection::inherited()? {
///         return Ok(PluginServer::new(Fragile).serve(connection)?);
///     }
///     let mut plugin = spawn()?;
///     assert_eq!(plugin.run("").unwrap_err().service().as_deref(), Some("no input"));
///     assert!(matches!(plugin.run("panic"), Err(CallError::Panicked { message, .. }) if message == "I panic"));
///
///     let error = plugin.run("abort").unwrap_err();
///     assert!(matches!(error, CallError::PeerDied { exit: PeerExit::Killed(6), .. })); // SIGABRT
///     if error.is_gone() {
///         plugin = spawn()?;
///     }
///     assert_eq!(plugin.run("hello")?, 5);
///     Ok(())
/// }
/// ```
#[derive(Debug)]
#[non_exhaustive]
pub enum CallError<E = Infallible> {
    /// The method returned this error.
    Service(E),
    /// The child process that serves ended before it answered.
    PeerDied {
        /// The method that was called.
        method: &'static str,
        /// How the process ended.
        exit: PeerExit,
    },
    /// The server hung up before it answered.
    Disconnected {
        /// The method that was called.
        method: &'static str,
    },
    /// The server is shutting down, or has, and did not begin the call.
    ShuttingDown {
        /// The method that was called.
        method: &'static str,
    },
    /// The method panicked in the server, which goes on serving.
    Panicked {
        /// The method that was called.
        method: &'static str,
        /// The panic's message.
        message: String,
    },
    /// The server dropped the reply sender without sending a reply.
    NoReply {
        /// The method that was called.
        method: &'static str,
    },
    /// The time was over before the reply came. The server is told, and does not begin the call if it has not yet; a handler that
    /// runs goes on.
    Timeout {
        /// The method that was called.
        method: &'static str,
        /// The time that was given.
        after: Duration,
    },
    /// The call or its reply would have exceeded a limit, or the listener has as many clients as it may.
    Refused {
        /// The method that was called.
        method: &'static str,
        /// The limit, with the number.
        source: LimitExceeded,
    },
    /// The server does not have the method, or has it with another signature.
    UnknownMethod {
        /// The method that was called.
        method: &'static str,
        /// The method's signature in this process.
        ours: String,
        /// The signature of the server's method of the same name.
        theirs: Option<String>,
    },
    /// The peer broke the protocol, or sent a reply that is not one.
    Protocol {
        /// The method that was called.
        method: &'static str,
        /// What it sent.
        source: ProtocolError,
    },
    /// An argument's `Serialize` failed.
    Encode {
        /// The method that was called.
        method: &'static str,
        /// What it said.
        source: EncodeError,
    },
    /// A system call failed.
    Io {
        /// The method that was called.
        method: &'static str,
        /// What the system said.
        source: io::Error,
    },
}

impl<E> CallError<E> {
    /// The service's own error, if this is one.
    pub fn service(self) -> Option<E> {
        match self {
            Self::Service(error) => Some(error),
            _ => None,
        }
    }

    /// The method whose call failed: `None` for the service's own error.
    pub fn method(&self) -> Option<&'static str> {
        match self {
            Self::Service(_) => None,
            Self::PeerDied { method, .. }
            | Self::Disconnected { method }
            | Self::ShuttingDown { method }
            | Self::Panicked { method, .. }
            | Self::NoReply { method }
            | Self::Timeout { method, .. }
            | Self::Refused { method, .. }
            | Self::UnknownMethod { method, .. }
            | Self::Protocol { method, .. }
            | Self::Encode { method, .. }
            | Self::Io { method, .. } => Some(method),
        }
    }

    /// Whether the peer is gone, so that no later call over the same connection can succeed. A timeout, a panic and a
    /// limit are not such an end, but for [`LimitExceeded::Clients`]: who was refused for that has been hung up on.
    pub fn is_gone(&self) -> bool {
        matches!(
            self,
            Self::PeerDied { .. }
                | Self::Disconnected { .. }
                | Self::ShuttingDown { .. }
                | Self::Refused { source: LimitExceeded::Clients { .. }, .. }
        )
    }
}

impl CallError {
    /// The same error, of a method that has errors of its own: `.map_err(CallError::widen)?`.
    pub fn widen<E>(self) -> CallError<E> {
        match self {
            Self::Service(never) => match never {},
            Self::PeerDied { method, exit } => CallError::PeerDied { method, exit },
            Self::Disconnected { method } => CallError::Disconnected { method },
            Self::ShuttingDown { method } => CallError::ShuttingDown { method },
            Self::Panicked { method, message } => CallError::Panicked { method, message },
            Self::NoReply { method } => CallError::NoReply { method },
            Self::Timeout { method, after } => CallError::Timeout { method, after },
            Self::Refused { method, source } => CallError::Refused { method, source },
            Self::UnknownMethod { method, ours, theirs } => CallError::UnknownMethod { method, ours, theirs },
            Self::Protocol { method, source } => CallError::Protocol { method, source },
            Self::Encode { method, source } => CallError::Encode { method, source },
            Self::Io { method, source } => CallError::Io { method, source },
        }
    }

    /// What the end of the connection is for a call.
    pub(crate) fn ended(method: &'static str, ended: Ended) -> Self {
        match ended {
            Ended::PeerDied(exit) => Self::PeerDied { method, exit },
            Ended::Disconnected => Self::Disconnected { method },
            Ended::ShutDown => Self::ShuttingDown { method },
            Ended::Protocol(source) => Self::Protocol { method, source },
            Ended::Refused(source) => Self::Refused { method, source },
            Ended::Io(failure) => Self::Io { method, source: failure.into() },
        }
    }

    /// What the server said instead of a reply.
    pub(crate) fn failed(method: &'static str, failure: Failure) -> Self {
        match failure {
            Failure::Dropped => Self::NoReply { method },
            Failure::ShuttingDown => Self::ShuttingDown { method },
            Failure::Panicked(message) => Self::Panicked { method, message },
            Failure::Refused(source) => Self::Refused { method, source },
            // "Ours" and "theirs" are the server's words.
            Failure::UnknownMethod { ours, theirs } => {
                Self::UnknownMethod { method, ours: theirs, theirs: ours }
            }
            Failure::Unreadable(text) | Failure::Unsendable(text) => {
                Self::Protocol { method, source: ProtocolError::Body(text) }
            }
        }
    }

    /// The reply is none.
    pub(crate) fn undecodable(method: &'static str, error: DecodeError) -> Self {
        match error {
            DecodeError::Limit(source) => Self::Refused { method, source },
            error => Self::Protocol { method, source: ProtocolError::Body(error.to_string()) },
        }
    }

    pub(crate) fn broken(method: &'static str, fault: CallFault) -> Self {
        match fault {
            CallFault::Refused(source) => Self::Refused { method, source },
            CallFault::Protocol(source) => Self::Protocol { method, source },
        }
    }
}

impl<E: fmt::Display> fmt::Display for CallError<E> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Service(error) => error.fmt(f),
            Self::PeerDied { method, exit } => {
                write!(f, "`{method}`: the server process {}{exit}", exit.auxiliary())
            }
            Self::Disconnected { method } => write!(f, "`{method}`: the server hung up"),
            Self::ShuttingDown { method } => write!(f, "`{method}`: the server is shutting down"),
            Self::Panicked { method, message } => write!(f, "`{method}` panicked in the server: {message}"),
            Self::NoReply { method } => write!(f, "`{method}`: the server dropped the reply sender"),
            Self::Timeout { method, after } => write!(f, "`{method}`: no reply within {after:?}"),
            Self::Refused { method, .. } => write!(f, "`{method}` was refused"),
            Self::UnknownMethod { ours, theirs: Some(theirs), .. } => {
                write!(f, "the server's method is `{theirs}`, not `{ours}`")
            }
            Self::UnknownMethod { ours, theirs: None, .. } => write!(f, "the server has no method `{ours}`"),
            Self::Protocol { method, .. } => write!(f, "`{method}`: the peer broke the protocol"),
            Self::Encode { method, .. } => write!(f, "`{method}`: an argument could not be encoded"),
            Self::Io { method, .. } => write!(f, "`{method}` could not be called"),
        }
    }
}

impl<E: fmt::Debug + fmt::Display> Error for CallError<E> {
    fn source(&self) -> Option<&(dyn Error + 'static)> {
        match self {
            Self::Refused { source, .. } => Some(source),
            Self::Protocol { source, .. } => Some(source),
            Self::Encode { source, .. } => Some(source),
            Self::Io { source, .. } => Some(source),
            _ => None,
        }
    }
}

impl<E: fmt::Debug + fmt::Display + Send + Sync + 'static> From<CallError<E>> for io::Error {
    fn from(error: CallError<E>) -> Self {
        let kind = match error {
            CallError::Io { source, .. } => return source,
            CallError::PeerDied { .. } | CallError::Disconnected { .. } | CallError::ShuttingDown { .. } => {
                io::ErrorKind::BrokenPipe
            }
            CallError::Timeout { .. } => io::ErrorKind::TimedOut,
            CallError::Refused { .. } => io::ErrorKind::InvalidInput,
            CallError::UnknownMethod { .. } => io::ErrorKind::Unsupported,
            CallError::Protocol { .. } | CallError::Encode { .. } => io::ErrorKind::InvalidData,
            _ => io::ErrorKind::Other,
        };
        Self::new(kind, error)
    }
}
