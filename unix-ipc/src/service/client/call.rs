use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use serde::Serialize;

use super::super::current;
use super::super::error::CallError;
use super::Pending;
use super::patience::Patience;
use super::pending::Decode;
use super::state::Core;
use crate::codec::{EncodeError, Encoder, REPLY_PLACE};
use crate::deadline::Deadline;
use crate::raw_channel::Message;

/// A call while its arguments are encoded, one after another: byte for byte the generated task.
///
/// An argument that cannot be encoded fails the call when it is to be sent.
#[derive(Debug)]
pub struct Call<'c> {
    core: &'c Arc<Core>,
    method: u32,
    patience: Patience,
    encoder: Encoder<'c>,
    failure: Option<EncodeError>,
}

impl<'c> Call<'c> {
    #[inline]
    pub(super) fn new(core: &'c Arc<Core>, method: u32, timeout: Option<Duration>) -> Self {
        let patience = Patience::from_now(timeout);
        let mut encoder = Encoder::new();
        if let Some(until) = patience.deadline.on_the_clock().filter(|_| !core.is_oneway(method)) {
            encoder.put_long_number(until);
        }
        encoder.put_number(method);
        Self { core, method, patience, encoder, failure: None }
    }

    /// The next argument.
    #[inline]
    pub(crate) fn encode<A: Serialize + ?Sized>(&mut self, argument: &A) {
        self.put(|encoder| encoder.put(argument));
    }

    /// The same, which may be sent from where it lies.
    #[inline]
    pub(crate) fn encode_lent<A: Serialize>(&mut self, argument: &'c A) {
        self.put(|encoder| encoder.put_lent(argument));
    }

    /// The same for a slice.
    pub(crate) fn encode_lent_slice<A: Serialize>(&mut self, items: &'c [A]) {
        self.put(|encoder| encoder.put_lent_slice(items));
    }

    #[inline]
    fn put(&mut self, put: impl FnOnce(&mut Encoder<'c>) -> Result<(), EncodeError>) {
        if self.failure.is_none()
            && let Err(failure) = put(&mut self.encoder)
        {
            self.failure = Some(failure);
        }
    }

    /// An argument that the handler has as a `String`.
    pub fn str_argument(&mut self, argument: &str) {
        self.encode(argument);
    }

    /// An argument that the handler has as a `PathBuf`.
    pub fn path_argument(&mut self, argument: &Path) {
        self.encode(argument);
    }

    /// An argument that the handler has as an `Option<String>`.
    pub fn optional_str_argument(&mut self, argument: Option<&str>) {
        self.encode(&argument);
    }

    /// An argument that the handler has as an `Option<PathBuf>`.
    pub fn optional_path_argument(&mut self, argument: Option<&Path>) {
        self.encode(&argument);
    }

    /// Sends the call, which has no reply.
    ///
    /// # Errors
    ///
    /// Where the call could not be encoded or sent.
    pub fn send(&mut self) -> Result<(), CallError> {
        self.check()?;
        self.core.send_oneway(self.method, &mut self.encoder, self.patience)
    }

    /// Sends the call, whose reply is decoded by a function of its type.
    pub(crate) fn begin<T, E>(&mut self, decode: Decode<T, E>) -> Result<Pending<T, E>, CallError> {
        let patience = self.patience;
        self.finish()?;
        // Counted before the call is sent: behind it the count would wait until the other end has let go of the call's line.
        let core = Arc::clone(self.core);
        let id = core.begin(self.method, &mut self.encoder, patience)?;
        Ok(Pending::new(core, id, self.core.name_of(self.method), patience, decode))
    }

    /// Sends the call and waits for its reply, which is decoded by a function of its type.
    #[inline]
    pub(crate) fn wait<T, E>(&mut self, decode: Decode<T, E>) -> Result<T, CallError<E>> {
        let reply = self.reply().map_err(CallError::widen)?;
        self.core.result(reply, self.core.name_of(self.method), decode)
    }

    fn reply(&mut self) -> Result<Message, CallError> {
        let patience = self.patience;
        self.finish()?;
        let (id, reader) = self.core.begin_to_wait(self.method, &mut self.encoder, patience)?;
        self.core.reply(id, reader, self.core.name_of(self.method), patience)
    }

    /// Puts the place for the reply behind the arguments, if all were encoded.
    #[inline]
    fn finish(&mut self) -> Result<(), CallError> {
        self.encoder.put_number(REPLY_PLACE);
        self.check()
    }

    /// Whether all arguments were encoded, and the handler that makes this call has time left.
    #[inline]
    fn check(&mut self) -> Result<(), CallError> {
        // A handler's time is its call's, too.
        if self.patience.deadline != Deadline::NEVER && current::deadline().has_passed() {
            let (method, after) = (self.core.name_of(self.method), self.patience.after);
            return Err(CallError::Timeout { method, after });
        }
        match self.failure.take() {
            None => Ok(()),
            Some(source) => Err(CallError::Encode { method: self.core.name_of(self.method), source }),
        }
    }
}
