use std::fmt;
use std::io;
use std::os::fd::{AsFd, BorrowedFd};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use crate::deadline::Deadline;
use crate::sys::alarm::Alarm;
use crate::sys::sigterm;

/// Ends a server from outside: from another thread, from a handler, or for a signal.
///
/// Clones stop the same server. One that was stopped serves no more.
///
/// ```
/// use std::{thread, time::Duration};
/// use unix_ipc::{CallError, Connection, ipc_service};
///
/// #[ipc_service]
/// trait Doubler {
///     fn double(&self, number: u32) -> u32;
/// }
///
/// struct Twice;
/// impl Doubler for Twice {
///     fn double(&self, number: u32) -> u32 {
///         2 * number
///     }
/// }
///
/// let (ours, theirs) = Connection::pair()?;
/// let mut server = DoublerServer::new(Twice);
/// let stopper = server.stopper()?;
/// let serving = thread::spawn(move || server.serve(ours));
/// let client = DoublerClient::new(theirs);
/// assert_eq!(client.double(21)?, 42);
///
/// stopper.shutdown(Duration::from_secs(5));
/// serving.join().unwrap()?;
/// assert!(matches!(client.double(1), Err(CallError::ShuttingDown { .. })));
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Clone)]
pub struct Stopper(pub(super) Arc<Stop>);

impl Stopper {
    /// Has the server begin no more calls: their callers get [`CallError::ShuttingDown`](crate::CallError::ShuttingDown). Calls that
    /// run are finished and answered, if that takes no longer than this; then `serve` or `listen` hangs up on
    /// its clients and returns.
    ///
    /// A handler is not interrupted. When the time is over its client is hung up on all the same, which its
    /// [`CallContext`](crate::CallContext) says, and `serve` returns when it has ended. A server with one thread looks at the time
    /// between two calls. One-way calls that have not begun are dropped. The first time that is given counts.
    ///
    /// # Blocking
    ///
    /// Never: it asks, and the server does it. So a handler may call it.
    pub fn shutdown(&self, timeout: Duration) {
        self.0.ask_within(timeout);
    }
}

impl fmt::Debug for Stopper {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Stopper").field("asked", &self.0.is_asked()).finish_non_exhaustive()
    }
}

/// Whether a server is to end, and what wakes it to see that.
#[derive(Debug)]
pub(super) struct Stop {
    alarm: Arc<Alarm>,
    /// In nanoseconds.
    timeout: AtomicU64,
}

impl Stop {
    pub(super) fn new(timeout: Duration) -> io::Result<Self> {
        Ok(Self { alarm: Arc::new(Alarm::new()?), timeout: AtomicU64::new(nanoseconds(timeout)) })
    }

    /// One that SIGTERM asks, too.
    pub(super) fn on_sigterm(timeout: Duration) -> io::Result<Self> {
        let stop = Self::new(timeout)?;
        sigterm::watch(Arc::clone(&stop.alarm))?;
        Ok(stop)
    }

    fn ask_within(&self, timeout: Duration) {
        if !self.is_asked() {
            self.timeout.store(nanoseconds(timeout), Ordering::SeqCst);
            self.alarm.raise();
        }
    }

    #[inline]
    pub(super) fn is_asked(&self) -> bool {
        self.alarm.is_raised()
    }

    /// When the calls that run are given up, from now on.
    pub(super) fn deadline(&self) -> Deadline {
        Deadline::after(Duration::from_nanos(self.timeout.load(Ordering::SeqCst)))
    }
}

impl AsFd for Stop {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.alarm.as_fd()
    }
}

fn nanoseconds(time: Duration) -> u64 {
    u64::try_from(time.as_nanos()).unwrap_or(u64::MAX)
}
