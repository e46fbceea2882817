use std::convert::Infallible;
use std::fmt;
use std::mem;
use std::sync::Arc;
use std::time::Duration;

use super::super::calls::Outcome;
use super::super::error::CallError;
use super::patience::Patience;
use super::state::Core;
use super::waiting::Reader;
use crate::codec::DecodeError;
use crate::limits::Limits;
use crate::raw_channel::Message;

/// Makes a reply the method's result.
pub(crate) type Decode<T, E> = fn(&mut Message, &Limits) -> Result<Result<T, E>, DecodeError>;

/// A call that was begun and not waited for yet.
///
/// Several can be waited for in any order. Dropping one gives the call up and tells the server, which does not start it if it has not
/// yet; a handler that runs learns it from its [`CallContext`](crate::CallContext), and its reply answers nobody.
#[must_use = "dropping it gives the call up"]
pub struct Pending<T, E = Infallible> {
    core: Arc<Core>,
    /// 0 once the call's place is free.
    id: u64,
    method: &'static str,
    patience: Patience,
    decode: Decode<T, E>,
}

impl<T, E> Pending<T, E> {
    pub(super) fn new(
        core: Arc<Core>,
        id: u64,
        method: &'static str,
        patience: Patience,
        decode: Decode<T, E>,
    ) -> Self {
        Self { core, id, method, patience, decode }
    }

    /// Waits for the reply.
    ///
    /// # Errors
    ///
    /// [`CallError::Service`] with the service's own error, or what went wrong with the call.
    ///
    /// # Blocking
    ///
    /// Until the reply is there, the server is gone, or the client's timeout
    /// (`with_timeout`), which counts from the beginning of the call, is over.
    pub fn wait(self) -> Result<T, CallError<E>> {
        let patience = self.patience;
        self.wait_until(patience)
    }

    /// Waits for the reply for at most so long, or until the client's timeout if that ends earlier.
    ///
    /// # Errors
    ///
    /// Those of [`wait`](Self::wait); after [`CallError::Timeout`] the call is given up, as by dropping this.
    ///
    /// # Blocking
    ///
    /// Waits for as long as `timeout` says.
    pub fn wait_timeout(self, timeout: Duration) -> Result<T, CallError<E>> {
        let patience = self.patience.at_most_for(timeout);
        self.wait_until(patience)
    }

    /// Whether [`wait`](Self::wait) would return at once. Reads what has come, and never blocks.
    pub fn is_ready(&self) -> bool {
        !self.core.link.is_here() || self.core.is_ready(self.id)
    }

    fn wait_until(mut self, patience: Patience) -> Result<T, CallError<E>> {
        // In a copy of this process nobody reads who could hand the reply over.
        self.core.link.check().map_err(|source| CallError::Io { method: self.method, source })?;
        let id = mem::take(&mut self.id);
        let reply = self.core.reply(id, None, self.method, patience).map_err(CallError::widen)?;
        self.core.result(reply, self.method, self.decode)
    }
}

impl Core {
    /// Makes a reply the method's result.
    #[inline]
    pub(super) fn result<T, E>(
        &self,
        mut reply: Message,
        method: &'static str,
        decode: Decode<T, E>,
    ) -> Result<T, CallError<E>> {
        match decode(&mut reply, self.link.limits()) {
            Ok(result) => result.map_err(CallError::Service),
            Err(error) => Err(CallError::undecodable(method, error).widen()),
        }
    }

    /// Waits for a call's reply, which frees its place.
    #[inline]
    pub(super) fn reply(
        &self,
        id: u64,
        reader: Option<Reader<'_>>,
        method: &'static str,
        patience: Patience,
    ) -> Result<Message, CallError> {
        Err(match self.wait(id, reader, patience.deadline) {
            Some(Outcome::Reply(message)) => return Ok(message),
            Some(Outcome::Failed(failure)) => CallError::failed(method, failure),
            Some(Outcome::Broken(fault)) => CallError::broken(method, fault),
            Some(Outcome::Ended(ended)) => CallError::ended(method, ended),
            None => CallError::Timeout { method, after: patience.after },
        })
    }
}

impl<T, E> Drop for Pending<T, E> {
    fn drop(&mut self) {
        if self.id != 0 && self.core.link.is_here() {
            self.core.give_up(self.id);
        }
    }
}

impl<T, E> fmt::Debug for Pending<T, E> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Pending").field("method", &self.method).finish_non_exhaustive()
    }
}
