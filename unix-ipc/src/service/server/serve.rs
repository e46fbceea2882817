use std::fmt;
use std::io;
use std::mem;
use std::panic::{self, AssertUnwindSafe};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use super::super::connection::{Connection, Listener};
use super::super::error::ServeError;
use super::super::task::Task;
use super::clients::Clients;
use super::draining::last_moment;
use super::session::Session;
use super::stop::{Stop, Stopper};
use super::workers;
use crate::deadline::Deadline;
use crate::sync::lock;

/// What a generated server is made of.
pub struct Server<S, T> {
    service: S,
    dispatch: fn(&mut S, T),
    crew: Option<Crew<S, T>>,
    /// Locked by nobody: so a server is `Sync` where its service is.
    preparations: Mutex<Vec<Preparation>>,
    /// What ends it from outside, where somebody may.
    stop: Option<Arc<Stop>>,
}

/// What is done before the first client is served.
type Preparation = Box<dyn FnOnce() -> io::Result<()> + Send>;

/// Serves clients with so many threads.
type Run<S, T> = fn(&S, fn(&S, T), &Clients<'_>, usize) -> Result<(), ServeError>;

/// How a service that threads can share is served by several.
///
/// The function is chosen where `S` is known to be shareable, so that a server without workers asks nothing
/// of it.
struct Crew<S, T> {
    workers: usize,
    dispatch: fn(&S, T),
    run: Run<S, T>,
}

impl<S, T: Task> Server<S, T> {
    /// A server with one thread.
    pub fn new(service: S, dispatch: fn(&mut S, T)) -> Self {
        Self { service, dispatch, crew: None, preparations: Mutex::default(), stop: None }
    }

    /// The same with so many threads, at least one.
    #[must_use]
    pub fn workers(self, workers: usize, dispatch: fn(&S, T)) -> Self
    where
        S: Send + Sync,
    {
        let workers = workers.max(1);
        Self { crew: Some(Crew { workers, dispatch, run: workers::run::<S, T> }), ..self }
    }

    /// The same, which does this before its first client is served.
    #[must_use]
    pub fn pre_serve(self, prepare: impl FnOnce() -> io::Result<()> + Send + 'static) -> Self {
        lock(&self.preparations).push(Box::new(prepare));
        self
    }

    /// What ends this server from outside.
    ///
    /// # Errors
    ///
    /// What eventfd(2) says.
    pub fn stopper(&mut self) -> io::Result<Stopper> {
        let stop = match &self.stop {
            Some(stop) => stop,
            None => self.stop.insert(Arc::new(Stop::new(Duration::ZERO)?)),
        };
        Ok(Stopper(Arc::clone(stop)))
    }

    /// The same server, which SIGTERM ends, with so much time for the calls that run.
    ///
    /// # Errors
    ///
    /// What eventfd(2) and sigaction(2) say, or that too many servers do so.
    pub fn shutdown_on_sigterm(self, timeout: Duration) -> io::Result<Self> {
        Ok(Self { stop: Some(Arc::new(Stop::on_sigterm(timeout)?)), ..self })
    }

    /// Serves one client until it hangs up.
    ///
    /// # Errors
    ///
    /// Where the client breaks the protocol, or a preparation or a system call fails.
    pub fn serve(&mut self, connection: Connection) -> Result<(), ServeError> {
        if self.crew.is_some() {
            let session = Session::new::<T>(connection.into_link());
            // All that a server needs is made before it prepares, which may forbid to make it.
            let clients = Clients::of_session(Arc::clone(&session), self.stop.clone())?;
            return if self.meet(&session)? { self.serve_clients(&clients) } else { Ok(()) };
        }
        let (tasks, mut task) = (connection.calls::<T>(), None);
        if !self.meet(tasks.session())? {
            return Ok(());
        }
        loop {
            let next = match &self.stop {
                Some(stop) => tasks.wait_or_stop(&mut task, stop),
                None => tasks.wait(&mut task),
            };
            match next {
                Ok(true) => self.run(&mut task),
                Ok(false) => {
                    let deadline =
                        self.stop.as_ref().filter(|stop| stop.is_asked()).map(|stop| stop.deadline());
                    tasks.leave(deadline.map_or(Deadline::NEVER, last_moment));
                    return Ok(());
                }
                Err(error) if connection.has_ended() => return Err(error.into()),
                // It concerns one call, whose caller has been told.
                Err(_) => {}
            }
        }
    }

    /// Serves all clients of a listener until it is closed.
    ///
    /// # Errors
    ///
    /// Where a preparation or the listener fails; a client that breaks the protocol is hung up on, and the others go on.
    pub fn listen(&mut self, listener: &Listener) -> Result<(), ServeError> {
        let clients = Clients::of_listener(listener, self.stop.clone())?;
        self.prepare()?;
        self.serve_clients(&clients)
    }

    /// Prepares between a client's introduction and ours, where there is something to prepare: false where the client is
    /// gone before.
    fn meet(&self, session: &Arc<Session>) -> Result<bool, ServeError> {
        let is_prepared = lock(&self.preparations).is_empty();
        if is_prepared { Ok(true) } else { session.prepare::<T>(|| self.prepare(), self.stop.as_deref()) }
    }

    fn prepare(&self) -> io::Result<()> {
        let preparations = mem::take(&mut *lock(&self.preparations));
        preparations.into_iter().try_for_each(|prepare| prepare())
    }

    fn serve_clients(&mut self, clients: &Clients<'_>) -> Result<(), ServeError> {
        if let Some(crew) = &self.crew {
            return (crew.run)(&self.service, crew.dispatch, clients, crew.workers);
        }
        loop {
            let mut task = clients.next_task::<T>()?;
            if task.is_none() {
                return Ok(());
            }
            let start = Instant::now();
            self.run(&mut task);
            clients.has_run(start);
        }
    }

    /// Runs one call. A panic of the handler is its caller's; the server goes on.
    fn run(&mut self, task: &mut Option<T>) {
        let _ = panic::catch_unwind(AssertUnwindSafe(|| {
            if let Some(task) = task.take() {
                (self.dispatch)(&mut self.service, task);
            }
        }));
    }

    /// The service.
    pub fn service(&self) -> &S {
        &self.service
    }

    /// The service, without its server.
    pub fn into_inner(self) -> S {
        self.service
    }
}

impl<S, T> fmt::Debug for Server<S, T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let workers = self.crew.as_ref().map_or(1, |crew| crew.workers);
        f.debug_struct("Server").field("workers", &workers).finish_non_exhaustive()
    }
}
