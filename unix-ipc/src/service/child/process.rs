use std::fs;
use std::io;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use nix::poll::PollFlags;

use super::PeerExit;
use super::reaper::{self, Orphan};
use crate::deadline::Deadline;
use crate::sys::fork::Generation;
use crate::sys::pidfd::{self, Reaped};
use crate::sys::wait;

/// How long the status of a child may come after the end of its connection: the kernel closes descriptors
/// first, by up to a few milliseconds.
pub(crate) const EXIT_WAIT: Duration = Duration::from_millis(50);

/// The same for a child that is known to be ending: on a busy machine others run before it has ended. A program whose
/// first thread alone has ended looks the same and never does, so the wait is bounded.
const ENDING_WAIT: Duration = Duration::from_secs(1);

/// The kernel's flag for a thread that is ending (include/linux/sched.h).
const PF_EXITING: u64 = 0x4;

/// A child process, until it is reaped.
///
/// Dropped, a child that still runs has its grace to end by itself, is killed then, and is reaped
/// whenever it ends; the drop does not wait. Hang up on it first. In a copy of the process that
/// started it (`fork` without `exec`) the drop closes descriptors and does nothing to the child.
#[derive(Debug)]
pub(crate) struct Child {
    pid: u32,
    /// None for a child that was gone, and reaped by somebody else, before it could be opened.
    pidfd: Option<OwnedFd>,
    /// What keeps the kernel from killing the child; closed with this value or by the reaper.
    liveness: Option<OwnedFd>,
    grace: Duration,
    /// How it ended, once it is reaped. Locked while reaping: a second `waitid` would find nothing.
    outcome: Mutex<Option<PeerExit>>,
    parent: Generation,
    /// Whether it may run on when this is dropped.
    released: AtomicBool,
}

impl Child {
    pub(super) fn new(pid: u32, pidfd: Option<OwnedFd>, liveness: Option<OwnedFd>, grace: Duration) -> Self {
        let outcome = Mutex::new(pidfd.is_none().then_some(PeerExit::Unknown));
        Self {
            pid,
            pidfd,
            liveness,
            grace,
            outcome,
            parent: Generation::current(),
            released: AtomicBool::new(false),
        }
    }

    /// The number the child was started under; once it is reaped another process may get it.
    pub(crate) fn pid(&self) -> u32 {
        self.pid
    }

    /// Readable once the child has ended; `None` when it had before it could be opened.
    pub(crate) fn pidfd(&self) -> Option<BorrowedFd<'_>> {
        self.pidfd.as_ref().map(AsFd::as_fd)
    }

    /// Waits at most so long for the child to end, reaps it, and says how it ended; `None` when it
    /// still runs. Always the same answer once there is one, to any thread.
    pub(crate) fn exit(&self, at_most: Duration) -> Option<PeerExit> {
        let Some(pidfd) = self.pidfd() else { return Some(PeerExit::Unknown) };
        if let Some(known) = *self.outcome() {
            return Some(known);
        }
        let until = Deadline::after(at_most);
        loop {
            // An error (no memory) is as good as no answer.
            if !wait::ready(pidfd, PollFlags::POLLIN, until).unwrap_or(false) {
                return None;
            }
            if let Some(exit) = self.reap(pidfd) {
                return Some(exit);
            }
            if until.has_passed() {
                return None;
            }
            nap(until);
        }
    }

    /// How a child ended whose end of the connection was closed a moment ago; `None` when it runs on.
    pub(crate) fn exit_after_hang_up(&self) -> Option<PeerExit> {
        self.exit(EXIT_WAIT).or_else(|| if self.is_ending() { self.exit(ENDING_WAIT) } else { None })
    }

    /// Whether the child has closed its descriptors, or is about to, on its way out.
    fn is_ending(&self) -> bool {
        // proc(5): the flags are the seventh field behind the name, which is in parentheses and may hold anything.
        let flags = |stat: &str| stat.rsplit_once(')')?.1.split_whitespace().nth(6)?.parse::<u64>().ok();
        let stat = fs::read_to_string(format!("/proc/{}/stat", self.pid));
        stat.ok().and_then(|stat| flags(&stat)).is_some_and(|flags| flags & PF_EXITING != 0)
    }

    /// How long it has to end by itself after the hang-up.
    pub(crate) fn grace(&self) -> Duration {
        self.grace
    }

    /// Kills the child, whatever it does; one that has ended is no error.
    pub(crate) fn kill(&self) -> io::Result<()> {
        self.pidfd().map_or(Ok(()), pidfd::kill)
    }

    /// Leaves the child running for as long as it likes, also when this is dropped; it is reaped in the
    /// background when it ends.
    ///
    /// It still ends with this process, unless it was started without a liveness pipe.
    pub(crate) fn release(&self) {
        self.released.store(true, Ordering::Relaxed);
    }

    /// Reaps the child, whose descriptor says that it has ended; `None` while that is not possible.
    fn reap(&self, pidfd: BorrowedFd<'_>) -> Option<PeerExit> {
        let mut outcome = self.outcome();
        if outcome.is_none() {
            *outcome = reap(pidfd);
        }
        *outcome
    }

    fn outcome(&self) -> std::sync::MutexGuard<'_, Option<PeerExit>> {
        self.outcome.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Gives a child that still runs to the reaper.
    fn hand_over(&mut self, kill_at: Deadline) {
        if !self.parent.is_current() || self.exit(Duration::ZERO).is_some() {
            return;
        }
        if let Some(pidfd) = self.pidfd.take() {
            reaper::adopt(Orphan::new(pidfd, self.liveness.take(), kill_at));
        }
    }
}

impl Drop for Child {
    fn drop(&mut self) {
        let released = self.released.load(Ordering::Relaxed);
        self.hand_over(if released { Deadline::NEVER } else { Deadline::after(self.grace) });
    }
}

/// Reaps a child that has ended.
///
/// `None` while a debugger that traces it has not let it go; its descriptor is readable all the same.
pub(super) fn reap(pidfd: BorrowedFd<'_>) -> Option<PeerExit> {
    match pidfd::reap(pidfd) {
        Ok(Reaped::Ended(status)) => Some(status.into()),
        Ok(Reaped::NotYet) => None,
        Ok(Reaped::Elsewhere) | Err(_) => {
            Some(pidfd::status_of_reaped(pidfd).map_or(PeerExit::Unknown, PeerExit::from))
        }
    }
}

/// The pause before looking again at a child that a debugger has first: nothing tells when it is done.
pub(super) const DEBUGGER_PAUSE: Duration = Duration::from_millis(1);

fn nap(until: Deadline) {
    let until = Deadline::after(DEBUGGER_PAUSE).min(until);
    // Nothing to wait for but the time; an error only means looking again at once.
    let _ = wait::wait(&mut [], until);
}
