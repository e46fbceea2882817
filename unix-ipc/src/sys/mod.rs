//! The system calls, each as a safe function that owns or borrows its descriptors.

#[cfg(feature = "macros")]
pub(crate) mod core_dumps;
#[cfg(feature = "macros")]
pub(crate) mod fork;
#[cfg(feature = "macros")]
pub(crate) mod inherit;
#[cfg(feature = "macros")]
pub(crate) mod liveness;
#[cfg(feature = "serde")]
pub(crate) mod memory;
#[cfg(feature = "macros")]
pub(crate) mod pidfd;
#[cfg(feature = "macros")]
pub(crate) mod thread;
#[cfg(feature = "macros")]
pub(crate) mod wait;
