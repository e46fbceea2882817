//! The system calls, a thing a file, each behind a safe function.

#[cfg(feature = "serde")]
pub(crate) mod memory;
