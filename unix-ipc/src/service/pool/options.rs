use std::num::NonZeroUsize;
use std::thread;
use std::time::Duration;

use crate::service::child::SpawnOptions;

/// How many workers a [`Pool`](crate::Pool) has, and what becomes of them.
///
/// ```
/// use std::time::Duration;
/// use unix_ipc::PoolOptions;
///
/// let options = PoolOptions::new().workers(4).recycle_after(Duration::from_secs(3600)).recycle_above(512 << 20);
/// ```
#[derive(Clone, Debug)]
pub struct PoolOptions {
    pub(super) workers: usize,
    pub(super) retries: u32,
    pub(super) restarts: usize,
    pub(super) restarts_per: Duration,
    pub(super) first_pause: Duration,
    pub(super) longest_pause: Duration,
    pub(super) most_calls: Option<u64>,
    pub(super) most_age: Option<Duration>,
    pub(super) most_memory: Option<u64>,
    pub(super) replace_late: bool,
    pub(super) spawn: SpawnOptions,
}

impl PoolOptions {
    /// The defaults: a worker for each processor, two retries, 30 restarts in 30 seconds, pauses from 10 ms to one
    /// second, and no recycling but of a worker whose call ran out of time.
    pub fn new() -> Self {
        Self {
            workers: thread::available_parallelism().map_or(1, NonZeroUsize::get),
            retries: 2,
            restarts: 30,
            restarts_per: Duration::from_secs(30),
            first_pause: Duration::from_millis(10),
            longest_pause: Duration::from_secs(1),
            most_calls: None,
            most_age: None,
            most_memory: None,
            replace_late: true,
            spawn: SpawnOptions::new(),
        }
    }

    /// The number of workers, of which each is a process: as many as
    /// [`available_parallelism`](thread::available_parallelism) says. 0 counts as 1.
    #[must_use]
    pub fn workers(mut self, workers: usize) -> Self {
        self.workers = workers.max(1);
        self
    }

    /// How often a call of an `#[idempotent]` method whose worker died is made once more: 2 times.
    #[must_use]
    pub fn retries(mut self, retries: u32) -> Self {
        self.retries = retries;
        self
    }

    /// How many workers may fail in so long, by dying or by not starting, and be replaced: 30 in 30 seconds. With one more
    /// the pool gives up ([`PoolError::GaveUp`](crate::PoolError::GaveUp)).
    #[must_use]
    pub fn restarts(mut self, restarts: usize, per: Duration) -> Self {
        self.restarts = restarts;
        self.restarts_per = per;
        self
    }

    /// The pause before the next start where a worker did not start, or died before it had answered a call: 10 ms, and
    /// twice as long with each further failure in a row, up to one second. A worker that had answered is
    /// replaced at once.
    #[must_use]
    pub fn backoff(mut self, first: Duration, most: Duration) -> Self {
        self.first_pause = first;
        self.longest_pause = most;
        self
    }

    /// Replaces a worker after so many calls: never. 0 counts as 1.
    #[must_use]
    pub fn recycle_after_calls(mut self, calls: u64) -> Self {
        self.most_calls = Some(calls.max(1));
        self
    }

    /// Replaces a worker that has run for so long: never.
    #[must_use]
    pub fn recycle_after(mut self, age: Duration) -> Self {
        self.most_age = Some(age);
        self
    }

    /// Replaces a worker whose resident memory, as `/proc/PID/statm` has it (proc(5), shared pages included), exceeds
    /// so many bytes: never. It is looked at behind a call, and at most every 100 ms.
    #[must_use]
    pub fn recycle_above(mut self, bytes: u64) -> Self {
        self.most_memory = Some(bytes);
        self
    }

    /// Whether a worker is replaced whose call has run out of time ([`CallError::Timeout`](crate::CallError::Timeout) from
    /// [`Pool::call`](crate::Pool::call)): yes. It may work on for ever, and would keep the next call waiting.
    ///
    /// It gets no further call, and is hung up on, and killed after its grace, when those that wait for it have ended. No is for
    /// services that run several calls at once or stop by themselves.
    #[must_use]
    pub fn recycle_after_timeout(mut self, recycle: bool) -> Self {
        self.replace_late = recycle;
        self
    }

    /// How the processes are spawned: with the default [`SpawnOptions`].
    #[must_use]
    pub fn spawn(mut self, options: SpawnOptions) -> Self {
        self.spawn = options;
        self
    }
}

impl Default for PoolOptions {
    fn default() -> Self {
        Self::new()
    }
}
