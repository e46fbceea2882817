//! Waiting for a reply, by reading or until the thread that reads has it.

use std::os::fd::AsFd;
use std::thread;

use nix::poll::{PollFd, PollFlags};

use super::super::calls::Outcome;
use super::super::child::Child;
use super::super::ended::Ended;
use super::reading::Reading;
use super::state::{Core, State};
use crate::deadline::Deadline;
use crate::sys::wait::wait;

/// Why the two ends did not meet.
#[derive(Debug)]
pub(super) enum MeetFailure {
    TimedOut,
    Ended(Ended),
}

/// A thread's place among those that wait for a call: whoever leaves it, in whichever way, wakes another to take
/// over the reading if nobody reads.
struct Place<'a> {
    core: &'a Core,
    id: u64,
}

impl Drop for Place<'_> {
    fn drop(&mut self) {
        let mut state = self.core.state();
        state.calls.stop_waiting(self.id);
        state.hand_on();
    }
}

impl Core {
    /// Waits for what comes of a call: `None` where the time was over first, and then the call's place is free.
    pub(super) fn wait(&self, id: u64, deadline: Deadline) -> Option<Outcome> {
        let _place = Place { core: self, id };
        loop {
            let mut state = self.state();
            if let Some(outcome) = state.calls.take(id) {
                return Some(outcome);
            }
            if deadline.has_passed() {
                state.calls.abandon(id);
                return None;
            }
            if state.reading {
                state.calls.wait(id, thread::current());
                drop(state);
                park(deadline);
                continue;
            }
            state.calls.stop_waiting(id);
            drop(state);
            if let Some(reading) = self.try_read() {
                reading.read_until(deadline, |state| state.calls.is_ready(id));
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
                reading.read_until(deadline, has_met);
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

impl Reading<'_> {
    /// Reads until there is what this thread waits for, or the time is over.
    fn read_until(&self, deadline: Deadline, is_done: impl Fn(&State) -> bool) {
        while !is_done(&self.core().state()) && !deadline.has_passed() {
            // A reply is rarely there at once, so looking comes after waiting.
            match self.sleep(deadline) {
                Ok(Woken::ByChild) => self.look_at_child(),
                // A peer that sends without end does not prolong the wait.
                Ok(Woken::ByPackets) => {
                    while self.read_one() && !is_done(&self.core().state()) && !deadline.has_passed() {}
                }
                Err(error) => self.end(Ended::Io(error.into())),
            }
            self.read_sockets();
        }
    }

    /// Sleeps until there may be something to read, or the time is over.
    fn sleep(&self, deadline: Deadline) -> std::io::Result<Woken> {
        let core = self.core();
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

/// What ended a sleep; a child's end comes with its last packets.
enum Woken {
    ByPackets,
    ByChild,
}
