//! A pool of processes that serve the same.

mod counters;
mod error;
mod health;
mod keeper;
mod options;
mod roster;
mod shared;
mod state;
mod worker;

use std::fmt;
use std::process::Command;
use std::sync::Arc;
use std::time::Duration;

pub use self::counters::PoolCounters;
pub use self::error::{PoolError, WorkerFailure};
pub use self::options::PoolOptions;
use self::shared::Shared;
pub use self::worker::Worker;
use super::child::SpawnError;
use super::error::CallError;
use super::service_client::ServiceClient;
use super::task::{Method, Task};
use crate::deadline::Deadline;

/// Processes that serve the same, and are replaced when they die.
///
/// A call goes to the worker that has the fewest; where all are busy another is started, up to
/// [`PoolOptions::workers`], and then calls queue in their workers. A worker that dies, with a call or without, is
/// replaced in the background. Its unanswered calls fail and say how it died, except that calls of methods
/// marked `#[idempotent]` are made once more on another worker.
///
/// Clones share the workers, and so can threads. When the last clone is dropped the workers are hung up on, as when the last
/// client is dropped: none of it waits. A [`Pending`](crate::Pending) or a clone of a client that is still there keeps its
/// worker's connection.
///
/// The pool has a thread of its own from the first worker to the last clone, and one more for each worker while it is
/// started.
/// In a copy of this process (`fork` without `exec`) its use is an error, and its drop does nothing to the workers.
///
/// # Examples
///
/// ```standalone_crate
/// use std::{env, error::Error, process::{self, Command}};
/// use unix_ipc::{Connection, Pool, PoolOptions, ipc_service};
///
/// #[ipc_service]
/// trait Parser {
///     /// Made once more on another worker where its own dies.
///     #[idempotent]
///     fn words(&self, text: &str) -> usize;
///     /// Made at most once.
///     fn crash(&self);
/// }
///
/// struct Splitter;
///
/// impl Parser for Splitter {
///     fn words(&self, text: &str) -> usize {
///         text.split_whitespace().count()
///     }
///     fn crash(&self) {
///         process::abort()
///     }
/// }
///
/// fn main() -> Result<(), Box<dyn Error>> {
///     if let Some(connection) = Connection::inherited()? {
///         return Ok(ParserServer::new(Splitter).serve(connection)?);
///     }
///     let program = env::current_exe()?;
///     let pool: Pool<ParserClient> =
///         Pool::new(move || Command::new(&program), &PoolOptions::new().workers(2));
///     assert_eq!(pool.call(|parser| parser.words("one two"))?, 2);
///
///     let error = pool.call(|parser| parser.crash()).unwrap_err();
///     assert_eq!(error.to_string(), "`crash`: the server process was killed by signal 6 (SIGABRT)");
///     assert_eq!(pool.call(|parser| parser.words("one two three"))?, 3); // by another process
///     Ok(())
/// }
/// ```
pub struct Pool<C: ServiceClient> {
    owner: Arc<Owner<C>>,
}

/// What the clones of a pool share, and nobody else: its end is the pool's.
struct Owner<C: ServiceClient>(Arc<Shared<C>>);

impl<C: ServiceClient> Pool<C> {
    /// A pool of the processes that the command starts, of which none is started before it is needed.
    ///
    /// The function makes the command of each worker, and is called for each start, in a thread of the pool. It must not
    /// call the pool itself: it would wait for its own end. A panic in it is a start that failed.
    #[must_use]
    pub fn new(command: impl Fn() -> Command + Send + Sync + 'static, options: &PoolOptions) -> Self {
        Self { owner: Arc::new(Owner(Arc::new(Shared::new(Box::new(command), options)))) }
    }

    /// Starts all workers that are not there yet, all at once. A pool that gave up starts over.
    ///
    /// # Errors
    ///
    /// Why a worker could not be started; the others are started all the same, and this one is tried again.
    ///
    /// # Blocking
    ///
    /// Until all are there or one has failed: at most [`Limits::handshake`](crate::Limits::handshake) of the options' limits.
    pub fn warm(&self) -> Result<(), SpawnError> {
        self.shared().warm()
    }

    /// Makes a call on the least busy worker.
    ///
    /// The function gets the worker's client, and is to make one call: where the worker dies and the method is marked
    /// `#[idempotent]`, the function is run from its beginning on another worker, [`PoolOptions::retries`] times at
    /// most. A timeout is the client's: `pool.call(|worker| worker.with_timeout(time).parse(text))`. A worker that is late is
    /// replaced ([`PoolOptions::recycle_after_timeout`]). No lock is held meanwhile, so the function may use the pool too; where all workers are busy its call goes to the least
    /// busy one, which may be its own.
    ///
    /// A `Pending` that the function returns is not retried, and does not make its worker count as busy:
    /// [`worker`](Self::worker) is for several calls at once.
    ///
    /// # Errors
    ///
    /// [`PoolError::Call`] where the call failed; the other variants say why it was not made.
    ///
    /// # Blocking
    ///
    /// Until the call is over, and before that until there is a worker: where there is none, for as long as a start and the
    /// pause before it take.
    pub fn call<R, E>(&self, mut call: impl FnMut(&C) -> Result<R, CallError<E>>) -> Result<R, PoolError<E>> {
        let options = &self.shared().options;
        let mut retries = options.retries;
        loop {
            let worker = self.worker().map_err(PoolError::widen)?;
            let error = match call(&worker) {
                Ok(value) => return Ok(value),
                Err(error) => error,
            };
            // The error may be that of a call to somebody else.
            let method = method_of::<C, E>(&error);
            if matches!(error, CallError::Timeout { .. }) && method.is_some() && options.replace_late {
                worker.give_up();
            }
            let may_retry =
                worker.has_ended() && error.is_gone() && method.is_some_and(Method::is_idempotent);
            if !may_retry || retries == 0 {
                return Err(PoolError::Call(error));
            }
            retries -= 1;
            self.shared().with(|state| state.totals.retries += 1);
        }
    }

    /// The least busy worker, which counts as busy until the returned value is dropped: for several calls at once
    /// from one thread. None of them is retried.
    ///
    /// # Errors
    ///
    /// Why there is no worker; never [`PoolError::Call`].
    ///
    /// # Blocking
    ///
    /// Until there is a worker, as [`call`](Self::call).
    ///
    /// # Examples
    ///
    /// ```no_run
    /// # use std::process::Command;
    /// use unix_ipc::{Pool, PoolOptions, ipc_service};
    ///
    /// #[ipc_service]
    /// trait Doubler {
    ///     fn double(&self, number: u32) -> u32;
    /// }
    ///
    /// let pool: Pool<DoublerClient> = Pool::new(|| Command::new("/usr/bin/doubler"), &PoolOptions::new());
    /// let (one, other) = (pool.worker()?, pool.worker()?); // two processes, where there may be two
    /// let (first, second) = (one.begin_double(1)?, other.begin_double(2)?);
    /// assert_eq!(first.wait()? + second.wait()?, 6);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn worker(&self) -> Result<Worker<'_, C>, PoolError> {
        let shared = self.shared();
        Ok(Worker::new(shared, shared.take()?))
    }

    /// What the pool has and what it did. All zero in a copy of the process that made it.
    pub fn counters(&self) -> PoolCounters {
        self.shared().with(|state| state.counters()).unwrap_or_default()
    }

    /// The processes of the workers, the oldest first. One of them may have ended a moment ago, and the number may be
    /// another's then.
    pub fn processes(&self) -> Vec<u32> {
        let list = self
            .shared()
            .with(|state| state.roster.iter().filter_map(|entry| entry.client.__inner().process()).collect());
        list.unwrap_or_default()
    }

    /// Ends the pool: new calls are refused ([`PoolError::ShutDown`]), those that run have so much time, and then the
    /// workers are hung up on. True where all calls ended in time; the others fail.
    ///
    /// A worker has the grace of its [`SpawnOptions`](crate::SpawnOptions) to end behind the hang-up, in the background.
    ///
    /// # Blocking
    ///
    /// Until no call runs, `timeout` at most. Inside of [`call`](Self::call) that is always the whole of it.
    pub fn shutdown(&self, timeout: Duration) -> bool {
        self.shared().shut_down(Deadline::after(timeout))
    }

    fn shared(&self) -> &Arc<Shared<C>> {
        &self.owner.0
    }
}

/// The method whose call failed, where it is one of this service.
fn method_of<C: ServiceClient, E>(error: &CallError<E>) -> Option<&'static Method> {
    let mut methods = <C::Task as Task>::METHODS.iter();
    methods.find(|method| error.method() == Some(method.name()))
}

impl<C: ServiceClient> Drop for Owner<C> {
    fn drop(&mut self) {
        self.0.abandon();
    }
}

impl<C: ServiceClient> Clone for Pool<C> {
    fn clone(&self) -> Self {
        Self { owner: Arc::clone(&self.owner) }
    }
}

impl<C: ServiceClient> fmt::Debug for Pool<C> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let service = <C::Task as Task>::SERVICE;
        f.debug_struct("Pool").field("service", &service).finish_non_exhaustive()
    }
}
