//! The `#[ipc_service]` attribute of the `unix-ipc` crate, which documents and re-exports it.
#![forbid(unsafe_code)]
