use std::borrow::Cow;
use std::marker::PhantomData;
use std::os::fd::OwnedFd;

use serde::Serialize;
use serde::de::{DeserializeOwned, DeserializeSeed};

use super::deserializer::Input;
use super::room::Room;
use super::serializer::Output;
use super::table::{Decoding, Encoding};
use super::{Arrived, Attachments, DecodeError, EncodeError, Source, bytes};
use crate::Limits;
use crate::raw_channel::{LEAST_BLOCK, Message, Parts};

/// The bytes and the attachments of one message on its way out.
#[derive(Debug)]
pub(crate) struct Encoder<'b> {
    bytes: Room,
    /// A block that is sent from where it lies, and how many of the bytes stand before it.
    block: Option<(usize, Cow<'b, [u8]>)>,
    attachments: Attachments,
}

impl<'b> Encoder<'b> {
    #[inline]
    pub(crate) fn new() -> Self {
        Self { bytes: Room::take(), block: None, attachments: Attachments::default() }
    }

    /// Appends a value. Values put one after another are the bytes of a tuple of them.
    ///
    /// After an error the message is as it was before.
    #[inline]
    pub(crate) fn put<T: Serialize + ?Sized>(&mut self, value: &T) -> Result<(), EncodeError> {
        let (bytes, attached) = (self.bytes.len(), self.attachments.len());
        let visit = Encoding::of(&mut self.attachments);
        let result = value.serialize(Output::new(&mut self.bytes));
        drop(visit);
        if result.is_err() {
            self.bytes.truncate(bytes);
            self.attachments.truncate(attached);
        }
        result
    }

    /// The same for a value that outlives the message: a long byte string is not copied.
    #[cfg(feature = "macros")]
    #[inline]
    pub(crate) fn put_lent<T: Serialize>(&mut self, value: &'b T) -> Result<(), EncodeError> {
        if self.lend(bytes::of_vec(value)) { Ok(()) } else { self.put(value) }
    }

    /// The same for a value that the message may have: `None` where it has it, which [`take_back`](Self::take_back) undoes.
    pub(crate) fn put_own<T: Serialize>(&mut self, value: T) -> Result<Option<T>, (EncodeError, T)> {
        let is_block = bytes::of_vec(&value).is_some_and(|block| self.has_room_for(block));
        match if is_block { bytes::into_vec(value) } else { Err(value) } {
            Ok(block) => {
                self.put_block(block.into());
                Ok(None)
            }
            Err(value) => match self.put(&value) {
                Ok(()) => Ok(Some(value)),
                Err(error) => Err((error, value)),
            },
        }
    }

    /// The value that the message has, if it was not sent.
    pub(crate) fn take_back<T>(&mut self) -> Option<T> {
        let (_, block) = self.block.take()?;
        bytes::from_vec(block.into_owned())
    }

    /// The same for a slice.
    #[cfg(feature = "macros")]
    pub(crate) fn put_lent_slice<T: Serialize>(&mut self, items: &'b [T]) -> Result<(), EncodeError> {
        if self.lend(bytes::of_slice(items)) { Ok(()) } else { self.put(items) }
    }

    /// Appends what is a byte string without copying it: false, and nothing done, where it is none, or has to be copied.
    #[cfg(feature = "macros")]
    #[inline]
    fn lend(&mut self, bytes: Option<&'b [u8]>) -> bool {
        let block = bytes.filter(|bytes| self.has_room_for(bytes));
        block.is_some_and(|block| {
            self.put_block(block.into());
            true
        })
    }

    /// Whether a byte string may stay where it lies: if it is a long one and the first.
    fn has_room_for(&self, block: &[u8]) -> bool {
        block.len() >= LEAST_BLOCK && self.block.is_none()
    }

    /// Appends a byte string without copying it.
    fn put_block(&mut self, block: Cow<'b, [u8]>) {
        self.bytes.extend_from_slice(&(block.len() as u64).to_le_bytes());
        self.block = Some((self.bytes.len(), block));
    }

    /// Appends a number that the library itself puts beside the user's values.
    #[cfg(feature = "macros")]
    #[inline]
    pub(crate) fn put_number(&mut self, number: u32) {
        self.bytes.extend_from_slice(&number.to_le_bytes());
    }

    /// The same for a long one.
    #[cfg(feature = "macros")]
    pub(crate) fn put_long_number(&mut self, number: u64) {
        self.bytes.extend_from_slice(&number.to_le_bytes());
    }

    /// What was put so far.
    #[inline]
    pub(crate) fn bytes(&self) -> Parts<'_> {
        match &self.block {
            None => Parts::from(&**self.bytes),
            Some((before, block)) => {
                let (before, behind) = self.bytes.split_at_checked(*before).unwrap_or((&self.bytes, &[]));
                Parts::with_block(before, block, behind)
            }
        }
    }

    /// The bytes, for a message that has to wait, and is empty then.
    #[cfg(feature = "macros")]
    pub(crate) fn keep(&mut self) -> Encoder<'static> {
        let bytes = self.bytes.take_bytes().into();
        let block = self.block.take().map(|(before, block)| (before, block.into_owned().into()));
        Encoder { bytes, block, attachments: Attachments::default() }
    }

    #[inline]
    pub(crate) fn attachments(&mut self) -> &mut Attachments {
        &mut self.attachments
    }

    pub(crate) fn finish(mut self) -> (Vec<u8>, Attachments) {
        (self.bytes.take_bytes(), std::mem::take(&mut self.attachments))
    }
}

/// Decodes bytes and what came with them, which are one value of a type, and nothing else.
pub(crate) fn decode<T: DeserializeOwned>(
    bytes: &[u8],
    arrived: Arrived,
    limits: &Limits,
) -> Result<T, DecodeError> {
    decode_with(bytes, arrived, limits, PhantomData)
}

/// The same for a message. Its byte strings may be moved out of it.
#[inline]
pub(crate) fn decode_message<T: DeserializeOwned>(
    message: &mut Message,
    limits: &Limits,
) -> Result<T, DecodeError> {
    let arrived = Arrived { descriptors: message.take_descriptors(), reply: None };
    decode_with(&mut message.body, arrived, limits, PhantomData)
}

/// Decodes one value of what a seed makes.
///
/// All of the bytes and all of the descriptors have to be part of it. What was not taken is closed.
#[inline]
pub(crate) fn decode_with<'de, S: DeserializeSeed<'de>>(
    source: impl Into<Source<'de>>,
    arrived: Arrived,
    limits: &Limits,
    seed: S,
) -> Result<S::Value, DecodeError> {
    let mut input = Input::new(source.into(), limits);
    let visit = Decoding::of(arrived, limits);
    // Returned from where it is made.
    let mut value = seed.deserialize(&mut input);
    let (surplus, refusal) = visit.taken();
    let instead = match (&value, refusal) {
        (Ok(_), _) => input
            .finish()
            .err()
            .or_else(|| (surplus > 0).then_some(DecodeError::SurplusDescriptors { count: surplus })),
        (Err(DecodeError::Value(_)), Some(refusal)) => Some(refusal.into()),
        (Err(_), _) => None,
    };
    if let Some(error) = instead {
        value = Err(error);
    }
    value
}

/// The index of the variant, where the bytes are those of an enum.
#[cfg(feature = "macros")]
pub(crate) fn variant(bytes: &[u8]) -> Option<u32> {
    bytes.first_chunk().copied().map(u32::from_le_bytes)
}

/// Makes the bytes of an enum those of another variant with the same fields.
///
/// `false`, and nothing done, where they are too few to be an enum's.
#[cfg(feature = "macros")]
pub(crate) fn set_variant(bytes: &mut [u8], index: u32) -> bool {
    let Some(place) = bytes.first_chunk_mut() else { return false };
    *place = index.to_le_bytes();
    true
}

/// Serialises a value into bytes and descriptors, for those who bring their own transport.
///
/// The descriptors are the caller's: a handle in a value that is given away is taken out of it, one in a
/// value that is lent, or that is shared with others, is duplicated. The order matters to
/// [`deserialize`].
///
/// # Errors
///
/// [`EncodeError::Value`] is the value's own, [`EncodeError::Descriptor`] that a descriptor could not
/// be duplicated. The value is dropped, and with it what it owned.
///
/// # Examples
///
/// ```
/// use std::fs::File;
/// use std::io::Read;
/// use unix_ipc::{Handle, deserialize, serialize};
///
/// let file = Handle::from(File::open("/proc/self/comm")?);
/// let (bytes, descriptors) = serialize(("name", file))?;
///
/// let (what, file): (String, Handle<File>) = deserialize(&bytes, descriptors)?;
/// let mut name = String::new();
/// file.into_inner().read_to_string(&mut name)?;
/// assert_eq!(what, "name");
/// assert!(!name.is_empty());
/// # Ok::<(), std::io::Error>(())
/// ```
pub fn serialize(value: impl Serialize) -> Result<(Vec<u8>, Vec<OwnedFd>), EncodeError> {
    let mut encoder = Encoder::new();
    encoder.put(&value)?;
    // What the value alone had is then the message's alone.
    drop(value);
    let (bytes, attachments) = encoder.finish();
    let descriptors = attachments.into_descriptors().map_err(EncodeError::Descriptor)?;
    Ok((bytes, descriptors))
}

/// Deserialises what [`serialize`] made, under the usual [`Limits`].
///
/// The bytes may come from anybody: none of them makes this panic, overflow the stack or allocate
/// more than they are worth. Descriptors that are not part of the value are closed.
///
/// # Errors
///
/// A [`DecodeError`] where bytes and descriptors are not exactly one value of the type.
///
/// # Examples
///
/// ```
/// use unix_ipc::{DecodeError, deserialize, serialize};
///
/// let (bytes, descriptors) = serialize("four")?;
/// assert_eq!(deserialize::<String>(&bytes, descriptors), Ok("four".to_owned()));
/// assert_eq!(deserialize::<u64>(&bytes, Vec::new()), Err(DecodeError::Trailing { count: 4 }));
/// # Ok::<(), unix_ipc::EncodeError>(())
/// ```
pub fn deserialize<T: DeserializeOwned>(bytes: &[u8], descriptors: Vec<OwnedFd>) -> Result<T, DecodeError> {
    decode(bytes, Arrived { descriptors, reply: None }, &Limits::default())
}

#[cfg(all(test, feature = "macros"))]
mod tests {
    use super::{set_variant, variant};
    use crate::{deserialize, serialize};

    #[test]
    fn the_leading_variant_is_read_and_rewritten() {
        let (mut bytes, _) = serialize(Ok::<u16, u16>(7)).unwrap();
        assert_eq!(variant(&bytes), Some(0));
        assert!(set_variant(&mut bytes, 1));
        assert_eq!(deserialize::<Result<u16, u16>>(&bytes, Vec::new()), Ok(Err(7)));
    }

    #[test]
    fn bytes_too_few_for_an_enum_have_no_variant() {
        assert_eq!(variant(&[1, 0, 0]), None);
        assert!(!set_variant(&mut [1, 0, 0], 7));
    }
}
