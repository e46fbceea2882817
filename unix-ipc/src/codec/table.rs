//! The descriptor table of the message in hand.
//!
//! Serde passes a value's `Serialize` and `Deserialize` no context, so the table is state of the
//! thread, and this is the only file that touches it. Each message has a table of its own for
//! exactly as long as a value of it is visited. A scope puts it in place and keeps the one that was
//! there, so the scopes on the program's stack are the stack of tables: a `Serialize` may itself
//! send, and a visit that fails or panics leaves nothing behind. No code of anybody else's runs while
//! a table is borrowed, and a table is dropped only after it is out of its place.

use std::cell::{Cell, RefCell};
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
    static TABLE: ManuallyDrop<Table> = const { ManuallyDrop::new(Table::empty()) };
}

/// The table in place: of the two only the one that the visit is about.
struct Table {
    visit: Cell<Visit>,
    attachments: RefCell<Attachments>,
    incoming: RefCell<Incoming>,
}

/// What is done with the value in hand.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Visit {
    None,
    Encoding,
    Decoding,
}

impl Table {
    const fn empty() -> Self {
        Self {
            visit: Cell::new(Visit::None),
            attachments: RefCell::new(Attachments::new()),
            incoming: RefCell::new(Incoming::nothing()),
        }
    }
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
        if table.visit.get() != Visit::Encoding {
            return Err(NotInMessage);
        }
        let attachments = &mut *table.attachments.borrow_mut();
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
        if table.visit.get() != Visit::Decoding {
            return Err(TakeError::NotInMessage(NotInMessage));
        }
        let incoming = &mut *table.incoming.borrow_mut();
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
        if table.visit.get() == Visit::Decoding {
            table.incoming.borrow_mut().refuse(error);
        }
    });
    error
}

/// How long memory may be that comes with the message in hand.
pub(crate) fn longest_message() -> u64 {
    TABLE.with(|table| match table.visit.get() {
        Visit::Decoding => table.incoming.borrow().longest_message,
        Visit::None | Visit::Encoding => Limits::default().longest_message(),
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
    TABLE.with(|table| table.visit.get() != Visit::None)
}

/// A visit of a value on its way out: until this is dropped, what the value attaches is added to a message's attachments.
pub(super) struct Encoding<'a> {
    /// During the visit what was in place before, before and after it this message's own.
    attachments: &'a mut Attachments,
    /// What was done with the value around this one.
    around: Visit,
}

impl<'a> Encoding<'a> {
    #[inline]
    pub(super) fn of(attachments: &'a mut Attachments) -> Self {
        TABLE.with(|table| {
            let around = table.visit.replace(Visit::Encoding);
            // Most values attach nothing, and then there is nothing to swap, here and at the end.
            if around != Visit::None || attachments.len() > 0 {
                mem::swap(&mut *table.attachments.borrow_mut(), attachments);
            }
            Self { attachments, around }
        })
    }
}

impl Drop for Encoding<'_> {
    #[inline]
    fn drop(&mut self) {
        TABLE.with(|table| {
            table.visit.set(self.around);
            let in_place = &mut *table.attachments.borrow_mut();
            if self.around != Visit::None || in_place.len() > 0 {
                mem::swap(in_place, self.attachments);
            }
        });
    }
}

/// A visit of a value on its way in: what came with it is in place until this is closed or dropped.
pub(super) struct Decoding {
    /// What was done with the value around this one.
    around: Visit,
    /// What was in place for that.
    before: Option<Box<Incoming>>,
}

impl Decoding {
    #[inline]
    pub(super) fn of(mut arrived: Arrived, limits: &Limits) -> Self {
        let mut decoding = Self { around: Visit::None, before: None };
        TABLE.with(|table| {
            decoding.around = table.visit.replace(Visit::Decoding);
            let in_place = &mut *table.incoming.borrow_mut();
            if decoding.around != Visit::None {
                decoding.before = Some(Box::new(mem::replace(in_place, Incoming::nothing())));
            }
            in_place.fill(&mut arrived, limits);
        });
        decoding
    }

    /// Ends the visit, closes what the value did not take, and says how many descriptors that were and what the first
    /// refusal was.
    #[inline]
    pub(super) fn taken(mut self) -> (usize, Option<TakeError>) {
        let left = self.end();
        mem::forget(self);
        left
    }

    #[inline]
    fn end(&mut self) -> (usize, Option<TakeError>) {
        let is_empty = TABLE.with(|table| {
            table.visit.set(self.around);
            table.incoming.borrow().is_empty()
        });
        if is_empty && self.before.is_none() { (0, None) } else { self.take_left() }
    }

    /// Puts back what was in place before, and drops what the value left: only then, because that may use the table.
    #[cold]
    fn take_left(&mut self) -> (usize, Option<TakeError>) {
        let before = self.before.take().map_or_else(Incoming::nothing, |before| *before);
        let left = TABLE.with(|table| table.incoming.replace(before));
        (left.descriptors.iter().flatten().count(), left.failure)
    }
}

impl Drop for Decoding {
    #[inline]
    fn drop(&mut self) {
        self.end();
    }
}

impl Incoming {
    const fn nothing() -> Self {
        Self { descriptors: Vec::new(), reply: None, longest_message: 0, failure: None }
    }

    /// Makes what is in place outside of every visit what came with a message.
    #[inline]
    fn fill(&mut self, arrived: &mut Arrived, limits: &Limits) {
        self.longest_message = limits.longest_message();
        if let Some(reply) = arrived.reply.take() {
            self.reply = Some(reply);
        }
        if !arrived.descriptors.is_empty() {
            self.descriptors = arrived.descriptors.drain(..).map(Some).collect();
        }
    }

    #[inline]
    fn is_empty(&self) -> bool {
        self.reply.is_none() && self.descriptors.is_empty() && self.failure.is_none()
    }

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
