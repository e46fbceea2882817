use std::time::Duration;

use crate::error::LimitExceeded;

/// What one channel or connection may hold, carry and wait for.
///
/// The sender is refused before it writes, the receiver before it allocates; each refusal is a
/// [`LimitExceeded`](crate::LimitExceeded) with the number.
///
/// ```
/// use unix_ipc::Limits;
///
/// let mut limits = Limits::default();
/// limits.message_bytes = 1 << 20;
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Limits {
    /// The longest message, in bytes: 64 MiB. Lengths are sent as 32 bits, so more than
    /// `u32::MAX` counts as `u32::MAX`.
    pub message_bytes: usize,
    /// The most descriptors in one message: 253, which is also the most the kernel allows
    /// (`SCM_MAX_FD`, unix(7)).
    pub descriptors: usize,
    /// The deepest nesting of a value that is decoded, in levels: 256. An `Option<Box<Node>>` is two.
    pub nesting: usize,
    /// The most long messages that a plain channel's receiver holds half received: 64.
    pub unfinished_messages: usize,
    /// The most calls of one client, its clones included, that wait for their replies: 4096.
    pub calls_in_flight: usize,
    /// The most one-way calls of one client, its clones included, that the server has not begun: 65,536. The client learns that some
    /// were begun later than they were, at most 4096 calls or half the limit later. A one-way call waits for room in the socket or
    /// ring, so that few programs meet the default: it is for those that set a smaller one. A client that has moved to another
    /// process counts from nothing there.
    pub queued_oneway_calls: usize,
    /// The most bytes of replies that came and that nobody has taken yet: 256 MiB. Above it no
    /// call is begun until some are taken.
    pub unread_reply_bytes: usize,
    /// The most bytes of replies that wait in a server until a slow client reads: 256 MiB. Above
    /// it the client is hung up on.
    pub queued_reply_bytes: usize,
    /// The most clients that a server's `listen` serves at once: 256. Where as many are there and one more comes, the one that was
    /// accepted first of those that have not introduced themselves yet is hung up on. Where all have, the newcomer is, and its
    /// `connect` or first call says so with the number; but for a client whose process has ended, whose end of the connection is open
    /// all the same, and to whom no reply could be sent for [`handshake`](Self::handshake), although some wait: that makes room, too. A
    /// loop of one's own around [`accept`](crate::Listener::accept) or [`incoming`](crate::Listener::incoming) counts its clients itself.
    pub clients: usize,
    /// The longest time for a peer to introduce itself: 10 seconds. A client that a listener has accepted has this time as well,
    /// from then on: one that has not introduced itself by then is told and hung up on, once nothing of it is left to be read. The
    /// ends of [`pair`](crate::Connection::pair), a spawned child and its spawner, and connections from descriptors are not held to
    /// it as servers, because a client introduces itself with its first call, which may come much later.
    pub handshake: Duration,
    /// The bytes of each of the two rings that a connection has once it is busy, through which calls and replies go
    /// without a system call, and of the one that a busy channel has: 64 KiB. 0 is for none. The end that spawned or
    /// listens decides, or the one that sends; the other decides only whether to use them.
    pub ring_bytes: usize,
    /// The bytes that each of a connection's rings may grow to, once messages go through it that are longer than two rings: 1 MiB. No
    /// more than `ring_bytes` is for never. A ring that is longer than a processor's own cache carries long messages twice as
    /// fast, and keeps its memory for as long as the connection is there. The end that decides about rings decides about this.
    pub long_ring_bytes: usize,
    /// The longest time that a thread looks for a call or a reply before it sleeps, if the other end runs on another core:
    /// 30 microseconds. Zero is for not at all.
    pub spin: Duration,
    /// The spare socket pairs that a spawned child gets, for [`channel`](crate::channel()) after it
    /// has given up `socketpair`: 4. Each costs the child two descriptors.
    pub spare_pairs: usize,
}

impl Limits {
    /// The message limit as the wire has it.
    #[inline]
    pub(crate) fn longest_message(&self) -> u64 {
        u64::try_from(self.message_bytes).unwrap_or(u64::MAX).min(u64::from(u32::MAX))
    }

    /// The descriptor limit under the kernel's.
    #[inline]
    pub(crate) fn most_descriptors(&self) -> usize {
        self.descriptors.min(KERNEL_DESCRIPTORS)
    }

    /// Refuses a message that is too long, or that carries too many descriptors.
    #[inline]
    pub(crate) fn check(&self, bytes: u64, descriptors: usize) -> Result<(), LimitExceeded> {
        self.check_bytes(bytes)?;
        let (actual, limit) = (descriptors as u64, self.most_descriptors() as u64);
        if actual > limit { Err(LimitExceeded::Descriptors { actual, limit }) } else { Ok(()) }
    }

    /// Refuses a message that is too long.
    #[inline]
    pub(crate) fn check_bytes(&self, actual: u64) -> Result<(), LimitExceeded> {
        let limit = self.longest_message();
        if actual > limit { Err(LimitExceeded::MessageBytes { actual, limit }) } else { Ok(()) }
    }
}

/// `SCM_MAX_FD` of the kernel: more in one message is EINVAL.
pub(crate) const KERNEL_DESCRIPTORS: usize = 253;

impl Default for Limits {
    fn default() -> Self {
        Self {
            message_bytes: 64 << 20,
            descriptors: KERNEL_DESCRIPTORS,
            nesting: 256,
            unfinished_messages: 64,
            calls_in_flight: 4096,
            queued_oneway_calls: 65_536,
            unread_reply_bytes: 256 << 20,
            queued_reply_bytes: 256 << 20,
            clients: 256,
            handshake: Duration::from_secs(10),
            // Without, so that all tests can be run over sockets alone (`.ci/sockets`).
            ring_bytes: if cfg!(unix_ipc_without_rings) { 0 } else { 64 << 10 },
            long_ring_bytes: 1 << 20,
            spin: Duration::from_micros(30),
            spare_pairs: 4,
        }
    }
}
