use std::time::Duration;

use super::super::current;
use crate::deadline::Deadline;

/// How long a call may take.
#[derive(Clone, Copy, Debug)]
pub(super) struct Patience {
    pub(super) deadline: Deadline,
    /// The same as it was given, for the error that says so.
    pub(super) after: Duration,
}

impl Patience {
    /// The patience of a call that begins now, by a client with this timeout: no more than what is left to the handler that
    /// makes the call, if one does.
    #[inline]
    pub(super) fn from_now(timeout: Option<Duration>) -> Self {
        let of_client = Self {
            // Without a timeout the clock is not looked at.
            deadline: timeout.map_or(Deadline::NEVER, Deadline::after),
            after: timeout.unwrap_or(Duration::MAX),
        };
        match current::deadline() {
            Deadline::NEVER => of_client,
            of_handler => of_client.at_most(of_handler),
        }
    }

    /// The same, and no longer than until then.
    fn at_most(self, deadline: Deadline) -> Self {
        if self.deadline.min(deadline) == self.deadline {
            return self;
        }
        Self { deadline, after: deadline.left().unwrap_or(Duration::MAX) }
    }

    /// The same, and no longer than so long from now.
    pub(super) fn at_most_for(self, time: Duration) -> Self {
        let deadline = Deadline::after(time);
        if deadline.min(self.deadline) == deadline { Self { deadline, after: time } } else { self }
    }
}
