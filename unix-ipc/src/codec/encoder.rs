use std::cell::Cell;
use std::marker::PhantomData;
use std::os::fd::OwnedFd;

use serde::Serialize;
use serde::de::{DeserializeOwned, DeserializeSeed};

use super::deserializer::Input;
use super::serializer::Output;
use super::table::{Decoding, Encoding, Incoming};
use super::{Arrived, Attachments, DecodeError, EncodeError};
use crate::Limits;

/// Room for a small message, so that most are one allocation.
const USUAL_BYTES: usize = 128;

/// The most room that a thread keeps for its next message.
const MOST_SPARE_BYTES: usize = 64 << 10;

thread_local! {
    /// The room of a message that was sent, for the next one.
    static SPARE: Cell<Vec<u8>> = const { Cell::new(Vec::new()) };
}

/// The bytes and the attachments of one message on its way out.
#[derive(Debug)]
pub(crate) struct Encoder {
    bytes: Vec<u8>,
    attachments: Attachments,
}

impl Encoder {
    #[inline]
    pub(crate) fn new() -> Self {
        let mut bytes = SPARE.try_with(Cell::take).unwrap_or_default();
        bytes.reserve(USUAL_BYTES);
        Self { bytes, attachments: Attachments::default() }
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

    /// Appends a number that the library itself puts beside the user's values.
    #[cfg(feature = "macros")]
    #[inline]
    pub(crate) fn put_number(&mut self, number: u32) {
        self.bytes.extend_from_slice(&number.to_le_bytes());
    }

    /// What was put so far.
    #[inline]
    pub(crate) fn bytes(&self) -> &[u8] {
        &self.bytes
    }

    /// The bytes, for a message that has to wait.
    #[cfg(feature = "macros")]
    pub(crate) fn take_bytes(&mut self) -> Vec<u8> {
        std::mem::take(&mut self.bytes)
    }

    #[inline]
    pub(crate) fn attachments(&mut self) -> &mut Attachments {
        &mut self.attachments
    }

    pub(crate) fn finish(mut self) -> (Vec<u8>, Attachments) {
        (std::mem::take(&mut self.bytes), std::mem::take(&mut self.attachments))
    }
}

impl Drop for Encoder {
    #[inline]
    fn drop(&mut self) {
        let mut bytes = std::mem::take(&mut self.bytes);
        if bytes.capacity() <= MOST_SPARE_BYTES {
            bytes.clear();
            // The thread's own is gone while the thread ends.
            let _ = SPARE.try_with(|spare| spare.set(bytes));
        }
    }
}

/// Decodes a message that is one value of a type, and nothing else.
pub(crate) fn decode<T: DeserializeOwned>(
    bytes: &[u8],
    arrived: Arrived,
    limits: &Limits,
) -> Result<T, DecodeError> {
    decode_with(bytes, arrived, limits, PhantomData)
}

/// Decodes a message that is one value of what a seed makes.
///
/// All of the bytes and all of the descriptors have to be part of it. What was not taken is closed.
#[inline]
pub(crate) fn decode_with<'de, S: DeserializeSeed<'de>>(
    bytes: &'de [u8],
    arrived: Arrived,
    limits: &Limits,
    seed: S,
) -> Result<S::Value, DecodeError> {
    let mut input = Input::new(bytes, limits);
    let mut incoming = Incoming::new(arrived, limits);
    let visit = Decoding::of(&mut incoming);
    let value = seed.deserialize(&mut input);
    drop(visit);
    match (value, incoming.refusal()) {
        (Ok(value), _) => {
            input.finish()?;
            match incoming.surplus() {
                0 => Ok(value),
                count => Err(DecodeError::SurplusDescriptors { count }),
            }
        }
        (Err(DecodeError::Value(_)), Some(refusal)) => Err(refusal.into()),
        (Err(error), _) => Err(error),
    }
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
