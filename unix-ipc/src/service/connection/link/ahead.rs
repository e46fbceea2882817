//! Reading before its turn, beside a thread that may be reading as well.

use std::sync::atomic::Ordering;

use super::Link;
use crate::frame::Kind;
use crate::raw_channel::{Broken, Incoming, Message};
use crate::sync::try_lock;
use crate::sys::receive::Wait;

/// There are messages that were read before their turn, which come first.
const AHEAD: u8 = 1;
/// A message was read that says where the next ones come from, and nobody has done what it says.
const TURNS: u8 = 2;

/// What a look before its turn found.
#[derive(Debug)]
pub(crate) enum Glance {
    /// A message, which was kept.
    Kept,
    /// What is none to keep.
    Read(Result<Incoming, Broken>),
    /// What is next carries more descriptors than may be kept.
    TooMany,
    /// Another thread reads.
    Taken,
}

impl Link {
    /// Reads what is there before its turn, in the ring alone if there is one and `ring` says so, if it carries no more than so
    /// many descriptors. What `keep` keeps is not returned. From then on, and behind an error or the end, nobody reads before that is
    /// taken.
    pub(crate) fn read_ahead(
        &self,
        ring: bool,
        descriptors: usize,
        keep: impl FnOnce(Message) -> Option<Message>,
    ) -> Glance {
        let Some(mut inbox) = try_lock(&self.inbox) else { return Glance::Taken };
        if self.is_turning() {
            return Glance::Taken;
        }
        match inbox.next_descriptors(&self.socket) {
            None => return Glance::Read(Ok(Incoming::Nothing)),
            Some(next) if next > descriptors => return Glance::TooMany,
            Some(_) => {}
        }
        let received = if ring && inbox.inlet().is_some() {
            inbox.receive_at_hand(&self.socket)
        } else {
            inbox.receive(&self.socket, Wait::No)
        };
        let returned = match self.turns(received) {
            Ok(Incoming::Message(message)) => keep(message).map(|message| Ok(Incoming::Message(message))),
            other => Some(other),
        };
        if matches!(returned, None | Some(Ok(Incoming::End) | Err(_))) {
            self.set_ahead(true);
        }
        returned.map_or(Glance::Kept, Glance::Read)
    }

    /// Whether there is nothing more to read now, as far as this thread can say.
    pub(crate) fn has_nothing_behind(&self) -> bool {
        try_lock(&self.inbox).is_some_and(|inbox| inbox.next_descriptors(&self.socket).is_none())
    }

    /// Whether there are messages that were read before their turn.
    #[inline]
    pub(crate) fn has_ahead(&self) -> bool {
        self.held_up.load(Ordering::SeqCst) & AHEAD != 0
    }

    /// Says whether there are: under the inbox's lock where they are read, and under that of what was read where they are taken.
    pub(crate) fn set_ahead(&self, has_some: bool) {
        if has_some {
            self.held_up.fetch_or(AHEAD, Ordering::SeqCst);
        } else {
            self.held_up.fetch_and(!AHEAD, Ordering::SeqCst);
        }
    }

    /// Whether nobody is to read more now, for whoever has the inbox locked.
    #[inline]
    pub(super) fn is_held_up(&self) -> bool {
        self.held_up.load(Ordering::SeqCst) != 0
    }

    fn is_turning(&self) -> bool {
        self.held_up.load(Ordering::SeqCst) & TURNS != 0
    }

    /// Lets nobody read behind a message that says where the next ones come from, until that is done. While the inbox is locked.
    #[inline]
    pub(super) fn turns(&self, received: Result<Incoming, Broken>) -> Result<Incoming, Broken> {
        if let Ok(Incoming::Message(message)) = &received
            && matches!(message.kind, Kind::Switch | Kind::Reset)
        {
            self.held_up.fetch_or(TURNS, Ordering::SeqCst);
        }
        received
    }

    /// What the message said is done.
    pub(super) fn has_turned(&self) {
        self.held_up.fetch_and(!TURNS, Ordering::SeqCst);
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
