//! Plain channels that are busy enough for a lane, a ring from the senders of one process to the receiver: what goes through
//! it, in which order, what is left of it however it is closed, and what a hostile process makes of the memory.
#![cfg(test)]
#![cfg(not(unix_ipc_without_rings))]

#[path = "../packets/mod.rs"]
mod packets;
#[path = "../util/mod.rs"]
mod util;

mod closing;
mod ends;
mod forged;
mod hostile_receiver;
mod hostile_sender;
mod left;
mod moving;
mod sandbox;
mod senders;
mod shown;
mod stream;
mod threads;
mod traffic;
mod values;
mod yard;
