//! Waiting for descriptors with a deadline, which signals do not prolong.

use std::io;
use std::os::fd::BorrowedFd;

use nix::errno::Errno;
use nix::poll::{PollFd, PollFlags, ppoll};
use nix::sys::time::TimeSpec;

use crate::deadline::Deadline;

/// Waits until one of the descriptors is ready: false where the time was over first.
pub(crate) fn wait(descriptors: &mut [PollFd<'_>], deadline: Deadline) -> io::Result<bool> {
    loop {
        match ppoll(descriptors, deadline.left().map(TimeSpec::from), None) {
            Err(Errno::EINTR) => {}
            Err(errno) => return Err(errno.into()),
            Ok(ready) => return Ok(ready > 0),
        }
    }
}

/// The same for one descriptor; without events it waits for the hang-up alone.
pub(crate) fn ready(descriptor: BorrowedFd<'_>, events: PollFlags, deadline: Deadline) -> io::Result<bool> {
    wait(&mut [PollFd::new(descriptor, events)], deadline)
}
