//! A call's message becomes a task.

use std::marker::PhantomData;
use std::panic::{self, AssertUnwindSafe};
use std::sync::Arc;

use super::super::super::hello::Mismatch;
use super::super::super::message::message_of;
use super::super::super::task::{Method, Task};
use super::super::context::{Arriving, CallContext};
use super::super::reply::{Decoding, Reply};
use super::{Looked, Session, Step};
use crate::codec::{self, Arrived, DecodeError, Failure, ReplyPath, Source};
use crate::deadline::Deadline;
use crate::error::ProtocolError;
use crate::frame::Kind;
use crate::raw_channel::Message;

/// The bytes in front of a timed call's task: the moment from which on nobody waits for its reply.
const MOMENT_BYTES: usize = size_of::<u64>();

impl Session {
    /// Makes a task of a call, to where there is a place for it.
    #[inline]
    pub(super) fn decode<T: Task>(self: &Arc<Self>, message: Message, task: &mut Option<T>) -> Looked {
        if message.kind == Kind::TimedCall {
            return self.decode_timed(message, task);
        }
        self.decode_from::<T, 0>(Deadline::NEVER, message, task)
    }

    #[inline(never)]
    fn decode_timed<T: Task>(self: &Arc<Self>, message: Message, task: &mut Option<T>) -> Looked {
        let Some(moment) = message.body.start().first_chunk() else {
            return Ok(self.unreadable(&message, DecodeError::End));
        };
        let deadline = Deadline::from_clock(u64::from_le_bytes(*moment));
        // The caller knows as well as this end that its time is over.
        if deadline.has_passed() {
            return Ok(Step::Handled);
        }
        self.decode_from::<T, MOMENT_BYTES>(deadline, message, task)
    }

    /// The same for a call whose moment is known, and whose task begins behind so many bytes.
    #[inline]
    fn decode_from<T: Task, const START: usize>(
        self: &Arc<Self>,
        deadline: Deadline,
        mut message: Message,
        task: &mut Option<T>,
    ) -> Looked {
        if self.refuses() {
            self.fail_call(&message, &Failure::ShuttingDown);
            return Ok(Step::Handled);
        }
        let Some(methods) = self.client.get() else {
            return self.accuse(ProtocolError::Order("a call before the introduction"));
        };
        let named = codec::variant(message.body.start().get(START..).unwrap_or_default())
            .and_then(|number| methods.get(usize::try_from(number).ok()?));
        let number = match named {
            Some(Ok(number)) => *number,
            Some(Err(mismatch)) => {
                let Mismatch { ours, theirs } = mismatch.clone();
                self.fail_call(&message, &Failure::UnknownMethod { ours, theirs });
                return Ok(Step::Handled);
            }
            None => {
                let error = DecodeError::Malformed("a call of a method that the introduction does not have");
                return Ok(self.unreadable(&message, error));
            }
        };
        codec::set_variant(message.body.start_mut().get_mut(START..).unwrap_or_default(), number);
        let id = message.id;
        let method = usize::try_from(number).ok().and_then(|number| self.methods.get(number));
        let has_context = method.is_some_and(Method::has_context);
        let _context = has_context.then(|| self.context(id, deadline));
        let decoding = Decoding::of(self, id);
        let decode = || {
            let wants_reply = message.kind != Kind::OneWay;
            let reply = || -> Arc<dyn ReplyPath> { Reply::new(Arc::clone(self), id, deadline) };
            let arrived = Arrived { descriptors: message.take_descriptors(), reply: wants_reply.then(reply) };
            let mut source = Source::from(&mut message.body);
            if START > 0 {
                source.take_number();
            }
            let decoded = codec::decode_with(source, arrived, self.link.limits(), PhantomData);
            decoded.map(|decoded| *task = Some(decoded))
        };
        let decoded = panic::catch_unwind(AssertUnwindSafe(decode));
        let dropped_its_reply = decoding.end();
        Ok(match decoded {
            Ok(Ok(())) => {
                if dropped_its_reply {
                    self.fail_call(&message, &Failure::Dropped);
                }
                Step::Task
            }
            // It concerns one call, and the connection lives on.
            Ok(Err(error)) => self.unreadable(&message, error),
            // As the handler's: it is the caller's matter, and the other clients go on.
            Err(payload) => {
                self.fail_call(&message, &Failure::Panicked(message_of(&*payload).to_owned()));
                Step::Unreadable(Box::new(DecodeError::Malformed("a call whose arguments panicked").into()))
            }
        })
    }

    /// The context of the call that is decoded, until what this returns is dropped.
    #[inline(never)]
    fn context(self: &Arc<Self>, id: u64, deadline: Deadline) -> Arriving {
        Arriving::with(CallContext::new(self, id, deadline))
    }

    /// A call whose bytes are no task.
    #[cold]
    fn unreadable(&self, call: &Message, error: DecodeError) -> Step {
        self.fail_call(call, &failure_of(&error));
        Step::Unreadable(Box::new(error.into()))
    }

    /// Says why a call has no reply, if somebody waits for one.
    #[cold]
    fn fail_call(&self, call: &Message, failure: &Failure) {
        if call.kind != Kind::OneWay {
            self.fail(call.id, failure);
        }
    }
}

fn failure_of(error: &DecodeError) -> Failure {
    match error {
        DecodeError::Limit(limit) => Failure::Refused(*limit),
        other => Failure::Unreadable(other.to_string()),
    }
}
