//! A flag that is raised once, and wakes whoever waits for it.

use std::io;
use std::os::fd::{AsFd, BorrowedFd};
use std::sync::atomic::{AtomicBool, Ordering};

use nix::sys::eventfd::{EfdFlags, EventFd};

#[derive(Debug)]
pub(crate) struct Alarm {
    raised: AtomicBool,
    /// Readable from then on: nobody reads it.
    bell: EventFd,
}

impl Alarm {
    pub(crate) fn new() -> io::Result<Self> {
        let bell = EventFd::from_value_and_flags(0, EfdFlags::EFD_CLOEXEC | EfdFlags::EFD_NONBLOCK)?;
        Ok(Self { raised: AtomicBool::new(false), bell })
    }

    /// Raises it. Async-signal-safe (signal-safety(7)), but for `errno`: an atomic store and a write(2).
    pub(crate) fn raise(&self) {
        self.raised.store(true, Ordering::SeqCst);
        // It fails when it has been written to more often than anybody can.
        let _ = self.bell.write(1);
    }

    #[inline]
    pub(crate) fn is_raised(&self) -> bool {
        self.raised.load(Ordering::Relaxed)
    }
}

impl AsFd for Alarm {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.bell.as_fd()
    }
}
