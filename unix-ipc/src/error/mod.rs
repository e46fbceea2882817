//! The errors: one enum for each question a caller can ask.

#[cfg(any(feature = "bootstrap", feature = "macros"))]
mod connect;
mod limit;
mod protocol;
mod recv;
mod send;

#[cfg(any(feature = "bootstrap", feature = "macros"))]
pub use self::connect::ConnectError;
pub use self::limit::LimitExceeded;
pub use self::protocol::ProtocolError;
pub use self::recv::RecvError;
pub use self::send::SendError;
