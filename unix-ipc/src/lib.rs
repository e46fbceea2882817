//! Split a program into processes: services, typed channels and open files between them, over Unix domain sockets.
//!
//! # Calling another process
//!
//! [`#[ipc_service]`](ipc_service) turns a trait into a client, a server, and the messages in between. The
//! program starts itself again and serves in the child:
//!
//! ```no_run
//! use std::{env, process::Command};
//! use unix_ipc::{Connection, ipc_service};
//!
//! #[ipc_service]
//! trait Thumbnailer {
//!     fn shrink(&self, picture: &[u8], width: u32) -> Result<Vec<u8>, String>;
//! }
//!
//! struct Decoder;
//!
//! impl Thumbnailer for Decoder {
//!     fn shrink(&self, picture: &[u8], width: u32) -> Result<Vec<u8>, String> {
//!         # let _ = (picture, width);
//!         Err("not a picture".to_owned()) // a crash in here ends the child, not the program
//!     }
//! }
//!
//! if let Some(connection) = Connection::inherited()? {
//!     return Ok(ThumbnailerServer::new(Decoder).serve(connection)?);
//! }
//! let thumbnailer = ThumbnailerClient::spawn(Command::new(env::current_exe()?))?;
//! let small = thumbnailer.shrink(b"...", 64)?;
//! # let _ = small;
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```
//!
//! A call has its result or a [`CallError`], which says what became of it: the service's own error, a panic with its
//! message, or the child's exit status or signal. The child ends when the last client is dropped, and with its
//! parent at the latest; [`SpawnOptions`] are for [`Connection::spawn_with`]. In a test, [`test_command`] is the
//! command that runs the same test as the child. What a child may do is up to [`SpawnOptions`], the generated server's `pre_serve`, and the
//! filter for which [`sandbox`] has the lists. A [`Pool`] keeps several children, replaces those that die, and repeats the calls that
//! may be repeated.
//!
//! A generated client's `shutdown` ends its child in order; a [`Stopper`] ends a server from its own side.
//!
//! # Many clients, and both directions
//!
//! A [`Listener`] serves whoever connects to a path. Either end of a [`Connection`] can be the client: a child may call its
//! parent. A client is a value too: as an argument it is a callback.
//!
//! ```
//! # use std::thread;
//! use unix_ipc::{Connection, ipc_service};
//!
//! #[ipc_service]
//! trait Progress {
//!     #[oneway]
//!     fn done(&self, percent: u8);
//! }
//!
//! #[ipc_service]
//! trait Worker {
//!     fn work(&self, progress: ProgressClient) -> u32;
//! }
//!
//! struct Hard;
//! impl Worker for Hard {
//!     fn work(&self, progress: ProgressClient) -> u32 {
//!         let _ = progress.done(50); // nobody may be interested any more
//!         42
//!     }
//! }
//!
//! struct Print;
//! impl Progress for Print {
//!     fn done(&self, percent: u8) {
//!         println!("{percent} %");
//!     }
//! }
//!
//! let worker = WorkerClient::local(Hard)?; // `local`: a thread, in place of a process
//! let (ours, theirs) = Connection::pair()?;
//! let printer = thread::spawn(|| ProgressServer::new(Print).serve(ours));
//! assert_eq!(worker.work(ProgressClient::new(theirs))?, 42);
//! printer.join().unwrap()?;
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```
//!
//! # Channels
//!
//! [`channel`](channel()) makes a typed pair. Its ends can be sent in messages of other channels, cloned senders work from
//! many threads and processes at once, and the end of the last sender reads as [`RecvError::Disconnected`], never as a
//! hang. [`ReceiverSet`] waits on many; [`Bootstrapper`] hands the first channel to a process that only knows a path.
//!
//! ```
//! use unix_ipc::{Receiver, Sender, channel};
//!
//! let (sender, receiver) = channel::<(String, Sender<usize>)>()?;
//! let (reply, length) = channel()?;
//! sender.send(("hello".to_owned(), reply))?;
//!
//! let (word, reply) = receiver.recv()?; // in another process, perhaps
//! reply.send(word.len())?;
//! assert_eq!(length.recv()?, 5);
//! # Ok::<(), std::io::Error>(())
//! ```
//!
//! # Open files, and memory
//!
//! [`Handle`] makes a message of anything that owns a descriptor. [`SharedMemory`] is for bytes that several processes read,
//! or that are kept; bytes for one receiver travel faster as `Vec<u8>`.
//!
//! ```
//! use std::fs::File;
//! use std::io::Read;
//! use unix_ipc::{Handle, channel};
//!
//! let (sender, receiver) = channel()?;
//! sender.send(Handle::from(File::open("/dev/zero")?))?;
//! let mut bytes = [1; 4];
//! receiver.recv()?.into_inner().read_exact(&mut bytes)?;
//! assert_eq!(bytes, [0; 4]);
//! # Ok::<(), std::io::Error>(())
//! ```
//!
//! # Without serde
//!
//! With no features, [`raw_channel`](raw_channel()) remains: whole messages of bytes and descriptors. Each feature adds to it, and all
//! are on by default: `serde` (typed channels, handles, shared memory, [`serialize`] and [`deserialize`]), `bootstrap`
//! ([`Bootstrapper`]), `bootstrap-simple` ([`Bootstrapper::new`]), `macros` (the attribute and everything about services).
//!
//! # Blocking, limits and trust
//!
//! Functions that wait say so under "Blocking". Where the other process is busy too, and runs on another core, a thread looks
//! for what it waits for before it sleeps, at most for [`Limits::spin`]. [`Limits`] bound what a message may hold and what a peer can make this process
//! keep; a [`LimitExceeded`] has the number. The text of an error is one line, and why it came to that is its
//! [`source`](std::error::Error::source): print both. No byte from a peer is believed: what breaks the protocol is a
//! [`ProtocolError`]. The README says what else can be relied on, and what cannot.

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
#[cfg(all(any(fuzzing, test), feature = "macros"))]
#[doc(hidden)]
pub mod fuzzing;
#[cfg(feature = "serde")]
mod handle;
mod limits;
mod raw_channel;
#[cfg(feature = "macros")]
mod ring;
#[cfg(feature = "macros")]
pub mod sandbox;
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
    CallContext, CallError, Connection, Gone, Incoming, Listener, PeerCredentials, PeerExit, Pending, Pool,
    PoolCounters, PoolError, PoolOptions, Rlimit, ServeError, ServiceClient, SpawnError, SpawnOptions,
    Stopper, Task, Worker, WorkerFailure, test_command,
};
#[cfg(feature = "serde")]
pub use self::shared_memory::{SharedMemory, SharedMemoryMut};
#[cfg(feature = "macros")]
#[doc = include_str!("ipc_service.md")]
pub use unix_ipc_macros::ipc_service;

/// What generated code uses. Nothing here is for anybody else, and anything may change.
#[cfg(feature = "macros")]
#[doc(hidden)]
pub mod __private {
    pub use crate::service::{Call, Client, Message, Method, ResultType, Returned, Sealed, Server};
    pub use serde;
}

/// The README's example is run with the other examples of the documentation.
#[cfg(all(doctest, feature = "macros"))]
#[doc = include_str!("../../README.md")]
struct Readme;
