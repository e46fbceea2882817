//! The bytes of numbers, strings and blocks, as bincode writes them: the only file that names it.
//!
//! Integers are little-endian and of fixed width, lengths are 64 bits, an option is one byte and a
//! variant's index 32 bits. What serde's data model makes of these stands in `serializer` and
//! `deserializer`; the tests hold the result against bincode's own serde front, byte for byte.

use bincode::config::{Configuration, Fixint, LittleEndian, NoLimit};
use bincode::enc::write::Writer;
use bincode::{BorrowDecode, Encode};

use super::{DecodeError, EncodeError};

/// Without a limit: the message's length is the limit, and no length is believed above it.
const CONFIG: Configuration<LittleEndian, Fixint, NoLimit> =
    bincode::config::standard().with_fixed_int_encoding();

pub(super) const COUNT_BYTES: usize = size_of::<u64>();

/// What bincode writes to.
struct Sink<'a>(&'a mut Vec<u8>);

impl Writer for Sink<'_> {
    #[inline]
    fn write(&mut self, bytes: &[u8]) -> Result<(), bincode::error::EncodeError> {
        self.0.extend_from_slice(bytes);
        Ok(())
    }
}

/// Appends a number, a `bool`, a `char`, a string or a block.
#[inline]
pub(super) fn write(bytes: &mut Vec<u8>, value: impl Encode) -> Result<(), EncodeError> {
    bincode::encode_into_writer(value, Sink(bytes), CONFIG)
        .map_err(|error| EncodeError::Value(error.to_string()))
}

/// Takes a number, a `bool`, a `char`, a `&str` or a `&[u8]` off the front.
///
/// A string or block is borrowed, so its length has been held against what is there before
/// anybody allocates.
#[inline]
pub(super) fn read<'de, T: BorrowDecode<'de, ()>>(rest: &mut &'de [u8]) -> Result<T, DecodeError> {
    let (value, count) = bincode::borrow_decode_from_slice(rest, CONFIG).map_err(reason)?;
    *rest = rest.get(count..).unwrap_or_default();
    Ok(value)
}

/// Leaves room for the count of a sequence's elements or a map's entries, and says where.
#[inline]
pub(super) fn begin_count(bytes: &mut Vec<u8>) -> usize {
    let place = bytes.len();
    bytes.extend_from_slice(&[0; COUNT_BYTES]);
    place
}

/// Fills in what [`begin_count`] left room for.
#[inline]
pub(super) fn end_count(bytes: &mut [u8], place: usize, count: usize) {
    if let Some(room) = bytes.get_mut(place..).and_then(<[u8]>::first_chunk_mut::<COUNT_BYTES>) {
        *room = (count as u64).to_le_bytes();
    }
}

#[cold]
fn reason(error: bincode::error::DecodeError) -> DecodeError {
    use bincode::error::DecodeError as E;
    match error {
        // A length past the address space is past the end as well.
        E::UnexpectedEnd { .. } | E::LimitExceeded | E::OutsideUsizeRange(_) => DecodeError::End,
        E::InvalidBooleanValue(_) => DecodeError::Malformed("a bool that is neither 0 nor 1"),
        E::InvalidCharEncoding(_) => DecodeError::Malformed("a char that is not UTF-8"),
        E::Utf8 { .. } => DecodeError::Malformed("a string that is not UTF-8"),
        other => DecodeError::Value(other.to_string()),
    }
}
