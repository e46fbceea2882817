use std::fmt;
use std::io;

/// A limit that a message or a call would have exceeded, with the number.
///
/// Most limits are settings of [`Limits`](crate::Limits); the rest are the kernel's.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize))]
#[non_exhaustive]
pub enum LimitExceeded {
    /// The message is longer than [`Limits::message_bytes`](crate::Limits::message_bytes).
    MessageBytes {
        /// The length of the message, in bytes.
        actual: u64,
        /// The limit, in bytes.
        limit: u64,
    },
    /// The message carries more descriptors than [`Limits::descriptors`](crate::Limits::descriptors),
    /// or than the 253 the kernel allows (`SCM_MAX_FD`, unix(7)).
    Descriptors {
        /// The number of descriptors in the message.
        actual: u64,
        /// The limit.
        limit: u64,
    },
    /// The value is nested deeper than [`Limits::nesting`](crate::Limits::nesting).
    Nesting {
        /// The limit, in levels.
        limit: u64,
    },
    /// A sequence holds more elements of no size than the limit.
    EmptyElements {
        /// The limit.
        limit: u64,
    },
    /// This process has [`Limits::calls_in_flight`](crate::Limits::calls_in_flight) calls that wait for their replies.
    CallsInFlight {
        /// The limit.
        limit: u64,
    },
    /// Replies that nobody has taken yet fill [`Limits::unread_reply_bytes`](crate::Limits::unread_reply_bytes).
    UnreadReplies {
        /// The limit, in bytes.
        limit: u64,
    },
    /// More long messages are half received than the receiver keeps at once.
    UnfinishedMessages {
        /// The limit.
        limit: u64,
    },
    /// The user has too many descriptors on their way in sockets (`ETOOMANYREFS`, unix(7)).
    DescriptorsInFlight,
    /// The receiving process had no room in its table of descriptors (`RLIMIT_NOFILE`), so some of
    /// the message's were lost and the rest are closed.
    DescriptorTable,
    /// The listener has [`Limits::clients`](crate::Limits::clients) clients already.
    Clients {
        /// The limit.
        limit: u64,
    },
    /// The server has not begun [`Limits::queued_oneway_calls`](crate::Limits::queued_oneway_calls) one-way calls of this client.
    QueuedOneWayCalls {
        /// The limit.
        limit: u64,
    },
}

impl fmt::Display for LimitExceeded {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::MessageBytes { actual, limit } => {
                write!(f, "the message has {actual} bytes, the limit is {limit}")
            }
            Self::Descriptors { actual, limit } => {
                write!(f, "the message has {actual} descriptors, the limit is {limit}")
            }
            Self::Nesting { limit } => {
                write!(f, "the value is nested deeper than the limit of {limit} levels")
            }
            Self::EmptyElements { limit } => {
                write!(f, "the value has more elements of no size than the limit of {limit}")
            }
            Self::CallsInFlight { limit } => {
                write!(f, "{limit} calls are in flight, which is the limit")
            }
            Self::UnreadReplies { limit } => {
                write!(f, "replies that nobody has taken fill the limit of {limit} bytes")
            }
            Self::UnfinishedMessages { limit } => {
                write!(f, "{limit} long messages are half received, which is the limit")
            }
            Self::DescriptorsInFlight => {
                f.write_str("this user has too many descriptors on their way in sockets")
            }
            Self::DescriptorTable => {
                f.write_str("the receiving process has no room for the message's descriptors")
            }
            Self::Clients { limit } => {
                write!(f, "the listener has {limit} clients, which is the limit")
            }
            Self::QueuedOneWayCalls { limit } => {
                write!(f, "{limit} one-way calls have not been begun, which is the limit")
            }
        }
    }
}

impl std::error::Error for LimitExceeded {}

impl From<LimitExceeded> for io::Error {
    fn from(error: LimitExceeded) -> Self {
        Self::new(io::ErrorKind::InvalidInput, error)
    }
}
