//! What a server does between its client's introduction and its own.

use std::io;
use std::sync::Arc;
use std::sync::atomic::Ordering;

use nix::poll::PollFlags;

use super::super::super::error::ServeError;
use super::super::super::task::Task;
use super::{Session, Step};
use crate::deadline::Deadline;

impl Session {
    /// Waits for an introduction that fits, prepares, and introduces this end: false where the client is gone before.
    ///
    /// Whoever waits for our introduction waits for `prepare`. This thread alone may read meanwhile.
    pub(in super::super) fn prepare<T: Task>(
        self: &Arc<Self>,
        prepare: impl FnOnce() -> io::Result<()>,
    ) -> Result<bool, ServeError> {
        self.link.check()?;
        let is_known = self.client.get().is_some();
        self.is_preparing.store(true, Ordering::Relaxed);
        // A call before the introduction ends the connection, so that there is none in here.
        let mut no_call: Option<T> = None;
        while self.client.get().is_none() {
            match self.step_waiting(&mut no_call).map_err(|error| *error)? {
                Step::Task | Step::Handled | Step::Unreadable(_) => {}
                Step::Shutdown => return Ok(false),
                Step::Nothing => self.link.wait(PollFlags::POLLIN, Deadline::NEVER).map(drop)?,
                Step::End => return Ok(false),
            }
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
}
