//! Calls that nobody waits for any more: the server is told, so that it does not do what is of no use.

use std::collections::VecDeque;
use std::io;

use super::state::{Core, State};

/// Calls that were given up while there was no room to say so.
#[derive(Debug, Default)]
pub(super) struct Unsaid(VecDeque<u64>);

impl Core {
    /// Frees the place of a call that nobody waits for any more, and tells the server.
    ///
    /// Never waits: where there is no room, it is said ahead of the next message or when somebody reads.
    pub(super) fn give_up(&self, id: u64) {
        let mut state = self.state();
        if state.calls.give_up(id) {
            self.say_given_up(&mut state, id);
        }
    }

    /// Tells the server that nobody waits for a call, whose place is free.
    pub(super) fn say_given_up(&self, state: &mut State, id: u64) {
        state.unsaid.0.push_back(id);
        self.say_unsaid(state);
    }

    /// Says what there was no room for, as far as there is some now.
    #[inline]
    pub(super) fn say_unsaid(&self, state: &mut State) {
        if !state.unsaid.0.is_empty() {
            self.say_all_unsaid(state);
        }
    }

    #[cold]
    fn say_all_unsaid(&self, state: &mut State) {
        // What is over needs no word.
        if state.calls.ended().is_some() || state.moving {
            return state.unsaid.0.clear();
        }
        while let Some(id) = state.unsaid.0.front().copied() {
            match state.outlet.send_cancel(self.link.socket(), id) {
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => return,
                // Where it cannot be said, whoever reads finds out why.
                Ok(()) | Err(_) => drop(state.unsaid.0.pop_front()),
            }
        }
    }
}
