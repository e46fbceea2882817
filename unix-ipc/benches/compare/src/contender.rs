//! What each library is asked to do, and how its times are taken.

use std::time::{Duration, Instant};

use crate::Outcome;

/// How many calls are in flight at once.
pub(crate) const IN_FLIGHT: usize = 64;

/// A library, before it is started.
pub(crate) struct Contender {
    pub(crate) name: &'static str,
    /// Its version, where it has one.
    pub(crate) version: fn() -> Option<&'static str>,
    /// Starts the server's process and connects to it.
    pub(crate) start: fn() -> Outcome<Box<dyn Client>>,
    /// Serves, in the server's process, until the client is gone.
    pub(crate) serve: fn(&str) -> Outcome,
}

/// The client's side of a library, connected. Dropping it ends the server.
///
/// What a library does not offer it leaves as it is here, and the row stays empty.
pub(crate) trait Client {
    /// Calls `add` and waits, one call after another.
    fn add(&mut self, samples: &mut Samples) -> Outcome;

    /// Starts [`IN_FLIGHT`] calls of `add`, then waits for all of them.
    fn in_flight(&mut self, _: &mut Samples) -> Outcome {
        Ok(())
    }

    /// Sends bytes and waits for their sum.
    ///
    /// A library that takes the bytes away is given a copy before the time starts: its caller might have had no other
    /// use for them.
    fn sum(&mut self, bytes: &[u8], samples: &mut Samples) -> Outcome;

    /// Receives so many numbers, which the server sends one by one.
    fn stream(&mut self, _count: u64, _: &mut Samples) -> Outcome {
        Ok(())
    }
}

/// The times of what is done again and again: `while let Some(start) = samples.begin() { …; samples.end(start); }`.
pub(crate) struct Samples {
    /// How many are not counted, because they warm both sides.
    warming: usize,
    wanted: usize,
    times: Vec<Duration>,
}

impl Samples {
    pub(crate) fn new(warming: usize, wanted: usize) -> Self {
        Self { warming, wanted, times: Vec::with_capacity(wanted) }
    }

    /// The time at which the next one starts, or nothing when there are enough.
    pub(crate) fn begin(&self) -> Option<Instant> {
        (self.times.len() < self.wanted).then(Instant::now)
    }

    pub(crate) fn end(&mut self, start: Instant) {
        let time = start.elapsed();
        if self.warming > 0 {
            self.warming -= 1;
        } else {
            self.times.push(time);
        }
    }

    /// The median in seconds, or nothing when nothing was done.
    pub(crate) fn median(mut self) -> Option<f64> {
        self.times.sort_unstable();
        self.times.get(self.times.len() / 2).map(Duration::as_secs_f64)
    }

    /// How often something is done in a second that is done so often in each sample.
    pub(crate) fn rate(&self, each: u64) -> Option<f64> {
        let total: Duration = self.times.iter().sum();
        let done = each * self.times.len() as u64;
        (done > 0).then(|| done as f64 / total.as_secs_f64())
    }
}

/// What every server does with bytes: it reads them all.
pub(crate) fn sum_of(bytes: &[u8]) -> u64 {
    let (words, rest) = bytes.as_chunks::<8>();
    let words = words.iter().fold(0, |sum: u64, word| sum.wrapping_add(u64::from_le_bytes(*word)));
    rest.iter().fold(words, |sum, byte| sum.wrapping_add(u64::from(*byte)))
}

/// A fast wrong answer is not a result.
pub(crate) fn expect<T: PartialEq + std::fmt::Debug>(got: T, wanted: T) -> Outcome {
    if got == wanted {
        return Ok(());
    }
    Err(format!("got {got:?} instead of {wanted:?}").into())
}
