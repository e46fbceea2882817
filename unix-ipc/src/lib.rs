//! Typed channels and services between processes over Unix domain sockets.

#[cfg(not(target_os = "linux"))]
compile_error!("unix-ipc runs on Linux only for now");

#[cfg(feature = "serde")]
mod codec;
mod error;
#[cfg(feature = "serde")]
mod handle;
mod limits;
#[cfg(feature = "serde")]
mod shared_memory;
#[cfg(feature = "macros")]
mod service;
mod sys;

#[cfg(feature = "serde")]
pub use self::codec::{DecodeError, EncodeError, deserialize, serde_in_ipc_mode, serialize};
pub use self::error::{LimitExceeded, ProtocolError, RecvError, SendError};
#[cfg(feature = "serde")]
pub use self::handle::{Handle, HandleRef};
pub use self::limits::Limits;
#[cfg(feature = "serde")]
pub use self::shared_memory::{SharedMemory, SharedMemoryMut};
#[cfg(feature = "macros")]
pub use self::service::{PeerExit, SpawnError, SpawnOptions, test_command};
