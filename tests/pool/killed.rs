//! Workers that are killed, with calls and without.

use std::collections::BTreeSet;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use std::sync::mpsc::{self, RecvTimeoutError};
use std::thread;
use std::time::Duration;

use unix_ipc::{CallError, PeerExit, Pool, PoolError, PoolOptions};

use crate::crew::{AN_HOUR, CrewClient, LONG, is_worker, kill_worker, lines_of, pool};
use crate::util::folder::Folder;
use crate::util::{self, Watchdog, is_running, wait_until};

/// The time between two kills.
const EVERY: Duration = Duration::from_millis(50);

/// Kills one worker after another while something is done, which is told how many so far.
fn while_killing(pool: &Pool<CrewClient>, act: impl FnOnce(&AtomicUsize)) {
    let kills = AtomicUsize::new(0);
    let (done, is_done) = mpsc::channel::<()>();
    thread::scope(|scope| {
        scope.spawn(|| {
            let is_done = is_done;
            while is_done.recv_timeout(EVERY) == Err(RecvTimeoutError::Timeout) {
                let processes = pool.processes();
                let next = kills.load(Ordering::SeqCst) % processes.len().max(1);
                if let Some(process) = processes.get(next) {
                    kill_worker(*process);
                    kills.fetch_add(1, Ordering::SeqCst);
                }
            }
        });
        act(&kills);
        drop(done);
    });
}

fn that_never_gives_up(workers: usize) -> PoolOptions {
    PoolOptions::new().workers(workers).restarts(1_000_000, AN_HOUR)
}

#[test]
fn ten_thousand_calls_are_answered_right_while_a_worker_is_killed_every_50_ms() {
    const CALLS: u64 = 10_000;
    const KILLS: usize = 20;
    if is_worker() || !util::alone() {
        return;
    }
    let _watchdog = Watchdog::after(Duration::from_secs(300));
    let before = util::Holdings::now();
    let pool = pool(&that_never_gives_up(4).retries(20));
    let made = AtomicU64::new(0);
    while_killing(&pool, |kills| {
        // More where the machine is so fast that few workers were killed meanwhile.
        let is_over = || made.load(Ordering::SeqCst) >= CALLS && kills.load(Ordering::SeqCst) >= KILLS;
        thread::scope(|scope| {
            for _ in 0..4 {
                scope.spawn(|| {
                    while !is_over() {
                        let up_to = 20_000 + made.fetch_add(1, Ordering::SeqCst);
                        assert_eq!(pool.call(|worker| worker.sum(up_to)).unwrap(), up_to * (up_to + 1) / 2);
                    }
                });
            }
        });
    });
    let counters = pool.counters();
    assert!(counters.died > 0 && !counters.gave_up, "{counters:?}");
    assert_eq!(counters.calls, made.load(Ordering::SeqCst) + counters.retries);
    drop(pool);
    before.assert_restored();
}

#[test]
fn a_call_that_is_not_idempotent_is_made_at_most_once_and_says_how_its_worker_died() {
    const THREADS: usize = 3;
    if is_worker() {
        return;
    }
    let _watchdog = Watchdog::after(Duration::from_secs(180));
    let folder = Folder::new();
    let file = folder.file("notes");
    let pool = pool(&that_never_gives_up(2));
    let (failures, mut answered) = (mpsc::channel(), BTreeSet::new());
    while_killing(&pool, |_| {
        thread::scope(|scope| {
            let noting: Vec<_> = (0..THREADS)
                .map(|thread| {
                    let (pool, file, failures) = (&pool, &file, failures.0.clone());
                    scope.spawn(move || {
                        let mut answered = Vec::new();
                        // Until some calls failed, however long that takes.
                        for call in 0.. {
                            let line = format!("{thread} {call}");
                            match pool.call(|worker| worker.note(file, &line)) {
                                Ok(()) => answered.push(line),
                                Err(error) => {
                                    failures.send(error).unwrap();
                                    break;
                                }
                            }
                        }
                        answered
                    })
                })
                .collect();
            noting.into_iter().for_each(|thread| answered.extend(thread.join().unwrap()));
        });
    });
    drop(failures.0);
    let failures: Vec<_> = failures.1.into_iter().collect();
    assert_eq!(failures.len(), THREADS, "{failures:?}");
    for error in failures {
        assert!(error.is_gone());
        let death: CallError = CallError::PeerDied { method: "note", exit: PeerExit::Killed(9) };
        assert_eq!(error.to_string(), death.to_string());
    }
    let lines = lines_of(&file);
    let noted: BTreeSet<_> = lines.iter().cloned().collect();
    assert_eq!(noted.len(), lines.len(), "a call was made twice");
    assert!(noted.is_superset(&answered), "a call was answered and not made");
    assert_eq!(pool.counters().retries, 0);
}

#[test]
fn an_idempotent_call_is_made_on_other_workers_as_often_as_the_options_say() {
    if is_worker() {
        return;
    }
    let _watchdog = Watchdog::new();
    let folder = Folder::new();
    let (once, always) = (folder.file("once"), folder.file("always"));
    let pool = pool(&that_never_gives_up(2).retries(2));
    let survivor = pool.call(|worker| worker.die_until(&once, 1)).unwrap();
    assert_eq!(lines_of(&once).len(), 1);
    assert!(is_running(survivor));
    assert_eq!(pool.counters().retries, 1);

    let error = pool.call(|worker| worker.die_until(&always, 100)).unwrap_err();
    assert!(
        matches!(&error, PoolError::Call(CallError::PeerDied { exit: PeerExit::Killed(6), .. })),
        "{error:?}"
    );
    assert_eq!(lines_of(&always).len(), 3, "made once and retried twice");
    assert_eq!(pool.counters().retries, 3);
    assert_eq!(pool.counters().died, 4);
}

#[test]
fn what_is_not_marked_is_not_made_again() {
    if is_worker() {
        return;
    }
    let _watchdog = Watchdog::new();
    let folder = Folder::new();
    let file = folder.file("died");
    let pool = pool(&that_never_gives_up(2));
    let error = pool.call(|worker| worker.die(&file)).unwrap_err();
    assert_eq!(error.to_string(), "`die`: the server process was killed by signal 6 (SIGABRT)");
    assert_eq!(lines_of(&file).len(), 1);
    assert!(pool.call(CrewClient::process).is_ok(), "the next call has another worker");
}

#[test]
fn the_calls_that_a_dying_worker_has_fail_and_those_of_others_do_not() {
    if is_worker() {
        return;
    }
    let _watchdog = Watchdog::new();
    let folder = Folder::new();
    let go = folder.file("go");
    let pool = pool(&that_never_gives_up(2));
    let (doomed, safe) = (pool.worker().unwrap(), pool.worker().unwrap());
    let lost: Vec<_> = (0..3).map(|_| doomed.begin_wait_for(&go).unwrap()).collect();
    let kept = safe.begin_wait_for(&go).unwrap();
    let (process, of_safe) = (pool.processes()[0], pool.processes()[1]);
    kill_worker(process);
    for call in lost {
        let error = call.wait().unwrap_err();
        assert!(matches!(error, CallError::PeerDied { exit: PeerExit::Killed(9), .. }), "{error:?}");
    }
    std::fs::write(&go, "").unwrap();
    assert_eq!(kept.wait().unwrap(), of_safe);
}

#[test]
fn a_worker_that_dies_without_a_call_is_noticed_and_replaced() {
    if is_worker() {
        return;
    }
    let _watchdog = Watchdog::new();
    let pool = pool(&that_never_gives_up(2));
    pool.warm().unwrap();
    let before = pool.processes();
    kill_worker(before[0]);
    let is_replaced = || {
        let now = pool.processes();
        now.len() == 2 && !now.contains(&before[0]) && now.contains(&before[1])
    };
    assert!(wait_until(LONG, is_replaced), "{before:?} {:?}", pool.processes());
    let counters = pool.counters();
    assert_eq!((counters.died, counters.started, counters.calls), (1, 3, 0));
}

#[test]
fn the_error_of_a_call_to_somebody_else_is_not_the_workers() {
    if is_worker() {
        return;
    }
    let _watchdog = Watchdog::new();
    let pool = pool(&that_never_gives_up(1));
    let stranger = CrewClient::spawn(crate::crew::this_test()()).unwrap();
    kill_worker(stranger.process().unwrap());
    let error = pool.call(|_| stranger.process()).unwrap_err();
    assert!(error.is_gone());
    let counters = pool.counters();
    assert_eq!((counters.retries, counters.died, counters.workers), (0, 0, 1));
}
