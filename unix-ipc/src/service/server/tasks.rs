use std::marker::PhantomData;
use std::sync::Arc;

use nix::poll::PollFlags;

use super::super::task::Task;
use super::session::{Session, Step};
use crate::deadline::Deadline;
use crate::error::RecvError;

/// The calls of one connection, one after another.
#[derive(Debug)]
pub(crate) struct Tasks<T> {
    session: Arc<Session>,
    tasks: PhantomData<fn() -> T>,
}

impl<T: Task> Tasks<T> {
    pub(crate) fn new(session: Arc<Session>) -> Self {
        Self { session, tasks: PhantomData }
    }

    /// Waits for a call. Where replies wait for room, nothing is read until they are sent.
    fn next_task(&self) -> Result<Option<T>, RecvError> {
        let link = self.session.link();
        link.check()?;
        loop {
            while !self.session.flush()? {
                link.wait(PollFlags::POLLOUT, Deadline::NEVER)?;
            }
            match self.session.step_waiting()? {
                Step::Task(task) => return Ok(Some(task)),
                Step::Unreadable(error) => return Err(error),
                Step::Handled => {}
                // Somebody made the open file non-blocking.
                Step::Nothing => drop(link.wait(PollFlags::POLLIN, Deadline::NEVER)?),
                Step::End => return Ok(None),
            }
        }
    }
}

impl<T: Task> Iterator for Tasks<T> {
    type Item = Result<T, RecvError>;

    fn next(&mut self) -> Option<Self::Item> {
        if self.session.has_ended() {
            return None;
        }
        self.session.flush_by_this_thread();
        self.next_task().transpose()
    }
}

impl<T> Drop for Tasks<T> {
    fn drop(&mut self) {
        self.session.flush_by_nobody();
    }
}
