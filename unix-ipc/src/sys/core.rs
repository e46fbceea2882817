//! Which core this thread runs on.
#![allow(unsafe_code)]

use nix::libc;

/// The core that this thread runs on now, which can be another one at any time.
#[inline]
pub(crate) fn current() -> Option<u64> {
    // SAFETY: the call takes nothing and returns a number.
    u64::try_from(unsafe { libc::sched_getcpu() }).ok()
}
