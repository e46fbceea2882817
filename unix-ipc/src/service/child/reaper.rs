//! The one thread that waits for the children nobody holds any more.
//!
//! It starts with the first such child and ends with the last, and takes its descriptors with it.

use std::io;
use std::os::fd::{AsFd, OwnedFd};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use nix::poll::{PollFd, PollFlags};

use super::process::{DEBUGGER_PAUSE, reap};
use crate::deadline::Deadline;
use crate::sys::bell::{self, Bell};
use crate::sys::fork::Generation;
use crate::sys::{pidfd, thread, wait};

/// The name of the thread.
pub(super) const THREAD_NAME: &str = "unix-ipc-reaper";

/// A child that runs and that nobody holds.
#[derive(Debug)]
pub(super) struct Orphan {
    pidfd: OwnedFd,
    /// Open until the child is reaped; without it the kernel would kill the child at once.
    _liveness: Option<OwnedFd>,
    /// When its grace is over: never for a child that may run for ever, or that was killed.
    kill_at: Deadline,
    /// Its descriptor says that it has ended, but a debugger has it first.
    held_up: bool,
}

impl Orphan {
    pub(super) fn new(pidfd: OwnedFd, liveness: Option<OwnedFd>, kill_at: Deadline) -> Self {
        Self { pidfd, _liveness: liveness, kill_at, held_up: false }
    }

    /// Kills the child when its grace is over.
    fn kill_if_due(&mut self) {
        if self.kill_at.has_passed() {
            self.kill_at = Deadline::NEVER;
            // A process of another user cannot be killed; it is still reaped when it ends.
            let _ = pidfd::kill(self.pidfd.as_fd());
        }
    }

    /// Reaps the child, whose descriptor says that it has ended; false while a debugger has it first.
    fn reaped(&mut self) -> bool {
        self.held_up = reap(self.pidfd.as_fd()).is_none();
        !self.held_up
    }

    /// Kills the child and waits for its end.
    fn end_now(mut self) {
        // One that changed its user cannot be killed, and waiting for it could last for ever.
        if pidfd::kill(self.pidfd.as_fd()).is_err() {
            return;
        }
        while !(self.is_readable(Deadline::NEVER) && self.reaped()) {
            pause(DEBUGGER_PAUSE);
        }
    }

    fn is_readable(&self, until: Deadline) -> bool {
        wait::ready(self.pidfd.as_fd(), PollFlags::POLLIN, until).unwrap_or(false)
    }

    /// What the thread waits for: nothing more where the descriptor has said what it can say.
    fn events(&self) -> PollFlags {
        if self.held_up { PollFlags::empty() } else { PollFlags::POLLIN }
    }

    /// When there is something to do that no descriptor tells.
    fn next_look(&self) -> Deadline {
        if self.held_up { Deadline::after(DEBUGGER_PAUSE) } else { self.kill_at }
    }
}

/// What came in since the thread last looked, and how to make it look.
#[derive(Debug)]
pub(super) struct Desk {
    /// The process whose thread this is about: a copy of the process has a copy of the desk and no thread.
    generation: Option<Generation>,
    arrived: Vec<Orphan>,
    /// Rings for the thread; there is a thread as long as there is a bell.
    bell: Option<Bell>,
}

static DESK: Mutex<Desk> = Mutex::new(Desk { generation: None, arrived: Vec::new(), bell: None });

/// The process that first went to the desk, so that the lock is known to be held by a thread of it.
static OWNER: AtomicU64 = AtomicU64::new(0);

/// Takes a child over: kills it when it is time and reaps it when it ends. Does not block, unless
/// there is no thread to be had; then it kills the child and waits.
pub(super) fn adopt(orphan: Orphan) {
    let Some(mut desk) = desk() else { return orphan.end_now() };
    desk.arrived.push(orphan);
    if let Some(bell) = &desk.bell {
        return bell.ring();
    }
    if open_desk(&mut desk).is_err() {
        let unserved = std::mem::take(&mut desk.arrived);
        drop(desk);
        unserved.into_iter().for_each(Orphan::end_now);
    }
}

/// The desk of this process; `None` in a copy of a process that was forked while another thread
/// stood at the desk: nobody is left who could leave it.
pub(super) fn desk() -> Option<MutexGuard<'static, Desk>> {
    let here = Generation::current();
    let owner = OWNER.compare_exchange(0, here.number(), Ordering::Relaxed, Ordering::Relaxed);
    if owner.map_or_else(|owner| owner == here.number(), |_| true) {
        return Some(DESK.lock().unwrap_or_else(PoisonError::into_inner));
    }
    let mut desk = match DESK.try_lock() {
        Ok(desk) => desk,
        Err(std::sync::TryLockError::Poisoned(poisoned)) => poisoned.into_inner(),
        Err(std::sync::TryLockError::WouldBlock) => return None,
    };
    if desk.generation != Some(here) {
        // The children of the process this one is a copy of: closed here, waited for there.
        *desk = Desk { generation: Some(here), arrived: Vec::new(), bell: None };
    }
    OWNER.store(here.number(), Ordering::Relaxed);
    Some(desk)
}

/// Starts the thread.
fn open_desk(desk: &mut Desk) -> io::Result<()> {
    let bell = Bell::new()?;
    let listener = bell.listener()?;
    thread::spawn_without_signals(THREAD_NAME, move || serve(&listener))?;
    desk.generation = Some(Generation::current());
    desk.bell = Some(bell);
    Ok(())
}

/// The thread: until no child is left.
fn serve(listener: &OwnedFd) {
    let mut orphans = Vec::new();
    while take_arrived(&mut orphans) {
        let mut readable = wait_for_one(listener, &orphans).into_iter();
        bell::hear(listener.as_fd());
        orphans.retain_mut(|orphan| !(readable.next().unwrap_or(false) && orphan.reaped()));
        orphans.iter_mut().for_each(Orphan::kill_if_due);
    }
}

/// Takes what has come in. False when there is nothing left to do; the desk is closed then, under
/// the lock, so that whoever comes next finds it so and opens it again.
fn take_arrived(orphans: &mut Vec<Orphan>) -> bool {
    let mut desk = DESK.lock().unwrap_or_else(PoisonError::into_inner);
    orphans.append(&mut desk.arrived);
    if orphans.is_empty() {
        desk.bell = None;
    }
    desk.bell.is_some()
}

/// Waits until a child has ended, one is to be killed, or the bell rings; says of each child
/// whether it may be reaped.
fn wait_for_one(listener: &OwnedFd, orphans: &[Orphan]) -> Vec<bool> {
    let mut fds = vec![PollFd::new(listener.as_fd(), PollFlags::POLLIN)];
    fds.extend(orphans.iter().map(|orphan| PollFd::new(orphan.pidfd.as_fd(), orphan.events())));
    let until = orphans.iter().map(Orphan::next_look).fold(Deadline::NEVER, Deadline::min);
    if wait::wait(&mut fds, until).is_err() {
        // There may be no more of them at once than the process may have descriptors, and that
        // limit can be lowered at any time.
        pause(ONE_BY_ONE_PAUSE);
        return orphans.iter().map(|orphan| orphan.is_readable(Deadline::now())).collect();
    }
    let ended = fds.iter().skip(1).map(|fd| fd.any().unwrap_or(false));
    ended.zip(orphans).map(|(ended, orphan)| ended || orphan.held_up).collect()
}

/// The pause between two rounds of looking at each child on its own.
const ONE_BY_ONE_PAUSE: Duration = Duration::from_millis(10);

fn pause(time: Duration) {
    // Nothing to wait for but the time; an error only makes it shorter.
    let _ = wait::wait(&mut [], Deadline::after(time));
}
