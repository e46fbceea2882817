//! Everything that the threads of a pool share, under one lock: no user code runs and nothing is spawned or dropped
//! while it is held.

use std::sync::Arc;
use std::time::Instant;

use super::counters::PoolCounters;
use super::error::{PoolError, WorkerFailure};
use super::health::Health;
use super::options::PoolOptions;
use super::roster::{Entry, Roster};
use crate::service::child::SpawnError;
use crate::sys::bell::Bell;

#[derive(Debug)]
pub(super) struct State<C> {
    pub(super) roster: Roster<C>,
    pub(super) health: Health,
    /// How many workers there should be: as many as were needed at once so far.
    pub(super) wanted: usize,
    /// How many are being started.
    pub(super) starting: usize,
    /// How many threads wait for a worker.
    pub(super) waiting: usize,
    pub(super) totals: PoolCounters,
    /// How often the pool has started over: a start from before that fails says nothing of what is now.
    pub(super) era: u64,
    /// How many starts have failed that said something, and why the last one of this era did.
    pub(super) failed: u64,
    last_failed: Option<Arc<SpawnError>>,
    pub(super) is_shut_down: bool,
    /// Rings for the keeper; there is a keeper as long as there is a bell.
    pub(super) bell: Option<Bell>,
}

impl<C: Clone> State<C> {
    pub(super) fn new(options: &PoolOptions) -> Self {
        Self {
            roster: Roster::new(),
            health: Health::new(options),
            wanted: 0,
            starting: 0,
            waiting: 0,
            totals: PoolCounters::default(),
            era: 0,
            failed: 0,
            last_failed: None,
            is_shut_down: false,
            bell: None,
        }
    }

    /// An error where no call is taken any more.
    pub(super) fn check(&self) -> Result<(), PoolError> {
        if self.is_shut_down {
            return Err(PoolError::ShutDown);
        }
        self.health.check()
    }

    /// Forgets what went wrong, and wants so many workers.
    pub(super) fn start_over(&mut self, wanted: usize) {
        self.health.start_over();
        self.era += 1;
        self.last_failed = None;
        self.wanted = wanted;
    }

    /// Why a start has failed, if more have than these.
    pub(super) fn failed_since(&self, failed: u64) -> Option<SpawnError> {
        self.last_failed.as_ref().filter(|_| self.failed > failed).map(|error| error.copy())
    }

    /// The worker for the next call, if it is not worth waiting for another.
    pub(super) fn choose(&mut self, most: usize, now: impl FnOnce() -> Instant) -> Option<&mut Entry<C>> {
        let has_idle = self.roster.least_busy().is_some_and(|entry| entry.is_idle());
        if !has_idle && self.is_worth_waiting(most, now()) {
            return None;
        }
        self.roster.least_busy()
    }

    /// Whether a worker comes that nobody waits for yet; has one started where there may be more.
    fn is_worth_waiting(&mut self, most: usize, now: Instant) -> bool {
        if self.health.pause(now).is_some() {
            return false;
        }
        let coming = self.wanted.saturating_sub(self.roster.fresh());
        if coming > self.waiting {
            return true;
        }
        let may_grow = self.wanted < most;
        self.wanted += usize::from(may_grow);
        may_grow
    }

    /// How many workers are to be started now; they count as being started from here on.
    pub(super) fn take_starts(&mut self, now: Instant) -> usize {
        if self.is_shut_down || self.health.has_given_up() || self.health.pause(now).is_some() {
            return 0;
        }
        let missing = self.missing();
        self.starting += missing;
        missing
    }

    /// How many workers nobody has begun to start yet.
    pub(super) fn missing(&self) -> usize {
        self.wanted.saturating_sub(self.roster.fresh() + self.starting)
    }

    /// What a start of some era came to. The client comes back where nobody needs it any more.
    pub(super) fn note_start(&mut self, started: Result<C, SpawnError>, era: u64, now: Instant) -> Option<C> {
        self.starting = self.starting.saturating_sub(1);
        match started {
            Ok(client) if self.is_shut_down => return Some(client),
            Ok(client) => {
                self.totals.started += 1;
                self.roster.add(client, now);
            }
            Err(_) if era != self.era => self.totals.failed_starts += 1,
            Err(error) => {
                let error = Arc::new(error);
                self.totals.failed_starts += 1;
                self.failed += 1;
                self.last_failed = Some(Arc::clone(&error));
                self.health.note_failure(now, false, WorkerFailure::Start(error));
            }
        }
        None
    }

    /// A worker has ended: it is no longer one. Comes back for its drop, unless it was known.
    pub(super) fn note_end(&mut self, id: u64, failure: WorkerFailure, now: Instant) -> Option<Entry<C>> {
        let entry = self.roster.remove(id)?;
        self.totals.died += 1;
        self.health.note_failure(now, entry.has_answered, failure);
        Some(entry)
    }

    /// A worker is recycled whatever it is at. Comes back for its drop, unless it is no more.
    pub(super) fn recycle(&mut self, id: u64) -> Option<Entry<C>> {
        let entry = self.roster.remove(id)?;
        self.totals.recycled += 1;
        Some(entry)
    }

    /// Takes the workers that are recycled now.
    pub(super) fn take_recycled(&mut self) -> Vec<Entry<C>> {
        let done = self.roster.take_done();
        self.totals.recycled += done.len() as u64;
        done
    }

    pub(super) fn counters(&self) -> PoolCounters {
        PoolCounters {
            workers: self.roster.len(),
            busy: self.roster.busy(),
            starting: self.starting,
            gave_up: self.health.has_given_up(),
            ..self.totals
        }
    }

    /// Has the keeper look at what has changed.
    pub(super) fn ring(&self) {
        if let Some(bell) = &self.bell {
            bell.ring();
        }
    }
}

#[cfg(test)]
mod tests {
    use std::io;
    use std::time::Duration;

    use super::*;
    use crate::service::child::PeerExit;

    fn state() -> (State<()>, Instant) {
        (State::new(&PoolOptions::new()), Instant::now())
    }

    fn failure() -> Result<(), SpawnError> {
        Err(SpawnError::Io(io::Error::other("no")))
    }

    fn waits(state: &mut State<()>, most: usize, now: Instant) -> bool {
        let waits = state.choose(most, || now).is_none();
        state.waiting += usize::from(waits);
        waits
    }

    #[test]
    fn each_that_finds_nobody_idle_has_a_worker_started_up_to_the_most() {
        let (mut state, now) = state();
        assert!((0..2).all(|_| waits(&mut state, 2, now)));
        assert_eq!((state.wanted, state.take_starts(now), state.take_starts(now)), (2, 2, 0));
        assert!(waits(&mut state, 2, now), "there is no worker to be had");
        assert_eq!(state.wanted, 2);
    }

    #[test]
    fn who_waits_for_a_start_takes_nobody_elses() {
        let (mut state, now) = state();
        state.roster.add((), now);
        state.wanted = 1;
        state.choose(2, || now).unwrap().begin(None);
        assert!(waits(&mut state, 2, now), "a second one may be started");
        assert!(!waits(&mut state, 2, now), "that one is somebody's");
    }

    #[test]
    fn in_a_pause_the_busy_take_more_and_nothing_is_started() {
        let (mut state, now) = state();
        state.roster.add((), now);
        state.choose(2, || now).unwrap().begin(None);
        state.starting = 1;
        assert!(state.note_start(failure(), 0, now).is_none());
        assert!(state.choose(2, || now).is_some());
        state.wanted = 2;
        assert_eq!(state.take_starts(now), 0);
        assert_eq!(state.take_starts(now + Duration::from_millis(10)), 1);
    }

    #[test]
    fn a_start_from_before_says_nothing_when_the_pool_has_started_over() {
        let (mut state, now) = state();
        state.starting = 2;
        state.start_over(2);
        assert!(state.note_start(failure(), 0, now).is_none());
        assert!(state.failed_since(0).is_none() && state.health.pause(now).is_none());
        assert_eq!((state.counters().failed_starts, state.take_starts(now)), (1, 1));
        assert!(state.note_start(Ok(()), 0, now).is_none());
        assert!(state.note_start(failure(), 1, now).is_none());
        assert!(state.failed_since(0).is_some() && state.failed_since(1).is_none());
        assert_eq!((state.roster.len(), state.missing()), (1, 1));
    }

    #[test]
    fn an_end_is_counted_once() {
        let (mut state, now) = state();
        state.roster.add((), now);
        let death = || WorkerFailure::Died(PeerExit::Killed(9));
        assert!(state.note_end(1, death(), now).is_some());
        assert!(state.note_end(1, death(), now).is_none());
        assert_eq!(state.counters().died, 1);
    }
}
