//! How a pool ends, and that nothing is left of it.

use std::fs;
use std::thread;
use std::time::Duration;

use unix_ipc::{Pool, PoolError, PoolOptions, SpawnError};

use crate::crew::{AN_HOUR, CrewClient, LONG, is_worker, kill_worker, once_there_is, pool, this_test};
use crate::util::folder::Folder;
use crate::util::{self, Holdings, Watchdog, is_running, wait_until};

/// The regions of shared memory that this process has mapped.
fn mappings() -> usize {
    let maps = fs::read_to_string("/proc/self/maps").expect("/proc is mounted");
    maps.lines().filter(|line| line.contains("memfd:")).count()
}

/// The threads of the library.
fn threads() -> Vec<String> {
    let tasks = fs::read_dir("/proc/self/task").expect("/proc is mounted").flatten();
    let names = tasks.filter_map(|task| fs::read_to_string(task.path().join("comm")).ok());
    names.filter(|name| name.starts_with("unix-ipc")).collect()
}

#[test]
fn nothing_is_left_of_a_pool_that_was_used_in_every_way() {
    if is_worker() || !util::alone() {
        return;
    }
    let _watchdog = Watchdog::after(Duration::from_secs(120));
    // What a process has for good from the first connection on is no leak.
    drop(CrewClient::spawn(this_test()()).unwrap());
    let is_settled = || util::children(std::process::id()).is_empty() && threads().is_empty();
    assert!(wait_until(LONG, is_settled), "{:?}", threads());
    let (before, mapped) = (Holdings::now(), mappings());
    let folder = Folder::new();
    for round in 0..10 {
        let options = PoolOptions::new().workers(3).restarts(1000, AN_HOUR).recycle_after_calls(7);
        let pool = pool(&options);
        if round % 2 == 0 {
            pool.warm().unwrap();
        }
        // Enough for rings.
        (0..40).for_each(|_| assert!(pool.call(CrewClient::process).is_ok()));
        pool.call(|worker| worker.die(&folder.file("died"))).unwrap_err();
        let held = pool.worker().unwrap();
        assert!(threads().contains(&"unix-ipc-pool\n".to_owned()), "{:?}", threads());
        drop(held.begin_process().unwrap());
        pool.processes().into_iter().take(1).for_each(kill_worker);
        drop(held);
        if round % 3 == 0 {
            assert!(pool.shutdown(LONG));
        }
    }
    before.assert_restored();
    let is_restored = || threads().is_empty() && mappings() == mapped;
    assert!(wait_until(LONG, is_restored), "{:?}, {} mappings", threads(), mappings());
}

#[test]
fn a_clone_can_be_dropped_while_others_call() {
    if is_worker() || !util::alone() {
        return;
    }
    let _watchdog = Watchdog::new();
    let before = Holdings::now();
    let folder = Folder::new();
    let go = folder.file("go");
    let pool = pool(&PoolOptions::new().workers(2));
    let calls: Vec<_> = (0..4)
        .map(|_| {
            let (pool, go) = (pool.clone(), go.clone());
            thread::spawn(move || pool.call(|worker| worker.wait_for(&go)))
        })
        .collect();
    assert!(wait_until(LONG, || pool.counters().calls == 4));
    drop(pool);
    fs::write(&go, "").unwrap();
    calls.into_iter().for_each(|call| assert!(call.join().unwrap().is_ok()));
    before.assert_restored();
}

#[test]
fn a_pending_call_outlives_the_pool() {
    if is_worker() {
        return;
    }
    let _watchdog = Watchdog::new();
    let folder = Folder::new();
    let go = folder.file("go");
    let pool = pool(&PoolOptions::new().workers(1));
    let pending = pool.call(|worker| worker.begin_wait_for(&go)).unwrap();
    drop(pool);
    fs::write(&go, "").unwrap();
    let process = pending.wait().unwrap();
    assert!(wait_until(LONG, || !is_running(process)));
}

#[test]
fn a_pool_that_is_dropped_while_a_worker_starts_leaves_none() {
    if is_worker() || !util::alone() {
        return;
    }
    let _watchdog = Watchdog::new();
    let before = Holdings::now();
    let folder = Folder::new();
    let (go, good) = (folder.file("go"), this_test());
    let awaited = go.clone();
    let pool: Pool<CrewClient> =
        Pool::new(move || once_there_is(&awaited, &good()), &PoolOptions::new().workers(2));
    let caller = pool.clone();
    let waiting = thread::spawn(move || caller.warm());
    assert!(wait_until(LONG, || pool.counters().starting == 2));
    assert!(pool.shutdown(Duration::ZERO), "no call runs");
    let error = waiting.join().unwrap().unwrap_err();
    assert!(matches!(&error, SpawnError::Io(_)), "{error:?}");
    drop(pool);
    fs::write(&go, "").unwrap();
    before.assert_restored();
}

#[test]
fn p59_a_shutdown_lets_running_calls_end_and_refuses_new_ones() {
    if is_worker() {
        return;
    }
    let _watchdog = Watchdog::new();
    let folder = Folder::new();
    let go = folder.file("go");
    let pool = pool(&PoolOptions::new().workers(1));
    thread::scope(|scope| {
        let running = scope.spawn(|| pool.call(|worker| worker.wait_for(&go)));
        assert!(wait_until(LONG, || pool.counters().busy == 1));
        let process = pool.processes()[0];
        let ending = scope.spawn(|| pool.shutdown(LONG));
        let is_refused = || matches!(pool.worker(), Err(PoolError::ShutDown));
        assert!(wait_until(LONG, is_refused));
        assert!(!ending.is_finished() && is_running(process));
        fs::write(&go, "").unwrap();
        assert_eq!(running.join().unwrap().unwrap(), process);
        assert!(ending.join().unwrap());
        assert!(wait_until(LONG, || !is_running(process)));
    });
    assert!(pool.warm().is_err() && pool.processes().is_empty());
    assert!(pool.shutdown(LONG), "the second finds nothing to do");
}

#[test]
fn p59_calls_that_outlast_a_shutdown_fail() {
    if is_worker() {
        return;
    }
    let _watchdog = Watchdog::new();
    let folder = Folder::new();
    let never = folder.file("never");
    let pool = pool(&PoolOptions::new().workers(1));
    thread::scope(|scope| {
        let running = scope.spawn(|| pool.call(|worker| worker.wait_for(&never)));
        assert!(wait_until(LONG, || pool.counters().busy == 1));
        let process = pool.processes()[0];
        assert!(!pool.shutdown(Duration::from_millis(20)));
        let error = running.join().unwrap().unwrap_err();
        // One that is idempotent is not made once more: there is no worker.
        assert!(error.is_gone() || matches!(error, PoolError::ShutDown), "{error:?}");
        assert!(wait_until(LONG, || !is_running(process)));
    });
}
