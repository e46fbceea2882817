//! Kills and lies, as many as you like: the same code runs for a few seconds among the tests, and for as long as it is
//! told to.
//!
//! ```text
//! SOAK_KILLS=2000 SOAK_MESSAGES=1000000 cargo test --release --test soak -- --nocapture --test-threads=1
//! ```
//!
//! | variable | what it sets | if it is not set |
//! | --- | --- | --- |
//! | `SOAK_KILLS` | how many processes are killed, by turns at every kind of moment | 36 |
//! | `SOAK_MESSAGES` | how many hostile messages are sent, by turns to every kind of victim | 20,000 |
//! | `SOAK_SEED` | where the random numbers begin | another one each time |
//! | `SOAK_CONNECTION` | the seed of the one hostile connection that is made again and again | every one has another |
//!
//! The seed is printed before anything happens. The same seed chooses the same lies and waits as long before each kill; what the kernel, and
//! the other end, make of it in between is their own affair, so a failure that needs their timing may take some turns to return.
//! Each hostile connection has a seed of its own, which is printed when it fails.
//!
//! What decides is never how long something took: a wait has a bound far above what it takes, and the longest is printed.
#![cfg(test)]

#[path = "../util/mod.rs"]
mod util;

mod hostile;
mod kills;
mod settings;
