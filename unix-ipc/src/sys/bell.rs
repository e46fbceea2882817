//! A bell that ends the wait of the thread that polls it.

use std::io;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};

use nix::sys::eventfd::{EfdFlags, EventFd};

/// Ends the wait of the thread that polls it.
#[derive(Debug)]
pub(crate) struct Bell(EventFd);

impl Bell {
    pub(crate) fn new() -> io::Result<Self> {
        Ok(Self(EventFd::from_flags(EfdFlags::EFD_CLOEXEC | EfdFlags::EFD_NONBLOCK)?))
    }

    /// Another way to the same bell, for the thread that hears it.
    pub(crate) fn listener(&self) -> io::Result<OwnedFd> {
        self.0.as_fd().try_clone_to_owned()
    }

    /// Rings; a bell that rang and was not yet heard stays rung.
    pub(crate) fn ring(&self) {
        // The one error is a counter at its maximum, and such a bell is rung already.
        let _ = self.0.write(1);
    }
}

/// Takes the ring off a bell's listener, which is not blocked on when there is none.
pub(crate) fn hear(listener: BorrowedFd<'_>) {
    // The one error is that nobody rang.
    let _ = nix::unistd::read(listener, &mut [0; 8]);
}
