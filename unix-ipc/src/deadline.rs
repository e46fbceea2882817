#[cfg(feature = "macros")]
use std::sync::OnceLock;
use std::time::{Duration, Instant};

#[cfg(feature = "macros")]
use nix::time::{ClockId, clock_gettime};

/// The moment at which waiting ends, if it ever does.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Deadline(Option<Instant>);

impl Deadline {
    /// Waiting does not end by itself.
    pub(crate) const NEVER: Self = Self(None);

    /// Waiting is over at once.
    pub(crate) fn now() -> Self {
        Self::after(Duration::ZERO)
    }

    /// So long from now; a time that no clock can show is never.
    pub(crate) fn after(duration: Duration) -> Self {
        Self(Instant::now().checked_add(duration))
    }

    /// So long from then; likewise.
    #[cfg(feature = "macros")]
    pub(crate) fn since(start: Instant, duration: Duration) -> Self {
        Self(start.checked_add(duration))
    }

    /// The time that is left: zero once it is over, `None` where it never ends.
    pub(crate) fn left(self) -> Option<Duration> {
        self.0.map(|end| end.saturating_duration_since(Instant::now()))
    }

    #[inline]
    pub(crate) fn has_passed(self) -> bool {
        // The clock is looked at where there is an end alone.
        self.0.is_some_and(|end| end <= Instant::now())
    }

    /// The moment as the system's monotonic clock has it, in nanoseconds, which means the same in every process of one time
    /// namespace (time_namespaces(7)): `None` for never.
    #[cfg(feature = "macros")]
    #[inline]
    pub(crate) fn on_the_clock(self) -> Option<u64> {
        let end = self.0?;
        let origin = Origin::get();
        let since = end.saturating_duration_since(origin.instant);
        Some(origin.nanoseconds.saturating_add(u64::try_from(since.as_nanos()).unwrap_or(u64::MAX)))
    }

    /// The moment at which that clock shows so many nanoseconds. What is long over is over, and what no clock will show is never.
    #[cfg(feature = "macros")]
    pub(crate) fn from_clock(nanoseconds: u64) -> Self {
        let origin = Origin::get();
        let since = Duration::from_nanos(nanoseconds.saturating_sub(origin.nanoseconds));
        Self(origin.instant.checked_add(since))
    }

    /// Whether more time is left than this.
    #[cfg(feature = "macros")]
    pub(crate) fn is_beyond(self, time: Duration) -> bool {
        self.left().is_none_or(|left| left > time)
    }

    /// Whichever comes first.
    #[cfg(feature = "macros")]
    pub(crate) fn min(self, other: Self) -> Self {
        match (self.0, other.0) {
            (Some(ours), Some(theirs)) => Self(Some(ours.min(theirs))),
            (ours, theirs) => Self(ours.or(theirs)),
        }
    }
}

/// A moment as both std and the system's monotonic clock have it: std keeps its number to itself.
#[cfg(feature = "macros")]
struct Origin {
    instant: Instant,
    nanoseconds: u64,
}

#[cfg(feature = "macros")]
impl Origin {
    fn get() -> &'static Self {
        static ORIGIN: OnceLock<Origin> = OnceLock::new();
        ORIGIN.get_or_init(|| {
            // The clock is there on every Linux (clock_gettime(2)).
            let now = clock_gettime(ClockId::CLOCK_MONOTONIC).map_or(Duration::ZERO, Duration::from);
            let nanoseconds = u64::try_from(now.as_nanos()).unwrap_or(u64::MAX);
            Self { instant: Instant::now(), nanoseconds }
        })
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
