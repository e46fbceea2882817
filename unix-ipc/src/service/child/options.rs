use std::time::Duration;

use super::Rlimit;
use crate::limits::Limits;
use crate::sys::before_exec::Hook;

/// How a child is spawned, what it has, and what becomes of it.
///
/// ```no_run
/// use std::{env, process::Command, time::Duration};
/// use unix_ipc::{Connection, Rlimit, SpawnOptions, ipc_service};
///
/// #[ipc_service]
/// trait Decoder {
///     fn decode(&self, picture: &[u8]) -> Result<Vec<u8>, String>;
/// }
///
/// # struct Pure;
/// # impl Decoder for Pure {
/// #     fn decode(&self, picture: &[u8]) -> Result<Vec<u8>, String> { Ok(picture.to_vec()) }
/// # }
/// # fn lock_in() -> std::io::Result<()> { Ok(()) }
///
/// if let Some(connection) = Connection::inherited()? {
///     // What the child gives up by itself, once it is connected: see `unix_ipc::sandbox`.
///     return Ok(DecoderServer::new(Pure).pre_serve(lock_in).serve(connection)?);
/// }
/// // What is kept from it: it finds nothing of this process, and cannot take more than it needs.
/// let options = SpawnOptions::new()
///     .empty_environment(true)
///     .close_descriptors(true)
///     .rlimit(Rlimit::AddressSpace, 256 << 20)
///     .rlimit(Rlimit::CpuTime, 60)
///     .grace(Duration::from_secs(5));
/// let connection = Connection::spawn_with(Command::new(env::current_exe()?), &options)?;
/// let decoder = DecoderClient::new(connection);
/// let pixels = decoder.decode(b"...")?;
/// # let _ = pixels;
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Clone, Debug)]
pub struct SpawnOptions {
    pub(crate) grace: Duration,
    pub(crate) limits: Limits,
    pub(crate) keep_stdin: bool,
    pub(crate) outlive_parent: bool,
    pub(crate) core_dumps: bool,
    pub(crate) empty_environment: bool,
    pub(crate) close_descriptors: bool,
    pub(crate) rlimits: Vec<(Rlimit, u64)>,
    pub(crate) hooks: Vec<Hook>,
}

impl SpawnOptions {
    /// The defaults: one second of grace, the default limits, and nothing kept, outlived, dumped or taken away.
    pub fn new() -> Self {
        Self {
            grace: Duration::from_secs(1),
            limits: Limits::default(),
            keep_stdin: false,
            outlive_parent: false,
            core_dumps: false,
            empty_environment: false,
            close_descriptors: false,
            rlimits: Vec::new(),
            hooks: Vec::new(),
        }
    }

    /// The time a child has to end by itself between the hang-up and SIGKILL: 1 second.
    ///
    /// It passes in the background; whoever drops the last client does not wait for it.
    #[must_use]
    pub fn grace(mut self, grace: Duration) -> Self {
        self.grace = grace;
        self
    }

    /// The limits of the connection, the time for the handshake among them.
    #[must_use]
    pub fn limits(mut self, limits: Limits) -> Self {
        self.limits = limits;
        self
    }

    /// Whether the child gets the standard input that its command names: no.
    ///
    /// Otherwise the connection takes that place, and the child reads /dev/null there. Keeping it
    /// costs a fork of the parent, slow where the parent uses much memory, and this of every later
    /// start of the same command as well.
    #[must_use]
    pub fn keep_stdin(mut self, keep: bool) -> Self {
        self.keep_stdin = keep;
        self
    }

    /// Whether the child may go on when this process ends: no.
    ///
    /// Otherwise the kernel kills it then, even in the middle of a call. One that goes on still sees
    /// its connection end.
    #[must_use]
    pub fn outlive_parent(mut self, outlive: bool) -> Self {
        self.outlive_parent = outlive;
        self
    }

    /// Whether a crash of the child may write a core dump, as its limits have it: no.
    ///
    /// A dump keeps the child's descriptors open until it is written, so its callers wait as long.
    #[must_use]
    pub fn core_dumps(mut self, allowed: bool) -> Self {
        self.core_dumps = allowed;
        self
    }

    /// Whether the child gets only the variables that its command was told ([`Command::env`]): no.
    ///
    /// Beside them there is the one that announces the connection. Every later start of the same command is without the
    /// environment as well. A program that is named without a path is then looked for in the default folders of execvp(3).
    ///
    /// [`Command::env`]: std::process::Command::env
    #[must_use]
    pub fn empty_environment(mut self, empty: bool) -> Self {
        self.empty_environment = empty;
        self
    }

    /// Whether all descriptors of this process but the standard streams are kept from the child: no.
    ///
    /// Those that this library and std open are closed in a child as it is. This is for what other code has opened
    /// without close-on-exec (open(2)), and for what this process has inherited so. It costs a fork as
    /// [`keep_stdin`](Self::keep_stdin) does, and on Linux before 5.11 it needs /proc.
    #[must_use]
    pub fn close_descriptors(mut self, close: bool) -> Self {
        self.close_descriptors = close;
        self
    }

    /// Sets both limits of a resource, the soft and the hard one, so that the child cannot raise it again. Of two for the same
    /// resource the later one counts. [`u64::MAX`] is no limit.
    ///
    /// The limit is set from outside once the program runs, and before any call can reach it. A limit that cannot be set
    /// is [`SpawnError::Rlimit`](crate::SpawnError::Rlimit), and the child is killed: one above this process's own hard limit, unless it is privileged, or
    /// any for a program that runs as another user (prlimit(2)).
    #[must_use]
    pub fn rlimit(mut self, limit: Rlimit, value: u64) -> Self {
        self.rlimits.retain(|(other, _)| *other != limit);
        self.rlimits.push((limit, value));
        self
    }
}

impl Default for SpawnOptions {
    fn default() -> Self {
        Self::new()
    }
}
