use std::os::fd::OwnedFd;
use std::sync::{Arc, Condvar, Mutex, MutexGuard};
use std::thread::Thread;
use std::time::Duration;

use super::super::calls::Calls;
use super::super::connection::{Connection, Link};
use super::super::ended::Ended;
use super::super::hello::{Hello, Mismatch, Role};
use super::super::task::{Method, Task};
use super::cancel::Unsaid;
use super::oneways::OneWays;
use crate::deadline::Deadline;
use crate::limits::Limits;
use crate::raw_channel::{Outlet, RawReceiver};
use crate::sync::{Turn, lock, wait_on};

/// The calling end of a connection, shared by all clones of a client.
///
/// No thread belongs to it. One of the threads that wait reads for all (`reading.rs`); the state in between is
/// under one lock, held for moments and never around user code or a system call that waits.
#[derive(Debug)]
pub(crate) struct Core {
    pub(super) link: Arc<Link>,
    pub(super) service: &'static str,
    pub(super) methods: &'static [Method],
    state: Mutex<State>,
    /// Rung when the reader has read something or stopped, for threads that wait for room to send.
    progress: Condvar,
    /// A connection has one long message on its way at a time.
    pub(super) long: Turn,
    /// The introduction goes first, and once.
    pub(super) introduction: Turn,
    /// Whether a receive can wait for a short time by itself.
    pub(super) waits_briefly: bool,
}

/// How long a receive waits by itself for a reply, before the thread looks at what else there is to wait for. It saves a
/// short call a system call; a child whose end does not end the connection, because another process has its
/// socket, is noticed by so much later.
pub(super) const BRIEF_WAIT: Duration = Duration::from_millis(20);

#[derive(Debug)]
pub(super) struct State {
    pub(super) outlet: Outlet,
    pub(super) calls: Calls<Thread, ReplySocket>,
    pub(super) unsaid: Unsaid,
    pub(super) oneways: OneWays,
    /// How many threads wait for `progress`; a bell that nobody hears costs a system call.
    pub(super) listening: usize,
    /// How often somebody has read, so that a thread that waits for it can tell.
    pub(super) reads: u64,
    pub(super) introduced: bool,
    /// The other end's introduction, and what it says of our methods.
    pub(super) peer: Option<Peer>,
    /// Whether no more calls are begun: this end has the server end, or it has said so itself.
    pub(super) closing: bool,
    /// Whether the server has said that what it has not answered it has not begun.
    pub(super) all_answered: bool,
    /// Whether the connection is on its way into another process.
    pub(super) moving: bool,
}

#[derive(Debug)]
pub(super) struct Peer {
    pub(super) hello: Hello,
    /// For each of our methods, in words, why the server does not have it.
    pub(super) missing: Vec<Option<Mismatch>>,
}

impl Core {
    pub(super) fn new<T: Task>(connection: Connection) -> Self {
        let link = connection.into_link();
        let limits = *link.limits();
        let outlet = link.outlet(true);
        let waits_briefly = link.socket().set_brief_wait(BRIEF_WAIT).is_ok();
        Self {
            link,
            service: T::SERVICE,
            methods: T::METHODS,
            state: Mutex::new(State {
                outlet,
                calls: Calls::new(limits.calls_in_flight, limits.unread_reply_bytes),
                unsaid: Unsaid::default(),
                oneways: OneWays::new(limits.queued_oneway_calls),
                listening: 0,
                reads: 0,
                introduced: false,
                peer: None,
                closing: false,
                all_answered: false,
                moving: false,
            }),
            progress: Condvar::new(),
            long: Turn::default(),
            introduction: Turn::default(),
            waits_briefly,
        }
    }

    #[inline]
    pub(super) fn state(&self) -> MutexGuard<'_, State> {
        lock(&self.state)
    }

    /// The name of the method with this number.
    #[inline]
    pub(super) fn name_of(&self, method: u32) -> &'static str {
        self.methods.get(method as usize).map_or("", Method::name)
    }

    #[inline]
    pub(super) fn is_oneway(&self, method: u32) -> bool {
        self.methods.get(method as usize).is_some_and(Method::is_oneway)
    }

    /// Waits until somebody else has read something, or nobody reads any more.
    pub(super) fn wait_for_progress(&self, reads: u64, deadline: Deadline) {
        let mut state = self.state();
        while state.calls.is_reading() && state.reads == reads && !deadline.has_passed() {
            state.listening += 1;
            state = wait_on(&self.progress, state, deadline);
            state.listening -= 1;
        }
    }

    /// Something was read, or nobody reads any more: threads that wait for room look again.
    #[inline]
    pub(super) fn ring_progress(&self, state: &mut State) {
        state.reads = state.reads.wrapping_add(1);
        self.say_unsaid(state);
        if state.listening > 0 {
            self.progress.notify_all();
        }
    }

    pub(super) fn hello(&self) -> Hello {
        Hello::new(Role::Client, self.service, self.methods)
    }

    /// What the other end's introduction means, or why it does not fit.
    pub(super) fn meet(&self, theirs: Hello) -> Result<Peer, crate::ProtocolError> {
        let ours = self.hello();
        ours.check(&theirs)?;
        let missing = theirs.match_methods(&ours).into_iter().map(Result::err).collect();
        Ok(Peer { hello: theirs, missing })
    }
}

impl State {
    /// The connection is over: everybody who waits for it finds out.
    pub(super) fn end(&mut self, ended: Ended) {
        self.calls.end(ended).for_each(Thread::unpark);
    }
}

/// A socket through which the reply of a forwarded call comes, told apart from others by what it is.
#[derive(Clone, Debug)]
pub(super) struct ReplySocket(Arc<RawReceiver>);

impl ReplySocket {
    pub(super) fn new(descriptor: OwnedFd, limits: Limits) -> Self {
        Self(Arc::new(RawReceiver::from(descriptor).with_limits(limits)))
    }

    pub(super) fn receiver(&self) -> &RawReceiver {
        &self.0
    }
}

impl PartialEq for ReplySocket {
    fn eq(&self, other: &Self) -> bool {
        Arc::ptr_eq(&self.0, &other.0)
    }
}
