//! Values to bytes and descriptors, and back.
//!
//! `format` writes single numbers and blocks through bincode, `source` is what they are read from, `serializer` and
//! `deserializer` lay serde's data model over them and refuse what hostile bytes ask for, `bytes` makes blocks of byte
//! strings, and `table` takes what cannot be bytes.

mod attachments;
mod bytes;
mod deserializer;
mod encoder;
mod error;
mod format;
#[cfg(all(any(fuzzing, test), feature = "macros"))]
pub(crate) mod fuzzing;
mod reply_path;
mod room;
mod serializer;
mod source;
mod table;

pub(crate) use self::attachments::{Attachment, Attachments};
#[cfg(any(test, feature = "macros"))]
pub(crate) use self::encoder::decode;
pub(crate) use self::encoder::{Encoder, decode_message, decode_with};
pub use self::encoder::{deserialize, serialize};
#[cfg(feature = "macros")]
pub(crate) use self::encoder::{set_variant, variant};
pub use self::error::{DecodeError, EncodeError};
#[cfg(feature = "macros")]
pub(crate) use self::reply_path::Failure;
pub(crate) use self::reply_path::{REPLY_PLACE, ReplyPath};
pub(crate) use self::source::Source;
pub use self::table::serde_in_ipc_mode;
pub(crate) use self::table::{
    Arrived, attach, attach_later, longest_message, refuse, take_descriptor, take_reply,
};
