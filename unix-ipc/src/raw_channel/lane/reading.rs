use std::sync::Arc;
use std::time::Instant;

use super::receiving::{LaneReceiver, Next, Offered, has_packet};
use crate::error::ProtocolError;
use crate::frame::Kind;
use crate::limits::Limits;
use crate::raw_channel::body::Body;
use crate::raw_channel::inbox::Inbox;
use crate::raw_channel::incoming::{Broken, Incoming};
use crate::raw_channel::message::Message;
use crate::raw_channel::read_ahead::{ReadAhead, Shown, Values};
use crate::socket::Socket;
use crate::sys::receive::Wait;

/// The packets that one look takes at most, so that a peer that only rings, or sends pieces, holds nobody up.
const PACKETS_AT_ONCE: usize = 64;

/// The receiving end of a channel that may have a lane.
///
/// Several threads may wait at once, all for the socket. Whoever finds the lane empty while others sleep asks for a bell before
/// he takes a packet, which may be theirs; and no packet is taken while there is a record. The packet that ends a detour stays
/// where it is, while others sleep, until there is no record behind it. So a thread never sleeps beside a record for which there
/// is no bell.
#[derive(Debug)]
pub(in crate::raw_channel) struct Reading {
    inbox: Inbox,
    lane: State,
    /// What was in a lane when it was closed.
    read_ahead: ReadAhead,
    /// Threads that wait for the socket.
    sleepers: usize,
}

#[derive(Debug)]
enum State {
    /// There is none, and may be one.
    None,
    Open(Box<LaneReceiver>),
    /// There will be none.
    Never,
}

/// A wait of one thread.
pub(in crate::raw_channel) struct Sleep {
    start: Option<Instant>,
}

impl Reading {
    pub(in crate::raw_channel) fn new(limits: Limits) -> Self {
        Self {
            inbox: Inbox::new(limits, limits.unfinished_messages),
            lane: if limits.ring_bytes > 0 { State::None } else { State::Never },
            read_ahead: ReadAhead::default(),
            sleepers: 0,
        }
    }

    /// What is here stays: it came under the limits that were.
    pub(in crate::raw_channel) fn set_limits(&mut self, limits: Limits) {
        self.inbox.set_limits(limits);
        let fits = |lane: &LaneReceiver| limits.check_bytes(lane.longest() as u64).is_ok();
        if limits.ring_bytes == 0 || matches!(&self.lane, State::Open(lane) if !fits(lane)) {
            self.close();
        }
    }

    /// What was read ahead elsewhere, before the end moved here, comes first.
    pub(in crate::raw_channel) fn add_ahead(&mut self, read_ahead: Values) {
        self.read_ahead.extend(read_ahead);
    }

    pub(in crate::raw_channel) fn inbox(&mut self) -> &mut Inbox {
        &mut self.inbox
    }

    /// The next message where it is in the lane, small, and nothing else is to be done first.
    #[inline]
    pub(in crate::raw_channel) fn at_hand(&mut self) -> Option<Body> {
        // A lane is taken only when all is read that was read ahead.
        if let State::Open(lane) = &mut self.lane { lane.at_hand() } else { None }
    }

    /// Looks for a message, without waiting; `patient` is whether to look for a while if a sender sends just now.
    #[inline]
    pub(in crate::raw_channel) fn look(
        &mut self,
        socket: &Socket,
        patient: bool,
    ) -> Result<Incoming, Broken> {
        if let Some(message) = self.read_ahead.pop() {
            return Ok(Incoming::Message(message));
        }
        for _ in 0..PACKETS_AT_ONCE {
            let taken = match self.next(socket)? {
                Next::Record(body) => return Ok(Incoming::Message(Message::value(body))),
                Next::Empty if self.is_worth_a_look(patient) => continue,
                Next::Empty if !self.is_turn_of_socket(socket) => return Ok(Incoming::Nothing),
                // What was sent through the lane before the packet comes first.
                Next::Empty if self.has_record() => continue,
                Next::Empty | Next::Packet => self.take_packet(socket),
            };
            match taken.or_else(Broken::unless_offer)? {
                Incoming::Message(message) if message.kind != Kind::Value => self.change_lane(message)?,
                Incoming::Message(message) => {
                    // It is another sender's, and who sent first would be nobody's to say any more.
                    if self.is_open() {
                        self.close();
                    }
                    return Ok(Incoming::Message(message));
                }
                Incoming::Piece => {}
                other => return Ok(other),
            }
        }
        Ok(Incoming::Piece)
    }

    fn take_packet(&mut self, socket: &Socket) -> Result<Incoming, Broken> {
        let may_be_a_bell = self.sleepers > 0 && matches!(self.lane, State::Open(_));
        if (may_be_a_bell || self.read_ahead.waits())
            && let Some(id) = self.read_ahead.hear(socket)
        {
            if let State::Open(lane) = &mut self.lane {
                lane.switch(id);
            }
            return Ok(self.read_ahead.pop().map_or(Incoming::Piece, Incoming::Message));
        }
        self.inbox.receive_packet(socket, Wait::No)
    }

    /// Where the next message is.
    #[inline]
    fn next(&mut self, socket: &Socket) -> Result<Next, ProtocolError> {
        let State::Open(lane) = &mut self.lane else { return Ok(Next::Packet) };
        if !lane.is_here() {
            return Ok(Next::Packet);
        }
        let next = lane.next(socket, self.sleepers > 0);
        if next.is_err() {
            self.lane = State::Never;
        }
        next
    }

    fn is_worth_a_look(&mut self, patient: bool) -> bool {
        let State::Open(lane) = &mut self.lane else { return false };
        patient && lane.spin()
    }

    /// Whether the socket has a packet, which may be what others sleep for: they are rung for again.
    fn is_turn_of_socket(&mut self, socket: &Socket) -> bool {
        if let State::Open(lane) = &mut self.lane
            && self.sleepers > 0
        {
            lane.fall_asleep();
        }
        has_packet(socket)
    }

    fn has_record(&self) -> bool {
        matches!(&self.lane, State::Open(lane) if lane.has_record())
    }

    #[inline]
    fn is_open(&self) -> bool {
        matches!(&self.lane, State::Open(lane) if lane.is_open())
    }

    /// What a sender says about a lane.
    #[cold]
    fn change_lane(&mut self, message: Message) -> Result<(), ProtocolError> {
        let is_bare = message.is_bare();
        match (message.kind, &mut self.lane) {
            (Kind::Ring, _) => self.take_offer(message),
            (Kind::Switch, _) if is_bare && self.read_ahead.is_heard() => Ok(()),
            (Kind::Switch, State::Open(lane)) if is_bare => {
                lane.switch(message.id);
                Ok(())
            }
            // Of a lane that was closed, here or where the end was before.
            (Kind::Switch | Kind::Bell, _) if is_bare => Ok(()),
            (other, _) => Err(ProtocolError::Kind(other as u8)),
        }
    }

    fn take_offer(&mut self, mut message: Message) -> Result<(), ProtocolError> {
        let descriptors = message.take_descriptors();
        let offered = Offered::find(message.id, message.body.start(), descriptors)?;
        let Some(offered) = offered else { return Ok(()) };
        let limits = self.inbox.limits();
        let fits = limits.check_bytes(offered.longest() as u64).is_ok();
        // Threads that sleep know nothing of a lane yet.
        if !matches!(self.lane, State::None) || !fits || self.sleepers > 0 {
            offered.refuse();
        } else if let Some(lane) = offered.take(limits.spin) {
            self.lane = State::Open(Box::new(lane));
        }
        Ok(())
    }

    /// Prepares to wait for the socket: `None` where there is something already. Else [`wake_up`](Self::wake_up) comes after the
    /// wait.
    pub(in crate::raw_channel) fn fall_asleep(&mut self) -> Option<Sleep> {
        if self.read_ahead.is_at_hand() {
            return None;
        }
        let mut start = None;
        if let State::Open(lane) = &mut self.lane
            && lane.is_here()
        {
            start = lane.begin_sleep();
            if !lane.fall_asleep() {
                self.rest();
                return None;
            }
        }
        self.sleepers += 1;
        Some(Sleep { start })
    }

    /// After the wait.
    pub(in crate::raw_channel) fn wake_up(&mut self, Sleep { start }: Sleep) {
        self.sleepers -= 1;
        if let State::Open(lane) = &mut self.lane {
            lane.end_sleep(start);
        }
        self.rest();
    }

    /// The sender need not ring, if nobody sleeps.
    fn rest(&self) {
        if self.sleepers == 0
            && let State::Open(lane) = &self.lane
            && lane.is_here()
        {
            lane.wake_up();
        }
    }

    /// Closes the lane for ever.
    #[cold]
    pub(in crate::raw_channel) fn close(&mut self) {
        if let State::Open(lane) = std::mem::replace(&mut self.lane, State::Never)
            && lane.is_here()
        {
            self.read_ahead.extend(lane.close());
        }
    }

    /// What was in the lane when it was closed, and stays here as well.
    pub(in crate::raw_channel) fn read_ahead(&self) -> Values {
        self.read_ahead.values()
    }

    /// What an event loop that waits for this end is shown in the place of the socket: `None` where that is as good.
    pub(in crate::raw_channel) fn show(&mut self, socket: &Socket) -> Option<Arc<Shown>> {
        self.close();
        self.read_ahead.show(socket)
    }
}
