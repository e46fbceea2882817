use std::mem;

use super::DecodeError;
use super::format::{self, BorrowDecode};
use crate::raw_channel::{Block, Body};

/// The bytes of a message that are not decoded yet.
///
/// A block that has memory of its own can be taken as it is. Whatever else is read may not reach from one part into the next,
/// as nothing does that a sender puts there.
pub(crate) struct Source<'de> {
    rest: &'de [u8],
    next: Next<'de>,
}

/// What comes behind the rest.
enum Next<'de> {
    Nothing,
    Block(Block<'de>),
    Bytes(&'de [u8]),
}

impl<'de> From<&'de [u8]> for Source<'de> {
    #[inline]
    fn from(bytes: &'de [u8]) -> Self {
        Self { rest: bytes, next: Next::Nothing }
    }
}

impl<'de> From<&'de mut Body> for Source<'de> {
    #[inline]
    fn from(body: &'de mut Body) -> Self {
        let (rest, block) = body.parts();
        Self { rest, next: block.map_or(Next::Nothing, Next::Block) }
    }
}

impl<'de> Source<'de> {
    /// Takes a number, a `bool`, a `char`, a `&str` or a `&[u8]` off the front, as [`format::read`].
    #[inline]
    pub(super) fn read<T: BorrowDecode<'de, ()>>(&mut self) -> Result<T, DecodeError> {
        match format::read(&mut self.rest) {
            Err(DecodeError::End) if self.read_on() => format::read(&mut self.rest),
            read => read,
        }
    }

    /// Takes a length and so many bytes: the block itself, where it is this one.
    pub(super) fn read_block(&mut self) -> Result<Vec<u8>, DecodeError> {
        if !matches!(self.next, Next::Block(_)) || self.rest.len() != format::COUNT_BYTES {
            return Ok(self.read::<&[u8]>()?.to_vec());
        }
        let length = self.read::<u64>()?;
        match mem::replace(&mut self.next, Next::Nothing) {
            Next::Block(block) if block.bytes.len() as u64 == length => {
                self.rest = block.behind;
                Ok(mem::take(block.bytes))
            }
            _ => Err(DecodeError::End),
        }
    }

    /// Goes on to the next part, where this one is at its end.
    #[cold]
    fn read_on(&mut self) -> bool {
        if !self.rest.is_empty() {
            return false;
        }
        (self.rest, self.next) = match mem::replace(&mut self.next, Next::Nothing) {
            Next::Nothing => return false,
            Next::Block(Block { bytes, behind }) => (bytes.as_slice(), Next::Bytes(behind)),
            Next::Bytes(bytes) => (bytes, Next::Nothing),
        };
        !self.rest.is_empty() || self.read_on()
    }

    /// Takes a number off the front that the library itself put there, if it is whole.
    #[cfg(feature = "macros")]
    pub(crate) fn take_number(&mut self) -> Option<u64> {
        self.read().ok()
    }

    /// How many bytes there are.
    pub(super) fn left(&self) -> usize {
        let next = match &self.next {
            Next::Nothing => 0,
            Next::Block(block) => block.bytes.len().saturating_add(block.behind.len()),
            Next::Bytes(bytes) => bytes.len(),
        };
        self.rest.len().saturating_add(next)
    }
}
