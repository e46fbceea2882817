use std::cell::Cell;
use std::fmt;
use std::mem;
use std::ops::{Deref, DerefMut};

/// Room for a small message, so that most are one allocation.
const USUAL_BYTES: usize = 128;

/// The most room that a thread keeps for its next message.
const MOST_SPARE_BYTES: usize = 64 << 10;

thread_local! {
    /// The room of a message that was sent, for the next one.
    static SPARE: Cell<Option<Box<Bytes>>> = const { Cell::new(None) };
}

/// The bytes of one message on its way out, in room that goes back to the thread that drops it.
///
/// It is moved as one word. Moved as the three of a vector, which are written one by one and read two at a time, it had to wait
/// until what was written before had left the processor: the message in the ring, for which the other core has the line.
pub(super) struct Room(Option<Box<Bytes>>);

#[derive(Default)]
struct Bytes(Vec<u8>);

impl Room {
    #[inline]
    pub(super) fn take() -> Self {
        let mut room = Self(SPARE.try_with(Cell::take).unwrap_or_default());
        room.reserve(USUAL_BYTES);
        room
    }

    /// The bytes, for whoever keeps them; the room is empty then.
    pub(super) fn take_bytes(&mut self) -> Vec<u8> {
        mem::take(&mut *self)
    }
}

impl Deref for Room {
    type Target = Vec<u8>;

    #[inline]
    fn deref(&self) -> &Vec<u8> {
        static NOTHING: Vec<u8> = Vec::new();
        self.0.as_deref().map_or(&NOTHING, |bytes| &bytes.0)
    }
}

impl DerefMut for Room {
    #[inline]
    fn deref_mut(&mut self) -> &mut Vec<u8> {
        &mut self.0.get_or_insert_default().0
    }
}

impl From<Vec<u8>> for Room {
    fn from(bytes: Vec<u8>) -> Self {
        Self(Some(Box::new(Bytes(bytes))))
    }
}

impl fmt::Debug for Room {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        (**self).fmt(f)
    }
}

impl Drop for Room {
    #[inline]
    fn drop(&mut self) {
        let Some(mut bytes) = self.0.take() else { return };
        if bytes.0.capacity() <= MOST_SPARE_BYTES {
            bytes.0.clear();
            // The thread's own is gone while the thread ends.
            let _ = SPARE.try_with(|spare| spare.set(Some(bytes)));
        }
    }
}
