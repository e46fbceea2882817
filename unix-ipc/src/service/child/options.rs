use std::time::Duration;

use crate::limits::Limits;

/// How a child is spawned, and what becomes of it.
///
/// ```
/// use std::time::Duration;
/// use unix_ipc::SpawnOptions;
///
/// let options = SpawnOptions::new().grace(Duration::from_secs(5)).core_dumps(true);
/// ```
#[derive(Clone, Debug)]
pub struct SpawnOptions {
    pub(crate) grace: Duration,
    pub(crate) limits: Limits,
    pub(crate) keep_stdin: bool,
    pub(crate) outlive_parent: bool,
    pub(crate) core_dumps: bool,
}

impl SpawnOptions {
    /// The defaults: one second of grace, the default limits, and nothing kept, outlived or dumped.
    pub fn new() -> Self {
        Self {
            grace: Duration::from_secs(1),
            limits: Limits::default(),
            keep_stdin: false,
            outlive_parent: false,
            core_dumps: false,
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
}

impl Default for SpawnOptions {
    fn default() -> Self {
        Self::new()
    }
}
