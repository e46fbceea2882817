//! What a handler can ask about the call that it runs for.

use std::cell::Cell;
use std::fmt;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use serde::{Deserialize, Deserializer, Serialize, Serializer};

use super::super::connection::PeerCredentials;
use super::session::Session;
use crate::deadline::Deadline;

/// The call that a handler runs for: who made it, and whether anybody still waits for it.
///
/// A method asks for it by an argument of this type, which is no part of the message: the client's method has no such
/// argument, and nothing of it is sent.
///
/// A call is cancelled when its caller's time is over (`with_timeout`, [`Pending::wait_timeout`](crate::Pending::wait_timeout)), when the
/// [`Pending`](crate::Pending) was dropped, and when the client is gone. One that has not begun is not begun then. A handler that runs is
/// not interrupted: one that takes long asks [`is_cancelled`](Self::is_cancelled) now and then. What it returns after that answers nobody.
///
/// Calls that the handler makes to other services, in its own thread, end with its time at the latest: their clients give them no
/// more than is left.
///
/// # Examples
///
/// ```
/// use std::time::Duration;
/// use unix_ipc::{CallContext, CallError, ipc_service};
///
/// #[ipc_service]
/// trait Primes {
///     /// How many primes there are up to `end`: `None` where nobody waits for it any more.
///     fn count(&self, ctx: &CallContext, end: u64) -> Option<u64>;
/// }
///
/// struct Sieve;
///
/// impl Primes for Sieve {
///     fn count(&self, ctx: &CallContext, end: u64) -> Option<u64> {
///         let mut primes = 0;
///         for number in 2..end {
///             if ctx.is_cancelled() {
///                 return None;
///             }
///             primes += u64::from((2..number).all(|divisor| number % divisor != 0));
///         }
///         Some(primes)
///     }
/// }
///
/// let primes = PrimesClient::local(Sieve)?;
/// assert_eq!(primes.count(100)?, Some(25));
/// // Both ends have the same moment: whoever notices it first.
/// let late = primes.with_timeout(Duration::from_millis(10)).count(u64::MAX);
/// assert!(matches!(late, Err(CallError::Timeout { .. }) | Ok(None)));
/// assert_eq!(primes.count(10)?, Some(4)); // the server is free again
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Clone, Default)]
pub struct CallContext {
    /// None for a call that came over a plain channel, of which nothing is known.
    call: Option<Arc<Call>>,
}

/// A call whose handler wants to know when nobody waits for it any more.
#[derive(Debug)]
pub(super) struct Call {
    session: Arc<Session>,
    /// 0 for a one-way call.
    id: u64,
    deadline: Deadline,
    cancelled: AtomicBool,
}

impl CallContext {
    pub(super) fn new(session: &Arc<Session>, id: u64, deadline: Deadline) -> Self {
        let call = Call { session: Arc::clone(session), id, deadline, cancelled: AtomicBool::new(false) };
        let call = Arc::new(call);
        session.watch_call(&call);
        Self { call: Some(call) }
    }

    /// The process that made the call, as the kernel has it: `None` where the call came over a plain channel.
    ///
    /// For a connection that was handed on it is the process that sent its first packet.
    #[must_use]
    pub fn peer(&self) -> Option<PeerCredentials> {
        self.call.as_ref()?.session.link().peer()
    }

    /// How long the caller still waits: zero once it has given up, `None` where it set no time.
    #[must_use]
    pub fn time_left(&self) -> Option<Duration> {
        self.call.as_ref()?.deadline.left()
    }

    /// Whether nobody waits for the call any more. Of a one-way call nobody ever waits, and it is cancelled only when the client is gone.
    ///
    /// Where nothing has come, that costs one system call at most. What has come is read with that and kept until its turn, up to 4,096 calls,
    /// 1 MiB and 32 descriptors; a cancellation that is behind more than that is seen when some of it has been run.
    #[must_use]
    pub fn is_cancelled(&self) -> bool {
        let Some(call) = &self.call else { return false };
        call.is_over() || call.session.looks_cancelled(call)
    }

    /// Waits until nobody waits for the call any more, for so long at most: whether that is so.
    ///
    /// # Blocking
    ///
    /// For as long as `timeout` says.
    #[must_use]
    pub fn wait_cancelled(&self, timeout: Duration) -> bool {
        let end = Deadline::after(timeout);
        let Some(call) = &self.call else {
            return crate::sys::wait::wait(&mut [], end).is_err();
        };
        loop {
            if self.is_cancelled() {
                return true;
            }
            if end.has_passed() {
                return false;
            }
            call.session.wait_for_cancel(end.min(call.deadline));
        }
    }
}

impl Call {
    pub(super) fn id(&self) -> u64 {
        self.id
    }

    pub(super) fn is_over(&self) -> bool {
        self.cancelled.load(Ordering::SeqCst) || self.deadline.has_passed()
    }

    pub(super) fn cancel(&self) {
        self.cancelled.store(true, Ordering::SeqCst);
    }
}

impl Drop for Call {
    fn drop(&mut self) {
        // In a copy of the process whoever held the lock is not there to let it go.
        if self.session.link().is_here() {
            self.session.forget_calls();
        }
    }
}

impl fmt::Debug for CallContext {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let id = self.call.as_ref().map(|call| call.id);
        f.debug_struct("CallContext").field("call", &id).finish_non_exhaustive()
    }
}

thread_local! {
    /// The context of the call whose arguments this thread decodes.
    static ARRIVING: Cell<Option<CallContext>> = const { Cell::new(None) };
}

/// While the arguments of a call are decoded: its context is among them, and no part of the message.
#[must_use = "the context is there only as long as this lives"]
pub(super) struct Arriving {
    around: Option<CallContext>,
}

impl Arriving {
    pub(super) fn with(context: CallContext) -> Self {
        Self { around: ARRIVING.replace(Some(context)) }
    }
}

impl Drop for Arriving {
    fn drop(&mut self) {
        drop(ARRIVING.replace(self.around.take()));
    }
}

/// Writes nothing.
impl Serialize for CallContext {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_unit()
    }
}

/// Reads nothing: that of the call whose task is decoded, or one that knows nothing.
impl<'de> Deserialize<'de> for CallContext {
    fn deserialize<D: Deserializer<'de>>(_: D) -> Result<Self, D::Error> {
        Ok(ARRIVING.take().unwrap_or_default())
    }
}
