//! Workers that are replaced although they work.

use std::collections::BTreeMap;
use std::fs;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use unix_ipc::{CallError, Pool, PoolError, PoolOptions, SpawnOptions};

use crate::crew::{CrewClient, LONG, is_worker, once_there_is, pool, this_test};
use crate::util::folder::Folder;
use crate::util::{self, Holdings, Watchdog, is_running, wait_until};

/// One worker, whose failures would be seen: the pool would give up with the first.
fn one_without_failures() -> PoolOptions {
    PoolOptions::new().workers(1).restarts(0, LONG)
}

#[test]
fn after_so_many_calls_a_worker_is_replaced_and_every_call_is_answered() {
    if is_worker() || !util::alone() {
        return;
    }
    let _watchdog = Watchdog::new();
    let before = Holdings::now();
    let pool = pool(&one_without_failures().recycle_after_calls(5));
    let mut calls: BTreeMap<u32, u32> = BTreeMap::new();
    while calls.len() < 4 {
        *calls.entry(pool.call(CrewClient::process).unwrap()).or_default() += 1;
    }
    // The last one is not through yet.
    let current = pool.call(CrewClient::process).unwrap();
    assert!(calls.iter().all(|(process, calls)| *process == current || *calls >= 5), "{calls:?}");
    let are_gone = || calls.keys().all(|process| pool.processes().contains(process) || !is_running(*process));
    assert!(wait_until(LONG, are_gone), "{calls:?}");
    let counters = pool.counters();
    assert!(counters.recycled >= 3 && counters.died == 0, "{counters:?}");
    drop(pool);
    before.assert_restored();
}

#[test]
fn after_its_time_a_worker_is_replaced_without_a_call() {
    if is_worker() {
        return;
    }
    let _watchdog = Watchdog::new();
    let pool = pool(&one_without_failures().recycle_after(Duration::from_millis(50)));
    let first = pool.call(CrewClient::process).unwrap();
    assert!(wait_until(LONG, || pool.counters().recycled >= 2));
    assert!(wait_until(LONG, || !is_running(first)));
    assert!(pool.call(CrewClient::process).is_ok());
    assert_eq!(pool.counters().died, 0);
}

#[test]
fn above_its_memory_a_worker_is_replaced_and_below_it_is_not() {
    const MIB: usize = 1 << 20;
    if is_worker() {
        return;
    }
    let _watchdog = Watchdog::new();
    let pool = pool(&one_without_failures().recycle_above(128 << 20));
    let first = pool.call(CrewClient::process).unwrap();
    let process = || pool.call(CrewClient::process).unwrap();
    // Longer than the pause between two looks.
    assert!(!wait_until(Duration::from_millis(300), || process() != first), "it has not too much");
    pool.call(|worker| worker.take_memory(160 * MIB)).unwrap();
    assert!(wait_until(LONG, || process() != first), "it has too much");
    assert!(wait_until(LONG, || !is_running(first)));
    let counters = pool.counters();
    assert_eq!((counters.recycled, counters.died), (1, 0));
}

#[test]
fn the_only_worker_serves_until_its_replacement_is_there() {
    if is_worker() {
        return;
    }
    let _watchdog = Watchdog::new();
    let folder = Folder::new();
    let go = folder.file("go");
    let (is_first, good, awaited) = (AtomicBool::new(true), this_test(), go.clone());
    let command = move || {
        let command = good();
        if is_first.swap(false, Ordering::SeqCst) { command } else { once_there_is(&awaited, &command) }
    };
    let pool: Pool<CrewClient> = Pool::new(command, &one_without_failures().recycle_after_calls(1));
    let first = pool.call(CrewClient::process).unwrap();
    assert!(wait_until(LONG, || pool.counters().starting == 1));
    for _ in 0..20 {
        assert_eq!(pool.call(CrewClient::process).unwrap(), first);
    }
    fs::write(&go, "").unwrap();
    assert!(wait_until(LONG, || !is_running(first)));
    assert_ne!(pool.call(CrewClient::process).unwrap(), first);
}

#[test]
fn a_worker_with_a_call_is_not_hung_up_on() {
    if is_worker() {
        return;
    }
    let _watchdog = Watchdog::new();
    let folder = Folder::new();
    let go = folder.file("go");
    let pool = pool(&one_without_failures().recycle_after_calls(1));
    let busy = pool.worker().unwrap();
    let call = busy.begin_wait_for(&go).unwrap();
    let old = pool.processes()[0];
    assert!(wait_until(LONG, || pool.processes().len() == 2), "its replacement is there");
    let new = pool.call(CrewClient::process).unwrap();
    assert_ne!(new, old);
    assert!(pool.processes().contains(&old));
    fs::write(&go, "").unwrap();
    assert_eq!(call.wait().unwrap(), old);
    drop(busy);
    assert!(wait_until(LONG, || !is_running(old)));
}

#[test]
fn a_worker_that_does_not_answer_in_time_is_replaced_and_gets_no_further_call() {
    if is_worker() {
        return;
    }
    let _watchdog = Watchdog::new();
    let folder = Folder::new();
    let never = folder.file("never");
    let grace = SpawnOptions::new().grace(Duration::from_millis(50));
    let pool = pool(&one_without_failures().spawn(grace));
    let stuck = pool.call(CrewClient::process).unwrap();
    let late = |worker: &CrewClient| worker.with_timeout(Duration::from_millis(20)).wait_for(&never);
    let error = pool.call(late).unwrap_err();
    assert!(matches!(error, PoolError::Call(CallError::Timeout { .. })), "{error:?}");
    assert_ne!(pool.call(CrewClient::process).unwrap(), stuck);
    assert!(wait_until(LONG, || !is_running(stuck)));
    let counters = pool.counters();
    assert_eq!((counters.recycled, counters.died, counters.retries), (1, 0, 0));
}

#[test]
fn a_worker_that_does_not_answer_in_time_stays_where_the_options_say_so() {
    if is_worker() {
        return;
    }
    let _watchdog = Watchdog::new();
    let folder = Folder::new();
    let go = folder.file("go");
    let pool = pool(&one_without_failures().recycle_after_timeout(false));
    let process = pool.call(CrewClient::process).unwrap();
    let late = |worker: &CrewClient| worker.with_timeout(Duration::from_millis(20)).wait_for(&go);
    pool.call(late).unwrap_err();
    fs::write(&go, "").unwrap();
    assert_eq!(pool.call(CrewClient::process).unwrap(), process);
    assert_eq!(pool.counters().recycled, 0);
}
