use std::convert::Infallible;
use std::error::Error;
use std::fmt;
use std::io;
use std::sync::Arc;
use std::time::Duration;

use crate::error::ProtocolError;
use crate::service::child::{PeerExit, SpawnError};
use crate::service::ended::Ended;
use crate::service::error::CallError;

/// Why a call of a [`Pool`](crate::Pool) has no result.
#[derive(Debug)]
#[non_exhaustive]
pub enum PoolError<E = Infallible> {
    /// The call failed, for the last time where it was retried.
    Call(CallError<E>),
    /// There was no worker, and none could be started. The next call tries again, after a pause
    /// ([`PoolOptions::backoff`](crate::PoolOptions::backoff)).
    Spawn(SpawnError),
    /// So many workers failed in so long ([`PoolOptions::restarts`](crate::PoolOptions::restarts)) that the pool
    /// replaces none any more. [`Pool::warm`](crate::Pool::warm) starts over.
    GaveUp {
        /// How many failed.
        failures: usize,
        /// In how long, at most.
        within: Duration,
        /// What happened to the last of them.
        last: WorkerFailure,
    },
    /// [`Pool::shutdown`](crate::Pool::shutdown) was called.
    ShutDown,
    /// A system call failed, or this process is a copy of the one that made the pool.
    Io(io::Error),
}

/// What happened to a worker of a [`Pool`](crate::Pool).
#[derive(Clone, Debug)]
#[non_exhaustive]
pub enum WorkerFailure {
    /// It could not be started.
    Start(Arc<SpawnError>),
    /// Its process ended.
    Died(PeerExit),
    /// It hung up, and runs on.
    Disconnected,
    /// It broke the protocol.
    Protocol(ProtocolError),
    /// A system call on its connection failed.
    Io(Arc<io::Error>),
}

impl<E> PoolError<E> {
    /// Why the call failed, if there was one.
    pub fn call(self) -> Option<CallError<E>> {
        match self {
            Self::Call(error) => Some(error),
            _ => None,
        }
    }

    /// The service's own error, if this is one.
    pub fn service(self) -> Option<E> {
        self.call()?.service()
    }

    /// Whether the call's worker died before it answered: the call may have been made, or a part of it.
    pub fn is_gone(&self) -> bool {
        matches!(self, Self::Call(error) if error.is_gone())
    }
}

impl PoolError {
    /// The same error, of a method that has errors of its own: `.map_err(PoolError::widen)?`.
    pub fn widen<E>(self) -> PoolError<E> {
        match self {
            Self::Call(error) => PoolError::Call(error.widen()),
            Self::Spawn(source) => PoolError::Spawn(source),
            Self::GaveUp { failures, within, last } => PoolError::GaveUp { failures, within, last },
            Self::ShutDown => PoolError::ShutDown,
            Self::Io(source) => PoolError::Io(source),
        }
    }
}

impl<E: fmt::Display> fmt::Display for PoolError<E> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Call(error) => error.fmt(f),
            Self::Spawn(_) => f.write_str("the pool has no worker"),
            Self::GaveUp { failures, within, .. } => {
                write!(f, "the pool gave up: {failures} workers failed within {within:?}")
            }
            Self::ShutDown => f.write_str("the pool was shut down"),
            Self::Io(_) => f.write_str("the pool cannot be used"),
        }
    }
}

impl<E: fmt::Debug + fmt::Display> Error for PoolError<E> {
    fn source(&self) -> Option<&(dyn Error + 'static)> {
        match self {
            // Its text is the call's, and so is its source.
            Self::Call(error) => error.source(),
            Self::Spawn(source) => Some(source),
            Self::GaveUp { last, .. } => Some(last),
            Self::Io(source) => Some(source),
            Self::ShutDown => None,
        }
    }
}

impl fmt::Display for WorkerFailure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Start(_) => f.write_str("a worker could not be started"),
            Self::Died(exit) => write!(f, "a worker {}{exit}", exit.auxiliary()),
            Self::Disconnected => f.write_str("a worker hung up"),
            Self::Protocol(_) => f.write_str("a worker broke the protocol"),
            Self::Io(_) => f.write_str("the connection to a worker failed"),
        }
    }
}

impl Error for WorkerFailure {
    fn source(&self) -> Option<&(dyn Error + 'static)> {
        match self {
            Self::Start(source) => Some(source.as_ref()),
            Self::Protocol(source) => Some(source),
            Self::Io(source) => Some(source.as_ref()),
            Self::Died(_) | Self::Disconnected => None,
        }
    }
}

impl WorkerFailure {
    /// The same for whoever waits for workers to be started.
    pub(super) fn as_spawn_error(&self) -> SpawnError {
        match self {
            Self::Start(error) => error.copy(),
            Self::Died(exit) => SpawnError::Exited(*exit),
            Self::Disconnected => SpawnError::Disconnected,
            Self::Protocol(source) => SpawnError::Handshake(source.clone()),
            Self::Io(source) => SpawnError::Io(io::Error::new(source.kind(), source.to_string())),
        }
    }
}

impl From<Ended> for WorkerFailure {
    fn from(ended: Ended) -> Self {
        match ended {
            Ended::PeerDied(exit) => Self::Died(exit),
            Ended::Disconnected | Ended::ShutDown => Self::Disconnected,
            Ended::Protocol(source) => Self::Protocol(source),
            Ended::Refused(source) => Self::Io(Arc::new(source.into())),
            Ended::Io(failure) => Self::Io(Arc::new(failure.into())),
        }
    }
}

impl<E> From<CallError<E>> for PoolError<E> {
    fn from(error: CallError<E>) -> Self {
        Self::Call(error)
    }
}

impl<E> From<SpawnError> for PoolError<E> {
    fn from(error: SpawnError) -> Self {
        Self::Spawn(error)
    }
}

impl<E: fmt::Debug + fmt::Display + Send + Sync + 'static> From<PoolError<E>> for io::Error {
    fn from(error: PoolError<E>) -> Self {
        match error {
            PoolError::Call(error) => error.into(),
            PoolError::Spawn(error) => error.into(),
            PoolError::Io(source) => source,
            PoolError::GaveUp { .. } | PoolError::ShutDown => Self::new(io::ErrorKind::NotConnected, error),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn given_up() -> PoolError {
        let start = SpawnError::Start(io::Error::from_raw_os_error(2));
        let last = WorkerFailure::Start(Arc::new(start));
        PoolError::GaveUp { failures: 3, within: Duration::from_secs(1), last }
    }

    #[test]
    fn an_error_of_a_call_is_the_calls() {
        let error: PoolError<String> = CallError::Service("no".to_owned()).into();
        assert_eq!(error.to_string(), "no");
        assert_eq!(error.service().as_deref(), Some("no"));
        let died = PoolError::from(CallError::PeerDied { method: "f", exit: PeerExit::Killed(9) });
        assert!(died.is_gone() && died.source().is_none());
        let widened = died.widen::<String>();
        assert_eq!(widened.to_string(), "`f`: the server process was killed by signal 9 (SIGKILL)");
        assert!(widened.is_gone() && widened.call().is_some());
    }

    #[test]
    fn an_error_of_the_pool_is_no_calls_and_has_its_reason() {
        for error in [PoolError::ShutDown, given_up(), PoolError::Spawn(SpawnError::Disconnected)] {
            assert!(!error.is_gone());
            assert!(error.widen::<String>().call().is_none());
        }
        let error = given_up();
        let reasons: Vec<String> = std::iter::successors(error.source(), |error| (*error).source())
            .map(ToString::to_string)
            .collect();
        let texts = ["a worker could not be started", "the program could not be started"];
        assert_eq!(reasons[..2], texts);
        assert!(reasons[2].contains("No such file"), "{reasons:?}");
        assert_eq!(
            io::Error::from(PoolError::Io::<Infallible>(io::ErrorKind::NotFound.into())).kind(),
            io::ErrorKind::NotFound
        );
        assert_eq!(io::Error::from(given_up()).kind(), io::ErrorKind::NotConnected);
    }

    #[test]
    fn what_happened_to_a_worker_is_an_error_of_its_start_for_who_waits_for_it() {
        let failures: [(WorkerFailure, &str); 3] = [
            (Ended::Disconnected.into(), "the child hung up before it introduced itself"),
            (
                Ended::PeerDied(PeerExit::Exited(3)).into(),
                "the child exited with status 3 before it introduced itself",
            ),
            (
                Ended::Io(io::Error::from_raw_os_error(12).into()).into(),
                "the child could not be connected to",
            ),
        ];
        for (failure, text) in failures {
            assert_eq!(failure.as_spawn_error().to_string(), text);
        }
    }
}
