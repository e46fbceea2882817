use std::collections::HashMap;
use std::io;
use std::os::fd::AsFd;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use nix::errno::Errno;
use nix::sys::epoll::{Epoll, EpollCreateFlags, EpollEvent, EpollFlags, EpollTimeout};

use super::super::connection::{Connection, Link, Listener};
use super::super::error::ServeError;
use super::super::task::Task;
use super::session::{Session, Step};
use crate::error::RecvError;
use crate::sync::lock;

/// The listener's number in the epoll instance; clients have the ones behind it.
const LISTENER: u64 = 0;

/// How long a listener is left alone when there is no room for a client: nothing says when there is room.
const PAUSE: Duration = Duration::from_millis(50);

/// The clients of one server, and the listener where more can come.
///
/// Epoll, because a thread that answers one client can ask for room on its behalf while another thread waits.
#[derive(Debug)]
pub(super) struct Clients<'l> {
    epoll: Arc<Epoll>,
    listener: Option<&'l Listener>,
    sessions: Mutex<Sessions>,
    stopped: AtomicBool,
    /// When to look at the listener again.
    paused: Mutex<Option<Instant>>,
}

#[derive(Debug, Default)]
struct Sessions {
    by_token: HashMap<u64, Arc<Session>>,
    last: u64,
}

impl<'l> Clients<'l> {
    /// The one client at the other end of a connection.
    pub(super) fn of_connection<T: Task>(connection: Connection) -> io::Result<Self> {
        let clients = Self::new(None)?;
        let link = connection.into_link();
        link.check()?;
        clients.add::<T>(link)?;
        Ok(clients)
    }

    /// Whoever connects to a listener.
    pub(super) fn of_listener(listener: &'l Listener) -> io::Result<Self> {
        let clients = Self::new(Some(listener))?;
        clients.epoll.add(listener, EpollEvent::new(EpollFlags::EPOLLIN, LISTENER))?;
        Ok(clients)
    }

    fn new(listener: Option<&'l Listener>) -> io::Result<Self> {
        Ok(Self {
            epoll: Arc::new(Epoll::new(EpollCreateFlags::EPOLL_CLOEXEC)?),
            listener,
            sessions: Mutex::default(),
            stopped: AtomicBool::new(false),
            paused: Mutex::new(None),
        })
    }

    /// Waits for the next call of any client: `None` when there will be none. By turns: a client that has been
    /// heard goes to the end of epoll's list.
    pub(super) fn next_task<T: Task>(&self) -> Result<Option<T>, ServeError> {
        while !self.stopped.load(Ordering::SeqCst) {
            let Some((token, events)) = self.wait()? else { continue };
            if token == LISTENER {
                self.accept::<T>()?;
                continue;
            }
            let Some(session) = lock(&self.sessions).by_token.get(&token).cloned() else { continue };
            if let Some(task) = self.hear(token, &session, events)? {
                return Ok(Some(task));
            }
        }
        Ok(None)
    }

    /// Lets every thread that asks for the next call go home.
    pub(super) fn stop(&self) {
        self.stopped.store(true, Ordering::SeqCst);
    }

    fn wait(&self) -> io::Result<Option<(u64, EpollFlags)>> {
        let timeout = self.resume_listening()?;
        let mut events = [EpollEvent::empty()];
        match self.epoll.wait(&mut events, timeout) {
            Ok(0) => Ok(None),
            Ok(_) => Ok(Some((events[0].data(), events[0].events()))),
            Err(Errno::EINTR) => Ok(None),
            Err(errno) => Err(errno.into()),
        }
    }

    /// Reads one message of a client that has something, or sends what waits for it.
    fn hear<T: Task>(
        &self,
        token: u64,
        session: &Arc<Session>,
        events: EpollFlags,
    ) -> Result<Option<T>, ServeError> {
        // A copy of the process must not touch what it shares with the original, the epoll instance included.
        session.link().check()?;
        if session.has_queue() || events.contains(EpollFlags::EPOLLOUT) {
            // Not read from until it has read what waits for it.
            if session.flush()? {
                self.listen_to(token, session)?;
            }
            return Ok(None);
        }
        match session.step::<T>() {
            Ok(Step::Task(task)) => Ok(Some(task)),
            Ok(Step::Handled | Step::Nothing | Step::Unreadable(_)) if !session.has_ended() => Ok(None),
            Ok(_) => self.remove(token, session, Ok(())),
            Err(error) => self.remove(token, session, Err(error)),
        }
    }

    fn accept<T: Task>(&self) -> Result<(), ServeError> {
        let Some(listener) = self.listener else { return Ok(()) };
        let accepted = listener.try_accept();
        match accepted.and_then(|link| link.map_or(Ok(()), |link| self.add::<T>(Arc::new(link)))) {
            Ok(()) => Ok(()),
            Err(_) if listener.is_closed() => {
                self.stop();
                self.hang_up_all();
                Ok(())
            }
            Err(error) if is_out_of_room(&error) => Ok(self.pause_listening(listener)?),
            Err(error) => Err(error.into()),
        }
    }

    fn add<T: Task>(&self, link: Arc<Link>) -> io::Result<()> {
        let session = Session::without_rings::<T>(link);
        let mut sessions = lock(&self.sessions);
        sessions.last += 1;
        let token = sessions.last;
        session.flush_by_epoll(Arc::clone(&self.epoll), token);
        self.epoll.add(&*session, EpollEvent::new(EpollFlags::EPOLLIN, token))?;
        sessions.by_token.insert(token, session);
        Ok(())
    }

    /// A client is gone, or was hung up on. Where it is the only one there can be, serving is over.
    fn remove<T>(
        &self,
        token: u64,
        session: &Arc<Session>,
        reason: Result<(), RecvError>,
    ) -> Result<Option<T>, ServeError> {
        let _ = self.epoll.delete(&**session);
        session.flush_by_nobody();
        lock(&self.sessions).by_token.remove(&token);
        if self.listener.is_some() {
            return Ok(None);
        }
        self.stop();
        Ok(reason.map(|()| None)?)
    }

    /// Waits for calls again. A reply that another thread had to queue meanwhile may have asked for room before
    /// this took the request back, so the queue is looked at once more.
    fn listen_to(&self, token: u64, session: &Session) -> io::Result<()> {
        self.epoll.modify(session.as_fd(), &mut EpollEvent::new(EpollFlags::EPOLLIN, token))?;
        if session.has_queue() {
            self.epoll.modify(session.as_fd(), &mut EpollEvent::new(EpollFlags::EPOLLOUT, token))?;
        }
        Ok(())
    }

    fn hang_up_all(&self) {
        for session in lock(&self.sessions).by_token.values() {
            session.hang_up();
        }
    }

    fn pause_listening(&self, listener: &Listener) -> io::Result<()> {
        *lock(&self.paused) = Some(Instant::now() + PAUSE);
        self.epoll.modify(listener, &mut EpollEvent::new(EpollFlags::empty(), LISTENER))?;
        Ok(())
    }

    /// Looks at the listener again when its pause is over, and says how long a wait may take.
    fn resume_listening(&self) -> io::Result<EpollTimeout> {
        let mut paused = lock(&self.paused);
        let (Some(listener), Some(until)) = (self.listener, *paused) else { return Ok(EpollTimeout::NONE) };
        let left = until.saturating_duration_since(Instant::now());
        if !left.is_zero() {
            // A millisecond more, because the timeout is cut to whole ones.
            return Ok(EpollTimeout::try_from(left + Duration::from_millis(1)).unwrap_or(EpollTimeout::ZERO));
        }
        *paused = None;
        self.epoll.modify(listener, &mut EpollEvent::new(EpollFlags::EPOLLIN, LISTENER))?;
        Ok(EpollTimeout::NONE)
    }
}

/// Whether the system has no room for one more client now: descriptors, memory, or epoll's own limit (`ENOSPC`).
fn is_out_of_room(error: &io::Error) -> bool {
    let errno = error.raw_os_error().map(Errno::from_raw);
    matches!(errno, Some(Errno::EMFILE | Errno::ENFILE | Errno::ENOMEM | Errno::ENOBUFS | Errno::ENOSPC))
}
