//! A thread that no signal of the program reaches.

use std::io;
use std::thread;

use nix::sys::signal::{SigSet, SigmaskHow};

/// Starts a thread with every signal blocked, so that none of the program's handlers ever runs in
/// it. Nobody joins it.
pub(crate) fn spawn_without_signals(name: &str, run: impl FnOnce() + Send + 'static) -> io::Result<()> {
    // A thread starts with the mask of the thread that starts it.
    let before = SigSet::all().thread_swap_mask(SigmaskHow::SIG_SETMASK)?;
    let started = thread::Builder::new().name(name.to_owned()).spawn(run);
    before.thread_set_mask()?;
    started.map(drop)
}
