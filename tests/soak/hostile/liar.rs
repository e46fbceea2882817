//! The end that lies: a bare socket, what can ride on a message, and the memory that it has in common with its victim.

use std::collections::BTreeMap;
use std::fs::File;
use std::io::{self, IoSliceMut, Write};
use std::mem::MaybeUninit;
use std::os::fd::{AsFd, AsRawFd, OwnedFd, RawFd};
use std::os::unix::net::{UnixListener, UnixStream};
use std::time::Duration;

use fastrand::Rng;
use nix::errno::Errno;
use nix::fcntl::{FcntlArg, SealFlag, fcntl};
use nix::poll::{PollFd, PollFlags, PollTimeout, poll};
use nix::sys::memfd::{MFdFlags, memfd_create};
use nix::sys::socket::MsgFlags;
use rustix::net::{RecvAncillaryBuffer, RecvAncillaryMessage, RecvFlags, recvmsg};

use super::memory::Memory;
use super::wire::{Bare, Packet};

pub(crate) const VALUE: u8 = 1;
pub(crate) const RING: u8 = 11;
pub(crate) const SWITCH: u8 = 12;
pub(crate) const BELL: u8 = 13;
pub(crate) const DESCRIPTORS: u8 = 14;
pub(crate) const RESET: u8 = 15;

pub(crate) const SIZED: SealFlag = SealFlag::F_SEAL_SHRINK.union(SealFlag::F_SEAL_GROW);

/// What the liar pretends to be.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Role {
    Client,
    Server,
    Sender,
    Receiver,
}

/// How many messages there were of each kind.
pub(crate) type Counts = BTreeMap<&'static str, u64>;

/// One end of one connection or channel.
pub(crate) struct Liar<'a> {
    pub(crate) role: Role,
    pub(crate) rng: Rng,
    pub(crate) bare: Bare,
    pub(crate) files: &'a Files,
    /// What was sent in this connection.
    pub(crate) counts: &'a mut Counts,
    /// The calls that came and were not answered, for a server; the next call's id, for a client.
    pub(crate) calls: Vec<u64>,
    pub(crate) next_call: u64,
    /// How many replies the victim has given.
    pub(crate) replies: u64,
    /// What was offered and is not taken yet, and what is in use.
    pub(crate) offered: Option<Memory>,
    pub(crate) memory: Option<Memory>,
    /// False once the victim has hung up.
    pub(crate) is_heard: bool,
}

impl<'a> Liar<'a> {
    pub(crate) fn new(role: Role, seed: u64, end: OwnedFd, files: &'a Files, counts: &'a mut Counts) -> Self {
        Self {
            role,
            rng: Rng::with_seed(seed),
            bare: Bare(end),
            files,
            counts,
            calls: Vec::new(),
            next_call: 1,
            replies: 0,
            offered: None,
            memory: None,
            is_heard: true,
        }
    }

    pub(crate) fn count(&mut self, kind: &'static str) {
        *self.counts.entry(kind).or_default() += 1;
    }

    pub(crate) fn send(&mut self, packet: &Packet) {
        let riding = self.files.some(&mut self.rng, packet.descriptors);
        self.send_bytes(&packet.bytes(), &riding);
    }

    /// Sends when there is room. If there is none for a while the victim hears no more: it need not read.
    pub(crate) fn send_bytes(&mut self, bytes: &[u8], riding: &[RawFd]) {
        for _ in 0..5 {
            match self.bare.send_with(bytes, riding, MsgFlags::MSG_DONTWAIT) {
                Ok(()) => return,
                Err(Errno::EAGAIN) => {
                    self.listen();
                    let mut room = [PollFd::new(self.bare.0.as_fd(), PollFlags::POLLOUT)];
                    let _ = poll(&mut room, PollTimeout::from(10_u8));
                }
                // Longer than the kernel takes, or too many on their way.
                Err(Errno::EMSGSIZE | Errno::ETOOMANYREFS | Errno::EINVAL) => return,
                Err(Errno::EPIPE | Errno::ECONNRESET | Errno::ENOTCONN) => {
                    self.is_heard = false;
                    return;
                }
                Err(errno) => panic!("{errno}"),
            }
        }
        // It waits for something that the liar has made impossible.
        self.is_heard = false;
    }

    /// Waits until the victim says something, or for a moment.
    pub(crate) fn wait(&mut self, time: Duration) {
        let mut input = [PollFd::new(self.bare.0.as_fd(), PollFlags::POLLIN)];
        let _ = poll(&mut input, PollTimeout::try_from(time).expect("a short time"));
        self.listen();
    }

    /// Takes what the victim has said so far.
    pub(crate) fn listen(&mut self) {
        // A sender may go on for ever.
        for _ in 0..500 {
            let Some((bytes, descriptors)) = self.take() else { break };
            let [kind, _, _, _, _, _, _, _, id @ ..] = &bytes[..] else { continue };
            let id = id.first_chunk().copied().map(u64::from_le_bytes).unwrap_or_default();
            match *kind {
                super::wire::CALL => self.calls.push(id),
                super::wire::REPLY => self.replies += 1,
                RING => self.offer_came(id, &bytes, descriptors),
                SWITCH if self.offered.is_some() => {
                    self.memory = self.offered.take();
                    self.send(&super::wire::packet(SWITCH, 0, []));
                }
                _ => {}
            }
        }
        if self.role == Role::Sender {
            return;
        }
        let (calls, replies, waits) = self.memory.as_mut().map(Memory::read).unwrap_or_default();
        self.calls.extend(calls);
        self.replies += replies;
        if waits {
            let bell = super::wire::packet(BELL, 0, []);
            let _ = self.bare.try_send(&bell.bytes(), 0, MsgFlags::MSG_DONTWAIT);
        }
    }

    /// Takes rings and lanes, most of the time.
    fn offer_came(&mut self, id: u64, bytes: &[u8], descriptors: Vec<OwnedFd>) {
        let Some(file) = descriptors.into_iter().next().filter(|_| self.rng.u8(..8) != 0) else { return };
        let file = File::from(file);
        let body = bytes.get(16..).unwrap_or_default();
        if self.role == Role::Receiver {
            let lane = Memory::lane(file, id);
            lane.answer(id | 1);
            self.memory = Some(lane);
            return;
        }
        let word =
            |at: usize| body.get(at..at + 4).and_then(<[u8]>::first_chunk).copied().map(u32::from_le_bytes);
        let (bytes, most) = (word(0).unwrap_or(256).into(), word(4).unwrap_or(256).into());
        self.memory = Some(Memory::rings(file, bytes, most, false));
        self.send(&super::wire::packet(SWITCH, 0, []));
    }

    /// The next packet, if there is one.
    fn take(&mut self) -> Option<(Vec<u8>, Vec<OwnedFd>)> {
        let mut bytes = vec![0; 1 << 16];
        let mut space = [MaybeUninit::uninit(); rustix::cmsg_space!(ScmRights(253), ScmCredentials(1))];
        let mut control = RecvAncillaryBuffer::new(&mut space);
        let flags = RecvFlags::CMSG_CLOEXEC | RecvFlags::DONTWAIT;
        let received = recvmsg(&self.bare.0, &mut [IoSliceMut::new(&mut bytes)], &mut control, flags);
        let rights = control.drain().filter_map(|message| match message {
            RecvAncillaryMessage::ScmRights(rights) => Some(rights),
            _ => None,
        });
        let descriptors = rights.flatten().collect();
        match received {
            Ok(received) if received.bytes > 0 => {
                bytes.truncate(received.bytes);
                Some((bytes, descriptors))
            }
            Ok(_) => {
                self.is_heard &= self.role == Role::Sender;
                None
            }
            // A reset says that what the victim did not read is lost; what it said comes next.
            Err(rustix::io::Errno::CONNRESET) => self.take(),
            Err(_) => None,
        }
    }
}

/// What rides on messages: of each kind of file one.
///
/// But not the liar's own end. Whoever has that keeps the connection open, and a victim to which it was sent has it until it gets to
/// reading it: if it waits for the liar then, nobody is left who could end the connection.
pub(crate) struct Files {
    all: Vec<OwnedFd>,
}

impl Files {
    pub(crate) fn open() -> io::Result<Self> {
        let directory = tempfile::tempdir()?;
        let path = directory.path().join("listener");
        let mut all: Vec<OwnedFd> =
            vec![File::open("/dev/null")?.into(), File::open("/dev/zero")?.into(), File::open("/")?.into()];
        all.push(UnixListener::bind(path)?.into());
        let (reader, writer) = io::pipe()?;
        let (stream, other) = UnixStream::pair()?;
        all.extend([reader.into(), writer.into(), stream.into(), other.into()]);
        let (bare, end) = unix_ipc::raw_channel()?;
        all.extend([bare.into(), end.into()]);
        let whole = SIZED | SealFlag::F_SEAL_WRITE;
        for (len, seals) in [
            (0, whole),
            (5000, whole),
            (5000, SIZED),
            (5000, SealFlag::empty()),
            (2 * (512 + 4096), SIZED),
            (1 << 16, whole),
        ] {
            all.push(memory(len, seals)?.into());
        }
        all.push(tempfile::tempfile()?.into());
        Ok(Self { all })
    }

    /// As many as are asked for.
    pub(crate) fn some(&self, rng: &mut Rng, count: usize) -> Vec<RawFd> {
        (0..count.min(253)).map(|_| self.all[rng.usize(..self.all.len())].as_raw_fd()).collect()
    }
}

/// A memory file with something in it.
pub(crate) fn memory(len: usize, seals: SealFlag) -> io::Result<File> {
    let flags = MFdFlags::MFD_CLOEXEC | MFdFlags::MFD_ALLOW_SEALING;
    let mut file = File::from(memfd_create(c"hostile", flags)?);
    file.write_all(&vec![1; len])?;
    fcntl(&file, FcntlArg::F_ADD_SEALS(seals))?;
    Ok(file)
}
