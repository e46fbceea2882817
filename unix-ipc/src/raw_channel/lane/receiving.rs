use std::hint;
use std::mem;
use std::os::fd::{AsFd, OwnedFd};
use std::sync::Arc;
use std::time::{Duration, Instant};

use nix::poll::PollFlags;

use super::commons::{self, NO_NAME};
use crate::deadline::Deadline;
use crate::error::ProtocolError;
use crate::frame::{Form, HEADER_BYTES, Header, Kind};
use crate::raw_channel::body::{Body, PacketBuffer};
use crate::raw_channel::inlet::{Receiving, is_elsewhere};
use crate::raw_channel::outlet::{open, size};
use crate::raw_channel::read_ahead::Values;
use crate::raw_channel::spin::Spin;
use crate::ring::{self, Answer, Offer};
use crate::socket::Socket;
use crate::sys::core;
use crate::sys::fork::Generation;
use crate::sys::wait::ready;

/// So many records are read before the socket is looked at, where other processes' messages may wait.
const LOOK: u32 = 128;

/// The turns of a loop for which a receiver leaves its lane alone when it has caught up with the sender: half a microsecond.
const HEAD_START: u32 = 128;

/// How the header of a small message without descriptors begins.
const SMALL_VALUE: [u8; 4] = [Kind::Value as u8, Form::Whole as u8, 0, 0];

/// The receiving end of a lane.
#[derive(Debug)]
pub(super) struct LaneReceiver {
    ring: Receiving,
    offer: Offer,
    id: u64,
    spin: Spin,
    /// Whether what its sender sends comes over the socket now.
    is_on_detour: bool,
    /// Whether it is the first time that there is no record behind others.
    has_caught_up: bool,
    /// So many more records before the socket is looked at.
    until_look: u32,
    /// Where in the lane all is read that was sent before a packet that waits in the socket.
    packet_at: Option<u64>,
    made_in: Generation,
}

/// Where the next message is.
pub(super) enum Next {
    /// It was copied out of the lane.
    Record(Body),
    /// Perhaps in the socket; there is nothing in the lane.
    Empty,
    /// In the socket: everything that was sent before it was read. It holds of one packet.
    Packet,
}

/// A lane that a sender offers, and that this process has found.
pub(super) struct Offered {
    ring: Receiving,
    offer: Offer,
    id: u64,
}

impl Offered {
    /// `None` where this process has no room for the lane, or cannot find it.
    pub(super) fn find(
        id: u64,
        body: &[u8],
        descriptors: Vec<OwnedFd>,
    ) -> Result<Option<Self>, ProtocolError> {
        let found = find(body, descriptors)?;
        Ok(found.map(|(ring, start)| Self { ring, offer: Offer::new(start, id), id }))
    }

    /// The longest message that the lane can have.
    pub(super) fn longest(&self) -> usize {
        self.ring.bytes()
    }

    /// Says no.
    pub(super) fn refuse(self) {
        self.offer.answer(self.ring.memory(), Answer::Done);
    }

    /// Says yes; `None` where the sender has gone on without.
    pub(super) fn take(self, spin: Duration) -> Option<LaneReceiver> {
        if let Some(core) = core::current() {
            // For as long as it has not waited.
            self.ring.wait_on_core(core);
        }
        let Self { ring, offer, id } = self;
        offer.answer(ring.memory(), Answer::Taken).then(|| LaneReceiver {
            ring,
            offer,
            id,
            spin: Spin::new(spin),
            is_on_detour: true,
            has_caught_up: false,
            until_look: LOOK,
            packet_at: None,
            made_in: Generation::current(),
        })
    }
}

impl LaneReceiver {
    /// Whether this process has the lane, and is no copy of the one that has.
    #[inline]
    pub(super) fn is_here(&self) -> bool {
        self.made_in.is_current()
    }

    /// The sender says over the socket that what follows is in a lane.
    pub(super) fn switch(&mut self, id: u64) {
        if self.id == id {
            self.is_on_detour = false;
        }
    }

    /// Whether its sender's messages are in the lane, and so a value in the socket is another's.
    #[inline]
    pub(super) fn is_open(&self) -> bool {
        !self.is_on_detour
    }

    #[inline]
    pub(super) fn has_record(&self) -> bool {
        !self.is_on_detour && self.ring.has_packet()
    }

    /// Copies the next message out of the lane where nothing else is to be done first.
    #[inline]
    pub(super) fn at_hand(&mut self) -> Option<Body> {
        if !self.is_here() || !self.has_record() || self.until_look <= 1 || self.packet_at.is_some() {
            return None;
        }
        let mut packet = PacketBuffer::take();
        match self.ring.receive_like(SMALL_VALUE, &mut packet) {
            Ok(bytes @ HEADER_BYTES..) => {
                self.ring.tell();
                self.until_look -= 1;
                self.has_caught_up = true;
                Some(Body::in_packet(packet, bytes))
            }
            _ => None,
        }
    }

    /// The longest message that the lane can have.
    pub(super) fn longest(&self) -> usize {
        self.ring.bytes()
    }

    /// Copies the next message out of the lane, or says where it is. Where others sleep, a packet may be what they are rung for,
    /// and is left to them while there are records.
    #[inline]
    pub(super) fn next(&mut self, socket: &Socket, others_sleep: bool) -> Result<Next, ProtocolError> {
        if self.is_on_detour {
            return Ok(Next::Packet);
        }
        self.until_look = self.until_look.saturating_sub(1);
        if (self.until_look == 0 || self.packet_at.is_some())
            && !others_sleep
            && self.is_turn_of_socket(socket)
        {
            return Ok(Next::Packet);
        }
        let mut packet = PacketBuffer::take();
        match self.ring.receive(&mut packet)? {
            // A packet that waits need not wait for the lane to be empty again: it may never be for long.
            0 => {
                Ok(if self.packet_at.take().is_some() && !others_sleep { Next::Packet } else { Next::Empty })
            }
            bytes => self.taken(packet, bytes),
        }
    }

    /// Looks whether a packet waits in the socket, and whether everything is read that was sent before.
    #[cold]
    fn is_turn_of_socket(&mut self, socket: &Socket) -> bool {
        if self.until_look == 0 {
            self.until_look = LOOK;
            if self.packet_at.is_none() && has_packet(socket) {
                // No sender is further ahead than by a whole ring.
                self.packet_at = Some(self.ring.position().wrapping_add(self.ring.bytes() as u64));
            }
        }
        let is_read = |at: u64| self.ring.position().wrapping_sub(at) <= u64::MAX / 2;
        let is_turn = self.packet_at.is_some_and(is_read);
        if is_turn {
            self.packet_at = None;
        }
        is_turn
    }

    /// A record was copied out: nothing but a small message without descriptors, or the word that a detour begins.
    #[inline]
    fn taken(&mut self, packet: PacketBuffer, bytes: usize) -> Result<Next, ProtocolError> {
        // The sender never waits for this ring, but looks for room itself.
        self.ring.tell();
        let header = packet.first_chunk::<HEADER_BYTES>().ok_or(ProtocolError::LongPacket)?;
        let header = Header::decode_alone(header)?;
        match (header.kind, header.form, header.descriptors) {
            (Kind::Value, Form::Whole, 0) => Ok(Next::Record(Body::in_packet(packet, bytes))),
            (Kind::Switch, Form::Whole, 0) if bytes == HEADER_BYTES => {
                self.is_on_detour = true;
                self.packet_at = None;
                Ok(Next::Packet)
            }
            _ => Err(ProtocolError::Ring("a record that is no small message")),
        }
    }

    /// Looks for a while whether a record comes: false where it is time to sleep.
    ///
    /// One who looks at the very line that the sender writes has it taken away and given back for each record. So an end that has
    /// caught up lets the sender get a few records ahead, which then come together.
    pub(super) fn spin(&mut self) -> bool {
        if mem::take(&mut self.has_caught_up) {
            (0..HEAD_START).for_each(|_| hint::spin_loop());
        }
        !self.is_on_detour && self.spin.wait(|| self.ring.has_packet(), || is_elsewhere(&self.ring))
    }

    /// The sender rings for the next record: false where there is one.
    pub(super) fn fall_asleep(&mut self) -> bool {
        self.ring.fall_asleep().0 || self.is_on_detour
    }

    /// The sender need not ring.
    pub(super) fn wake_up(&self) {
        self.ring.wake_up();
    }

    /// When this end falls asleep, where that tells how long it is worth to look.
    pub(super) fn begin_sleep(&self) -> Option<Instant> {
        self.spin.begin_sleep(|| is_elsewhere(&self.ring))
    }

    pub(super) fn end_sleep(&mut self, start: Option<Instant>) {
        self.spin.end_sleep(start);
    }

    /// Closes the lane, and gives what was still in it, in order. What is behind a detour comes after that.
    pub(super) fn close(mut self) -> Values {
        let mut left = Values::default();
        let detour = (self.id, Vec::new());
        left.later.extend(self.is_on_detour.then(|| detour.clone()));
        self.empty(|kind, body| match (kind, left.later.back_mut()) {
            (Kind::Value, Some((_, values))) => values.push(body.to_vec()),
            (Kind::Value, None) => left.first.push_back(body.to_vec()),
            _ => left.later.push_back(detour.clone()),
        });
        while left.later.back().is_some_and(|(_, values)| values.is_empty()) {
            left.later.pop_back();
        }
        left
    }

    /// Takes what is left, until the lane is closed.
    fn empty(&mut self, mut take: impl FnMut(Kind, &[u8])) {
        let mut packet = PacketBuffer::take();
        let start = self.ring.position();
        // The sender is told of no more room meanwhile, so there is at most as much as the ring holds.
        while !self.ring.close() && self.ring.position().wrapping_sub(start) < self.ring.bytes() as u64 {
            let Ok(bytes @ HEADER_BYTES..) = self.ring.receive(&mut packet) else { return };
            let Some((kind, body)) = packet.first().zip(packet.get(HEADER_BYTES..bytes)) else { return };
            let Ok(kind @ (Kind::Value | Kind::Switch)) = Kind::try_from(*kind) else { return };
            take(kind, body);
        }
    }
}

impl Drop for LaneReceiver {
    fn drop(&mut self) {
        // A copy of the process has not got the memory.
        if self.is_here() {
            self.empty(|_, _| {});
            self.offer.end(self.ring.memory());
        }
    }
}

/// The ring that an offer means, and where in its memory it is.
fn find(body: &[u8], descriptors: Vec<OwnedFd>) -> Result<Option<(Receiving, usize)>, ProtocolError> {
    let Some([bytes, name, area]) = words(body) else {
        return Err(ProtocolError::Kind(Kind::Ring as u8));
    };
    let actual = descriptors.len();
    if name != NO_NAME {
        if actual != 0 {
            return Err(ProtocolError::DescriptorCount { declared: 0, actual });
        }
        let bytes = usize::try_from(bytes).unwrap_or(usize::MAX);
        let found = commons::find(name, area, bytes);
        return Ok(found.map(|(pages, start)| (ring::lone_receiver(pages, start, bytes), start)));
    }
    let Ok([file]) = <[OwnedFd; 1]>::try_from(descriptors) else {
        return Err(ProtocolError::DescriptorCount { declared: 1, actual });
    };
    let bytes = size(bytes)?;
    Ok(open(&file, ring::lone_bytes(bytes))?.map(|pages| (ring::lone_receiver(Arc::new(pages), 0, bytes), 0)))
}

fn words(body: &[u8]) -> Option<[u64; 3]> {
    let (words, rest) = body.as_chunks::<{ size_of::<u64>() }>();
    let words = <[[u8; 8]; 3]>::try_from(words).ok().filter(|_| rest.is_empty())?;
    Some(words.map(u64::from_le_bytes))
}

pub(super) fn has_packet(socket: &Socket) -> bool {
    // An error (no memory) is as good as no answer.
    ready(socket.as_fd(), PollFlags::POLLIN, Deadline::now()).unwrap_or(false)
}
