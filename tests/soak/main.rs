//! Kills, lies, a pool whose workers die, and calls that nobody waits for, as many as you like: the same code runs for a
//! few seconds among the tests, and for as long as it is told to.
//!
//! ```text
//! SOAK_KILLS=2000 SOAK_MESSAGES=1000000 SOAK_POOL_CALLS=100000 SOAK_CANCELS=100000 \
//!     cargo test --release --test soak -- --nocapture --test-threads=1
//! ```
//!
//! `.ci/soak MINUTES` does that again and again, and fuzzes.
//!
//! | variable | what it sets | if it is not set |
//! | --- | --- | --- |
//! | `SOAK_KILLS` | how many processes are killed, by turns at every kind of moment | 36 |
//! | `SOAK_MESSAGES` | how many hostile messages are sent, by turns to every kind of victim | 20,000 |
//! | `SOAK_POOL_CALLS` | how many calls are made from four threads over a pool of which a worker is killed every 50 ms; there are at least ten kills | 1,500 |
//! | `SOAK_CANCELS` | how many calls are made that are waited for, given up, or run out of time, from four threads, by turns over every kind of server | 1,600 |
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

mod cancels;
mod hostile;
mod kills;
mod pool;
mod settings;
