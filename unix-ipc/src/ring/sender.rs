use std::mem;

use super::{GROWN, Layout, Lie, Memory, place};

/// The bytes of a header, whose first word says that the record is there.
pub(super) const HEADER: usize = 16;

/// The end that sends.
#[derive(Debug)]
pub(crate) struct RingSender<M> {
    memory: M,
    layout: Layout,
    /// How many bytes were written, records whole.
    written: u64,
    /// How many the receiver was done with when it was last asked.
    consumed: u64,
    /// How many descriptors were sent over the socket.
    descriptors: u64,
    /// How many of its messages it has taken back.
    cancels: u64,
    /// Where, beside the end of the last record, the first word of a line is 0 already.
    cleared: u64,
    /// Whether this end made the memory, and sees to it that there is some when the ring grows.
    provides: bool,
}

/// Why a record was not written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum NoRoom {
    /// The receiver has to read first.
    Now,
    /// The receiver reads no more.
    Closed,
    Lie(Lie),
}

impl<M: Memory> RingSender<M> {
    pub(super) fn new(memory: M, layout: Layout, provides: bool) -> Self {
        Self { memory, layout, written: 0, consumed: 0, descriptors: 0, cancels: 0, cleared: 0, provides }
    }

    /// The longest packet that can be sent.
    pub(crate) fn longest(&self) -> usize {
        self.layout.longest()
    }

    /// Grows for a message of so many bytes, if that is worth it, there is memory, and nothing is in the way that the receiver has
    /// not read: what is sent from now on is in a longer ring. One that is longer than a processor's own cache is filled twice as
    /// fast, because the other processor has let go of what it read.
    #[inline]
    pub(crate) fn grow_for(&mut self, message: usize) -> Result<(), Lie> {
        if self.layout.may_grow_for(message) { self.grow() } else { Ok(()) }
    }

    #[cold]
    fn grow(&mut self) -> Result<(), Lie> {
        if mem::take(&mut self.provides) && !provide(&self.memory, self.layout) {
            // Whatever the other end says of it.
            self.layout.most = self.layout.bytes;
            return Ok(());
        }
        if self.memory.load(self.layout.control(place::PROVIDED)) == 0 {
            return Ok(());
        }
        self.look()?;
        let grown = self.layout.grown_at(self.written);
        // What was written before the ring last began anew would be elsewhere in the longer one. Where all of that is read, what
        // is behind this place is free, be it in the ring or in what it grows by.
        if self.written.wrapping_sub(self.consumed) > self.written.wrapping_sub(grown.base) {
            return Ok(());
        }
        let start = self.layout.at(self.written);
        self.written = self.written.wrapping_add(self.layout.align as u64);
        self.memory.store(grown.at(self.written), 0);
        // Whoever sleeps is rung for with the record behind it, for which there is room.
        self.memory.store(start, GROWN);
        (self.layout, self.cleared) = (grown, self.written);
        Ok(())
    }

    /// Whether there is room for a packet of so many bytes now.
    #[inline]
    pub(crate) fn check_room(&mut self, packet: usize) -> Result<(), NoRoom> {
        if self.has_room(packet) {
            return Ok(());
        }
        self.look()?;
        if self.has_room(packet) { Ok(()) } else { Err(NoRoom::Now) }
    }

    /// Sends a packet: its header, and what makes up its body. Says whether the receiver sleeps and is to be rung for.
    ///
    /// The first word of the header must not be 0. The body is in two parts, of which the first is a multiple of 8 bytes long.
    #[inline]
    pub(crate) fn send(&mut self, header: &[u8; HEADER], place: &[u8], piece: &[u8]) -> Result<bool, NoRoom> {
        self.check_room(HEADER.saturating_add(place.len()).saturating_add(piece.len()))?;
        let record = self.write_record(header, place, piece);
        let asleep = self.layout.control(place::ASLEEP);
        let is_asleep = self.memory.store_then_load(record.start, record.first, asleep) != 0;
        Ok(self.published(record.end, is_asleep))
    }

    /// The same into a ring that its receiver may close, which [`NoRoom::Closed`] says. So much more room is left free.
    #[inline]
    pub(crate) fn send_unless_closed(
        &mut self,
        header: &[u8; HEADER],
        body: &[u8],
        spared: usize,
    ) -> Result<bool, NoRoom> {
        self.check_room(HEADER.saturating_add(body.len()).saturating_add(spared))?;
        let record = self.write_record(header, &[], body);
        let asleep = self.layout.control(place::ASLEEP);
        match self.memory.fill_then_load(record.start, record.first, asleep) {
            None => Err(NoRoom::Closed),
            Some(is_asleep) => Ok(self.published(record.end, is_asleep != 0)),
        }
    }

    /// Writes a record, for which there is room, but for its first word.
    #[inline]
    fn write_record(&self, header: &[u8; HEADER], place: &[u8], piece: &[u8]) -> Record {
        let mut position = self.written.wrapping_add(HEADER as u64);
        if !place.is_empty() {
            self.write(position, place);
            position = position.wrapping_add(place.len() as u64);
        }
        self.write(position, piece);
        let packet = HEADER.saturating_add(place.len()).saturating_add(piece.len());
        let start = self.layout.at(self.written);
        let end = self.written.wrapping_add(self.layout.record_bytes(packet));
        let [first, second] = words(header);
        self.memory.write_word(start.wrapping_add(size_of_val(&first)), second);
        // Before the record is there, because behind it the receiver may close the ring.
        if self.cleared != end {
            self.memory.store(self.layout.at(end), 0);
        }
        Record { start, first, end }
    }

    /// The first word is written, and from then on the receiver has it.
    #[inline]
    fn published(&mut self, end: u64, is_asleep: bool) -> bool {
        self.written = end;
        let must_ring = is_asleep && self.memory.swap(self.layout.control(place::ASLEEP), 0) != 0;
        self.clear_ahead();
        must_ring
    }

    /// The memory, for what is said of this ring there.
    pub(crate) fn memory(&self) -> &M {
        &self.memory
    }

    /// Says that a message was sent that takes an earlier one back, which may not have been read yet.
    pub(crate) fn count_cancel(&mut self) {
        self.cancels = self.cancels.wrapping_add(1);
        self.memory.store(self.layout.control(place::CANCELS), self.cancels);
    }

    /// Says on which core this end is.
    pub(crate) fn is_on_core(&self, core: u64) {
        self.memory.store(self.layout.control(place::SENDERS_CORE), core.wrapping_add(1));
    }

    /// While the other end works: the line behind the next record, if that is a short one. Where it was last the other
    /// end's, it takes as long to get it as to hand a packet over.
    #[inline]
    fn clear_ahead(&mut self) {
        let next = self.written.wrapping_add(self.layout.align as u64);
        self.cleared = self.written;
        if self.free() > (self.layout.align as u64).saturating_mul(2) {
            self.memory.store(self.layout.at(next), 0);
            self.cleared = next;
        }
    }

    /// Asks to be rung for when there is room for such a packet. False where there is room now.
    pub(crate) fn want_room(&mut self, packet: usize) -> Result<bool, Lie> {
        self.memory.store(self.layout.control(place::WANTS_ROOM), 1);
        self.memory.fence();
        self.look()?;
        Ok(!self.has_room(packet))
    }

    /// The core on which the receiver waited last, where it said so.
    pub(crate) fn receivers_core(&self) -> Option<u64> {
        self.memory.load(self.layout.control(place::CORE)).checked_sub(1)
    }

    /// How many descriptors were sent that the receiver has not taken.
    pub(crate) fn descriptors_on_the_way(&self) -> Result<u64, Lie> {
        let taken = self.memory.load(self.layout.control(place::DESCRIPTORS));
        let on_the_way = self.descriptors.wrapping_sub(taken);
        if on_the_way > self.descriptors {
            Err(Lie("more descriptors taken than were sent"))
        } else {
            Ok(on_the_way)
        }
    }

    /// So many descriptors were sent.
    pub(crate) fn count_descriptors(&mut self, sent: u64) {
        self.descriptors = self.descriptors.wrapping_add(sent);
    }

    /// Looks how far the receiver is. It goes forwards, and not past what was written.
    #[cold]
    fn look(&mut self) -> Result<(), Lie> {
        let consumed = self.memory.load(self.layout.control(place::CONSUMED));
        let (more, at_most) =
            (consumed.wrapping_sub(self.consumed), self.written.wrapping_sub(self.consumed));
        if more > at_most || !consumed.is_multiple_of(self.layout.align as u64) {
            return Err(Lie("a place in the ring that was not reached"));
        }
        self.consumed = consumed;
        Ok(())
    }

    /// One line stays free: the word behind the last record is 0.
    #[inline]
    fn has_room(&self, packet: usize) -> bool {
        self.layout.record_bytes(packet).saturating_add(self.layout.align as u64) <= self.free()
    }

    #[inline]
    fn free(&self) -> u64 {
        (self.layout.bytes as u64).wrapping_sub(self.written.wrapping_sub(self.consumed))
    }

    #[inline]
    fn write(&self, position: u64, bytes: &[u8]) {
        let (before, behind) =
            bytes.split_at_checked(self.layout.until_end(position)).unwrap_or((bytes, &[]));
        self.memory.write(self.layout.at(position), before);
        if !behind.is_empty() {
            self.memory.write(self.layout.first(), behind);
        }
    }
}

impl From<Lie> for NoRoom {
    fn from(lie: Lie) -> Self {
        Self::Lie(lie)
    }
}

/// Sees to it that there is memory for a ring that grows, and says so, to the other end as well.
pub(super) fn provide(memory: &impl Memory, layout: Layout) -> bool {
    let (start, len) = layout.to_provide();
    let is_there = memory.provide(start, len);
    if is_there {
        memory.store(layout.control(place::PROVIDED), 1);
    }
    is_there
}

/// A record whose first word is still to be written.
struct Record {
    start: usize,
    first: u64,
    /// The number of the byte behind it.
    end: u64,
}

/// The words of a header, of which the first is written last.
#[inline]
fn words(header: &[u8; HEADER]) -> [u64; 2] {
    let (words, _) = header.as_chunks();
    let [first, second] = words else { return [0; 2] };
    [u64::from_le_bytes(*first), u64::from_le_bytes(*second)]
}
