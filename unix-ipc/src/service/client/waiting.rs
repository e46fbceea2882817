//! Waiting for a reply, by reading or until the thread that reads has it.

use std::os::fd::AsFd;
use std::thread::{self, Thread};

use nix::poll::{PollFd, PollFlags};

use super::super::calls::{Outcome, Step};
use super::super::child::Child;
use super::super::ended::Ended;
use super::reading::{Read, Reading};
use super::state::{BRIEF_WAIT, Core, State};
use crate::deadline::Deadline;
use crate::raw_channel::Message;
use crate::sys::receive::Wait;
use crate::sys::wait::wait;

/// Why the two ends did not meet.
#[derive(Debug)]
pub(super) enum MeetFailure {
    TimedOut,
    Ended(Ended),
}

/// A thread's place among those that wait for a call while another reads: whoever leaves it, in whichever way, wakes
/// another to take over the reading if nobody reads.
struct Place<'a> {
    core: &'a Core,
    id: u64,
}

impl Drop for Place<'_> {
    fn drop(&mut self) {
        self.core.state().calls.leave(self.id).map(Thread::unpark);
    }
}

impl Core {
    /// The right to read for a thread that waits for this call, if nobody has it.
    #[inline]
    pub(super) fn start_reading_for(&self, state: &mut State, id: u64) -> Option<Reader<'_>> {
        let reading = self.start_reading(state)?;
        Some(Reader::new(reading, state, id))
    }

    /// Waits for what comes of a call: `None` where the time was over first, and then the call's place is free. The
    /// thread may have the right to read already.
    #[inline]
    pub(super) fn wait(&self, id: u64, reader: Option<Reader<'_>>, deadline: Deadline) -> Option<Outcome> {
        let read = |Reader { reading, look }: Reader<'_>| {
            let message = reading.read_until(Some(id), deadline, look, |state| state.calls.is_ready(id))?;
            reading.finish(id);
            Some(Outcome::Reply(message))
        };
        if let Some(reply) = reader.and_then(read) {
            return Some(reply);
        }
        let mut place = None;
        loop {
            let mut state = self.state();
            match state.calls.next_step(id, deadline.has_passed(), thread::current) {
                Step::Done(outcome) => return Some(outcome),
                Step::TimedOut => {
                    self.say_given_up(&mut state, id);
                    return None;
                }
                Step::Park => {
                    drop(state);
                    place.get_or_insert_with(|| Place { core: self, id });
                    park(deadline);
                }
                Step::Read => {
                    let reader = Reader::new(self.reading(), &state, id);
                    drop(state);
                    if let Some(reply) = read(reader) {
                        return Some(reply);
                    }
                }
            }
        }
    }

    /// Whether a call has come to something, after reading what is there.
    pub(super) fn is_ready(&self, id: u64) -> bool {
        if self.state().calls.is_ready(id) {
            return true;
        }
        if let Some(reading) = self.try_read() {
            reading.read_available();
        }
        self.state().calls.is_ready(id)
    }

    /// Waits until the server has introduced itself, and it is the expected one.
    pub(super) fn wait_for_peer(&self, deadline: Deadline) -> Result<(), MeetFailure> {
        let has_met = |state: &State| state.peer.is_some() || state.calls.ended().is_some();
        loop {
            {
                let state = self.state();
                if let Some(ended) = state.calls.ended() {
                    return Err(MeetFailure::Ended(ended.clone()));
                }
                if state.peer.is_some() {
                    return Ok(());
                }
            }
            if deadline.has_passed() {
                return Err(MeetFailure::TimedOut);
            }
            // Nobody else has this client yet, so nobody else reads.
            if let Some(reading) = self.try_read() {
                let look = self.state().look(has_met);
                reading.read_until(None, deadline, look, has_met);
            }
        }
    }
}

fn park(deadline: Deadline) {
    match deadline.left() {
        None => thread::park(),
        Some(left) => thread::park_timeout(left),
    }
}

/// The right to read, and what there is to know before.
#[derive(Debug)]
pub(super) struct Reader<'a> {
    reading: Reading<'a>,
    look: Look,
}

impl<'a> Reader<'a> {
    #[inline]
    fn new(reading: Reading<'a>, state: &State, id: u64) -> Self {
        Self { reading, look: state.look(|state| state.calls.is_ready(id)) }
    }
}

/// What a thread that reads has to know of the state, each time before it waits.
#[derive(Clone, Copy, Debug)]
struct Look {
    /// Whether there is what the thread waits for.
    is_done: bool,
    has_ended: bool,
    /// Whether a reply may come through a socket of its own.
    has_sockets: bool,
}

impl State {
    #[inline]
    fn look(&self, is_done: impl Fn(&Self) -> bool) -> Look {
        Look {
            is_done: is_done(self),
            has_ended: self.calls.ended().is_some(),
            has_sockets: self.calls.has_sockets(),
        }
    }
}

impl Reading<'_> {
    /// Reads until there is what this thread waits for, or the time is over. The reply of the thread's own call is
    /// returned at once, and nobody else hears of it.
    #[inline]
    fn read_until(
        &self,
        own: Option<u64>,
        deadline: Deadline,
        mut look: Look,
        is_done: impl Fn(&State) -> bool,
    ) -> Option<Message> {
        // Once a receive has waited in vain, it is time to wait for everything there is.
        let mut briefly = self.core().waits_briefly;
        while !look.is_done && !deadline.has_passed() {
            // A reply is rarely there at once, so looking comes after waiting.
            let mut wait =
                if briefly && !look.has_ended && !look.has_sockets && deadline.is_beyond(BRIEF_WAIT) {
                    Wait::Briefly
                } else {
                    self.sleep(deadline);
                    look = self.core().state().look(&is_done);
                    Wait::No
                };
            briefly = false;
            // A peer that sends without end does not prolong the wait.
            while !look.is_done && !look.has_ended {
                match self.read_one(own, wait) {
                    Read::Own(message) => return Some(message),
                    Read::Nothing => break,
                    Read::Other => {}
                }
                briefly = self.core().waits_briefly;
                wait = Wait::No;
                look = self.core().state().look(&is_done);
                if deadline.has_passed() {
                    break;
                }
            }
            if look.has_sockets {
                self.read_sockets();
                look = self.core().state().look(&is_done);
            }
        }
        None
    }

    /// Waits for what comes next, and reads what is there.
    pub(super) fn read_news(&self, deadline: Deadline) {
        self.sleep(deadline);
        self.read_available();
    }

    /// Sleeps until there may be something to read, or the time is over. A child's end comes with its last packets.
    fn sleep(&self, deadline: Deadline) {
        match self.sleep_for_news(deadline) {
            Ok(Woken::ByChild) => self.look_at_child(),
            Ok(Woken::ByPackets) => {}
            Err(error) => self.end(Ended::Io(error.into())),
        }
    }

    fn sleep_for_news(&self, deadline: Deadline) -> std::io::Result<Woken> {
        let core = self.core();
        if !core.link.fall_asleep() {
            return Ok(Woken::ByPackets);
        }
        let (sockets, has_ended) = {
            let state = core.state();
            (state.calls.sockets(), state.calls.ended().is_some())
        };
        let input = |descriptor| PollFd::new(descriptor, PollFlags::POLLIN);
        let mut waited = Vec::with_capacity(2 + sockets.len());
        if !has_ended {
            waited.push(input(core.link.socket().as_fd()));
            waited.extend(core.link.peer_child().and_then(Child::pidfd).map(input));
        }
        let watched = waited.len();
        waited.extend(sockets.iter().map(|(_, socket)| input(socket.receiver().as_fd())));
        wait(&mut waited, deadline)?;
        let has_child_ended = watched == 2 && waited.get(1).is_some_and(|child| child.any().unwrap_or(true));
        Ok(if has_child_ended { Woken::ByChild } else { Woken::ByPackets })
    }
}

/// What ended a sleep.
enum Woken {
    ByPackets,
    ByChild,
}
