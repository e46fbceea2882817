//! What calls into another process cost, each against its floor: the same exchange written by hand, in this file's folder,
//! without the library.
//!
//!     cargo bench --bench call               # all rows
//!     cargo bench --bench call -- bytes      # rows whose name holds a word
//!
//! Where two processes run decides more than what they do, so each row sets its placement, and the machine's speed drifts,
//! so the two sides of a row take turns and the median of the rounds' ratios counts.

mod floor;
mod measure;
mod rows;
mod service;

use std::env;
use std::error::Error;

fn main() -> Result<(), Box<dyn Error>> {
    if floor::serve()? || service::serve()? {
        return Ok(());
    }
    let words: Vec<String> = env::args().skip(1).filter(|word| !word.starts_with('-')).collect();
    println!("{:<34} {:<11} {:>14} {:>14} {:>8}", "", "placement", "floor", "unix-ipc", "ratio");
    for (name, row) in rows::ALL {
        if words.is_empty() || words.iter().any(|word| name.contains(word.as_str())) {
            row()?;
        }
    }
    Ok(())
}
