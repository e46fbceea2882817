//! The calls whose handlers want to know when nobody waits for them any more.

use std::collections::VecDeque;
use std::sync::atomic::Ordering;
use std::sync::{Arc, Weak};
use std::time::Duration;

use nix::poll::PollFlags;

use super::super::context::Call;
use super::Reach;
use super::Session;
use crate::deadline::Deadline;
use crate::sync::{lock, this_thread, wait_on};

/// How long a handler that waits for its call's end goes without looking, where other threads read and may have stopped to.
const PAUSE: Duration = Duration::from_millis(10);

/// The same where one thread serves, and there is no other context: another thread reads only where it has this one, too.
const LONG_PAUSE: Duration = Duration::from_millis(100);

/// How many of the last cancellations are remembered.
const MOST_TAKEN_BACK: usize = 1024;

/// Who wants to know when a call is cancelled.
#[derive(Debug, Default)]
pub(super) struct Watched {
    calls: Vec<(u64, Weak<Call>)>,
    /// What was taken back last and had been read: it may be in some thread's hand, and not have begun.
    taken_back: VecDeque<u64>,
}

impl Watched {
    fn take_back(&mut self, id: u64) -> Option<Arc<Call>> {
        if self.taken_back.len() >= MOST_TAKEN_BACK {
            self.taken_back.pop_front();
        }
        self.taken_back.push_back(id);
        self.calls.iter().find(|(watched, _)| *watched == id).and_then(|(_, call)| call.upgrade())
    }
}

impl Session {
    /// From now on a handler hears when this call is cancelled.
    pub(in super::super) fn watch_call(&self, call: &Arc<Call>) {
        let mut watched = lock(&self.watched);
        if watched.taken_back.contains(&call.id()) {
            call.cancel();
        }
        watched.calls.push((call.id(), Arc::downgrade(call)));
    }

    /// A watched call is over.
    pub(in super::super) fn forget_calls(&self) {
        lock(&self.watched).calls.retain(|(_, call)| call.strong_count() > 0);
    }

    /// Whether handlers have contexts, and may read.
    pub(in super::super) fn has_watched_calls(&self) -> bool {
        !lock(&self.watched).calls.is_empty()
    }

    /// Whether a call was taken back, as far as is known.
    #[inline]
    pub(in super::super) fn was_taken_back(&self, id: u64) -> bool {
        self.has_taken_back.load(Ordering::SeqCst) && lock(&self.watched).taken_back.contains(&id)
    }

    /// Nobody waits for a call that may be running.
    pub(super) fn cancel_running(&self, id: u64) {
        if id == 0 {
            return;
        }
        // Dropped behind the lock: the last holder of a call takes it, too.
        let call = lock(&self.watched).take_back(id);
        self.has_taken_back.store(true, Ordering::SeqCst);
        if let Some(call) = call {
            call.cancel();
            self.cancelled.notify_all();
        }
    }

    /// The client is gone.
    pub(super) fn cancel_all_running(&self) {
        self.is_gone.store(true, Ordering::SeqCst);
        let calls: Vec<Arc<Call>> =
            lock(&self.watched).calls.iter().filter_map(|(_, call)| call.upgrade()).collect();
        calls.iter().for_each(|call| call.cancel());
        self.cancelled.notify_all();
    }

    /// Whether a call is cancelled, after reading what has come.
    pub(in super::super) fn looks_cancelled(&self, call: &Call) -> bool {
        // A copy of the process serves nobody.
        if self.is_gone() || self.link.check().is_err() {
            return true;
        }
        self.read_ahead(Reach::Socket);
        if !self.has_room_ahead() {
            // The client's end is behind what can be read now.
            self.look_for_hang_up(Deadline::now());
        }
        call.is_over() || self.is_gone()
    }

    fn is_gone(&self) -> bool {
        self.is_gone.load(Ordering::SeqCst) || self.has_ended()
    }

    #[cold]
    pub(super) fn look_for_hang_up(&self, end: Deadline) {
        if self.link.is_hung_up_by(end) {
            self.client_is_gone();
        }
    }

    /// Waits until there may be a cancellation to read, or somebody else has read one.
    pub(in super::super) fn wait_for_cancel(&self, end: Deadline) {
        let reads_alone =
            self.reader.load(Ordering::Relaxed) == this_thread() && lock(&self.watched).calls.len() == 1;
        let brief = end.min(Deadline::after(PAUSE));
        let end = if reads_alone { end.min(Deadline::after(LONG_PAUSE)) } else { brief };
        if !self.has_room_ahead() {
            // No more can be read now: but for the time, only the client's end counts.
            self.look_for_hang_up(brief);
            return;
        }
        match self.link.try_fall_asleep() {
            Some(true) => drop(self.link.wait(PollFlags::POLLIN, end)),
            Some(false) => {}
            None => drop(wait_on(&self.cancelled, lock(&self.watched), brief)),
        }
    }
}
