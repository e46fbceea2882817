//! Packets by hand, and the service whose name is taken in vain.
#![allow(dead_code, reason = "each test binary uses its own part of this")]

use std::fs::File;
use std::io::IoSlice;
use std::os::fd::{AsRawFd, OwnedFd, RawFd};

use nix::errno::Errno;
use nix::sys::socket::{
    AddressFamily, ControlMessage, MsgFlags, Shutdown, SockFlag, SockType, UnixAddr, connect, recv, sendmsg,
    shutdown, socket, socketpair,
};
use unix_ipc::{Connection, Handle, ipc_service};

#[ipc_service]
pub(crate) trait Vault {
    fn double(&self, number: u64) -> u64;
    fn count(&self, files: Vec<Handle<File>>) -> usize;
    #[oneway]
    fn note(&self, text: &str);
}

pub(crate) struct Door;

impl Vault for Door {
    fn double(&self, number: u64) -> u64 {
        number.wrapping_mul(2)
    }

    fn count(&self, files: Vec<Handle<File>>) -> usize {
        files.len()
    }

    fn note(&self, _: &str) {}
}

/// Kind, id and body of each packet that came.
pub(crate) type Received = Vec<(u8, u64, Vec<u8>)>;

pub(crate) const VALUE: u8 = 1;
pub(crate) const HELLO: u8 = 2;
pub(crate) const CALL: u8 = 5;
pub(crate) const ONE_WAY: u8 = 6;
pub(crate) const REPLY: u8 = 7;
pub(crate) const FAILURE: u8 = 8;
pub(crate) const FORWARDED: u8 = 9;
pub(crate) const FAULT: u8 = 10;
pub(crate) const MARK: u8 = 18;

pub(crate) const FRAGMENT: u8 = 1;
pub(crate) const MEMORY: u8 = 2;

pub(crate) const CLIENT: u32 = 0;
pub(crate) const SERVER: u32 = 1;

/// A packet with its header in the open, so that each field can be wrong.
#[derive(Clone, Debug)]
pub(crate) struct Packet {
    pub(crate) kind: u8,
    pub(crate) form: u8,
    pub(crate) declared_descriptors: Option<u16>,
    pub(crate) declared_length: Option<u32>,
    pub(crate) id: u64,
    pub(crate) body: Vec<u8>,
    /// How many descriptors ride along.
    pub(crate) descriptors: usize,
}

pub(crate) fn packet(kind: u8, id: u64, body: impl Into<Vec<u8>>) -> Packet {
    Packet {
        kind,
        form: 0,
        declared_descriptors: None,
        declared_length: None,
        id,
        body: body.into(),
        descriptors: 0,
    }
}

impl Packet {
    pub(crate) fn with(self, descriptors: usize) -> Self {
        Self { descriptors, ..self }
    }

    pub(crate) fn bytes(&self) -> Vec<u8> {
        let count = self.declared_descriptors.unwrap_or(self.descriptors as u16);
        let length = self.declared_length.unwrap_or(self.body.len() as u32);
        let mut bytes = vec![self.kind, self.form];
        bytes.extend(count.to_le_bytes());
        bytes.extend(length.to_le_bytes());
        bytes.extend(self.id.to_le_bytes());
        bytes.extend(&self.body);
        bytes
    }
}

fn text(bytes: &mut Vec<u8>, text: &str) {
    bytes.extend((text.len() as u64).to_le_bytes());
    bytes.extend(text.as_bytes());
}

const METHODS: [[&str; 2]; 3] = [
    ["double", "double(number: u64) -> u64"],
    ["count", "count(files: Vec<Handle<File>>) -> usize"],
    ["note", "oneway note(text: String)"],
];

/// The body of an introduction.
pub(crate) fn introduction(version: u32, role: u32, service: &str) -> Vec<u8> {
    let mut bytes = b"unix-ipc".to_vec();
    bytes.extend(version.to_le_bytes());
    bytes.extend(role.to_le_bytes());
    text(&mut bytes, service);
    bytes.extend((METHODS.len() as u64).to_le_bytes());
    METHODS.as_flattened().iter().for_each(|part| text(&mut bytes, part));
    bytes.extend(0u64.to_le_bytes());
    bytes
}

pub(crate) fn hello(role: u32) -> Packet {
    packet(HELLO, 0, introduction(1, role, "Vault"))
}

/// The body of a call of `double`.
pub(crate) fn double(number: u64) -> Vec<u8> {
    let mut bytes = 0u32.to_le_bytes().to_vec();
    bytes.extend(number.to_le_bytes());
    bytes.extend(u32::MAX.to_le_bytes());
    bytes
}

/// The body of a call of `count` with handles at these places.
pub(crate) fn count(places: &[u32]) -> Vec<u8> {
    let mut bytes = 1u32.to_le_bytes().to_vec();
    bytes.extend((places.len() as u64).to_le_bytes());
    places.iter().for_each(|place| bytes.extend(place.to_le_bytes()));
    bytes.extend(u32::MAX.to_le_bytes());
    bytes
}

/// A piece of a long message.
pub(crate) fn piece(kind: u8, id: u64, offset: u32, total: u32, bytes: &[u8]) -> Packet {
    let mut body = 0u64.to_le_bytes().to_vec();
    body.extend(offset.to_le_bytes());
    body.extend(total.to_le_bytes());
    body.extend(bytes);
    Packet { form: FRAGMENT, ..packet(kind, id, body) }
}

/// One end of a socket, without the library.
pub(crate) struct Bare(pub(crate) OwnedFd);

impl Bare {
    /// A bare end, and the other as a connection.
    pub(crate) fn pair() -> (Self, Connection) {
        let flags = SockFlag::SOCK_CLOEXEC;
        let (one, other) =
            socketpair(AddressFamily::Unix, SockType::SeqPacket, None, flags).expect("a socketpair");
        (Self(one), other.into())
    }

    /// Sends a packet; false where the peer has hung up.
    pub(crate) fn send(&self, packet: &Packet) -> bool {
        self.send_bytes(&packet.bytes(), packet.descriptors)
    }

    pub(crate) fn send_bytes(&self, bytes: &[u8], descriptors: usize) -> bool {
        self.try_send(bytes, descriptors, MsgFlags::empty()).is_ok()
    }

    pub(crate) fn try_send(&self, bytes: &[u8], descriptors: usize, flags: MsgFlags) -> Result<(), Errno> {
        let null = File::open("/dev/null").expect("there is room for a descriptor");
        self.send_with(bytes, &vec![null.as_raw_fd(); descriptors], flags)
    }

    pub(crate) fn send_with(
        &self,
        bytes: &[u8],
        descriptors: &[RawFd],
        flags: MsgFlags,
    ) -> Result<(), Errno> {
        let rights = [ControlMessage::ScmRights(descriptors)];
        let control = if descriptors.is_empty() { &[][..] } else { &rights };
        let flags = flags | MsgFlags::MSG_NOSIGNAL;
        sendmsg::<()>(self.0.as_raw_fd(), &[IoSlice::new(bytes)], control, flags, None).map(drop)
    }

    /// Says that nothing more comes; what the peer says can still be read.
    pub(crate) fn finish(&self) {
        shutdown(self.0.as_raw_fd(), Shutdown::Write).expect("a socket can be shut down");
    }

    /// The next packet's kind, id and body; `None` at the end.
    pub(crate) fn receive(&self) -> Option<(u8, u64, Vec<u8>)> {
        let mut bytes = vec![0; 70_000];
        loop {
            match recv(self.0.as_raw_fd(), &mut bytes, MsgFlags::empty()) {
                Ok(0) => return None,
                Ok(length) => {
                    let id = bytes[8..16].try_into().expect("eight bytes");
                    return Some((bytes[0], u64::from_le_bytes(id), bytes[16..length].to_vec()));
                }
                // The peer's hang-up with something unread, ahead of what it sent.
                Err(Errno::ECONNRESET) => {}
                Err(errno) => panic!("{errno}"),
            }
        }
    }

    /// Everything until the peer hangs up.
    pub(crate) fn rest(&self) -> Received {
        std::iter::from_fn(|| self.receive()).collect()
    }
}

/// A bare end that has connected to a listener.
pub(crate) fn connect_bare(path: &str) -> Bare {
    let bare =
        socket(AddressFamily::Unix, SockType::SeqPacket, SockFlag::SOCK_CLOEXEC, None).expect("a socket");
    connect(bare.as_raw_fd(), &UnixAddr::new(path).expect("a short path")).expect("somebody listens");
    Bare(bare)
}
