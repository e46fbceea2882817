//! Connections that are busy enough for rings in shared memory, between processes: what goes through them, in which order,
//! what is left of it at the end, and what a hostile process makes of the memory.
#![cfg(not(unix_ipc_without_rings))]

mod growing;
mod hostile;
mod moving;
mod service;
mod traffic;
#[path = "../util/mod.rs"]
mod util;
