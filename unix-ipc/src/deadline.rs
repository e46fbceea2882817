use std::time::Duration;

use crate::sys::clock;

/// The moment at which waiting ends, if it ever does: in nanoseconds of the system's monotonic clock, which means the same in every
/// process of one time namespace (time_namespaces(7)).
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Deadline(u64);

impl Deadline {
    /// Waiting does not end by itself.
    pub(crate) const NEVER: Self = Self(u64::MAX);

    /// Waiting is over at once.
    pub(crate) fn now() -> Self {
        Self(clock::now())
    }

    /// So long from now; a time that no clock will show is never.
    pub(crate) fn after(duration: Duration) -> Self {
        Self::now().and(duration)
    }

    /// So long from then; likewise.
    pub(crate) fn and(self, duration: Duration) -> Self {
        Self(self.0.saturating_add(u64::try_from(duration.as_nanos()).unwrap_or(u64::MAX)))
    }

    /// The time that is left: zero once it is over, `None` where it never ends.
    pub(crate) fn left(self) -> Option<Duration> {
        (self != Self::NEVER).then(|| Duration::from_nanos(self.0.saturating_sub(clock::now())))
    }

    #[inline]
    pub(crate) fn has_passed(self) -> bool {
        // The clock is looked at where there is an end alone.
        self != Self::NEVER && self.0 <= clock::now()
    }

    /// The moment as other processes understand it: `None` for never.
    #[cfg(feature = "macros")]
    #[inline]
    pub(crate) fn on_the_clock(self) -> Option<u64> {
        (self != Self::NEVER).then_some(self.0)
    }

    /// The moment that another process means by such a number.
    #[cfg(feature = "macros")]
    #[inline]
    pub(crate) fn from_clock(nanoseconds: u64) -> Self {
        Self(nanoseconds)
    }

    /// Whether more time is left than this.
    #[cfg(feature = "macros")]
    pub(crate) fn is_beyond(self, time: Duration) -> bool {
        self.left().is_none_or(|left| left > time)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[cfg(feature = "macros")]
    #[test]
    fn a_moment_goes_to_the_clock_and_back() {
        let soon = Deadline::after(Duration::from_secs(1));
        assert_eq!(soon.on_the_clock().map(Deadline::from_clock), Some(soon));
        assert_eq!(Deadline::NEVER.on_the_clock(), None);
    }

    #[cfg(feature = "macros")]
    #[test]
    fn a_moment_that_anybody_may_name_is_over_or_far_away() {
        let now = Deadline::now().on_the_clock().unwrap_or_default();
        assert!(Deadline::from_clock(0).has_passed());
        assert!(Deadline::from_clock(now.saturating_sub(1)).has_passed());
        assert!(!Deadline::from_clock(u64::MAX).has_passed());
    }

    #[test]
    fn the_longest_duration_never_ends() {
        assert_eq!(Deadline::after(Duration::MAX), Deadline::NEVER);
    }

    #[cfg(feature = "macros")]
    #[test]
    fn the_earlier_of_two_wins_and_never_loses() {
        let soon = Deadline::after(Duration::from_secs(1));
        let late = Deadline::after(Duration::from_secs(60));
        assert_eq!(soon.min(late), soon);
        assert_eq!(Deadline::NEVER.min(late), late);
        assert_eq!(late.min(Deadline::NEVER), late);
    }

    #[test]
    fn no_time_left_has_passed() {
        assert!(Deadline::after(Duration::ZERO).has_passed());
        assert!(!Deadline::NEVER.has_passed());
    }
}
