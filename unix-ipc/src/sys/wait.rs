//! Waiting with a deadline, and a bell that ends a wait.

use std::io;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::time::{Duration, Instant};

use nix::errno::Errno;
use nix::poll::{PollFd, PollFlags, ppoll};
use nix::sys::eventfd::{EfdFlags, EventFd};
use nix::sys::time::TimeSpec;

/// The moment `at_most` from now; `None`, which is never, where the clock does not reach that far.
pub(crate) fn after(at_most: Duration) -> Option<Instant> {
    Instant::now().checked_add(at_most)
}

/// Waits until one of `fds` is ready (true) or the deadline is over (false). Signals do not
/// prolong the wait.
pub(crate) fn poll_until(fds: &mut [PollFd<'_>], until: Option<Instant>) -> io::Result<bool> {
    loop {
        let left = until.map(|until| until.saturating_duration_since(Instant::now()));
        match ppoll(fds, left.map(TimeSpec::from), None) {
            Err(Errno::EINTR) => {}
            Err(error) => return Err(error.into()),
            Ok(ready) => return Ok(ready > 0),
        }
    }
}

/// Waits for `events` of one descriptor; an empty set waits for its hang-up alone.
pub(crate) fn ready(fd: BorrowedFd<'_>, events: PollFlags, until: Option<Instant>) -> io::Result<bool> {
    poll_until(&mut [PollFd::new(fd, events)], until)
}

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
