//! System calls, each behind a safe function that cannot be misused.

#[cfg(any(feature = "bootstrap", feature = "macros"))]
pub(crate) mod accept;
#[cfg(feature = "macros")]
pub(crate) mod alarm;
#[cfg(feature = "macros")]
pub(crate) mod before_exec;
#[cfg(feature = "macros")]
pub(crate) mod bell;
pub(crate) mod clock;
#[cfg(feature = "macros")]
pub(crate) mod core;
#[cfg(feature = "macros")]
pub(crate) mod core_dumps;
#[cfg(any(feature = "bootstrap", feature = "macros"))]
pub(crate) mod fork;
#[cfg(feature = "macros")]
pub(crate) mod inherit;
pub(crate) mod length;
#[cfg(feature = "macros")]
pub(crate) mod liveness;
#[cfg(feature = "serde")]
pub(crate) mod mapping;
pub(crate) mod memory;
#[cfg(feature = "macros")]
pub(crate) mod pages;
#[cfg(feature = "macros")]
pub(crate) mod pidfd;
pub(crate) mod process;
pub(crate) mod receive;
#[cfg(feature = "macros")]
pub(crate) mod resident;
#[cfg(feature = "macros")]
pub(crate) mod rlimits;
#[cfg(feature = "macros")]
pub(crate) mod sigterm;
#[cfg(feature = "macros")]
pub(crate) mod thread;
pub(crate) mod wait;
