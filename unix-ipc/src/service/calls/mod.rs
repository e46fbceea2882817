//! The calls in flight: ids, who waits for what, limits.
//!
//! No I/O, no threads and no clock, so that the blocking front and others can share it and tests can drive
//! it. `W` wakes whoever waits for a call, `S` is a socket through which a reply may come instead.

#[cfg(test)]
mod model;
#[cfg(test)]
mod tests;
mod turns;

pub(crate) use self::turns::Step;
use super::ended::Ended;
use super::slots::Slots;
use crate::codec::Failure;
use crate::error::{LimitExceeded, ProtocolError};
use crate::raw_channel::Message;

/// What came of a call.
#[derive(Debug)]
pub(crate) enum Outcome {
    Reply(Message),
    Failed(Failure),
    /// The reply came, and could not be received.
    Broken(CallFault),
    /// The connection ended before the reply came.
    Ended(Ended),
}

/// Why one reply could not be received.
#[derive(Debug)]
pub(crate) enum CallFault {
    Refused(LimitExceeded),
    Protocol(ProtocolError),
}

impl Outcome {
    /// The same, for when nobody takes it at once.
    fn kept(self) -> Self {
        match self {
            Self::Reply(mut message) => {
                message.body.keep();
                Self::Reply(message)
            }
            other => other,
        }
    }
}

#[derive(Debug)]
pub(crate) struct Calls<W, S> {
    slots: Slots<Slot<W, S>>,
    /// How many have somebody who waits.
    waiting: usize,
    most: usize,
    unread_bytes: u64,
    most_unread_bytes: u64,
    ended: Option<Ended>,
    /// Whether any call ever had a socket.
    has_forwarded: bool,
    /// Whether a thread reads.
    reading: bool,
}

#[derive(Debug)]
struct Slot<W, S> {
    outcome: Option<Outcome>,
    waiting: Option<W>,
    /// Whether the reply can still come over the connection.
    on_connection: bool,
    /// Where else it can come from: the server sent the reply sender on.
    sockets: Vec<S>,
}

impl<W, S> Slot<W, S> {
    fn unread_bytes(&self) -> u64 {
        match &self.outcome {
            Some(Outcome::Reply(message)) => message.body.len() as u64,
            _ => 0,
        }
    }
}

impl<W, S: Clone + PartialEq> Calls<W, S> {
    pub(crate) fn new(most: usize, most_unread_bytes: usize) -> Self {
        Self {
            slots: Slots::new(),
            waiting: 0,
            most,
            unread_bytes: 0,
            most_unread_bytes: most_unread_bytes as u64,
            ended: None,
            has_forwarded: false,
            reading: false,
        }
    }

    /// The id that the next call will have.
    pub(crate) fn next_id(&self) -> u64 {
        self.slots.next_id()
    }

    /// Goes on where another process left off.
    pub(crate) fn start_at(&mut self, next: u64) {
        self.slots.start_at(next);
    }

    pub(crate) fn is_idle(&self) -> bool {
        self.slots.len() == 0
    }

    /// Makes a place for a new call.
    #[inline]
    pub(crate) fn begin(&mut self) -> Result<u64, LimitExceeded> {
        if self.slots.len() >= self.most {
            return Err(LimitExceeded::CallsInFlight { limit: self.most as u64 });
        }
        if self.unread_bytes > self.most_unread_bytes {
            return Err(LimitExceeded::UnreadReplies { limit: self.most_unread_bytes });
        }
        Ok(self.slots.insert(Slot { outcome: None, waiting: None, on_connection: true, sockets: Vec::new() }))
    }

    /// Whether `take` has something for this call.
    #[inline]
    pub(crate) fn is_ready(&self, id: u64) -> bool {
        self.slots.get(id).is_none_or(|slot| slot.outcome.is_some() || self.has_no_holder(slot))
    }

    /// Takes what came of a call, which frees its place.
    #[inline]
    pub(crate) fn take(&mut self, id: u64) -> Option<Outcome> {
        if !self.is_ready(id) {
            return None;
        }
        let slot = self.remove(id)?;
        Some(slot.outcome.unwrap_or_else(|| match &self.ended {
            Some(ended) if slot.on_connection || self.peer_has_lied() => Outcome::Ended(ended.clone()),
            _ => Outcome::Failed(Failure::Dropped),
        }))
    }

    /// Frees the place of a call that nobody waits for any more: its late reply answers nobody.
    #[inline]
    pub(crate) fn abandon(&mut self, id: u64) {
        self.uncount(id);
        self.slots.drop(id);
    }

    /// The same for a call that was sent: whether the server may still be at it.
    pub(crate) fn give_up(&mut self, id: u64) -> bool {
        let is_open = |slot: &Slot<W, S>| slot.outcome.is_none() && slot.on_connection;
        let was_open = self.ended.is_none() && self.slots.get(id).is_some_and(is_open);
        self.abandon(id);
        was_open
    }

    fn remove(&mut self, id: u64) -> Option<Slot<W, S>> {
        self.uncount(id);
        self.slots.remove(id)
    }

    /// A call's place is about to be free.
    #[inline]
    fn uncount(&mut self, id: u64) {
        if let Some(slot) = self.slots.get(id) {
            self.unread_bytes -= slot.unread_bytes();
            self.waiting -= usize::from(slot.waiting.is_some());
        }
    }

    /// Stores what came of a call, unless something came before or nobody wants it any more, and returns
    /// who is to be woken. An id that was never given out is nonsense.
    pub(crate) fn settle(&mut self, id: u64, outcome: Outcome) -> Result<Option<&W>, ProtocolError> {
        self.check(id)?;
        let Some(slot) = self.slots.get_mut(id).filter(|slot| slot.outcome.is_none()) else {
            return Ok(None);
        };
        slot.outcome = Some(outcome.kept());
        self.unread_bytes += slot.unread_bytes();
        Ok(slot.waiting.as_ref())
    }

    /// The connection will not bring the reply; a socket still may.
    pub(crate) fn drop_connection(&mut self, id: u64) -> Result<Option<&W>, ProtocolError> {
        self.check(id)?;
        if let Some(slot) = self.slots.get_mut(id) {
            slot.on_connection = false;
        }
        Ok(self.woken(id))
    }

    /// The reply may come through this socket, too. One for a call that is over is closed by dropping it.
    pub(crate) fn add_socket(&mut self, id: u64, socket: S, most: usize) -> Result<(), ProtocolError> {
        self.check(id)?;
        match self.slots.get_mut(id) {
            Some(slot) if slot.sockets.len() >= most => Err(ProtocolError::Call(id)),
            Some(slot) => {
                slot.sockets.push(socket);
                self.has_forwarded = true;
                Ok(())
            }
            None => Ok(()),
        }
    }

    /// This socket will not bring the reply.
    pub(crate) fn drop_socket(&mut self, id: u64, socket: &S) -> Option<&W> {
        if let Some(slot) = self.slots.get_mut(id) {
            slot.sockets.retain(|other| other != socket);
        }
        self.woken(id)
    }

    /// Whether a reply may come through a socket.
    pub(crate) fn has_sockets(&self) -> bool {
        self.has_forwarded
    }

    /// All sockets through which a reply may come, with the call it is for.
    pub(crate) fn sockets(&self) -> Vec<(u64, S)> {
        if !self.has_forwarded {
            return Vec::new();
        }
        let open = self.slots.iter().filter(|(_, slot)| slot.outcome.is_none());
        open.flat_map(|(id, slot)| slot.sockets.iter().map(move |socket| (id, socket.clone()))).collect()
    }

    /// Why the connection is over, once it is.
    pub(crate) fn ended(&self) -> Option<&Ended> {
        self.ended.as_ref()
    }

    /// The connection is over: the first reason counts. Returns all who are to be woken.
    pub(crate) fn end(&mut self, ended: Ended) -> impl Iterator<Item = &W> {
        self.ended.get_or_insert(ended);
        self.slots.iter().filter_map(|(_, slot)| slot.waiting.as_ref())
    }

    fn check(&self, id: u64) -> Result<(), ProtocolError> {
        if id == 0 || id >= self.next_id() { Err(ProtocolError::Call(id)) } else { Ok(()) }
    }

    fn has_no_holder(&self, slot: &Slot<W, S>) -> bool {
        let on_connection = slot.on_connection && self.ended.is_none();
        self.peer_has_lied() || (!on_connection && slot.sockets.is_empty())
    }

    /// Then its sockets are not waited for either: nothing says that anybody is behind them.
    fn peer_has_lied(&self) -> bool {
        matches!(self.ended, Some(Ended::Protocol(_)))
    }

    fn woken(&self, id: u64) -> Option<&W> {
        if self.is_ready(id) { self.slots.get(id)?.waiting.as_ref() } else { None }
    }
}
