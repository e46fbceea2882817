//! Messages that were read before anybody asked for them, and the descriptor that says that they are there.

use std::collections::VecDeque;
use std::io;
use std::os::fd::OwnedFd;
use std::sync::Arc;

use nix::sys::epoll::{Epoll, EpollCreateFlags, EpollEvent, EpollFlags};
use nix::sys::eventfd::{EfdFlags, EventFd};

use super::Message;
#[cfg(feature = "serde")]
use crate::frame::{HEADER_BYTES, Header, Kind};
use crate::socket::Socket;

/// Values that were in a lane when it was closed, in order.
#[derive(Clone, Debug, Default)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize))]
pub(crate) struct Values {
    /// They come before what is in the socket.
    pub(super) first: VecDeque<Vec<u8>>,
    /// They come after the next packet in the socket that ends a detour around the lane of this number.
    #[cfg(feature = "serde")]
    pub(super) later: VecDeque<(u64, Vec<Vec<u8>>)>,
}

/// What is here of that.
#[derive(Debug, Default)]
pub(super) struct ReadAhead {
    values: Values,
    /// What has to be lowered when there is nothing at hand any more.
    raised: Option<Arc<Shown>>,
    /// The lane whose detour ended with the next packet in the socket, which was heard and is still there.
    #[cfg(feature = "serde")]
    heard: Option<u64>,
}

#[cfg(feature = "serde")]
impl Values {
    pub(crate) fn is_empty(&self) -> bool {
        self.first.is_empty() && self.later.is_empty()
    }
}

/// A descriptor that is readable when the socket is, or when there is something that is not in the socket any more.
#[derive(Debug)]
pub(super) struct Shown {
    both: Arc<OwnedFd>,
    flag: EventFd,
}

impl ReadAhead {
    pub(super) fn pop(&mut self) -> Option<Message> {
        if self.is_at_hand() { self.pop_first() } else { None }
    }

    /// Whether there is something that comes before what is in the socket.
    #[inline]
    pub(super) fn is_at_hand(&self) -> bool {
        !self.values.first.is_empty()
    }

    #[cold]
    fn pop_first(&mut self) -> Option<Message> {
        let value = self.values.first.pop_front()?;
        if self.values.first.is_empty()
            && let Some(shown) = self.raised.take()
        {
            shown.lower();
        }
        Some(Message::value(value))
    }

    #[cfg(feature = "serde")]
    pub(super) fn extend(&mut self, values: Values) {
        self.values.first.extend(values.first);
        self.values.later.extend(values.later);
    }

    /// All of it, which stays here as well.
    #[cfg(feature = "serde")]
    pub(super) fn values(&self) -> Values {
        let mut values = self.values.clone();
        if let Some(lane) = self.heard.filter(|_| !values.later.is_empty()) {
            // Elsewhere that packet is heard again.
            values.later.push_front((lane, Vec::new()));
        }
        values
    }

    /// Whether there is something that comes after a packet in the socket.
    #[cfg(feature = "serde")]
    pub(super) fn waits(&self) -> bool {
        !self.values.later.is_empty()
    }

    /// Looks whether the next packet in the socket ends a detour, and around which lane. What comes after it is at hand then. The
    /// packet stays where it is, so that whoever waits for the socket sees that there is something, and is
    /// [taken](Self::is_heard) when there is nothing any more.
    #[cfg(feature = "serde")]
    #[cold]
    pub(super) fn hear(&mut self, socket: &Socket) -> Option<u64> {
        if self.heard.is_some() {
            return None;
        }
        let mut header = [0; HEADER_BYTES];
        let is_bare = socket.peek(&mut header)? == header.len();
        let header = Header::decode_alone(&header).ok()?;
        if header.kind != Kind::Switch || !is_bare {
            return None;
        }
        self.heard = Some(header.id);
        if let Some(next) = self.values.later.iter().position(|(lane, _)| *lane == header.id)
            && let Some((_, values)) = self.values.later.remove(next)
        {
            self.values.first.extend(values);
        }
        self.heard
    }

    /// A packet that ends a detour was taken: whether it was heard before.
    #[cfg(feature = "serde")]
    pub(super) fn is_heard(&mut self) -> bool {
        self.heard.take().is_some()
    }

    /// What to show in the place of the socket: `None` where that is as good.
    pub(super) fn show(&mut self, socket: &Socket) -> Option<Arc<Shown>> {
        if !self.is_at_hand() {
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
