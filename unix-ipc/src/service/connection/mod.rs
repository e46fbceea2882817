//! Both directions between one client and one server.

mod link;
mod listener;
mod peer;
mod spawned;

use std::io;
use std::os::fd::OwnedFd;
use std::path::Path;
use std::process::Command;
use std::sync::{Arc, OnceLock};
use std::{borrow::BorrowMut, fmt};

pub(crate) use self::link::{Glance, Link, Maker};
pub use self::listener::{Incoming, Listener};
pub use self::peer::PeerCredentials;
use super::child::{SpawnError, SpawnOptions};
use super::server::{Session, Tasks};
use super::task::Task;
use crate::deadline::Deadline;
use crate::error::{ConnectError, RecvError};
use crate::limits::Limits;
use crate::socket::{Socket, listening};

/// A connection between one client and one server, in two processes or in one.
///
/// Either end can be the client: the generated client of a service takes one end, its generated server (or
/// [`tasks`](Self::tasks)) the other. Dropping an end hangs up.
pub struct Connection {
    link: Arc<Link>,
    /// Made by the first [`tasks`](Self::tasks).
    session: OnceLock<Arc<Session>>,
}

impl Connection {
    /// Makes both ends of a connection: one to keep, the other for a thread, or for another process as (part
    /// of) a client that is an argument or a return value.
    ///
    /// # Errors
    ///
    /// What socketpair(2) says. A spawned process that may not call it any more gets a spare pair
    /// ([`Limits::spare_pairs`]).
    pub fn pair() -> io::Result<(Self, Self)> {
        let (one, other) = crate::raw_channel::pair()?;
        Ok((one.into(), other.into()))
    }

    /// Connects to the [`Listener`] at a path.
    ///
    /// Make a client of it soon, and a call: the listener hangs up on who does not introduce itself within its own
    /// [`Limits::handshake`]. (The generated client's `connect` introduces itself at once.)
    ///
    /// # Errors
    ///
    /// [`ConnectError::Io`] where nobody listens there or the file's mode forbids it.
    ///
    /// # Blocking
    ///
    /// Waits at most [`Limits::handshake`] for a place in the listener's queue.
    pub fn connect(path: impl AsRef<Path>) -> Result<Self, ConnectError> {
        let limits = Limits::default();
        let socket = listening::connect(path.as_ref(), Deadline::after(limits.handshake))?;
        let peer = socket.peer_credentials()?;
        Ok(Self::from_link(Link::new(socket, limits).with_peer(peer.into())))
    }

    /// Starts a program that calls [`inherited`](Self::inherited), and waits until it has.
    ///
    /// The child's end of the connection is its standard input; apart from the standard streams it gets no
    /// other descriptor of this process. When the connection is dropped the child is given one second to end, then
    /// killed, and always reaped; it does not outlive this process. [`spawn_with`](Self::spawn_with) changes all
    /// of this.
    ///
    /// Whatever else the command says counts: arguments, environment, directory, and where standard output and error
    /// go, which the child has in common with this process otherwise. A program that spawns itself has to call
    /// `inherited` before it comes to this line: else each child starts another.
    ///
    /// # Errors
    ///
    /// [`SpawnError`] says whether the program could not be started, ended before it called `inherited`, or did not
    /// call it in time.
    ///
    /// # Blocking
    ///
    /// At most [`Limits::handshake`].
    pub fn spawn(command: impl BorrowMut<Command>) -> Result<Self, SpawnError> {
        Self::spawn_with(command, &SpawnOptions::new())
    }

    /// As [`spawn`](Self::spawn), with options. A generated client is made of the result with its `new`.
    ///
    /// # Errors
    ///
    /// Those of [`spawn`](Self::spawn).
    ///
    /// # Blocking
    ///
    /// At most [`Limits::handshake`] of the options' limits.
    ///
    /// # Examples
    ///
    /// ```no_run
    /// use std::{process::Command, time::Duration};
    /// use unix_ipc::{Connection, SpawnOptions, ipc_service};
    ///
    /// #[ipc_service]
    /// trait Doubler {
    ///     fn double(&self, number: u32) -> u32;
    /// }
    ///
    /// let options = SpawnOptions::new().grace(Duration::from_secs(5));
    /// let client = DoublerClient::new(Connection::spawn_with(Command::new("/usr/bin/doubler"), &options)?);
    /// assert_eq!(client.double(21)?, 42);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn spawn_with(
        mut command: impl BorrowMut<Command>,
        options: &SpawnOptions,
    ) -> Result<Self, SpawnError> {
        spawned::spawn(command.borrow_mut(), options).map(Self::from_link)
    }

    /// The connection to the process that spawned this one: `None` where this process was not spawned by
    /// [`spawn`](Self::spawn), and from the second call on.
    ///
    /// It belongs at the beginning of `main`, before anything reads the standard input or starts a process. What
    /// comes before it runs in the child as well.
    ///
    /// Only the spawned process itself has it: not a program that it starts, and so not one behind a wrapper that starts
    /// it and waits, as a shell may (`exec` in the wrapper helps).
    ///
    /// The standard input is /dev/null afterwards. Unless the spawner wants otherwise, the kernel kills
    /// this process when the spawner ends.
    ///
    /// # Errors
    ///
    /// Where this process was spawned so and the connection is unusable.
    pub fn inherited() -> io::Result<Option<Self>> {
        Ok(spawned::inherited()?.map(Self::from_link))
    }

    /// The same connection with other limits for this end. A spawned child's can be set with
    /// [`SpawnOptions::limits`].
    #[must_use]
    pub fn with_limits(mut self, limits: Limits) -> Self {
        // Once calls have been read the limits are those they were read with.
        if let Some(link) = Arc::get_mut(&mut self.link) {
            link.set_limits(limits);
        }
        self
    }

    /// Who is at the other end. The kernel vouches for it. It may be asked before the connection is served, to
    /// turn away who may not use the service.
    ///
    /// # Errors
    ///
    /// `TimedOut` where the peer has sent nothing within [`Limits::handshake`], `UnexpectedEof` where it hung up before
    /// it did.
    ///
    /// # Blocking
    ///
    /// Waits for the peer's first packet, where who it is follows from nothing else.
    pub fn peer_credentials(&self) -> io::Result<PeerCredentials> {
        self.link.wait_for_peer(Deadline::after(self.link.limits().handshake))
    }

    /// The calls that come over this connection, for a server loop of one's own around
    /// the generated `dispatch`. The iterator ends when the client has hung up.
    ///
    /// An item that is an error names a call that could not be read, whose caller has been told; or it is the last
    /// item, and the client has been hung up on.
    ///
    /// # Blocking
    ///
    /// `next` waits for the next call. It also sends replies for which there was no room before; dropping the
    /// iterator waits until the last of them are sent or the client is gone.
    ///
    /// # Examples
    ///
    /// ```
    /// # use std::thread;
    /// use unix_ipc::{Connection, ipc_service};
    ///
    /// #[ipc_service]
    /// trait Doubler {
    ///     fn double(&self, number: u32) -> u32;
    /// }
    ///
    /// let (ours, theirs) = Connection::pair()?;
    /// let server = thread::spawn(move || -> std::io::Result<()> {
    ///     for task in theirs.tasks::<DoublerTask>() {
    ///         match task? {
    ///             DoublerTask::Double { number, reply } => reply.send(2 * number)?,
    ///         }
    ///     }
    ///     Ok(())
    /// });
    /// let client = DoublerClient::new(ours);
    /// assert_eq!(client.double(21)?, 42);
    /// drop(client);
    /// server.join().unwrap()?;
    /// # Ok::<(), std::io::Error>(())
    /// ```
    pub fn tasks<T: Task>(&self) -> impl Iterator<Item = Result<T, RecvError>> {
        self.calls()
    }

    /// The same as what it is.
    pub(crate) fn calls<T: Task>(&self) -> Tasks<T> {
        let session = self.session.get_or_init(|| Session::new::<T>(Arc::clone(&self.link)));
        Tasks::new(Arc::clone(session))
    }

    /// Whether nothing more comes over [`tasks`](Self::tasks).
    pub(crate) fn has_ended(&self) -> bool {
        self.session.get().is_some_and(|session| session.has_ended())
    }

    pub(crate) fn from_link(link: Link) -> Self {
        Self { link: Arc::new(link), session: OnceLock::new() }
    }

    pub(crate) fn into_link(self) -> Arc<Link> {
        Arc::clone(&self.link)
    }
}

/// Hangs up; reply senders of calls that came over [`tasks`](Connection::tasks) can still answer.
impl Drop for Connection {
    fn drop(&mut self) {
        if let Some(session) = self.session.get() {
            session.stop_reading();
        }
    }
}

impl From<Socket> for Connection {
    fn from(socket: Socket) -> Self {
        Self::from_link(Link::new(socket, Limits::default()).with_maker(Maker::Client))
    }
}

/// Takes over a connected socket from elsewhere, as socket activation gives. That it is a Unix domain socket of
/// type `SOCK_SEQPACKET` is checked at the first use.
impl From<OwnedFd> for Connection {
    fn from(descriptor: OwnedFd) -> Self {
        Socket::from(descriptor).into()
    }
}

impl fmt::Debug for Connection {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Connection").field("peer", &self.link.peer()).finish_non_exhaustive()
    }
}
