//! Calls of several threads over a pool whose workers are killed all the time: every one is answered, and right.

use std::fs::File;
use std::io::{self, Write};
use std::os::fd::AsFd;
use std::os::unix::fs::FileExt;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::mpsc::{self, Receiver, RecvTimeoutError};
use std::thread;
use std::time::{Duration, Instant};

use fastrand::Rng;
use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use unix_ipc::{Connection, Handle, Pool, PoolOptions, ipc_service};

use crate::settings::{self, BOUND};
use crate::util::{self, Holdings, Watchdog, this_test};

#[ipc_service]
trait Abacus {
    #[idempotent]
    fn sum(&self, up_to: u64) -> u64;
    #[idempotent]
    fn reverse(&self, bytes: &[u8]) -> Vec<u8>;
    /// How many bytes such a file holds, and the last of them.
    #[idempotent]
    fn measure(&self, file: &Handle<File>) -> io::Result<(u64, u8)>;
}

struct Worker;

impl Abacus for Worker {
    fn sum(&self, up_to: u64) -> u64 {
        (1..=up_to).fold(0, |sum, number| std::hint::black_box(sum) + number)
    }

    fn reverse(&self, bytes: &[u8]) -> Vec<u8> {
        bytes.iter().rev().copied().collect()
    }

    fn measure(&self, file: &Handle<File>) -> io::Result<(u64, u8)> {
        let file = File::from(file.as_fd().try_clone_to_owned()?);
        let (len, mut last) = (file.metadata()?.len(), [0]);
        file.read_exact_at(&mut last, len - 1)?;
        Ok((len, last[0]))
    }
}

/// Serves, where this is a worker: then the test is over there.
fn is_worker() -> bool {
    let Some(connection) = Connection::inherited().expect("the connection is sound") else { return false };
    // A pool that is dropped hangs up in the middle of what a worker may be at.
    let _ = AbacusServer::new(Worker).serve(connection);
    true
}

const WORKERS: usize = 3;
const THREADS: u64 = 4;
/// The time between two kills.
const EVERY: Duration = Duration::from_millis(50);
/// What a run has at least, on a machine that is done with its calls before.
const LEAST_KILLS: u64 = 10;

/// Kills one worker after another until it is told that all is over.
fn kill_workers(pool: &Pool<AbacusClient>, mut rng: Rng, kills: &AtomicU64, over: &Receiver<()>) {
    while over.recv_timeout(EVERY) == Err(RecvTimeoutError::Timeout) {
        let Some(process) = rng.choice(pool.processes()) else { continue };
        // It may be gone already.
        if kill(Pid::from_raw(process.cast_signed()), Signal::SIGKILL).is_ok() {
            kills.fetch_add(1, Ordering::SeqCst);
        }
    }
}

fn file_of(len: u64, last: u8) -> Handle<File> {
    let mut file = tempfile::tempfile().expect("there is room for a file");
    let written = file.set_len(len - 1).and_then(|()| file.write_all_at(&[last], len - 1));
    written.and_then(|()| file.flush()).expect("there is room in it");
    file.into()
}

/// One call, and whether its answer is right.
fn call(pool: &Pool<AbacusClient>, rng: &mut Rng) {
    match rng.u8(..8) {
        0 => {
            let (len, last) = (rng.u64(1..100_000), rng.u8(..));
            let file = file_of(len, last);
            assert_eq!(pool.call(|worker| worker.measure(&file)).expect("it is retried"), (len, last));
        }
        1 | 2 => {
            let bytes: Vec<u8> = (0..rng.usize(..200_000)).map(|index| index as u8 ^ 0x5A).collect();
            let reversed = pool.call(|worker| worker.reverse(&bytes)).expect("it is retried");
            assert!(reversed.iter().eq(bytes.iter().rev()), "another's bytes");
        }
        _ => {
            let up_to = rng.u64(..50_000);
            let sum = pool.call(|worker| worker.sum(up_to)).expect("it is retried");
            assert_eq!(sum, up_to * (up_to + 1) / 2);
        }
    }
}

/// Calls until there were so many of all threads: how long the longest took.
fn call_on(pool: &Pool<AbacusClient>, rng: &mut Rng, is_over: impl Fn() -> bool) -> Duration {
    let mut longest = Duration::ZERO;
    while !is_over() {
        let begun = Instant::now();
        call(pool, rng);
        longest = longest.max(begun.elapsed());
    }
    longest
}

#[test]
fn calls_over_a_pool_whose_workers_are_killed_are_all_answered_right() {
    if is_worker() || !settings::alone() {
        return;
    }
    let calls = settings::number("SOAK_POOL_CALLS", 1500);
    let seed = settings::seed();
    eprintln!("seed {seed}");
    let _watchdog = Watchdog::after(3 * BOUND + Duration::from_millis(20 * calls));
    let (before, threads) = (Holdings::with_mappings(), util::threads());
    let mut rng = Rng::with_seed(seed);
    let options = PoolOptions::new().workers(WORKERS).retries(50).restarts(usize::MAX, BOUND);
    let pool: Pool<AbacusClient> = Pool::new(this_test(), &options);
    let (made, kills) = (AtomicU64::new(0), AtomicU64::new(0));
    let (done, over) = mpsc::channel::<()>();
    let is_over =
        || made.fetch_add(1, Ordering::SeqCst) >= calls && kills.load(Ordering::SeqCst) >= LEAST_KILLS;
    let longest = thread::scope(|scope| {
        let (pool, kills, is_over) = (&pool, &kills, &is_over);
        let (own, over) = (rng.fork(), over);
        scope.spawn(move || kill_workers(pool, own, kills, &over));
        let callers: Vec<_> = (0..THREADS)
            .map(|_| {
                let mut rng = rng.fork();
                scope.spawn(move || call_on(pool, &mut rng, is_over))
            })
            .collect();
        let longest = callers.into_iter().map(|caller| caller.join().expect("every answer is right")).max();
        drop(done);
        longest.expect("there are callers")
    });
    let counters = pool.counters();
    let (kills, answered) = (kills.into_inner(), made.into_inner() - THREADS);
    assert!(!counters.gave_up && counters.calls == answered + counters.retries, "{counters:?}");
    eprintln!(
        "{answered} calls over a pool of {WORKERS}, seed {seed}: {kills} kills, {} retries, longest call {longest:.1?}",
        counters.retries
    );
    drop(pool);
    before.assert_restored();
    assert!(util::wait_until(BOUND, || util::threads() == threads), "{} threads", util::threads());
}
