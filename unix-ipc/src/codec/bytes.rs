//! Byte strings as blocks: serde knows `Vec<u8>` only as a sequence of numbers.
//!
//! Nothing here decides what the bytes are, only how fast they are copied: without it, or when serde
//! renames its visitor, they are the same.

use std::any::type_name;
use std::fmt;

use castaway::cast;
use serde::ser::{self, Impossible, Serialize};

use super::{DecodeError, EncodeError, Source};

/// Whether the elements of a sequence are `u8`: no other type has a name without a path that is this.
pub(super) fn are_bytes<T>() -> bool {
    matches!(type_name::<T>(), "u8" | "&u8")
}

/// The bytes of a `Vec<u8>`, where the value is one.
#[inline]
pub(super) fn of_vec<T>(value: &T) -> Option<&[u8]> {
    cast!(value, &Vec<u8>).ok().map(Vec::as_slice)
}

/// The value itself, where it is a `Vec<u8>`.
pub(super) fn into_vec<T>(value: T) -> Result<Vec<u8>, T> {
    cast!(value, Vec<u8>)
}

/// A `Vec<u8>` as a value, where that is one.
pub(super) fn from_vec<T>(bytes: Vec<u8>) -> Option<T> {
    let mut value: Option<T> = None;
    if let Ok(place) = cast!(&mut value, &mut Option<Vec<u8>>) {
        *place = Some(bytes);
    }
    value
}

/// The bytes of a slice, where its elements are bytes.
#[cfg(feature = "macros")]
#[inline]
pub(super) fn of_slice<T>(items: &[T]) -> Option<&[u8]> {
    cast!(items, &[u8]).ok()
}

/// Appends elements that [`are_bytes`], and asks each of them all the same. Says how many they were.
pub(super) fn write<I>(bytes: &mut Vec<u8>, elements: I) -> Result<usize, EncodeError>
where
    I: IntoIterator,
    I::Item: Serialize,
{
    #[cfg(test)]
    tests::count_block();
    let before = bytes.len();
    let mut all_bytes = true;
    bytes.extend(elements.into_iter().map(|element| {
        element.serialize(Byte).unwrap_or_else(|NotAByte| {
            all_bytes = false;
            0
        })
    }));
    if !all_bytes {
        return Err(EncodeError::Value("an element of type `u8` did not serialise as one".to_owned()));
    }
    Ok(bytes.len() - before)
}

/// Reads a length and a block, where the visitor is the one of serde's own `Vec<u8>`.
pub(super) fn read<V, T>(source: &mut Source<'_>) -> Result<Option<T>, DecodeError> {
    let mut value: Option<T> = None;
    if let Ok(place) = cast!(&mut value, &mut Option<Vec<u8>>)
        && is_vec_visitor(type_name::<V>())
    {
        #[cfg(test)]
        tests::count_block();
        *place = Some(source.read_block()?);
    }
    Ok(value)
}

/// Any other visitor may want to look at the elements, even if it collects them into a `Vec<u8>`.
fn is_vec_visitor(name: &str) -> bool {
    name.starts_with("serde") && name.ends_with("::VecVisitor<u8>") && name.contains("::de::impls::")
}

/// Serialises a `u8` into itself and refuses everything else.
struct Byte;

#[derive(Debug)]
struct NotAByte;

impl fmt::Display for NotAByte {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("not a byte")
    }
}

impl std::error::Error for NotAByte {}

impl ser::Error for NotAByte {
    fn custom<T: fmt::Display>(_: T) -> Self {
        Self
    }
}

macro_rules! refuse {
    ($($method:ident($($argument:ty),*) $(-> $compound:ty)?;)*) => {$(
        fn $method(self, $(_: $argument),*) -> refuse!(@result $($compound)?) {
            Err(NotAByte)
        }
    )*};
    (@result) => { Result<u8, NotAByte> };
    (@result $compound:ty) => { Result<$compound, NotAByte> };
}

impl ser::Serializer for Byte {
    type Ok = u8;
    type Error = NotAByte;
    type SerializeSeq = Impossible<u8, NotAByte>;
    type SerializeTuple = Impossible<u8, NotAByte>;
    type SerializeTupleStruct = Impossible<u8, NotAByte>;
    type SerializeTupleVariant = Impossible<u8, NotAByte>;
    type SerializeMap = Impossible<u8, NotAByte>;
    type SerializeStruct = Impossible<u8, NotAByte>;
    type SerializeStructVariant = Impossible<u8, NotAByte>;

    #[inline]
    fn serialize_u8(self, value: u8) -> Result<u8, NotAByte> {
        Ok(value)
    }

    refuse! {
        serialize_bool(bool);
        serialize_i8(i8);
        serialize_i16(i16);
        serialize_i32(i32);
        serialize_i64(i64);
        serialize_u16(u16);
        serialize_u32(u32);
        serialize_u64(u64);
        serialize_f32(f32);
        serialize_f64(f64);
        serialize_char(char);
        serialize_str(&str);
        serialize_bytes(&[u8]);
        serialize_none();
        serialize_unit();
        serialize_unit_struct(&'static str);
        serialize_unit_variant(&'static str, u32, &'static str);
        serialize_seq(Option<usize>) -> Self::SerializeSeq;
        serialize_tuple(usize) -> Self::SerializeTuple;
        serialize_tuple_struct(&'static str, usize) -> Self::SerializeTupleStruct;
        serialize_tuple_variant(&'static str, u32, &'static str, usize) -> Self::SerializeTupleVariant;
        serialize_map(Option<usize>) -> Self::SerializeMap;
        serialize_struct(&'static str, usize) -> Self::SerializeStruct;
        serialize_struct_variant(&'static str, u32, &'static str, usize) -> Self::SerializeStructVariant;
    }

    fn serialize_some<T: Serialize + ?Sized>(self, _: &T) -> Result<u8, NotAByte> {
        Err(NotAByte)
    }

    fn serialize_newtype_struct<T: Serialize + ?Sized>(self, _: &'static str, _: &T) -> Result<u8, NotAByte> {
        Err(NotAByte)
    }

    fn serialize_newtype_variant<T: Serialize + ?Sized>(
        self,
        _: &'static str,
        _: u32,
        _: &'static str,
        _: &T,
    ) -> Result<u8, NotAByte> {
        Err(NotAByte)
    }
}

#[cfg(test)]
mod tests {
    use std::cell::Cell;
    use std::collections::{BTreeSet, VecDeque};
    use std::fmt;

    use serde::de::{DeserializeOwned, SeqAccess, Visitor};
    use serde::{Deserialize, Deserializer, Serialize, Serializer};

    use super::are_bytes;
    use crate::{deserialize, serialize};

    thread_local! {
        static BLOCKS: Cell<usize> = const { Cell::new(0) };
    }

    pub(super) fn count_block() {
        BLOCKS.set(BLOCKS.get() + 1);
    }

    /// How many blocks the value was written and read as.
    fn blocks<T: Serialize + DeserializeOwned>(value: &T) -> (usize, usize) {
        BLOCKS.set(0);
        let (bytes, _) = serialize(value).unwrap();
        let written = BLOCKS.replace(0);
        deserialize::<T>(&bytes, Vec::new()).unwrap();
        (written, BLOCKS.get())
    }

    #[derive(Serialize, Deserialize)]
    struct Own {
        name: String,
        blob: Option<Vec<u8>>,
        boxed: Box<[u8]>,
        result: Result<String, Vec<u8>>,
        many: Vec<Vec<u8>>,
    }

    #[test]
    fn byte_strings_are_one_block_at_any_depth() {
        assert_eq!(blocks(&vec![1u8, 2, 3]), (1, 1));
        assert_eq!(blocks(&Some(vec![1u8])), (1, 1));
        let own = Own {
            name: "own".to_owned(),
            blob: Some(vec![1]),
            boxed: Box::from([1]),
            result: Err(vec![2]),
            many: vec![vec![1], vec![2]],
        };
        assert_eq!(blocks(&own), (5, 5));
    }

    #[test]
    fn other_sequences_are_read_one_by_one() {
        assert_eq!(blocks(&vec![1i8]), (0, 0));
        assert_eq!(blocks(&vec![1u16]), (0, 0));
        assert_eq!(blocks(&vec![true]), (0, 0));
        // Written as a block, because the elements are bytes; read by a visitor that is not `Vec`'s.
        assert_eq!(blocks(&VecDeque::from([1u8])), (1, 0));
        assert_eq!(blocks(&BTreeSet::from([1u8])), (1, 0));
    }

    /// Collects into a `Vec<u8>` as serde does, but the other way round.
    #[derive(Debug, PartialEq)]
    struct Reversed(Vec<u8>);

    impl<'de> Deserialize<'de> for Reversed {
        fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
            struct VecVisitor<T>(T);

            impl<'de> Visitor<'de> for VecVisitor<u8> {
                type Value = Vec<u8>;

                fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                    f.write_str("bytes")
                }

                fn visit_seq<A: SeqAccess<'de>>(self, mut seq: A) -> Result<Vec<u8>, A::Error> {
                    let mut bytes = Vec::new();
                    while let Some(byte) = seq.next_element()? {
                        bytes.insert(usize::from(self.0), byte);
                    }
                    Ok(bytes)
                }
            }

            deserializer.deserialize_seq(VecVisitor(0u8)).map(Self)
        }
    }

    #[test]
    fn a_visitor_that_is_not_serdes_sees_every_element() {
        let (bytes, _) = serialize(vec![1u8, 2, 3]).unwrap();
        assert_eq!(deserialize::<Reversed>(&bytes, Vec::new()), Ok(Reversed(vec![3, 2, 1])));
    }

    mod namesake {
        use super::{Serialize, Serializer};

        #[expect(non_camel_case_types, reason = "the name is what is tried")]
        pub(super) struct u8(pub(super) std::primitive::u8);

        impl Serialize for u8 {
            fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
                serializer.serialize_str(&self.0.to_string())
            }
        }
    }

    #[test]
    fn a_namesake_of_u8_is_not_taken_for_it() {
        assert!(are_bytes::<u8>() && are_bytes::<&u8>());
        assert!(!are_bytes::<namesake::u8>() && !are_bytes::<&namesake::u8>() && !are_bytes::<&&u8>());
        let (bytes, _) = serialize(vec![namesake::u8(7)]).unwrap();
        assert_eq!(deserialize::<Vec<String>>(&bytes, Vec::new()), Ok(vec!["7".to_owned()]));
    }
}
