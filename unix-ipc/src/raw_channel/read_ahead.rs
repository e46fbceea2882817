//! Messages that were read before anybody asked for them, and the descriptor that says that they are there.

use std::collections::VecDeque;
use std::io;
use std::os::fd::OwnedFd;
use std::sync::Arc;

use nix::sys::epoll::{Epoll, EpollCreateFlags, EpollEvent, EpollFlags};
use nix::sys::eventfd::{EfdFlags, EventFd};

use super::Message;
use crate::socket::Socket;

/// Values that were in a lane when it was closed.
#[derive(Debug, Default)]
pub(super) struct ReadAhead {
    values: VecDeque<Vec<u8>>,
    /// What has to be lowered when there are none any more.
    raised: Option<Arc<Shown>>,
}

/// A descriptor that is readable when the socket is, or when there is something that is not in the socket any more.
#[derive(Debug)]
pub(super) struct Shown {
    both: Arc<OwnedFd>,
    flag: EventFd,
}

impl ReadAhead {
    pub(super) fn pop(&mut self) -> Option<Message> {
        let value = self.values.pop_front()?;
        if self.values.is_empty()
            && let Some(shown) = self.raised.take()
        {
            shown.lower();
        }
        Some(Message::value(value))
    }

    #[cfg(feature = "serde")]
    pub(super) fn extend(&mut self, values: Vec<Vec<u8>>) {
        self.values.extend(values);
    }

    /// All of them, which stay here as well.
    #[cfg(feature = "serde")]
    pub(super) fn values(&self) -> Vec<Vec<u8>> {
        self.values.iter().cloned().collect()
    }

    /// What to show in the place of the socket: `None` where that is as good.
    pub(super) fn show(&mut self, socket: &Socket) -> Option<Arc<Shown>> {
        if self.values.is_empty() {
            return None;
        }
        // Without room for two descriptors the next packet says that there is something.
        let shown = Arc::new(Shown::raised(socket).ok()?);
        self.raised = Some(Arc::clone(&shown));
        Some(shown)
    }
}

impl Shown {
    fn raised(socket: &Socket) -> io::Result<Self> {
        let flag = EventFd::from_value_and_flags(1, EfdFlags::EFD_CLOEXEC | EfdFlags::EFD_NONBLOCK)?;
        let both = Epoll::new(EpollCreateFlags::EPOLL_CLOEXEC)?;
        both.add(socket, EpollEvent::new(EpollFlags::EPOLLIN, 0))?;
        both.add(&flag, EpollEvent::new(EpollFlags::EPOLLIN, 1))?;
        Ok(Self { both: Arc::new(both.0), flag })
    }

    pub(super) fn descriptor(&self) -> &Arc<OwnedFd> {
        &self.both
    }

    /// It is readable where the socket is.
    fn lower(&self) {
        // It was raised, and is lowered once.
        let _ = self.flag.read();
    }
}
