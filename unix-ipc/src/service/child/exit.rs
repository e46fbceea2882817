use std::fmt;
use std::os::unix::process::ExitStatusExt;
use std::process::ExitStatus;

use crate::sys::pidfd::signal_name;

/// How a peer's process ended.
///
/// ```
/// use unix_ipc::PeerExit;
///
/// assert_eq!(PeerExit::Exited(3).to_string(), "exited with status 3");
/// assert_eq!(PeerExit::Killed(9).to_string(), "killed by signal 9 (SIGKILL)");
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum PeerExit {
    /// It ended by itself, with this status.
    Exited(i32),
    /// This signal ended it.
    Killed(i32),
    /// It ended, and nothing says how: the program that spawned it ignores SIGCHLD or reaps
    /// children itself, and the kernel is older than Linux 6.15, which keeps the status all the same.
    Unknown,
}

impl PeerExit {
    /// What stands between the process and how it ended, in a sentence.
    pub(crate) fn auxiliary(self) -> &'static str {
        match self {
            Self::Killed(_) => "was ",
            Self::Exited(_) | Self::Unknown => "",
        }
    }
}

impl fmt::Display for PeerExit {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match *self {
            Self::Exited(status) => write!(f, "exited with status {status}"),
            Self::Killed(signal) => match signal_name(signal) {
                Some(name) => write!(f, "killed by signal {signal} ({name})"),
                None => write!(f, "killed by signal {signal}"),
            },
            Self::Unknown => f.write_str("ended with unknown status"),
        }
    }
}

impl From<ExitStatus> for PeerExit {
    fn from(status: ExitStatus) -> Self {
        match (status.code(), status.signal()) {
            (Some(code), _) => Self::Exited(code),
            (None, Some(signal)) => Self::Killed(signal),
            (None, None) => Self::Unknown,
        }
    }
}
