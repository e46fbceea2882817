//! What a server does between its client's introduction and its own.

use std::io;
use std::sync::Arc;
use std::sync::atomic::Ordering;

use nix::poll::PollFlags;

use super::super::super::error::ServeError;
use super::super::super::task::Task;
use super::{Session, Step};
use crate::deadline::Deadline;
use crate::error::RecvError;

/// The most messages that are read of a client whose time to introduce itself is over: an introduction may be so many pieces.
const MOST_LATE: usize = 256;

impl Session {
    /// Waits for an introduction that fits, prepares, and introduces this end: false where the client is gone before.
    ///
    /// Whoever waits for our introduction waits for `prepare`. This thread alone may read meanwhile.
    pub(in super::super) fn prepare<T: Task>(
        self: &Arc<Self>,
        prepare: impl FnOnce() -> io::Result<()>,
    ) -> Result<bool, ServeError> {
        self.link.check()?;
        let is_known = self.has_met();
        self.is_preparing.store(true, Ordering::Relaxed);
        if !self.wait_for_introduction::<T>(self.introduction_deadline().unwrap_or(Deadline::NEVER))? {
            return Ok(false);
        }
        if let Err(error) = prepare() {
            self.link.accuse(&format!("an introduction, and could not prepare to serve: {error}"));
            self.end();
            return Err(error.into());
        }
        self.is_preparing.store(false, Ordering::Relaxed);
        if !is_known {
            self.introduce();
        }
        Ok(true)
    }

    /// Waits until the client has introduced itself, and hangs up on one that has not by then: false where it is gone before.
    ///
    /// What is there is read when the time is over as well: this end may have been busy since it came.
    pub(in super::super) fn wait_for_introduction<T: Task>(
        self: &Arc<Self>,
        deadline: Deadline,
    ) -> Result<bool, RecvError> {
        // A call before the introduction ends the connection, so that there is none in here.
        let mut no_call: Option<T> = None;
        let mut late = 0;
        while !self.has_met() {
            // A receive that waits by itself knows no time.
            let step = if deadline == Deadline::NEVER {
                self.step_waiting(&mut no_call)
            } else {
                self.step(&mut no_call)
            };
            match step.map_err(|error| *error)? {
                Step::Task | Step::Handled | Step::Unreadable(_) if late < MOST_LATE => {
                    late += usize::from(deadline.has_passed());
                }
                Step::Nothing if self.link.wait(PollFlags::POLLIN, deadline)? => {}
                Step::End => return Ok(false),
                _ => return Err(self.accuse_of_silence().into()),
            }
        }
        Ok(true)
    }
}
