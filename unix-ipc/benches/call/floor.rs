//! The floors: what the exchanges cost without the library.
#![allow(unsafe_code)]

use std::env;
use std::error::Error;
use std::fs::File;
use std::hint;
use std::io::{self, IoSlice, IoSliceMut, Read, Write, stdin};
use std::num::NonZeroUsize;
use std::os::fd::{AsFd, AsRawFd, FromRawFd, OwnedFd};
use std::os::unix::net::UnixStream;
use std::process::{Child, Command};
use std::ptr::NonNull;
use std::sync::atomic::{AtomicU64, Ordering};

use nix::sys::memfd::{MFdFlags, memfd_create};
use nix::sys::mman::{MapFlags, ProtFlags, mmap};
use nix::sys::socket::{
    AddressFamily, ControlMessage, ControlMessageOwned, MsgFlags, SockFlag, SockType, recv, recvmsg, send,
    sendmsg, socketpair,
};
use nix::unistd::ftruncate;

use crate::measure::{Placement, pin};
use crate::service::sum;

/// Says which floor this process is the other side of, and on which core it runs.
const FLOOR: &str = "UNIX_IPC_BENCH_FLOOR";

/// The bytes of a packet each way: those of `add` and its header.
const PACKET: usize = 40;

/// The region through which bytes are copied in pieces.
const REGION: usize = 1 << 16;

/// True in a child that was the other side of a floor.
pub(crate) fn serve() -> Result<bool, Box<dyn Error>> {
    let Ok(floor) = env::var(FLOOR) else { return Ok(false) };
    let (kind, core) = floor.split_once(' ').ok_or("which floor?")?;
    if let Ok(core) = core.parse() {
        pin(core);
    }
    match kind {
        "line" => Lines::map(stdin().as_fd())?.answer(),
        "lines" => Lines::map(stdin().as_fd())?.answer_all(),
        "packet" => answer_packets()?,
        "sink" => count_packets()?,
        "handle" => answer_handles()?,
        "stream" => answer_stream()?,
        other => return Err(format!("no floor {other}").into()),
    }
    Ok(true)
}

fn start(kind: &str, placement: Placement, stdin: OwnedFd) -> io::Result<Child> {
    let core = placement.servers().map_or_else(|| "-".to_owned(), |core| core.to_string());
    Command::new(env::current_exe()?).env(FLOOR, format!("{kind} {core}")).stdin(stdin).spawn()
}

/// One cache line each way, in memory that both processes look at.
pub(crate) struct Line {
    lines: Lines,
    child: Child,
    sent: u64,
}

#[derive(Clone, Copy)]
struct Lines(NonNull<AtomicU64>);

/// Ends the other side.
const END: u64 = u64::MAX;

/// How many cache lines each way there are, for as many exchanges at the same time.
pub(crate) const LINES: usize = 64;

/// Words from one line to the next that is used: processors fetch two.
const APART: usize = 16;

impl Line {
    pub(crate) fn start(placement: Placement) -> Result<Self, Box<dyn Error>> {
        Self::start_as("line", placement)
    }

    /// The same for [`ping_all`](Self::ping_all).
    pub(crate) fn start_many(placement: Placement) -> Result<Self, Box<dyn Error>> {
        Self::start_as("lines", placement)
    }

    fn start_as(kind: &str, placement: Placement) -> Result<Self, Box<dyn Error>> {
        let file = memfd_create(c"floor", MFdFlags::MFD_CLOEXEC)?;
        ftruncate(&file, Lines::BYTES as i64)?;
        let lines = Lines::map(file.as_fd())?;
        Ok(Self { lines, child: start(kind, placement, file)?, sent: 0 })
    }

    /// Writes all lines, and then waits for all answers.
    pub(crate) fn ping_all(&mut self) {
        self.sent += 1;
        for line in 0..LINES {
            self.lines.word(line * 2 * APART).store(self.sent, Ordering::Release);
        }
        for line in 0..LINES {
            while self.lines.word(line * 2 * APART + APART).load(Ordering::Acquire) != self.sent {
                hint::spin_loop();
            }
        }
    }

    pub(crate) fn ping(&mut self) {
        self.sent += 1;
        self.lines.word(0).store(self.sent, Ordering::Release);
        while self.lines.word(APART).load(Ordering::Acquire) != self.sent {
            hint::spin_loop();
        }
    }
}

impl Drop for Line {
    fn drop(&mut self) {
        self.lines.word(0).store(END, Ordering::Release);
        let _ = self.child.wait();
    }
}

impl Lines {
    const BYTES: usize = LINES * 2 * APART * 8;

    fn map(file: impl AsFd) -> nix::Result<Self> {
        let len = NonZeroUsize::MIN.saturating_add(Self::BYTES - 1);
        let protection = ProtFlags::PROT_READ | ProtFlags::PROT_WRITE;
        // SAFETY: a new mapping at an address that the kernel chooses; it stays until the process ends.
        Ok(Self(unsafe { mmap(None, len, protection, MapFlags::MAP_SHARED, file, 0) }?.cast()))
    }

    fn word(&self, index: usize) -> &AtomicU64 {
        assert!(index < Self::BYTES / 8);
        // SAFETY: within the pages that were mapped, which stay.
        unsafe { self.0.add(index).as_ref() }
    }

    fn answer(self) {
        let mut seen = 0;
        while seen != END {
            let now = self.word(0).load(Ordering::Acquire);
            if now == seen {
                hint::spin_loop();
                continue;
            }
            seen = now;
            self.word(APART).store(seen, Ordering::Release);
        }
    }

    fn answer_all(self) {
        for round in 1.. {
            for line in 0..LINES {
                let request = self.word(line * 2 * APART);
                while request.load(Ordering::Acquire) < round {
                    hint::spin_loop();
                }
                if request.load(Ordering::Relaxed) == END {
                    return;
                }
                self.word(line * 2 * APART + APART).store(round, Ordering::Release);
            }
        }
    }
}

/// A process that sends back what it receives, over a socket of packets.
pub(crate) struct Packets {
    socket: Option<OwnedFd>,
    child: Child,
}

impl Packets {
    pub(crate) fn start(kind: &str, placement: Placement) -> Result<Self, Box<dyn Error>> {
        let (ours, theirs) =
            socketpair(AddressFamily::Unix, SockType::SeqPacket, None, SockFlag::SOCK_CLOEXEC)?;
        Ok(Self { socket: Some(ours), child: start(kind, placement, theirs)? })
    }

    pub(crate) fn ping(&mut self) -> io::Result<()> {
        let Some(socket) = &self.socket else { return Ok(()) };
        let mut packet = [1; PACKET];
        send(socket.as_raw_fd(), hint::black_box(&packet), MsgFlags::MSG_NOSIGNAL)?;
        recv(socket.as_raw_fd(), &mut packet, MsgFlags::empty())?;
        hint::black_box(packet);
        Ok(())
    }

    /// Sends so many packets, and has the last one answered, by a process that only counts them.
    pub(crate) fn pour(&mut self, count: u64) -> io::Result<()> {
        let Some(socket) = &self.socket else { return Ok(()) };
        let mut packet = [0; PACKET];
        for number in 1..=count {
            packet[0] = u8::from(number == count);
            send(socket.as_raw_fd(), &packet, MsgFlags::MSG_NOSIGNAL)?;
        }
        recv(socket.as_raw_fd(), &mut packet, MsgFlags::empty())?;
        Ok(())
    }

    /// The same with a descriptor, which the other side closes.
    pub(crate) fn pass(&mut self, file: &File) -> io::Result<()> {
        let Some(socket) = &self.socket else { return Ok(()) };
        let mut packet = [1; PACKET];
        let numbers = [file.as_raw_fd()];
        let rights = [ControlMessage::ScmRights(&numbers)];
        sendmsg::<()>(socket.as_raw_fd(), &[IoSlice::new(&packet)], &rights, MsgFlags::MSG_NOSIGNAL, None)?;
        recv(socket.as_raw_fd(), &mut packet, MsgFlags::empty())?;
        Ok(())
    }
}

impl Drop for Packets {
    fn drop(&mut self) {
        self.socket = None;
        let _ = self.child.wait();
    }
}

fn answer_packets() -> Result<(), Box<dyn Error>> {
    let socket = stdin().as_fd().as_raw_fd();
    let mut packet = [0; PACKET];
    while recv(socket, &mut packet, MsgFlags::empty())? > 0 {
        send(socket, &packet, MsgFlags::MSG_NOSIGNAL)?;
    }
    Ok(())
}

fn count_packets() -> Result<(), Box<dyn Error>> {
    let socket = stdin().as_fd().as_raw_fd();
    let mut packet = [0; PACKET];
    while recv(socket, &mut packet, MsgFlags::empty())? > 0 {
        if packet[0] == 1 {
            send(socket, &packet, MsgFlags::MSG_NOSIGNAL)?;
        }
    }
    Ok(())
}

#[expect(clippy::disallowed_methods, reason = "by hand is what a floor is")]
fn answer_handles() -> Result<(), Box<dyn Error>> {
    let socket = stdin().as_fd().as_raw_fd();
    let mut packet = [0; PACKET];
    let mut control = nix::cmsg_space!([i32; 1]);
    loop {
        let mut parts = [IoSliceMut::new(&mut packet)];
        let received = recvmsg::<()>(socket, &mut parts, Some(&mut control), MsgFlags::MSG_CMSG_CLOEXEC)?;
        if received.bytes == 0 {
            return Ok(());
        }
        for message in received.cmsgs()? {
            if let ControlMessageOwned::ScmRights(numbers) = message {
                for number in numbers {
                    // SAFETY: the kernel has just made it for this process, and nobody else knows it.
                    drop(unsafe { OwnedFd::from_raw_fd(number) });
                }
            }
        }
        send(socket, &packet, MsgFlags::MSG_NOSIGNAL)?;
    }
}

/// A stream socket: bytes one way, or back, in room that is used again.
pub(crate) struct Stream {
    socket: Option<UnixStream>,
    child: Child,
    room: Vec<u8>,
}

impl Stream {
    pub(crate) fn start(placement: Placement) -> Result<Self, Box<dyn Error>> {
        let (ours, theirs) = UnixStream::pair()?;
        Ok(Self { socket: Some(ours), child: start("stream", placement, theirs.into())?, room: Vec::new() })
    }

    /// Sends bytes and gets their sum.
    pub(crate) fn sum(&mut self, bytes: &[u8]) -> io::Result<u64> {
        let Some(socket) = &mut self.socket else { return Ok(0) };
        socket.write_all(&(bytes.len() as u64).to_le_bytes())?;
        socket.write_all(bytes)?;
        let mut sum = [0; 8];
        socket.read_exact(&mut sum)?;
        Ok(u64::from_le_bytes(sum))
    }

    /// Gets so many bytes, and adds them up.
    pub(crate) fn fill(&mut self, len: usize) -> io::Result<u64> {
        let Some(socket) = &mut self.socket else { return Ok(0) };
        socket.write_all(&(len as u64 | 1 << 63).to_le_bytes())?;
        self.room.resize(len, 0);
        socket.read_exact(&mut self.room)?;
        Ok(sum(&self.room))
    }
}

impl Drop for Stream {
    fn drop(&mut self) {
        self.socket = None;
        let _ = self.child.wait();
    }
}

fn answer_stream() -> Result<(), Box<dyn Error>> {
    let mut socket = UnixStream::from(stdin().as_fd().try_clone_to_owned()?);
    let (mut head, mut room) = ([0; 8], Vec::new());
    while socket.read_exact(&mut head).is_ok() {
        let head = u64::from_le_bytes(head);
        let len = (head & !(1 << 63)) as usize;
        if head >> 63 == 1 {
            room.clear();
            room.resize(len, 1);
            socket.write_all(&room)?;
        } else {
            room.resize(len, 0);
            socket.read_exact(&mut room)?;
            socket.write_all(&sum(&room).to_le_bytes())?;
        }
    }
    Ok(())
}

/// Copying bytes in and out of a region that stays in cache: what no transport through memory can beat.
pub(crate) fn copy_through_region(bytes: &[u8], into: &mut [u8]) {
    let mut region = vec![0_u8; REGION];
    for (from, to) in bytes.chunks(REGION).zip(into.chunks_mut(REGION)) {
        let region = &mut region[..from.len()];
        region.copy_from_slice(hint::black_box(from));
        to.copy_from_slice(hint::black_box(region));
    }
    hint::black_box(into);
}
