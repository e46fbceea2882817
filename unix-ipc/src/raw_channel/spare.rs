//! Socket pairs for a process that may not make any more.
//!
//! A spawner hands its child a few; they wait here, process-wide, until `socketpair` is refused.

use std::io;
use std::sync::Mutex;

use crate::socket::Socket;
use crate::sync::lock;

static SPARES: Mutex<Vec<(Socket, Socket)>> = Mutex::new(Vec::new());

/// Keeps a pair for later.
#[cfg(feature = "macros")]
pub(crate) fn keep(pair: (Socket, Socket)) {
    lock(&SPARES).push(pair);
}

/// A new pair, or a spare one where the system refuses.
pub(crate) fn pair() -> io::Result<(Socket, Socket)> {
    Socket::pair().or_else(|refused| lock(&SPARES).pop().ok_or(refused))
}
