//! The calls whose handlers want to know when nobody waits for them any more.

use std::os::fd::AsFd;
use std::sync::atomic::Ordering;
use std::sync::{Arc, Weak};
use std::time::Duration;

use nix::poll::PollFlags;

use super::super::context::Call;
use super::Reach;
use super::Session;
use crate::deadline::Deadline;
use crate::sync::{lock, this_thread, wait_on};
use crate::sys::wait::ready;

/// How long a handler that waits for its call's end goes without looking, where other threads read and may have stopped to.
const PAUSE: Duration = Duration::from_millis(10);

impl Session {
    /// From now on a handler hears when this call is cancelled.
    pub(in super::super) fn watch_call(&self, call: &Arc<Call>) {
        lock(&self.watched).push(Arc::downgrade(call));
    }

    /// A watched call is over.
    pub(in super::super) fn forget_calls(&self) {
        lock(&self.watched).retain(|call| call.strong_count() > 0);
    }

    /// Nobody waits for a call that may be running.
    pub(super) fn cancel_running(&self, id: u64) {
        self.cancel_where(|call| id != 0 && call.id() == id);
    }

    /// The client is gone.
    pub(super) fn cancel_all_running(&self) {
        self.is_gone.store(true, Ordering::SeqCst);
        self.cancel_where(|_| true);
    }

    fn cancel_where(&self, is_it: impl Fn(&Call) -> bool) {
        // Dropped behind the lock: the last holder of a call takes it, too.
        let calls: Vec<Arc<Call>> = lock(&self.watched).iter().filter_map(Weak::upgrade).collect();
        calls.iter().filter(|call| is_it(call)).for_each(|call| call.cancel());
        self.cancelled.notify_all();
    }

    /// Whether a call is cancelled, after reading what has come.
    pub(in super::super) fn looks_cancelled(&self, call: &Call) -> bool {
        // A copy of the process serves nobody.
        if self.is_gone() || self.link.check().is_err() {
            return true;
        }
        self.read_ahead(Reach::Socket);
        call.is_over() || self.is_gone()
    }

    fn is_gone(&self) -> bool {
        self.is_gone.load(Ordering::SeqCst) || self.has_ended()
    }

    /// Waits until there may be a cancellation to read, or somebody else has read one.
    pub(in super::super) fn wait_for_cancel(&self, end: Deadline) {
        // The thread that serves alone is the only one that reads.
        let reads_alone = self.reader.load(Ordering::Relaxed) == this_thread();
        let end = if reads_alone { end } else { end.min(Deadline::after(PAUSE)) };
        let brief = end.min(Deadline::after(PAUSE));
        if !self.has_room_ahead() {
            // No more can be read now: but for the time, only the client's end counts.
            if ready(self.link.socket().as_fd(), PollFlags::empty(), brief).unwrap_or(false) {
                self.cancel_all_running();
            }
            return;
        }
        match self.link.try_fall_asleep() {
            Some(true) => drop(ready(self.link.socket().as_fd(), PollFlags::POLLIN, end)),
            Some(false) => {}
            None => drop(wait_on(&self.cancelled, lock(&self.watched), brief)),
        }
    }
}
