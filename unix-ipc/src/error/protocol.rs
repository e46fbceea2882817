use std::fmt;
use std::io;
use std::time::Duration;

#[cfg(feature = "macros")]
use crate::ring::Lie;

/// Nonsense from the peer: what a packet said that the protocol does not allow.
///
/// The wire format is described byte by byte in `WIRE.md` of the repository.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum ProtocolError {
    /// A packet without a byte, which no sender of ours makes.
    EmptyPacket,
    /// A packet too short to hold its header.
    ShortHeader {
        /// The bytes that came.
        actual: usize,
        /// The bytes a header has.
        expected: usize,
    },
    /// A packet longer than packets may be.
    LongPacket,
    /// A kind of message that does not exist, or that has no place here.
    Kind(u8),
    /// A flag that does not exist.
    Flags(u8),
    /// A length that is not that of the bytes behind the header.
    Length {
        /// What the header says.
        declared: u64,
        /// What is there.
        actual: u64,
    },
    /// A count of descriptors that is not that of the descriptors that came.
    DescriptorCount {
        /// What the header says.
        declared: usize,
        /// How many came.
        actual: usize,
    },
    /// A piece of a long message that does not continue what came before.
    Fragment {
        /// Where the piece says that it belongs, in bytes.
        offset: u64,
        /// Where the next piece belongs, in bytes.
        expected: u64,
    },
    /// The first piece of a long message announces a block that cannot be behind it.
    Block,
    /// A message whose body should be in a sealed memory file, and is not.
    MemoryFile,
    /// A message about a call that does not exist, or that may not have such a message.
    Call(u64),
    /// A mark that was not sent, or that comes back twice or out of turn.
    Mark(u64),
    /// A message that came before the introduction, or the introduction twice.
    Order(&'static str),
    /// The peer speaks another version of the protocol.
    Version {
        /// The version of this process.
        ours: u32,
        /// The version of the peer.
        theirs: u32,
    },
    /// The peer serves, or calls, another service.
    Service {
        /// The service of this process.
        ours: String,
        /// The service of the peer.
        theirs: String,
    },
    /// Both ends are clients, or both are servers.
    Role,
    /// No introduction came in time from a client that connected to a listener.
    Silence {
        /// The time that it had ([`Limits::handshake`](crate::Limits::handshake)).
        after: Duration,
    },
    /// A body that does not decode.
    Body(String),
    /// What stands in memory that both processes share and cannot stand there, or what should be there and is not.
    Ring(&'static str),
    /// The peer says that this side broke the protocol, and hung up.
    Accused(String),
}

impl fmt::Display for ProtocolError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::EmptyPacket => f.write_str("a packet without a byte"),
            Self::ShortHeader { actual, expected } => {
                write!(f, "a packet of {actual} bytes, a header alone has {expected}")
            }
            Self::LongPacket => f.write_str("a packet longer than packets may be"),
            Self::Kind(kind) => write!(f, "a message of kind {kind}, which has no place here"),
            Self::Flags(flags) => write!(f, "unknown flags {flags:#04x}"),
            Self::Length { declared, actual } => {
                write!(f, "a length of {declared} bytes declared for {actual}")
            }
            Self::DescriptorCount { declared, actual } => {
                write!(f, "{declared} descriptors declared, {actual} received")
            }
            Self::Fragment { offset, expected } => {
                write!(f, "a piece of a message at offset {offset}, expected at {expected}")
            }
            Self::Block => {
                f.write_str("a long message whose first piece announces a block that cannot follow")
            }
            Self::MemoryFile => {
                f.write_str("a message in a file that is not sealed memory of the declared length")
            }
            Self::Call(id) => write!(f, "a message about call {id}, which may not have one"),
            Self::Mark(id) => write!(f, "mark {id}, which is not the one to come next"),
            Self::Order(what) => write!(f, "{what} out of order"),
            Self::Version { ours, theirs } => {
                write!(f, "the peer speaks version {theirs} of the protocol, this process version {ours}")
            }
            Self::Service { ours, theirs } => {
                write!(f, "the peer's service is `{theirs}`, this process's is `{ours}`")
            }
            Self::Role => f.write_str("both ends of the connection are clients, or both are servers"),
            Self::Silence { after } => write!(f, "no introduction within {after:?}"),
            Self::Body(reason) => write!(f, "a body that does not decode: {reason}"),
            Self::Ring(what) => write!(f, "shared memory with {what}"),
            Self::Accused(reason) => write!(f, "the peer hung up because it received {reason}"),
        }
    }
}

impl std::error::Error for ProtocolError {}

#[cfg(feature = "macros")]
impl From<Lie> for ProtocolError {
    fn from(Lie(what): Lie) -> Self {
        Self::Ring(what)
    }
}

impl From<ProtocolError> for io::Error {
    fn from(error: ProtocolError) -> Self {
        Self::new(io::ErrorKind::InvalidData, error)
    }
}
