//! The runtime of the code that `#[ipc_service]` generates.

mod calls;
mod child;
mod client;
mod connection;
mod current;
mod ended;
mod error;
#[cfg(any(fuzzing, test))]
pub(crate) mod fuzzing;
mod gone;
mod hello;
mod message;
mod pool;
mod server;
mod service_client;
mod slots;
mod task;

pub use self::child::{PeerExit, Rlimit, SpawnError, SpawnOptions, test_command};
pub use self::client::{Call, Client, Pending};
pub use self::connection::{Connection, Incoming, Listener, PeerCredentials};
pub use self::error::{CallError, ServeError};
pub use self::gone::Gone;
pub use self::message::{Message, ResultType, Returned};
pub use self::pool::{Pool, PoolCounters, PoolError, PoolOptions, Worker, WorkerFailure};
pub use self::server::{CallContext, Server, Stopper};
pub use self::service_client::ServiceClient;
pub use self::task::{Method, Sealed, Task};
