use std::fmt;
#[cfg(feature = "bootstrap-simple")]
use std::fs::Permissions;
use std::io;
#[cfg(feature = "bootstrap-simple")]
use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::sync::Mutex;
use std::time::Duration;

use nix::sys::socket::Shutdown;
use nix::unistd::Uid;
use serde::Serialize;

use crate::channel::Sender;
use crate::deadline::Deadline;
use crate::error::SendError;
use crate::limits::Limits;
use crate::raw_channel::RawSender;
use crate::socket::Socket;
use crate::socket::listening::Listening;
use crate::sync::lock;

/// Hands the first channel to a process that only knows a path.
///
/// It listens at a path. The other process calls [`Receiver::connect`](crate::Receiver::connect) with it, and
/// receives what is sent here. One process connects: only one of the same user, or of root's.
/// Two processes need two of these, with a clone of the same [`Sender`](crate::Sender) in each if they are to
/// reach the same receiver.
///
/// How the other process learns the path is the caller's affair: as an argument of its command, for one. That it
/// died before it connected is not seen here: [`send`](Self::send) then waits until its time is over.
///
/// The file at the path goes when this is dropped.
///
/// # Examples
///
/// ```
/// # use std::thread;
/// use unix_ipc::{Bootstrapper, Receiver};
///
/// let bootstrapper = Bootstrapper::new()?;
/// let path = bootstrapper.path().to_owned();
/// # let other = thread::spawn(move || -> Result<String, std::io::Error> {
/// // in the other process:
/// let receiver = Receiver::<String>::connect(path)?;
/// let word = receiver.recv()?;
/// # Ok(word)
/// # });
///
/// // in this one:
/// bootstrapper.send("hello".to_owned())?;
/// # assert_eq!(other.join().unwrap()?, "hello");
/// # Ok::<(), std::io::Error>(())
/// ```
pub struct Bootstrapper<T> {
    listening: Listening,
    sender: Mutex<Option<Sender<T>>>,
    /// Goes with this, after the file in it.
    #[cfg(feature = "bootstrap-simple")]
    directory: Option<tempfile::TempDir>,
}

impl<T> Bootstrapper<T> {
    /// Listens at a new path in a new directory of mode 0700, below the system's directory for temporary
    /// files (`TMPDIR`). Both go when this is dropped.
    ///
    /// # Errors
    ///
    /// What mkdir(2), socket(2) and bind(2) say.
    #[cfg(feature = "bootstrap-simple")]
    pub fn new() -> io::Result<Self> {
        // tempfile leaves a directory's mode to the umask.
        let private = Permissions::from_mode(0o700);
        let directory = tempfile::Builder::new().prefix("unix-ipc-").permissions(private).tempdir()?;
        let listening = Listening::bind(&directory.path().join("socket"), 0o600)?;
        Ok(Self { listening, sender: Mutex::new(None), directory: Some(directory) })
    }

    /// Listens at a path where nothing is yet. The file has mode 0600. That of a process that was killed stays
    /// behind, and has to be removed first.
    ///
    /// # Errors
    ///
    /// `AddrInUse` where something is at the path, which stays as it is; else what socket(2) and bind(2) say.
    pub fn bind(path: impl AsRef<Path>) -> io::Result<Self> {
        Ok(Self {
            listening: Listening::bind(path.as_ref(), 0o600)?,
            sender: Mutex::new(None),
            #[cfg(feature = "bootstrap-simple")]
            directory: None,
        })
    }

    /// The path, for the other process.
    pub fn path(&self) -> &Path {
        self.listening.path()
    }
}

impl<T: Serialize> Bootstrapper<T> {
    /// Sends a value to the process that connects, the first time after waiting for it.
    ///
    /// # Errors
    ///
    /// [`SendError::Timeout`] where no process has connected within 10 seconds, else as
    /// [`Sender::send`]. The value comes back.
    ///
    /// # Blocking
    ///
    /// At most 10 seconds for the connection; then as [`Sender::send`].
    pub fn send(&self, value: T) -> Result<(), SendError<T>> {
        self.send_until(value, Deadline::after(Limits::default().handshake), Deadline::NEVER)
    }

    /// Sends a value, or gives up when the time is over.
    ///
    /// # Errors
    ///
    /// [`SendError::Timeout`] where no process has connected, or nothing could be sent, in time; else as
    /// [`Sender::send`]. The value comes back.
    ///
    /// # Blocking
    ///
    /// Waits for as long as `timeout` says.
    pub fn send_timeout(&self, value: T, timeout: Duration) -> Result<(), SendError<T>> {
        let deadline = Deadline::after(timeout);
        self.send_until(value, deadline, deadline)
    }

    fn send_until(&self, value: T, connected: Deadline, sent: Deadline) -> Result<(), SendError<T>> {
        let sender = match self.connected(connected) {
            Ok(sender) => sender,
            Err(error) if error.kind() == io::ErrorKind::TimedOut => return Err(SendError::Timeout(value)),
            Err(source) => return Err(SendError::Io { value, source }),
        };
        sender.send_until(value, sent)
    }

    /// The way to the process that connected; strangers are passed over.
    fn connected(&self, deadline: Deadline) -> io::Result<Sender<T>> {
        loop {
            if let Some(sender) = self.look_for_connection()? {
                return Ok(sender);
            }
            self.listening.wait(deadline)?;
        }
    }

    fn look_for_connection(&self) -> io::Result<Option<Sender<T>>> {
        let mut sender = lock(&self.sender);
        if sender.is_some() {
            return Ok(sender.clone());
        }
        while let Some((socket, peer)) = self.listening.try_accept()? {
            if peer.uid == Uid::effective().as_raw() || peer.uid == 0 {
                return Ok(Some(sender.insert(one_way(socket)?).clone()));
            }
        }
        Ok(None)
    }
}

fn one_way<T>(socket: Socket) -> io::Result<Sender<T>> {
    socket.shut_down(Shutdown::Read)?;
    Ok(RawSender::from(socket).into())
}

/// A forked copy of the process leaves the directory to the original.
#[cfg(feature = "bootstrap-simple")]
impl<T> Drop for Bootstrapper<T> {
    fn drop(&mut self) {
        if !self.listening.is_ours()
            && let Some(directory) = self.directory.take()
        {
            let _ = directory.keep();
        }
    }
}

impl<T> fmt::Debug for Bootstrapper<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Bootstrapper").field("path", &self.path()).finish_non_exhaustive()
    }
}
