//! Threads, and the signals that reach them.

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

/// Which signals a thread blocks. Processes have it from the thread that starts them.
#[derive(Clone, Debug)]
pub(crate) struct SignalMask(SigSet);

impl SignalMask {
    pub(crate) fn of_this_thread() -> io::Result<Self> {
        Ok(Self(SigSet::thread_get_mask()?))
    }

    /// Starts a thread with this mask, whoever starts it. Nobody joins it.
    pub(crate) fn spawn(&self, name: &str, run: impl FnOnce() + Send + 'static) -> io::Result<()> {
        let Self(mask) = self.clone();
        let started = thread::Builder::new().name(name.to_owned()).spawn(move || {
            // It fails for no set of signals.
            let _ = mask.thread_set_mask();
            run();
        });
        started.map(drop)
    }
}
