//! What a server does between its client's introduction and its own.

use std::io;
use std::os::fd::AsFd;
use std::sync::Arc;
use std::sync::atomic::Ordering;

use super::super::super::error::ServeError;
use super::super::super::task::Task;
use super::super::stop::Stop;
use super::{Session, Step};

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
        let is_known = self.client.get().is_some();
        self.is_preparing.store(true, Ordering::Relaxed);
        // A call before the introduction ends the connection, so that there is none in here.
        let mut no_call: Option<T> = None;
        while self.client.get().is_none() {
            if stop.is_some_and(Stop::is_asked) {
                return Ok(false);
            }
            match self.step(&mut no_call).map_err(|error| *error)? {
                Step::Task | Step::Handled | Step::Unreadable(_) => {}
                Step::Shutdown => return Ok(false),
                Step::Nothing => self.wait_for_packet(stop.map(AsFd::as_fd))?,
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
