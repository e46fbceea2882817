#[cfg(feature = "serde")]
use crate::frame::PACKET_BYTES;

/// A block of this many bytes is sent from where it lies; a smaller one is copied behind what stands before it, so that
/// a message with a block never fits one packet.
#[cfg(feature = "serde")]
pub(crate) const LEAST_BLOCK: usize = PACKET_BYTES;

/// The bytes of a message on its way out: a block in them may be somebody else's.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Parts<'a> {
    /// All of them, or those up to the block; then the last eight say how long it is.
    before: &'a [u8],
    block: &'a [u8],
    behind: &'a [u8],
}

impl<'a> From<&'a [u8]> for Parts<'a> {
    #[inline]
    fn from(bytes: &'a [u8]) -> Self {
        Self { before: bytes, block: &[], behind: &[] }
    }
}

impl<'a> Parts<'a> {
    /// Bytes with a block in their midst, of at least [`LEAST_BLOCK`] bytes.
    #[cfg(feature = "serde")]
    pub(crate) fn with_block(before: &'a [u8], block: &'a [u8], behind: &'a [u8]) -> Self {
        Self { before, block, behind }
    }

    #[inline]
    pub(crate) fn len(&self) -> usize {
        self.before.len() + self.block.len() + self.behind.len()
    }

    /// The bytes, where they lie in one place.
    #[inline]
    pub(super) fn in_one_place(&self) -> Option<&'a [u8]> {
        self.block.is_empty().then_some(self.before)
    }

    /// Where the block begins, if there is one.
    pub(super) fn block_start(&self) -> Option<usize> {
        (!self.block.is_empty()).then_some(self.before.len())
    }

    /// What lies in one place from an offset on: nothing only at the end.
    pub(super) fn rest_from(&self, offset: usize) -> &'a [u8] {
        let mut offset = offset;
        for part in self.all() {
            match part.get(offset..) {
                Some(rest) if !rest.is_empty() => return rest,
                _ => offset = offset.saturating_sub(part.len()),
            }
        }
        &[]
    }

    /// The parts, one behind the other.
    pub(crate) fn all(&self) -> [&'a [u8]; 3] {
        [self.before, self.block, self.behind]
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_offset_finds_the_rest_of_its_part() {
        let parts = Parts { before: b"ab", block: b"cde", behind: b"f" };
        assert_eq!(parts.len(), 6);
        let rests: Vec<&[u8]> = (0..=6).map(|offset| parts.rest_from(offset)).collect();
        assert_eq!(rests, [&b"ab"[..], b"b", b"cde", b"de", b"e", b"f", b""]);
        assert_eq!(Parts::from(&b"abc"[..]).rest_from(1), b"bc");
        assert_eq!(Parts::from(&b"abc"[..]).block_start(), None);
        assert_eq!(parts.block_start(), Some(2));
    }
}
