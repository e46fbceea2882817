//! Taking clients in: what comes of a listener that has something.

use std::collections::BTreeMap;
use std::io;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::{Duration, Instant};

use nix::errno::Errno;
use nix::sys::epoll::{EpollEvent, EpollFlags};

use super::super::super::connection::Listener;
use super::super::super::error::ServeError;
use super::super::super::task::Task;
use super::super::session::Session;
use super::super::turn::{Client, Turn};
use super::{Clients, LISTENER};
use crate::deadline::Deadline;
use crate::error::LimitExceeded;
use crate::sync::lock;

/// How long a listener is left alone when there is no room for a client: nothing says when there is room.
const PAUSE: Duration = Duration::from_millis(50);

/// What there is to know of clients that have just come, or cannot.
#[derive(Debug, Default)]
pub(super) struct Door {
    /// When to look at the listener again.
    paused: Option<Instant>,
    /// Those that have not introduced themselves, and some that have since. Their numbers count up, so that the first is
    /// the one that came first.
    strangers: BTreeMap<u64, Arc<Session>>,
}

impl Door {
    /// The stranger that came first.
    fn first_stranger(&mut self) -> Option<Client> {
        loop {
            let first = self.strangers.first_entry()?;
            if !first.get().has_met() {
                return Some(Client { token: *first.key(), session: Arc::clone(first.get()) });
            }
            first.remove();
        }
    }
}

impl Clients<'_> {
    pub(super) fn accept<T: Task>(&self, turn: &mut Turn) -> Result<(), ServeError> {
        let Some(listener) = self.listener else { return Ok(()) };
        let accepted = listener.try_accept().and_then(|link| match link {
            Some(link) if self.has_room(turn, listener) => self.add(turn, Session::new::<T>(Arc::new(link))),
            Some(link) => {
                link.refuse(too_many(listener));
                Ok(())
            }
            None => Ok(()),
        });
        match accepted {
            Ok(()) => Ok(()),
            Err(_) if listener.is_closed() => {
                self.stop();
                turn.sessions().for_each(|session| session.hang_up());
                Ok(())
            }
            Err(error) if is_out_of_room(&error) => Ok(self.pause_listening(listener)?),
            Err(error) => Err(error.into()),
        }
    }

    /// Whether one more may come. Where as many are there as may be, the stranger that came first has to go, or else a client that is
    /// gone although its socket does not say so.
    fn has_room(&self, turn: &mut Turn, listener: &Listener) -> bool {
        if turn.count() < listener.limits().clients {
            return true;
        }
        let stranger = lock(&self.door).first_stranger();
        if let Some(stranger) = stranger {
            stranger.session.refuse(too_many(listener));
            self.forget(turn, &stranger);
            return true;
        }
        let Some(dead) = turn.find_dead(listener.limits().handshake) else { return false };
        dead.session.hang_up();
        self.forget(turn, &dead);
        true
    }

    pub(super) fn add(&self, turn: &mut Turn, session: Arc<Session>) -> io::Result<()> {
        let client = Client { token: turn.new_token(), session };
        client.session.flush_by_epoll(Arc::clone(&self.epoll), Arc::clone(&self.waker), client.token)?;
        if client.session.introduction_deadline().is_some() {
            self.expect_introduction(&client);
        }
        turn.add(client);
        Ok(())
    }

    /// From now on a client's time to introduce itself counts.
    fn expect_introduction(&self, client: &Client) {
        let mut door = lock(&self.door);
        let is_first = door.strangers.is_empty();
        door.strangers.insert(client.token, Arc::clone(&client.session));
        drop(door);
        // A thread that waits for the sockets may do so without end.
        if is_first && self.idle.load(Ordering::SeqCst) > 0 {
            self.waker.wake();
        }
    }

    /// Whether the time of a stranger may be over, so that whoever has the turn has to see to it.
    #[inline]
    pub(super) fn is_late(&self) -> bool {
        self.is_late.load(Ordering::Relaxed)
    }

    /// Hangs up on strangers whose time is over. Where the only client is one, serving is over.
    #[inline]
    pub(super) fn hang_up_on_the_silent<T: Task>(&self, turn: &mut Turn) -> Result<(), ServeError> {
        if self.is_late() { self.look_at_the_silent::<T>(turn) } else { Ok(()) }
    }

    #[cold]
    fn look_at_the_silent<T: Task>(&self, turn: &mut Turn) -> Result<(), ServeError> {
        self.is_late.store(false, Ordering::Relaxed);
        loop {
            let Some(stranger) = lock(&self.door).first_stranger() else { return Ok(()) };
            let deadline = stranger.session.introduction_deadline().unwrap_or(Deadline::NEVER);
            if !deadline.has_passed() {
                return Ok(());
            }
            stranger.session.link().check()?;
            match stranger.session.wait_for_introduction::<T>(deadline, None) {
                Ok(true) if stranger.session.has_ring() => self.look_at(turn, &stranger),
                Ok(true) => {}
                Ok(false) => self.remove(turn, &stranger, Ok(()))?,
                Err(error) => self.remove(turn, &stranger, Err(error))?,
            }
        }
    }

    /// Nothing more is heard of a client.
    pub(super) fn forget(&self, turn: &mut Turn, client: &Client) {
        client.session.flush_by_nobody();
        let _ = self.epoll.delete(&*client.session);
        turn.remove(client.token);
        lock(&self.door).strangers.remove(&client.token);
    }

    fn pause_listening(&self, listener: &Listener) -> io::Result<()> {
        lock(&self.door).paused = Some(Instant::now() + PAUSE);
        self.epoll.modify(listener, &mut EpollEvent::new(EpollFlags::empty(), LISTENER))?;
        Ok(())
    }

    /// Looks at the listener again when its pause is over, and says how long a wait may take: until then, or until a stranger's time is
    /// over.
    pub(super) fn see_to_door(&self) -> io::Result<Option<Duration>> {
        let mut door = lock(&self.door);
        let introduction =
            door.first_stranger().and_then(|first| first.session.introduction_deadline()?.left());
        if introduction == Some(Duration::ZERO) {
            self.is_late.store(true, Ordering::Relaxed);
        }
        let (Some(listener), Some(until)) = (self.listener, door.paused) else { return Ok(introduction) };
        let left = until.saturating_duration_since(Instant::now());
        if !left.is_zero() {
            return Ok(Some(introduction.map_or(left, |time| time.min(left))));
        }
        door.paused = None;
        self.epoll.modify(listener, &mut EpollEvent::new(EpollFlags::EPOLLIN, LISTENER))?;
        Ok(introduction)
    }
}

fn too_many(listener: &Listener) -> LimitExceeded {
    LimitExceeded::Clients { limit: listener.limits().clients as u64 }
}

/// Whether the system has no room for one more client now: descriptors, memory, or epoll's own limit (`ENOSPC`).
fn is_out_of_room(error: &io::Error) -> bool {
    let errno = error.raw_os_error().map(Errno::from_raw);
    matches!(errno, Some(Errno::EMFILE | Errno::ENFILE | Errno::ENOMEM | Errno::ENOBUFS | Errno::ENOSPC))
}
