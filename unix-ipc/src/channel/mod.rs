//! Typed channels.

mod receiver;
mod sender;
mod set;

use std::io;

pub use self::receiver::{IntoIter, Iter, Receiver};
pub use self::sender::Sender;
pub use self::set::{ReceiverId, ReceiverSet};
use crate::raw_channel::raw_channel;

/// Makes a connected pair for values of one type.
///
/// Values go through serde, so handles, senders and receivers may stand anywhere in them. Either end can
/// go to another process inside a message of another channel.
///
/// # Errors
///
/// What socketpair(2) says, most often that the table of descriptors is full.
///
/// # Examples
///
/// ```
/// let (sender, receiver) = unix_ipc::channel()?;
/// sender.send(vec![23, 42])?;
/// assert_eq!(receiver.recv()?, [23, 42]);
/// # Ok::<(), std::io::Error>(())
/// ```
pub fn channel<T>() -> io::Result<(Sender<T>, Receiver<T>)> {
    let (sender, receiver) = raw_channel()?;
    Ok((sender.into(), receiver.into()))
}
