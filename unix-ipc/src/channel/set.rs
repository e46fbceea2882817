use std::io;
use std::os::fd::{AsFd, OwnedFd};
use std::sync::{Arc, Weak};
use std::time::Duration;

use nix::poll::{PollFd, PollFlags};

use super::Receiver;
use crate::deadline::Deadline;
use crate::sys::wait::wait;

/// Waits on many receivers, of any types, at once.
///
/// The set names receivers and does not own them: one that is dropped leaves it by itself, and its
/// number in the table of descriptors may be used again without confusing the set. (While a thread waits,
/// a receiver that is dropped elsewhere stays open until the wait is over.)
///
/// # Examples
///
/// ```
/// use unix_ipc::{ReceiverSet, channel};
///
/// let (number_sender, numbers) = channel::<u32>()?;
/// let (_word_sender, words) = channel::<String>()?;
/// let mut set = ReceiverSet::new();
/// let number_id = set.add(&numbers);
/// set.add(&words);
///
/// number_sender.send(7)?;
/// assert_eq!(set.wait()?, [number_id]);
/// assert_eq!(numbers.try_recv()?, Some(7));
/// # Ok::<(), std::io::Error>(())
/// ```
///
/// A loop takes a receiver out when nobody sends to it any more, because the set would name it for ever:
///
/// ```
/// use unix_ipc::{ReceiverSet, RecvError, channel};
///
/// let (sender, first) = channel()?;
/// sender.send(1)?;
/// drop(sender);
/// let (sender, second) = channel()?;
/// sender.send(2)?;
/// drop(sender);
///
/// let mut set = ReceiverSet::new();
/// let mut receivers = vec![(set.add(&first), first), (set.add(&second), second)];
/// let mut sum = 0;
/// while !receivers.is_empty() {
///     let ready = set.wait()?;
///     receivers.retain(|(id, receiver)| {
///         if !ready.contains(id) {
///             return true;
///         }
///         match receiver.try_recv() {
///             Ok(Some(number)) => sum += number,
///             Ok(None) => {}
///             Err(RecvError::Disconnected) => return !set.remove(*id),
///             Err(error) => eprintln!("{error}"), // this message is lost, and the next may be fine
///         }
///         true
///     });
/// }
/// assert_eq!(sum, 3);
/// # Ok::<(), std::io::Error>(())
/// ```
#[derive(Debug, Default)]
pub struct ReceiverSet {
    members: Vec<(ReceiverId, Weak<OwnedFd>)>,
    next: u64,
}

/// Names a receiver in a [`ReceiverSet`]; never used twice in one set.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct ReceiverId(u64);

impl ReceiverSet {
    /// A set without receivers.
    pub fn new() -> Self {
        Self::default()
    }

    /// Adds a receiver, under a name of its own even where it was added before.
    pub fn add<T>(&mut self, receiver: &Receiver<T>) -> ReceiverId {
        let id = ReceiverId(self.next);
        self.next += 1;
        self.members.retain(|(_, member)| member.strong_count() > 0);
        self.members.push((id, Arc::downgrade(receiver.raw().shown())));
        id
    }

    /// Takes a receiver out: false where it is not in the set, or is gone.
    pub fn remove(&mut self, id: ReceiverId) -> bool {
        let found = self.members.iter().position(|(member, _)| *member == id);
        found.is_some_and(|index| self.members.swap_remove(index).1.strong_count() > 0)
    }

    /// Waits until a receiver has something, or has no sender any more, and names all that do.
    ///
    /// To be named is a reason to call [`Receiver::try_recv`], which may still find only the beginning of a
    /// message. What is not taken is named again the next time; a receiver without senders is named every time,
    /// until it is [removed](Self::remove) or dropped. The answer is empty where the set has no receiver that still
    /// exists.
    ///
    /// # Errors
    ///
    /// What poll(2) says.
    ///
    /// # Blocking
    ///
    /// Waits for as long as nothing comes.
    pub fn wait(&self) -> io::Result<Vec<ReceiverId>> {
        self.wait_until(Deadline::NEVER)
    }

    /// As [`wait`](Self::wait), for at most so long: empty when the time is over.
    ///
    /// # Errors
    ///
    /// What poll(2) says.
    ///
    /// # Blocking
    ///
    /// Waits for as long as `timeout` says.
    pub fn wait_timeout(&self, timeout: Duration) -> io::Result<Vec<ReceiverId>> {
        self.wait_until(Deadline::after(timeout))
    }

    fn wait_until(&self, deadline: Deadline) -> io::Result<Vec<ReceiverId>> {
        let alive: Vec<(ReceiverId, Arc<OwnedFd>)> =
            self.members.iter().filter_map(|(id, member)| Some((*id, member.upgrade()?))).collect();
        if alive.is_empty() {
            return Ok(Vec::new());
        }
        let mut inputs: Vec<PollFd<'_>> =
            alive.iter().map(|(_, member)| PollFd::new(member.as_fd(), PollFlags::POLLIN)).collect();
        wait(&mut inputs, deadline)?;
        let is_ready = |input: &PollFd<'_>| input.revents().is_some_and(|events| !events.is_empty());
        Ok(alive.iter().zip(&inputs).filter(|(_, input)| is_ready(input)).map(|((id, _), _)| *id).collect())
    }
}
