use super::client::Client;
use super::task::{Sealed, Task};

/// A client that [`#[ipc_service]`](crate::ipc_service) generated, whatever its service: what a
/// [`Pool`](crate::Pool) is made of.
///
/// The trait is sealed: only generated clients implement it.
pub trait ServiceClient: Clone + Send + Sync + Sealed + 'static {
    /// The enum of the service's calls, with the names and signatures of its methods.
    type Task: Task;

    #[doc(hidden)]
    fn __from_inner(inner: Client<Self::Task>) -> Self;

    #[doc(hidden)]
    fn __inner(&self) -> &Client<Self::Task>;
}
