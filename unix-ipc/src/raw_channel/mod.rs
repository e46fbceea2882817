//! Whole messages over a socket: bytes and descriptors, never partial.

mod body;
#[cfg(all(any(fuzzing, test), feature = "macros"))]
pub(crate) mod fuzzing;
mod inbox;
mod incoming;
#[cfg(feature = "macros")]
mod inlet;
#[cfg(feature = "macros")]
mod lane;
#[cfg(not(feature = "macros"))]
#[path = "no_lane.rs"]
mod lane;
mod long_body;
mod message;
mod outgoing;
#[cfg(feature = "macros")]
mod outlet;
mod parts;
mod read_ahead;
mod receiver;
mod sender;
mod spare;
#[cfg(feature = "macros")]
mod spin;
mod unfinished;
mod way;

use std::hash::{BuildHasher, Hasher, RandomState};
use std::io;

use nix::sys::socket::Shutdown;

#[cfg(feature = "serde")]
pub(crate) use self::body::Block;
pub(crate) use self::body::Body;
#[cfg(feature = "macros")]
pub(crate) use self::inbox::Inbox;
#[cfg(feature = "macros")]
pub(crate) use self::incoming::{Broken, Incoming};
#[cfg(feature = "macros")]
pub(crate) use self::inlet::Inlet;
#[cfg(feature = "macros")]
pub(crate) use self::lane::commons;
pub(crate) use self::message::Message;
#[cfg(feature = "macros")]
pub(crate) use self::outgoing::{Outgoing, Progress, refusal};
#[cfg(feature = "macros")]
pub(crate) use self::outlet::Outlet;
#[cfg(feature = "serde")]
pub(crate) use self::parts::LEAST_BLOCK;
pub(crate) use self::parts::Parts;
#[cfg(feature = "serde")]
pub(crate) use self::read_ahead::Values;
pub use self::receiver::RawReceiver;
pub use self::sender::RawSender;
#[cfg(feature = "macros")]
pub(crate) use self::spare::keep as keep_spare;
pub(crate) use self::spare::pair;
#[cfg(feature = "macros")]
pub(crate) use self::spin::{Spin, look_often};

/// Makes a connected pair for bytes and file descriptors.
///
/// Each end holds one descriptor, close-on-exec, and closes it when it is dropped. The direction is
/// fixed: nothing can be sent through the receiver's descriptor.
///
/// A process that may not call `socketpair` any more, and that was spawned by this library, gets one
/// of the spare pairs that its spawner gave it ([`Limits::spare_pairs`](crate::Limits::spare_pairs)).
///
/// # Errors
///
/// What socketpair(2) says, most often that the table of descriptors is full.
///
/// # Examples
///
/// ```
/// use std::io::Read;
/// use std::os::fd::AsFd;
///
/// let (sender, receiver) = unix_ipc::raw_channel()?;
/// let (mut reader, writer) = std::io::pipe()?;
/// sender.send(b"a pipe for you", &[writer.as_fd()])?;
/// drop(writer);
///
/// let (bytes, descriptors) = receiver.recv()?;
/// assert_eq!(bytes, b"a pipe for you");
/// assert_eq!(descriptors.len(), 1);
/// drop(descriptors);
/// assert_eq!(reader.read(&mut [0])?, 0, "all writing ends are closed");
/// # Ok::<(), std::io::Error>(())
/// ```
pub fn raw_channel() -> io::Result<(RawSender, RawReceiver)> {
    let (sending, receiving) = pair()?;
    // One call closes both ways back: unix(7) sockets tell the peer.
    sending.shut_down(Shutdown::Read)?;
    // Each packet names its process, so that what a dead one left half sent can be dropped.
    receiving.pass_credentials(true)?;
    Ok((sending.into(), receiving.into()))
}

/// A number that nobody else is likely to draw.
fn random() -> u64 {
    RandomState::new().build_hasher().finish()
}

#[cfg(all(test, feature = "macros"))]
mod tests {
    use std::thread;

    use crate::sys::fork::in_a_copy;
    use crate::{RecvError, raw_channel};

    fn text(who: u8) -> Vec<u8> {
        vec![who; 300_000]
    }

    #[test]
    fn p26_copies_of_one_sender_in_forked_processes_do_not_tear_each_others_messages() {
        let (sender, receiver) = raw_channel().unwrap();
        let reader = thread::spawn(move || {
            let mut counts = [0; 3];
            loop {
                match receiver.recv() {
                    Ok((bytes, _)) => {
                        let who = bytes[0];
                        assert!(bytes == text(who), "a message of {who} is whole");
                        counts[usize::from(who)] += 1;
                    }
                    Err(RecvError::Disconnected) => return counts,
                    Err(error) => panic!("{error:?}"),
                }
            }
        });
        thread::scope(|scope| {
            for who in 1..3 {
                let sender = &sender;
                scope.spawn(move || {
                    assert!(in_a_copy(|| (0..20).all(|_| sender.send(&text(who), &[]).is_ok())));
                });
            }
        });
        (0..20).for_each(|_| sender.send(&text(0), &[]).unwrap());
        drop(sender);
        assert_eq!(reader.join().unwrap(), [20; 3]);
    }
}
