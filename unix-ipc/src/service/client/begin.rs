//! Sending: introductions and calls. Nobody waits for room without reading.

use std::io;
use std::os::fd::{AsFd, OwnedFd};
use std::sync::{Arc, MutexGuard};

use nix::poll::PollFlags;

use super::super::ended::Ended;
use super::super::error::CallError;
use super::super::hello::Mismatch;
use super::patience::Patience;
use super::state::{Core, State};
use super::waiting::Reader;
use crate::codec::Encoder;
use crate::deadline::Deadline;
use crate::error::ProtocolError;
use crate::frame::Kind;
use crate::raw_channel::{Outgoing, Parts, Progress, look_often, refusal};
use crate::socket;

/// Why a message was not sent.
#[derive(Debug)]
pub(super) enum SendFailure {
    /// The peer is going; what it sent before may still say why.
    HungUp,
    TimedOut,
    /// What the peer wrote to shared memory cannot be.
    Lie(ProtocolError),
    Io(io::Error),
}

impl From<io::Error> for SendFailure {
    #[inline]
    fn from(error: io::Error) -> Self {
        if socket::is_hang_up(&error) {
            return Self::HungUp;
        }
        match error.downcast() {
            Ok(lie) => Self::Lie(lie),
            Err(error) => Self::Io(error),
        }
    }
}

impl Core {
    /// Sends a call, and gives the id under which its reply comes.
    pub(super) fn begin(
        &self,
        method: u32,
        call: &mut Encoder<'_>,
        patience: Patience,
    ) -> Result<u64, CallError> {
        let (id, state) = self.begin_with(method, call, patience)?;
        drop(state);
        call.attachments().accepted();
        Ok(id)
    }

    /// The same, for a thread that waits for the reply at once: with the right to read, if nobody has it.
    #[inline]
    pub(super) fn begin_to_wait(
        &self,
        method: u32,
        call: &mut Encoder<'_>,
        patience: Patience,
    ) -> Result<(u64, Option<Reader<'_>>), CallError> {
        let (id, state) = self.begin_with(method, call, patience)?;
        let reader = state.and_then(|mut state| self.start_reading_for(&mut state, id));
        call.attachments().accepted();
        Ok((id, reader))
    }

    /// Sends a call: its id, and the state, where that was locked all the while.
    #[inline]
    fn begin_with(
        &self,
        method: u32,
        call: &mut Encoder<'_>,
        patience: Patience,
    ) -> Result<(u64, Option<MutexGuard<'_, State>>), CallError> {
        let (number, method) = (method, self.name_of(method));
        let descriptors = call.attachments().open().map_err(|source| CallError::Io { method, source })?;
        let mut state = self.check(number, call, patience)?;
        let id = state.calls.begin().map_err(|source| CallError::Refused { method, source })?;
        let kind = if patience.deadline == Deadline::NEVER { Kind::Call } else { Kind::TimedCall };
        let mut message = Outgoing::new(kind, id, 0);
        match self.send(state, &mut message, call.bytes(), &descriptors, patience.deadline) {
            Ok(state) => Ok((id, state)),
            Err(failure) => {
                // Nothing that the server could run has left.
                self.state().calls.abandon(id);
                Err(self.send_error(method, patience, failure))
            }
        }
    }

    /// Sends a call that has no reply.
    pub(super) fn send_oneway(
        &self,
        method: u32,
        call: &mut Encoder<'_>,
        patience: Patience,
    ) -> Result<(), CallError> {
        let (number, method) = (method, self.name_of(method));
        let descriptors = call.attachments().open().map_err(|source| CallError::Io { method, source })?;
        let state = self.begin_oneway(method, self.check(number, call, patience)?)?;
        let mut message = Outgoing::new(Kind::OneWay, 0, 0);
        match self.send(state, &mut message, call.bytes(), &descriptors, patience.deadline) {
            Ok(state) => self.end_oneway(state),
            Err(failure) => {
                self.abandon_oneway();
                return Err(self.send_error(method, patience, failure));
            }
        }
        call.attachments().accepted();
        Ok(())
    }

    /// What can be said before anything is sent, but for the introduction, which goes first.
    #[inline]
    fn check(
        &self,
        number: u32,
        call: &mut Encoder<'_>,
        patience: Patience,
    ) -> Result<MutexGuard<'_, State>, CallError> {
        let method = self.name_of(number);
        self.link.check().map_err(|source| CallError::Io { method, source })?;
        let allowed = self.link.limits().check(call.bytes().len() as u64, call.attachments().len());
        allowed.map_err(|source| CallError::Refused { method, source })?;
        let mut state = self.state();
        if !state.introduced {
            drop(state);
            self.introduce(patience.deadline)
                .map_err(|failure| self.send_error(method, patience, failure))?;
            state = self.state();
        }
        let missing = |number: u32| state.peer.as_ref()?.missing.get(usize::try_from(number).ok()?)?.as_ref();
        if let Some(Mismatch { ours, theirs }) = missing(number).cloned() {
            return Err(CallError::UnknownMethod { method, ours: theirs, theirs: ours });
        }
        self.check_open(method, &state)?;
        Ok(state)
    }

    #[inline]
    pub(super) fn check_open(&self, method: &'static str, state: &State) -> Result<(), CallError> {
        if let Some(ended) = state.calls.ended() {
            return Err(CallError::ended(method, ended.clone()));
        }
        if state.closing {
            return Err(CallError::ShuttingDown { method });
        }
        if state.moving {
            let source =
                io::Error::new(io::ErrorKind::NotConnected, "the client has moved to another process");
            return Err(CallError::Io { method, source });
        }
        Ok(())
    }

    /// Introduces this end, once, before anything else is sent.
    pub(super) fn introduce(&self, deadline: Deadline) -> Result<(), SendFailure> {
        if self.state().introduced {
            return Ok(());
        }
        let Some(_turn) = self.introduction.take(deadline) else { return Err(SendFailure::TimedOut) };
        if self.state().introduced {
            return Ok(());
        }
        let nothing: [Arc<OwnedFd>; 0] = [];
        let hello = self.hello().encode();
        let mut message = Outgoing::new(Kind::Hello, 0, 0).named();
        drop(self.send(self.state(), &mut message, hello.bytes(), &nothing, deadline)?);
        self.state().introduced = true;
        Ok(())
    }

    /// Sends a message. The state comes back where that was locked all the while.
    #[inline]
    pub(super) fn send<'a, D: AsFd>(
        &self,
        mut state: MutexGuard<'a, State>,
        message: &mut Outgoing,
        body: Parts<'_>,
        descriptors: &[D],
        deadline: Deadline,
    ) -> Result<Option<MutexGuard<'a, State>>, SendFailure> {
        self.say_unsaid(&mut state);
        let socket = self.link.socket();
        if !message.is_long(body) {
            match state.outlet.send_packet(message, socket, body, descriptors) {
                Ok(Progress::Done) => return Ok(Some(state)),
                Err(error) if error.kind() != io::ErrorKind::WouldBlock => return Err(error.into()),
                Ok(Progress::More) | Err(_) => {}
            }
        }
        drop(state);
        self.send_in_turn(message, body, descriptors, deadline)?;
        Ok(None)
    }

    /// Sends a message that is long, or for which there is no room now.
    fn send_in_turn<D: AsFd>(
        &self,
        message: &mut Outgoing,
        body: Parts<'_>,
        descriptors: &[D],
        deadline: Deadline,
    ) -> Result<(), SendFailure> {
        let (mut turn, mut before) = (None, None);
        loop {
            if turn.is_none() && message.is_long(body) {
                turn = Some(self.long.take(deadline).ok_or(SendFailure::TimedOut)?);
            }
            let socket = self.link.socket();
            let sent = {
                let mut state = self.state();
                self.say_unsaid(&mut state);
                state.outlet.send_packet(message, socket, body, descriptors)
            };
            match sent {
                Ok(Progress::Done) => return Ok(()),
                Ok(Progress::More) => {}
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => {
                    let left = message.left(body);
                    let is_stuck = before.replace(left) == Some(left);
                    self.wait_for_room(message, body, descriptors.len(), is_stuck, deadline)?;
                }
                Err(error) => return Err(error.into()),
            }
        }
    }

    /// Waits for room, and reads meanwhile what comes if nobody else does: the server may wait for the
    /// same. One that is stuck has found room before, and sent nothing: what has none may be the socket, through which
    /// descriptors go.
    fn wait_for_room(
        &self,
        message: &Outgoing,
        body: Parts<'_>,
        descriptors: usize,
        is_stuck: bool,
        deadline: Deadline,
    ) -> Result<(), SendFailure> {
        loop {
            if !is_stuck && look_often(|| self.state().outlet.look_for_room(message, body))? {
                return Ok(());
            }
            let (reads, wants_room) = {
                let mut state = self.state();
                (state.reads, state.outlet.want_room(message, body, descriptors))
            };
            let through_ring = match wants_room? {
                Some(false) if !is_stuck => return Ok(()),
                wants_room => wants_room == Some(true),
            };
            if deadline.has_passed() {
                return Err(SendFailure::TimedOut);
            }
            match self.try_read() {
                // The bell for room comes to whoever reads.
                Some(reading) if through_ring => reading.read_news(deadline),
                Some(reading) => {
                    if self.link.fall_asleep() && self.wait_for_socket(deadline)? {
                        return Ok(());
                    }
                    reading.read_available();
                }
                None if through_ring => self.wait_for_progress(reads, deadline),
                None if self.wait_for_socket(deadline)? => return Ok(()),
                None => self.wait_for_progress(reads, deadline),
            }
            if self.state().calls.ended().is_some() {
                return Err(SendFailure::HungUp);
            }
        }
    }

    /// Waits until there is room in the socket, or something to read: whether there is room.
    fn wait_for_socket(&self, deadline: Deadline) -> Result<bool, SendFailure> {
        let events = self.link.wait_with_child(PollFlags::POLLIN | PollFlags::POLLOUT, deadline)?;
        Ok(events.ok_or(SendFailure::TimedOut)?.contains(PollFlags::POLLOUT))
    }

    /// There is something to read: reads it, or waits until the thread that reads has.
    pub(super) fn read_or_let_read(&self, reads: u64, deadline: Deadline) {
        if let Some(reading) = self.try_read() {
            reading.read_available();
            return;
        }
        self.wait_for_progress(reads, deadline);
    }

    /// What a failed send means for the call. Where the peer is going, what it sent before is read first: it
    /// may say why.
    fn send_error(&self, method: &'static str, patience: Patience, failure: SendFailure) -> CallError {
        match failure {
            SendFailure::TimedOut => CallError::Timeout { method, after: patience.after },
            SendFailure::Lie(source) => {
                self.link.accuse(&source.to_string());
                self.state().end(Ended::Protocol(source.clone()));
                CallError::Protocol { method, source }
            }
            SendFailure::Io(error) => match refusal(&error) {
                Some(source) => CallError::Refused { method, source },
                None => CallError::Io { method, source: error },
            },
            SendFailure::HungUp => match self.end_of_hung_up(patience.deadline) {
                Some(ended) => CallError::ended(method, ended),
                None => CallError::Disconnected { method },
            },
        }
    }

    /// How the connection ended that a send found hung up. `None` where the peer has only stopped reading, so that
    /// there is no end to read up to.
    fn end_of_hung_up(&self, deadline: Deadline) -> Option<Ended> {
        loop {
            let (ended, reads) = {
                let state = self.state();
                (state.calls.ended().cloned(), state.reads)
            };
            if ended.is_some() || deadline.has_passed() || !self.link.has_hung_up() {
                return ended;
            }
            // Another thread may be on its way to the same end, and wait for the child's status.
            self.read_or_let_read(reads, deadline);
        }
    }
}
