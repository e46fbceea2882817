//! What was read before its turn: behind a call there may be a message that takes it back, and then it is not run.

use std::collections::{BTreeSet, VecDeque};

use super::super::super::connection::Glance;
use super::Session;
use crate::frame::Kind;
use crate::raw_channel::{Broken, Incoming, Message};
use crate::sync::{lock, try_lock};

/// How much is read ahead at most: as many calls as a client has in flight by default, and no more than so many bytes beside
/// one message. What is further behind stays where it is, and a call is run that was cancelled there.
const MOST: usize = 4096;
const MOST_BYTES: usize = 1 << 20;
/// And so many descriptors: all clients together have the table of this process.
const MOST_DESCRIPTORS: usize = 32;
/// One look takes twice as many messages at most, each call with what takes it back, and so many runs of pieces of long ones: a client
/// that sends without end keeps no other waiting.
const MOST_AT_ONCE: usize = 2 * MOST;
const MOST_RUNS: usize = 4;

/// Where to look for more.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in super::super) enum Reach {
    /// In the ring, where there is one: that costs no system call.
    Ring,
    /// In the socket as well, which says that the client is gone.
    Socket,
}

/// Messages in the order in which they came, and behind them what ended the reading.
#[derive(Debug, Default)]
pub(super) struct Ahead {
    queue: VecDeque<Item>,
    /// The calls among them: a client may take back any number of what are none. No hash, whose seed a sandbox may refuse.
    ids: BTreeSet<u64>,
    bytes: usize,
    descriptors: usize,
    /// Whether what is next carries more descriptors than there is room for.
    is_stuck: bool,
}

#[derive(Debug)]
struct Item {
    /// 0 for what cannot be cancelled.
    id: u64,
    bytes: usize,
    descriptors: usize,
    received: Result<Incoming, Broken>,
}

impl Ahead {
    fn has_room(&self) -> bool {
        let may_go_on =
            self.queue.back().is_none_or(|last| matches!(last.received, Ok(Incoming::Message(_))));
        let is_full =
            self.queue.len() >= MOST || self.bytes >= MOST_BYTES || self.descriptors >= MOST_DESCRIPTORS;
        may_go_on && !is_full
    }

    fn item(mut message: Message) -> Item {
        message.body.keep();
        message.may_be_cancelled = false;
        let (bytes, descriptors) = (message.body.len(), message.descriptors.len());
        // A mark says that what is before it was begun: it keeps its place.
        let id = if matches!(message.kind, Kind::OneWay | Kind::Mark) { 0 } else { message.id };
        Item { id, bytes, descriptors, received: Ok(Incoming::Message(message)) }
    }

    fn count(&mut self, item: &Item) {
        if item.id != 0 {
            self.ids.insert(item.id);
        }
        self.bytes += item.bytes;
        self.descriptors += item.descriptors;
    }

    fn uncount(&mut self, item: &Item) {
        self.ids.remove(&item.id);
        self.bytes -= item.bytes;
        self.descriptors -= item.descriptors;
    }

    fn push(&mut self, item: Item) {
        self.count(&item);
        self.queue.push_back(item);
    }

    /// Puts what ends the reading behind all the rest.
    fn push_last(&mut self, received: Result<Incoming, Broken>) {
        self.push(Item { id: 0, bytes: 0, descriptors: 0, received });
    }

    fn pop(&mut self) -> Option<Result<Incoming, Broken>> {
        let item = self.queue.pop_front()?;
        self.uncount(&item);
        Some(item.received)
    }

    /// Takes a call out: whether it was there.
    fn cancel(&mut self, id: u64) -> bool {
        if !self.ids.contains(&id) {
            return false;
        }
        let Some(index) = self.queue.iter().position(|item| item.id == id) else { return false };
        if let Some(item) = self.queue.remove(index) {
            self.uncount(&item);
        }
        true
    }

    /// The client is gone: nobody waits for any call, while one-way calls are run to the last.
    fn cancel_all(&mut self) {
        self.queue.retain(|item| item.id == 0);
        self.ids.clear();
        self.bytes = self.queue.iter().map(|item| item.bytes).sum();
        self.descriptors = self.queue.iter().map(|item| item.descriptors).sum();
    }
}

impl Session {
    /// The next of what was read before its turn, after looking for what takes it back.
    #[cold]
    pub(super) fn next_ahead(&self) -> Option<Result<Incoming, Broken>> {
        if self.link.may_hold_cancels() {
            self.read_ahead(Reach::Ring);
        }
        self.take_ahead()
    }

    /// A call that may have been taken back already: what is to be run next instead, if it has been.
    #[cold]
    pub(super) fn unless_cancelled(&self, mut message: Message) -> Result<Incoming, Broken> {
        if self.link.has_nothing_behind() && !self.was_taken_back(message.id) {
            message.may_be_cancelled = false;
            return Ok(Incoming::Message(message));
        }
        {
            let mut ahead = lock(&self.ahead);
            // Another thread may have read meanwhile what takes it back.
            if self.was_taken_back(message.id) {
                return Ok(Incoming::Rung);
            }
            let item = Ahead::item(message);
            ahead.count(&item);
            ahead.queue.push_front(item);
        }
        self.read_ahead(Reach::Ring);
        // There may be more.
        self.take_ahead().unwrap_or(Ok(Incoming::Rung))
    }

    fn take_ahead(&self) -> Option<Result<Incoming, Broken>> {
        let mut ahead = lock(&self.ahead);
        let next = ahead.pop();
        self.link.set_ahead(!ahead.queue.is_empty());
        next
    }

    /// Whether more can be read before its turn.
    pub(super) fn has_room_ahead(&self) -> bool {
        let ahead = lock(&self.ahead);
        ahead.has_room() && !ahead.is_stuck
    }

    /// The client is gone, as the socket says although there is more to read before.
    pub(in super::super) fn client_is_gone(&self) {
        lock(&self.ahead).cancel_all();
        self.cancel_all_running();
    }

    /// Reads what is there, and keeps it for when its turn comes; what the client has taken back is not kept.
    ///
    /// Never waits, and does nothing where another thread reads: that one finds the same.
    pub(in super::super) fn read_ahead(&self, reach: Reach) {
        let Some(mut ahead) = try_lock(&self.ahead) else { return };
        let Some(has_ring) = self.link.try_has_ring() else { return };
        let before = ahead.queue.len();
        // Nobody else looks at a ring that was not there before.
        let must_be_rung_for = reach == Reach::Socket || !has_ring;
        let mut left = (MOST_AT_ONCE, MOST_RUNS);
        let mut is_empty = self.read_into(&mut ahead, reach, &mut left);
        // Whoever is to be rung for when there is something would wait for what came since.
        while is_empty && must_be_rung_for && self.link.try_fall_asleep() == Some(false) {
            is_empty = self.read_into(&mut ahead, reach, &mut left);
        }
        let has_left_some = !is_empty && must_be_rung_for;
        self.link.set_ahead(has_left_some || !ahead.queue.is_empty());
        let has_more = has_left_some || ahead.queue.len() > before;
        drop(ahead);
        if has_more {
            // And for what is here.
            self.see_to_ahead();
        }
    }

    /// Reads as many messages as are left to it, and runs of pieces: whether there was nothing more in the end.
    fn read_into(&self, ahead: &mut Ahead, reach: Reach, (messages, runs): &mut (usize, usize)) -> bool {
        ahead.is_stuck = false;
        while *messages > 0 && *runs > 0 && ahead.has_room() {
            *messages -= 1;
            let descriptors = MOST_DESCRIPTORS.saturating_sub(ahead.descriptors);
            let keep = |message: Message| match message.kind {
                // What ends the calls has its place among them.
                Kind::Call | Kind::TimedCall | Kind::OneWay | Kind::Mark | Kind::Shutdown => {
                    ahead.push(Ahead::item(message));
                    None
                }
                _ => Some(message),
            };
            match self.link.read_ahead(reach == Reach::Ring, descriptors, keep) {
                Glance::Read(Ok(Incoming::Nothing)) => return true,
                Glance::Kept => {}
                Glance::Read(Ok(Incoming::Piece)) => *runs -= 1,
                Glance::Read(received) => self.sort(ahead, received),
                Glance::TooMany => {
                    ahead.is_stuck = true;
                    return false;
                }
                Glance::Taken => return false,
            }
        }
        false
    }

    /// Puts what was read and is no call where it belongs.
    fn sort(&self, ahead: &mut Ahead, received: Result<Incoming, Broken>) {
        match received {
            Ok(Incoming::Message(message)) => match message.kind {
                Kind::Cancel if message.is_bare() => {
                    if !ahead.cancel(message.id) {
                        self.cancel_running(message.id);
                    }
                }
                _ => {
                    if let Err(error) = self.accept(message) {
                        ahead.push_last(Err(error.into()));
                    }
                }
            },
            Ok(Incoming::End) => {
                // One that only sends no more may still read.
                if self.link.is_hung_up() {
                    ahead.cancel_all();
                    self.cancel_all_running();
                }
                ahead.push_last(Ok(Incoming::End));
            }
            Ok(Incoming::Piece | Incoming::Rung | Incoming::Nothing) => {}
            Err(broken) => ahead.push_last(Err(broken)),
        }
    }

    /// Nobody waits for a call any more.
    pub(super) fn cancel(&self, id: u64) {
        if !lock(&self.ahead).cancel(id) {
            self.cancel_running(id);
        }
    }

    /// Drops what was read before its turn, which never comes.
    pub(super) fn drop_ahead(&self) {
        let dropped = std::mem::take(&mut *lock(&self.ahead));
        self.link.set_ahead(false);
        drop(dropped);
    }
}
