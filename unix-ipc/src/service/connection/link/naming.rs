//! Who the peer is, as the kernel names the sender of its first packet.

use std::io;
use std::time::Duration;

use nix::poll::PollFlags;

use super::super::PeerCredentials;
use super::Link;
use crate::deadline::Deadline;
use crate::sync::lock;

/// How long a thread that waits for the peer's first packet goes without asking whether another has read it.
const PEER_PAUSE: Duration = Duration::from_millis(20);

impl Link {
    /// Packets name their sender until this is dropped. Only while the first one is read: left on, the kernel would
    /// bind the socket to a name.
    pub(super) fn name_senders(&self) -> io::Result<Naming<'_>> {
        let mut threads = lock(&self.naming);
        if *threads == 0 {
            self.socket.pass_credentials(true)?;
        }
        *threads += 1;
        Ok(Naming(self))
    }

    /// Who the peer is, from its first packet, which stays where it is.
    pub(crate) fn wait_for_peer(&self, deadline: Deadline) -> io::Result<PeerCredentials> {
        self.check()?;
        let _naming = self.name_senders()?;
        loop {
            if let Some(peer) = self.peer() {
                return Ok(peer);
            }
            if let Some(sender) = self.socket.peek_sender()? {
                let _ = self.peer.set(sender.into());
                continue;
            }
            if deadline.has_passed() {
                return Err(io::ErrorKind::TimedOut.into());
            }
            // Another thread may take the packet, and know then who sent it, without this one being woken.
            self.wait(PollFlags::POLLIN, Deadline::after(PEER_PAUSE).min(deadline))?;
        }
    }
}

/// A thread that wants packets to name their sender.
pub(super) struct Naming<'a>(&'a Link);

impl Drop for Naming<'_> {
    fn drop(&mut self) {
        let mut threads = lock(&self.0.naming);
        *threads -= 1;
        if *threads == 0 {
            // It fails for no socket that it was turned on for.
            let _ = self.0.socket.pass_credentials(false);
        }
    }
}
