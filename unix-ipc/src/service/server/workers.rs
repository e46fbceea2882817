use std::panic::{self, AssertUnwindSafe};
use std::thread;
use std::time::Instant;

use super::super::error::ServeError;
use super::super::task::Task;
use super::clients::Clients;

/// Serves clients with so many threads, this one among them.
///
/// One of them reads at a time; it lets another read while it runs a handler.
pub(super) fn run<S: Sync, T: Task>(
    service: &S,
    dispatch: fn(&S, T),
    clients: &Clients<'_>,
    workers: usize,
) -> Result<(), ServeError> {
    // What one thread cannot go on from ends the serving, not that thread alone.
    let next = || clients.next_task::<T>().inspect_err(|_| clients.stop());
    let work = || -> Result<(), ServeError> {
        while let Some(task) = next()? {
            let start = Instant::now();
            // A panic of the handler is its caller's; the worker goes on.
            let _ = panic::catch_unwind(AssertUnwindSafe(|| dispatch(service, task)));
            clients.has_run(start);
        }
        Ok(())
    };
    thread::scope(|scope| {
        let mut others = Vec::new();
        for number in 1..workers {
            let name = format!("{} worker {number}", T::SERVICE);
            match thread::Builder::new().name(name).spawn_scoped(scope, work) {
                Ok(thread) => others.push(thread),
                Err(error) => {
                    clients.stop();
                    return Err(error.into());
                }
            }
        }
        let mut result = work();
        for other in others {
            if let Ok(ended) = other.join() {
                result = result.and(ended);
            }
        }
        result
    })
}
