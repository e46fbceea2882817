//! Reading: one thread at a time does it for all, and runs no user code meanwhile.

use std::thread::Thread;
use std::time::Duration;

use super::super::calls::{CallFault, Outcome};
use super::super::child::{Child, PeerExit};
use super::super::ended::Ended;
use super::super::hello::Hello;
use super::state::{Core, ReplySocket, State};
use crate::codec::{self, Arrived, Failure};
use crate::error::{ProtocolError, RecvError};
use crate::frame::Kind;
use crate::raw_channel::{Broken, Incoming, Message};
use crate::sys::receive::Wait;

/// The most sockets through which the reply of one call can come.
const MOST_REPLY_SOCKETS: usize = 64;

/// The messages that one look takes at most, so that a peer that sends without end holds nobody up.
const MESSAGES_AT_ONCE: usize = 1024;

/// The right to read, until this is dropped: then it goes to exactly one thread that waits.
#[derive(Debug)]
pub(super) struct Reading<'a>(&'a Core);

impl Drop for Reading<'_> {
    fn drop(&mut self) {
        self.0.stop_reading(&mut self.0.state());
    }
}

/// What a look at the connection came to.
pub(super) enum Read {
    /// The reply of the call that the reading thread itself waits for; its place is not free yet.
    Own(Message),
    /// Something else, which is where it belongs now.
    Other,
    /// There is nothing now, or nothing any more.
    Nothing,
}

impl Core {
    /// The right to read, if nobody has it.
    pub(super) fn try_read(&self) -> Option<Reading<'_>> {
        self.start_reading(&mut self.state())
    }

    /// The right to read, for a thread that has just taken it.
    pub(super) fn reading(&self) -> Reading<'_> {
        Reading(self)
    }

    /// The same for a thread that has the state.
    #[inline]
    pub(super) fn start_reading(&self, state: &mut State) -> Option<Reading<'_>> {
        // Made only where it is true: one that is dropped gives the right back.
        state.calls.start_reading().then(|| Reading(self))
    }

    /// How a connection ended whose peer is gone, or has hung up a moment ago.
    pub(super) fn end_of_peer(&self) -> Ended {
        self.end_of_peer_with(|| self.link.peer_child().and_then(Child::exit_after_hang_up))
    }

    /// The same: the exit status says how, if it was a child that went before it had answered all that it began.
    fn end_of_peer_with(&self, exit: impl FnOnce() -> Option<PeerExit>) -> Ended {
        if self.state().all_answered {
            return Ended::ShutDown;
        }
        exit().map_or(Ended::Disconnected, Ended::PeerDied)
    }

    #[inline]
    fn stop_reading(&self, state: &mut State) {
        state.calls.stop_reading().map(Thread::unpark);
        self.ring_progress(state);
    }
}

impl<'a> Reading<'a> {
    pub(super) fn core(&self) -> &'a Core {
        self.0
    }

    /// Gives the right back, and frees the place of a call whose reply the reading thread has itself.
    #[inline]
    pub(super) fn finish(self, id: u64) {
        let mut state = self.0.state();
        state.calls.abandon(id);
        self.0.stop_reading(&mut state);
        drop(state);
        std::mem::forget(self);
    }

    /// Reads what is there, without waiting, and gives each reply to its call.
    pub(super) fn read_available(&self) {
        self.read_some();
        self.read_sockets();
        self.look_at_child();
    }

    /// Reads what is there of the connection, but for a peer that sends without end.
    fn read_some(&self) {
        let more = |_: &usize| {
            let has_ended = self.0.state().calls.ended().is_some();
            !has_ended && !matches!(self.read_one(None, Wait::No), Read::Nothing)
        };
        (0..MESSAGES_AT_ONCE).take_while(more).for_each(drop);
    }

    /// Reads one message of a connection that has not ended, and gives it to its call, if that is not `own`.
    #[inline]
    pub(super) fn read_one(&self, own: Option<u64>, wait: Wait) -> Read {
        let core = self.0;
        match core.link.receive_with(wait) {
            // A call that the thread itself waits for has no reply yet, or it would not read.
            Ok(Incoming::Message(message)) if message.kind == Kind::Reply && own == Some(message.id) => {
                return Read::Own(message);
            }
            Ok(Incoming::Message(message)) => self.route(message),
            Ok(Incoming::Piece | Incoming::Rung) => {}
            Ok(Incoming::Nothing) => return Read::Nothing,
            Ok(Incoming::End) => self.end(core.end_of_peer()),
            Err(broken) => self.route_broken(broken),
        }
        core.ring_progress(&mut core.state());
        Read::Other
    }

    /// Reads the sockets of forwarded replies.
    pub(super) fn read_sockets(&self) {
        let sockets = self.0.state().calls.sockets();
        for (id, socket) in sockets {
            let received = socket.receiver().try_receive();
            let mut state = self.0.state();
            let woken = match received {
                Ok(None) => continue,
                Ok(Some(message)) => state.calls.settle(id, Outcome::Reply(message)).ok().flatten(),
                Err(RecvError::Disconnected) => state.calls.drop_socket(id, &socket),
                Err(error) => state.calls.settle(id, Outcome::Broken(CallFault::from(error))).ok().flatten(),
            };
            woken.map(Thread::unpark);
        }
    }

    /// If the child has ended nothing more will come, whoever still holds its socket: once everything it sent
    /// is read, the connection is over. (A process that the child left behind may send on with its socket.)
    pub(super) fn look_at_child(&self) {
        let Some(exit) = self.0.link.peer_child().and_then(|child| child.exit(Duration::ZERO)) else {
            return;
        };
        self.read_some();
        self.end(self.0.end_of_peer_with(|| Some(exit)));
    }

    pub(super) fn end(&self, ended: Ended) {
        self.0.state().end(ended);
    }

    /// The peer sent nonsense: it is told so, and hung up on.
    fn accuse(&self, error: ProtocolError) {
        self.0.link.accuse(&error.to_string());
        self.end(Ended::Protocol(error));
    }

    fn route(&self, message: Message) {
        if let Err(error) = self.accept(message) {
            self.accuse(error);
        }
    }

    fn accept(&self, message: Message) -> Result<(), ProtocolError> {
        let id = message.id;
        match message.kind {
            Kind::Hello => self.meet(&message),
            Kind::Reply => self.settle(id, Outcome::Reply(message)),
            Kind::Failure => match self.decode_failure(&message)? {
                Failure::Dropped => {
                    self.0.state().calls.drop_connection(id)?.map(Thread::unpark);
                    Ok(())
                }
                // About the connection: there is no room for this client.
                Failure::Refused(limit) if id == 0 => {
                    self.end(Ended::Refused(limit));
                    Ok(())
                }
                failure => self.settle(id, Outcome::Failed(failure)),
            },
            Kind::Forwarded => self.add_socket(message),
            Kind::Mark if message.is_bare() => self.0.take_mark(id),
            Kind::Fault => {
                let reason = String::from_utf8_lossy(message.body.start()).into_owned();
                self.end(Ended::Protocol(ProtocolError::Accused(reason)));
                Ok(())
            }
            Kind::Ring | Kind::Switch | Kind::Bell | Kind::Descriptors | Kind::Reset => {
                let mut state = self.0.state();
                self.0.link.change_ways(&mut state.outlet, message).map(drop)
            }
            Kind::Shutdown if id <= 1 && message.is_bare() => {
                let mut state = self.0.state();
                state.closing = true;
                state.all_answered |= id == 1;
                Ok(())
            }
            other => Err(ProtocolError::Kind(other as u8)),
        }
    }

    fn meet(&self, message: &Message) -> Result<(), ProtocolError> {
        if !message.descriptors.is_empty() {
            return Err(ProtocolError::DescriptorCount { declared: 0, actual: message.descriptors.len() });
        }
        let peer = self.0.meet(Hello::decode(message.body.start(), self.0.link.limits())?)?;
        let mut state = self.0.state();
        if state.peer.is_some() {
            return Err(ProtocolError::Order("a second introduction"));
        }
        state.peer = Some(peer);
        Ok(())
    }

    fn decode_failure(&self, message: &Message) -> Result<Failure, ProtocolError> {
        codec::decode(message.body.start(), Arrived::default(), self.0.link.limits())
            .map_err(|error| ProtocolError::Body(error.to_string()))
    }

    fn settle(&self, id: u64, outcome: Outcome) -> Result<(), ProtocolError> {
        self.0.state().calls.settle(id, outcome)?.map(Thread::unpark);
        Ok(())
    }

    fn add_socket(&self, mut message: Message) -> Result<(), ProtocolError> {
        let actual = message.descriptors.len();
        let Ok([descriptor]) = <[_; 1]>::try_from(message.take_descriptors()) else {
            return Err(ProtocolError::DescriptorCount { declared: 1, actual });
        };
        let socket = ReplySocket::new(descriptor, *self.0.link.limits());
        self.0.state().calls.add_socket(message.id, socket, MOST_REPLY_SOCKETS)
    }

    /// A message that could not be received. Where its header was sound, it concerns its call alone.
    fn route_broken(&self, broken: Broken) {
        let fault = broken.into_fault();
        match (fault.about, fault.error) {
            (Some((Kind::Reply | Kind::Failure | Kind::Forwarded, id)), error) => {
                if let Err(error) = self.settle(id, Outcome::Broken(CallFault::from(error))) {
                    self.accuse(error);
                }
            }
            (_, RecvError::Protocol(error)) => self.accuse(error),
            (_, RecvError::Refused(limit)) => self.accuse(ProtocolError::Body(limit.to_string())),
            (_, error) => self.end(Ended::Io(std::io::Error::from(error).into())),
        }
    }
}

impl From<RecvError> for CallFault {
    fn from(error: RecvError) -> Self {
        match error {
            RecvError::Refused(limit) => Self::Refused(limit),
            RecvError::Protocol(error) => Self::Protocol(error),
            RecvError::Io(source) => Self::Protocol(ProtocolError::Body(source.to_string())),
            other => Self::Protocol(ProtocolError::Body(other.to_string())),
        }
    }
}
