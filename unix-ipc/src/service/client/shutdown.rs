//! The end of the server's process on purpose, and news of its end without a call.

use std::io;
use std::os::fd::BorrowedFd;
use std::time::Duration;

use nix::poll::PollFlags;

use super::super::child::{Child, PeerExit};
use super::super::gone::Gone;
use super::Client;
use super::state::Core;
use crate::deadline::Deadline;
use crate::frame::Kind;
use crate::raw_channel::{Outgoing, Parts};

/// How long a thread waits without looking, while another one reads what comes.
const PAUSE: Duration = Duration::from_millis(10);

/// How long it goes without looking for an end that another thread found first: a peer that lies is hung up on from here, and that
/// wakes nobody.
const LOOK: Duration = Duration::from_secs(1);

/// How long a process may take to end that was killed: on a busy machine others run before it has.
const KILL_WAIT: Duration = Duration::from_secs(10);

impl<T> Client<T> {
    /// Ends the process that serves, which this one spawned, and says how it ended.
    ///
    /// # Errors
    ///
    /// `Unsupported` where this client did not spawn its server; `TimedOut` where not even SIGKILL ended it.
    pub fn shutdown(&self, timeout: Duration) -> io::Result<PeerExit> {
        let core = self.core();
        core.link.check()?;
        let Some(child) = core.link.child() else {
            let message = "the client did not spawn its server, which others may use";
            return Err(io::Error::new(io::ErrorKind::Unsupported, message));
        };
        core.state().closing = true;
        let deadline = Deadline::after(timeout);
        core.ask_to_end(deadline);
        core.wait_for_end(child, deadline);
        if let Some(exit) = child.exit(Duration::ZERO) {
            return Ok(exit);
        }
        core.link.hang_up();
        if let Some(exit) = child.exit(child.grace()) {
            return Ok(exit);
        }
        child.kill()?;
        child.exit(KILL_WAIT).ok_or_else(|| io::ErrorKind::TimedOut.into())
    }

    /// Waits until the server is gone, for so long at most: how it went. Reads nothing before that, so that it holds up no
    /// call.
    pub fn wait_gone(&self, timeout: Duration) -> Option<Gone> {
        let core = self.core();
        if let Err(error) = core.link.check() {
            return Some(Gone::Io(error));
        }
        let deadline = Deadline::after(timeout);
        loop {
            let (ended, reads) = {
                let state = core.state();
                (state.calls.ended().cloned(), state.reads)
            };
            match ended {
                Some(ended) => return Some(ended.into()),
                // What it sent last says why, and is read to its end.
                None if core.has_hung_up_by(Deadline::now()) => core.read_or_let_read(reads, deadline),
                None if deadline.has_passed() => return None,
                None => drop(core.has_hung_up_by(deadline.min(Deadline::after(LOOK)))),
            }
        }
    }
}

impl Core {
    /// Tells the server that no more calls come, and that it is to end. Where that cannot be said, it is hung up on later.
    fn ask_to_end(&self, deadline: Deadline) {
        let nothing: [BorrowedFd<'_>; 0] = [];
        let mut message = Outgoing::new(Kind::Shutdown, 0, 0);
        if self.introduce(deadline).is_ok() {
            let _ = self.send(self.state(), &mut message, Parts::from(&[][..]), &nothing, deadline);
        }
    }

    /// Waits for the end of the child and reads what it sends until then, for threads that have calls, and so that it need not
    /// wait for room.
    fn wait_for_end(&self, child: &Child, deadline: Deadline) {
        while child.exit(Duration::ZERO).is_none() && !deadline.has_passed() {
            match self.try_read() {
                Some(reading) if self.state().calls.ended().is_none() => reading.read_news(deadline),
                // Nothing more is to be read, or somebody else reads it.
                _ => drop(child.exit(deadline.left().map_or(PAUSE, |left| left.min(PAUSE)))),
            }
        }
    }

    /// Whether the server's end is closed, or its process has ended, by then.
    fn has_hung_up_by(&self, deadline: Deadline) -> bool {
        !matches!(self.link.wait_with_child(PollFlags::empty(), deadline), Ok(None))
    }
}
