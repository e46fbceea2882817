use std::mem;

use super::sender::{HEADER, provide};
use super::{CLOSED, GROWN, LINE, Layout, Lie, Memory, place};

/// How much of a packet can be looked at before it is taken: two headers.
pub(crate) const PEEKED: usize = 2 * HEADER;

/// The longest body of a short message.
const SHORT: usize = 256;

/// The end that receives.
#[derive(Debug)]
pub(crate) struct RingReceiver<M> {
    memory: M,
    layout: Layout,
    /// Where the other process says on which core it was last.
    others_core: usize,
    /// How many bytes were read, records whole.
    read: u64,
    /// What the sender was told of it.
    told: u64,
    descriptors: u64,
    /// How many cancellations came out of the ring.
    cancels: u64,
    /// Whether this end made the memory, and sees to it that there is some when the ring grows.
    provides: bool,
}

impl<M: Memory> RingReceiver<M> {
    pub(super) fn new(memory: M, layout: Layout, others_core: usize, provides: bool) -> Self {
        Self { memory, layout, others_core, read: 0, told: 0, descriptors: 0, cancels: 0, provides }
    }

    /// Lets the sender grow the ring, if that is for this end to say, and messages of so many bytes are worth it.
    pub(crate) fn let_grow_for(&mut self, message: usize) {
        if self.layout.may_grow_for(message) && mem::take(&mut self.provides) {
            provide(&self.memory, self.layout);
        }
    }

    /// Takes no more packets, if there is none: false where there is one, which has to be taken first. No packet is lost on
    /// the way: a sender that uses [`send_unless_closed`](super::RingSender::send_unless_closed) comes before this or learns of it.
    pub(crate) fn close(&self) -> bool {
        self.memory.exchange(self.layout.at(self.read), 0, CLOSED)
    }

    /// The memory, for what is said of this ring there.
    pub(crate) fn memory(&self) -> &M {
        &self.memory
    }

    /// How many bytes of the ring were read, records whole.
    pub(crate) fn position(&self) -> u64 {
        self.read
    }

    /// Whether there are cancellations in the ring, behind whatever is read now, as the sender says; it may lie, and then
    /// this end looks for them in vain.
    #[inline]
    pub(crate) fn has_cancels(&self) -> bool {
        self.memory.load(self.layout.control(place::CANCELS)) != self.cancels
    }

    /// A cancellation came out of the ring.
    pub(crate) fn count_cancel(&mut self) {
        self.cancels = self.cancels.wrapping_add(1);
    }

    /// The bytes for records.
    pub(crate) fn bytes(&self) -> usize {
        self.layout.bytes
    }

    /// Whether there is a packet.
    #[inline]
    pub(crate) fn has_packet(&self) -> bool {
        self.first_word() != 0
    }

    /// Copies the next packet out: its length, 0 where there is none. What was copied does not change any more.
    ///
    /// The packet's own header says how long it is; `into` has room for the longest.
    #[inline]
    pub(crate) fn receive(&mut self, into: &mut [u8]) -> Result<usize, Lie> {
        match self.first_word() {
            0 => Ok(0),
            GROWN => self.receive_grown(into),
            first => self.take(first, into),
        }
    }

    /// The same for the first packet in the ring since it has grown.
    #[cold]
    fn receive_grown(&mut self, into: &mut [u8]) -> Result<usize, Lie> {
        if !self.layout.may_grow() {
            return Err(Lie("a ring that grows further than it may"));
        }
        self.layout = self.layout.grown_at(self.read);
        self.read = self.read.wrapping_add(self.layout.align as u64);
        self.receive(into)
    }

    /// The same for a packet whose header begins with these four bytes; any other stays where it is.
    #[inline]
    pub(crate) fn receive_like(&mut self, start: [u8; 4], into: &mut [u8]) -> Result<usize, Lie> {
        let first = self.first_word();
        if first as u32 == u32::from_le_bytes(start) { self.take(first, into) } else { Ok(0) }
    }

    /// The same for a packet that is the whole of a short message, and has no descriptors beside it: any other stays where it is.
    #[inline]
    pub(crate) fn receive_short(&mut self, into: &mut [u8]) -> usize {
        let first = self.first_word();
        let length = (first >> 32) as usize;
        // Behind the kind, the form of a whole message is 0, and so is the number of descriptors.
        if first & 0xFFFF_FF00 != 0 || first == 0 || length > SHORT {
            return 0;
        }
        self.take(first, into).unwrap_or(0)
    }

    /// Takes the packet with this first word.
    #[inline]
    fn take(&mut self, first: u64, into: &mut [u8]) -> Result<usize, Lie> {
        let length = (first >> 32) as usize;
        let packet = length.saturating_add(HEADER);
        if packet > self.layout.longest() {
            return Err(Lie("a packet longer than the ring"));
        }
        let Some((word, rest)) = into.get_mut(..packet).and_then(<[u8]>::split_first_chunk_mut) else {
            return Err(Lie("a packet longer than its place"));
        };
        *word = first.to_le_bytes();
        self.copy(self.read.wrapping_add(word.len() as u64), rest);
        self.read = self.read.wrapping_add(self.layout.record_bytes(packet));
        Ok(packet)
    }

    /// Copies the beginning of the next packet out, which stays where it is: `None` where there is none, and where the ring grows
    /// first. It stands in one line.
    pub(crate) fn peek(&self) -> Option<[u8; PEEKED]> {
        let first = self.first_word();
        if first == 0 || first == GROWN {
            return None;
        }
        let mut start = [0; PEEKED];
        let (word, rest) = start.split_first_chunk_mut()?;
        *word = first.to_le_bytes();
        self.memory.read(self.layout.at(self.read).wrapping_add(word.len()), rest);
        Some(start)
    }

    /// Takes the packet of this length that was peeked at, and appends what is behind what [`peek`](Self::peek) gave. Whatever
    /// the sender has written since, it is so long.
    pub(crate) fn take_peeked(&mut self, packet: usize, into: &mut Vec<u8>) -> Result<(), Lie> {
        if packet > self.layout.longest() {
            return Err(Lie("a packet longer than the ring"));
        }
        let start = self.read.wrapping_add(PEEKED as u64);
        let len = packet.saturating_sub(PEEKED);
        let before = len.min(self.layout.until_end(start));
        self.memory.append(self.layout.at(start), before, into);
        if before < len {
            self.memory.append(self.layout.first(), len.saturating_sub(before), into);
        }
        self.read = self.read.wrapping_add(self.layout.record_bytes(packet));
        Ok(())
    }

    /// Tells the sender how much was read, if that is worth it: says whether the sender waits for it and is to be rung for.
    #[inline]
    pub(crate) fn tell(&mut self) -> bool {
        let untold = self.read.wrapping_sub(self.told);
        if untold < self.layout.bytes as u64 / 4
            && self.memory.load(self.layout.control(place::WANTS_ROOM)) == 0
        {
            return false;
        }
        self.tell_now()
    }

    #[cold]
    fn tell_now(&mut self) -> bool {
        self.told = self.read;
        self.memory.store(self.layout.control(place::CONSUMED), self.read);
        self.memory.fence();
        self.memory.load(self.layout.control(place::WANTS_ROOM)) != 0
            && self.memory.swap(self.layout.control(place::WANTS_ROOM), 0) != 0
    }

    /// So many descriptors were taken. As [`tell`](Self::tell).
    pub(crate) fn count_descriptors(&mut self, taken: u64) -> bool {
        self.descriptors = self.descriptors.wrapping_add(taken);
        self.memory.store(self.layout.control(place::DESCRIPTORS), self.descriptors);
        self.tell_now()
    }

    /// Goes to sleep: the sender rings from now on. Says whether there is nothing to read, and whether the sender is to be
    /// rung for, because it waits for room that there is.
    pub(crate) fn fall_asleep(&mut self) -> (bool, bool) {
        let must_ring = self.tell_now();
        self.memory.store(self.layout.control(place::ASLEEP), 1);
        self.memory.fence();
        (!self.has_packet(), must_ring)
    }

    /// Is awake: the sender need not ring. It may have done so already.
    pub(crate) fn wake_up(&self) {
        self.memory.store(self.layout.control(place::ASLEEP), 0);
    }

    /// Says on which core this end waits.
    #[inline]
    pub(crate) fn wait_on_core(&self, core: u64) {
        let said = core.wrapping_add(1);
        if self.memory.load(self.layout.control(place::CORE)) != said {
            self.memory.store(self.layout.control(place::CORE), said);
        }
    }

    /// The core on which the other process was last, where it said so.
    #[inline]
    pub(crate) fn others_core(&self) -> Option<u64> {
        self.memory.load(self.others_core).checked_sub(1)
    }

    #[inline]
    fn first_word(&self) -> u64 {
        self.memory.load(self.layout.at(self.read))
    }

    #[inline]
    fn copy(&self, position: u64, into: &mut [u8]) {
        let until_end = self.layout.until_end(position);
        match into.split_at_mut_checked(until_end) {
            None => self.memory.read(self.layout.at(position), into),
            Some((before, behind)) => {
                self.memory.read(self.layout.at(position), before);
                self.memory.read(self.layout.first(), behind);
            }
        }
    }
}

const _: () = assert!(HEADER <= LINE, "a header stands in one line");
