//! The workers there are, and whose turn it is. No I/O, no clock and no threads, so that tests can drive it.

use std::time::{Duration, Instant};

/// A worker, as the pool sees it.
#[derive(Debug)]
pub(super) struct Entry<C> {
    pub(super) id: u64,
    pub(super) client: C,
    /// How many calls it has now.
    running: usize,
    /// How many it was given.
    calls: u64,
    since: Instant,
    pub(super) has_answered: bool,
    /// To be recycled: it takes calls only as long as there is no other to take them, and goes then.
    is_due: bool,
    memory_seen: Option<Instant>,
}

/// All workers, the oldest first.
#[derive(Debug)]
pub(super) struct Roster<C> {
    entries: Vec<Entry<C>>,
    last_id: u64,
}

impl<C: Clone> Roster<C> {
    pub(super) fn new() -> Self {
        Self { entries: Vec::new(), last_id: 0 }
    }

    pub(super) fn add(&mut self, client: C, now: Instant) {
        self.last_id += 1;
        self.entries.push(Entry {
            id: self.last_id,
            client,
            running: 0,
            calls: 0,
            since: now,
            has_answered: false,
            is_due: false,
            memory_seen: None,
        });
    }

    /// Takes a worker that is no more, unless somebody else has.
    pub(super) fn remove(&mut self, id: u64) -> Option<Entry<C>> {
        let position = self.entries.iter().position(|entry| entry.id == id)?;
        Some(self.entries.remove(position))
    }

    pub(super) fn take_all(&mut self) -> Vec<Entry<C>> {
        std::mem::take(&mut self.entries)
    }

    pub(super) fn iter(&self) -> impl Iterator<Item = &Entry<C>> {
        self.entries.iter()
    }

    pub(super) fn len(&self) -> usize {
        self.entries.len()
    }

    pub(super) fn is_empty(&self) -> bool {
        self.entries.is_empty()
    }

    /// How many are not about to be recycled.
    pub(super) fn fresh(&self) -> usize {
        self.entries.iter().filter(|entry| !entry.is_due).count()
    }

    pub(super) fn busy(&self) -> usize {
        self.entries.iter().filter(|entry| entry.running > 0).count()
    }

    /// The worker to be given the next call: the one with the fewest, the oldest of several. The same worker then has all
    /// the calls of a single thread, and a connection that is busy is a fast one.
    pub(super) fn least_busy(&mut self) -> Option<&mut Entry<C>> {
        let has_fresh = self.fresh() > 0;
        let candidates = self.entries.iter_mut().filter(|entry| !(has_fresh && entry.is_due));
        candidates.min_by_key(|entry| entry.running)
    }

    /// A call of the worker is over. Nothing where the worker is no more.
    pub(super) fn finish(&mut self, id: u64) -> Option<&mut Entry<C>> {
        let entry = self.get(id)?;
        entry.running = entry.running.saturating_sub(1);
        Some(entry)
    }

    fn get(&mut self, id: u64) -> Option<&mut Entry<C>> {
        self.entries.iter_mut().find(|entry| entry.id == id)
    }

    /// Has a worker recycled, if it is still there and not due already: whether that is so.
    pub(super) fn make_due(&mut self, id: u64) -> bool {
        self.get(id).is_some_and(|entry| !std::mem::replace(&mut entry.is_due, true))
    }

    /// Has the workers recycled that have run for so long, and says when the next one will have.
    pub(super) fn make_old_due(&mut self, now: Instant, most: Duration) -> Option<Instant> {
        let mut next = None;
        for entry in self.entries.iter_mut().filter(|entry| !entry.is_due) {
            // A time that no clock can show never comes.
            let Some(end) = entry.since.checked_add(most) else { continue };
            entry.is_due = end <= now;
            if !entry.is_due {
                next = next.map_or(Some(end), |earlier: Instant| Some(earlier.min(end)));
            }
        }
        next
    }

    /// Takes the workers that are due and have no call, once another can serve.
    pub(super) fn take_done(&mut self) -> Vec<Entry<C>> {
        if self.fresh() == 0 || self.fresh() == self.len() {
            return Vec::new();
        }
        self.entries.extract_if(.., |entry| entry.is_due && entry.running == 0).collect()
    }
}

impl<C> Entry<C> {
    pub(super) fn is_idle(&self) -> bool {
        self.running == 0
    }

    pub(super) fn is_due(&self) -> bool {
        self.is_due
    }

    /// Gives it a call; says whether that was the last before it is to be recycled.
    pub(super) fn begin(&mut self, most_calls: Option<u64>) -> bool {
        self.running += 1;
        self.calls += 1;
        let is_last = !self.is_due && most_calls.is_some_and(|most| self.calls >= most);
        self.is_due |= is_last;
        is_last
    }

    /// It has answered: whether for the first time.
    pub(super) fn note_answer(&mut self) -> bool {
        !std::mem::replace(&mut self.has_answered, true)
    }

    /// Whether its memory was not looked at for so long; it is now.
    pub(super) fn look_at_memory(&mut self, now: Instant, pause: Duration) -> bool {
        let is_time = self.memory_seen.is_none_or(|before| now.saturating_duration_since(before) >= pause)
            && !self.is_due;
        if is_time {
            self.memory_seen = Some(now);
        }
        is_time
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn roster(count: u64) -> (Roster<()>, Instant) {
        let (mut roster, now) = (Roster::new(), Instant::now());
        (0..count).for_each(|_| roster.add((), now));
        (roster, now)
    }

    fn begin(roster: &mut Roster<()>) -> u64 {
        let entry = roster.least_busy().unwrap();
        entry.begin(None);
        entry.id
    }

    #[test]
    fn the_least_busy_worker_has_the_fewest_calls() {
        let (mut roster, _) = roster(3);
        let given: Vec<u64> = (0..6).map(|_| begin(&mut roster)).collect();
        assert_eq!(given, [1, 2, 3, 1, 2, 3]);
        roster.finish(2).unwrap();
        assert_eq!(begin(&mut roster), 2);
        assert_eq!(roster.busy(), 3);
    }

    #[test]
    fn one_that_is_due_serves_only_where_no_other_can() {
        let (mut roster, now) = roster(1);
        assert!(roster.make_due(1) && !roster.make_due(1) && !roster.make_due(7));
        assert_eq!(begin(&mut roster), 1);
        assert!(roster.take_done().is_empty());
        roster.add((), now);
        assert_eq!([begin(&mut roster), begin(&mut roster)], [2, 2]);
        assert!(roster.take_done().is_empty(), "it has a call");
        roster.finish(1).unwrap();
        assert_eq!(roster.take_done().iter().map(|entry| entry.id).collect::<Vec<_>>(), [1]);
        assert_eq!((roster.len(), roster.fresh()), (1, 1));
    }

    #[test]
    fn the_last_call_makes_a_worker_due_once() {
        let (mut roster, _) = roster(1);
        let entry = roster.least_busy().unwrap();
        assert_eq!([entry.begin(Some(2)), entry.begin(Some(2)), entry.begin(Some(2))], [false, true, false]);
    }

    #[test]
    fn age_makes_due_and_the_next_age_is_known() {
        let (mut roster, now) = roster(1);
        let second = Duration::from_secs(1);
        roster.add((), now + second);
        assert_eq!(roster.make_old_due(now, 3 * second), Some(now + 3 * second));
        assert_eq!(roster.make_old_due(now + 3 * second, 3 * second), Some(now + 4 * second));
        assert_eq!(roster.fresh(), 1);
        assert_eq!(roster.make_old_due(now + 4 * second, 3 * second), None);
        assert_eq!(roster.make_old_due(now, Duration::MAX), None);
    }

    #[test]
    fn memory_is_looked_at_once_in_a_pause() {
        let (mut roster, now) = roster(1);
        let pause = Duration::from_millis(100);
        let entry = roster.least_busy().unwrap();
        assert!(entry.look_at_memory(now, pause) && !entry.look_at_memory(now + pause / 2, pause));
        assert!(entry.look_at_memory(now + pause, pause));
    }
}
