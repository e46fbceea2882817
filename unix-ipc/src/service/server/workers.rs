use std::panic::{self, AssertUnwindSafe};
use std::sync::Mutex;
use std::thread;

use super::super::error::ServeError;
use super::super::task::Task;
use super::clients::Clients;
use crate::sync::lock;

/// Serves clients with so many threads, this one among them.
///
/// One of them waits for the next call at a time; it lets another wait before it runs the handler.
pub(super) fn run<S: Sync, T: Task>(
    service: &S,
    dispatch: fn(&S, T),
    clients: &Clients<'_>,
    workers: usize,
) -> Result<(), ServeError> {
    let waiting = Mutex::new(());
    let next = || {
        let _turn = lock(&waiting);
        // What one thread cannot go on from ends the serving, not that thread alone.
        clients.next_task::<T>().inspect_err(|_| clients.stop())
    };
    let work = || -> Result<(), ServeError> {
        while let Some(task) = next()? {
            // A panic of the handler is its caller's; the worker goes on.
            let _ = panic::catch_unwind(AssertUnwindSafe(|| dispatch(service, task)));
        }
        Ok(())
    };
    thread::scope(|scope| {
        let mut others = Vec::new();
        // Nobody waits for a call until all are there: a thread that waits would not hear of the stop.
        let starting = lock(&waiting);
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
        drop(starting);
        let mut result = work();
        for other in others {
            if let Ok(ended) = other.join() {
                result = result.and(ended);
            }
        }
        result
    })
}
