//! What the clones of a pool, its keeper and its starts have in common.

use std::io;
use std::panic::{self, AssertUnwindSafe};
use std::process::Command;
use std::sync::{Arc, Condvar, Mutex, MutexGuard};
use std::time::{Duration, Instant};

use super::error::{PoolError, WorkerFailure};
use super::keeper::{self, Keeper};
use super::options::PoolOptions;
use super::roster::Entry;
use super::state::State;
use crate::deadline::Deadline;
use crate::service::child::SpawnError;
use crate::service::client::Client;
use crate::service::ended::Ended;
use crate::service::service_client::ServiceClient;
use crate::sync::{lock, try_lock, wait_on};
use crate::sys::bell::Bell;
use crate::sys::fork::Generation;
use crate::sys::resident::resident_bytes;
use crate::sys::thread::{SignalMask, spawn_without_signals};

/// How long the memory of a worker is not looked at again.
const MEMORY_PAUSE: Duration = Duration::from_millis(100);

pub(super) struct Shared<C> {
    command: Box<dyn Fn() -> Command + Send + Sync>,
    pub(super) options: PoolOptions,
    state: Mutex<State<C>>,
    /// Signalled for threads that wait for a worker, or for the end of calls.
    changed: Condvar,
    made_in: Generation,
}

impl<C: ServiceClient> Shared<C> {
    pub(super) fn new(command: Box<dyn Fn() -> Command + Send + Sync>, options: &PoolOptions) -> Self {
        Self {
            command,
            state: Mutex::new(State::new(options)),
            options: options.clone(),
            changed: Condvar::new(),
            made_in: Generation::current(),
        }
    }

    /// An error in a copy of the process that made the pool, where the lock may be held by nobody who is there.
    pub(super) fn check(&self) -> io::Result<()> {
        if self.made_in.is_current() {
            return Ok(());
        }
        let message = "the pool belongs to the process that this one was forked from";
        Err(io::Error::new(io::ErrorKind::Unsupported, message))
    }

    /// Does something under the lock, in the process that made the pool.
    pub(super) fn with<R>(&self, act: impl FnOnce(&mut State<C>) -> R) -> Option<R> {
        self.made_in.is_current().then(|| act(&mut lock(&self.state)))
    }

    /// The worker for a call, which counts until [`finish`](Self::finish).
    pub(super) fn take(self: &Arc<Self>) -> Result<(u64, C), PoolError> {
        loop {
            let (id, client) = self.wait_for_worker()?;
            // The keeper finds dead workers, and may be on its way.
            let Some(ended) = client.__inner().ended() else { return Ok((id, client)) };
            self.with(|state| state.totals.calls = state.totals.calls.saturating_sub(1));
            self.note_end(id, ended);
        }
    }

    fn wait_for_worker(self: &Arc<Self>) -> Result<(u64, C), PoolError> {
        self.check().map_err(PoolError::Io)?;
        let mut state = lock(&self.state);
        let failed = state.failed;
        loop {
            state.check()?;
            if let Some(entry) = state.choose(self.options.workers, Instant::now) {
                let is_last = entry.begin(self.options.most_calls);
                let taken = (entry.id, entry.client.clone());
                state.totals.calls += 1;
                if is_last {
                    state.ring();
                }
                return Ok(taken);
            }
            if let Some(error) = state.failed_since(failed).filter(|_| state.roster.is_empty()) {
                return Err(PoolError::Spawn(error));
            }
            self.call_keeper(&mut state).map_err(PoolError::Io)?;
            state = self.wait_for_change(state, Deadline::NEVER);
        }
    }

    /// Has the keeper look, which is started where there is none yet.
    fn call_keeper(self: &Arc<Self>, state: &mut State<C>) -> io::Result<()> {
        if state.bell.is_none() {
            let bell = Bell::new()?;
            let keeper = Keeper::new(Arc::clone(self), bell.listener()?, SignalMask::of_this_thread()?);
            spawn_without_signals(keeper::THREAD_NAME, move || keeper.run())?;
            state.bell = Some(bell);
        }
        state.ring();
        Ok(())
    }

    /// A call is over, and its worker goes on.
    pub(super) fn finish(&self, id: u64, client: &C) {
        let finished = self.with(|state| {
            let entry = state.roster.finish(id)?;
            let limit = self.options.most_memory;
            let limit = limit.filter(|_| entry.look_at_memory(Instant::now(), MEMORY_PAUSE));
            let (is_due, is_first) = (entry.is_due(), entry.note_answer());
            if is_first {
                state.health.note_answer();
            }
            let recycled = if is_due { state.take_recycled() } else { Vec::new() };
            self.tell_waiting(state);
            if !recycled.is_empty() {
                state.ring();
            }
            Some((limit, recycled))
        });
        let Some(Some((limit, recycled))) = finished else { return };
        drop(recycled);
        // The number may be another's by now: the worse for a worker that is recycled too early.
        if let Some(limit) = limit
            && client.__inner().process().and_then(resident_bytes).is_some_and(|bytes| bytes > limit)
        {
            self.with(|state| {
                if state.roster.make_due(id) {
                    state.ring();
                }
            });
        }
    }

    /// A worker's connection is over.
    pub(super) fn note_end(&self, id: u64, ended: Ended) {
        let entry = self.with(|state| {
            let entry = state.note_end(id, WorkerFailure::from(ended), Instant::now());
            if entry.is_some() {
                state.ring();
                self.tell_waiting(state);
            }
            entry
        });
        drop(entry);
    }

    /// A worker has not answered in time.
    pub(super) fn note_timeout(&self, id: u64) {
        let entry = self.with(|state| {
            let entry = state.recycle(id);
            state.ring();
            self.tell_waiting(state);
            entry
        });
        drop(entry);
    }

    fn wait_for_change<'a>(
        &'a self,
        mut state: MutexGuard<'a, State<C>>,
        deadline: Deadline,
    ) -> MutexGuard<'a, State<C>> {
        state.waiting += 1;
        state = wait_on(&self.changed, state, deadline);
        state.waiting -= 1;
        state
    }

    fn tell_waiting(&self, state: &State<C>) {
        if state.waiting > 0 {
            self.changed.notify_all();
        }
    }

    /// Starts a worker, whose start is counted already.
    pub(super) fn start(&self, era: u64) {
        // User code makes the command.
        let spawned = panic::catch_unwind(AssertUnwindSafe(|| {
            let command = (self.command)();
            Client::<C::Task>::spawn_with(command, &self.options.spawn).map(C::__from_inner)
        }));
        let panicked =
            |_| Err(SpawnError::Io(io::Error::other("the function that makes the command panicked")));
        self.note_start(spawned.unwrap_or_else(panicked), era);
    }

    /// What a start came to.
    pub(super) fn note_start(&self, started: Result<C, SpawnError>, era: u64) {
        let unneeded = self.with(|state| {
            let unneeded = state.note_start(started, era, Instant::now());
            let recycled = state.take_recycled();
            state.ring();
            self.tell_waiting(state);
            (unneeded, recycled)
        });
        drop(unneeded);
    }

    pub(super) fn warm(self: &Arc<Self>) -> Result<(), SpawnError> {
        self.check()?;
        let mut state = lock(&self.state);
        state.start_over(self.options.workers);
        let failed = state.failed;
        loop {
            if state.is_shut_down {
                return Err(SpawnError::Io(PoolError::<std::convert::Infallible>::ShutDown.into()));
            }
            if state.roster.fresh() >= self.options.workers {
                return Ok(());
            }
            if let Some(error) = state.failed_since(failed) {
                return Err(error);
            }
            if let Some(failure) = state.health.last_failure() {
                return Err(failure.as_spawn_error());
            }
            self.call_keeper(&mut state)?;
            state = self.wait_for_change(state, Deadline::NEVER);
        }
    }

    /// Takes no call any more, and waits for those that run: whether all have ended in time.
    pub(super) fn shut_down(&self, deadline: Deadline) -> bool {
        if !self.made_in.is_current() {
            return false;
        }
        let mut state = lock(&self.state);
        self.close(&mut state);
        while state.roster.busy() > 0 && !deadline.has_passed() {
            state = self.wait_for_change(state, deadline);
        }
        let is_over = state.roster.busy() == 0;
        let workers = state.roster.take_all();
        drop(state);
        if !is_over {
            let busy = workers.iter().filter(|worker| !worker.is_idle());
            busy.for_each(|worker| worker.client.__inner().hang_up());
        }
        is_over
    }

    fn close(&self, state: &mut State<C>) {
        state.is_shut_down = true;
        state.ring();
        state.bell = None;
        self.tell_waiting(state);
    }

    /// The last clone of the pool is gone. In a copy of the process that made it, descriptors are closed as far as
    /// they are at hand.
    pub(super) fn abandon(&self) {
        let workers = if self.made_in.is_current() {
            let mut state = lock(&self.state);
            self.close(&mut state);
            state.roster.take_all()
        } else {
            try_lock(&self.state).map(|mut state| state.roster.take_all()).unwrap_or_default()
        };
        drop::<Vec<Entry<C>>>(workers);
    }
}
