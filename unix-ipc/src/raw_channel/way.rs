//! Where packets go: over the socket, and through a ring where there is one.

use std::io::{self, IoSlice};
use std::os::fd::{AsFd, BorrowedFd};

use super::outgoing::Packet;
#[cfg(feature = "macros")]
use super::outlet::{self, Sending};
use crate::frame::{FRAGMENT_BYTES, HEADER_BYTES, PACKET_BYTES};
use crate::socket::Socket;

/// The most bytes of a piece that is copied behind its header.
const SMALL_BYTES: usize = 256;

/// Where the packets of one end go.
#[derive(Debug)]
pub(crate) enum Way<'a> {
    Socket(&'a Socket),
    #[cfg(feature = "macros")]
    Ring(&'a mut Sending, &'a Socket),
}

impl<'a> From<&'a Socket> for Way<'a> {
    fn from(socket: &'a Socket) -> Self {
        Self::Socket(socket)
    }
}

impl Way<'_> {
    /// The longest packet.
    #[inline]
    pub(super) fn longest(&self) -> usize {
        match self {
            Self::Socket(_) => PACKET_BYTES,
            #[cfg(feature = "macros")]
            Self::Ring(ring, _) => ring.longest().min(PACKET_BYTES),
        }
    }

    /// A message of so many bytes is about to be sent.
    #[cfg(feature = "macros")]
    pub(super) fn grow_for(&mut self, message: usize) -> io::Result<()> {
        match self {
            Self::Socket(_) => Ok(()),
            Self::Ring(ring, _) => ring.grow_for(message).map_err(outlet::lie),
        }
    }

    /// Sends one packet, or nothing: `WouldBlock` where there is no room now.
    #[inline]
    pub(super) fn send<D: AsFd>(&mut self, packet: &Packet<'_>, descriptors: &[D]) -> io::Result<()> {
        match self {
            Self::Socket(socket) => send_over(socket, packet, descriptors),
            #[cfg(feature = "macros")]
            Self::Ring(ring, socket) => outlet::send_through(ring, socket, packet, descriptors),
        }
    }
}

#[inline]
fn send_over<D: AsFd>(socket: &Socket, packet: &Packet<'_>, descriptors: &[D]) -> io::Result<()> {
    let Packet { header, place, piece, named } = *packet;
    if descriptors.is_empty() && !named && piece.len() <= SMALL_BYTES {
        return send_small(socket, header, place, piece);
    }
    let descriptors: Vec<BorrowedFd<'_>> = descriptors.iter().map(AsFd::as_fd).collect();
    let parts = [IoSlice::new(header), IoSlice::new(place), IoSlice::new(piece)];
    if named { socket.send_with_credentials(&parts, &descriptors) } else { socket.send(&parts, &descriptors) }
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
