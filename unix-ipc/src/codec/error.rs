use std::error::Error;
use std::fmt;
use std::io;

use super::table::TakeError;
use crate::LimitExceeded;

/// Why a value could not be turned into a message.
#[derive(Debug)]
#[non_exhaustive]
pub enum EncodeError {
    /// The value's `Serialize` failed, and this is what it said.
    Value(String),
    /// A descriptor of the message could not be made or duplicated.
    Descriptor(io::Error),
}

impl fmt::Display for EncodeError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Value(text) => f.write_str(text),
            Self::Descriptor(_) => f.write_str("a descriptor of the message could not be made"),
        }
    }
}

impl Error for EncodeError {
    fn source(&self) -> Option<&(dyn Error + 'static)> {
        match self {
            Self::Value(_) => None,
            Self::Descriptor(source) => Some(source),
        }
    }
}

impl serde::ser::Error for EncodeError {
    fn custom<T: fmt::Display>(message: T) -> Self {
        Self::Value(message.to_string())
    }
}

impl From<EncodeError> for io::Error {
    fn from(error: EncodeError) -> Self {
        match error {
            EncodeError::Descriptor(source) => source,
            EncodeError::Value(_) => Self::new(io::ErrorKind::InvalidData, error),
        }
    }
}

/// Why the bytes and descriptors of a message are not a value of the expected type.
///
/// The descriptors are closed.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum DecodeError {
    /// The bytes end in the middle of the value.
    End,
    /// Bytes are left behind the value.
    Trailing {
        /// How many.
        count: usize,
    },
    /// The value exceeds a limit.
    Limit(LimitExceeded),
    /// The bytes are not what stands in this place, and this is what they are.
    Malformed(&'static str),
    /// The value names a descriptor that the message does not carry.
    DescriptorIndex {
        /// The place it names.
        index: u32,
        /// How many descriptors the message carries.
        count: usize,
    },
    /// The value names one descriptor twice.
    DescriptorTwice {
        /// The place it names.
        index: u32,
    },
    /// Descriptors came that the value does not name.
    SurplusDescriptors {
        /// How many.
        count: usize,
    },
    /// A sender wants the place of a call's reply, and the message carries none, or it was taken before.
    NoReply,
    /// The value's `Deserialize` failed, and this is what it said.
    Value(String),
}

impl fmt::Display for DecodeError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::End => f.write_str("the bytes end in the middle of the value"),
            Self::Trailing { count } => write!(f, "{count} bytes are left behind the value"),
            Self::Limit(_) => f.write_str("the value was refused"),
            Self::Malformed(what) => f.write_str(what),
            Self::DescriptorIndex { index, count } => {
                write!(f, "the value names descriptor {index} of a message with {count}")
            }
            Self::DescriptorTwice { index } => write!(f, "the value names descriptor {index} twice"),
            Self::SurplusDescriptors { count } => {
                write!(f, "{count} descriptors came that the value does not name")
            }
            Self::NoReply => f.write_str("the message carries no place for a reply"),
            Self::Value(text) => f.write_str(text),
        }
    }
}

impl Error for DecodeError {
    fn source(&self) -> Option<&(dyn Error + 'static)> {
        match self {
            Self::Limit(source) => Some(source),
            _ => None,
        }
    }
}

impl serde::de::Error for DecodeError {
    fn custom<T: fmt::Display>(message: T) -> Self {
        Self::Value(message.to_string())
    }
}

impl From<LimitExceeded> for DecodeError {
    fn from(error: LimitExceeded) -> Self {
        Self::Limit(error)
    }
}

impl From<TakeError> for DecodeError {
    fn from(error: TakeError) -> Self {
        match error {
            TakeError::NotInMessage(error) => Self::Value(error.to_string()),
            TakeError::Index { index, count } => Self::DescriptorIndex { index, count },
            TakeError::Twice { index } => Self::DescriptorTwice { index },
            TakeError::NoReply => Self::NoReply,
            TakeError::Limit(error) => Self::Limit(error),
        }
    }
}

impl From<DecodeError> for io::Error {
    fn from(error: DecodeError) -> Self {
        Self::new(io::ErrorKind::InvalidData, error)
    }
}
