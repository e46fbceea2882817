//! The monotonic clock, read where every nanosecond counts.
#![allow(unsafe_code)]

use std::mem::MaybeUninit;

use nix::libc;

/// What the monotonic clock shows, in nanoseconds.
#[inline]
pub(crate) fn now() -> u64 {
    read(libc::CLOCK_MONOTONIC)
}

/// What it showed at the kernel's last tick, 10 ms ago at most: a fifth of the cost.
#[cfg(feature = "macros")]
#[inline]
pub(crate) fn last_tick() -> u64 {
    read(libc::CLOCK_MONOTONIC_COARSE)
}

/// Both clocks are there on every Linux (clock_gettime(2)).
#[inline]
fn read(clock: libc::clockid_t) -> u64 {
    let mut time = MaybeUninit::<libc::timespec>::zeroed();
    // SAFETY: there is room for what is written.
    unsafe { libc::clock_gettime(clock, time.as_mut_ptr()) };
    // SAFETY: zeroes, or what the clock shows, are a time.
    let time = unsafe { time.assume_init() };
    // It is not negative.
    let number = |part| u64::try_from(part).unwrap_or_default();
    number(time.tv_sec).wrapping_mul(1_000_000_000).wrapping_add(number(time.tv_nsec))
}

#[cfg(test)]
mod tests {
    use nix::time::{ClockId, clock_gettime};
    use std::time::Duration;

    use super::*;

    #[test]
    fn it_is_the_monotonic_clock() {
        let clock = || Duration::from(clock_gettime(ClockId::CLOCK_MONOTONIC).unwrap());
        let (before, shown, after) = (clock(), Duration::from_nanos(now()), clock());
        assert!(before <= shown && shown <= after, "{before:?}, {shown:?}, {after:?}");
    }

    #[cfg(feature = "macros")]
    #[test]
    fn the_last_tick_is_over_and_another_one_comes() {
        let start = now();
        assert!(last_tick() <= now());
        while last_tick() <= start {
            std::thread::yield_now();
        }
    }
}
