//! The process side of a spawned peer: how it starts, what it inherits, how it ends.
//!
//! Nothing here sends or receives a packet. The parent [`start()`]s a program with a socket in its
//! hands and keeps a [`Child`]; the program [`claim()`]s the socket.

mod claim;
mod error;
mod exit;
mod options;
mod process;
mod reaper;
mod rlimit;
mod start;
mod test_command;
#[cfg(test)]
mod tests;

pub use self::error::SpawnError;
pub use self::exit::PeerExit;
pub use self::options::SpawnOptions;
pub use self::rlimit::Rlimit;
pub use self::test_command::test_command;

pub(crate) use self::claim::claim;
pub(crate) use self::process::{Child, EXIT_WAIT};
pub(crate) use self::start::{limit, start};
