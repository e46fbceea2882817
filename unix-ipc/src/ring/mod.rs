//! Two rings in memory that two processes share, one for each direction: packets without a system call.
//!
//! One end sends, the other receives. What is here moves bytes and says when the other end has to be rung for; it makes no
//! system call and never waits. The bell itself, descriptors and the other end's death are the socket's.
//!
//! A packet stands in a ring as a record: its header, whose first word is written last, and its body, up to the next
//! multiple of [`LINE`], or of [`LONE_ALIGN`] in a ring that has none beside it. The first word of a header is never 0, and
//! the first word behind the last record always is: so the receiver finds a small packet whole in the one cache line that it
//! looks at, and needs no index of the sender's. The sender learns from the receiver's count of bytes where there is room, and looks at it only when it runs out.
//!
//! Nothing in the memory is believed. Each end keeps its own place in memory of its own; of the other's it reads one number
//! at a time, once, and holds it against what it can be.
#![warn(clippy::indexing_slicing, clippy::arithmetic_side_effects, clippy::panic_in_result_fn)]

#[cfg(any(fuzzing, test))]
pub(crate) mod fuzzing;
mod memory;
#[cfg(test)]
mod model;
mod offer;
mod receiver;
mod sender;
#[cfg(test)]
mod tests;

pub(crate) use self::memory::Memory;
pub(crate) use self::offer::{Answer, Offer};
pub(crate) use self::receiver::{PEEKED, RingReceiver};
pub(crate) use self::sender::{NoRoom, RingSender};

/// Records begin at multiples of this: what one core hands another at once.
const LINE: usize = 64;

/// What an end shares with the other, at offsets of its ring. What different ends write is kept apart by more than a
/// line, because processors fetch two.
mod place {
    /// How many bytes the receiver is done with; the receiver's.
    pub(super) const CONSUMED: usize = 0;
    /// How many descriptors it has taken over the socket; the receiver's.
    pub(super) const DESCRIPTORS: usize = 8;
    /// What has become of the offer of a ring that has none beside it; see [`Offer`](super::Offer).
    pub(super) const ANSWER: usize = 16;
    /// Whether there is memory for all that the ring may grow to; whoever made it says so.
    pub(super) const PROVIDED: usize = 24;
    /// Whether the receiver is to be rung for when there is a record. It sets it, the sender takes it back.
    pub(super) const ASLEEP: usize = 128;
    /// The core on which the receiver waited last, plus 1, or 0; the receiver's.
    pub(super) const CORE: usize = 136;
    /// Whether the sender is to be rung for when there is room. It sets it, the receiver takes it back.
    pub(super) const WANTS_ROOM: usize = 256;
    /// The core on which the sender of a ring without another beside it was last, plus 1, or 0; the sender's.
    pub(super) const SENDERS_CORE: usize = 264;
    /// How many of its messages the sender has taken back; the sender's, on a line that is written for nothing else.
    pub(super) const CANCELS: usize = 384;
    /// Where records begin.
    pub(super) const RECORDS: usize = 512;

    /// Every one of them.
    pub(super) const ALL: [usize; 9] =
        [CONSUMED, DESCRIPTORS, ANSWER, PROVIDED, ASLEEP, CORE, WANTS_ROOM, SENDERS_CORE, CANCELS];
}

/// Stands in the place of the next record once the receiver takes no more: it is no header's first word, because there is no
/// such kind.
const CLOSED: u64 = u64::MAX;

/// Stands in the place of a record from which on the ring is as long as it may grow. No header begins with it either.
const GROWN: u64 = u64::MAX - 1;

/// The other end has written what it cannot have written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Lie(pub(crate) &'static str);

/// Where in the memory the ring of one direction is.
#[derive(Clone, Copy, Debug)]
struct Layout {
    start: usize,
    /// The bytes for records: a power of two.
    bytes: usize,
    /// How many it may grow to: another, or the same.
    most: usize,
    /// The number of the byte that stands where records begin.
    base: u64,
    /// Records begin at multiples of this.
    align: usize,
}

/// How long a ring is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Size {
    /// The bytes for records, at first.
    pub(crate) bytes: usize,
    /// How many it may grow to. There is no memory for those before somebody asks for it.
    pub(crate) most: usize,
}

/// The smallest ring: it holds a header, a line of a body and the word behind them.
pub(crate) const LEAST_BYTES: usize = 4 * LINE;

/// How much memory both rings take, where each is so long.
pub(crate) const fn memory_bytes(size: Size) -> usize {
    2_usize.saturating_mul(place::RECORDS.saturating_add(size.most))
}

/// The parts of that memory that there have to be pages for from the beginning, each as where it begins and how long it is.
pub(crate) const fn filled_parts(size: Size) -> [(usize, usize); 2] {
    let bytes = place::RECORDS.saturating_add(size.bytes);
    [(0, bytes), (place::RECORDS.saturating_add(size.most), bytes)]
}

/// The two ends of one process: what it sends into one ring, and what it receives from the other.
///
/// The memory is new, or was checked to be [`memory_bytes`] long. `first` is whether this end sends into the first ring, as
/// the one does that made the memory.
pub(crate) fn ends<M: Memory + Clone>(
    memory: &M,
    size: Size,
    first: bool,
) -> (RingSender<M>, RingReceiver<M>) {
    let one = Layout { start: 0, bytes: size.bytes, most: size.most, base: 0, align: LINE };
    let other = Layout { start: place::RECORDS.saturating_add(size.most), ..one };
    let (sends, receives) = if first { (one, other) } else { (other, one) };
    let others_core = sends.control(place::CORE);
    let sender = RingSender::new(memory.clone(), sends, first);
    (sender, RingReceiver::new(memory.clone(), receives, others_core, first))
}

/// Where the records of a ring begin that has none beside it: two small ones share a line.
pub(crate) const LONE_ALIGN: usize = 32;

/// How much memory one ring takes that has so many bytes for records, and none beside it.
pub(crate) const fn lone_bytes(bytes: usize) -> usize {
    place::RECORDS.saturating_add(bytes)
}

/// The sending end of a ring that has none beside it, at an offset of the memory. What it shares is as it was, of an earlier
/// ring perhaps: nobody receives from it yet, so it is cleared.
pub(crate) fn lone_sender<M: Memory>(memory: M, start: usize, bytes: usize) -> RingSender<M> {
    let layout = lone_layout(start, bytes);
    for place in place::ALL {
        memory.store(layout.control(place), 0);
    }
    memory.store(layout.at(0), 0);
    RingSender::new(memory, layout, false)
}

/// The receiving end of the same.
pub(crate) fn lone_receiver<M: Memory>(memory: M, start: usize, bytes: usize) -> RingReceiver<M> {
    let layout = lone_layout(start, bytes);
    RingReceiver::new(memory, layout, layout.control(place::SENDERS_CORE), false)
}

/// Where such a ring is, which does not grow.
const fn lone_layout(start: usize, bytes: usize) -> Layout {
    Layout { start, bytes, most: bytes, base: 0, align: LONE_ALIGN }
}

impl Layout {
    /// The same ring once it has grown, at this byte, which stays where it is, as do all since the ring last began anew.
    const fn grown_at(self, position: u64) -> Self {
        let base = position.wrapping_sub(self.offset(position) as u64);
        Self { bytes: self.most, base, ..self }
    }

    /// Whether it may still grow.
    const fn may_grow(self) -> bool {
        self.bytes < self.most
    }

    /// Whether it may, and a message of so many bytes is worth it: it would go round twice and more.
    const fn may_grow_for(self, message: usize) -> bool {
        self.may_grow() && message / 2 > self.bytes
    }

    /// The part that it has not grown to yet: where it begins, and how long it is.
    const fn to_provide(self) -> (usize, usize) {
        let start = self.first().saturating_add(self.bytes);
        (start, self.most.saturating_sub(self.bytes))
    }

    #[inline]
    const fn control(self, place: usize) -> usize {
        self.start.wrapping_add(place)
    }

    /// Where records begin.
    #[inline]
    const fn first(self) -> usize {
        self.control(place::RECORDS)
    }

    /// Where the byte with this number stands.
    #[inline]
    const fn at(self, position: u64) -> usize {
        self.first().wrapping_add(self.offset(position))
    }

    #[inline]
    const fn offset(self, position: u64) -> usize {
        // The lowest bits alone count.
        (position.wrapping_sub(self.base) as usize) & self.bytes.wrapping_sub(1)
    }

    /// The bytes up to the end, where the ring goes on at its beginning.
    #[inline]
    const fn until_end(self, position: u64) -> usize {
        self.bytes.wrapping_sub(self.offset(position))
    }

    /// The longest packet: a quarter of the ring, so that one end writes while the other reads. (Of the smallest ring it is
    /// half, which holds a header and more.)
    #[inline]
    const fn longest(self) -> usize {
        if self.bytes > LEAST_BYTES { self.bytes / 4 } else { self.bytes / 2 }
    }

    /// The bytes that a packet takes.
    #[inline]
    const fn record_bytes(self, packet: usize) -> u64 {
        let spare = (self.align as u64).wrapping_sub(1);
        (packet as u64).wrapping_add(spare) & !spare
    }
}
