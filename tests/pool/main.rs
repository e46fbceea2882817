//! Pools of worker processes: who gets a call, and what becomes of it where its worker dies, is recycled, or does not start.
//!
//! Each test runs twice or more often: in the workers that it starts it serves (`is_worker`).

mod crew;
mod ends;
mod killed;
mod nested;
mod recycled;
mod starts;
mod turns;
#[path = "../util/mod.rs"]
mod util;
