use std::fs::File;
use std::io;
use std::os::fd::{AsFd, OwnedFd};
use std::os::unix::fs::FileExt;

use super::Message;
use super::incoming::{Broken, Found, Incoming};
#[cfg(feature = "macros")]
use super::inlet::{Inlet, Receiving};
use super::long_body::LongBody;
use super::unfinished::Unfinished;
use crate::error::{LimitExceeded, ProtocolError, RecvError};
use crate::frame::{self, Form, Fragment, Header};
#[cfg(feature = "macros")]
use crate::frame::{FRAGMENT_BYTES, HEADER_BYTES, Kind, PACKET_BYTES};
use crate::limits::Limits;
use crate::socket::Socket;
use crate::sys::memory;
use crate::sys::receive::{Credentials, Received, Wait};

/// The packets that one look takes at most, so that a peer that only sends pieces holds nobody up.
const PACKETS_AT_ONCE: usize = 64;

/// Makes whole messages out of packets.
#[derive(Debug)]
pub(crate) struct Inbox {
    unfinished: Vec<Unfinished>,
    most_unfinished: usize,
    limits: Limits,
    /// Who sent the packet that was read last, where packets say so.
    sender: Option<Credentials>,
    /// Where packets come from, once it is not the socket alone.
    #[cfg(feature = "macros")]
    inlet: Option<Box<Inlet>>,
    #[cfg(feature = "macros")]
    pending_ring: Option<Box<Receiving>>,
}

impl Inbox {
    /// An inbox that keeps so many long messages half received at once.
    pub(crate) fn new(limits: Limits, most_unfinished: usize) -> Self {
        Self {
            unfinished: Vec::new(),
            most_unfinished,
            limits,
            sender: None,
            #[cfg(feature = "macros")]
            inlet: None,
            #[cfg(feature = "macros")]
            pending_ring: None,
        }
    }

    /// The same for what comes from now on.
    pub(super) fn set_limits(&mut self, limits: Limits) {
        self.most_unfinished = limits.unfinished_messages;
        self.limits = limits;
    }

    #[cfg(feature = "macros")]
    pub(crate) fn limits(&self) -> Limits {
        self.limits
    }

    /// Whether a message is half received whose rest may still come.
    #[cfg(feature = "serde")]
    pub(crate) fn is_in_a_message(&mut self) -> bool {
        self.unfinished.retain(|unfinished| !unfinished.sender_is_gone());
        !self.unfinished.is_empty()
    }

    /// Packets come over the socket alone from now on.
    #[cfg(feature = "macros")]
    pub(crate) fn receive_over_socket(&mut self) {
        self.inlet = None;
        self.pending_ring = None;
    }

    /// Packets come through a ring from now on.
    #[cfg(feature = "macros")]
    pub(crate) fn receive_through(&mut self, ring: Receiving) {
        self.inlet = Some(Box::new(Inlet::new(ring, self.limits.spin)));
    }

    /// Where packets come from, once it is not the socket alone.
    #[cfg(feature = "macros")]
    #[inline]
    pub(crate) fn inlet(&mut self) -> Option<&mut Inlet> {
        self.inlet.as_deref_mut()
    }

    /// Where packets will come from when the other end says so.
    #[cfg(feature = "macros")]
    pub(crate) fn pending_ring(&mut self) -> &mut Option<Box<Receiving>> {
        &mut self.pending_ring
    }

    /// Who sent the packet that was read last.
    #[cfg(feature = "macros")]
    pub(crate) fn take_sender(&mut self) -> Option<Credentials> {
        self.sender.take()
    }

    /// How many descriptors the next packet says that it carries, as far as can be seen: `None` where the socket has none.
    #[cfg(feature = "macros")]
    pub(crate) fn next_descriptors(&self, socket: &Socket) -> Option<usize> {
        let start = match &self.inlet {
            Some(inlet) => inlet.peek().and_then(|start| start.first_chunk().copied()),
            None => match socket.peek_start() {
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => return None,
                start => start.ok().flatten(),
            },
        };
        Some(start.map_or(0, frame::descriptors_of_start))
    }

    /// Reads packets until a message is whole or none is left, without waiting or waiting for each.
    #[inline]
    pub(crate) fn receive(&mut self, socket: &Socket, wait: Wait) -> Result<Incoming, Broken> {
        for _ in 0..PACKETS_AT_ONCE {
            match self.receive_packet(socket, wait)? {
                Incoming::Piece => {}
                other => return Ok(other),
            }
        }
        Ok(Incoming::Piece)
    }

    /// Whether the other end may have cancelled already what it sent before. A ring says so; of what is in the socket nothing is
    /// known.
    #[cfg(feature = "macros")]
    #[inline]
    pub(crate) fn may_hold_cancels(&self) -> bool {
        self.inlet.as_ref().is_none_or(|inlet| inlet.has_cancels())
    }

    /// The same for what is in the ring: where there is none, or nothing in it, that costs no system call.
    #[cfg(feature = "macros")]
    #[inline]
    pub(crate) fn receive_at_hand(&mut self, socket: &Socket) -> Result<Incoming, Broken> {
        for _ in 0..PACKETS_AT_ONCE {
            if !self.inlet.as_ref().is_some_and(|inlet| inlet.has_something()) {
                return Ok(Incoming::Nothing);
            }
            match self.receive_packet(socket, Wait::No)? {
                Incoming::Piece => {}
                other => return Ok(other),
            }
        }
        Ok(Incoming::Piece)
    }

    #[inline]
    pub(super) fn receive_packet(&mut self, socket: &Socket, wait: Wait) -> Result<Incoming, Broken> {
        #[cfg(feature = "macros")]
        if !self.unfinished.is_empty()
            && let Some(taken) = self.take_piece(socket)
        {
            return taken;
        }
        let mut message = Message::room();
        let (packet, length) = message.body.packet().ok_or(ProtocolError::LongPacket)?;
        #[cfg(feature = "macros")]
        if let Some(inlet) = &mut self.inlet {
            *length = inlet.receive_short(packet, socket, wait);
            if *length > 0 {
                return self.accept_short(message);
            }
        }
        let received = match self.next_packet(packet, socket, wait)? {
            Found::Packet(received) => received,
            Found::Nothing => return Ok(Incoming::Nothing),
            #[cfg(feature = "macros")]
            Found::Bell => return Ok(Incoming::Rung),
            Found::End => return Ok(Incoming::End),
        };
        *length = received.bytes;
        self.accept(message, received)
    }

    /// Takes the next piece of a long message out of the ring, straight to where it belongs. `None`, and nothing done, where
    /// what comes next is anything else.
    #[cfg(feature = "macros")]
    fn take_piece(&mut self, socket: &Socket) -> Option<Result<Incoming, Broken>> {
        let inlet = self.inlet.as_mut()?;
        let start = inlet.peek()?;
        let (header, place) = start.split_first_chunk()?;
        let (header, place) =
            (Header::decode_alone(header).ok()?, Fragment::decode_alone(place.first_chunk()?));
        let piece = (header.length as usize).checked_sub(FRAGMENT_BYTES)?;
        if piece == 0 || piece > PACKET_BYTES - HEADER_BYTES - FRAGMENT_BYTES {
            return None;
        }
        let index = self.unfinished.iter().position(|unfinished| unfinished.continues(&header, place))?;
        let unfinished = self.unfinished.get_mut(index)?;
        let room = unfinished.body.room_for(piece)?;
        if let Err(lie) = inlet.take_peeked(HEADER_BYTES + FRAGMENT_BYTES + piece, room, socket) {
            return Some(Err(lie.into()));
        }
        unfinished.body.count(piece);
        if !unfinished.body.is_whole() {
            return Some(Ok(Incoming::Piece));
        }
        let body = self.unfinished.remove(index).body;
        Some(self.whole(&header, Message::value(body)))
    }

    #[inline]
    fn next_packet(&mut self, packet: &mut [u8], socket: &Socket, wait: Wait) -> Result<Found, RecvError> {
        #[cfg(feature = "macros")]
        if let Some(inlet) = &mut self.inlet {
            return inlet.receive(packet, socket, wait);
        }
        match socket.receive(packet, wait) {
            Ok(Some(received)) => Ok(Found::Packet(received)),
            Ok(None) => Ok(Found::End),
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => Ok(Found::Nothing),
            Err(error) => Err(error.into()),
        }
    }

    /// Accepts a short message out of the ring, which is whole and has nothing beside it.
    #[cfg(feature = "macros")]
    #[inline]
    fn accept_short(&mut self, message: Message) -> Result<Incoming, Broken> {
        let (header, _) = Header::decode(message.body.whole_packet())?;
        self.whole(&header, message)
    }

    /// Accepts the packet in a message's room.
    pub(super) fn accept(&mut self, mut message: Message, received: Received) -> Result<Incoming, Broken> {
        if received.cut {
            return Err(ProtocolError::LongPacket.into());
        }
        self.sender = received.sender;
        let (header, body) = Header::decode(message.body.whole_packet())?;
        let process =
            received.sender.and_then(|sender| u32::try_from(sender.pid).ok().filter(|pid| *pid > 0));
        let riding = riding(&header, received);
        match header.form {
            Form::Whole => {
                message.descriptors = riding?;
                self.whole(&header, message)
            }
            Form::Memory => self.in_memory(&header, body, riding?),
            Form::Fragment | Form::Head => match riding
                .and_then(|riding| Ok((riding, Fragment::decode(body)?)))
            {
                Ok((riding, (place, piece))) => self.fragment(&header, place, piece, riding, process),
                Err(broken) => {
                    // Without this piece its message can never be whole.
                    self.unfinished.retain(|unfinished| Some(unfinished.stream) != Fragment::stream(body));
                    Err(broken)
                }
            },
        }
    }

    /// Has a message be what its header says, if it is within the limits.
    #[inline]
    fn whole(&mut self, header: &Header, mut message: Message) -> Result<Incoming, Broken> {
        let allowed = self.limits.check(message.body.len() as u64, message.descriptors.len());
        allowed.map_err(|limit| Broken::about(header, limit))?;
        (message.kind, message.id) = (header.kind, header.id);
        #[cfg(feature = "macros")]
        {
            message.may_be_cancelled =
                matches!(header.kind, Kind::Call | Kind::TimedCall) && self.may_hold_cancels();
            if header.kind == Kind::Cancel
                && let Some(inlet) = &mut self.inlet
            {
                inlet.count_cancel();
            }
        }
        Ok(Incoming::Message(message))
    }

    fn in_memory(
        &mut self,
        header: &Header,
        body: &[u8],
        mut descriptors: Vec<OwnedFd>,
    ) -> Result<Incoming, Broken> {
        let length = frame::decode_memory_length(body)?;
        self.check_bytes(header, length)?;
        if descriptors.is_empty() {
            return Err(ProtocolError::MemoryFile.into());
        }
        let file = descriptors.remove(0);
        // Sealed, so it stays as long as it is now; it is copied out before anything looks at it.
        if memory::sealed_len(file.as_fd()).ok() != Some(length) {
            return Err(Broken::about(header, ProtocolError::MemoryFile));
        }
        let length = usize::try_from(length).map_err(|_| ProtocolError::MemoryFile)?;
        let mut bytes = vec![0; length];
        File::from(file).read_exact_at(&mut bytes, 0).map_err(|error| Broken::about(header, error))?;
        self.whole(header, Message::new(bytes, descriptors))
    }

    fn fragment(
        &mut self,
        header: &Header,
        place: Fragment,
        piece: &[u8],
        descriptors: Vec<OwnedFd>,
        process: Option<u32>,
    ) -> Result<Incoming, Broken> {
        let allowed = if place.offset == 0 { self.begin(header, place, process) } else { Ok(()) };
        let found = self.unfinished.iter().position(|unfinished| unfinished.stream == place.stream);
        let Some(index) = found else {
            return Err(ProtocolError::Fragment { offset: place.offset.into(), expected: 0 }.into());
        };
        let mut unfinished = self.unfinished.remove(index);
        unfinished.push(header, place, piece)?;
        let is_whole = unfinished.body.is_whole();
        if !is_whole && !descriptors.is_empty() {
            // They ride on the last piece alone; these are closed here.
            return Err(ProtocolError::DescriptorCount { declared: 0, actual: descriptors.len() }.into());
        }
        if is_whole && !unfinished.refused {
            return self.whole(header, Message::new(unfinished.body, descriptors));
        }
        if !is_whole {
            self.unfinished.insert(index, unfinished);
        }
        allowed.map(|()| Incoming::Piece)
    }

    /// Makes room for a new long message, which ends the sender's earlier one if it never finished it.
    ///
    /// A refused one has its place too, so that the rest of it can be told from nonsense.
    fn begin(&mut self, header: &Header, place: Fragment, process: Option<u32>) -> Result<(), Broken> {
        self.unfinished.retain(|unfinished| unfinished.stream != place.stream);
        let allowed =
            self.check_bytes(header, place.total.into()).and_then(|()| self.check_unfinished(header));
        let refused = allowed.is_err();
        #[cfg(feature = "macros")]
        if let Some(inlet) = self.inlet.as_mut().filter(|_| !refused) {
            inlet.let_grow_for(place.total as usize);
        }
        if refused && self.count(refused) >= self.most_unfinished {
            let oldest = self.unfinished.iter().position(|unfinished| unfinished.refused);
            oldest.map(|index| self.unfinished.remove(index));
        }
        self.unfinished.push(Unfinished {
            stream: place.stream,
            kind: header.kind,
            id: header.id,
            body: LongBody::new(place.total),
            refused,
            process,
        });
        allowed
    }

    /// How many messages are half received, and how much memory they have.
    #[cfg(all(any(fuzzing, test), feature = "macros"))]
    pub(super) fn held(&self) -> (usize, usize) {
        let bytes = self.unfinished.iter().map(|unfinished| unfinished.body.held_bytes());
        (self.count(false), bytes.sum())
    }

    fn count(&self, refused: bool) -> usize {
        self.unfinished.iter().filter(|unfinished| unfinished.refused == refused).count()
    }

    fn check_unfinished(&mut self, header: &Header) -> Result<(), Broken> {
        if self.count(false) < self.most_unfinished {
            return Ok(());
        }
        self.unfinished.retain(|unfinished| !unfinished.sender_is_gone());
        if self.count(false) < self.most_unfinished {
            return Ok(());
        }
        let limit = self.most_unfinished as u64;
        Err(Broken::about(header, LimitExceeded::UnfinishedMessages { limit }))
    }

    fn check_bytes(&self, header: &Header, actual: u64) -> Result<(), Broken> {
        self.limits.check_bytes(actual).map_err(|limit| Broken::about(header, limit))
    }
}

/// The descriptors that came with a packet, which are all that its header says.
#[inline]
fn riding(header: &Header, received: Received) -> Result<Vec<OwnedFd>, Broken> {
    if received.descriptors_lost {
        return Err(Broken::about(header, LimitExceeded::DescriptorTable));
    }
    let (declared, actual) = (header.descriptors.into(), received.descriptors.len());
    if declared != actual {
        return Err(ProtocolError::DescriptorCount { declared, actual }.into());
    }
    Ok(received.descriptors)
}
