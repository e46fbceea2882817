//! The two ends of a connection between a process and the child it spawned.

use std::io;
use std::os::fd::{AsFd, OwnedFd};
use std::process::Command;
use std::sync::Arc;

use nix::poll::{PollFd, PollFlags};

use super::Link;
use crate::deadline::Deadline;
use crate::error::{ProtocolError, RecvError};
use crate::frame::Kind;
use crate::limits::{KERNEL_DESCRIPTORS, Limits};
use crate::raw_channel::{Incoming, commons, keep_spare};
use crate::service::child::{self, Child, SpawnError, SpawnOptions};
use crate::socket::Socket;
use crate::sys::liveness;
use crate::sys::wait::wait;

/// In the first byte of the welcome's body: whether the first descriptor is the pipe that ends with the spawner.
const WITH_LIVENESS: u8 = 1;
/// The same: whether the next is memory that both have in common, whose name is the rest of the body.
const WITH_COMMONS: u8 = 2;
const WITH_BOTH: u8 = WITH_LIVENESS | WITH_COMMONS;

/// Starts the command, and waits until it has called [`inherited`].
pub(super) fn spawn(command: &mut Command, options: &SpawnOptions) -> Result<Link, SpawnError> {
    let limits = options.limits;
    let (ours, theirs) = Socket::pair().map_err(SpawnError::Io)?;
    let link = Link::new(ours, limits);
    // Where there is no memory for it, values of the child's channels go over their sockets.
    let (commons, memory) = if limits.ring_bytes > 0 { commons::make().ok().unzip() } else { (None, None) };
    let named = commons.as_ref().map(|commons| commons.name()).zip(memory);
    let liveness = send_welcome(&link, named, options).map_err(SpawnError::Io)?;
    let theirs = theirs.into_descriptor().map_err(SpawnError::Io)?;
    let child = child::start(command, theirs, liveness, options)?;
    let joined = wait_for_child(&link, &child, Deadline::after(limits.handshake));
    match joined.and_then(|()| child::limit(&child, options)) {
        Ok(()) => Ok(link.with_child(child, commons)),
        Err(error) => {
            // It is of no use to anybody: no grace.
            let _ = child.kill();
            Err(error)
        }
    }
}

/// Leaves in the socket what the child cannot make once it is in a sandbox, before there is a child.
fn send_welcome(
    link: &Link,
    commons: Option<(u64, OwnedFd)>,
    options: &SpawnOptions,
) -> io::Result<Option<OwnedFd>> {
    let mut body = vec![0];
    let mut riding: Vec<OwnedFd> = Vec::new();
    let mut kept = None;
    if !options.outlive_parent {
        let (reading, writing) = liveness::liveness_pipe()?;
        body[0] |= WITH_LIVENESS;
        riding.push(reading);
        kept = Some(writing);
    }
    if let Some((name, memory)) = commons {
        body[0] |= WITH_COMMONS;
        body.extend(name.to_le_bytes());
        riding.push(memory);
    }
    // What a message of the user's may carry does not count here.
    for _ in 0..link.limits().spare_pairs.min((KERNEL_DESCRIPTORS - 2) / 2) {
        let (one, other) = Socket::pair()?;
        riding.push(one.into_descriptor()?);
        riding.push(other.into_descriptor()?);
    }
    link.send_named(Kind::Welcome, &body, &riding)?;
    Ok(kept)
}

fn wait_for_child(link: &Link, child: &Child, deadline: Deadline) -> Result<(), SpawnError> {
    loop {
        match link.receive().map_err(|broken| recv_error(broken.into_error()))? {
            Incoming::Message(message) if message.kind == Kind::Joined => return Ok(()),
            Incoming::Message(message) => {
                return Err(SpawnError::Handshake(ProtocolError::Kind(message.kind as u8)));
            }
            Incoming::End => return Err(ended(child)),
            Incoming::Piece if deadline.has_passed() => {
                return Err(SpawnError::TimedOut { after: link.limits().handshake });
            }
            Incoming::Piece | Incoming::Rung => {}
            Incoming::Nothing => wait_for_news(link, child, deadline)?,
        }
    }
}

/// Waits for a packet or for the child's end, which counts only if there is no packet.
fn wait_for_news(link: &Link, child: &Child, deadline: Deadline) -> Result<(), SpawnError> {
    let socket = PollFd::new(link.socket().as_fd(), PollFlags::POLLIN);
    let pidfd = child.pidfd().map(|pidfd| PollFd::new(pidfd, PollFlags::POLLIN));
    let mut waited: Vec<PollFd<'_>> = std::iter::once(socket).chain(pidfd).collect();
    if !wait(&mut waited, deadline).map_err(SpawnError::Io)? {
        return Err(SpawnError::TimedOut { after: link.limits().handshake });
    }
    let is_ready = |polled: Option<&PollFd<'_>>| {
        polled.and_then(PollFd::revents).is_some_and(|events| !events.is_empty())
    };
    if is_ready(waited.get(1)) && !is_ready(waited.first()) {
        return Err(ended(child));
    }
    Ok(())
}

fn ended(child: &Child) -> SpawnError {
    child.exit_after_hang_up().map_or(SpawnError::Disconnected, SpawnError::Exited)
}

fn recv_error(error: RecvError) -> SpawnError {
    match error {
        RecvError::Protocol(source) => SpawnError::Handshake(source),
        other => SpawnError::Io(other.into()),
    }
}

/// The child's end: takes what the spawner left in the socket, and says that it is here.
pub(super) fn inherited() -> io::Result<Option<Link>> {
    let Some(descriptor) = child::claim()? else { return Ok(None) };
    let link = Link::new(Socket::from(descriptor), Limits::default());
    let received = link.receive().map_err(|broken| io::Error::from(broken.into_error()))?;
    let mut message = match received {
        Incoming::Message(message) if message.kind == Kind::Welcome => message,
        _ => {
            let message = "the spawner's first packet is missing";
            return Err(io::Error::new(io::ErrorKind::InvalidData, message));
        }
    };
    let mut descriptors = message.take_descriptors().into_iter();
    let (flags, name) = welcome(message.body.start()).ok_or_else(foreign)?;
    if flags & WITH_LIVENESS != 0 {
        liveness::arm(descriptors.next().ok_or_else(foreign)?)?;
    }
    let memory = name.map(|name| Ok::<_, io::Error>((name, descriptors.next().ok_or_else(foreign)?)));
    commons::inherit(memory.transpose()?);
    while let (Some(one), Some(other)) = (descriptors.next(), descriptors.next()) {
        keep_spare((one.into(), other.into()));
    }
    let nothing: [Arc<OwnedFd>; 0] = [];
    link.send_named(Kind::Joined, &[], &nothing)?;
    Ok(Some(link))
}

/// What the body of a welcome says: which descriptors there are, and the name of the memory among them.
fn welcome(body: &[u8]) -> Option<(u8, Option<u64>)> {
    let (&flags, rest) = body.split_first()?;
    let name = <[u8; 8]>::try_from(rest).map(u64::from_le_bytes);
    match flags {
        0 | WITH_LIVENESS if rest.is_empty() => Some((flags, None)),
        WITH_COMMONS | WITH_BOTH => Some((flags, Some(name.ok()?))),
        _ => None,
    }
}

fn foreign() -> io::Error {
    io::Error::new(io::ErrorKind::InvalidData, "the spawner's first packet is another one's")
}
