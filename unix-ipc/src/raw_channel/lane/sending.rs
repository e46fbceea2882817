use std::io::{self, IoSlice};
use std::os::fd::AsFd;
use std::sync::{Mutex, MutexGuard};

use nix::poll::PollFlags;

use super::commons::{self, Memory, Place};
use crate::deadline::Deadline;
use crate::frame::{Form, HEADER_BYTES, Header, Kind, PACKET_BYTES};
use crate::raw_channel::outgoing::{Outgoing, Progress};
use crate::raw_channel::outlet::{Sending, control, has_room_soon, lie, ring_bell};
use crate::raw_channel::spin::look_often;
use crate::raw_channel::{Parts, random};
use crate::ring::{self, Answer, LONE_ALIGN, NoRoom, Offer};
use crate::socket::Socket;
use crate::sync::lock;
use crate::sys::core;
use crate::sys::fork::Generation;
use crate::sys::wait::ready;

/// After so many messages a channel is worth a lane.
const HOT: u32 = 128;

/// After so many messages that nobody had to be rung for, the socket is asked whether the receiver is still there: one that
/// died awake reads no more, and nothing else says so.
const PROBE: u32 = 128;

/// After so many more messages an offer is withdrawn: the receiver has read it, and has not found what was offered. (A socket of the usual
/// size holds a few hundred.)
const UNANSWERED: u32 = 1024;

/// What is left free for the record that announces a detour.
const DETOUR_BYTES: usize = LONE_ALIGN;

/// The sending end of a channel that may have a lane, in the process that made it: a copy of that has not got the lane's memory,
/// and perhaps not the thread that had this locked.
#[derive(Debug)]
pub(in crate::raw_channel) struct LaneLock {
    made_in: Generation,
    lane: Mutex<LaneSender>,
}

impl LaneLock {
    pub(in crate::raw_channel) fn new(ring_bytes: usize) -> Self {
        Self { made_in: Generation::current(), lane: Mutex::new(LaneSender::new(ring_bytes)) }
    }

    /// The end; `None` in a copy of the process, where all goes over the socket.
    #[inline]
    pub(in crate::raw_channel) fn lock(&self) -> Option<MutexGuard<'_, LaneSender>> {
        self.made_in.is_current().then(|| lock(&self.lane))
    }
}

/// The sending end of a channel that may have a lane.
#[derive(Debug)]
pub(in crate::raw_channel) struct LaneSender {
    pub(super) state: State,
    /// Tells this lane from those of other senders of the same channel.
    id: u64,
    ring_bytes: usize,
    /// The messages that went into the lane since the receiver was last known to be there, or over the socket since one was offered.
    unprobed: u32,
}

#[derive(Debug)]
pub(super) enum State {
    /// Over the socket, so many messages up to now.
    Young(u32),
    /// The same, until the receiver has said something.
    Offered(Box<Lane>),
    /// Through the lane.
    Open(Box<Lane>),
    /// Over the socket, until there is nothing in the way of going back.
    Detour(Box<Lane>),
    /// Over the socket for ever.
    Never,
}

#[derive(Debug)]
pub(super) struct Lane {
    ring: Sending,
    offer: Offer,
    /// The longest message that goes through it.
    longest: usize,
    /// Where it is, which nobody else may have meanwhile.
    _place: Place,
}

impl LaneSender {
    fn new(ring_bytes: usize) -> Self {
        Self {
            state: if ring_bytes > 0 { State::Young(0) } else { State::Never },
            id: random(),
            ring_bytes,
            unprobed: 0,
        }
    }

    /// Sends a small message where the lane is open and has room for it: `None`, and nothing sent, where it is not.
    #[inline]
    pub(in crate::raw_channel) fn send_small(
        &mut self,
        bytes: &[u8],
        socket: &Socket,
    ) -> Option<io::Result<()>> {
        let State::Open(lane) = &mut self.state else { return None };
        if bytes.len() > lane.longest || self.unprobed >= PROBE {
            return None;
        }
        let must_ring = lane.ring.send_unless_closed(&header(bytes), bytes, DETOUR_BYTES).ok()?;
        self.unprobed += 1;
        Some(if must_ring { self.ring_bell(socket) } else { Ok(()) })
    }

    /// Sends the next packet of a message, as [`Outgoing::send_packet`]. `patient` is whether to wait for room for as long as
    /// a receiver takes that reads just now.
    pub(in crate::raw_channel) fn send_packet<D: AsFd>(
        &mut self,
        message: &mut Outgoing,
        socket: &Socket,
        body: Parts<'_>,
        descriptors: &[D],
        patient: bool,
    ) -> io::Result<Progress> {
        if let Some(bytes) = message.whole(self.longest(), body).filter(|_| descriptors.is_empty())
            && self.enter(socket)?
            && let Some(must_ring) = self.send_when_possible(socket, bytes, patient)?
        {
            if must_ring {
                self.ring_bell(socket)?;
            }
            return Ok(Progress::Done);
        }
        self.leave();
        let progress = message.send_packet(&mut socket.into(), body, descriptors)?;
        if progress == Progress::Done {
            self.count(socket);
        }
        Ok(progress)
    }

    /// The longest packet of a message that may go through the lane.
    fn longest(&self) -> usize {
        match &self.state {
            State::Open(lane) | State::Detour(lane) | State::Offered(lane) => HEADER_BYTES + lane.longest,
            State::Young(_) | State::Never => HEADER_BYTES,
        }
    }

    /// Goes through the lane from now on, if that is possible: says whether it is.
    fn enter(&mut self, socket: &Socket) -> io::Result<bool> {
        match &self.state {
            State::Open(_) => return Ok(true),
            State::Young(_) | State::Never => return Ok(false),
            State::Offered(lane) => match lane.offer.answered(lane.ring.memory()) {
                None => return Ok(false),
                Some(Answer::Taken) => {}
                Some(Answer::Done) => {
                    self.state = State::Never;
                    return Ok(false);
                }
            },
            State::Detour(_) => {}
        }
        match std::mem::replace(&mut self.state, State::Never) {
            State::Offered(mut lane) | State::Detour(mut lane) => {
                let has_room = lane.ring.check_room(2 * lane.ring.longest());
                let enters =
                    has_room.is_ok() && socket.send_bytes(&control(Kind::Switch, 0, self.id)).is_ok();
                self.state = match has_room {
                    Ok(()) if enters => State::Open(lane),
                    Ok(()) | Err(NoRoom::Now) => State::Detour(lane),
                    Err(NoRoom::Closed) => State::Never,
                    Err(NoRoom::Lie(found)) => return Err(lie(found)),
                };
                Ok(enters)
            }
            other => {
                self.state = other;
                Ok(false)
            }
        }
    }

    /// Sends through the lane, and says whether to ring; `None` where the message has to go over the socket.
    fn send_when_possible(
        &mut self,
        socket: &Socket,
        bytes: &[u8],
        patient: bool,
    ) -> io::Result<Option<bool>> {
        if self.unprobed >= PROBE {
            self.unprobed = 0;
            // For the socket to say that nobody is there.
            if ready(socket.as_fd(), PollFlags::empty(), Deadline::now())? {
                self.state = State::Never;
                return Ok(None);
            }
        }
        let State::Open(lane) = &mut self.state else { return Ok(None) };
        let (header, packet) = (header(bytes), HEADER_BYTES + bytes.len() + DETOUR_BYTES);
        if patient && let Err(error) = look_often(|| has_room_soon(&mut lane.ring, packet)) {
            self.state = State::Never;
            return Err(error);
        }
        match lane.ring.send_unless_closed(&header, bytes, DETOUR_BYTES) {
            Ok(must_ring) => {
                self.unprobed += 1;
                Ok(Some(must_ring))
            }
            Err(NoRoom::Now) => Ok(None),
            Err(NoRoom::Closed) => {
                self.state = State::Never;
                Ok(None)
            }
            Err(NoRoom::Lie(found)) => {
                self.state = State::Never;
                Err(lie(found))
            }
        }
    }

    /// What follows goes over the socket, and the receiver is told so in the lane.
    pub(in crate::raw_channel) fn leave(&mut self) {
        match std::mem::replace(&mut self.state, State::Never) {
            State::Open(mut lane) => {
                // A receiver that sleeps need not be rung for: the packet that follows wakes it.
                if lane.ring.send_unless_closed(&control(Kind::Switch, 0, self.id), &[], 0).is_ok() {
                    self.state = State::Detour(lane);
                }
            }
            other => self.state = other,
        }
    }

    /// Everything goes over the socket from now on.
    pub(in crate::raw_channel) fn give_up(&mut self) {
        self.leave();
        self.state = State::Never;
    }

    /// A message has gone over the socket.
    fn count(&mut self, socket: &Socket) {
        match &mut self.state {
            State::Young(sent) => {
                *sent += 1;
                if *sent == HOT {
                    self.state =
                        self.offer(socket).map_or(State::Young(0), |lane| State::Offered(Box::new(lane)));
                }
            }
            State::Offered(lane) => {
                self.unprobed += 1;
                if self.unprobed >= UNANSWERED && lane.offer.answer(lane.ring.memory(), Answer::Done) {
                    self.state = State::Never;
                }
            }
            State::Open(_) | State::Detour(_) | State::Never => {}
        }
    }

    /// Offers a lane. Where that is not possible now, the channel goes on as before.
    fn offer(&self, socket: &Socket) -> Option<Lane> {
        let Memory { pages, start, bytes, place } = commons::memory(self.ring_bytes)?;
        let ring = ring::lone_sender(pages, start, bytes);
        let offer = Offer::new(start, self.id);
        offer.make(ring.memory());
        let body = [bytes as u64, place.name(), place.index()].map(u64::to_le_bytes).concat();
        let file = place.file();
        let header = Header {
            kind: Kind::Ring,
            form: Form::Whole,
            descriptors: file.is_some().into(),
            length: u32::try_from(body.len()).ok()?,
            id: self.id,
        };
        let descriptors: Vec<_> = file.into_iter().collect();
        socket.send(&[IoSlice::new(&header.encode()), IoSlice::new(&body)], &descriptors).ok()?;
        let longest = ring.longest().min(PACKET_BYTES) - HEADER_BYTES;
        Some(Lane { ring, offer, longest, _place: place.offered() })
    }

    /// Wakes the receiver, which has the message already: an error says that it is gone.
    #[cold]
    fn ring_bell(&mut self, socket: &Socket) -> io::Result<()> {
        self.unprobed = 0;
        if let (State::Open(lane), Some(core)) = (&self.state, core::current()) {
            lane.ring.is_on_core(core);
        }
        ring_bell(socket).inspect_err(|_| {
            // What goes into the lane from now on, nobody reads.
            self.state = State::Never;
        })
    }
}

#[inline]
fn header(bytes: &[u8]) -> [u8; HEADER_BYTES] {
    // A message that fits a packet is shorter than 4 GiB.
    Header { kind: Kind::Value, form: Form::Whole, descriptors: 0, length: bytes.len() as u32, id: 0 }
        .encode()
}
