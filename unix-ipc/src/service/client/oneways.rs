//! One-way calls that the server has not begun, as far as it has said: there is an end to them.
//!
//! Nobody answers a one-way call. So the client sends a mark now and then, which the server sends back when it comes to it: by then it
//! has begun all that came before.

use std::collections::VecDeque;
use std::sync::MutexGuard;

use super::super::error::CallError;
use super::state::{Core, State};
use crate::error::{LimitExceeded, ProtocolError};
use crate::frame::Kind;

/// The most one-way calls from one mark to the next. Few, against the limit that most connections have: what was begun since
/// the last answer counts as if it were not.
const MOST_BETWEEN: u64 = 4096;

/// The counts of one-way calls that this process has sent.
#[derive(Debug)]
pub(super) struct OneWays {
    limit: u64,
    sent: u64,
    /// Those that wait for room.
    sending: u64,
    /// How many the server is known to have begun.
    begun: u64,
    /// How many will have been sent when the next mark is due.
    next_mark: u64,
    /// The marks that the server has not sent back, and how many calls were sent before each.
    marks: VecDeque<(u64, u64)>,
    /// The first id of this process's: the answers to earlier ones are for the process that had the connection before.
    first_id: u64,
}

impl OneWays {
    pub(super) fn new(limit: usize) -> Self {
        let mut oneways = Self {
            limit: limit as u64,
            sent: 0,
            sending: 0,
            begun: 0,
            next_mark: 0,
            marks: VecDeque::new(),
            first_id: 1,
        };
        oneways.next_mark = oneways.between();
        oneways
    }

    /// Counts from nothing, in a process to which the client has moved.
    pub(super) fn start_at(&mut self, first_id: u64) {
        self.first_id = first_id;
    }

    fn between(&self) -> u64 {
        (self.limit / 2).clamp(1, MOST_BETWEEN)
    }

    #[inline]
    fn is_full(&self) -> bool {
        self.sent + self.sending - self.begun >= self.limit
    }

    #[inline]
    fn is_mark_due(&self) -> bool {
        self.sent >= self.next_mark
    }

    #[inline]
    fn has_sent(&mut self) {
        self.sending -= 1;
        self.sent += 1;
    }

    fn has_marked(&mut self, id: u64) {
        self.marks.push_back((id, self.sent));
        self.next_mark = self.sent + self.between();
    }

    /// The server has begun what was sent before this mark. Marks come back once each, in the order in which they were sent.
    fn is_marked(&mut self, id: u64) -> Result<(), ProtocolError> {
        match self.marks.front() {
            _ if (1..self.first_id).contains(&id) => Ok(()),
            Some(&(expected, begun)) if expected == id => {
                self.begun = begun;
                self.marks.pop_front();
                Ok(())
            }
            _ => Err(ProtocolError::Mark(id)),
        }
    }
}

impl Core {
    /// Makes a place for one more one-way call, or says that there is none.
    #[inline]
    pub(super) fn begin_oneway<'a>(
        &'a self,
        method: &'static str,
        mut state: MutexGuard<'a, State>,
    ) -> Result<MutexGuard<'a, State>, CallError> {
        if state.oneways.is_full() {
            state = self.make_room_for_oneway(method, state)?;
        }
        state.oneways.sending += 1;
        Ok(state)
    }

    /// What the server has said may not have been read yet.
    #[cold]
    fn make_room_for_oneway<'a>(
        &'a self,
        method: &'static str,
        mut state: MutexGuard<'a, State>,
    ) -> Result<MutexGuard<'a, State>, CallError> {
        self.mark(&mut state);
        drop(state);
        if let Some(reading) = self.try_read() {
            reading.read_available();
        }
        let state = self.state();
        self.check_open(method, &state)?;
        if state.oneways.is_full() {
            let source = LimitExceeded::QueuedOneWayCalls { limit: state.oneways.limit };
            return Err(CallError::Refused { method, source });
        }
        Ok(state)
    }

    /// A one-way call was sent; the state may have been locked all the while.
    #[inline]
    pub(super) fn end_oneway(&self, state: Option<MutexGuard<'_, State>>) {
        let mut state = state.unwrap_or_else(|| self.state());
        state.oneways.has_sent();
        if state.oneways.is_mark_due() {
            self.mark(&mut state);
        }
    }

    /// A one-way call was not sent.
    pub(super) fn abandon_oneway(&self) {
        self.state().oneways.sending -= 1;
    }

    /// Sends a mark if one is due, which has an id of its own among the calls'. Where there is no room, the next call does.
    #[cold]
    fn mark(&self, state: &mut State) {
        if !state.oneways.is_mark_due() || state.calls.ended().is_some() || state.moving {
            return;
        }
        let id = state.calls.next_id();
        // Where it cannot be sent, whoever reads finds out why.
        if state.outlet.send_bare(self.link.socket(), Kind::Mark, id).is_ok() {
            state.calls.start_at(id.wrapping_add(1));
            state.oneways.has_marked(id);
        }
    }

    /// The server sends a mark back.
    pub(super) fn take_mark(&self, id: u64) -> Result<(), ProtocolError> {
        self.state().oneways.is_marked(id)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn send(oneways: &mut OneWays, count: u64) {
        oneways.sending += count;
        (0..count).for_each(|_| oneways.has_sent());
    }

    #[test]
    fn what_was_begun_makes_room() {
        let mut oneways = OneWays::new(4);
        send(&mut oneways, 2);
        assert!(oneways.is_mark_due() && !oneways.is_full());
        oneways.has_marked(1);
        send(&mut oneways, 2);
        assert!(oneways.is_mark_due() && oneways.is_full());
        assert_eq!(oneways.is_marked(1), Ok(()));
        assert!(!oneways.is_full());
        oneways.sending = 2;
        assert!(oneways.is_full(), "what waits for room counts");
    }

    #[test]
    fn a_mark_that_was_not_sent_is_named() {
        let mut oneways = OneWays::new(2);
        for id in [0, 1, u64::MAX] {
            assert_eq!(oneways.is_marked(id), Err(ProtocolError::Mark(id)));
        }
        for id in [3, 7] {
            send(&mut oneways, 1);
            oneways.has_marked(id);
        }
        // Between two, out of turn, and twice.
        for id in [5, 7] {
            assert_eq!(oneways.is_marked(id), Err(ProtocolError::Mark(id)));
        }
        assert_eq!(oneways.is_marked(3), Ok(()));
        assert_eq!(oneways.is_marked(3), Err(ProtocolError::Mark(3)));
        assert_eq!((oneways.is_marked(7), oneways.begun), (Ok(()), 2));
    }

    #[test]
    fn an_answer_to_the_process_before_is_passed_over() {
        let mut oneways = OneWays::new(2);
        oneways.start_at(5);
        assert_eq!((oneways.is_marked(4), oneways.begun), (Ok(()), 0));
        assert_eq!(oneways.is_marked(5), Err(ProtocolError::Mark(5)));
        assert_eq!(oneways.is_marked(0), Err(ProtocolError::Mark(0)));
    }

    #[test]
    fn every_limit_has_marks_before_it_is_reached() {
        for limit in [0, 1, 2, 3, 65_536, usize::MAX] {
            let oneways = OneWays::new(limit);
            assert!(oneways.next_mark >= 1 && oneways.next_mark <= oneways.limit.max(1), "{limit}");
            assert_eq!(oneways.is_full(), limit == 0);
        }
    }
}
