use std::io;
use std::os::fd::AsFd;

use nix::errno::Errno;

use super::Parts;
use super::way::Way;
use crate::error::LimitExceeded;
use crate::frame::{FRAGMENT_BYTES, Form, Fragment, HEADER_BYTES, Header, Kind, MEMORY_BYTES, PACKET_BYTES};
use crate::limits::KERNEL_DESCRIPTORS;
use crate::sys::memory;

/// No packet is made smaller than this to fit a small socket buffer.
const SMALLEST_PACKET: usize = 1 << 10;

/// A message on its way out: how much of it the kernel has.
///
/// A short one is one packet. A longer one is several, and its descriptors ride on the last, whose
/// place is the message's place in the order.
#[derive(Debug)]
pub(crate) struct Outgoing {
    kind: Kind,
    id: u64,
    stream: u64,
    sent: usize,
    packet_bytes: usize,
    named: bool,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Progress {
    /// There is more to send.
    More,
    /// The kernel has the whole message.
    Done,
}

impl Outgoing {
    /// A message that starts; `stream` tells a sender's long messages from those of others.
    #[inline]
    pub(crate) fn new(kind: Kind, id: u64, stream: u64) -> Self {
        Self { kind, id, stream, sent: 0, packet_bytes: PACKET_BYTES, named: false }
    }

    /// The same, with the sending process named by the kernel on the first packet.
    #[cfg(feature = "macros")]
    pub(crate) fn named(self) -> Self {
        Self { named: true, ..self }
    }

    /// Whether a body needs more than one packet, as far as is known: [`send_packet`](Self::send_packet) may
    /// find that it does.
    #[inline]
    pub(crate) fn is_long(&self, body: Parts<'_>) -> bool {
        body.in_one_place().is_none_or(|bytes| bytes.len() > self.packet_bytes - HEADER_BYTES)
    }

    /// Sends the next packet: `WouldBlock` where there is no room now, and nothing is lost.
    ///
    /// A message that turns out to be long is [`Progress::More`] before anything of it has left: its
    /// sender needs the way to itself first.
    #[inline]
    pub(crate) fn send_packet<D: AsFd>(
        &mut self,
        way: &mut Way<'_>,
        body: Parts<'_>,
        descriptors: &[D],
    ) -> io::Result<Progress> {
        let longest = way.longest().min(self.packet_bytes);
        if let Some(bytes) = self.whole(longest, body) {
            match self.put(way, Form::Whole, &[], bytes, descriptors) {
                Ok(()) => return Ok(Progress::Done),
                Err(error) if is_too_large(&error) => {}
                Err(error) => return Err(error),
            }
        }
        self.send_long(way, body, descriptors)
    }

    /// The same for a message that is long, or too long for what the socket has room for.
    #[cold]
    fn send_long<D: AsFd>(
        &mut self,
        way: &mut Way<'_>,
        body: Parts<'_>,
        descriptors: &[D],
    ) -> io::Result<Progress> {
        #[cfg(feature = "macros")]
        way.grow_for(body.len())?;
        let longest = way.longest();
        if self.packet_bytes > longest && self.becomes_long(longest, body) {
            return Ok(Progress::More);
        }
        loop {
            match self.try_packet(way, body, descriptors) {
                Err(error) if is_too_large(&error) && self.packet_bytes > SMALLEST_PACKET => {
                    if self.becomes_long(self.packet_bytes / 2, body) {
                        return Ok(Progress::More);
                    }
                }
                result => return result,
            }
        }
    }

    /// Makes packets shorter: true where the message needs several from now on and has not begun.
    fn becomes_long(&mut self, packet_bytes: usize, body: Parts<'_>) -> bool {
        let was_long = self.is_long(body);
        self.packet_bytes = packet_bytes;
        !was_long && self.is_long(body)
    }

    fn try_packet<D: AsFd>(
        &mut self,
        way: &mut Way<'_>,
        body: Parts<'_>,
        descriptors: &[D],
    ) -> io::Result<Progress> {
        if let Some(bytes) = self.whole(self.packet_bytes, body) {
            self.put(way, Form::Whole, &[], bytes, descriptors)?;
            return Ok(Progress::Done);
        }
        let piece = self.next_piece(self.packet_bytes, body);
        let place = Fragment {
            stream: self.stream,
            offset: wire_length(self.sent)?,
            total: wire_length(body.len())?,
        };
        let is_head = self.sent == 0 && body.block_start() == Some(piece.len());
        let form = if is_head { Form::Head } else { Form::Fragment };
        let is_last = self.sent + piece.len() == body.len();
        let riding = if is_last { descriptors } else { &[] };
        self.put(way, form, &place.encode(), piece, riding)?;
        self.sent += piece.len();
        Ok(if is_last { Progress::Done } else { Progress::More })
    }

    /// The bytes of a message that has not begun and fits a packet of at most so many bytes.
    #[inline]
    pub(super) fn whole<'b>(&self, longest: usize, body: Parts<'b>) -> Option<&'b [u8]> {
        let fits = |bytes: &&[u8]| self.sent == 0 && bytes.len() <= longest - HEADER_BYTES;
        body.in_one_place().filter(fits)
    }

    /// The next piece of a long message, in packets of at most so many bytes.
    fn next_piece<'b>(&self, longest: usize, body: Parts<'b>) -> &'b [u8] {
        let rest = body.rest_from(self.sent);
        &rest[..rest.len().min(longest - HEADER_BYTES - FRAGMENT_BYTES)]
    }

    #[inline]
    fn put<D: AsFd>(
        &self,
        way: &mut Way<'_>,
        form: Form,
        place: &[u8],
        piece: &[u8],
        descriptors: &[D],
    ) -> io::Result<()> {
        let header = Header {
            kind: self.kind,
            form,
            descriptors: u16::try_from(descriptors.len()).map_err(|_| io::Error::from(Errno::EINVAL))?,
            length: wire_length(place.len() + piece.len())?,
            id: self.id,
        };
        let named = self.named && self.sent == 0;
        way.send(&Packet { header: &header.encode(), place, piece, named }, descriptors)
    }

    /// How many bytes have not been sent.
    #[cfg(feature = "macros")]
    pub(crate) fn left(&self, body: Parts<'_>) -> usize {
        body.len().saturating_sub(self.sent)
    }

    /// How long the next packet is where none is longer than so much, and how many descriptors ride on it.
    #[cfg(feature = "macros")]
    pub(super) fn next_packet(&self, longest: usize, body: Parts<'_>, descriptors: usize) -> (usize, usize) {
        let longest = longest.min(self.packet_bytes);
        if let Some(bytes) = self.whole(longest, body) {
            return (HEADER_BYTES + bytes.len(), descriptors);
        }
        let piece = self.next_piece(longest, body).len();
        let is_last = self.sent + piece == body.len();
        (HEADER_BYTES + FRAGMENT_BYTES + piece, if is_last { descriptors } else { 0 })
    }
}

/// A packet on its way out, as what it is made of.
#[derive(Clone, Copy, Debug)]
pub(super) struct Packet<'a> {
    pub(super) header: &'a [u8; HEADER_BYTES],
    /// Where the piece belongs in a long message; else nothing.
    pub(super) place: &'a [u8],
    pub(super) piece: &'a [u8],
    /// Whether the kernel names the sending process.
    pub(super) named: bool,
}

#[cfg(feature = "macros")]
impl Packet<'_> {
    pub(super) fn len(&self) -> usize {
        self.header.len() + self.place.len() + self.piece.len()
    }
}

/// Sends a message whole or not at all: `WouldBlock` where there is no room now, and where the message is long and
/// the process may not make the memory file that it travels in.
pub(crate) fn send_at_once<D: AsFd>(
    way: &mut Way<'_>,
    (kind, id): (Kind, u64),
    body: Parts<'_>,
    descriptors: &[D],
) -> io::Result<()> {
    let mut message = Outgoing::new(kind, id, 0);
    let is_sent = !message.is_long(body) && message.send_packet(way, body, descriptors)? == Progress::Done;
    if is_sent { Ok(()) } else { send_in_memory(way, (kind, id), body, descriptors) }
}

/// Sends a message as one packet: its bytes are in a memory file, the first of its descriptors.
fn send_in_memory<D: AsFd>(
    way: &mut Way<'_>,
    (kind, id): (Kind, u64),
    body: Parts<'_>,
    descriptors: &[D],
) -> io::Result<()> {
    let (actual, limit) = (descriptors.len() as u64 + 1, KERNEL_DESCRIPTORS as u64);
    if actual > limit {
        return Err(LimitExceeded::Descriptors { actual, limit }.into());
    }
    let Ok(file) = memory::sealed_copy(&body.all()) else { return Err(io::ErrorKind::WouldBlock.into()) };
    let mut riding = vec![file.as_fd()];
    riding.extend(descriptors.iter().map(AsFd::as_fd));
    let header = Header {
        kind,
        form: Form::Memory,
        descriptors: u16::try_from(riding.len()).unwrap_or(u16::MAX),
        length: MEMORY_BYTES as u32,
        id,
    };
    let length = (body.len() as u64).to_le_bytes();
    let packet = Packet { header: &header.encode(), place: &[], piece: &length, named: false };
    way.send(&packet, &riding)
}

/// A length as the wire has it. Limits keep messages below 4 GiB, so this fails only for a bug.
pub(super) fn wire_length(length: usize) -> io::Result<u32> {
    u32::try_from(length).map_err(|_| io::Error::from(Errno::EMSGSIZE))
}

/// Whether the packet did not fit the socket's buffer, or the kernel found no pages in a row for it.
fn is_too_large(error: &io::Error) -> bool {
    matches!(error.raw_os_error().map(Errno::from_raw), Some(Errno::EMSGSIZE | Errno::ENOBUFS))
}

/// The limit behind a failed send, if it was one.
pub(crate) fn refusal(error: &io::Error) -> Option<LimitExceeded> {
    if error.raw_os_error() == Some(Errno::ETOOMANYREFS as i32) {
        return Some(LimitExceeded::DescriptorsInFlight);
    }
    error.get_ref()?.downcast_ref().copied()
}
