//! What wakes a thread that waits for the sockets, for something that no socket says.

use std::collections::VecDeque;
use std::io;
use std::os::fd::{AsFd, BorrowedFd};
use std::sync::Mutex;

use nix::sys::epoll::EpollFlags;
use nix::sys::eventfd::{EfdFlags, EventFd};

use crate::sync::lock;

/// Its number in the epoll instance.
pub(super) const WAKER: u64 = u64::MAX;

/// Wakes a thread, and says what for.
#[derive(Debug)]
pub(super) struct Waker {
    event: EventFd,
    /// The clients of which something was read before its turn, each once.
    clients: Mutex<VecDeque<u64>>,
}

impl Waker {
    pub(super) fn new() -> io::Result<Self> {
        let event = EventFd::from_value_and_flags(0, EfdFlags::EFD_CLOEXEC | EfdFlags::EFD_NONBLOCK)?;
        Ok(Self { event, clients: Mutex::default() })
    }

    /// Wakes one of the threads that wait.
    pub(super) fn wake(&self) {
        // It fails when it has been written to more often than anybody can.
        let _ = self.event.write(1);
    }

    /// The same, for one to look at this client.
    pub(super) fn wake_for(&self, client: u64) {
        let mut clients = lock(&self.clients);
        if !clients.contains(&client) {
            clients.push_back(client);
        }
        drop(clients);
        self.wake();
    }

    /// What a thread was woken for, as epoll says it where there is room for what waits.
    pub(super) fn event(&self) -> (u64, EpollFlags) {
        let mut clients = lock(&self.clients);
        let Some(client) = clients.pop_front() else { return (WAKER, EpollFlags::EPOLLIN) };
        if !clients.is_empty() {
            self.wake();
        }
        (client, EpollFlags::EPOLLOUT)
    }
}

impl AsFd for Waker {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.event.as_fd()
    }
}
