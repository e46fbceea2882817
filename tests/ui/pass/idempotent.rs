//! `#[idempotent]` is known to the attribute alone, and to whoever asks the task.
#![deny(missing_docs, warnings)]

use unix_ipc::{Pool, PoolOptions, ServiceClient, Task, ipc_service};

/// A service.
#[ipc_service]
pub trait Calc {
    /// May be called twice.
    #[idempotent]
    fn add(&self, a: i64, b: i64) -> i64;
    /// May not.
    fn note(&self, line: &str);
    /// A method with the name of one of the library's.
    #[idempotent]
    #[deprecated]
    fn inner(&self) -> Result<u8, String>;
}

fn marked<C: ServiceClient>() -> Vec<&'static str> {
    C::Task::METHODS.iter().filter(|method| method.is_idempotent()).map(|method| method.name()).collect()
}

fn is_shared<T: Clone + Send + Sync + 'static>(_: &T) {}

fn main() {
    assert_eq!(marked::<CalcClient>(), ["add", "inner"]);
    let pool: Pool<CalcClient> = Pool::new(|| std::process::Command::new("calc"), &PoolOptions::new());
    is_shared(&pool);
}
