//! The sending half of a connection: over the socket, and through a ring from the moment at which both ends have one.

use std::io::{self, IoSlice};
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::sync::Arc;

use super::Parts;
use super::inlet::Receiving;
use super::outgoing::{self, Outgoing, Packet, Progress};
use super::way::Way;
use crate::error::ProtocolError;
use crate::frame::{Form, HEADER_BYTES, Header, Kind};
use crate::limits::KERNEL_DESCRIPTORS;
use crate::ring::{self, LEAST_BYTES, Lie, NoRoom, RingSender, Size};
use crate::socket::Socket;
use crate::sys::core;
use crate::sys::pages::Pages;

/// The sending end of a ring between two processes.
pub(crate) type Sending = RingSender<Arc<Pages>>;

/// After so many messages a connection is worth a ring.
const HOT: u32 = 8;

/// The largest ring that is taken of a peer, in bytes.
pub(super) const MOST_BYTES: usize = 1 << 24;

/// Where an end's packets go.
#[derive(Debug)]
pub(crate) struct Outlet {
    state: State,
    /// How long a ring this end makes; 0 bytes are none, and then it takes none either.
    size: Size,
    /// Whether this end makes the rings, or takes those of the other.
    makes: bool,
    sent: u32,
    /// How often the client has moved to another process with rings, which starts anew without.
    resets: u64,
    /// What is to be said of that ahead of the next message.
    say: Option<u64>,
    /// Whether the other end has not said the same yet. Until then it may mean the rings that were.
    awaits: bool,
}

#[derive(Debug)]
enum State {
    /// Over the socket.
    Socket,
    /// Over the socket, until the other end says that it has the rings.
    Offered(Box<(Sending, Receiving)>),
    /// Over the socket, until there is room to say that it ends.
    Ready(Box<Sending>),
    Ring(Box<Sending>),
}

impl Outlet {
    pub(crate) fn new(size: Size, makes: bool) -> Self {
        Self { state: State::Socket, size, makes, sent: 0, resets: 0, say: None, awaits: false }
    }

    /// Sends the next packet of a message, as [`Outgoing::send_packet`].
    #[inline]
    pub(crate) fn send_packet<D: AsFd>(
        &mut self,
        message: &mut Outgoing,
        socket: &Socket,
        body: Parts<'_>,
        descriptors: &[D],
    ) -> io::Result<Progress> {
        match &mut self.state {
            State::Ring(ring) => message.send_packet(&mut Way::Ring(ring, socket), body, descriptors),
            _ => self.send_over_socket(message, socket, body, descriptors),
        }
    }

    /// Sends a message that is a header and no more: `WouldBlock` where there is no room now.
    pub(crate) fn send_bare(&mut self, socket: &Socket, kind: Kind, id: u64) -> io::Result<()> {
        let nothing: [BorrowedFd<'_>; 0] = [];
        let mut message = Outgoing::new(kind, id, 0);
        self.send_packet(&mut message, socket, Parts::from(&[][..]), &nothing).map(drop)
    }

    /// Says that nobody waits for the answer to a call any more: `WouldBlock` where there is no room now.
    pub(crate) fn send_cancel(&mut self, socket: &Socket, id: u64) -> io::Result<()> {
        self.send_bare(socket, Kind::Cancel, id)?;
        if let State::Ring(ring) = &mut self.state {
            ring.count_cancel();
        }
        Ok(())
    }

    /// Sends a message whole or not at all, as [`send_at_once`](outgoing::send_at_once).
    pub(crate) fn send_at_once<D: AsFd>(
        &mut self,
        socket: &Socket,
        message: (Kind, u64),
        body: Parts<'_>,
        descriptors: &[D],
    ) -> io::Result<()> {
        self.say_reset(socket)?;
        let mut way = match &mut self.state {
            State::Ring(ring) => Way::Ring(ring, socket),
            _ => Way::Socket(socket),
        };
        outgoing::send_at_once(&mut way, message, body, descriptors)
    }

    fn send_over_socket<D: AsFd>(
        &mut self,
        message: &mut Outgoing,
        socket: &Socket,
        body: Parts<'_>,
        descriptors: &[D],
    ) -> io::Result<Progress> {
        if matches!(self.state, State::Ready(_)) {
            self.switch(socket)?;
            return self.send_packet(message, socket, body, descriptors);
        }
        self.say_reset(socket)?;
        let progress = message.send_packet(&mut Way::Socket(socket), body, descriptors)?;
        if self.makes && self.size.bytes > 0 && !self.awaits && progress == Progress::Done {
            self.sent = self.sent.saturating_add(1);
            if self.sent == HOT {
                self.offer(socket);
            }
        }
        Ok(progress)
    }

    /// Offers rings. Where that is not possible, the connection goes on as before.
    #[cold]
    fn offer(&mut self, socket: &Socket) {
        let bytes = self.size.bytes.next_power_of_two().clamp(LEAST_BYTES, MOST_BYTES);
        let size = Size { bytes, most: self.size.most.next_power_of_two().clamp(bytes, MOST_BYTES) };
        let made = Pages::create(c"unix-ipc-rings", ring::memory_bytes(size), &ring::filled_parts(size));
        let Ok((pages, file)) = made else { return };
        let header = Header { kind: Kind::Ring, form: Form::Whole, descriptors: 1, length: 8, id: 0 };
        let (header, sizes) = (header.encode(), (size.bytes as u64 | (size.most as u64) << 32).to_le_bytes());
        if socket.send(&[IoSlice::new(&header), IoSlice::new(&sizes)], &[file.as_fd()]).is_ok() {
            self.state = State::Offered(Box::new(ring::ends(&Arc::new(pages), size, true)));
        }
    }

    /// Takes the rings that the other end made: the receiving end, for when it switches; `None` where this end goes on
    /// without, or makes them itself.
    pub(crate) fn take_offer(
        &mut self,
        socket: &Socket,
        body: &[u8],
        descriptors: Vec<OwnedFd>,
    ) -> Result<Option<Receiving>, ProtocolError> {
        if !matches!(self.state, State::Socket | State::Offered(_)) {
            return Err(ProtocolError::Kind(Kind::Ring as u8));
        }
        let actual = descriptors.len();
        let Ok([file]) = <[OwnedFd; 1]>::try_from(descriptors) else {
            return Err(ProtocolError::DescriptorCount { declared: 1, actual });
        };
        if self.makes || self.size.bytes == 0 {
            return Ok(None);
        }
        let size = size_of_both(<[u8; 8]>::try_from(body).map_or(0, u64::from_le_bytes))?;
        let Some(pages) = open(&file, ring::memory_bytes(size))? else { return Ok(None) };
        let (sending, receiving) = ring::ends(&Arc::new(pages), size, false);
        self.state = State::Ready(Box::new(sending));
        // Where there is no room for it now, it goes ahead of the next message.
        let _ = self.switch(socket);
        Ok(Some(receiving))
    }

    /// The other end has the rings that this one made, and sends through its own: the receiving end of that.
    pub(crate) fn is_taken(&mut self, socket: &Socket) -> Result<Receiving, ProtocolError> {
        match std::mem::replace(&mut self.state, State::Socket) {
            State::Offered(ends) => {
                let (sending, receiving) = *ends;
                self.state = State::Ready(Box::new(sending));
                let _ = self.switch(socket);
                Ok(receiving)
            }
            other => {
                self.state = other;
                Err(ProtocolError::Kind(Kind::Switch as u8))
            }
        }
    }

    /// Says that what follows is in the ring.
    fn switch(&mut self, socket: &Socket) -> io::Result<()> {
        socket.send_bytes(&control(Kind::Switch, 0, 0))?;
        if let State::Ready(ring) = std::mem::replace(&mut self.state, State::Socket) {
            self.state = State::Ring(ring);
        }
        Ok(())
    }

    /// Whether there are rings, or will be.
    pub(crate) fn has_rings(&self) -> bool {
        !matches!(self.state, State::Socket)
    }

    /// How often this end will have started anew, where it moves to another process now.
    pub(crate) fn resets(&self) -> u64 {
        self.resets.wrapping_add((self.awaits || self.has_rings()).into())
    }

    /// Goes on in another process, without the rings that were.
    pub(crate) fn start_anew(&mut self, resets: u64) {
        self.resets = resets;
        self.say = (resets > 0).then_some(resets);
        self.awaits = resets > 0;
    }

    /// Whether a message about rings means those that were, and is passed over.
    pub(crate) fn is_outdated(&self, kind: Kind) -> bool {
        self.awaits && matches!(kind, Kind::Ring | Kind::Switch | Kind::Bell | Kind::Descriptors)
    }

    /// The other end starts anew, as often as it says, or says that it has done so as well. Says whether what this end was
    /// about to send is void.
    pub(crate) fn is_reset(&mut self, socket: &Socket, resets: u64) -> bool {
        if self.resets > 0 {
            self.awaits &= self.resets != resets;
            return false;
        }
        self.state = State::Socket;
        self.sent = 0;
        self.say = Some(resets);
        // Where there is no room for it now, it goes ahead of the next message.
        let _ = self.say_reset(socket);
        true
    }

    fn say_reset(&mut self, socket: &Socket) -> io::Result<()> {
        if let Some(resets) = self.say {
            socket.send_bytes(&control(Kind::Reset, 0, resets))?;
            self.say = None;
        }
        Ok(())
    }

    /// Whether there is room now for a message's next packet, where it is worth to look again soon: the other end reads on
    /// another core. `None` where it is not.
    pub(crate) fn look_for_room(&mut self, message: &Outgoing, body: Parts<'_>) -> io::Result<Option<bool>> {
        let State::Ring(ring) = &mut self.state else { return Ok(None) };
        let (packet, _) = message.next_packet(ring.longest(), body, 0);
        has_room_soon(ring, packet)
    }

    /// Asks the other end to ring when there is room for a message's next packet: false where there is room now, `None`
    /// where the socket has to be asked.
    pub(crate) fn want_room(
        &mut self,
        message: &Outgoing,
        body: Parts<'_>,
        descriptors: usize,
    ) -> io::Result<Option<bool>> {
        let State::Ring(ring) = &mut self.state else { return Ok(None) };
        let (packet, descriptors) = message.next_packet(ring.longest(), body, descriptors);
        want_room(ring, packet, descriptors).map(Some)
    }
}

/// Whether there is room for a packet, as [`look_often`](super::look_often) asks: not worth while where the receiver reads on
/// this core, or nobody knows where.
pub(super) fn has_room_soon(ring: &mut Sending, packet: usize) -> io::Result<Option<bool>> {
    match ring.check_room(packet) {
        Ok(()) => return Ok(Some(true)),
        Err(NoRoom::Lie(found)) => return Err(lie(found)),
        Err(NoRoom::Now | NoRoom::Closed) => {}
    }
    let (Some(here), Some(there)) = (core::current(), ring.receivers_core()) else { return Ok(None) };
    Ok((here != there).then_some(false))
}

/// How long two rings are that another process made: the lower half says how long at first, the upper one what they may grow to,
/// or 0.
fn size_of_both(sizes: u64) -> Result<Size, ProtocolError> {
    let bytes = size(sizes & u64::from(u32::MAX))?;
    let most = if sizes >> 32 == 0 { bytes } else { size(sizes >> 32)? };
    if most < bytes { Err(NO_SIZE) } else { Ok(Size { bytes, most }) }
}

const NO_SIZE: ProtocolError = ProtocolError::Ring("a size that rings do not have");

/// How long a ring is that another process made.
pub(super) fn size(bytes: u64) -> Result<usize, ProtocolError> {
    let is_size = |bytes: &usize| bytes.is_power_of_two() && (LEAST_BYTES..=MOST_BYTES).contains(bytes);
    usize::try_from(bytes).ok().filter(is_size).ok_or(NO_SIZE)
}

/// The memory of rings that another process made, which is so long: `None` where this one has no room for it.
pub(super) fn open(file: &OwnedFd, len: usize) -> Result<Option<Pages>, ProtocolError> {
    match Pages::open(file.as_fd(), len) {
        Ok(pages) => Ok(Some(pages)),
        Err(error) if error.kind() == io::ErrorKind::InvalidData => Err(ProtocolError::MemoryFile),
        Err(_) => Ok(None),
    }
}

/// Descriptors go over the socket first. Only when the kernel has them is the packet published, so where it refuses
/// them nothing has left.
#[inline]
pub(super) fn send_through<D: AsFd>(
    ring: &mut Sending,
    socket: &Socket,
    packet: &Packet<'_>,
    descriptors: &[D],
) -> io::Result<()> {
    if !descriptors.is_empty() {
        send_descriptors(ring, socket, packet, descriptors)?;
    }
    if ring.send(packet.header, packet.place, packet.piece).map_err(no_room)? {
        ring_bell(socket)?;
    }
    Ok(())
}

#[cold]
fn send_descriptors<D: AsFd>(
    ring: &mut Sending,
    socket: &Socket,
    packet: &Packet<'_>,
    descriptors: &[D],
) -> io::Result<()> {
    ring.check_room(packet.len()).map_err(no_room)?;
    let count = descriptors.len() as u64;
    if !has_descriptor_room(ring, count).map_err(lie)? {
        return Err(io::ErrorKind::WouldBlock.into());
    }
    let header = control(Kind::Descriptors, u16::try_from(descriptors.len()).unwrap_or(u16::MAX), 0);
    let descriptors: Vec<BorrowedFd<'_>> = descriptors.iter().map(AsFd::as_fd).collect();
    socket.send(&[IoSlice::new(&header)], &descriptors)?;
    ring.count_descriptors(count);
    Ok(())
}

/// Whether the receiver would have to hold no more descriptors, ahead of their messages, than one message may carry.
fn has_descriptor_room(ring: &Sending, count: u64) -> Result<bool, Lie> {
    Ok(ring.descriptors_on_the_way()?.saturating_add(count) <= KERNEL_DESCRIPTORS as u64)
}

/// Asks the receiver to ring when there is room for a packet and its descriptors: false where there is room now.
fn want_room(ring: &mut Sending, packet: usize, descriptors: usize) -> io::Result<bool> {
    let is_full = ring.want_room(packet).map_err(lie)?;
    Ok(is_full || !has_descriptor_room(ring, descriptors as u64).map_err(lie)?)
}

/// Wakes the other end, which sleeps on the socket. A socket without room is a bell that rang.
pub(super) fn ring_bell(socket: &Socket) -> io::Result<()> {
    match socket.send_bytes(&control(Kind::Bell, 0, 0)) {
        Err(error) if error.kind() == io::ErrorKind::WouldBlock => Ok(()),
        sent => sent,
    }
}

pub(super) fn control(kind: Kind, descriptors: u16, id: u64) -> [u8; HEADER_BYTES] {
    Header { kind, form: Form::Whole, descriptors, length: 0, id }.encode()
}

fn no_room(error: NoRoom) -> io::Error {
    match error {
        // No connection's ring is closed.
        NoRoom::Now | NoRoom::Closed => io::ErrorKind::WouldBlock.into(),
        NoRoom::Lie(found) => lie(found),
    }
}

pub(super) fn lie(found: Lie) -> io::Error {
    ProtocolError::from(found).into()
}
