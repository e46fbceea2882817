//! The errors of calls and of serving.

mod call;
mod serve;

pub use self::call::CallError;
pub use self::serve::ServeError;
