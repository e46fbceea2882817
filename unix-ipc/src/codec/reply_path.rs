use std::sync::Arc;

use super::{Attachment, Attachments};
use crate::SendError;

/// Stands in a sender's place and means "the reply of this call", which costs no descriptor.
pub(crate) const REPLY_PLACE: u32 = u32::MAX;

/// The way back of a call, as a sender inside its arguments uses it; the service runtime implements it.
///
/// Dropped without an answer, it tells the caller so.
pub(crate) trait ReplyPath: Send + Sync + std::fmt::Debug {
    /// Answers the call with an encoded value. Only the first answer counts.
    fn send(&self, body: Vec<u8>, attachments: Attachments) -> Result<(), SendError>;

    /// Answers the call with the message of the panic that kept its handler from answering.
    fn fail(&self, failure: String);

    /// What a message to a third process carries: a real socket, once that message is sent.
    fn forward(self: Arc<Self>) -> Box<dyn Attachment>;
}
