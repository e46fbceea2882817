//! The thread of a pool that notices what happens while nobody calls: deaths, the end of pauses, old age.
//!
//! It starts with the first need and ends with the last clone of the pool.

use std::os::fd::{AsFd, OwnedFd};
use std::sync::Arc;
use std::time::{Duration, Instant};

use nix::poll::{PollFd, PollFlags};

use super::shared::Shared;
use super::state::State;
use crate::deadline::Deadline;
use crate::service::child::SpawnError;
use crate::service::service_client::ServiceClient;
use crate::sys::bell;
use crate::sys::process;
use crate::sys::thread::SignalMask;
use crate::sys::wait::{ready, wait};

/// The name of the thread.
pub(super) const THREAD_NAME: &str = "unix-ipc-pool";
/// The name of a thread that starts one worker.
const START_NAME: &str = "unix-ipc-start";

/// The pause between two rounds of looking at each worker on its own.
const ONE_BY_ONE_PAUSE: Duration = Duration::from_millis(10);

pub(super) struct Keeper<C> {
    shared: Arc<Shared<C>>,
    listener: OwnedFd,
    /// What the thread blocked that first needed a worker: workers have it from there, and not from this thread,
    /// which blocks everything.
    signals: SignalMask,
}

/// What there is to do.
struct Plan<C> {
    watched: Vec<(u64, C)>,
    starts: usize,
    era: u64,
    until: Deadline,
}

impl<C: ServiceClient> Keeper<C> {
    pub(super) fn new(shared: Arc<Shared<C>>, listener: OwnedFd, signals: SignalMask) -> Self {
        Self { shared, listener, signals }
    }

    pub(super) fn run(self) {
        while let Some(plan) = self.plan() {
            (0..plan.starts).for_each(|_| self.start(plan.era));
            for (id, client) in self.wait(&plan) {
                self.shared.note_end(*id, client.__inner().find_end());
            }
        }
    }

    /// Nothing once the pool is no more.
    fn plan(&self) -> Option<Plan<C>> {
        // Heard before the look: what rings behind it is for the next.
        bell::hear(self.listener.as_fd());
        let now = Instant::now();
        let (plan, recycled) = self.shared.with(|state| {
            if state.is_shut_down {
                return None;
            }
            let next_age = self.shared.options.most_age.and_then(|most| state.roster.make_old_due(now, most));
            let recycled = state.take_recycled();
            let watched = state.roster.iter().map(|entry| (entry.id, entry.client.clone())).collect();
            let starts = state.take_starts(now);
            let until = next_look(state, now, next_age);
            Some((Plan { watched, starts, era: state.era, until }, recycled))
        })??;
        drop(recycled);
        Some(plan)
    }

    /// A start takes its time, and the next one does not wait for it: each has a thread while it lasts.
    fn start(&self, era: u64) {
        let shared = Arc::clone(&self.shared);
        if let Err(error) = self.signals.spawn(START_NAME, move || shared.start(era)) {
            self.shared.note_start(Err(SpawnError::Io(error)), era);
        }
    }

    /// Waits for the bell, the time, or workers that have ended, which it returns.
    fn wait<'p>(&self, plan: &'p Plan<C>) -> Vec<&'p (u64, C)> {
        let mut polled = vec![PollFd::new(self.listener.as_fd(), PollFlags::POLLIN)];
        let mut ends = Vec::new();
        for (_, client) in &plan.watched {
            let first = polled.len();
            let (socket, child) = client.__inner().watched();
            polled.push(PollFd::new(socket, PollFlags::empty()));
            polled.extend(child.map(|child| PollFd::new(child, PollFlags::POLLIN)));
            ends.push(first..polled.len());
        }
        if wait(&mut polled, plan.until).is_err() {
            // More descriptors than the process may have now, or no memory.
            let _ = ready(self.listener.as_fd(), PollFlags::POLLIN, Deadline::after(ONE_BY_ONE_PAUSE));
            return plan.watched.iter().filter(|(_, client)| has_ended(client)).collect();
        }
        let has_ended = |range: std::ops::Range<usize>| {
            polled.get(range).is_some_and(|ends| ends.iter().any(|end| end.any().unwrap_or(true)))
        };
        plan.watched
            .iter()
            .zip(ends)
            .filter(|(_, range)| has_ended(range.clone()))
            .map(|(one, _)| one)
            .collect()
    }
}

fn has_ended<C: ServiceClient>(client: &C) -> bool {
    let (socket, child) = client.__inner().watched();
    let is_hung_up = ready(socket, PollFlags::empty(), Deadline::now()).unwrap_or(false);
    is_hung_up || child.is_some_and(process::is_over)
}

/// When there is something to do that no descriptor tells.
fn next_look<C: Clone>(state: &State<C>, now: Instant, next_age: Option<Instant>) -> Deadline {
    let pause = state.health.pause(now).filter(|_| state.missing() > 0 && !state.health.has_given_up());
    let next = pause.into_iter().chain(next_age).min();
    next.map_or(Deadline::NEVER, |then| Deadline::after(then.saturating_duration_since(now)))
}
