//! Tells a process from its copies: `fork` without `exec`.
#![allow(unsafe_code)]

use std::num::NonZeroUsize;
use std::process;
use std::ptr;
use std::sync::atomic::{AtomicPtr, AtomicU64, Ordering};

use nix::sys::mman::{MapFlags, MmapAdvise, ProtFlags, madvise, mmap_anonymous, munmap};

/// Which process this is: the number differs from that of every process it was forked from, and
/// stays the same until the process ends.
///
/// Kept by values that must not act in a copy of the process that made them.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Generation(u64);

impl Generation {
    /// This process's. Two loads, once it has been asked for.
    #[inline]
    pub(crate) fn current() -> Self {
        let Some(page) = page() else { return Self(process::id().into()) };
        match page.load(Ordering::Relaxed) {
            0 => Self(draw(page)),
            number => Self(number),
        }
    }

    /// Whether this is still the process that the generation was taken in, not a copy of it.
    #[inline]
    pub(crate) fn is_current(self) -> bool {
        self == Self::current()
    }

    /// As a number above zero, for an atomic.
    #[cfg(feature = "macros")]
    pub(crate) fn number(self) -> u64 {
        self.0
    }
}

/// The last number drawn here or in a process that this one is a copy of: a fork copies it.
static LAST: AtomicU64 = AtomicU64::new(0);

/// Writes this process's number into its page, which was zero.
fn draw(page: &AtomicU64) -> u64 {
    let fresh = LAST.fetch_add(1, Ordering::Relaxed) + 1;
    match page.compare_exchange(0, fresh, Ordering::Relaxed, Ordering::Relaxed) {
        Ok(_) => fresh,
        Err(other_thread) => other_thread,
    }
}

/// Null before the first use, then for ever the page or `UNSUPPORTED`. No lock: one that another
/// thread held during a fork would never be released in the copy.
static PAGE: AtomicPtr<AtomicU64> = AtomicPtr::new(ptr::null_mut());

/// Stands for the page where the system has no `MADV_WIPEONFORK` (emulators).
static UNSUPPORTED: AtomicU64 = AtomicU64::new(0);

/// The number that the kernel sets to zero in every copy; `None` where it cannot.
#[inline]
fn page() -> Option<&'static AtomicU64> {
    let mut page = PAGE.load(Ordering::Acquire);
    if page.is_null() {
        page = install();
    }
    // SAFETY: not null, so it is `UNSUPPORTED` or a mapping of at least 8 bytes that is aligned to a
    // page, is never unmapped, and starts as zero, which is a valid number.
    let page = unsafe { &*page };
    (!ptr::eq(page, &raw const UNSUPPORTED)).then_some(page)
}

#[cold]
fn install() -> *mut AtomicU64 {
    let fresh = map().unwrap_or((&raw const UNSUPPORTED).cast_mut());
    match PAGE.compare_exchange(ptr::null_mut(), fresh, Ordering::AcqRel, Ordering::Acquire) {
        Ok(_) => fresh,
        Err(installed) => {
            unmap(fresh);
            installed
        }
    }
}

/// The length of the mapping, which the kernel rounds up to a page.
const LENGTH: NonZeroUsize = NonZeroUsize::MIN;

/// Maps a page that is zero here and in every copy.
fn map() -> Option<*mut AtomicU64> {
    let protection = ProtFlags::PROT_READ | ProtFlags::PROT_WRITE;
    // SAFETY: an anonymous mapping at an address of the kernel's choice overlaps nothing.
    let page = unsafe { mmap_anonymous(None, LENGTH, protection, MapFlags::MAP_PRIVATE) }.ok()?;
    let number = page.as_ptr().cast();
    // SAFETY: the mapping was made above, and the advice changes nothing in this process.
    if unsafe { madvise(page, LENGTH.get(), MmapAdvise::MADV_WIPEONFORK) }.is_err() {
        unmap(number);
        return None;
    }
    Some(number)
}

/// Returns a page of [`map`] that was never published.
fn unmap(page: *mut AtomicU64) {
    if let Some(page) =
        ptr::NonNull::new(page).filter(|page| page.as_ptr().cast_const() != &raw const UNSUPPORTED)
    {
        // SAFETY: only `install` calls this, with what `map` returned and nobody else has seen.
        // A failure leaves one page mapped.
        let _ = unsafe { munmap(page.cast(), LENGTH.get()) };
    }
}

/// Runs `act` in a copy of this process, which ends then, and says whether it returned true there.
#[cfg(test)]
pub(crate) fn in_a_copy(act: impl FnOnce() -> bool) -> bool {
    use nix::sys::wait::{WaitStatus, waitpid};
    use nix::unistd::{ForkResult, fork};
    use std::panic::{AssertUnwindSafe, catch_unwind};

    // SAFETY: the copy has this thread alone and never returns from here; the C library sees to its
    // allocator, and what else was locked by other threads is for `act` to keep away from.
    match unsafe { fork() }.unwrap() {
        ForkResult::Parent { child } => matches!(waitpid(child, None), Ok(WaitStatus::Exited(_, 0))),
        ForkResult::Child => {
            let held = catch_unwind(AssertUnwindSafe(act)).unwrap_or(false);
            // SAFETY: ends the process, without the destructors that are the original's to run.
            unsafe { nix::libc::_exit(i32::from(!held)) }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_generation_is_the_same_in_every_thread() {
        let here = Generation::current();
        assert_eq!(std::thread::spawn(Generation::current).join().unwrap(), here);
        assert!(here.is_current());
    }

    #[test]
    fn a_copy_of_a_copy_is_neither_of_them() {
        let first = Generation::current();
        assert!(in_a_copy(|| {
            let second = Generation::current();
            let differs = !first.is_current() && second.is_current();
            differs && in_a_copy(|| !first.is_current() && !second.is_current())
        }));
        assert!(first.is_current());
    }
}
