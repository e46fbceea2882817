//! Workers that start, or do not.

use std::error::Error;
use std::io;
use std::process::Command;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::thread;
use std::time::{Duration, Instant};

use unix_ipc::{
    CallError, Limits, PeerExit, Pool, PoolError, PoolOptions, ProtocolError, SpawnError, SpawnOptions,
    WorkerFailure,
};

use crate::crew::{
    AN_HOUR, CrewClient, LONG, blocked_signals, is_worker, kill_worker, pool, this_test, unprepared,
};
use crate::util::{Watchdog, is_running, wait_until};

const MS: Duration = Duration::from_millis(1);

#[test]
fn warm_starts_all_workers_before_the_first_call() {
    if is_worker() {
        return;
    }
    let _watchdog = Watchdog::new();
    let pool = pool(&PoolOptions::new().workers(3));
    pool.warm().unwrap();
    let processes = pool.processes();
    assert!(processes.len() == 3 && processes.iter().all(|process| is_running(*process)), "{processes:?}");
    pool.warm().unwrap();
    let counters = pool.counters();
    assert_eq!((counters.started, counters.workers, counters.calls), (3, 3, 0));
    assert!(processes.contains(&pool.call(CrewClient::process).unwrap()));
}

#[test]
fn a_missing_program_is_told_to_warm_and_to_each_call_until_the_pool_gives_up() {
    let _watchdog = Watchdog::new();
    let options = PoolOptions::new().workers(1).restarts(4, AN_HOUR).backoff(MS, MS);
    let pool: Pool<CrewClient> = Pool::new(|| Command::new("/no/such/program"), &options);
    let error = pool.warm().unwrap_err();
    assert!(
        matches!(&error, SpawnError::Start(source) if source.kind() == io::ErrorKind::NotFound),
        "{error:?}"
    );
    let given_up = loop {
        match pool.call(CrewClient::process).unwrap_err() {
            PoolError::Spawn(SpawnError::Start(source)) => assert_eq!(source.raw_os_error(), Some(2)),
            other => break other,
        }
    };
    assert_eq!(given_up.to_string(), "the pool gave up: 5 workers failed within 3600s");
    let last = given_up.source().unwrap();
    assert_eq!(last.to_string(), "a worker could not be started");
    assert_eq!(last.source().unwrap().to_string(), "the program could not be started");
    let counters = pool.counters();
    assert!(counters.gave_up && counters.failed_starts == 5 && counters.started == 0, "{counters:?}");
    assert_eq!(io::Error::from(given_up).kind(), io::ErrorKind::NotConnected);
}

#[test]
fn workers_that_exit_at_once_make_the_pool_give_up_and_warm_starts_over() {
    if is_worker() {
        return;
    }
    let _watchdog = Watchdog::new();
    let is_mended = Arc::new(AtomicBool::new(false));
    let (mended, good) = (Arc::clone(&is_mended), this_test());
    let command = move || if mended.load(Ordering::SeqCst) { good() } else { Command::new("/bin/false") };
    let options = PoolOptions::new().workers(2).restarts(3, AN_HOUR).backoff(MS, 2 * MS);
    let pool: Pool<CrewClient> = Pool::new(command, &options);
    let exited = |error: &SpawnError| matches!(error, SpawnError::Exited(PeerExit::Exited(1)));
    let error = pool.warm().unwrap_err();
    assert!(exited(&error), "{error:?}");
    assert!(wait_until(LONG, || pool.counters().gave_up), "the keeper tries until the pool gives up");
    match pool.call(CrewClient::process).unwrap_err() {
        PoolError::GaveUp { failures, within, last: WorkerFailure::Start(error) } => {
            assert!(failures == 4 && within == AN_HOUR && exited(&error));
        }
        other => panic!("{other:?}"),
    }
    is_mended.store(true, Ordering::SeqCst);
    assert!(pool.worker().is_err(), "only `warm` starts over");
    pool.warm().unwrap();
    assert!(pool.call(CrewClient::process).is_ok());
}

#[test]
fn workers_whose_pre_serve_fails_make_the_pool_give_up_and_it_says_why() {
    if is_worker() {
        return;
    }
    let _watchdog = Watchdog::new();
    let command = this_test();
    let options = PoolOptions::new().workers(2).restarts(3, AN_HOUR).backoff(MS, 2 * MS);
    let pool: Pool<CrewClient> = Pool::new(move || unprepared(command()), &options);
    let error = pool.warm().unwrap_err();
    assert!(matches!(&error, SpawnError::Handshake(ProtocolError::Accused(_))), "{error:?}");
    let given_up = loop {
        match pool.call(CrewClient::process).unwrap_err() {
            PoolError::Spawn(SpawnError::Handshake(ProtocolError::Accused(_))) => {}
            other => break other,
        }
    };
    let PoolError::GaveUp { failures: 4, last: WorkerFailure::Start(error), .. } = given_up else {
        panic!("{given_up:?}");
    };
    let reason = error.source().unwrap().to_string();
    assert!(reason.contains("could not prepare to serve: permission denied"), "{reason}");
    let counters = pool.counters();
    assert_eq!((counters.workers, counters.started, counters.calls), (0, 0, 0), "none of them was one");
}

#[test]
fn a_worker_that_breaks_the_protocol_is_one_no_more_though_its_process_runs() {
    if is_worker() {
        return;
    }
    let _watchdog = Watchdog::new();
    let pool = pool(&PoolOptions::new().workers(1));
    let liar = pool.call(CrewClient::process).unwrap();
    let error = pool.call(CrewClient::babble).unwrap_err();
    assert!(!error.is_gone(), "{error:?}");
    assert!(matches!(error, PoolError::Call(CallError::Protocol { method: "babble", .. })), "{error:?}");
    assert_ne!(pool.call(CrewClient::process).unwrap(), liar);
    assert_eq!(pool.counters().died, 1);
}

#[test]
fn workers_that_die_too_often_make_the_pool_give_up() {
    if is_worker() {
        return;
    }
    let _watchdog = Watchdog::new();
    let pool = pool(&PoolOptions::new().workers(1).restarts(2, AN_HOUR));
    for deaths in 0..3 {
        let process = pool.call(CrewClient::process).unwrap();
        kill_worker(process);
        assert!(wait_until(LONG, || pool.counters().died == deaths + 1));
    }
    let error = pool.call(CrewClient::process).unwrap_err();
    let PoolError::GaveUp { failures: 3, last: WorkerFailure::Died(PeerExit::Killed(9)), .. } = error else {
        panic!("{error:?}");
    };
    pool.warm().unwrap();
    assert!(pool.call(CrewClient::process).is_ok());
}

#[test]
fn the_pauses_between_failed_starts_grow() {
    let _watchdog = Watchdog::new();
    let starts = Arc::new(Mutex::new(Vec::new()));
    let times = Arc::clone(&starts);
    let command = move || {
        times.lock().unwrap().push(Instant::now());
        Command::new("/bin/false")
    };
    let options = PoolOptions::new().workers(1).restarts(4, AN_HOUR).backoff(20 * MS, 60 * MS);
    let pool: Pool<CrewClient> = Pool::new(command, &options);
    pool.warm().unwrap_err();
    assert!(wait_until(LONG, || pool.counters().gave_up));
    let starts = starts.lock().unwrap();
    let pauses: Vec<_> = starts.windows(2).map(|pair| pair[1] - pair[0]).collect();
    // A pause is never shorter; how much longer is the machine's business.
    let least = [20 * MS, 40 * MS, 60 * MS, 60 * MS];
    assert!(
        pauses.len() == 4 && pauses.iter().zip(least).all(|(pause, least)| *pause >= least),
        "{pauses:?}"
    );
}

#[test]
fn a_command_that_panics_is_a_start_that_failed() {
    let _watchdog = Watchdog::new();
    let pool: Pool<CrewClient> = Pool::new(|| panic!("no command"), &PoolOptions::new().restarts(1, AN_HOUR));
    let error = pool.warm().unwrap_err();
    assert_eq!(error.source().unwrap().to_string(), "the function that makes the command panicked");
}

#[test]
fn a_program_that_says_nothing_fails_the_call_that_waits_for_it() {
    let _watchdog = Watchdog::new();
    let mut limits = Limits::default();
    limits.handshake = 50 * MS;
    let options =
        PoolOptions::new().workers(1).restarts(0, AN_HOUR).spawn(SpawnOptions::new().limits(limits));
    let mute = || {
        let mut command = Command::new("/bin/sleep");
        command.arg("1000");
        command
    };
    let pool: Pool<CrewClient> = Pool::new(mute, &options);
    let error = pool.call(CrewClient::process).unwrap_err();
    let PoolError::GaveUp { last: WorkerFailure::Start(error), .. } = error else { panic!("{error:?}") };
    assert!(matches!(*error, SpawnError::TimedOut { .. }), "{error:?}");
}

#[test]
fn while_a_worker_does_not_start_the_others_serve() {
    if is_worker() {
        return;
    }
    let _watchdog = Watchdog::new();
    let (count, good) = (AtomicUsize::new(0), this_test());
    let only_once = move || match count.fetch_add(1, Ordering::SeqCst) {
        0 => good(),
        _ => Command::new("/bin/false"),
    };
    let options = PoolOptions::new().workers(2).restarts(1000, AN_HOUR);
    let pool: Pool<CrewClient> = Pool::new(only_once, &options);
    let busy = pool.worker().unwrap();
    let process = busy.process().unwrap();
    assert_eq!(pool.call(CrewClient::process).unwrap(), process, "the only one there is");
    assert!(wait_until(LONG, || pool.counters().failed_starts > 0));
}

#[test]
fn workers_block_the_signals_of_who_calls_and_outlive_its_thread() {
    if is_worker() {
        return;
    }
    let _watchdog = Watchdog::new();
    let pool = pool(&PoolOptions::new().workers(1));
    let (here, there) = thread::scope(|scope| {
        let calls = || {
            let there = pool.call(CrewClient::blocked_signals).unwrap();
            (blocked_signals("/proc/thread-self/status").unwrap(), there)
        };
        scope.spawn(calls).join().unwrap()
    });
    assert_eq!(here, there);
    let process = pool.processes()[0];
    assert_eq!(pool.call(CrewClient::process).unwrap(), process, "P47: it ended with the thread");
}
