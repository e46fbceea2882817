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

    /// Where it listens.
    pub fn path(&self) -> &Path {
        self.listening.path()
    }

    /// The next connection.
    ///
    /// # Errors
    ///
    /// What accept(2) says; `ConnectionAborted` after [`close`](Self::close).
    ///
    /// # Blocking
    ///
    /// Waits until somebody connects.
    pub fn accept(&self) -> io::Result<Connection> {
        loop {
            if let Some(link) = self.try_accept()? {
                return Ok(Connection::from_link(link));
            }
            self.listening.wait(Deadline::NEVER)?;
        }
    }

    /// The connections one after another, until [`close`](Self::close).
    pub fn incoming(&self) -> Incoming<'_> {
        Incoming(self)
    }

    /// Takes no more clients: threads that wait in [`accept`](Self::accept), [`incoming`](Self::incoming) or a
    /// server's `listen` go on without waiting, and `listen` returns. Clients that are connected are hung up on
    /// by `listen`.
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
            Ok(accepted) => {
                Ok(accepted.map(|(socket, peer)| Link::new(socket, self.limits).with_peer(peer.into())))
            }
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

/// The connections of a [`Listener`], one after another.
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
