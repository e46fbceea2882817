//! What a server sends: at once where there is room, later where there is none. It never waits.

use std::collections::VecDeque;
use std::io;
use std::os::fd::OwnedFd;
use std::sync::Arc;

use crate::codec::Encoder;
use crate::deadline::Deadline;
use crate::error::{LimitExceeded, ProtocolError, SendError};
use crate::frame::Kind;
use crate::raw_channel::{Outgoing, Outlet, Parts, Progress, refusal};
use crate::socket::{self, Socket};

/// Messages in the order in which they go out.
#[derive(Debug)]
pub(super) struct Outbox {
    outlet: Outlet,
    queue: VecDeque<Queued>,
    bytes: usize,
    /// When something of what waits was sent last, or the first of it began to wait.
    moved: Deadline,
    closed: bool,
}

/// A message for which there was no room yet, or not for all of it.
#[derive(Debug)]
struct Queued {
    id: u64,
    progress: Outgoing,
    message: Encoder<'static>,
    descriptors: Vec<Arc<OwnedFd>>,
}

/// What became of a message.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Put {
    /// The kernel has it.
    Sent,
    /// It waits until the client reads.
    Queued,
}

/// A queued reply that the kernel refused: the caller has to be told something else.
#[derive(Debug)]
pub(super) struct Undeliverable {
    pub(super) id: u64,
    pub(super) limit: LimitExceeded,
}

impl Outbox {
    pub(super) fn new(outlet: Outlet) -> Self {
        Self { outlet, queue: VecDeque::new(), bytes: 0, moved: Deadline::NEVER, closed: false }
    }

    pub(super) fn outlet(&mut self) -> &mut Outlet {
        &mut self.outlet
    }

    pub(super) fn is_empty(&self) -> bool {
        self.queue.is_empty()
    }

    pub(super) fn is_closed(&self) -> bool {
        self.closed
    }

    /// Drops what waits, and takes nothing more.
    pub(super) fn close(&mut self) {
        self.closed = true;
        self.clear();
    }

    /// Drops what waits.
    pub(super) fn clear(&mut self) {
        self.queue.clear();
        self.bytes = 0;
    }

    /// Sends a message, or queues what does not fit now. Above `most` queued bytes the outbox closes: the client
    /// does not read.
    #[inline]
    pub(super) fn put(
        &mut self,
        socket: &Socket,
        (kind, id): (Kind, u64),
        message: &mut Encoder<'_>,
        descriptors: Vec<Arc<OwnedFd>>,
        most: usize,
    ) -> Result<Put, SendError> {
        if self.closed {
            return Err(SendError::Disconnected(()));
        }
        let mut progress = Outgoing::new(kind, id, 0);
        if kind == Kind::Hello {
            progress = progress.named();
        }
        if self.queue.is_empty() {
            match send(&mut self.outlet, &mut progress, socket, message.bytes(), &descriptors) {
                Ok(()) => return Ok(Put::Sent),
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => {}
                Err(error) => return Err(self.failed(error)),
            }
        }
        let bytes = self.bytes.saturating_add(cost(message));
        if bytes > most {
            self.close();
            return Err(SendError::Disconnected(()));
        }
        self.bytes = bytes;
        if self.queue.is_empty() {
            self.moved = Deadline::now();
        }
        self.queue.push_back(Queued { id, progress, message: message.keep(), descriptors });
        Ok(Put::Queued)
    }

    /// Sends a message if all of it fits now, and nothing otherwise.
    pub(super) fn try_put(
        &mut self,
        socket: &Socket,
        (kind, id): (Kind, u64),
        body: Parts<'_>,
        descriptors: &[Arc<OwnedFd>],
    ) -> Result<(), SendError> {
        if self.closed {
            return Err(SendError::Disconnected(()));
        }
        if !self.queue.is_empty() {
            return Err(SendError::Full(()));
        }
        match self.outlet.send_at_once(socket, (kind, id), body, descriptors) {
            Ok(()) => Ok(()),
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => Err(SendError::Full(())),
            Err(error) => Err(self.failed(error)),
        }
    }

    /// Sends what waits, for as long as there is room. A reply that the kernel refuses is taken out.
    pub(super) fn flush(&mut self, socket: &Socket) -> io::Result<Option<Undeliverable>> {
        let before = self.progress();
        let flushed = self.send_queue(socket);
        if self.progress() != before {
            self.moved = Deadline::now();
        }
        flushed
    }

    fn send_queue(&mut self, socket: &Socket) -> io::Result<Option<Undeliverable>> {
        while let Some(front) = self.queue.front_mut() {
            match send(
                &mut self.outlet,
                &mut front.progress,
                socket,
                front.message.bytes(),
                &front.descriptors,
            ) {
                Ok(()) => self.pop(),
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => return Ok(None),
                Err(error) => {
                    let Some(limit) = refusal(&error) else { return Err(error) };
                    let id = front.id;
                    self.pop();
                    return Ok(Some(Undeliverable { id, limit }));
                }
            }
        }
        Ok(None)
    }

    /// Looks for room for what waits, as [`Outlet::look_for_room`].
    pub(super) fn look_for_room(&mut self) -> io::Result<Option<bool>> {
        let Some(front) = self.queue.front() else { return Ok(Some(true)) };
        self.outlet.look_for_room(&front.progress, front.message.bytes())
    }

    /// Asks for room for what waits, as [`Outlet::want_room`].
    pub(super) fn want_room(&mut self) -> io::Result<Option<bool>> {
        let Some(front) = self.queue.front() else { return Ok(Some(false)) };
        self.outlet.want_room(&front.progress, front.message.bytes(), front.descriptors.len())
    }

    /// How much waits, which is less each time that something was sent.
    pub(super) fn progress(&self) -> (usize, usize) {
        (self.queue.len(), self.queue.front().map_or(0, |front| front.progress.left(front.message.bytes())))
    }

    /// Since when nothing of what waits was sent: `None` where nothing waits.
    pub(super) fn stuck_since(&self) -> Option<Deadline> {
        (!self.queue.is_empty()).then_some(self.moved)
    }

    fn pop(&mut self) {
        if let Some(sent) = self.queue.pop_front() {
            self.bytes -= cost(&sent.message);
        }
    }

    fn failed(&mut self, error: io::Error) -> SendError {
        // A client that writes nonsense to shared memory is as good as gone.
        let lie = error.get_ref().and_then(|error| error.downcast_ref::<ProtocolError>());
        if socket::is_hang_up(&error) || lie.is_some() {
            self.close();
            return SendError::Disconnected(());
        }
        match refusal(&error) {
            Some(source) => SendError::Refused { value: (), source },
            None => SendError::Io { value: (), source: error },
        }
    }
}

/// What a message that waits takes of the limit: one without a body takes memory as well.
fn cost(message: &Encoder<'_>) -> usize {
    message.bytes().len().saturating_add(size_of::<Queued>())
}

/// Sends what is left of a message, for as long as there is room.
fn send(
    outlet: &mut Outlet,
    progress: &mut Outgoing,
    socket: &Socket,
    body: Parts<'_>,
    descriptors: &[Arc<OwnedFd>],
) -> io::Result<()> {
    while outlet.send_packet(progress, socket, body, descriptors)? == Progress::More {}
    Ok(())
}
