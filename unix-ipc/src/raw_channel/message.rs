use std::cell::Cell;
use std::fmt;
use std::mem;
use std::ops::{Deref, DerefMut};
use std::os::fd::OwnedFd;

use super::Body;
use crate::frame::Kind;

thread_local! {
    /// The room of a message that this thread is done with, for the next one.
    static SPARE: Cell<Option<Box<Contents>>> = const { Cell::new(None) };
}

/// One whole message, as received, in room that goes back to the thread that drops it.
///
/// It is moved as one word, and so is whatever a look for one found. Moved as the ten words that it is, which are written one by
/// one and read two at a time, it had to wait at every step until what was written had left the processor.
pub(crate) struct Message(Option<Box<Contents>>);

/// What a message is.
#[derive(Debug)]
pub(crate) struct Contents {
    pub(crate) kind: Kind,
    /// The call it is about; 0 where it is about none.
    pub(crate) id: u64,
    /// Whether there may be another behind it that takes it back.
    #[cfg(feature = "macros")]
    pub(crate) may_be_cancelled: bool,
    pub(crate) body: Body,
    pub(crate) descriptors: Vec<OwnedFd>,
}

impl Contents {
    const EMPTY: Self = Self {
        kind: Kind::Value,
        id: 0,
        #[cfg(feature = "macros")]
        may_be_cancelled: false,
        body: Body::EMPTY,
        descriptors: Vec::new(),
    };
}

impl Message {
    /// A value, until a header says that it is something else.
    pub(crate) fn new(body: impl Into<Body>, descriptors: Vec<OwnedFd>) -> Self {
        let mut message = Self::spare();
        *message = Contents { body: body.into(), descriptors, ..Contents::EMPTY };
        message
    }

    /// The same with nothing beside it.
    pub(super) fn value(body: impl Into<Body>) -> Self {
        Self::new(body, Vec::new())
    }

    #[inline]
    fn spare() -> Self {
        // The thread's own is gone while the thread ends.
        Self(SPARE.try_with(Cell::take).unwrap_or_default())
    }

    /// Room for a message that comes in one packet, which is to be put into its [body](Body::packet).
    #[inline]
    pub(super) fn room() -> Self {
        let mut message = Self::spare();
        if !message.body.is_packet() {
            message.body = Body::room();
        }
        message
    }

    /// Whether it is nothing but what its header says.
    pub(crate) fn is_bare(&self) -> bool {
        self.body.len() == 0 && self.descriptors.is_empty()
    }

    /// The descriptors, for whoever keeps them; the message has none then.
    #[inline]
    pub(crate) fn take_descriptors(&mut self) -> Vec<OwnedFd> {
        mem::take(&mut self.descriptors)
    }
}

impl Deref for Message {
    type Target = Contents;

    #[inline]
    fn deref(&self) -> &Contents {
        static EMPTY: Contents = Contents::EMPTY;
        self.0.as_deref().unwrap_or(&EMPTY)
    }
}

impl DerefMut for Message {
    #[inline]
    fn deref_mut(&mut self) -> &mut Contents {
        self.0.get_or_insert_with(|| Box::new(Contents::EMPTY))
    }
}

impl fmt::Debug for Message {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        (**self).fmt(f)
    }
}

impl Drop for Message {
    #[inline]
    fn drop(&mut self) {
        let Some(mut contents) = self.0.take() else { return };
        if !contents.body.is_packet() {
            return;
        }
        // Nobody took them, and they are closed now and not with the next message.
        if !contents.descriptors.is_empty() {
            contents.descriptors = Vec::new();
        }
        // The thread's own is gone while the thread ends.
        let _ = SPARE.try_with(|spare| spare.set(Some(contents)));
    }
}
