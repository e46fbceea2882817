//! What a session sends: at once where there is room, and later by whoever hears that there is some.

use std::io;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::sync::Arc;
use std::sync::atomic::Ordering;

use nix::poll::{PollFd, PollFlags};
use nix::sys::epoll::{Epoll, EpollEvent, EpollFlags};

use super::super::outbox::{Outbox, Put};
use super::super::waker::Waker;
use super::Session;
use crate::codec::{Encoder, Failure};
use crate::deadline::Deadline;
use crate::error::SendError;
use crate::frame::Kind;
use crate::raw_channel::{Parts, look_often};
use crate::sync::{lock, this_thread};
use crate::sys::wait::wait;

/// The epoll instance that watches a session's socket.
#[derive(Debug)]
pub(super) struct Watch {
    epoll: Arc<Epoll>,
    waker: Arc<Waker>,
    /// What the instance knows the session by.
    token: u64,
    /// What it says: that there is something to read, or that there is room.
    events: EpollFlags,
}

impl Session {
    /// Sends a message, or leaves it to the flusher; a thread that has none waits until it is sent.
    #[inline]
    pub(in super::super) fn put(
        &self,
        kind: Kind,
        id: u64,
        message: &mut Encoder<'_>,
        descriptors: Vec<Arc<OwnedFd>>,
    ) -> Result<(), SendError> {
        self.link.check().map_err(|source| SendError::Io { value: (), source })?;
        let most = self.link.limits().queued_reply_bytes;
        let mut outbox = lock(&self.outbox);
        match outbox.put(self.link.socket(), (kind, id), message, descriptors, most) {
            Ok(Put::Sent) => Ok(()),
            Ok(Put::Queued) => {
                self.has_queue.store(true, Ordering::SeqCst);
                drop(outbox);
                self.see_to_queue();
                Ok(())
            }
            Err(error) => {
                if outbox.is_closed() {
                    self.link.hang_up();
                }
                Err(error)
            }
        }
    }

    /// Sends a message if there is room for all of it now.
    pub(in super::super) fn try_put(
        &self,
        kind: Kind,
        id: u64,
        body: Parts<'_>,
        descriptors: &[Arc<OwnedFd>],
    ) -> Result<(), SendError> {
        self.link.check().map_err(|source| SendError::Io { value: (), source })?;
        lock(&self.outbox).try_put(self.link.socket(), (kind, id), body, descriptors)
    }

    /// Sees to it that what waits is sent. The message is on its way, so that its failure is the connection's.
    fn see_to_queue(&self) {
        if self.reader.load(Ordering::Relaxed) == this_thread() {
            return;
        }
        let seen_to = self.watch_for_room().and_then(|watched| match watched {
            Some(_) => Ok(()),
            None => self.flush_waiting(),
        });
        if seen_to.is_err() {
            self.hang_up();
        }
    }

    /// Sees to it that somebody runs what was read before its turn.
    pub(super) fn see_to_ahead(&self) {
        if self.reader.load(Ordering::Relaxed) != this_thread() && self.watch_for_room().is_err() {
            self.hang_up();
        }
    }

    /// Has the epoll instance say when there is room for what waits, and where nothing waits, when there is something to
    /// read; and wakes somebody where there is something that was read already. What it says, if there is such an instance.
    ///
    /// A ring's room is told by a bell, which is something to read. All of this is done under the outbox's lock, so that the
    /// instance is last told of what is first in the queue.
    fn watch_for_room(&self) -> io::Result<Option<EpollFlags>> {
        let mut outbox = lock(&self.outbox);
        let mut watch = lock(&self.watch);
        let Some(watch) = &mut *watch else { return Ok(None) };
        let events = if outbox.is_empty() {
            if self.link.has_ahead() {
                // That the socket has room would say nothing: it says so only when most of what is unread there has been read.
                watch.waker.wake_for(watch.token);
            }
            EpollFlags::EPOLLIN
        } else {
            match outbox.want_room() {
                Ok(Some(true)) => EpollFlags::EPOLLIN,
                Ok(Some(false) | None) => EpollFlags::EPOLLOUT,
                Err(_) => {
                    // The client wrote nonsense to shared memory. Whoever reads sees it hung up.
                    self.close(&mut outbox);
                    self.link.hang_up();
                    EpollFlags::EPOLLIN
                }
            }
        };
        if watch.events != events {
            watch.epoll.modify(self.link.socket().as_fd(), &mut EpollEvent::new(events, watch.token))?;
            watch.events = events;
        }
        Ok(Some(events))
    }

    /// Sends what waits, and has the epoll instance say when there is room for the rest: whether there is none, and what it
    /// will say.
    pub(in super::super) fn flush_soon(&self) -> io::Result<(bool, Option<EpollFlags>)> {
        let is_empty = self.flush()?;
        Ok((is_empty, self.watch_for_room()?))
    }

    /// Sends what waits, and waits for room itself.
    pub(in super::super) fn flush_waiting(&self) -> io::Result<()> {
        self.flush_or_hear(None)
    }

    /// The same, or until this descriptor is readable.
    pub(in super::super) fn flush_or_hear(&self, stop: Option<BorrowedFd<'_>>) -> io::Result<()> {
        let is_stopped = |events| {
            let Some(stop) = stop else { return Ok(false) };
            let stop = PollFd::new(stop, PollFlags::POLLIN);
            let mut waited = [PollFd::new(self.link.socket().as_fd(), events), stop];
            wait(&mut waited, Deadline::NEVER)?;
            Ok::<_, io::Error>(waited[1].any().unwrap_or(true))
        };
        let mut before = None;
        while !self.flush()? {
            // A ring with room is of no use while the socket has none for a reply's descriptors.
            let progress = lock(&self.outbox).progress();
            let is_stuck = before.replace(progress) == Some(progress);
            if !is_stuck && look_often(|| lock(&self.outbox).look_for_room())? {
                continue;
            }
            let wants_room = lock(&self.outbox).want_room();
            match wants_room? {
                Some(true) if is_stopped(PollFlags::POLLIN)? => return Ok(()),
                Some(true) => {
                    if !self.link.wait_for_bell()? {
                        self.give_up_queue();
                    }
                }
                Some(false) | None if is_stopped(PollFlags::POLLOUT)? => return Ok(()),
                Some(false) | None => drop(self.link.wait(PollFlags::POLLOUT, Deadline::NEVER)?),
            }
        }
        Ok(())
    }

    /// Nobody reads what waits. The thread that reads finds out why: a client that has moved goes on.
    fn give_up_queue(&self) {
        if self.reader.load(Ordering::Relaxed) == this_thread() {
            self.clear_queue();
        } else {
            self.drop_queue();
        }
    }

    /// Takes nothing more, and drops what waits.
    pub(super) fn drop_queue(&self) {
        self.close(&mut lock(&self.outbox));
    }

    fn close(&self, outbox: &mut Outbox) {
        outbox.close();
        self.has_queue.store(false, Ordering::SeqCst);
    }

    /// Drops what waits.
    pub(super) fn clear_queue(&self) {
        self.clear(&mut lock(&self.outbox));
    }

    pub(super) fn clear(&self, outbox: &mut Outbox) {
        outbox.clear();
        self.has_queue.store(false, Ordering::SeqCst);
    }

    /// Sends what waits, for as long as there is room: true where nothing waits any more.
    pub(in super::super) fn flush(&self) -> io::Result<bool> {
        while self.has_queue() {
            let mut outbox = lock(&self.outbox);
            let flushed = outbox.flush(self.link.socket());
            self.has_queue.store(!outbox.is_empty(), Ordering::SeqCst);
            match flushed {
                Ok(None) => return Ok(outbox.is_empty()),
                Ok(Some(undeliverable)) => {
                    drop(outbox);
                    self.fail(undeliverable.id, &Failure::Refused(undeliverable.limit));
                }
                Err(_) => {
                    // Who waits for a reply that cannot be sent is not to wait for ever.
                    self.close(&mut outbox);
                    self.link.hang_up();
                }
            }
        }
        Ok(true)
    }

    /// Since when the client has read nothing of what waits for it: `None` where nothing waits.
    pub(in super::super) fn deaf_since(&self) -> Option<Deadline> {
        // It may have read since somebody last heard of room.
        self.flush_soon().ok()?;
        lock(&self.outbox).stuck_since()
    }

    #[inline]
    pub(in super::super) fn has_queue(&self) -> bool {
        self.has_queue.load(Ordering::SeqCst)
    }

    /// From now on this thread sends what has to wait, between two calls.
    pub(in super::super) fn flush_by_this_thread(&self) {
        let this = this_thread();
        if self.reader.load(Ordering::Relaxed) != this {
            self.reader.store(this, Ordering::Relaxed);
        }
    }

    /// From now on whoever has to wait does so itself.
    pub(in super::super) fn flush_by_nobody(&self) {
        self.reader.store(0, Ordering::Relaxed);
        *lock(&self.watch) = None;
    }

    /// From now on the instance watches the socket, and whoever hears from it that there is room sends what has to wait.
    pub(in super::super) fn flush_by_epoll(
        &self,
        epoll: Arc<Epoll>,
        waker: Arc<Waker>,
        token: u64,
    ) -> io::Result<()> {
        let events = EpollFlags::EPOLLIN;
        epoll.add(self.link.socket(), EpollEvent::new(events, token))?;
        *lock(&self.watch) = Some(Watch { epoll, waker, token, events });
        Ok(())
    }
}
