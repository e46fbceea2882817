//! The bytes of numbers, strings and blocks, as bincode writes them: the only file that names it.
//!
//! Integers are little-endian and of fixed width, lengths are 64 bits, an option is one byte and a
//! variant's index 32 bits. What serde's data model makes of these stands in `serializer` and
//! `deserializer`; the tests hold the result against bincode's own serde front, byte for byte.

pub(super) use bincode::BorrowDecode;
use bincode::Encode;
use bincode::config::{Configuration, Fixint, LittleEndian, NoLimit};
use bincode::enc::write::Writer;

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

#[cfg(test)]
mod tests {
    use std::collections::{BTreeMap, BTreeSet, HashMap, VecDeque};
    use std::fmt::Debug;
    use std::net::{IpAddr, Ipv6Addr, SocketAddr};
    use std::path::PathBuf;
    use std::time::Duration;

    use serde::de::DeserializeOwned;
    use serde::{Deserialize, Serialize};

    use super::CONFIG;
    use crate::{deserialize, serialize};

    #[derive(Debug, PartialEq, Serialize, Deserialize)]
    struct Record {
        id: u64,
        name: String,
        blob: Vec<u8>,
        parts: Vec<Option<Vec<u8>>>,
        point: (f32, f64),
        nothing: (),
        letter: char,
        kind: Kind,
    }

    #[derive(Debug, PartialEq, Serialize, Deserialize)]
    enum Kind {
        Unit,
        Newtype(Box<Kind>),
        Tuple(i8, i16, i32, i64, i128),
        Struct { flag: bool, wide: u128 },
    }

    #[derive(Debug, PartialEq, Serialize, Deserialize)]
    struct Wrapper(Vec<u16>);

    #[derive(Debug, PartialEq, Serialize, Deserialize)]
    struct Unit;

    /// The value's bytes are those of bincode alone, and either reads what the other wrote.
    fn same<T: Serialize + DeserializeOwned + PartialEq + Debug>(value: &T) {
        let plain = bincode::serde::encode_to_vec(value, CONFIG).unwrap();
        let (ours, descriptors) = serialize(value).unwrap();
        assert_eq!(ours, plain);
        assert!(descriptors.is_empty());
        assert_eq!(&deserialize::<T>(&plain, Vec::new()).unwrap(), value);
        assert_eq!(
            bincode::serde::decode_from_slice::<T, _>(&ours, CONFIG).unwrap(),
            (deserialize(&ours, vec![]).unwrap(), ours.len())
        );
    }

    #[test]
    fn numbers_and_strings_are_plain_bincodes() {
        same(&(true, false, u8::MAX, u16::MAX, u32::MAX, u64::MAX, u128::MAX, usize::MAX));
        same(&(i8::MIN, i16::MIN, i32::MIN, i64::MIN, i128::MIN, isize::MIN));
        same(&(f32::MIN_POSITIVE, f64::MAX, 'a', 'é', '✓', '🦀', '\0'));
        same(&("".to_owned(), "ascii".to_owned(), "ünïcödé 🦀".to_owned()));
    }

    #[test]
    fn compounds_are_plain_bincodes() {
        same(&((), Unit, [1u8, 2, 3], [(); 3], [7u32; 4]));
        same(&(None::<u8>, Some(1u8), Some(Some(Some(2u64))), Box::new(3i32)));
        same(&(Ok::<u8, String>(1), Err::<u8, String>("no".to_owned())));
        same(&(Wrapper(vec![1, 2, 3]), Duration::from_millis(1500), PathBuf::from("/dev/null")));
        same(&(IpAddr::from(Ipv6Addr::LOCALHOST), SocketAddr::from(([127, 0, 0, 1], 80))));
        same(&Record {
            id: 1,
            name: "record".to_owned(),
            blob: (0..=255).collect(),
            parts: vec![None, Some(vec![]), Some(vec![1, 2, 3])],
            point: (0.5, -0.5),
            nothing: (),
            letter: 'ß',
            kind: Kind::Newtype(Box::new(Kind::Struct { flag: true, wide: 1 << 100 })),
        });
        same(&vec![Kind::Unit, Kind::Tuple(1, 2, 3, 4, 5), Kind::Newtype(Box::new(Kind::Unit))]);
    }

    #[test]
    fn sequences_and_maps_are_plain_bincodes() {
        same(&(Vec::<u8>::new(), vec![1u8], vec![vec![0u8; 1000]; 3], Box::<[u8]>::from([1, 2])));
        same(&(VecDeque::from([1u8, 2, 3]), BTreeSet::from([3u8, 1, 2]), BTreeSet::from(["a".to_owned()])));
        same(&(vec![1u16, 2], vec![1i64, -1], vec![true], vec!['x'], vec![String::new(), "s".to_owned()]));
        same(&(
            vec![(), ()],
            BTreeMap::from([(1u8, vec![1u8]), (2, vec![])]),
            HashMap::from([("k".to_owned(), 1.5f64)]),
        ));
    }

    #[test]
    fn borrowed_values_are_the_owned_ones_bytes() {
        let bytes: &[u8] = &[1, 2, 3];
        let (ours, _) = serialize(("text", bytes, Some(bytes))).unwrap();
        let (owned, _) = serialize(("text".to_owned(), vec![1u8, 2, 3], Some(vec![1u8, 2, 3]))).unwrap();
        assert_eq!(ours, owned);
    }
}
