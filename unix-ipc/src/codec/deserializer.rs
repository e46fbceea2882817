//! Serde's data model on the way in. Nothing that the bytes say is believed before it is there.

use serde::de::value::U32Deserializer;
use serde::de::{
    DeserializeSeed, Deserializer, EnumAccess, IntoDeserializer, MapAccess, SeqAccess, VariantAccess, Visitor,
};

use super::{DecodeError, Source, bytes};
use crate::{LimitExceeded, Limits};

/// Elements that take no byte cost the peer nothing, so a message may have this many of them.
const EMPTY_ELEMENTS: u64 = 1 << 20;

/// The bytes of a message that are not decoded yet.
pub(super) struct Input<'de> {
    source: Source<'de>,
    /// How many levels the value may still go down.
    levels: usize,
    nesting: usize,
    empty_elements: u64,
    /// How many elements the sequences around this place still lack. Each takes a byte or more, so no
    /// sequence in here reserves memory for what can only be theirs.
    promised: usize,
}

impl<'de> Input<'de> {
    pub(super) fn new(source: Source<'de>, limits: &Limits) -> Self {
        let nesting = limits.nesting;
        Self { source, levels: nesting, nesting, empty_elements: EMPTY_ELEMENTS, promised: 0 }
    }

    /// The value is complete: there must be nothing behind it.
    pub(super) fn finish(&self) -> Result<(), DecodeError> {
        match self.source.left() {
            0 => Ok(()),
            count => Err(DecodeError::Trailing { count }),
        }
    }

    /// Visits something that may hold more values.
    fn nested<T>(
        &mut self,
        visit: impl FnOnce(&mut Self) -> Result<T, DecodeError>,
    ) -> Result<T, DecodeError> {
        let limit = self.nesting as u64;
        self.levels = self.levels.checked_sub(1).ok_or(LimitExceeded::Nesting { limit })?;
        let value = visit(self);
        self.levels += 1;
        value
    }

    /// Visits as many elements or entries as the bytes announce.
    fn counted<T>(
        &mut self,
        visit: impl FnOnce(Items<'_, 'de>) -> Result<T, DecodeError>,
    ) -> Result<T, DecodeError> {
        let left = self.source.read::<usize>()?;
        let outer = self.promised;
        let value = self.nested(|input| visit(Items { input, left, outer, before: 0 }));
        self.promised = outer;
        value
    }

    fn fields<V: Visitor<'de>>(&mut self, left: usize, visitor: V) -> Result<V::Value, DecodeError> {
        self.nested(|input| visitor.visit_seq(Fields { input, left }))
    }
}

macro_rules! scalars {
    ($($method:ident $visit:ident,)*) => {$(
        #[inline]
        fn $method<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, DecodeError> {
            visitor.$visit(self.source.read()?)
        }
    )*};
}

impl<'de> Deserializer<'de> for &mut Input<'de> {
    type Error = DecodeError;

    scalars! {
        deserialize_bool visit_bool,
        deserialize_i8 visit_i8,
        deserialize_i16 visit_i16,
        deserialize_i32 visit_i32,
        deserialize_i64 visit_i64,
        deserialize_i128 visit_i128,
        deserialize_u8 visit_u8,
        deserialize_u16 visit_u16,
        deserialize_u32 visit_u32,
        deserialize_u64 visit_u64,
        deserialize_u128 visit_u128,
        deserialize_f32 visit_f32,
        deserialize_f64 visit_f64,
        deserialize_char visit_char,
        deserialize_str visit_borrowed_str,
        deserialize_string visit_borrowed_str,
        deserialize_bytes visit_borrowed_bytes,
        deserialize_byte_buf visit_borrowed_bytes,
    }

    fn deserialize_any<V: Visitor<'de>>(self, _: V) -> Result<V::Value, DecodeError> {
        Err(not_self_describing())
    }

    fn deserialize_identifier<V: Visitor<'de>>(self, _: V) -> Result<V::Value, DecodeError> {
        Err(not_self_describing())
    }

    fn deserialize_ignored_any<V: Visitor<'de>>(self, _: V) -> Result<V::Value, DecodeError> {
        Err(not_self_describing())
    }

    fn deserialize_option<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, DecodeError> {
        match self.source.read::<u8>()? {
            0 => visitor.visit_none(),
            1 => self.nested(|input| visitor.visit_some(input)),
            _ => Err(DecodeError::Malformed("an option that is neither 0 nor 1")),
        }
    }

    fn deserialize_unit<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, DecodeError> {
        visitor.visit_unit()
    }

    fn deserialize_unit_struct<V: Visitor<'de>>(
        self,
        _: &'static str,
        visitor: V,
    ) -> Result<V::Value, DecodeError> {
        visitor.visit_unit()
    }

    fn deserialize_newtype_struct<V: Visitor<'de>>(
        self,
        _: &'static str,
        visitor: V,
    ) -> Result<V::Value, DecodeError> {
        self.nested(|input| visitor.visit_newtype_struct(input))
    }

    fn deserialize_seq<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, DecodeError> {
        if let Some(block) = bytes::read::<V, V::Value>(&mut self.source)? {
            return Ok(block);
        }
        self.counted(|items| visitor.visit_seq(items))
    }

    fn deserialize_tuple<V: Visitor<'de>>(self, len: usize, visitor: V) -> Result<V::Value, DecodeError> {
        self.fields(len, visitor)
    }

    fn deserialize_tuple_struct<V: Visitor<'de>>(
        self,
        _: &'static str,
        len: usize,
        visitor: V,
    ) -> Result<V::Value, DecodeError> {
        self.fields(len, visitor)
    }

    fn deserialize_map<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, DecodeError> {
        self.counted(|items| visitor.visit_map(items))
    }

    fn deserialize_struct<V: Visitor<'de>>(
        self,
        _: &'static str,
        fields: &'static [&'static str],
        visitor: V,
    ) -> Result<V::Value, DecodeError> {
        self.fields(fields.len(), visitor)
    }

    fn deserialize_enum<V: Visitor<'de>>(
        self,
        _: &'static str,
        _: &'static [&'static str],
        visitor: V,
    ) -> Result<V::Value, DecodeError> {
        self.nested(|input| visitor.visit_enum(input))
    }

    fn is_human_readable(&self) -> bool {
        false
    }
}

#[cold]
fn not_self_describing() -> DecodeError {
    DecodeError::Value(
        "a message does not name its types and fields: `serde(flatten)`, `serde(tag)` and `serde(untagged)` cannot be used"
            .to_owned(),
    )
}

/// As many values as the type has fields.
struct Fields<'a, 'de> {
    input: &'a mut Input<'de>,
    left: usize,
}

impl<'de> SeqAccess<'de> for Fields<'_, 'de> {
    type Error = DecodeError;

    fn next_element_seed<T: DeserializeSeed<'de>>(
        &mut self,
        seed: T,
    ) -> Result<Option<T::Value>, DecodeError> {
        let Some(left) = self.left.checked_sub(1) else { return Ok(None) };
        self.left = left;
        seed.deserialize(&mut *self.input).map(Some)
    }

    fn size_hint(&self) -> Option<usize> {
        Some(self.left)
    }
}

/// As many elements or entries as the bytes announce.
struct Items<'a, 'de> {
    input: &'a mut Input<'de>,
    left: usize,
    /// What the sequences around this one still lack.
    outer: usize,
    /// How many bytes were there before the element in hand.
    before: usize,
}

impl Items<'_, '_> {
    /// Begins an element, if there is another one.
    fn begin(&mut self) -> bool {
        let Some(left) = self.left.checked_sub(1) else { return false };
        self.left = left;
        self.before = self.input.source.left();
        self.input.promised = self.outer.saturating_add(left);
        true
    }

    fn end(&mut self) -> Result<(), DecodeError> {
        if self.input.source.left() < self.before {
            return Ok(());
        }
        let limit = EMPTY_ELEMENTS;
        let left = self.input.empty_elements.checked_sub(1);
        self.input.empty_elements = left.ok_or(LimitExceeded::EmptyElements { limit })?;
        Ok(())
    }
}

impl<'de> SeqAccess<'de> for Items<'_, 'de> {
    type Error = DecodeError;

    fn next_element_seed<T: DeserializeSeed<'de>>(
        &mut self,
        seed: T,
    ) -> Result<Option<T::Value>, DecodeError> {
        if !self.begin() {
            return Ok(None);
        }
        let element = seed.deserialize(&mut *self.input)?;
        self.end()?;
        Ok(Some(element))
    }

    fn size_hint(&self) -> Option<usize> {
        Some(self.left.min(self.input.source.left().saturating_sub(self.outer)))
    }
}

impl<'de> MapAccess<'de> for Items<'_, 'de> {
    type Error = DecodeError;

    fn next_key_seed<K: DeserializeSeed<'de>>(&mut self, seed: K) -> Result<Option<K::Value>, DecodeError> {
        if !self.begin() {
            return Ok(None);
        }
        seed.deserialize(&mut *self.input).map(Some)
    }

    fn next_value_seed<V: DeserializeSeed<'de>>(&mut self, seed: V) -> Result<V::Value, DecodeError> {
        let value = seed.deserialize(&mut *self.input)?;
        self.end()?;
        Ok(value)
    }

    /// None: a map allocates several times what its entries take.
    fn size_hint(&self) -> Option<usize> {
        None
    }
}

impl<'de> EnumAccess<'de> for &mut Input<'de> {
    type Error = DecodeError;
    type Variant = Self;

    fn variant_seed<V: DeserializeSeed<'de>>(self, seed: V) -> Result<(V::Value, Self), DecodeError> {
        let index: U32Deserializer<DecodeError> = self.source.read::<u32>()?.into_deserializer();
        Ok((seed.deserialize(index)?, self))
    }
}

impl<'de> VariantAccess<'de> for &mut Input<'de> {
    type Error = DecodeError;

    fn unit_variant(self) -> Result<(), DecodeError> {
        Ok(())
    }

    fn newtype_variant_seed<T: DeserializeSeed<'de>>(self, seed: T) -> Result<T::Value, DecodeError> {
        seed.deserialize(self)
    }

    fn tuple_variant<V: Visitor<'de>>(self, len: usize, visitor: V) -> Result<V::Value, DecodeError> {
        self.fields(len, visitor)
    }

    fn struct_variant<V: Visitor<'de>>(
        self,
        fields: &'static [&'static str],
        visitor: V,
    ) -> Result<V::Value, DecodeError> {
        self.fields(fields.len(), visitor)
    }
}

#[cfg(test)]
mod tests;
