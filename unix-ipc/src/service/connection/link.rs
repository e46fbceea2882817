//! One end of a connection: its socket, what is half received, and who is at the other end.

mod ahead;
mod naming;

pub(crate) use self::ahead::Glance;

use std::io;
use std::iter;
use std::os::fd::{AsFd, BorrowedFd};
use std::sync::atomic::AtomicU8;
use std::sync::{Arc, Mutex, OnceLock};
use std::time::Duration;

use nix::poll::{PollFd, PollFlags};
use nix::sys::socket::Shutdown;

use super::PeerCredentials;
use crate::codec::Failure;
use crate::deadline::Deadline;
use crate::error::{LimitExceeded, ProtocolError};
use crate::frame::Kind;
use crate::limits::Limits;
use crate::raw_channel::commons::Commons;
use crate::raw_channel::{Broken, Inbox, Incoming, Inlet, Message, Outgoing, Outlet, Parts, Progress};
use crate::ring::Size;
use crate::service::child::{Child, EXIT_WAIT};
use crate::socket::Socket;
use crate::sync::lock;
use crate::sys::fork::Generation;
use crate::sys::receive::Wait;
use crate::sys::wait::{ready, wait};

/// A connection has one sender at each end, and a sender has one long message on its way at a time.
const UNFINISHED: usize = 1;

/// How much the peer is told of what it did wrong, which may hold names of its own.
const MOST_REASON_BYTES: usize = 1024;

/// Which end makes the rings of a connection.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Maker {
    /// This one, which spawned or listened: the other may be unable to.
    Us,
    Peer,
    /// Nobody knows which end made the connection.
    Client,
}

/// How long a thread that waits for room, and that no bell wakes, goes without looking for it.
const BELL_PAUSE: Duration = Duration::from_millis(1);

/// One end of a connection.
#[derive(Debug)]
pub(crate) struct Link {
    // Dropped in this order: the hang-up comes first, and then the child has its time to end.
    socket: Socket,
    child: Option<Child>,
    /// What the child's channels send through to receivers of this process.
    _commons: Option<Arc<Commons>>,
    inbox: Mutex<Inbox>,
    maker: Maker,
    limits: Limits,
    peer: OnceLock<PeerCredentials>,
    /// How many threads want packets to name their sender.
    naming: Mutex<usize>,
    /// Whether the socket has been looked at: one from elsewhere may be anything.
    checked: OnceLock<()>,
    /// Why nobody is to read what comes next: see `ahead.rs`.
    held_up: AtomicU8,
    made_in: Generation,
    /// When a listener of this process accepted it, if one did.
    accepted: Option<Deadline>,
}

impl Link {
    pub(crate) fn new(socket: Socket, limits: Limits) -> Self {
        Self {
            socket,
            child: None,
            _commons: None,
            inbox: Mutex::new(Inbox::new(limits, UNFINISHED)),
            maker: Maker::Peer,
            limits,
            peer: OnceLock::new(),
            naming: Mutex::new(0),
            checked: OnceLock::new(),
            held_up: AtomicU8::new(0),
            made_in: Generation::current(),
            accepted: None,
        }
    }

    /// The same with another owner of the other end's process.
    pub(crate) fn with_child(self, child: Child, commons: Option<Arc<Commons>>) -> Self {
        Self { child: Some(child), _commons: commons, ..self }.with_maker(Maker::Us)
    }

    /// The same, accepted now by a listener, which makes the rings.
    pub(crate) fn accepted(self) -> Self {
        Self { accepted: Some(Deadline::now()), ..self }.with_maker(Maker::Us)
    }

    /// Until when a client at the other end has time to introduce itself, if a listener accepted it.
    #[inline]
    pub(crate) fn introduction_deadline(&self) -> Option<Deadline> {
        self.accepted.map(|accepted| accepted.and(self.limits.handshake))
    }

    /// The same with another end that makes the rings.
    pub(crate) fn with_maker(self, maker: Maker) -> Self {
        Self { maker, ..self }
    }

    /// What this end sends through, once it is known whether it is the client.
    pub(crate) fn outlet(&self, is_client: bool) -> Outlet {
        let makes = match self.maker {
            Maker::Us => true,
            Maker::Peer => false,
            Maker::Client => is_client,
        };
        Outlet::new(Size { bytes: self.limits.ring_bytes, most: self.limits.long_ring_bytes }, makes)
    }

    pub(crate) fn set_limits(&mut self, limits: Limits) {
        self.limits = limits;
        self.inbox = Mutex::new(Inbox::new(limits, UNFINISHED));
    }

    /// The same with a peer that is known already.
    pub(crate) fn with_peer(self, peer: PeerCredentials) -> Self {
        Self { peer: OnceLock::from(peer), ..self }
    }

    #[inline]
    pub(crate) fn limits(&self) -> &Limits {
        &self.limits
    }

    #[inline]
    pub(crate) fn socket(&self) -> &Socket {
        &self.socket
    }

    /// The process at the other end, where this one spawned it.
    pub(crate) fn child(&self) -> Option<&Child> {
        self.child.as_ref()
    }

    /// The same, if it is the child itself that is at the other end: a wrapper that started another program
    /// and waits for it says nothing about that program's life.
    pub(crate) fn peer_child(&self) -> Option<&Child> {
        let is_peer =
            |child: &&Child| self.peer().is_none_or(|peer| u32::try_from(peer.pid()) == Ok(child.pid()));
        self.child.as_ref().filter(is_peer)
    }

    pub(crate) fn peer(&self) -> Option<PeerCredentials> {
        self.peer.get().copied()
    }

    pub(crate) fn is_in_a_message(&self) -> bool {
        lock(&self.inbox).is_in_a_message()
    }

    /// Whether this process made it. In a copy of that process no lock may be taken: whoever held it is not there to let it go.
    #[inline]
    pub(crate) fn is_here(&self) -> bool {
        self.made_in.is_current()
    }

    /// An error in a copy of the process that made this, and for what is no socket of packets.
    #[inline]
    pub(crate) fn check(&self) -> io::Result<()> {
        if !self.is_here() {
            let message = "the connection belongs to the process that this one was forked from";
            return Err(io::Error::new(io::ErrorKind::Unsupported, message));
        }
        if self.checked.get().is_none() {
            self.socket.check_type()?;
            let _ = self.checked.set(());
        }
        Ok(())
    }

    /// Sends what fits now of one short message; the kernel names this process to the peer.
    pub(crate) fn send_named(&self, kind: Kind, body: &[u8], descriptors: &[impl AsFd]) -> io::Result<()> {
        let mut message = Outgoing::new(kind, 0, 0).named();
        while message.send_packet(&mut (&self.socket).into(), body.into(), descriptors)? == Progress::More {}
        Ok(())
    }

    /// Has the peer ring when it sends, for a thread that is about to wait for the socket: false where there is something
    /// to read already.
    pub(crate) fn fall_asleep(&self) -> bool {
        self.with_inlet(|inlet| inlet.fall_asleep(&self.socket)).unwrap_or(true)
    }

    /// Does something with the ring that this end receives through, if it does.
    #[inline]
    pub(crate) fn with_inlet<R>(&self, act: impl FnOnce(&mut Inlet) -> R) -> Option<R> {
        lock(&self.inbox).inlet().map(act)
    }

    /// Waits until the peer rings, for room, and reads no message: false where it is gone.
    pub(crate) fn wait_for_bell(&self) -> io::Result<bool> {
        if let Ok(mut inbox) = self.inbox.try_lock()
            && let Some(inlet) = inbox.inlet()
        {
            return Ok(inlet.hear_bell(&self.socket, Wait::ForEver)?);
        }
        // The bell wakes the thread that reads, and not this one; or it is behind calls that are not to be read yet.
        Ok(!self.wait(PollFlags::empty(), Deadline::after(BELL_PAUSE))?)
    }

    /// No more is read by anybody who has the socket; in a copy of the process that made this, nothing changes.
    pub(crate) fn stop_reading(&self) {
        self.shut_down(Shutdown::Read);
    }

    /// Tells the peer what it did wrong, if there is room, and hangs up for everybody who has the socket.
    pub(crate) fn accuse(&self, reason: &str) {
        // The receiver reads what it can of a letter that is cut.
        let reason = reason.as_bytes();
        let reason = reason.get(..MOST_REASON_BYTES).unwrap_or(reason);
        self.say_last(Kind::Fault, reason.into());
    }

    /// Tells the peer that there is no room for it, if there is room to say so, and hangs up likewise.
    pub(crate) fn refuse(&self, limit: LimitExceeded) {
        self.say_last(Kind::Failure, Failure::Refused(limit).encode().bytes());
    }

    fn say_last(&self, kind: Kind, body: Parts<'_>) {
        let nothing: [BorrowedFd<'_>; 0] = [];
        // Over the socket: whoever broke the protocol may not read its ring.
        let _ = Outgoing::new(kind, 0, 0).send_packet(&mut (&self.socket).into(), body, &nothing);
        self.hang_up();
    }

    /// Hangs up for everybody who has the socket; in a copy of the process that made this, for nobody.
    pub(crate) fn hang_up(&self) {
        self.shut_down(Shutdown::Both);
    }

    fn shut_down(&self, how: Shutdown) {
        if self.is_here() {
            let _ = self.socket.shut_down(how);
        }
    }

    /// Reads what is there, without waiting.
    pub(crate) fn receive(&self) -> Result<Incoming, Broken> {
        self.receive_with(Wait::No)
    }

    /// Reads, after waiting where `wait` says so. The first packet says who the peer is.
    #[inline]
    pub(crate) fn receive_with(&self, wait: Wait) -> Result<Incoming, Broken> {
        if self.peer.get().is_some() {
            let mut inbox = lock(&self.inbox);
            // Another thread may have read what comes before.
            if self.is_held_up() {
                return Ok(Incoming::Rung);
            }
            return self.turns(inbox.receive(&self.socket, wait));
        }
        let _naming = self.name_senders()?;
        let mut inbox = lock(&self.inbox);
        let received = inbox.receive(&self.socket, wait);
        if let Some(sender) = inbox.take_sender() {
            let _ = self.peer.set(sender.into());
        }
        received
    }

    /// Reads what is in the ring, without a system call where that is nothing.
    #[inline]
    pub(crate) fn receive_at_hand(&self) -> Result<Incoming, Broken> {
        let mut inbox = lock(&self.inbox);
        if self.is_held_up() {
            return Ok(Incoming::Rung);
        }
        self.turns(inbox.receive_at_hand(&self.socket))
    }

    /// The peer offers rings, sends through its ring from now on, or goes on without. Says whether what this end was about
    /// to send is void.
    #[cold]
    pub(crate) fn change_ways(&self, outlet: &mut Outlet, message: Message) -> Result<bool, ProtocolError> {
        let changed = self.change_way(outlet, message);
        self.has_turned();
        changed
    }

    fn change_way(&self, outlet: &mut Outlet, mut message: Message) -> Result<bool, ProtocolError> {
        if outlet.is_outdated(message.kind) {
            return Ok(false);
        }
        let mut inbox = lock(&self.inbox);
        if message.kind == Kind::Ring {
            let descriptors = message.take_descriptors();
            let ring = outlet.take_offer(&self.socket, message.body.start(), descriptors)?;
            *inbox.pending_ring() = ring.map(Box::new);
            return Ok(false);
        }
        if !message.is_bare() {
            return Err(ProtocolError::Kind(message.kind as u8));
        }
        match message.kind {
            Kind::Bell if outlet.has_rings() => Ok(false),
            Kind::Switch => {
                let ring = match inbox.pending_ring().take() {
                    Some(ring) => *ring,
                    None => outlet.is_taken(&self.socket)?,
                };
                inbox.receive_through(ring);
                Ok(false)
            }
            Kind::Reset => {
                inbox.receive_over_socket();
                Ok(outlet.is_reset(&self.socket, message.id))
            }
            other => Err(ProtocolError::Kind(other as u8)),
        }
    }

    /// Whether the peer's end is closed, or the peer is a child that has ended. A send can be the first to run into
    /// that: it may take the kernel a moment more to tell a reader.
    pub(crate) fn has_hung_up(&self) -> bool {
        let waited = self.wait_with_child(PollFlags::empty(), Deadline::after(EXIT_WAIT));
        waited.is_ok_and(|events| events.is_some())
    }

    /// Waits for the socket, and for the end of a child that is the peer: what the socket says, which may be nothing then, or `None`
    /// where the time was over first.
    pub(crate) fn wait_with_child(
        &self,
        events: PollFlags,
        deadline: Deadline,
    ) -> io::Result<Option<PollFlags>> {
        let socket = PollFd::new(self.socket.as_fd(), events);
        let child = self.peer_child().and_then(Child::pidfd);
        let child = child.map(|pidfd| PollFd::new(pidfd, PollFlags::POLLIN));
        let mut waited: Vec<PollFd<'_>> = iter::once(socket).chain(child).collect();
        let is_ready = wait(&mut waited, deadline)?;
        let events = waited.first().and_then(PollFd::revents).unwrap_or(PollFlags::empty());
        Ok(is_ready.then_some(events))
    }

    /// Whether the peer's end is closed, without waiting.
    pub(crate) fn is_hung_up(&self) -> bool {
        self.is_hung_up_by(Deadline::now())
    }

    /// The same, after waiting for it until then.
    pub(crate) fn is_hung_up_by(&self, end: Deadline) -> bool {
        self.wait(PollFlags::empty(), end).unwrap_or(false)
    }

    /// Waits for the socket alone: false where the time was over first.
    pub(crate) fn wait(&self, events: PollFlags, deadline: Deadline) -> io::Result<bool> {
        ready(self.socket.as_fd(), events, deadline)
    }
}
