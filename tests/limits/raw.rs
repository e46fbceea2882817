//! A client by hand, which says what it likes.

use std::os::fd::OwnedFd;
use std::path::Path;

use rustix::io::Errno;
use rustix::net::{
    AddressFamily, RecvFlags, SendFlags, SocketAddrUnix, SocketFlags, SocketType, connect, recv, send,
    socket_with,
};

pub(crate) const CALL: u8 = 5;
pub(crate) const FAULT: u8 = 10;
pub(crate) const CANCEL: u8 = 16;

pub(crate) struct RawClient(OwnedFd);

impl RawClient {
    pub(crate) fn connect(path: &Path) -> Self {
        let socket = socket_with(AddressFamily::UNIX, SocketType::SEQPACKET, SocketFlags::CLOEXEC, None)
            .expect("a socket");
        connect(&socket, &SocketAddrUnix::new(path).expect("the path is short")).expect("somebody listens");
        Self(socket)
    }

    /// What it has connected.
    pub(crate) fn into_socket(self) -> OwnedFd {
        self.0
    }

    /// Sends a whole packet, after waiting for room: false where nobody is there any more.
    pub(crate) fn send(&self, kind: u8, id: u64, body: &[u8]) -> bool {
        let mut packet = vec![kind, 0, 0, 0];
        packet.extend((body.len() as u32).to_le_bytes());
        packet.extend(id.to_le_bytes());
        packet.extend(body);
        self.send_bytes(&packet)
    }

    /// The same with bytes that need not be a packet.
    pub(crate) fn send_bytes(&self, bytes: &[u8]) -> bool {
        match send(&self.0, bytes, SendFlags::NOSIGNAL) {
            Ok(_) => true,
            Err(Errno::PIPE | Errno::CONNRESET) => false,
            Err(error) => panic!("{error}"),
        }
    }

    /// Waits for the next packet: `None` where there is none any more.
    pub(crate) fn receive(&self) -> Option<Vec<u8>> {
        let mut bytes = vec![0; 1 << 17];
        loop {
            match recv(&self.0, &mut bytes[..], RecvFlags::empty()) {
                Ok((0, _)) => return None,
                Ok((length, _)) => return Some(bytes[..length].to_vec()),
                // What was sent before comes behind it.
                Err(Errno::CONNRESET) => {}
                Err(error) => panic!("{error}"),
            }
        }
    }
}
