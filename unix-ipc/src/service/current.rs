//! The call whose handler a thread runs, for the calls that the handler makes: they have no more time than it has.

use std::cell::Cell;

use crate::deadline::Deadline;

thread_local! {
    static DEADLINE: Cell<Deadline> = const { Cell::new(Deadline::NEVER) };
}

/// Until when what this thread does is of use to anybody.
#[inline]
pub(super) fn deadline() -> Deadline {
    // The thread's own is gone while the thread ends.
    DEADLINE.try_with(Cell::get).unwrap_or(Deadline::NEVER)
}

/// A handler runs that has so much time, until this is dropped.
#[must_use = "the handler has the time only as long as this lives"]
pub(super) struct Running {
    around: Deadline,
}

impl Running {
    /// One that runs within another has the time of both.
    pub(super) fn until(end: Deadline) -> Self {
        let around = deadline();
        let _ = DEADLINE.try_with(|deadline| deadline.set(around.min(end)));
        Self { around }
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        let _ = DEADLINE.try_with(|deadline| deadline.set(self.around));
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    #[test]
    fn a_handler_within_another_has_the_time_of_both_and_leaves_the_rest_as_it_was() {
        let (soon, late) =
            (Deadline::after(Duration::from_secs(1)), Deadline::after(Duration::from_secs(60)));
        assert_eq!(deadline(), Deadline::NEVER);
        {
            let _outer = Running::until(soon);
            let _inner = Running::until(late);
            assert_eq!(deadline(), soon);
        }
        assert_eq!(deadline(), Deadline::NEVER);
    }
}
