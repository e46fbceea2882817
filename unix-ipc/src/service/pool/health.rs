//! What became of the workers lately, and what follows for the next start. No clock of its own.

use std::collections::VecDeque;
use std::time::{Duration, Instant};

use super::error::{PoolError, WorkerFailure};
use super::options::PoolOptions;

#[derive(Debug)]
pub(super) struct Health {
    restarts: usize,
    per: Duration,
    first_pause: Duration,
    longest_pause: Duration,
    /// When workers failed, the latest last: those that still count.
    failures: VecDeque<Instant>,
    /// How many failed in a row before one of them answered.
    in_a_row: u32,
    paused_until: Option<Instant>,
    gave_up: Option<GivenUp>,
}

#[derive(Debug)]
struct GivenUp {
    failures: usize,
    last: WorkerFailure,
}

impl Health {
    pub(super) fn new(options: &PoolOptions) -> Self {
        Self {
            restarts: options.restarts,
            per: options.restarts_per,
            first_pause: options.first_pause,
            longest_pause: options.longest_pause,
            failures: VecDeque::new(),
            in_a_row: 0,
            paused_until: None,
            gave_up: None,
        }
    }

    /// A worker answered its first call.
    pub(super) fn note_answer(&mut self) {
        self.in_a_row = 0;
    }

    /// A worker died or did not start.
    pub(super) fn note_failure(&mut self, now: Instant, had_answered: bool, failure: WorkerFailure) {
        if !had_answered {
            let doublings = self.in_a_row.min(31);
            let pause = self.first_pause.saturating_mul(1 << doublings).min(self.longest_pause);
            self.paused_until = now.checked_add(pause);
            self.in_a_row = self.in_a_row.saturating_add(1);
        }
        let counts = |then: &Instant| now.saturating_duration_since(*then) < self.per;
        self.failures.retain(counts);
        self.failures.push_back(now);
        if self.failures.len() > self.restarts && self.gave_up.is_none() {
            self.gave_up = Some(GivenUp { failures: self.failures.len(), last: failure });
        }
    }

    /// Forgets all failures.
    pub(super) fn start_over(&mut self) {
        self.failures.clear();
        self.in_a_row = 0;
        self.paused_until = None;
        self.gave_up = None;
    }

    /// Until when nothing is started, if anything keeps it from it.
    pub(super) fn pause(&self, now: Instant) -> Option<Instant> {
        self.paused_until.filter(|until| *until > now)
    }

    pub(super) fn has_given_up(&self) -> bool {
        self.gave_up.is_some()
    }

    /// What happened last before the pool gave up.
    pub(super) fn last_failure(&self) -> Option<&WorkerFailure> {
        self.gave_up.as_ref().map(|given_up| &given_up.last)
    }

    /// An error where the pool has given up.
    pub(super) fn check(&self) -> Result<(), PoolError> {
        match &self.gave_up {
            None => Ok(()),
            Some(GivenUp { failures, last }) => {
                Err(PoolError::GaveUp { failures: *failures, within: self.per, last: last.clone() })
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::service::child::PeerExit;

    const MS: Duration = Duration::from_millis(1);

    fn health(restarts: usize) -> (Health, Instant) {
        let options = PoolOptions::new().restarts(restarts, 100 * MS).backoff(10 * MS, 35 * MS);
        (Health::new(&options), Instant::now())
    }

    fn death() -> WorkerFailure {
        WorkerFailure::Died(PeerExit::Killed(9))
    }

    #[test]
    fn pauses_double_up_to_the_longest_and_begin_anew_behind_an_answer() {
        let (mut health, now) = health(100);
        for pause in [10, 20, 35, 35] {
            health.note_failure(now, false, death());
            assert_eq!(health.pause(now), Some(now + pause * MS));
            assert_eq!(health.pause(now + pause * MS), None);
        }
        health.note_answer();
        health.note_failure(now, false, death());
        assert_eq!(health.pause(now), Some(now + 10 * MS));
    }

    #[test]
    fn after_many_failures_in_a_row_the_pause_is_still_the_longest() {
        let (mut health, now) = health(100);
        (0..80).for_each(|_| health.note_failure(now, false, death()));
        assert_eq!(health.pause(now), Some(now + 35 * MS));
    }

    #[test]
    fn a_worker_that_had_answered_is_replaced_at_once() {
        let (mut health, now) = health(100);
        health.note_failure(now, true, death());
        assert_eq!(health.pause(now), None);
    }

    #[test]
    fn the_pool_gives_up_after_one_more_than_the_restarts_in_the_time() {
        let (mut health, now) = health(2);
        health.note_failure(now, true, death());
        health.note_failure(now + 50 * MS, true, death());
        assert!(!health.has_given_up());
        // The first does not count any more.
        health.note_failure(now + 100 * MS, true, death());
        assert!(health.check().is_ok());
        health.note_failure(now + 101 * MS, true, death());
        let error = health.check().unwrap_err();
        assert_eq!(error.to_string(), "the pool gave up: 3 workers failed within 100ms");
        let PoolError::GaveUp { last, .. } = error else { panic!("{error:?}") };
        assert_eq!(last.to_string(), "a worker was killed by signal 9 (SIGKILL)");
        health.start_over();
        assert!(health.check().is_ok() && health.last_failure().is_none());
    }

    #[test]
    fn without_restarts_the_first_failure_is_the_last() {
        let (mut health, now) = health(0);
        health.note_failure(now, true, death());
        assert!(health.has_given_up());
    }
}
