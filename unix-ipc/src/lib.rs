//! Typed channels and services between processes over Unix domain sockets.

#[cfg(not(target_os = "linux"))]
compile_error!("unix-ipc runs on Linux only for now");

#[cfg(feature = "bootstrap")]
mod bootstrap;
#[cfg(feature = "serde")]
mod channel;
#[cfg(feature = "serde")]
mod codec;
mod deadline;
mod error;
mod frame;
#[cfg(feature = "serde")]
mod handle;
mod limits;
mod raw_channel;
#[cfg(feature = "macros")]
mod service;
#[cfg(feature = "serde")]
mod shared_memory;
mod socket;
mod sync;
mod sys;

#[cfg(feature = "bootstrap")]
pub use self::bootstrap::Bootstrapper;
#[cfg(feature = "serde")]
pub use self::channel::{IntoIter, Iter, Receiver, ReceiverId, ReceiverSet, Sender, channel};
#[cfg(feature = "serde")]
pub use self::codec::{DecodeError, EncodeError, deserialize, serde_in_ipc_mode, serialize};
#[cfg(any(feature = "bootstrap", feature = "macros"))]
pub use self::error::ConnectError;
pub use self::error::{LimitExceeded, ProtocolError, RecvError, SendError};
#[cfg(feature = "serde")]
pub use self::handle::{Handle, HandleRef};
pub use self::limits::Limits;
pub use self::raw_channel::{RawReceiver, RawSender, raw_channel};
#[cfg(feature = "macros")]
pub use self::service::{
    CallError, Connection, Incoming, Listener, PeerCredentials, PeerExit, Pending, ServeError, SpawnError,
    SpawnOptions, Task, test_command,
};
#[cfg(feature = "serde")]
pub use self::shared_memory::{SharedMemory, SharedMemoryMut};
#[cfg(feature = "macros")]
pub use unix_ipc_macros::ipc_service;

/// What generated code uses. Nothing here is for anybody else, and anything may change.
#[cfg(feature = "macros")]
#[doc(hidden)]
pub mod __private {
    pub use crate::service::{Call, Client, Message, Method, ResultType, Returned, Sealed, Server};
    pub use serde;
}
