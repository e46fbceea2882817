//! Reading before its turn, beside a thread that may be reading as well.

use std::sync::atomic::Ordering;

use super::Link;
use crate::raw_channel::{Broken, Incoming, Message};
use crate::sync::try_lock;
use crate::sys::receive::Wait;

impl Link {
    /// Reads what is there before its turn, in the ring alone if there is one and `ring` says so; `None` where another thread
    /// reads, or what is next carries more than so many descriptors. What `keep` keeps is not returned. From then on, and behind an
    /// error or the end, nobody waits before that is taken.
    pub(crate) fn read_ahead(
        &self,
        ring: bool,
        descriptors: usize,
        keep: impl FnOnce(Message) -> Option<Message>,
    ) -> Option<Result<Incoming, Broken>> {
        let mut inbox = try_lock(&self.inbox)?;
        if inbox.next_descriptors(&self.socket) > descriptors {
            return None;
        }
        let received = if ring && inbox.inlet().is_some() {
            inbox.receive_at_hand(&self.socket)
        } else {
            inbox.receive(&self.socket, Wait::No)
        };
        let returned = match received {
            Ok(Incoming::Message(message)) => keep(message).map(|message| Ok(Incoming::Message(message))),
            other => Some(other),
        };
        if matches!(returned, None | Some(Ok(Incoming::End) | Err(_))) {
            self.set_ahead(true);
        }
        Some(returned.unwrap_or(Ok(Incoming::Piece)))
    }

    /// Whether there are messages that were read before their turn.
    #[inline]
    pub(crate) fn has_ahead(&self) -> bool {
        self.has_ahead.load(Ordering::SeqCst)
    }

    /// Says whether there are.
    pub(crate) fn set_ahead(&self, has_some: bool) {
        self.has_ahead.store(has_some, Ordering::SeqCst);
    }

    /// Whether this end receives through a ring; `None` where another thread reads.
    pub(crate) fn try_has_ring(&self) -> Option<bool> {
        try_lock(&self.inbox).map(|mut inbox| inbox.inlet().is_some())
    }

    /// Whether there may be cancellations that were not read.
    pub(crate) fn may_hold_cancels(&self) -> bool {
        try_lock(&self.inbox).is_some_and(|inbox| inbox.may_hold_cancels())
    }

    /// As [`fall_asleep`](Self::fall_asleep); `None` where another thread reads.
    pub(crate) fn try_fall_asleep(&self) -> Option<bool> {
        let mut inbox = try_lock(&self.inbox)?;
        Some(inbox.inlet().is_none_or(|inlet| inlet.fall_asleep(&self.socket)))
    }
}
