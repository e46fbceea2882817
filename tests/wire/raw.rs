//! The other end of a socket, by hand.

use std::io::{IoSlice, IoSliceMut};
use std::mem::MaybeUninit;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::path::Path;

use rustix::event::{PollFd, PollFlags, poll};
use rustix::net::{
    AddressFamily, RecvAncillaryBuffer, RecvAncillaryMessage, RecvFlags, SendAncillaryBuffer,
    SendAncillaryMessage, SendFlags, Shutdown, SocketAddrUnix, SocketFlags, SocketType, connect, recvmsg,
    send, sendmsg, shutdown, socket_with, socketpair, sockopt,
};

use crate::vectors::{assert_is, filled, vector};

/// An end that sends and receives the packets of `WIRE.md` and nothing else.
#[derive(Debug)]
pub(crate) struct Raw(OwnedFd);

/// What came: its bytes, its descriptors, and the process that it names.
struct Packet {
    bytes: Vec<u8>,
    descriptors: Vec<OwnedFd>,
    sender: Option<u32>,
}

impl Raw {
    /// This end, and the one for the library.
    pub(crate) fn pair() -> (Self, OwnedFd) {
        let (ours, theirs) =
            socketpair(AddressFamily::UNIX, SocketType::SEQPACKET, SocketFlags::CLOEXEC, None)
                .expect("a pair");
        (Self(ours), theirs)
    }

    /// An end that has connected to a listener.
    pub(crate) fn connect(path: &Path) -> Self {
        let socket = socket_with(AddressFamily::UNIX, SocketType::SEQPACKET, SocketFlags::CLOEXEC, None)
            .expect("a socket");
        connect(&socket, &SocketAddrUnix::new(path).expect("the path is short")).expect("somebody listens");
        Self(socket)
    }

    /// Sends a vector, with descriptors.
    #[track_caller]
    pub(crate) fn give(&self, name: &str, descriptors: &[BorrowedFd<'_>]) {
        let bytes = filled(vector(name));
        let mut space = [MaybeUninit::uninit(); rustix::cmsg_space!(ScmRights(16))];
        let mut control = SendAncillaryBuffer::new(&mut space);
        if !descriptors.is_empty() {
            assert!(
                control.push(SendAncillaryMessage::ScmRights(descriptors)),
                "{name} has many descriptors"
            );
        }
        let sent = sendmsg(&self.0, &[IoSlice::new(&bytes)], &mut control, SendFlags::NOSIGNAL);
        assert_eq!(sent, Ok(bytes.len()), "{name}");
    }

    /// Receives a packet, which has to be this vector, and gives its descriptors.
    #[track_caller]
    pub(crate) fn expect(&self, name: &str) -> Vec<OwnedFd> {
        let packet = self.receive();
        assert_is(name, &packet.bytes);
        packet.descriptors
    }

    /// The same for a packet that names its process, as the kernel vouches: which one it is.
    #[track_caller]
    pub(crate) fn expect_named(&self, name: &str) -> (u32, Vec<OwnedFd>) {
        // Only what is sent before this is named by its sender alone.
        poll(&mut [PollFd::new(&self.0, PollFlags::IN)], None).expect("a packet comes");
        sockopt::set_socket_passcred(&self.0, true).expect("a socket can do that");
        let packet = self.receive();
        sockopt::set_socket_passcred(&self.0, false).expect("a socket can do that");
        assert_is(name, &packet.bytes);
        let sender = packet.sender.unwrap_or_else(|| panic!("{name} does not name its process"));
        (sender, packet.descriptors)
    }

    /// The library hangs up, and has sent nothing more.
    #[track_caller]
    pub(crate) fn expect_end(&self) {
        let packet = self.receive();
        assert!(packet.bytes.is_empty() && packet.descriptors.is_empty(), "{:02x?}", packet.bytes);
    }

    /// Sends nothing more.
    pub(crate) fn finish(&self) {
        shutdown(&self.0, Shutdown::Write).expect("a socket can be shut down");
    }

    /// Whether this end can still send: a plain channel's direction is fixed.
    pub(crate) fn can_send(&self) -> bool {
        send(&self.0, b"x", SendFlags::NOSIGNAL | SendFlags::DONTWAIT).is_ok()
    }

    fn receive(&self) -> Packet {
        let mut bytes = vec![0; 1 << 17];
        let mut space = [MaybeUninit::uninit(); rustix::cmsg_space!(ScmRights(16), ScmCredentials(1))];
        let mut control = RecvAncillaryBuffer::new(&mut space);
        let received =
            recvmsg(&self.0, &mut [IoSliceMut::new(&mut bytes)], &mut control, RecvFlags::CMSG_CLOEXEC)
                .expect("a packet can be received");
        bytes.truncate(received.bytes);
        let mut packet = Packet { bytes, descriptors: Vec::new(), sender: None };
        for message in control.drain() {
            match message {
                RecvAncillaryMessage::ScmRights(descriptors) => packet.descriptors.extend(descriptors),
                RecvAncillaryMessage::ScmCredentials(sender) => {
                    packet.sender = u32::try_from(sender.pid.as_raw_pid()).ok();
                }
                _ => {}
            }
        }
        packet
    }
}

impl From<OwnedFd> for Raw {
    fn from(descriptor: OwnedFd) -> Self {
        Self(descriptor)
    }
}

impl AsFd for Raw {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.0.as_fd()
    }
}
