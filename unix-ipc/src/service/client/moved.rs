//! A client as a value: its connection moves to the process that receives it.

use std::io;
use std::os::fd::OwnedFd;
use std::sync::Arc;

use serde::{Deserialize, Deserializer, Serialize, Serializer, de, ser};

use super::super::connection::Connection;
use super::super::ended::Ended;
use super::super::hello::Hello;
use super::super::task::Task;
use super::Client;
use super::state::Core;
use crate::codec::{self, Attachment};
use crate::error::ProtocolError;
use crate::socket::Socket;

/// What the new owner has to know beside the socket.
#[derive(Serialize, Deserialize)]
struct Moved {
    descriptor: u32,
    /// The id of the next call, so that late replies answer nobody, and late marks say nothing.
    next_id: u64,
    introduced: bool,
    peer: Option<Hello>,
    /// How often the connection has lost its rings this way.
    resets: u64,
}

/// The connection on its way: when the message is accepted it is no longer ours.
#[derive(Debug)]
struct Moving(Arc<Core>);

impl Attachment for Moving {
    fn open(&mut self) -> io::Result<Arc<OwnedFd>> {
        Ok(Arc::clone(self.0.link.socket().descriptor()))
    }

    fn accepted(self: Box<Self>) {
        if let Some(child) = self.0.link.child() {
            child.release();
        }
        self.0.state().end(Ended::Disconnected);
    }
}

impl Drop for Moving {
    fn drop(&mut self) {
        self.0.state().moving = false;
    }
}

impl<T: Task> Serialize for Client<T> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let moved = prepare(self.core()).map_err(ser::Error::custom)?;
        moved.serialize(serializer)
    }
}

/// Refuses a client that somebody else uses: two processes would read each other's replies.
fn prepare(core: &Arc<Core>) -> Result<Moved, &'static str> {
    if Arc::strong_count(core) > 1 {
        return Err("the client has clones, or calls in flight, and cannot move to another process");
    }
    core.link.check().map_err(|_| "the client's connection cannot be used by this process")?;
    let mut state = core.state();
    if !state.calls.is_idle() || core.link.is_in_a_message() {
        return Err("the client has calls in flight and cannot move to another process");
    }
    if state.calls.ended().is_some() {
        return Err("the client's connection is over");
    }
    let peer = state.peer.as_ref().map(|peer| peer.hello.clone());
    let (next_id, introduced) = (state.calls.next_id(), state.introduced);
    let resets = state.outlet.resets();
    state.moving = true;
    drop(state);
    let descriptor = codec::attach_later(Box::new(Moving(Arc::clone(core))))
        .map_err(|_| "a client can only be sent in a message of unix_ipc")?;
    Ok(Moved { descriptor, next_id, introduced, peer, resets })
}

impl<'de, T: Task> Deserialize<'de> for Client<T> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let moved = Moved::deserialize(deserializer)?;
        let descriptor = codec::take_descriptor(moved.descriptor).map_err(de::Error::custom)?;
        let connection = Connection::from(Socket::from(descriptor));
        let core = Core::new::<T>(connection);
        core.take_over(moved).map_err(de::Error::custom)?;
        Ok(Self::from_core(Arc::new(core)))
    }
}

impl Core {
    /// Goes on where the process that had the connection before left off.
    fn take_over(&self, moved: Moved) -> Result<(), ProtocolError> {
        let peer = moved.peer.map(|hello| self.meet(hello)).transpose()?;
        let mut state = self.state();
        state.outlet.start_anew(moved.resets);
        state.calls.start_at(moved.next_id);
        state.oneways.start_at(moved.next_id);
        state.introduced = moved.introduced;
        state.peer = peer;
        Ok(())
    }
}
