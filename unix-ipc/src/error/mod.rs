//! The errors: one enum for each question a caller can ask.

mod limit;
mod protocol;
mod recv;
mod send;

pub use self::limit::LimitExceeded;
pub use self::protocol::ProtocolError;
pub use self::recv::RecvError;
pub use self::send::SendError;
