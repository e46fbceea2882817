/// What a [`Pool`](crate::Pool) has done so far, and what it has now.
///
/// ```
/// use std::process::Command;
/// use unix_ipc::{Pool, PoolOptions, ipc_service};
///
/// #[ipc_service]
/// trait Doubler {
///     #[idempotent]
///     fn double(&self, number: u32) -> u32;
/// }
///
/// let pool: Pool<DoublerClient> = Pool::new(|| Command::new("/usr/bin/doubler"), &PoolOptions::new());
/// let counters = pool.counters();
/// assert_eq!((counters.workers, counters.started), (0, 0)); // nothing is started before it is needed
/// ```
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct PoolCounters {
    /// The workers there are now, those included that are about to be recycled.
    pub workers: usize,
    /// How many of them have a call now.
    pub busy: usize,
    /// The workers that are being started now.
    pub starting: usize,
    /// Whether the pool has given up, until the next [`warm`](crate::Pool::warm).
    pub gave_up: bool,
    /// The calls that were given to a worker, retries included.
    pub calls: u64,
    /// The calls that were made once more because their worker died.
    pub retries: u64,
    /// The workers that were started.
    pub started: u64,
    /// The workers that could not be started.
    pub failed_starts: u64,
    /// The workers that ended by themselves or were killed.
    pub died: u64,
    /// The workers that were hung up on because of their calls, their age or their memory, or
    /// because they did not answer in time.
    pub recycled: u64,
}
