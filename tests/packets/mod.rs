//! Packets written by hand, as a hostile or broken peer writes them.
#![allow(dead_code, reason = "each test binary uses its own part of this")]

use std::io::IoSlice;
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, RawFd};

use nix::sys::socket::{ControlMessage, MsgFlags, sendmsg};

pub(crate) const VALUE: u8 = 1;
pub(crate) const WHOLE: u8 = 0;
pub(crate) const FRAGMENT: u8 = 1;
pub(crate) const MEMORY: u8 = 2;
pub(crate) const HEAD: u8 = 3;

/// The sixteen bytes in front of every packet.
pub(crate) struct Header {
    pub(crate) kind: u8,
    pub(crate) form: u8,
    pub(crate) descriptors: u16,
    pub(crate) length: u32,
    pub(crate) id: u64,
}

impl Header {
    pub(crate) const fn of(form: u8, length: u32) -> Self {
        Self { kind: VALUE, form, descriptors: 0, length, id: 0 }
    }

    pub(crate) fn packet(&self, body: &[u8]) -> Vec<u8> {
        let mut packet = vec![self.kind, self.form];
        packet.extend(self.descriptors.to_le_bytes());
        packet.extend(self.length.to_le_bytes());
        packet.extend(self.id.to_le_bytes());
        packet.extend(body);
        packet
    }
}

/// A sound packet of one form, with a count of descriptors.
pub(crate) fn packet(form: u8, descriptors: u16, body: &[u8]) -> Vec<u8> {
    let length = u32::try_from(body.len()).unwrap();
    Header { descriptors, ..Header::of(form, length) }.packet(body)
}

/// A piece of a long message.
pub(crate) fn fragment(stream: u64, offset: u32, total: u32, piece: &[u8]) -> Vec<u8> {
    packet(FRAGMENT, 0, &fragment_body(stream, offset, total, piece))
}

pub(crate) fn fragment_body(stream: u64, offset: u32, total: u32, piece: &[u8]) -> Vec<u8> {
    let mut body = stream.to_le_bytes().to_vec();
    body.extend(offset.to_le_bytes());
    body.extend(total.to_le_bytes());
    body.extend(piece);
    body
}

/// Sends one packet past the library, and says whether there was room for it.
pub(crate) fn try_write(socket: impl AsFd, packet: &[u8], descriptors: &[BorrowedFd<'_>]) -> bool {
    let numbers: Vec<RawFd> = descriptors.iter().map(AsRawFd::as_raw_fd).collect();
    let rights = [ControlMessage::ScmRights(&numbers)];
    let control: &[ControlMessage<'_>] = if numbers.is_empty() { &[] } else { &rights };
    let flags = MsgFlags::MSG_NOSIGNAL | MsgFlags::MSG_DONTWAIT;
    sendmsg::<()>(socket.as_fd().as_raw_fd(), &[IoSlice::new(packet)], control, flags, None).is_ok()
}

/// Sends one packet past the library.
#[track_caller]
pub(crate) fn write(socket: impl AsFd, packet: &[u8], descriptors: &[BorrowedFd<'_>]) {
    assert!(try_write(socket, packet, descriptors), "the packet is sent");
}
