//! Typed channels and services between processes over Unix domain sockets.

#[cfg(not(target_os = "linux"))]
compile_error!("unix-ipc runs on Linux only for now");

mod error;
mod limits;

pub use self::error::{LimitExceeded, ProtocolError, RecvError, SendError};
pub use self::limits::Limits;
