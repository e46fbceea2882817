//! SIGTERM, which raises alarms.
#![allow(unsafe_code)]

use std::io;
use std::sync::{Arc, Mutex, OnceLock};

use nix::errno::Errno;
use nix::libc;
use nix::sys::signal::{SaFlags, SigAction, SigHandler, SigSet, Signal, sigaction};

use super::alarm::Alarm;
use crate::sync::lock;

/// How many alarms of one process there can be at all: each has a place for good, since the handler may look at any time.
const PLACES: usize = 16;

/// What the signal raises. Nothing is ever taken out.
static WATCHED: [OnceLock<Arc<Alarm>>; PLACES] = [const { OnceLock::new() }; PLACES];

/// Whether the handler is there.
static INSTALLED: Mutex<bool> = Mutex::new(false);

/// From now on SIGTERM raises this alarm, and does not end the process any more.
pub(crate) fn watch(alarm: Arc<Alarm>) -> io::Result<()> {
    let mut installed = lock(&INSTALLED);
    let free = WATCHED.iter().find(|place| place.get().is_none());
    let Some(free) = free else {
        let message = "as many servers as can watch for SIGTERM do so already";
        return Err(io::Error::new(io::ErrorKind::QuotaExceeded, message));
    };
    if !*installed {
        let action = SigAction::new(SigHandler::Handler(raise_all), SaFlags::SA_RESTART, SigSet::empty());
        // SAFETY: the handler does nothing but what signal-safety(7) allows: it loads and stores atomics, writes to an eventfd
        // and leaves `errno` as it was. What it looks at is never freed.
        unsafe { sigaction(Signal::SIGTERM, &action) }?;
        *installed = true;
    }
    // Nobody else sets one: the lock is held.
    let _ = free.set(alarm);
    Ok(())
}

/// The handler.
extern "C" fn raise_all(_: libc::c_int) {
    let errno = Errno::last_raw();
    WATCHED.iter().filter_map(OnceLock::get).for_each(|alarm| alarm.raise());
    Errno::set_raw(errno);
}
