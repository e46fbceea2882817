//! Processes: spawning a child, what it inherits, how either side ends and what the other makes of it.
//!
//! Each test runs twice or more often: in the child that it spawns it serves (`is_child`), and a test about the end
//! of a spawner runs the spawner as a process of its own (`again`).

#[allow(unsafe_code, reason = "code between fork and exec is the caller's promise")]
mod confined;
mod descriptors;
mod end;
mod failures;
mod parent;
mod signals;
mod spawn;
#[path = "../util/mod.rs"]
mod util;
mod worker;
