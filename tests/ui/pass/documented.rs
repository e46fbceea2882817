//! Generated code has docs and breaks no lint.
#![deny(missing_docs, warnings, clippy::all, clippy::pedantic)]
#![deny(missing_debug_implementations, rust_2018_idioms, unreachable_pub, unused_qualifications)]

use unix_ipc::ipc_service;

/// Counts things.
#[ipc_service]
pub trait Counter {
    /// Adds to the count and says what it is then.
    fn add(&self, amount: u64) -> u64;

    /// Divides the count.
    ///
    /// # Errors
    ///
    /// Without a divisor there is no quotient.
    fn divide(&self, by: u64) -> Result<u64, String>;

    /// Starts again.
    #[oneway]
    fn reset(&self);

    /// Tells the reader why.
    #[oneway]
    fn note(&self, line: &str);
}

fn main() {}
