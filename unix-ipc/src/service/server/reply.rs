use std::io;
use std::os::fd::OwnedFd;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use super::session::{Session, encode_failure};
use crate::codec::{Attachment, Encoder, Failure, ReplyPath};
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
    answered: AtomicBool,
}

impl Reply {
    pub(super) fn new(session: Arc<Session>, id: u64) -> Arc<Self> {
        Arc::new(Self { session, id, answered: AtomicBool::new(false) })
    }

    /// Takes the right to answer, which there is once.
    fn claim(&self) -> Result<(), SendError> {
        if self.answered.swap(true, Ordering::SeqCst) { Err(SendError::Disconnected(())) } else { Ok(()) }
    }

    #[inline]
    fn answer(&self, answer: &mut Encoder, wait: bool) -> Result<(), SendError> {
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
    fn send(&self, answer: &mut Encoder, wait: bool) -> Result<(), SendError> {
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

    fn fail(&self, failure: Failure) {
        if self.claim().is_ok() {
            let _ = self.session.put(Kind::Failure, self.id, &mut encode_failure(&failure), Vec::new());
        }
    }

    fn forward(self: Arc<Self>) -> Box<dyn Attachment> {
        Box::new(Forward { reply: self, pair: None })
    }
}

impl Drop for Reply {
    fn drop(&mut self) {
        self.fail(Failure::Dropped);
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
