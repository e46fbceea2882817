//! Serde's data model on the way out. The bytes are plain bincode's.

use serde::ser::{self, Serialize, Serializer};

use super::{EncodeError, bytes, format};

/// Appends a value to the bytes of a message.
pub(super) struct Output<'a> {
    bytes: &'a mut Vec<u8>,
}

/// Appends the elements of a sequence, or the entries of a map, behind their count.
pub(super) struct Items<'a> {
    bytes: &'a mut Vec<u8>,
    /// Where the count stands.
    start: usize,
    /// What the count has to be: a `Serialize` that announces none, or a wrong one, is put right.
    count: usize,
}

impl<'a> Output<'a> {
    pub(super) fn new(bytes: &'a mut Vec<u8>) -> Self {
        Self { bytes }
    }

    fn items(self) -> Items<'a> {
        let start = format::begin_count(self.bytes);
        Items { bytes: self.bytes, start, count: 0 }
    }
}

impl Items<'_> {
    fn element<T: Serialize + ?Sized>(&mut self, value: &T) -> Result<(), EncodeError> {
        self.count += 1;
        value.serialize(Output::new(self.bytes))
    }

    fn finish(self) {
        format::end_count(self.bytes, self.start, self.count);
    }
}

macro_rules! scalars {
    ($($method:ident: $value:ty,)*) => {$(
        #[inline]
        fn $method(self, value: $value) -> Result<(), EncodeError> {
            format::write(self.bytes, value)
        }
    )*};
}

impl<'a> Serializer for Output<'a> {
    type Ok = ();
    type Error = EncodeError;
    type SerializeSeq = Items<'a>;
    type SerializeTuple = Self;
    type SerializeTupleStruct = Self;
    type SerializeTupleVariant = Self;
    type SerializeMap = Items<'a>;
    type SerializeStruct = Self;
    type SerializeStructVariant = Self;

    scalars! {
        serialize_bool: bool,
        serialize_i8: i8,
        serialize_i16: i16,
        serialize_i32: i32,
        serialize_i64: i64,
        serialize_i128: i128,
        serialize_u8: u8,
        serialize_u16: u16,
        serialize_u32: u32,
        serialize_u64: u64,
        serialize_u128: u128,
        serialize_f32: f32,
        serialize_f64: f64,
        serialize_char: char,
        serialize_str: &str,
        serialize_bytes: &[u8],
    }

    fn serialize_none(self) -> Result<(), EncodeError> {
        format::write(self.bytes, 0u8)
    }

    fn serialize_some<T: Serialize + ?Sized>(self, value: &T) -> Result<(), EncodeError> {
        format::write(self.bytes, 1u8)?;
        value.serialize(self)
    }

    fn serialize_unit(self) -> Result<(), EncodeError> {
        Ok(())
    }

    fn serialize_unit_struct(self, _: &'static str) -> Result<(), EncodeError> {
        Ok(())
    }

    fn serialize_unit_variant(self, _: &'static str, index: u32, _: &'static str) -> Result<(), EncodeError> {
        format::write(self.bytes, index)
    }

    fn serialize_newtype_struct<T: Serialize + ?Sized>(
        self,
        _: &'static str,
        value: &T,
    ) -> Result<(), EncodeError> {
        value.serialize(self)
    }

    fn serialize_newtype_variant<T: Serialize + ?Sized>(
        self,
        _: &'static str,
        index: u32,
        _: &'static str,
        value: &T,
    ) -> Result<(), EncodeError> {
        format::write(self.bytes, index)?;
        value.serialize(self)
    }

    fn serialize_seq(self, _: Option<usize>) -> Result<Items<'a>, EncodeError> {
        Ok(self.items())
    }

    fn serialize_tuple(self, _: usize) -> Result<Self, EncodeError> {
        Ok(self)
    }

    fn serialize_tuple_struct(self, _: &'static str, _: usize) -> Result<Self, EncodeError> {
        Ok(self)
    }

    fn serialize_tuple_variant(
        self,
        _: &'static str,
        index: u32,
        _: &'static str,
        _: usize,
    ) -> Result<Self, EncodeError> {
        format::write(self.bytes, index)?;
        Ok(self)
    }

    fn serialize_map(self, _: Option<usize>) -> Result<Items<'a>, EncodeError> {
        Ok(self.items())
    }

    fn serialize_struct(self, _: &'static str, _: usize) -> Result<Self, EncodeError> {
        Ok(self)
    }

    fn serialize_struct_variant(
        self,
        _: &'static str,
        index: u32,
        _: &'static str,
        _: usize,
    ) -> Result<Self, EncodeError> {
        format::write(self.bytes, index)?;
        Ok(self)
    }

    /// What every sequence of the standard library calls.
    fn collect_seq<I>(self, elements: I) -> Result<(), EncodeError>
    where
        I: IntoIterator,
        I::Item: Serialize,
    {
        let mut items = self.items();
        if bytes::are_bytes::<I::Item>() {
            items.count = bytes::write(items.bytes, elements)?;
        } else {
            elements.into_iter().try_for_each(|element| items.element(&element))?;
        }
        items.finish();
        Ok(())
    }

    fn is_human_readable(&self) -> bool {
        false
    }
}

impl ser::SerializeSeq for Items<'_> {
    type Ok = ();
    type Error = EncodeError;

    fn serialize_element<T: Serialize + ?Sized>(&mut self, value: &T) -> Result<(), EncodeError> {
        self.element(value)
    }

    fn end(self) -> Result<(), EncodeError> {
        self.finish();
        Ok(())
    }
}

impl ser::SerializeMap for Items<'_> {
    type Ok = ();
    type Error = EncodeError;

    fn serialize_key<T: Serialize + ?Sized>(&mut self, key: &T) -> Result<(), EncodeError> {
        self.element(key)
    }

    fn serialize_value<T: Serialize + ?Sized>(&mut self, value: &T) -> Result<(), EncodeError> {
        value.serialize(Output::new(self.bytes))
    }

    fn end(self) -> Result<(), EncodeError> {
        self.finish();
        Ok(())
    }
}

/// The four kinds of fields, which stand one behind the other without a mark.
macro_rules! fields {
    ($($trait:ident::$method:ident($($name:ty)?),)*) => {$(
        impl ser::$trait for Output<'_> {
            type Ok = ();
            type Error = EncodeError;

            fn $method<T: Serialize + ?Sized>(&mut self, $(_: $name,)? value: &T) -> Result<(), EncodeError> {
                value.serialize(Output::new(self.bytes))
            }

            fn end(self) -> Result<(), EncodeError> {
                Ok(())
            }
        }
    )*};
}

fields! {
    SerializeTuple::serialize_element(),
    SerializeTupleStruct::serialize_field(),
    SerializeTupleVariant::serialize_field(),
    SerializeStruct::serialize_field(&'static str),
    SerializeStructVariant::serialize_field(&'static str),
}

#[cfg(test)]
mod tests {
    use serde::ser::{Error as _, SerializeMap as _, SerializeSeq as _};
    use serde::{Serialize, Serializer};

    use super::super::Encoder;
    use crate::{EncodeError, deserialize, serialize};

    /// Announces what it is told to and writes three elements.
    struct Three(Option<usize>);

    impl Serialize for Three {
        fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
            let mut seq = serializer.serialize_seq(self.0)?;
            for element in [1u32, 2, 3] {
                seq.serialize_element(&element)?;
            }
            seq.end()
        }
    }

    #[test]
    fn the_count_is_that_of_the_elements_whatever_was_announced() {
        for announced in [None, Some(0), Some(3), Some(usize::MAX)] {
            let (bytes, _) = serialize(Three(announced)).unwrap();
            assert_eq!(deserialize::<Vec<u32>>(&bytes, Vec::new()), Ok(vec![1, 2, 3]), "{announced:?}");
        }
    }

    struct Odd;

    impl Serialize for Odd {
        fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
            serializer.collect_seq((0u8..10).filter(|byte| byte % 2 == 1))
        }
    }

    #[test]
    fn bytes_of_unknown_count_are_counted() {
        let (bytes, _) = serialize(Odd).unwrap();
        assert_eq!(deserialize::<Vec<u8>>(&bytes, Vec::new()), Ok(vec![1, 3, 5, 7, 9]));
    }

    struct Map;

    impl Serialize for Map {
        fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
            let mut map = serializer.serialize_map(None)?;
            map.serialize_entry("one", &1u8)?;
            map.serialize_entry("two", &2u8)?;
            map.end()
        }
    }

    #[test]
    fn a_map_counts_its_entries() {
        let (bytes, _) = serialize(Map).unwrap();
        let map = deserialize::<Vec<(String, u8)>>(&bytes, Vec::new()).unwrap();
        assert_eq!(map, [("one".to_owned(), 1), ("two".to_owned(), 2)]);
    }

    struct Fails;

    impl Serialize for Fails {
        fn serialize<S: Serializer>(&self, _: S) -> Result<S::Ok, S::Error> {
            Err(S::Error::custom("not today"))
        }
    }

    #[test]
    fn values_put_one_after_another_are_a_tuple_and_a_failed_one_leaves_nothing() {
        let mut encoder = Encoder::new();
        encoder.put("text").unwrap();
        let error = encoder.put(&(1u64, Fails)).unwrap_err();
        assert!(matches!(error, EncodeError::Value(text) if text == "not today"));
        encoder.put(&[1u8, 2][..]).unwrap();
        let (bytes, attachments) = encoder.finish();
        assert_eq!(bytes, serialize(("text", vec![1u8, 2])).unwrap().0);
        assert_eq!(attachments.len(), 0);
    }
}
