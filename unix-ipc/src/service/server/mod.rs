//! The serving end: one thread by default, workers where the service allows it.

mod clients;
mod context;
mod draining;
#[cfg(any(fuzzing, test))]
pub(super) mod fuzzing;
mod outbox;
mod reply;
mod serve;
mod session;
mod stop;
mod tasks;
mod turn;
mod waker;
mod workers;

pub use self::context::CallContext;
pub use self::serve::Server;
pub(crate) use self::session::Session;
pub use self::stop::Stopper;
pub(crate) use self::tasks::Tasks;
