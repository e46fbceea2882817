use std::io;
use std::iter;
use std::marker::PhantomData;
use std::os::fd::AsFd;
use std::sync::Arc;

use super::super::task::Task;
use super::session::{Session, Step, hang_up_on};
use super::stop::Stop;
use crate::deadline::Deadline;
use crate::error::RecvError;

/// The calls of one connection, one after another.
#[derive(Debug)]
pub(crate) struct Tasks<T> {
    session: Arc<Session>,
    tasks: PhantomData<fn() -> T>,
}

impl<T> Tasks<T> {
    /// Sends what waits for room; until it is sent nothing is read.
    #[inline]
    fn flush(&self) -> io::Result<()> {
        self.session.link().check()?;
        if self.session.has_queue() { self.session.flush_waiting() } else { Ok(()) }
    }

    /// The same, but for a server that is told to end meanwhile.
    fn flush_or_hear(&self, stop: &Stop) -> io::Result<()> {
        self.session.link().check()?;
        if self.session.has_queue() { self.session.flush_or_hear(Some(stop.as_fd())) } else { Ok(()) }
    }
}

impl<T: Task> Tasks<T> {
    pub(crate) fn new(session: Arc<Session>) -> Self {
        Self { session, tasks: PhantomData }
    }

    pub(super) fn session(&self) -> &Arc<Session> {
        &self.session
    }

    /// The next call as [`wait`](Self::wait), for a server that may be told to end: false then as well, and all that is left is to
    /// [`leave`](Self::leave).
    pub(super) fn wait_or_stop(&self, task: &mut Option<T>, stop: &Stop) -> Result<bool, RecvError> {
        if self.session.has_ended() {
            return Ok(false);
        }
        self.session.flush_by_this_thread();
        if let Some(deadline) = self.session.introduction_deadline()
            && !self
                .session
                .wait_for_introduction::<T>(deadline, Some(stop))
                .inspect_err(|_| self.session.end())?
        {
            return Ok(false);
        }
        while !stop.is_asked() {
            self.flush_or_hear(stop).inspect_err(|_| self.session.end())?;
            if stop.is_asked() {
                break;
            }
            self.session.hear_hang_up();
            match self.session.step_looking(task).map_err(|error| *error)? {
                Step::Task => return Ok(true),
                Step::Unreadable(error) => return Err(*error),
                Step::Handled => {}
                Step::Nothing => self
                    .session
                    .wait_for_packet(Some(stop.as_fd()), Deadline::NEVER)
                    .inspect_err(|_| self.session.end())?,
                Step::Shutdown => self.session.refuse_calls(),
                Step::End => return Ok(false),
            }
            if self.session.refuses() {
                return Ok(false);
            }
        }
        Ok(false)
    }

    /// Ends in order, if the client has not ended before: says that all is answered, sends it, and hangs up.
    pub(super) fn leave(&self, deadline: Deadline) {
        if !self.session.has_ended() {
            self.session.say_last::<T>();
            hang_up_on(iter::once(&self.session), deadline);
        }
    }

    /// Waits for a call, for which there is a place, and which stays there: false where there is none any more.
    ///
    /// What a call is made of is moved as seldom as can be, for the reason that [a message](crate::raw_channel::Message) has.
    #[inline]
    pub(super) fn wait(&self, task: &mut Option<T>) -> Result<bool, RecvError> {
        if self.session.has_ended() {
            return Ok(false);
        }
        self.session.flush_by_this_thread();
        if let Some(deadline) = self.session.introduction_deadline()
            && !self.session.wait_for_introduction::<T>(deadline, None).inspect_err(|_| self.session.end())?
        {
            return Ok(false);
        }
        loop {
            // An error is the end: every later wait would fail as well.
            self.flush().inspect_err(|_| self.session.end())?;
            self.session.hear_hang_up();
            match self.session.step_waiting(task).map_err(|error| *error)? {
                Step::Task => return Ok(true),
                Step::Unreadable(error) => return Err(*error),
                Step::Handled => {}
                // Somebody made the open file non-blocking.
                Step::Nothing => {
                    self.session
                        .wait_for_packet(None, Deadline::NEVER)
                        .inspect_err(|_| self.session.end())?;
                }
                Step::Shutdown => {
                    self.session.refuse_calls();
                    return Ok(false);
                }
                Step::End => return Ok(false),
            }
        }
    }
}

impl<T: Task> Iterator for Tasks<T> {
    type Item = Result<T, RecvError>;

    fn next(&mut self) -> Option<Self::Item> {
        let mut task = None;
        self.wait(&mut task).map(|_| task).transpose()
    }
}

/// Nobody comes back to send what waits, and who sent it was told that it is on its way.
impl<T> Drop for Tasks<T> {
    fn drop(&mut self) {
        if !self.session.link().is_here() {
            return;
        }
        self.session.flush_by_nobody();
        // Where it cannot be sent, the client is gone.
        let _ = self.flush();
    }
}
