use std::time::{Duration, Instant};

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

    /// The time that is left: zero once it is over, `None` where it never ends.
    pub(crate) fn left(self) -> Option<Duration> {
        self.0.map(|end| end.saturating_duration_since(Instant::now()))
    }

    pub(crate) fn has_passed(self) -> bool {
        self.left() == Some(Duration::ZERO)
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

#[cfg(test)]
mod tests {
    use super::*;

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
