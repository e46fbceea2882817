//! What the system has no safe form for: a handler of a signal that restarts nothing, a copy of the process, and another clock.
#![allow(unsafe_code)]

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::ptr;
use std::sync::atomic::{AtomicBool, AtomicI64, Ordering};

use nix::libc;
use nix::sys::signal::{SaFlags, SigAction, SigHandler, SigSet, Signal, sigaction};
use nix::sys::wait::{WaitStatus, waitpid};
use nix::unistd::{ForkResult, alarm, fork};

extern "C" fn do_nothing(_: libc::c_int) {}

/// From now on this signal interrupts what the process waits for, and does nothing else: no system call is begun anew for it.
pub(crate) fn interrupt_at(signal: Signal) {
    let action = SigAction::new(SigHandler::Handler(do_nothing), SaFlags::empty(), SigSet::empty());
    // SAFETY: the handler does nothing.
    unsafe { sigaction(signal, &action) }.expect("the signal can be handled");
}

/// Whether `act` held in a copy of this process, which is killed if it takes ten seconds for it, and ends without running what is the
/// original's to run.
pub(crate) fn holds_in_a_copy(act: impl FnOnce() -> bool) -> bool {
    // SAFETY: the copy runs `act`, whose subject is just what may be run there, and never returns.
    match unsafe { fork() }.expect("there is room for a process") {
        ForkResult::Child => {
            alarm::set(10);
            let held = catch_unwind(AssertUnwindSafe(act)).unwrap_or(false);
            // SAFETY: ends the process.
            unsafe { libc::_exit(i32::from(!held)) }
        }
        ForkResult::Parent { child } => {
            let ended = waitpid(child, None).expect("it is a child");
            if ended != WaitStatus::Exited(child, 0) {
                eprintln!("the copy: {ended:?}");
            }
            ended == WaitStatus::Exited(child, 0)
        }
    }
}

/// Whether the clock on the wall jumps, and how often it has been asked.
pub(crate) static JUMPS: AtomicBool = AtomicBool::new(false);
static ASKED: AtomicI64 = AtomicI64::new(0);

/// Stands in the place of the C library's, in this executable: the standard library asks here. The clock on the wall goes back a day and
/// forward a day each time that it is asked while it jumps; the others are the system's.
///
/// # Safety
///
/// As for clock_gettime(2).
#[unsafe(no_mangle)]
pub(crate) unsafe extern "C" fn clock_gettime(
    clock: libc::clockid_t,
    time: *mut libc::timespec,
) -> libc::c_int {
    // SAFETY: these are the arguments of the system call, and the caller's are such.
    let result = unsafe { libc::syscall(libc::SYS_clock_gettime, clock, time) };
    let is_on_the_wall = clock == libc::CLOCK_REALTIME || clock == libc::CLOCK_REALTIME_COARSE;
    if result == 0 && is_on_the_wall && !ptr::eq(time, ptr::null()) && JUMPS.load(Ordering::Relaxed) {
        let days = [1, -1, 30, -30][(ASKED.fetch_add(1, Ordering::Relaxed) & 3) as usize];
        // SAFETY: the system has just written there.
        unsafe { (*time).tv_sec += days * 86_400 };
    }
    if result == 0 { 0 } else { -1 }
}
