#[cfg(feature = "macros")]
use std::sync::TryLockError;
#[cfg(feature = "macros")]
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Condvar, Mutex, MutexGuard, PoisonError};

use crate::deadline::Deadline;

/// A number that no other thread of this process ever has; never 0.
#[cfg(feature = "macros")]
pub(crate) fn this_thread() -> u64 {
    static LAST: AtomicU64 = AtomicU64::new(0);
    thread_local! {
        static NUMBER: u64 = LAST.fetch_add(1, Ordering::Relaxed) + 1;
    }
    NUMBER.with(|number| *number)
}

/// Locks without asking whether a panic once happened under the lock.
///
/// What our locks guard is whole after each statement, and a panic in user code must not take the
/// channel's other users down.
#[inline]
pub(crate) fn lock<T: ?Sized>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

/// The same, if nobody has it locked now.
#[cfg(feature = "macros")]
#[inline]
pub(crate) fn try_lock<T: ?Sized>(mutex: &Mutex<T>) -> Option<MutexGuard<'_, T>> {
    match mutex.try_lock() {
        Ok(guard) => Some(guard),
        Err(TryLockError::Poisoned(poisoned)) => Some(poisoned.into_inner()),
        Err(TryLockError::WouldBlock) => None,
    }
}

/// Waits for a signal, or until the time is over; it may also return for no reason.
pub(crate) fn wait_on<'a, T>(
    signal: &Condvar,
    guard: MutexGuard<'a, T>,
    deadline: Deadline,
) -> MutexGuard<'a, T> {
    match deadline.left() {
        None => signal.wait(guard).unwrap_or_else(PoisonError::into_inner),
        Some(left) => signal.wait_timeout(guard, left).unwrap_or_else(PoisonError::into_inner).0,
    }
}

/// A turn that one thread at a time can have, waited for with a deadline.
#[derive(Debug, Default)]
pub(crate) struct Turn {
    queue: Mutex<Queue>,
    free: Condvar,
}

#[derive(Debug, Default)]
struct Queue {
    taken: bool,
    /// How many threads wait; a signal that nobody waits for costs a system call.
    waiting: usize,
}

/// The turn, until this is dropped.
#[derive(Debug)]
pub(crate) struct TurnGuard<'a>(&'a Turn);

impl Turn {
    /// Takes the turn: `None` where the time was over first.
    pub(crate) fn take(&self, deadline: Deadline) -> Option<TurnGuard<'_>> {
        let mut queue = lock(&self.queue);
        while queue.taken {
            if deadline.has_passed() {
                return None;
            }
            queue.waiting += 1;
            queue = wait_on(&self.free, queue, deadline);
            queue.waiting -= 1;
        }
        queue.taken = true;
        Some(TurnGuard(self))
    }
}

impl Drop for TurnGuard<'_> {
    fn drop(&mut self) {
        let mut queue = lock(&self.0.queue);
        queue.taken = false;
        if queue.waiting > 0 {
            self.0.free.notify_one();
        }
    }
}
