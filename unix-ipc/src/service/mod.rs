//! The runtime of the generated code.

mod child;

pub use self::child::{PeerExit, SpawnError, SpawnOptions, test_command};
