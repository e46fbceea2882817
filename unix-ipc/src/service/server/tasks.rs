use std::io;
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

    /// Waits for a call, or for room where replies wait: then nothing is read until they are sent.
    fn wait(&self) -> io::Result<()> {
        let events = if self.session.flush()? { PollFlags::POLLIN } else { PollFlags::POLLOUT };
        self.session.link().wait(events, Deadline::NEVER).map(drop)
    }

    fn next_task(&self) -> Result<Option<T>, RecvError> {
        self.session.link().check()?;
        loop {
            self.wait()?;
            if self.session.has_queue() {
                continue;
            }
            match self.session.step()? {
                Step::Task(task) => return Ok(Some(task)),
                Step::Unreadable(error) => return Err(error),
                Step::Handled | Step::Nothing => {}
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
