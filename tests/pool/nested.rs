//! A pool that is used inside its own calls, and in drops.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::time::Duration;

use unix_ipc::{CallError, Pool, PoolError, PoolOptions};

use crate::crew::{CrewClient, is_worker, pool, this_test};
use crate::util::Watchdog;

/// Calls the pool, or drops a client, where it is dropped.
struct Last<'p>(&'p Pool<CrewClient>, Option<CrewClient>);

impl Drop for Last<'_> {
    fn drop(&mut self) {
        drop(self.1.take());
        self.0.call(CrewClient::process).expect("the pool works");
    }
}

#[test]
fn p58_the_pool_can_be_used_and_clients_dropped_in_a_call_and_in_a_drop() {
    if is_worker() {
        return;
    }
    let _watchdog = Watchdog::new();
    let pool = pool(&PoolOptions::new().workers(1));
    let other = CrewClient::spawn(this_test()()).unwrap();
    let mut last = Some(Last(&pool, Some(other)));
    let clone = pool.clone();
    let mut clone = Some(clone);
    let process = pool
        .call(|worker| {
            let process = worker.process()?;
            drop((last.take(), clone.take()));
            drop(worker.clone());
            assert_eq!(pool.counters().busy, 1);
            assert_eq!(pool.call(CrewClient::process).unwrap(), process, "one worker does for both");
            Ok::<_, CallError>(process)
        })
        .unwrap();
    assert_eq!(pool.processes(), [process]);
    let returned = pool.call(|worker| Ok::<_, CallError>(Last(&pool, Some(worker.clone())))).unwrap();
    drop(returned);
    assert_eq!(pool.counters().busy, 0);
}

#[test]
fn p64_calls_within_calls_end_however_deep() {
    if is_worker() {
        return;
    }
    fn nest(pool: &Pool<CrewClient>, depth: u32) -> Result<u32, PoolError> {
        if depth == 0 {
            return pool.call(CrewClient::process);
        }
        pool.call(|worker| {
            nest(pool, depth - 1).unwrap();
            worker.process()
        })
    }
    let _watchdog = Watchdog::new();
    let pool = pool(&PoolOptions::new().workers(2));
    nest(&pool, 20).unwrap();
    assert_eq!(pool.counters().workers, 2);
}

#[test]
fn a_function_that_panics_gives_its_worker_back() {
    if is_worker() {
        return;
    }
    let _watchdog = Watchdog::new();
    let pool = pool(&PoolOptions::new().workers(1));
    let panicked = catch_unwind(AssertUnwindSafe(|| {
        pool.call(|_| -> Result<(), CallError> { std::panic::resume_unwind(Box::new("on purpose")) })
    }));
    assert!(panicked.is_err());
    assert_eq!(pool.counters().busy, 0);
    assert!(pool.call(CrewClient::process).is_ok());
}

#[test]
fn a_pool_that_is_shut_down_in_its_own_call_does_not_wait_for_ever() {
    if is_worker() {
        return;
    }
    let _watchdog = Watchdog::new();
    let pool = pool(&PoolOptions::new().workers(1));
    let error = pool
        .call(|worker| {
            worker.process()?;
            assert!(!pool.shutdown(Duration::from_millis(20)), "this call runs");
            worker.process()
        })
        .unwrap_err();
    // The worker was hung up on, and there is no other for what is idempotent.
    assert!(matches!(error, PoolError::ShutDown), "{error:?}");
    assert!(matches!(pool.call(CrewClient::process), Err(PoolError::ShutDown)));
}
