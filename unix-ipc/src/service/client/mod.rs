//! The calling end: whoever waits, reads.

mod begin;
mod call;
mod cancel;
#[cfg(any(fuzzing, test))]
pub(super) mod fuzzing;
mod handle;
mod moved;
mod oneways;
mod patience;
mod pending;
mod reading;
mod shutdown;
mod state;
mod waiting;
mod watched;

pub use self::call::Call;
pub use self::handle::Client;
pub use self::pending::Pending;
