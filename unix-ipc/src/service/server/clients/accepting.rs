//! Taking clients in: what comes of a listener that has something.

use std::io;
use std::sync::Arc;
use std::time::{Duration, Instant};

use nix::errno::Errno;
use nix::sys::epoll::{EpollEvent, EpollFlags};

use super::super::super::connection::Listener;
use super::super::super::error::ServeError;
use super::super::super::task::Task;
use super::super::session::Session;
use super::super::turn::{Client, Turn};
use super::{Clients, LISTENER};
use crate::sync::lock;

/// How long a listener is left alone when there is no room for a client: nothing says when there is room.
const PAUSE: Duration = Duration::from_millis(50);

impl Clients<'_> {
    pub(super) fn accept<T: Task>(&self, turn: &mut Turn) -> Result<(), ServeError> {
        let Some(listener) = self.listener else { return Ok(()) };
        let accepted = listener.try_accept();
        match accepted
            .and_then(|link| link.map_or(Ok(()), |link| self.add(turn, Session::new::<T>(Arc::new(link)))))
        {
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

    pub(super) fn add(&self, turn: &mut Turn, session: Arc<Session>) -> io::Result<()> {
        let client = Client { token: turn.new_token(), session };
        client.session.flush_by_epoll(Arc::clone(&self.epoll), client.token)?;
        turn.add(client);
        Ok(())
    }

    fn pause_listening(&self, listener: &Listener) -> io::Result<()> {
        *lock(&self.paused) = Some(Instant::now() + PAUSE);
        self.epoll.modify(listener, &mut EpollEvent::new(EpollFlags::empty(), LISTENER))?;
        Ok(())
    }

    /// Looks at the listener again when its pause is over, and says how long a wait may take.
    pub(super) fn resume_listening(&self) -> io::Result<Option<Duration>> {
        let mut paused = lock(&self.paused);
        let (Some(listener), Some(until)) = (self.listener, *paused) else { return Ok(None) };
        let left = until.saturating_duration_since(Instant::now());
        if !left.is_zero() {
            return Ok(Some(left));
        }
        *paused = None;
        self.epoll.modify(listener, &mut EpollEvent::new(EpollFlags::EPOLLIN, LISTENER))?;
        Ok(None)
    }
}

/// Whether the system has no room for one more client now: descriptors, memory, or epoll's own limit (`ENOSPC`).
fn is_out_of_room(error: &io::Error) -> bool {
    let errno = error.raw_os_error().map(Errno::from_raw);
    matches!(errno, Some(Errno::EMFILE | Errno::ENFILE | Errno::ENOMEM | Errno::ENOBUFS | Errno::ENOSPC))
}
