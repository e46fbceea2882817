//! What stands for the lane where the library is built without rings: everything goes over the socket.

use std::io;
use std::os::fd::AsFd;
use std::sync::Arc;

#[cfg(feature = "serde")]
use super::Body;
use super::inbox::Inbox;
use super::incoming::{Broken, Incoming};
use super::outgoing::{Outgoing, Progress};
#[cfg(feature = "serde")]
use super::read_ahead::Values;
use super::read_ahead::{ReadAhead, Shown};
use super::{Message, Parts};
use crate::frame::Kind;
use crate::limits::Limits;
use crate::socket::Socket;
use crate::sys::receive::Wait;

/// The sending end of a channel.
#[derive(Debug)]
pub(super) struct LaneLock;

/// A lane, of which there is none.
pub(super) enum LaneSender {}

impl LaneLock {
    #[cfg(feature = "serde")]
    pub(super) fn new(_ring_bytes: usize) -> Self {
        Self
    }

    pub(super) fn lock(&self) -> Option<Box<LaneSender>> {
        None
    }
}

impl LaneSender {
    pub(super) fn send_small(&mut self, _bytes: &[u8], _socket: &Socket) -> Option<io::Result<()>> {
        match *self {}
    }

    pub(super) fn send_packet<D: AsFd>(
        &mut self,
        _message: &mut Outgoing,
        _socket: &Socket,
        _body: Parts<'_>,
        _descriptors: &[D],
        _patient: bool,
    ) -> io::Result<Progress> {
        match *self {}
    }

    pub(super) fn leave(&mut self) {
        match *self {}
    }

    #[cfg(feature = "serde")]
    pub(super) fn give_up(&mut self) {
        match *self {}
    }
}

/// The receiving end of a channel.
#[derive(Debug)]
pub(super) struct Reading {
    inbox: Inbox,
    /// What a process with lanes had read ahead before the end moved here.
    read_ahead: ReadAhead,
}

/// A wait of one thread.
pub(super) struct Sleep;

impl Reading {
    pub(super) fn new(limits: Limits) -> Self {
        let inbox = Inbox::new(limits, limits.unfinished_messages);
        Self { inbox, read_ahead: ReadAhead::default() }
    }

    pub(super) fn set_limits(&mut self, limits: Limits) {
        self.inbox.set_limits(limits);
    }

    #[cfg(feature = "serde")]
    pub(super) fn add_ahead(&mut self, read_ahead: Values) {
        self.read_ahead.extend(read_ahead);
    }

    #[cfg(feature = "serde")]
    pub(super) fn inbox(&mut self) -> &mut Inbox {
        &mut self.inbox
    }

    #[cfg(feature = "serde")]
    pub(super) fn at_hand(&mut self) -> Option<Body> {
        None
    }

    /// Looks for a message, without waiting. What a sender says about a lane is passed over: it goes on over the socket.
    pub(super) fn look(&mut self, socket: &Socket, _patient: bool) -> Result<Incoming, Broken> {
        if let Some(message) = self.read_ahead.pop() {
            return Ok(Incoming::Message(message));
        }
        #[cfg(feature = "serde")]
        if self.read_ahead.waits() {
            return self.take_packet(socket);
        }
        match self.inbox.receive(socket, Wait::No).or_else(Broken::unless_offer)? {
            Incoming::Message(message) if is_about_a_lane(&message) => Ok(Incoming::Piece),
            other => Ok(other),
        }
    }

    /// What was read ahead comes after a packet that ends a detour.
    #[cfg(feature = "serde")]
    fn take_packet(&mut self, socket: &Socket) -> Result<Incoming, Broken> {
        if self.read_ahead.hear(socket).is_some() {
            return Ok(self.read_ahead.pop().map_or(Incoming::Piece, Incoming::Message));
        }
        match self.inbox.receive_packet(socket, Wait::No).or_else(Broken::unless_offer)? {
            Incoming::Message(message) if is_about_a_lane(&message) => {
                if message.kind == Kind::Switch {
                    self.read_ahead.is_heard();
                }
                Ok(Incoming::Piece)
            }
            other => Ok(other),
        }
    }

    pub(super) fn fall_asleep(&mut self) -> Option<Sleep> {
        Some(Sleep)
    }

    pub(super) fn wake_up(&mut self, _sleep: Sleep) {}

    #[cfg(feature = "serde")]
    pub(super) fn close(&mut self) {}

    #[cfg(feature = "serde")]
    pub(super) fn read_ahead(&self) -> Values {
        self.read_ahead.values()
    }

    pub(super) fn show(&mut self, socket: &Socket) -> Option<Arc<Shown>> {
        self.read_ahead.show(socket)
    }
}

fn is_about_a_lane(message: &Message) -> bool {
    message.kind == Kind::Ring || (matches!(message.kind, Kind::Switch | Kind::Bell) && message.is_bare())
}
