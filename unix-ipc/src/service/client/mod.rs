//! The calling end: whoever waits, reads.

mod begin;
mod call;
mod handle;
mod moved;
mod pending;
mod reading;
mod state;
mod waiting;
mod watched;

pub use self::call::Call;
pub use self::handle::Client;
pub use self::pending::Pending;
