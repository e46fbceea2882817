//! The lane: a ring for a plain channel, from the senders of one process to the receiver.
//!
//! A sender that has sent much offers memory over the socket. The receiver says in that memory whether it takes it, so nobody
//! waits, and until then, and where it does not, all goes over the socket as before. Small messages without descriptors go
//! through the lane from then on. All others take a detour over the socket, as does what the lane has no room for: a record
//! says that what follows is in the socket, and a packet there that what follows is in the lane again. So there is one order,
//! and the socket's own buffer is what holds up a sender whose receiver does not read.
//!
//! The receiver may close the lane at any time, by a mark in the place of the next record. A sender that was faster has sent,
//! one that was slower learns of it and goes on over the socket: nothing is lost, and neither waits. What the receiver finds in the
//! lane then is read ahead of the socket, and what is behind a detour keeps until the packet in the socket that ends it.
//!
//! The senders of other processes go over the socket. The kernel has no order between a ring and a socket, so the
//! receiver closes the lane when it sees that there are others.

pub(crate) mod commons;
mod reading;
mod receiving;
mod sending;
#[cfg(test)]
#[cfg(not(unix_ipc_without_rings))]
mod tests;

pub(super) use self::reading::Reading;
pub(super) use self::sending::LaneLock;
