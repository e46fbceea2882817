use std::env;
use std::io;
use std::os::fd::OwnedFd;

use crate::sys::inherit::Announcement;

/// The variable that announces the socket to the child.
pub(super) const CONNECTION_VARIABLE: &str = "UNIX_IPC_CONNECTION";

/// Takes the socket that this process's spawner left it, once; `None` when there is none.
///
/// It is close-on-exec and moved away from standard input, which reads as empty from now on. The
/// variable stays, because changing the environment is unsound beside other threads; what it says
/// fits nowhere any more: not here, where the socket has moved, and not in processes started from
/// here. Errors are the system's: no descriptor left, or no /dev/null.
pub(crate) fn claim() -> io::Result<Option<OwnedFd>> {
    let Some(text) = env::var_os(CONNECTION_VARIABLE) else { return Ok(None) };
    match text.to_str().map(str::parse::<Announcement>) {
        Some(Ok(announcement)) => announcement.take(),
        _ => Ok(None),
    }
}
