use std::hint;
use std::io;
use std::time::{Duration, Instant};

use crate::ring::{Memory, RingReceiver};
use crate::sys::core;

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
pub(super) struct Spin {
    most: Duration,
    now: Duration,
    /// Whether the other end ran on another core when it was last asked.
    elsewhere: bool,
}

impl Spin {
    pub(super) fn new(most: Duration) -> Self {
        Self { most, now: most, elsewhere: false }
    }

    /// Looks until there is something: false where it is time to sleep.
    #[inline]
    pub(super) fn wait<M: Memory>(&mut self, ring: &RingReceiver<M>) -> bool {
        if self.now.is_zero() {
            return false;
        }
        if self.elsewhere {
            for _ in 0..FREE_LOOKS {
                if ring.has_packet() {
                    return true;
                }
                hint::spin_loop();
            }
        }
        self.look_on(ring)
    }

    #[cold]
    fn look_on<M: Memory>(&mut self, ring: &RingReceiver<M>) -> bool {
        self.elsewhere = is_elsewhere(ring);
        if !self.elsewhere {
            return false;
        }
        let start = Instant::now();
        loop {
            for _ in 0..LOOKS {
                if ring.has_packet() {
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
    pub(super) fn begin_sleep<M: Memory>(&self, ring: &RingReceiver<M>) -> Option<Instant> {
        (self.now < self.most && is_elsewhere(ring)).then(Instant::now)
    }

    /// It was woken: had it looked for as long, it would not have slept.
    pub(super) fn end_sleep(&mut self, start: Option<Instant>) {
        if start.is_some_and(|start| start.elapsed() < self.most) {
            self.now = (2 * self.now).max(self.most / 8).min(self.most);
        }
    }
}

/// Whether the other end is known to run on another core: on the same one it cannot do anything while this one looks.
#[inline]
fn is_elsewhere<M: Memory>(ring: &RingReceiver<M>) -> bool {
    let Some(here) = core::current() else { return false };
    ring.wait_on_core(here);
    ring.others_core().is_some_and(|there| there != here)
}
