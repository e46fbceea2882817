//! The end of serving many: the calls that run are finished, and no other is begun.

use std::sync::atomic::Ordering;
use std::time::Duration;

use nix::sys::epoll::{EpollEvent, EpollFlags};

use super::super::task::Task;
use super::clients::Clients;
use super::session::{Session, hang_up_on};
use super::stop::Stop;
use super::turn::Turn;
use crate::deadline::Deadline;

/// How long a thread waits at most, while the last calls run, before it asks whether they still do.
pub(super) const DRAIN_TICK: Duration = Duration::from_millis(5);

/// Some time for the last replies to clients that read, after calls that took all there was.
const LAST_REPLIES: Duration = Duration::from_millis(100);

impl Clients<'_> {
    /// Has the stop wake whoever waits.
    pub(super) fn watch_stop(&self, stop: &Stop, token: u64) -> std::io::Result<()> {
        Ok(self.epoll.add(stop, EpollEvent::new(EpollFlags::EPOLLIN, token))?)
    }

    /// From now on no call is begun; those that run have until then.
    pub(super) fn begin_draining(&self, turn: &mut Turn, deadline: Deadline) {
        if self.drain_until.set(deadline).is_err() {
            return;
        }
        if let Some(listener) = self.listener {
            let _ = self.epoll.delete(listener);
        }
        if let Some(stop) = &self.stop {
            let _ = self.epoll.delete(stop);
        }
        turn.sessions().for_each(|session| session.refuse_calls());
    }

    #[inline]
    pub(super) fn is_draining(&self) -> bool {
        self.drain_until.get().is_some()
    }

    /// Whether nothing is left to wait for.
    pub(super) fn is_drained(&self) -> bool {
        let Some(deadline) = self.drain_until.get() else { return false };
        !self.has_running() || deadline.has_passed()
    }

    fn has_running(&self) -> bool {
        self.runs.load(Ordering::SeqCst) != self.ended_runs.load(Ordering::SeqCst)
    }

    /// Hangs up on all, in order where no call runs any more, and lets every thread go home.
    pub(super) fn finish_draining<T: Task>(&self, turn: &Turn) {
        let until = self.drain_until.get().copied().unwrap_or(Deadline::NEVER);
        if self.has_running() {
            turn.sessions().for_each(|session| session.hang_up());
        } else {
            turn.sessions().for_each(Session::say_last::<T>);
            hang_up_on(turn.sessions(), last_moment(until));
        }
        self.stop();
    }
}

/// Until when replies are sent: some time is left for the last ones, also where the calls took all there was.
pub(super) fn last_moment(until: Deadline) -> Deadline {
    if until.has_passed() { Deadline::after(LAST_REPLIES) } else { until }
}
