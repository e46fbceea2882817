use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use serde::Serialize;

use super::super::error::CallError;
use super::super::task::Method;
use super::Pending;
use super::begin::{Encoded, Patience};
use super::pending::Decode;
use super::state::Core;
use crate::codec::{EncodeError, Encoder, REPLY_PLACE};

/// A call while its arguments are encoded, one after another: byte for byte the generated task.
///
/// An argument that cannot be encoded fails the call when it is to be sent.
#[derive(Debug)]
pub struct Call<'c> {
    core: &'c Arc<Core>,
    method: &'static Method,
    number: u32,
    timeout: Option<Duration>,
    encoder: Encoder,
    failure: Option<EncodeError>,
}

impl<'c> Call<'c> {
    pub(super) fn new(core: &'c Arc<Core>, number: u32, timeout: Option<Duration>) -> Self {
        const UNKNOWN: Method = Method::new("", "", false);
        let method = core.methods.get(number as usize).unwrap_or(&UNKNOWN);
        let mut encoder = Encoder::new();
        encoder.put_number(number);
        Self { core, method, number, timeout, encoder, failure: None }
    }

    /// The next argument.
    pub(crate) fn encode<A: Serialize + ?Sized>(mut self, argument: &A) -> Self {
        if self.failure.is_none() {
            self.failure = self.encoder.put(argument).err();
        }
        self
    }

    /// An argument that the handler has as a `String`.
    #[must_use]
    pub fn str_argument(self, argument: &str) -> Self {
        self.encode(argument)
    }

    /// An argument that the handler has as a `PathBuf`.
    #[must_use]
    pub fn path_argument(self, argument: &Path) -> Self {
        self.encode(argument)
    }

    /// An argument that the handler has as an `Option<String>`.
    #[must_use]
    pub fn optional_str_argument(self, argument: Option<&str>) -> Self {
        self.encode(&argument)
    }

    /// An argument that the handler has as an `Option<PathBuf>`.
    #[must_use]
    pub fn optional_path_argument(self, argument: Option<&Path>) -> Self {
        self.encode(&argument)
    }

    /// Sends the call, which has no reply.
    ///
    /// # Errors
    ///
    /// Where the call could not be encoded or sent.
    pub fn send(self) -> Result<(), CallError> {
        let (core, timeout) = (self.core, self.timeout);
        core.send_oneway(self.finish()?, Patience::from(timeout))
    }

    /// Sends the call, whose reply is decoded by a function of its type.
    pub(crate) fn begin<T, E>(mut self, decode: Decode<T, E>) -> Result<Pending<T, E>, CallError> {
        let (core, patience) = (Arc::clone(self.core), Patience::from(self.timeout));
        let method = self.method.name();
        self.encoder.put_number(REPLY_PLACE);
        let call = self.finish()?;
        let id = core.begin(call, patience)?;
        Ok(Pending::new(core, id, method, patience, decode))
    }

    fn finish(self) -> Result<Encoded, CallError> {
        if let Some(source) = self.failure {
            return Err(CallError::Encode { method: self.method.name(), source });
        }
        let (body, attachments) = self.encoder.finish();
        Ok(Encoded { method: self.method, number: self.number, body, attachments })
    }
}
