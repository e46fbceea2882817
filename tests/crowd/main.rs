//! Many clients of one process, or many threads that serve one client, with rings in shared memory: whose answer goes where,
//! in which order, who holds up whom, and what it costs when nobody calls.

mod clients;
mod crowds;
mod service;
#[path = "../util/mod.rs"]
mod util;
