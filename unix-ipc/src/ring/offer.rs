//! What has become of the offer of a ring that has none beside it, which its receiver may take, refuse, or never find.
//!
//! One word of the memory says it. It holds the offer's number but for the two lowest bits, which are the answer: who finds
//! an old offer of memory that is in use again finds another number, and leaves the memory alone.

use super::{Memory, place};

/// The bits of the answer; 0 while there is none.
const ANSWER: u64 = 3;

/// What the receiver says.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u64)]
pub(crate) enum Answer {
    Taken = 1,
    /// It was not taken, or nobody looks at it any more.
    Done = 2,
}

/// One offer of the ring at an offset of the memory.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Offer {
    at: usize,
    open: u64,
}

impl Offer {
    pub(crate) const fn new(start: usize, number: u64) -> Self {
        Self { at: start.wrapping_add(place::ANSWER), open: number & !ANSWER }
    }

    /// The one that was made last.
    fn last<M: Memory>(memory: &M, start: usize) -> Self {
        Self::new(start, memory.load(start.wrapping_add(place::ANSWER)))
    }

    /// Makes it: the sender's, before it sends it.
    pub(crate) fn make<M: Memory>(self, memory: &M) {
        memory.store(self.at, self.open);
    }

    /// Answers it: false, and nothing done, where it was answered or withdrawn before.
    pub(crate) fn answer<M: Memory>(self, memory: &M, answer: Answer) -> bool {
        memory.exchange(self.at, self.open, self.open | answer as u64)
    }

    /// Nobody looks any more at what was taken.
    pub(crate) fn end<M: Memory>(self, memory: &M) {
        memory.store(self.at, self.open | Answer::Done as u64);
    }

    /// What was answered: `None` while nothing was, or nonsense.
    pub(crate) fn answered<M: Memory>(self, memory: &M) -> Option<Answer> {
        let word = memory.load(self.at);
        [Answer::Taken, Answer::Done].into_iter().find(|answer| word == self.open | *answer as u64)
    }

    /// Whether nobody looks at the ring at this offset: who took it is done, or nobody has, and nobody will from now on.
    pub(crate) fn is_over<M: Memory>(memory: &M, start: usize) -> bool {
        let last = Self::last(memory, start);
        last.answer(memory, Answer::Done) || last.answered(memory) == Some(Answer::Done)
    }
}
