use std::cell::Cell;
use std::fmt;
use std::mem;
use std::ops::{Deref, DerefMut};

use crate::frame::{HEADER_BYTES, PACKET_BYTES};

thread_local! {
    /// Room for a packet that this thread used before and that is free now.
    static SPARE: Cell<Option<Box<Packet>>> = const { Cell::new(None) };
    /// The same for a long message: fresh memory costs more than the copy into it.
    static LONG_SPARE: Cell<Vec<u8>> = const { Cell::new(Vec::new()) };
}

/// The most room that a thread keeps for its next long message.
const MOST_SPARE_BYTES: usize = 4 << 20;

/// Room for a long message, which grows as it comes.
pub(super) fn room_for_long() -> Vec<u8> {
    LONG_SPARE.try_with(Cell::take).unwrap_or_default()
}

/// The bytes of the longest packet. Their number is known, so that moving the room moves one pointer.
type Packet = [u8; PACKET_BYTES];

/// Room that is free again; what is too small or too large is not kept.
pub(super) fn keep_room(mut bytes: Vec<u8>) {
    if (PACKET_BYTES..=MOST_SPARE_BYTES).contains(&bytes.capacity()) {
        bytes.clear();
        // The thread's own is gone while the thread ends.
        let _ = LONG_SPARE.try_with(|spare| spare.set(bytes));
    }
}

/// Room for the longest packet, which goes back to the thread that drops it.
pub(super) struct PacketBuffer(Option<Box<Packet>>);

impl PacketBuffer {
    #[inline]
    pub(super) fn take() -> Self {
        // The thread's own is gone while the thread ends.
        let spare = SPARE.try_with(Cell::take).ok().flatten();
        Self(spare.or_else(new_packet))
    }
}

/// Made on the heap: it is too long for the stack of a small thread.
#[cold]
fn new_packet() -> Option<Box<Packet>> {
    vec![0; PACKET_BYTES].into_boxed_slice().try_into().ok()
}

impl fmt::Debug for PacketBuffer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("PacketBuffer(..)")
    }
}

impl Drop for PacketBuffer {
    #[inline]
    fn drop(&mut self) {
        let bytes = self.0.take();
        let _ = SPARE.try_with(|spare| spare.set(bytes));
    }
}

impl Deref for PacketBuffer {
    type Target = [u8];

    #[inline]
    fn deref(&self) -> &[u8] {
        self.0.as_deref().map_or(&[], Packet::as_slice)
    }
}

impl DerefMut for PacketBuffer {
    #[inline]
    fn deref_mut(&mut self) -> &mut [u8] {
        self.0.as_deref_mut().map_or(&mut [], Packet::as_mut_slice)
    }
}

/// The bytes of a message: still in the packet they came in, so that a short one is looked at where it is, or in
/// memory of their own.
pub(crate) struct Body(Place);

enum Place {
    /// Behind the header, up to the packet's length.
    Packet(PacketBuffer, usize),
    Own(Vec<u8>),
    InParts(Box<InParts>),
}

/// A block in the midst of a message.
#[cfg(feature = "serde")]
#[derive(Debug)]
pub(crate) struct Block<'a> {
    /// It can be taken.
    pub(crate) bytes: &'a mut Vec<u8>,
    pub(crate) behind: &'a [u8],
}

/// Bytes with a block in their midst that has memory of its own.
pub(super) struct InParts {
    /// The bytes up to the block.
    pub(super) head: Vec<u8>,
    pub(super) block: Vec<u8>,
    pub(super) behind: Vec<u8>,
}

impl Body {
    pub(super) const EMPTY: Self = Self(Place::Own(Vec::new()));

    /// What is behind the header of a packet of this length.
    #[inline]
    pub(super) fn in_packet(packet: PacketBuffer, length: usize) -> Self {
        Self(Place::Packet(packet, length))
    }

    /// Room for a packet.
    pub(super) fn room() -> Self {
        Self::in_packet(PacketBuffer::take(), 0)
    }

    #[inline]
    pub(super) fn is_packet(&self) -> bool {
        matches!(self.0, Place::Packet(..))
    }

    /// Room for the longest packet, and how long the one in it is, where there is such room.
    #[inline]
    pub(super) fn packet(&mut self) -> Option<(&mut PacketBuffer, &mut usize)> {
        match &mut self.0 {
            Place::Packet(packet, length) => Some((packet, length)),
            Place::Own(_) | Place::InParts(_) => None,
        }
    }

    /// The packet with its header, where it is still in one.
    #[inline]
    pub(super) fn whole_packet(&self) -> &[u8] {
        match &self.0 {
            Place::Packet(packet, length) => packet.get(..*length).unwrap_or_default(),
            Place::Own(_) | Place::InParts(_) => &[],
        }
    }

    /// Moves the bytes to as much memory as they need, for one that has to wait: a packet's room is a large one.
    #[cfg(feature = "macros")]
    pub(crate) fn keep(&mut self) {
        if self.is_packet() {
            *self = self.take_vec().into();
        }
    }

    /// The bytes, for whoever keeps them.
    pub(crate) fn take_vec(&mut self) -> Vec<u8> {
        match &mut self.0 {
            Place::Packet(..) => self.start().to_vec(),
            Place::Own(bytes) => mem::take(bytes),
            Place::InParts(parts) => [&*parts.head, &parts.block, &parts.behind].concat(),
        }
    }

    #[inline]
    pub(crate) fn len(&self) -> usize {
        match &self.0 {
            Place::InParts(parts) => parts.head.len() + parts.block.len() + parts.behind.len(),
            _ => self.start().len(),
        }
    }

    /// The bytes up to the block, or all where there is none.
    #[inline]
    pub(crate) fn start(&self) -> &[u8] {
        match &self.0 {
            Place::Packet(packet, length) => packet.get(HEADER_BYTES..*length).unwrap_or_default(),
            Place::Own(bytes) => bytes,
            Place::InParts(parts) => &parts.head,
        }
    }

    /// The bytes up to the block, the block, which may be taken, and what is behind it.
    #[inline]
    #[cfg(feature = "serde")]
    pub(crate) fn parts(&mut self) -> (&[u8], Option<Block<'_>>) {
        match &mut self.0 {
            Place::Packet(packet, length) => (packet.get(HEADER_BYTES..*length).unwrap_or_default(), None),
            Place::Own(bytes) => (bytes, None),
            Place::InParts(parts) => {
                (&parts.head, Some(Block { bytes: &mut parts.block, behind: &parts.behind }))
            }
        }
    }

    /// As [`start`](Self::start).
    #[inline]
    #[cfg(feature = "macros")]
    pub(crate) fn start_mut(&mut self) -> &mut [u8] {
        match &mut self.0 {
            Place::Packet(packet, length) => packet.get_mut(HEADER_BYTES..*length).unwrap_or_default(),
            Place::Own(bytes) => bytes,
            Place::InParts(parts) => &mut parts.head,
        }
    }
}

impl Drop for Body {
    #[inline]
    fn drop(&mut self) {
        if let Place::Own(bytes) = &mut self.0 {
            keep_room(mem::take(bytes));
        }
    }
}

impl From<Vec<u8>> for Body {
    fn from(bytes: Vec<u8>) -> Self {
        Self(Place::Own(bytes))
    }
}

impl From<InParts> for Body {
    fn from(parts: InParts) -> Self {
        Self(Place::InParts(Box::new(parts)))
    }
}

impl fmt::Debug for Body {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Body").field("len", &self.len()).finish_non_exhaustive()
    }
}
