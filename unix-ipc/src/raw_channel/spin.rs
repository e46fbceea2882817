use std::hint;
use std::io;
use std::time::{Duration, Instant};

/// Looks at the ring before the clock is read, and where the other end runs: about as long as a short call takes.
const FREE_LOOKS: u32 = 256;

/// Looks between two readings of the clock.
const LOOKS: u32 = 64;

/// How often a thread looks for room in a ring before it sleeps, and how many turns of a loop are between two looks: all in
/// all as long as it takes to wake.
const ROOM_LOOKS: usize = 200;
const LOOK_TURNS: usize = 32;

/// Looks for room for a while, if the other end makes it just now. A look says `None` where that is not worth while.
pub(crate) fn look_often(mut look: impl FnMut() -> io::Result<Option<bool>>) -> io::Result<bool> {
    for _ in 0..ROOM_LOOKS {
        match look()? {
            None => return Ok(false),
            Some(true) => return Ok(true),
            Some(false) => (0..LOOK_TURNS).for_each(|_| hint::spin_loop()),
        }
    }
    Ok(false)
}

/// How long an end looks at its ring before it sleeps.
///
/// A process that sleeps takes longer to wake than one that looks takes to see. So an end looks for a while, if the other
/// runs on another core, and for as long as that has lately paid off: the time halves whenever nothing came, and
/// grows whenever something came that would have been seen.
#[derive(Debug)]
pub(crate) struct Spin {
    most: Duration,
    now: Duration,
    /// Whether the other end ran on another core when it was last asked.
    elsewhere: bool,
}

impl Spin {
    pub(crate) fn new(most: Duration) -> Self {
        Self { most, now: most, elsewhere: false }
    }

    /// Looks until there is something: false where it is time to sleep. Where the other end runs is asked again each time
    /// that it takes longer.
    #[inline]
    pub(crate) fn wait(&mut self, has_packet: impl Fn() -> bool, is_elsewhere: impl Fn() -> bool) -> bool {
        if self.now.is_zero() {
            return false;
        }
        if self.elsewhere {
            for _ in 0..FREE_LOOKS {
                if has_packet() {
                    return true;
                }
                hint::spin_loop();
            }
        }
        self.look_on(has_packet, is_elsewhere)
    }

    #[cold]
    fn look_on(&mut self, has_packet: impl Fn() -> bool, is_elsewhere: impl Fn() -> bool) -> bool {
        self.elsewhere = is_elsewhere();
        if !self.elsewhere {
            return false;
        }
        let start = Instant::now();
        loop {
            for _ in 0..LOOKS {
                if has_packet() {
                    self.now = self.most;
                    return true;
                }
                hint::spin_loop();
            }
            if start.elapsed() >= self.now {
                self.now = if self.now > Duration::from_micros(1) { self.now / 2 } else { Duration::ZERO };
                return false;
            }
        }
    }

    /// When an end falls asleep, where that tells something.
    pub(crate) fn begin_sleep(&self, is_elsewhere: impl Fn() -> bool) -> Option<Instant> {
        (self.now < self.most && is_elsewhere()).then(Instant::now)
    }

    /// It was woken: had it looked for as long, it would not have slept.
    pub(crate) fn end_sleep(&mut self, start: Option<Instant>) {
        if start.is_some_and(|start| start.elapsed() < self.most) {
            self.now = (2 * self.now).max(self.most / 8).min(self.most);
        }
    }
}
