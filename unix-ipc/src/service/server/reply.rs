use std::cell::Cell;
use std::io;
use std::os::fd::OwnedFd;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use super::session::Session;
use crate::codec::{Attachment, Encoder, Failure, ReplyPath};
use crate::deadline::Deadline;
use crate::error::SendError;
use crate::frame::Kind;
use crate::raw_channel::{self, RawReceiver, RawSender};

/// The reply of one call: a place for one value, which costs no descriptor.
///
/// Dropped without one, it tells the caller so.
#[derive(Debug)]
pub(super) struct Reply {
    session: Arc<Session>,
    id: u64,
    /// When the caller gives up.
    deadline: Deadline,
    answered: AtomicBool,
}

impl Reply {
    pub(super) fn new(session: Arc<Session>, id: u64, deadline: Deadline) -> Arc<Self> {
        Arc::new(Self { session, id, deadline, answered: AtomicBool::new(false) })
    }

    /// Takes the right to answer, which there is once.
    fn claim(&self) -> Result<(), SendError> {
        if self.answered.swap(true, Ordering::SeqCst) { Err(SendError::Disconnected(())) } else { Ok(()) }
    }

    #[inline]
    fn answer(&self, answer: &mut Encoder<'_>, wait: bool) -> Result<(), SendError> {
        let bytes = answer.bytes().len() as u64;
        let allowed = self.session.link().limits().check(bytes, answer.attachments().len());
        allowed.map_err(|source| SendError::Refused { value: (), source })?;
        let descriptors = answer.attachments().open();
        let descriptors = descriptors.map_err(|source| SendError::Io { value: (), source })?;
        if wait {
            self.session.put(Kind::Reply, self.id, answer, descriptors)
        } else {
            self.session.try_put(Kind::Reply, self.id, answer.bytes(), &descriptors)
        }
    }
}

impl ReplyPath for Reply {
    fn send(&self, answer: &mut Encoder<'_>, wait: bool) -> Result<(), SendError> {
        self.claim()?;
        match self.answer(answer, wait) {
            Ok(()) => {
                answer.attachments().accepted();
                Ok(())
            }
            Err(error) => {
                // The value goes back to whoever sent it, who may try again.
                self.answered.store(error.is_disconnected(), Ordering::SeqCst);
                Err(error)
            }
        }
    }

    fn begin(&self) -> Option<Deadline> {
        if self.deadline.has_passed() || self.session.was_taken_back(self.id) {
            self.answered.store(true, Ordering::SeqCst);
            return None;
        }
        Some(self.deadline)
    }

    fn fail(&self, failure: Failure) {
        if self.claim().is_ok() {
            self.session.fail(self.id, &failure);
        }
    }

    fn forward(self: Arc<Self>) -> Box<dyn Attachment> {
        Box::new(Forward { reply: self, pair: None })
    }
}

impl Drop for Reply {
    fn drop(&mut self) {
        if !*self.answered.get_mut() && !Decoding::takes(&self.session, self.id) {
            self.session.fail(self.id, &Failure::Dropped);
        }
    }
}

thread_local! {
    /// The call whose arguments this thread decodes, and whether its reply was dropped meanwhile.
    static DECODING: Cell<(Call, bool)> = const { Cell::new(((0, 0), false)) };
}

/// A call of a session, told from those of others by where that is. No call has the id 0.
type Call = (usize, u64);

/// While the arguments of a call are decoded, a dropped reply says nothing: they may turn out to be none, and then that is
/// what its caller hears.
pub(super) struct Decoding {
    call: Call,
    around: (Call, bool),
}

impl Decoding {
    #[inline]
    pub(super) fn of(session: &Arc<Session>, id: u64) -> Self {
        let call = (Arc::as_ptr(session).addr(), id);
        Self { call, around: DECODING.replace((call, false)) }
    }

    /// The arguments are decoded, or not: whether the reply was dropped.
    #[inline]
    pub(super) fn end(self) -> bool {
        let (call, dropped) = DECODING.replace(self.around);
        debug_assert_eq!(call, self.call, "one call after another");
        dropped
    }

    /// Whether a reply is dropped while its call is decoded, which this remembers.
    fn takes(session: &Arc<Session>, id: u64) -> bool {
        let call = (Arc::as_ptr(session).addr(), id);
        let is_decoding = DECODING.get().0 == call;
        if is_decoding {
            DECODING.set((call, true));
        }
        is_decoding
    }
}

/// A reply sender on its way to a third process: one end of a new channel goes there, the other to the caller.
#[derive(Debug)]
struct Forward {
    reply: Arc<Reply>,
    pair: Option<(RawSender, RawReceiver)>,
}

impl Attachment for Forward {
    fn open(&mut self) -> io::Result<Arc<OwnedFd>> {
        let (sender, _) = match &self.pair {
            Some(pair) => pair,
            None => self.pair.insert(raw_channel::raw_channel()?),
        };
        Ok(Arc::clone(sender.socket().descriptor()))
    }

    fn accepted(self: Box<Self>) {
        let Some((_, receiver)) = &self.pair else { return };
        let riding = vec![Arc::clone(receiver.socket().descriptor())];
        // Where the caller is gone, so is the channel, and the third process learns it when it answers.
        let _ = self.reply.session.put(Kind::Forwarded, self.reply.id, &mut Encoder::new(), riding);
    }
}
