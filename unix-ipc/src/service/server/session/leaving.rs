//! The end of serving: no more calls are begun, and the client is told.

use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use nix::poll::PollFlags;

use super::super::super::task::Task;
use super::{Session, Step};
use crate::codec::Encoder;
use crate::deadline::Deadline;
use crate::frame::Kind;

/// How long one client's room is waited for before the next is looked at.
const PAUSE: Duration = Duration::from_millis(1);

/// So many messages are read at most for the sake of those that are to be refused.
const MOST: usize = 4096;

/// What a server says when it ends: that it begins no more calls, and at last that it has answered all that it has begun.
const NO_MORE: u64 = 0;
const ALL_ANSWERED: u64 = 1;

impl Session {
    /// Begins no more calls, and says so.
    pub(in super::super) fn refuse_calls(&self) {
        if !self.refuses.swap(true, Ordering::Relaxed) {
            self.say(NO_MORE);
        }
    }

    #[inline]
    pub(in super::super) fn refuses(&self) -> bool {
        self.refuses.load(Ordering::Relaxed)
    }

    /// Says, when no call runs any more, that all that was begun is answered, after refusing what has come by now.
    pub(in super::super) fn say_last<T: Task>(self: &Arc<Self>) {
        self.refuse_calls();
        let mut no_call: Option<T> = None;
        for _ in 0..MOST {
            if !matches!(self.step(&mut no_call), Ok(Step::Handled | Step::Unreadable(_))) {
                break;
            }
        }
        if !self.has_ended() {
            self.say(ALL_ANSWERED);
        }
    }

    fn say(&self, what: u64) {
        // Where it cannot be said, the client is gone.
        let _ = self.put(Kind::Shutdown, what, &mut Encoder::new(), Vec::new());
    }

    /// Sends what waits as far as there is room, or waits for some room, for a moment: whether nothing waits any more.
    fn is_flushed(&self) -> bool {
        if self.flush().unwrap_or(true) {
            return true;
        }
        // A ring's room is told by a bell.
        let room = PollFlags::POLLIN | PollFlags::POLLOUT;
        let _ = self.link.wait(room, Deadline::after(PAUSE));
        self.link.is_hung_up()
    }
}

/// Sends what waits for these clients, until then at the latest, and hangs up on them.
pub(in super::super) fn hang_up_on<'a>(sessions: impl Iterator<Item = &'a Arc<Session>>, deadline: Deadline) {
    let sessions: Vec<_> = sessions.collect();
    let mut waiting = sessions.clone();
    while !waiting.is_empty() && !deadline.has_passed() {
        waiting.retain(|session| !session.is_flushed());
    }
    sessions.iter().for_each(|session| session.hang_up());
}
