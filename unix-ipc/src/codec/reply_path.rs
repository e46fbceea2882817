use std::sync::Arc;

#[cfg(feature = "macros")]
use serde::{Deserialize, Serialize};

use super::{Attachment, Encoder};
#[cfg(feature = "macros")]
use crate::deadline::Deadline;
#[cfg(feature = "macros")]
use crate::error::LimitExceeded;
use crate::error::SendError;

/// Stands in a sender's place and means "the reply of this call", which costs no descriptor.
pub(crate) const REPLY_PLACE: u32 = u32::MAX;

/// The way back of a call, as a sender inside its arguments uses it; the service runtime implements it.
///
/// Dropped without an answer, it tells the caller so.
pub(crate) trait ReplyPath: Send + Sync + std::fmt::Debug {
    /// Answers the call with an encoded value; only the first answer counts. `wait` is whether a thread
    /// that does not serve the connection waits for room.
    fn send(&self, answer: &mut Encoder<'_>, wait: bool) -> Result<(), SendError>;

    /// Until when somebody waits for the answer: `None` where nobody does any more, as far as is known. Then nobody is told why
    /// there is none.
    #[cfg(feature = "macros")]
    fn begin(&self) -> Option<Deadline>;

    /// Says why the call has no answer, unless it has one.
    #[cfg(feature = "macros")]
    fn fail(&self, failure: Failure);

    /// What a message to a third process carries: a real socket, once that message is sent.
    fn forward(self: Arc<Self>) -> Box<dyn Attachment>;
}

/// Why a call has no answer, as it travels to the caller.
#[cfg(feature = "macros")]
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) enum Failure {
    /// The reply sender was dropped.
    Dropped,
    /// The handler, or an argument while it was decoded, panicked with this message.
    Panicked(String),
    /// The call, or its reply, exceeded a limit of the server.
    Refused(LimitExceeded),
    /// The server has no such method: its own signature of the same name, if any, and the caller's.
    UnknownMethod { ours: Option<String>, theirs: String },
    /// The arguments do not decode.
    Unreadable(String),
    /// The reply does not encode, or could not be sent.
    Unsendable(String),
    /// The server begins no more calls.
    ShuttingDown,
}

#[cfg(feature = "macros")]
impl Failure {
    /// The body of the message that says so.
    pub(crate) fn encode(&self) -> Encoder<'static> {
        let mut encoder = Encoder::new();
        let encoded = encoder.put(self);
        debug_assert!(encoded.is_ok(), "strings and numbers always encode");
        encoder
    }
}
