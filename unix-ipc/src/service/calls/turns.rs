//! Who reads: one of the threads that wait for a reply, for all of them.

use std::mem;

use super::{Calls, Outcome};

/// What a thread that waits for a call does next.
#[derive(Debug)]
pub(crate) enum Step {
    /// It has what it waited for, and the call's place is free.
    Done(Outcome),
    /// Its time is over, and the call's place is free.
    TimedOut,
    /// It has the right to read.
    Read,
    /// It waits until it is woken, and asks again. Whoever leaves instead says so by [`Calls::leave`].
    Park,
}

impl<W, S: Clone + PartialEq> Calls<W, S> {
    /// Takes the right to read: false where somebody has it.
    #[inline]
    pub(crate) fn start_reading(&mut self) -> bool {
        !mem::replace(&mut self.reading, true)
    }

    /// Gives the right to read back, and says whom to wake to take it over.
    #[inline]
    pub(crate) fn stop_reading(&mut self) -> Option<&W> {
        self.reading = false;
        self.anyone_waiting()
    }

    pub(crate) fn is_reading(&self) -> bool {
        self.reading
    }

    /// What the thread that waits for this call does next. `waker` is how to wake it, for where it has to wait.
    #[inline]
    pub(crate) fn next_step(&mut self, id: u64, is_over: bool, waker: impl FnOnce() -> W) -> Step {
        if let Some(outcome) = self.take(id) {
            return Step::Done(outcome);
        }
        if is_over {
            self.abandon(id);
            return Step::TimedOut;
        }
        if self.start_reading() {
            self.stop_waiting(id);
            return Step::Read;
        }
        self.wait(id, waker());
        Step::Park
    }

    /// A thread that was told to park does not wait any more. It may be the one that was woken to take over the reading, so
    /// this says whom to wake in its place.
    pub(crate) fn leave(&mut self, id: u64) -> Option<&W> {
        self.stop_waiting(id);
        if self.reading { None } else { self.anyone_waiting() }
    }

    /// Says how to wake who waits for this call.
    pub(super) fn wait(&mut self, id: u64, waiting: W) {
        if let Some(slot) = self.slots.get_mut(id)
            && slot.waiting.replace(waiting).is_none()
        {
            self.waiting += 1;
        }
    }

    #[inline]
    fn stop_waiting(&mut self, id: u64) {
        if self.waiting == 0 {
            return;
        }
        if let Some(slot) = self.slots.get_mut(id)
            && slot.waiting.take().is_some()
        {
            self.waiting -= 1;
        }
    }

    /// Anybody who waits, to take over the reading.
    #[inline]
    fn anyone_waiting(&self) -> Option<&W> {
        if self.waiting == 0 {
            return None;
        }
        self.slots.iter().find_map(|(_, slot)| slot.waiting.as_ref())
    }
}
