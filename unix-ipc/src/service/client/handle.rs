use std::borrow::BorrowMut;
use std::fmt;
use std::io;
use std::marker::PhantomData;
use std::path::Path;
use std::process::Command;
use std::sync::Arc;
use std::thread;
use std::time::Duration;

use super::super::child::{SpawnError, SpawnOptions};
use super::super::connection::Connection;
use super::super::ended::Ended;
use super::super::task::Task;
use super::Call;
use super::begin::SendFailure;
use super::state::Core;
use super::waiting::MeetFailure;
use crate::deadline::Deadline;
use crate::error::ConnectError;
use crate::limits::Limits;

/// What a generated client is made of.
pub struct Client<T> {
    core: Arc<Core>,
    timeout: Option<Duration>,
    task: PhantomData<fn() -> T>,
}

impl<T: Task> Client<T> {
    /// The client at one end of a connection; the ends introduce themselves with the first call.
    pub fn new(connection: Connection) -> Self {
        Self::from_core(Arc::new(Core::new::<T>(connection)))
    }

    /// Starts a program that serves, and waits until it has introduced itself.
    ///
    /// # Errors
    ///
    /// Where it could not be started, ended, did not answer in time, or serves something else.
    pub fn spawn(command: impl BorrowMut<Command>) -> Result<Self, SpawnError> {
        Self::spawn_with(command, &SpawnOptions::new())
    }

    /// The same with options.
    pub(crate) fn spawn_with(
        command: impl BorrowMut<Command>,
        options: &SpawnOptions,
    ) -> Result<Self, SpawnError> {
        // One limit for all of it: the start, the connection and the introduction.
        let deadline = Deadline::after(options.limits.handshake);
        let client = Self::new(Connection::spawn_with(command, options)?);
        match client.meet(deadline) {
            Ok(()) => Ok(client),
            Err(MeetFailure::TimedOut) => {
                Err(SpawnError::TimedOut { after: client.core.link.limits().handshake })
            }
            Err(MeetFailure::Ended(ended)) => Err(match ended {
                Ended::PeerDied(exit) => SpawnError::Exited(exit),
                Ended::Disconnected | Ended::ShutDown => SpawnError::Disconnected,
                Ended::Protocol(source) => SpawnError::Handshake(source),
                // No server that was spawned says so.
                Ended::Refused(limit) => SpawnError::Io(limit.into()),
                Ended::Io(failure) => SpawnError::Io(failure.into()),
            }),
        }
    }

    /// Connects to the listener at a path, and waits until the server has introduced itself.
    ///
    /// # Errors
    ///
    /// Where nobody listens, answers in time, has room for one more client, or serves this service.
    pub fn connect(path: impl AsRef<Path>) -> Result<Self, ConnectError> {
        let deadline = Deadline::after(Limits::default().handshake);
        let client = Self::new(Connection::connect(path)?);
        match client.meet(deadline) {
            Ok(()) => Ok(client),
            Err(MeetFailure::TimedOut) => {
                Err(ConnectError::TimedOut { after: client.core.link.limits().handshake })
            }
            Err(MeetFailure::Ended(ended)) => Err(match ended {
                Ended::PeerDied(_) | Ended::Disconnected | Ended::ShutDown => ConnectError::Disconnected,
                Ended::Protocol(source) => ConnectError::Handshake(source),
                Ended::Refused(limit) => ConnectError::Refused(limit),
                Ended::Io(failure) => ConnectError::Io(failure.into()),
            }),
        }
    }

    /// Serves in a thread of this process.
    ///
    /// # Errors
    ///
    /// Where the connection or the thread could not be made.
    pub fn local(serve: impl FnOnce(Connection) + Send + 'static) -> io::Result<Self> {
        let (ours, theirs) = Connection::pair()?;
        thread::Builder::new().name(T::SERVICE.to_owned()).spawn(move || serve(theirs))?;
        Ok(Self::new(ours))
    }

    /// The same client with a time for each call.
    #[must_use]
    pub fn with_timeout(&self, timeout: Duration) -> Self {
        Self { timeout: Some(timeout), ..self.clone() }
    }

    /// Begins to encode a call of the method with this number.
    pub fn call(&self, method: u32) -> Call<'_> {
        Call::new(&self.core, method, self.timeout)
    }

    fn meet(&self, deadline: Deadline) -> Result<(), MeetFailure> {
        self.core.link.check().map_err(|error| MeetFailure::Ended(Ended::Io(error.into())))?;
        match self.core.introduce(deadline) {
            // A peer that hangs up may have said why.
            Ok(()) | Err(SendFailure::HungUp) => self.core.wait_for_peer(deadline),
            Err(SendFailure::TimedOut) => Err(MeetFailure::TimedOut),
            Err(SendFailure::Lie(source)) => Err(MeetFailure::Ended(Ended::Protocol(source))),
            Err(SendFailure::Io(error)) => Err(MeetFailure::Ended(Ended::Io(error.into()))),
        }
    }
}

impl<T> Client<T> {
    pub(super) fn from_core(core: Arc<Core>) -> Self {
        Self { core, timeout: None, task: PhantomData }
    }

    pub(super) fn core(&self) -> &Arc<Core> {
        &self.core
    }
}

impl<T> Clone for Client<T> {
    fn clone(&self) -> Self {
        Self { core: Arc::clone(&self.core), timeout: self.timeout, task: PhantomData }
    }
}

impl<T: Task> From<Connection> for Client<T> {
    fn from(connection: Connection) -> Self {
        Self::new(connection)
    }
}

impl<T> fmt::Debug for Client<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Client").field("service", &self.core.service).finish_non_exhaustive()
    }
}
