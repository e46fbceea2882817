//! What there is to know of a client's connection without a call: for whoever has many, and watches them.

use std::os::fd::{AsFd, BorrowedFd};

use super::super::child::Child;
use super::super::ended::Ended;
use super::Client;

impl<T> Client<T> {
    /// How the connection ended, as far as this process has found out: a lock, and no system call.
    pub(crate) fn ended(&self) -> Option<Ended> {
        self.core().state().calls.ended().cloned()
    }

    /// The socket, on which a hang-up is to be waited for, and the child's pidfd, which is readable once it has ended.
    pub(crate) fn watched(&self) -> (BorrowedFd<'_>, Option<BorrowedFd<'_>>) {
        let link = &self.core().link;
        (link.socket().as_fd(), link.peer_child().and_then(Child::pidfd))
    }

    /// How a connection ended, one of whose descriptors says that it has.
    ///
    /// Reads what came before the end, unless another thread does. Blocks for a moment where the child's exit status
    /// comes later than its hang-up.
    pub(crate) fn find_end(&self) -> Ended {
        if let Some(reading) = self.core().try_read() {
            reading.read_available();
        }
        self.ended().unwrap_or_else(|| self.core().end_of_peer())
    }

    /// Hangs up for all clones: calls in flight fail.
    pub(crate) fn hang_up(&self) {
        self.core().link.hang_up();
    }

    /// The process that serves, where it is a child of this one. Once it is reaped another may get the number.
    pub(crate) fn process(&self) -> Option<u32> {
        let link = &self.core().link;
        let peer = link.peer().and_then(|peer| u32::try_from(peer.pid()).ok());
        peer.or_else(|| link.child().map(Child::pid))
    }
}
