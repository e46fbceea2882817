//! What a server does between its client's introduction and its own.

use std::io;
use std::os::fd::AsFd;
use std::sync::Arc;
use std::sync::atomic::Ordering;

use super::super::super::error::ServeError;
use super::super::super::task::Task;
use super::super::stop::Stop;
use super::{Session, Step};
use crate::deadline::Deadline;
use crate::error::RecvError;

/// The most messages that are read of a client whose time to introduce itself is over: an introduction may be so many pieces.
const MOST_LATE: usize = 256;

impl Session {
    /// Waits for an introduction that fits, prepares, and introduces this end: false where the client is gone before, or the
    /// server is to end.
    ///
    /// Whoever waits for our introduction waits for `prepare`. This thread alone may read meanwhile.
    pub(in super::super) fn prepare<T: Task>(
        self: &Arc<Self>,
        prepare: impl FnOnce() -> io::Result<()>,
        stop: Option<&Stop>,
    ) -> Result<bool, ServeError> {
        self.link.check()?;
        let is_known = self.has_met();
        self.is_preparing.store(true, Ordering::Relaxed);
        let deadline = self.introduction_deadline().unwrap_or(Deadline::NEVER);
        if !self.wait_for_introduction::<T>(deadline, stop)? {
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

    /// Waits until the client has introduced itself, and hangs up on one that has not by then: false where it is gone before, or
    /// the server is to end.
    ///
    /// What is there is read when the time is over as well: this end may have been busy since it came.
    pub(in super::super) fn wait_for_introduction<T: Task>(
        self: &Arc<Self>,
        deadline: Deadline,
        stop: Option<&Stop>,
    ) -> Result<bool, RecvError> {
        // A call before the introduction ends the connection, so that there is none in here.
        let mut no_call: Option<T> = None;
        let mut late = 0;
        while !self.has_met() {
            if stop.is_some_and(Stop::is_asked) {
                return Ok(false);
            }
            match self.step(&mut no_call).map_err(|error| *error)? {
                Step::Task | Step::Handled | Step::Unreadable(_) if late < MOST_LATE => {
                    late += usize::from(deadline.has_passed());
                }
                Step::Nothing if !deadline.has_passed() => {
                    self.wait_for_packet(stop.map(AsFd::as_fd), deadline)?;
                }
                Step::End | Step::Shutdown => return Ok(false),
                _ => return Err(self.accuse_of_silence().into()),
            }
        }
        Ok(true)
    }
}
