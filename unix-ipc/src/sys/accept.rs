//! accept4(2), whose descriptor has an owner at once.
#![allow(unsafe_code)]

use std::os::fd::{AsFd, AsRawFd, FromRawFd, OwnedFd};

use nix::sys::socket::{self, SockFlag};

/// The next connection of a listening socket, close-on-exec.
#[expect(
    clippy::disallowed_methods,
    reason = "the one place where the kernel hands over accepted connections"
)]
pub(crate) fn accept(listening: &impl AsFd) -> nix::Result<OwnedFd> {
    let number = socket::accept4(listening.as_fd().as_raw_fd(), SockFlag::SOCK_CLOEXEC)?;
    // SAFETY: accept4 has just made this descriptor for us, and nobody else knows its number.
    Ok(unsafe { OwnedFd::from_raw_fd(number) })
}
