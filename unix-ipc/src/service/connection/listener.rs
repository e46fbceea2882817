use std::io;
use std::os::fd::{AsFd, BorrowedFd};
use std::path::Path;
use std::sync::atomic::{AtomicBool, Ordering};

use super::{Connection, Link};
use crate::deadline::Deadline;
use crate::limits::Limits;
use crate::socket::listening::Listening;

/// The mode of the socket's file: its user alone may connect.
const MODE: u32 = 0o600;

/// Serves many clients at one path, each over a [`Connection`] of its own.
///
/// A generated server's `listen` serves them all; [`accept`](Self::accept) and [`incoming`](Self::incoming) are for
/// loops of one's own. The file at the path goes when this is dropped.
///
/// # Examples
///
/// ```
/// # use std::thread;
/// use unix_ipc::{Listener, ipc_service};
///
/// #[ipc_service]
/// trait Doubler {
///     fn double(&self, number: u32) -> u32;
/// }
///
/// struct Twice;
/// impl Doubler for Twice {
///     fn double(&self, number: u32) -> u32 {
///         2 * number
///     }
/// }
///
/// # let directory = tempfile::tempdir()?;
/// # let path = directory.path().join("doubler");
/// let listener = Listener::bind(&path)?;
/// thread::scope(|scope| {
///     scope.spawn(|| DoublerServer::new(Twice).listen(&listener));
///     let client = DoublerClient::connect(&path)?;
///     assert_eq!(client.double(21)?, 42);
///     listener.close()
/// })
/// # ?; Ok::<(), std::io::Error>(())
/// ```
#[derive(Debug)]
pub struct Listener {
    listening: Listening,
    limits: Limits,
    closed: AtomicBool,
}

impl Listener {
    /// Listens at a path where nothing is yet. Only this process's user may connect (mode 0600).
    ///
    /// The file of a process that was killed stays behind, and nothing here takes it away. Remove it first where
    /// no other server can be running, best in a directory that only this user may write to.
    ///
    /// # Errors
    ///
    /// `AddrInUse` where something is at the path, which stays as it is; else what socket(2) and bind(2) say.
    pub fn bind(path: impl AsRef<Path>) -> io::Result<Self> {
        Self::bind_with_mode(path, MODE)
    }

    /// The same with another mode for the file: whoever may write it may connect (unix(7)). The process's
    /// umask takes bits away.
    ///
    /// # Errors
    ///
    /// Those of [`bind`](Self::bind).
    pub fn bind_with_mode(path: impl AsRef<Path>, mode: u32) -> io::Result<Self> {
        let listening = Listening::bind(path.as_ref(), mode)?;
        Ok(Self { listening, limits: Limits::default(), closed: AtomicBool::new(false) })
    }

    /// The same listener with other limits for each connection.
    #[must_use]
    pub fn with_limits(self, limits: Limits) -> Self {
        Self { limits, ..self }
    }

    pub(crate) fn limits(&self) -> &Limits {
        &self.limits
    }

    /// Where it listens.
    pub fn path(&self) -> &Path {
        self.listening.path()
    }

    /// The next connection, which belongs to the caller. A client at its other end has [`Limits::handshake`] from now on to introduce
    /// itself to whoever serves it.
    ///
    /// # Errors
    ///
    /// What accept(2) says; `ConnectionAborted` after [`close`](Self::close).
    ///
    /// # Blocking
    ///
    /// Waits until somebody connects.
    ///
    /// # Examples
    ///
    /// A server that serves some users only:
    ///
    /// ```
    /// # use std::thread;
    /// # use unix_ipc::{Listener, ipc_service};
    /// # #[ipc_service]
    /// # trait Doubler {
    /// #     fn double(&self, number: u32) -> u32;
    /// # }
    /// # struct Twice;
    /// # impl Doubler for Twice {
    /// #     fn double(&self, number: u32) -> u32 {
    /// #         2 * number
    /// #     }
    /// # }
    /// # let directory = tempfile::tempdir()?;
    /// # let path = directory.path().join("doubler");
    /// # let friend = std::os::unix::fs::MetadataExt::uid(&directory.path().metadata()?);
    /// let listener = Listener::bind(&path)?;
    /// # let client = thread::spawn(move || DoublerClient::connect(&path)?.double(21).map_err(std::io::Error::from));
    /// let connection = listener.accept()?;
    /// if connection.peer_credentials()?.uid() == friend {
    ///     DoublerServer::new(Twice).serve(connection)?;
    /// } // everybody else is hung up on
    /// # assert_eq!(client.join().unwrap()?, 42);
    /// # Ok::<(), std::io::Error>(())
    /// ```
    pub fn accept(&self) -> io::Result<Connection> {
        loop {
            if let Some(link) = self.try_accept()? {
                return Ok(Connection::from_link(link));
            }
            self.listening.wait(Deadline::NEVER)?;
        }
    }

    /// The connections one after another, until [`close`](Self::close).
    ///
    /// # Blocking
    ///
    /// `next` waits until somebody connects.
    pub fn incoming(&self) -> Incoming<'_> {
        Incoming(self)
    }

    /// Takes no more clients: threads that wait in [`accept`](Self::accept), [`incoming`](Self::incoming) or a
    /// server's `listen` go on without waiting, and `listen` returns. Clients that are connected are hung up on
    /// by `listen`.
    ///
    /// This waits for no call; a server's [`Stopper`](crate::Stopper) does. A handler that runs goes on to its end, and `listen` waits for it, but its caller may
    /// get [`CallError::Disconnected`](crate::CallError::Disconnected) all the same, as those do whose calls have not
    /// begun. The file at the path stays until the listener is dropped.
    ///
    /// # Errors
    ///
    /// What shutdown(2) says.
    pub fn close(&self) -> io::Result<()> {
        self.closed.store(true, Ordering::SeqCst);
        self.listening.close()
    }

    pub(crate) fn is_closed(&self) -> bool {
        self.closed.load(Ordering::SeqCst)
    }

    pub(crate) fn try_accept(&self) -> io::Result<Option<Link>> {
        if self.is_closed() {
            return Err(io::ErrorKind::ConnectionAborted.into());
        }
        match self.listening.try_accept() {
            Ok(accepted) => Ok(accepted
                .map(|(socket, peer)| Link::new(socket, self.limits).with_peer(peer.into()).accepted())),
            Err(_) if self.is_closed() => Err(io::ErrorKind::ConnectionAborted.into()),
            Err(error) => Err(error),
        }
    }
}

impl AsFd for Listener {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.listening.as_fd()
    }
}

/// The connections of a [`Listener`], one after another, from [`Listener::incoming`].
///
/// An item that is an error is what [`Listener::accept`] would have said.
#[derive(Debug)]
pub struct Incoming<'a>(&'a Listener);

impl Iterator for Incoming<'_> {
    type Item = io::Result<Connection>;

    fn next(&mut self) -> Option<Self::Item> {
        match self.0.accept() {
            Err(_) if self.0.is_closed() => None,
            accepted => Some(accepted),
        }
    }
}
