use std::mem;

use super::Body;
use super::body::{self, InParts};
use crate::error::ProtocolError;

/// The bytes of a long message, of which only the beginning is there.
///
/// Memory grows with what really came, whatever the total says.
#[derive(Debug)]
pub(super) struct LongBody {
    total: usize,
    received: usize,
    /// The bytes up to the block, where the sender says that there is one: then that begins a piece of memory, so that it
    /// can be handed on as it is.
    head: Option<Vec<u8>>,
    /// How long the block is, or everything.
    block: usize,
    bytes: Vec<u8>,
    /// What comes behind the block.
    behind: Vec<u8>,
}

impl LongBody {
    pub(super) fn new(total: u32) -> Self {
        let total = total as usize;
        Self {
            total,
            received: 0,
            head: None,
            block: total,
            bytes: body::room_for_long(),
            behind: Vec::new(),
        }
    }

    pub(super) fn received(&self) -> usize {
        self.received
    }

    pub(super) fn total(&self) -> usize {
        self.total
    }

    pub(super) fn is_whole(&self) -> bool {
        self.received == self.total
    }

    /// Adds the first piece, behind which a block begins: its last eight bytes are the block's length.
    pub(super) fn push_head(&mut self, head: &[u8]) -> Result<(), ProtocolError> {
        let left = self.total.saturating_sub(head.len());
        let block = head.last_chunk().map(|length| u64::from_le_bytes(*length));
        let block = block.and_then(|length| usize::try_from(length).ok()).filter(|block| *block <= left);
        let Some(block) = block.filter(|_| self.received == 0) else { return Err(ProtocolError::Block) };
        self.count(head.len());
        // The block goes to the program, and the room stays here.
        body::keep_room(mem::take(&mut self.bytes));
        self.head = Some(head.to_vec());
        self.block = block;
        Ok(())
    }

    /// Adds a piece, which ends within the total.
    pub(super) fn push(&mut self, piece: &[u8]) {
        self.count(piece.len());
        let (of_block, behind) = piece.split_at_checked(self.left()).unwrap_or((piece, &[]));
        self.reserve(of_block.len());
        self.bytes.extend_from_slice(of_block);
        self.behind.extend_from_slice(behind);
    }

    /// Room for the next piece, for one that writes it there itself: `None` where it does not belong in one place.
    #[cfg(feature = "macros")]
    pub(super) fn room_for(&mut self, piece: usize) -> Option<&mut Vec<u8>> {
        if piece > self.left() {
            return None;
        }
        self.reserve(piece);
        Some(&mut self.bytes)
    }

    /// Counts so many bytes, which were written to the room, or are passed over.
    pub(super) fn count(&mut self, piece: usize) {
        self.received = self.received.saturating_add(piece);
    }

    /// How much memory it has.
    #[cfg(all(any(fuzzing, test), feature = "macros"))]
    pub(super) fn held_bytes(&self) -> usize {
        self.head.as_ref().map_or(0, Vec::capacity) + self.bytes.capacity() + self.behind.capacity()
    }

    /// How much the block lacks, or everything.
    fn left(&self) -> usize {
        self.block.saturating_sub(self.bytes.len())
    }

    /// Makes room for a piece, and for some times what is there by then, as far as it goes: memory moves seldom.
    fn reserve(&mut self, piece: usize) {
        if self.bytes.capacity() - self.bytes.len() < piece {
            let likely = 4 * (self.bytes.len() + piece);
            self.bytes.reserve_exact(likely.min(self.left()).max(piece));
        }
    }
}

impl From<LongBody> for Body {
    fn from(long: LongBody) -> Self {
        match long.head {
            None => long.bytes.into(),
            Some(head) => InParts { head, block: long.bytes, behind: long.behind }.into(),
        }
    }
}

#[cfg(all(test, feature = "serde"))]
mod tests {
    use super::*;

    fn with_head(total: u32, head: &[u8]) -> Result<LongBody, ProtocolError> {
        let mut long = LongBody::new(total);
        long.push_head(head).map(|()| long)
    }

    #[test]
    fn a_block_begins_a_piece_of_memory() {
        let head = [7, 3, 0, 0, 0, 0, 0, 0, 0];
        let mut long = with_head(16, &head).unwrap();
        for piece in [&b"ab"[..], b"cde", b"fg"] {
            assert!(!long.is_whole());
            long.push(piece);
        }
        assert!(long.is_whole());
        let mut body = Body::from(long);
        assert_eq!((body.len(), body.start()), (16, &head[..]));
        let (_, block) = body.parts();
        let block = block.unwrap();
        assert_eq!((block.bytes.as_slice(), block.behind), (&b"abc"[..], &b"defg"[..]));
        assert_eq!(body.take_vec(), [&head[..], b"abcdefg"].concat());
    }

    #[test]
    fn a_head_that_cannot_be_is_refused() {
        assert!(with_head(100, &[1, 2, 3]).is_err(), "no length");
        assert!(with_head(100, &93_u64.to_le_bytes()).is_err(), "a block behind the end");
        assert!(with_head(100, &u64::MAX.to_le_bytes()).is_err(), "a block of any length");
        assert!(with_head(4, &0_u64.to_le_bytes()).is_ok_and(|long| long.block == 0));
        let mut long = with_head(100, &92_u64.to_le_bytes()).unwrap();
        assert_eq!(long.push_head(&8_u64.to_le_bytes()), Err(ProtocolError::Block), "a head in the middle");
    }

    #[test]
    fn memory_grows_with_what_came() {
        let mut apart = with_head(u32::MAX, &(1_u64 << 31).to_le_bytes()).unwrap();
        let mut together = LongBody::new(u32::MAX);
        for long in [&mut apart, &mut together] {
            let before = long.bytes.capacity();
            long.push(&[0; 1000]);
            assert!(long.bytes.capacity() <= before + 5000);
        }
    }
}
