//! Who gets a call.

use std::collections::BTreeSet;
use std::thread;

use unix_ipc::PoolOptions;

use crate::crew::{CrewClient, LONG, is_worker, pool};
use crate::util::folder::Folder;
use crate::util::{Watchdog, wait_until};

#[test]
fn an_idle_worker_comes_first_and_a_new_one_only_where_all_are_busy() {
    if is_worker() {
        return;
    }
    let _watchdog = Watchdog::new();
    let pool = pool(&PoolOptions::new().workers(3));
    assert_eq!(pool.counters().started, 0, "nothing is started before it is needed");
    let first: BTreeSet<_> = (0..10).map(|_| pool.call(CrewClient::process).unwrap()).collect();
    assert_eq!((first.len(), pool.counters().started), (1, 1), "one was enough");

    let workers: Vec<_> = (0..3).map(|_| pool.worker().unwrap()).collect();
    let processes: Vec<_> = workers.iter().map(|worker| worker.process().unwrap()).collect();
    assert_eq!(processes.iter().collect::<BTreeSet<_>>().len(), 3);
    assert_eq!(pool.processes(), processes);
    let counters = pool.counters();
    assert_eq!((counters.workers, counters.busy, counters.started), (3, 3, 3));
}

#[test]
fn where_all_are_busy_the_least_busy_has_the_call() {
    if is_worker() {
        return;
    }
    let _watchdog = Watchdog::new();
    let pool = pool(&PoolOptions::new().workers(3));
    let mut workers: Vec<_> = (0..6).map(|_| pool.worker().unwrap()).collect();
    let processes: Vec<_> = workers.iter().map(|worker| worker.process().unwrap()).collect();
    assert_eq!(processes[..3], processes[3..], "two each");
    drop(workers.remove(1));
    assert_eq!(pool.call(CrewClient::process).unwrap(), processes[1]);
    drop(workers);
    assert_eq!(pool.counters().busy, 0);
}

#[test]
fn long_calls_of_several_threads_run_at_once() {
    if is_worker() {
        return;
    }
    let _watchdog = Watchdog::new();
    let folder = Folder::new();
    let go = folder.file("go");
    let pool = pool(&PoolOptions::new().workers(3));
    let processes: BTreeSet<_> = thread::scope(|scope| {
        let calls: Vec<_> =
            (0..3).map(|_| scope.spawn(|| pool.call(|worker| worker.wait_for(&go)).unwrap())).collect();
        assert!(wait_until(LONG, || pool.counters().busy == 3), "{:?}", pool.counters());
        std::fs::write(&go, "").unwrap();
        calls.into_iter().map(|call| call.join().unwrap()).collect()
    });
    assert_eq!(processes.len(), 3);
}

#[test]
fn clones_share_the_workers() {
    if is_worker() {
        return;
    }
    let _watchdog = Watchdog::new();
    let pool = pool(&PoolOptions::new().workers(1));
    let clone = pool.clone();
    let process = pool.call(CrewClient::process).unwrap();
    drop(pool);
    assert_eq!(clone.call(CrewClient::process).unwrap(), process);
    assert_eq!(clone.counters().calls, 2);
    assert_eq!(format!("{clone:?}"), "Pool { service: \"Crew\", .. }");
}
