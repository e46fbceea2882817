//! The descriptor table of the message in hand.
//!
//! Serde passes a value's `Serialize` and `Deserialize` no context, so the table is state of the
//! thread, and this is the only file that touches it. Each message has a table of its own for
//! exactly as long as a value of it is visited. A [`Scope`] puts it in place and keeps the one that was
//! there, so the scopes on the program's stack are the stack of tables: a `Serialize` may itself
//! send, and a visit that fails or panics leaves nothing behind. No code of anybody else's runs while
//! the table is borrowed, and a table is dropped only after it is out of its place.

use std::cell::RefCell;
use std::fmt;
use std::mem::{self, ManuallyDrop};
use std::os::fd::OwnedFd;
use std::sync::Arc;

use super::reply_path::REPLY_PLACE;
use super::{Attachment, Attachments, ReplyPath};
use crate::{LimitExceeded, Limits};

thread_local! {
    /// Without a destructor, so that it can be used by the destructors of other thread-locals;
    /// outside of every scope it owns nothing.
    static TABLE: ManuallyDrop<RefCell<Table>> = const { ManuallyDrop::new(RefCell::new(Table::None)) };
}

enum Table {
    None,
    Encoding(Attachments),
    Decoding(Incoming),
}

/// What came beside the bytes of a message.
#[derive(Debug, Default)]
pub(crate) struct Arrived {
    /// The descriptors, in the order of their indices.
    pub(crate) descriptors: Vec<OwnedFd>,
    /// Where [`REPLY_PLACE`] leads.
    pub(crate) reply: Option<Arc<dyn ReplyPath>>,
}

/// What came and was not taken yet. Dropped, it closes what is left.
struct Incoming {
    descriptors: Vec<Option<OwnedFd>>,
    reply: Option<Arc<dyn ReplyPath>>,
    /// How long memory that comes with the message may be.
    longest_message: u64,
    /// The first refusal: on its way through somebody's `Deserialize` it becomes text.
    failure: Option<TakeError>,
}

/// A handle, sender, receiver or shared memory met serde outside of a message of this library.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct NotInMessage;

impl fmt::Display for NotInMessage {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a value with a file descriptor can only be sent and received by unix_ipc")
    }
}

/// Why there is no descriptor, or no reply.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum TakeError {
    NotInMessage(NotInMessage),
    Index { index: u32, count: usize },
    Twice { index: u32 },
    NoReply,
    Limit(LimitExceeded),
}

impl fmt::Display for TakeError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Limit(error) => error.fmt(f),
            other => super::DecodeError::from(*other).fmt(f),
        }
    }
}

/// Adds a descriptor to the message in hand, and gives what stands for it in the bytes.
pub(crate) fn attach(descriptor: Arc<OwnedFd>) -> Result<u32, NotInMessage> {
    add(|attachments| attachments.push(descriptor))
}

/// The same for a descriptor that is made only when the message is sent.
pub(crate) fn attach_later(attachment: Box<dyn Attachment>) -> Result<u32, NotInMessage> {
    add(|attachments| attachments.push_later(attachment))
}

fn add(push: impl FnOnce(&mut Attachments)) -> Result<u32, NotInMessage> {
    TABLE.with(|table| {
        let Table::Encoding(attachments) = &mut *table.borrow_mut() else {
            return Err(NotInMessage);
        };
        let index = u32::try_from(attachments.len()).ok().filter(|index| *index != REPLY_PLACE);
        let index = index.ok_or(NotInMessage)?;
        push(attachments);
        Ok(index)
    })
}

/// Takes a descriptor out of the message in hand; each can be taken once.
pub(crate) fn take_descriptor(index: u32) -> Result<OwnedFd, TakeError> {
    take(|incoming| incoming.descriptor(index))
}

/// Takes the reply that [`REPLY_PLACE`] stands for; it can be taken once.
pub(crate) fn take_reply() -> Result<Arc<dyn ReplyPath>, TakeError> {
    take(|incoming| incoming.reply.take().ok_or(TakeError::NoReply))
}

fn take<T>(take: impl FnOnce(&mut Incoming) -> Result<T, TakeError>) -> Result<T, TakeError> {
    TABLE.with(|table| {
        let Table::Decoding(incoming) = &mut *table.borrow_mut() else {
            return Err(TakeError::NotInMessage(NotInMessage));
        };
        let taken = take(incoming);
        if let Err(error) = &taken {
            incoming.refuse(*error);
        }
        taken
    })
}

/// Refuses what a taken descriptor turned out to be.
pub(crate) fn refuse(limit: LimitExceeded) -> TakeError {
    let error = TakeError::Limit(limit);
    TABLE.with(|table| {
        if let Table::Decoding(incoming) = &mut *table.borrow_mut() {
            incoming.refuse(error);
        }
    });
    error
}

/// How long memory may be that comes with the message in hand.
pub(crate) fn longest_message() -> u64 {
    TABLE.with(|table| match &*table.borrow() {
        Table::Decoding(incoming) => incoming.longest_message,
        Table::None | Table::Encoding(_) => Limits::default().longest_message(),
    })
}

/// Whether a value of a message of this library is being serialised or deserialised on this thread.
///
/// A `Serialize` that can do without handles asks this to choose between its two forms.
///
/// ```
/// use serde::{Serialize, Serializer};
/// use std::fs::File;
/// use unix_ipc::{HandleRef, serde_in_ipc_mode, serialize};
///
/// struct Log(File);
///
/// impl Serialize for Log {
///     fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
///         if serde_in_ipc_mode() {
///             HandleRef::from(&self.0).serialize(serializer)
///         } else {
///             serializer.serialize_str("<a log>")
///         }
///     }
/// }
///
/// let (_bytes, descriptors) = serialize(Log(File::open("/dev/null")?))?;
/// assert_eq!(descriptors.len(), 1);
/// # Ok::<(), std::io::Error>(())
/// ```
pub fn serde_in_ipc_mode() -> bool {
    TABLE.with(|table| !matches!(&*table.borrow(), Table::None))
}

/// A visit of a message's value: its table is in place until this is closed or dropped.
pub(super) struct Scope {
    /// During the visit the table that was in place before, after it this message's own.
    table: Table,
    visiting: bool,
}

impl Scope {
    #[inline]
    pub(super) fn encoding(attachments: Attachments) -> Self {
        Self::enter(Table::Encoding(attachments))
    }

    #[inline]
    pub(super) fn decoding(arrived: Arrived, limits: &Limits) -> Self {
        Self::enter(Table::Decoding(Incoming {
            descriptors: arrived.descriptors.into_iter().map(Some).collect(),
            reply: arrived.reply,
            longest_message: limits.longest_message(),
            failure: None,
        }))
    }

    /// Ends the visit of [`encoding`](Self::encoding), with what the value attached.
    #[inline]
    pub(super) fn attached(mut self) -> Attachments {
        self.leave();
        match &mut self.table {
            Table::Encoding(attachments) => mem::take(attachments),
            Table::None | Table::Decoding(_) => Attachments::default(),
        }
    }

    /// Ends the visit of [`decoding`](Self::decoding), closes what the value did not take, and says
    /// how much that was and what the first refusal was.
    #[inline]
    pub(super) fn taken(mut self) -> (usize, Option<TakeError>) {
        self.leave();
        match &self.table {
            Table::Decoding(incoming) => (incoming.descriptors.iter().flatten().count(), incoming.failure),
            Table::None | Table::Encoding(_) => (0, None),
        }
    }

    #[inline]
    fn enter(table: Table) -> Self {
        let mut scope = Self { table, visiting: true };
        scope.swap();
        scope
    }

    #[inline]
    fn leave(&mut self) {
        if mem::take(&mut self.visiting) {
            self.swap();
        }
    }

    #[inline]
    fn swap(&mut self) {
        TABLE.with(|place| mem::swap(&mut *place.borrow_mut(), &mut self.table));
    }
}

impl Drop for Scope {
    fn drop(&mut self) {
        self.leave();
    }
}

impl Incoming {
    fn refuse(&mut self, error: TakeError) {
        self.failure.get_or_insert(error);
    }

    fn descriptor(&mut self, index: u32) -> Result<OwnedFd, TakeError> {
        let count = self.descriptors.len();
        let place = usize::try_from(index).ok().and_then(|index| self.descriptors.get_mut(index));
        place.ok_or(TakeError::Index { index, count })?.take().ok_or(TakeError::Twice { index })
    }
}

#[cfg(test)]
mod attachment_tests;
#[cfg(test)]
mod tests;
