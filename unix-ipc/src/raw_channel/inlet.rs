//! What comes through a ring, with what comes beside it over the socket.

use std::collections::VecDeque;
use std::io;
use std::sync::Arc;
use std::time::Duration;

use super::body::PacketBuffer;
use super::incoming::Found;
use super::outlet::ring_bell;
use super::spin::Spin;
use crate::error::{ProtocolError, RecvError};
use crate::frame::{Form, Header, Kind};
use crate::limits::KERNEL_DESCRIPTORS;
use crate::ring::{PEEKED, RingReceiver};
use crate::socket::Socket;
use crate::sys::core;
use crate::sys::pages::Pages;
use crate::sys::receive::{Received, Wait};

/// So many times a ring goes round before the socket is looked at, although there was something in the ring all the while.
const LAPS: u64 = 16;

/// The packets that such a look takes at most.
const MOST_HEARD: usize = 256;

/// The receiving end of a ring between two processes.
pub(crate) type Receiving = RingReceiver<Arc<Pages>>;

/// The receiving end of a ring, and of the socket that is its bell, carries its descriptors and tells the other end's death.
#[derive(Debug)]
pub(crate) struct Inlet {
    ring: Receiving,
    spin: Spin,
    /// The packets of descriptors whose messages are still in the ring.
    early: VecDeque<Early>,
    /// What the socket said last; what is in the ring comes first.
    last: Option<Last>,
    /// How far the ring was read when that was said, or else when it was last the socket's turn.
    heard_at: u64,
    /// Whether the other end was told that this one sleeps.
    asleep: bool,
}

/// Descriptors that are here before their message.
#[derive(Debug)]
struct Early {
    /// How many were sent, of which some may be lost.
    declared: u16,
    received: Received,
}

/// How a ring ends.
#[derive(Debug)]
enum Last {
    End,
    /// With a message over the socket: why the other end hangs up, or that it goes on without rings.
    Packet(Vec<u8>, Received),
}

impl Inlet {
    pub(super) fn new(ring: Receiving, spin: Duration) -> Self {
        Self { ring, spin: Spin::new(spin), early: VecDeque::new(), last: None, heard_at: 0, asleep: false }
    }

    /// Looks for a short packet that has no descriptors, for as long as that may pay off where `wait` says so: its length, or 0 where
    /// what comes next is anything else, or there is nothing.
    #[inline]
    pub(super) fn receive_short(&mut self, packet: &mut [u8], socket: &Socket, wait: Wait) -> usize {
        if self.asleep {
            self.wake_up();
        }
        if self.last.is_some() || self.is_turn_of_socket() {
            return 0;
        }
        let mut length = self.ring.receive_short(packet);
        if length == 0
            && wait != Wait::No
            && self.spin.wait(|| self.ring.has_packet(), || is_elsewhere(&self.ring))
        {
            length = self.ring.receive_short(packet);
        }
        if length > 0 && self.ring.tell() {
            ring_bell_if_there(socket);
        }
        length
    }

    /// Takes whatever else comes next, or sleeps until there is something where `wait` says so, behind
    /// [`receive_short`](Self::receive_short).
    pub(super) fn receive(
        &mut self,
        packet: &mut [u8],
        socket: &Socket,
        wait: Wait,
    ) -> Result<Found, RecvError> {
        let heard = self.is_turn_of_socket() && self.look_at_socket(socket)?;
        match self.take(packet, socket)? {
            Some(found) => Ok(found),
            // There may be room, for which nobody rings again.
            None if heard && self.last.is_none() => Ok(Found::Bell),
            None => self.sleep(packet, socket, wait),
        }
    }

    /// Whether the ring was read for long without a look at the socket, which says when the other end is gone: what that left in
    /// the ring may have no end.
    #[inline]
    fn is_turn_of_socket(&self) -> bool {
        let most = LAPS.wrapping_mul(self.ring.bytes() as u64);
        self.ring.position().wrapping_sub(self.heard_at) >= most && self.last.is_none()
    }

    /// Hears what the socket has said meanwhile: whether that was anything.
    #[cold]
    fn look_at_socket(&mut self, socket: &Socket) -> Result<bool, RecvError> {
        self.heard_at = self.ring.position();
        let mut buffer = PacketBuffer::take();
        let mut heard = 0;
        while heard < MOST_HEARD && self.last.is_none() && self.hear(&mut buffer, socket, Wait::No)? {
            heard += 1;
        }
        Ok(heard > 0)
    }

    /// Whether all is read that the other end can have sent before what the socket said last: no sender is further ahead
    /// than by a whole ring.
    fn is_read(&self) -> bool {
        let read = self.ring.position().wrapping_sub(self.heard_at);
        self.last.is_some() && read >= self.ring.bytes() as u64
    }

    #[cold]
    fn sleep(&mut self, packet: &mut [u8], socket: &Socket, wait: Wait) -> Result<Found, RecvError> {
        match self.last.take() {
            None => {}
            Some(Last::End) => {
                self.last = Some(Last::End);
                return Ok(Found::End);
            }
            Some(Last::Packet(bytes, received)) => {
                let place = packet.get_mut(..bytes.len()).ok_or(ProtocolError::LongPacket)?;
                place.copy_from_slice(&bytes);
                return Ok(Found::Packet(received));
            }
        }
        let start = if wait == Wait::No { None } else { self.spin.begin_sleep(|| is_elsewhere(&self.ring)) };
        if wait != Wait::No && !self.fall_asleep(socket) {
            self.wake_up();
            return Ok(Found::Bell);
        }
        let heard = self.hear(packet, socket, wait)?;
        if self.asleep {
            self.wake_up();
        }
        if heard {
            self.spin.end_sleep(start);
        }
        // Whatever the socket said, the other end wrote to the ring before.
        match self.take(packet, socket)? {
            Some(found) => Ok(found),
            None if self.last.is_some() => self.sleep(packet, socket, Wait::No),
            None if heard => Ok(Found::Bell),
            None => Ok(Found::Nothing),
        }
    }

    /// Whether there are cancellations behind whatever is read now.
    #[inline]
    pub(super) fn has_cancels(&self) -> bool {
        self.ring.has_cancels()
    }

    /// A cancellation was read.
    pub(crate) fn count_cancel(&mut self) {
        self.ring.count_cancel();
    }

    /// Lets the other end grow the ring for messages of so many bytes.
    pub(super) fn let_grow_for(&mut self, message: usize) {
        self.ring.let_grow_for(message);
    }

    /// The beginning of the next packet in the ring, which stays there: `None` where there is none.
    pub(super) fn peek(&self) -> Option<[u8; PEEKED]> {
        if self.last.is_some() || self.is_turn_of_socket() { None } else { self.ring.peek() }
    }

    /// Takes the packet of this length that was peeked at, and has no descriptors: what is behind its beginning is
    /// appended.
    pub(super) fn take_peeked(
        &mut self,
        packet: usize,
        into: &mut Vec<u8>,
        socket: &Socket,
    ) -> Result<(), ProtocolError> {
        if self.asleep {
            self.wake_up();
        }
        self.ring.take_peeked(packet, into)?;
        if self.ring.tell() {
            ring_bell_if_there(socket);
        }
        Ok(())
    }

    /// Takes the next packet out of the ring, with its descriptors.
    #[inline]
    fn take(&mut self, packet: &mut [u8], socket: &Socket) -> Result<Option<Found>, RecvError> {
        if self.is_read() {
            return Ok(None);
        }
        let bytes = self.ring.receive(packet).map_err(ProtocolError::from)?;
        if bytes == 0 {
            return Ok(None);
        }
        if self.ring.tell() {
            ring_bell_if_there(socket);
        }
        if packet.get(2..4) == Some(&[0, 0]) {
            return Ok(Some(Found::Packet(Received::of(bytes))));
        }
        let early = self.take_descriptors(socket)?;
        Ok(Some(Found::Packet(Received { bytes, sender: None, cut: false, ..early })))
    }

    /// The descriptors of the packet that was taken: they were sent before it was.
    #[cold]
    fn take_descriptors(&mut self, socket: &Socket) -> Result<Received, RecvError> {
        let mut buffer = PacketBuffer::take();
        while self.early.is_empty() && self.last.is_none() && self.hear(&mut buffer, socket, Wait::No)? {}
        let early = self.early.pop_front().ok_or(ProtocolError::Ring("descriptors that did not come"))?;
        if self.ring.count_descriptors(early.declared.into()) {
            ring_bell_if_there(socket);
        }
        Ok(early.received)
    }

    /// Reads one packet of the socket: false where there is none.
    fn hear(&mut self, buffer: &mut [u8], socket: &Socket, wait: Wait) -> Result<bool, RecvError> {
        let received = match socket.receive(buffer, wait) {
            Ok(Some(received)) => received,
            Ok(None) => {
                self.say_last(Last::End);
                return Ok(true);
            }
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => return Ok(false),
            Err(error) => return Err(error.into()),
        };
        let bytes = buffer.get(..received.bytes).ok_or(ProtocolError::LongPacket)?;
        let (header, _) = Header::decode(bytes)?;
        match (header.kind, header.form) {
            (Kind::Bell, Form::Whole) if received.descriptors.is_empty() => {}
            (Kind::Descriptors, Form::Whole) => self.keep(header.descriptors, received)?,
            (Kind::Fault | Kind::Reset, Form::Whole) => {
                self.say_last(Last::Packet(bytes.to_vec(), received));
            }
            (kind, _) => return Err(ProtocolError::Kind(kind as u8).into()),
        }
        Ok(true)
    }

    fn say_last(&mut self, last: Last) {
        self.last = Some(last);
        self.heard_at = self.ring.position();
    }

    /// Keeps descriptors until their message is read; the other end waits when there are as many as one may carry.
    fn keep(&mut self, declared: u16, received: Received) -> Result<(), ProtocolError> {
        let kept: u64 = self.early.iter().map(|early| u64::from(early.declared)).sum();
        if declared == 0 || kept.saturating_add(declared.into()) > KERNEL_DESCRIPTORS as u64 {
            return Err(ProtocolError::Ring("more descriptors than messages may carry"));
        }
        self.early.push_back(Early { declared, received });
        Ok(())
    }

    /// The other end rings from now on: false where there is something to read already.
    pub(crate) fn fall_asleep(&mut self, socket: &Socket) -> bool {
        let (is_empty, must_ring) = self.ring.fall_asleep();
        if must_ring {
            ring_bell_if_there(socket);
        }
        self.asleep = true;
        is_empty && self.last.is_none()
    }

    /// The other end need not ring.
    pub(crate) fn wake_up(&mut self) {
        self.ring.wake_up();
        self.asleep = false;
    }

    /// Whether there is something to read, of what the socket said before too.
    #[inline]
    pub(crate) fn has_something(&self) -> bool {
        self.ring.has_packet() || self.last.is_some()
    }

    /// Whether the other end is known to run on another core, and says to it on which one this thread waits.
    pub(crate) fn is_elsewhere(&self) -> bool {
        is_elsewhere(&self.ring)
    }

    /// Hears what the socket says, after waiting for it where `wait` says so: that there is room, perhaps. Takes nothing
    /// out of the ring. False where nothing more comes: the other end is gone, or starts anew.
    pub(crate) fn hear_bell(&mut self, socket: &Socket, wait: Wait) -> Result<bool, RecvError> {
        if self.last.is_none() {
            self.hear(&mut PacketBuffer::take(), socket, wait)?;
        }
        Ok(self.last.is_none())
    }
}

/// Rings for an end that may be gone, which the next look at the socket tells.
fn ring_bell_if_there(socket: &Socket) {
    let _ = ring_bell(socket);
}

/// Whether the other end is known to run on another core: on the same one it cannot do anything while this one looks.
#[inline]
pub(super) fn is_elsewhere(ring: &Receiving) -> bool {
    let Some(here) = core::current() else { return false };
    ring.wait_on_core(here);
    ring.others_core().is_some_and(|there| there != here)
}
