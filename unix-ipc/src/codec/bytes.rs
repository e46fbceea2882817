//! Byte strings as blocks: serde knows `Vec<u8>` only as a sequence of numbers.
//!
//! Nothing here decides what the bytes are, only how fast they are copied: without it, or when serde
//! renames its visitor, they are the same.

use std::any::type_name;
use std::fmt;

use castaway::cast;
use serde::ser::{self, Impossible, Serialize};

use super::{DecodeError, EncodeError, format};

/// Whether the elements of a sequence are `u8`: no other type has a name without a path that is this.
pub(super) fn are_bytes<T>() -> bool {
    matches!(type_name::<T>(), "u8" | "&u8")
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
pub(super) fn read<V, T>(rest: &mut &[u8]) -> Result<Option<T>, DecodeError> {
    let mut value: Option<T> = None;
    if let Ok(place) = cast!(&mut value, &mut Option<Vec<u8>>)
        && is_vec_visitor(type_name::<V>())
    {
        #[cfg(test)]
        tests::count_block();
        *place = Some(format::read::<&[u8]>(rest)?.to_vec());
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
