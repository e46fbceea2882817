use std::io::{self, IoSlice};
use std::os::fd::{AsFd, BorrowedFd};

use nix::errno::Errno;

use crate::error::LimitExceeded;
use crate::frame::{FRAGMENT_BYTES, Form, Fragment, HEADER_BYTES, Header, Kind, MEMORY_BYTES, PACKET_BYTES};
use crate::limits::KERNEL_DESCRIPTORS;
use crate::socket::Socket;
use crate::sys::memory;

/// The most bytes of a piece that is copied behind its header.
const SMALL_BYTES: usize = 256;

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
    pub(crate) fn is_long(&self, body: &[u8]) -> bool {
        body.len() > self.packet_bytes - HEADER_BYTES
    }

    /// Sends the next packet: `WouldBlock` where there is no room now, and nothing is lost.
    ///
    /// A message that turns out to be long is [`Progress::More`] before anything of it has left: its
    /// sender needs the way to itself first.
    #[inline]
    pub(crate) fn send_packet<D: AsFd>(
        &mut self,
        socket: &Socket,
        body: &[u8],
        descriptors: &[D],
    ) -> io::Result<Progress> {
        loop {
            match self.try_packet(socket, body, descriptors) {
                Err(error) if is_too_large(&error) && self.packet_bytes > SMALLEST_PACKET => {
                    let was_long = self.is_long(body);
                    self.packet_bytes /= 2;
                    if !was_long && self.is_long(body) {
                        return Ok(Progress::More);
                    }
                }
                result => return result,
            }
        }
    }

    #[inline]
    fn try_packet<D: AsFd>(
        &mut self,
        socket: &Socket,
        body: &[u8],
        descriptors: &[D],
    ) -> io::Result<Progress> {
        if self.sent == 0 && !self.is_long(body) {
            self.put(socket, Form::Whole, &[], body, descriptors)?;
            return Ok(Progress::Done);
        }
        let piece = &body[self.sent..];
        let piece = &piece[..piece.len().min(self.packet_bytes - HEADER_BYTES - FRAGMENT_BYTES)];
        let place = Fragment {
            stream: self.stream,
            offset: wire_length(self.sent)?,
            total: wire_length(body.len())?,
        };
        let is_last = self.sent + piece.len() == body.len();
        let riding = if is_last { descriptors } else { &[] };
        self.put(socket, Form::Fragment, &place.encode(), piece, riding)?;
        self.sent += piece.len();
        Ok(if is_last { Progress::Done } else { Progress::More })
    }

    #[inline]
    fn put<D: AsFd>(
        &self,
        socket: &Socket,
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
        let header = header.encode();
        if descriptors.is_empty() && !self.named && piece.len() <= SMALL_BYTES {
            return send_small(socket, &header, place, piece);
        }
        let descriptors: Vec<BorrowedFd<'_>> = descriptors.iter().map(AsFd::as_fd).collect();
        let parts = [IoSlice::new(&header), IoSlice::new(place), IoSlice::new(piece)];
        if self.named && self.sent == 0 {
            return socket.send_with_credentials(&parts, &descriptors);
        }
        socket.send(&parts, &descriptors)
    }
}

/// Sends a small packet from one place: for a few bytes that costs less than telling the kernel of three.
#[inline]
fn send_small(socket: &Socket, header: &[u8], place: &[u8], piece: &[u8]) -> io::Result<()> {
    /// To clear room for the longest small packet costs more than to copy a short one into it.
    const SHORT: usize = 64;
    let mut short = [0; SHORT];
    let mut long;
    let mut end = 0;
    let packet: &mut [u8] = if header.len() + place.len() + piece.len() <= SHORT {
        &mut short
    } else {
        long = [0; HEADER_BYTES + FRAGMENT_BYTES + SMALL_BYTES];
        &mut long
    };
    for part in [header, place, piece] {
        packet[end..end + part.len()].copy_from_slice(part);
        end += part.len();
    }
    socket.send_bytes(&packet[..end])
}

/// Sends a message whole or not at all: `WouldBlock` where there is no room now, and where the message is long and
/// the process may not make the memory file that it travels in.
pub(crate) fn send_at_once<D: AsFd>(
    socket: &Socket,
    (kind, id): (Kind, u64),
    body: &[u8],
    descriptors: &[D],
) -> io::Result<()> {
    let mut message = Outgoing::new(kind, id, 0);
    let is_sent = !message.is_long(body) && message.send_packet(socket, body, descriptors)? == Progress::Done;
    if is_sent { Ok(()) } else { send_in_memory(socket, (kind, id), body, descriptors) }
}

/// Sends a message as one packet: its bytes are in a memory file, the first of its descriptors.
fn send_in_memory<D: AsFd>(
    socket: &Socket,
    (kind, id): (Kind, u64),
    body: &[u8],
    descriptors: &[D],
) -> io::Result<()> {
    let (actual, limit) = (descriptors.len() as u64 + 1, KERNEL_DESCRIPTORS as u64);
    if actual > limit {
        return Err(LimitExceeded::Descriptors { actual, limit }.into());
    }
    let Ok(file) = memory::sealed_copy(body) else { return Err(io::ErrorKind::WouldBlock.into()) };
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
    socket.send(&[IoSlice::new(&header.encode()), IoSlice::new(&length)], &riding)
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
