//! Values under ids that count up.

/// Values, each under an id of its own that is never given out again.
///
/// A value's place is its id modulo the number of places, so to find it is an index and a comparison. An id whose place
/// is taken, by a value that stays for long, is passed over; places double before they get scarce.
#[derive(Debug)]
pub(crate) struct Slots<T> {
    /// As many as a power of two.
    places: Vec<Option<(u64, T)>>,
    len: usize,
    next: u64,
}

/// As many places as there are at first.
const FIRST_PLACES: usize = 16;

impl<T> Slots<T> {
    /// Ids count from 1.
    pub(crate) fn new() -> Self {
        Self { places: Vec::new(), len: 0, next: 1 }
    }

    /// The lowest id that was never given out.
    pub(crate) fn next_id(&self) -> u64 {
        self.next
    }

    /// Gives out no id below this one from now on.
    pub(crate) fn start_at(&mut self, next: u64) {
        self.next = next.max(self.next);
    }

    pub(crate) fn len(&self) -> usize {
        self.len
    }

    #[inline]
    pub(crate) fn insert(&mut self, value: T) -> u64 {
        if self.places.len() <= 2 * self.len {
            self.grow();
        }
        loop {
            let id = self.next;
            self.next = self.next.wrapping_add(1);
            let place = self.place(id);
            if let Some(free @ None) = self.places.get_mut(place) {
                *free = Some((id, value));
                self.len += 1;
                return id;
            }
        }
    }

    #[inline]
    pub(crate) fn get(&self, id: u64) -> Option<&T> {
        match self.places.get(self.place(id)) {
            Some(Some((found, value))) if *found == id => Some(value),
            _ => None,
        }
    }

    #[inline]
    pub(crate) fn get_mut(&mut self, id: u64) -> Option<&mut T> {
        let place = self.place(id);
        match self.places.get_mut(place) {
            Some(Some((found, value))) if *found == id => Some(value),
            _ => None,
        }
    }

    #[inline]
    pub(crate) fn remove(&mut self, id: u64) -> Option<T> {
        let place = self.place(id);
        let (_, value) = self.places.get_mut(place)?.take_if(|(found, _)| *found == id)?;
        self.len -= 1;
        Some(value)
    }

    /// Drops a value where it stands.
    #[inline]
    pub(crate) fn drop(&mut self, id: u64) {
        let place = self.place(id);
        if let Some(taken @ Some(_)) = self.places.get_mut(place)
            && taken.as_ref().is_some_and(|(found, _)| *found == id)
        {
            *taken = None;
            self.len -= 1;
        }
    }

    /// The values with their ids, in no order.
    pub(crate) fn iter(&self) -> impl Iterator<Item = (u64, &T)> {
        self.places.iter().flatten().map(|(id, value)| (*id, value))
    }

    #[inline]
    fn place(&self, id: u64) -> usize {
        // The lowest bits alone count, so it does not matter what a cast drops.
        (id as usize) & self.places.len().wrapping_sub(1)
    }

    /// Twice as many places. Ids that had different places before have different ones after.
    fn grow(&mut self) {
        let more = (2 * self.places.len()).max(FIRST_PLACES);
        let old = std::mem::take(&mut self.places);
        self.places.resize_with(more, || None);
        for (id, value) in old.into_iter().flatten() {
            let place = self.place(id);
            if let Some(free) = self.places.get_mut(place) {
                *free = Some((id, value));
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_value_is_found_under_its_id_until_it_is_removed() {
        let mut slots = Slots::new();
        assert_eq!(slots.get(1), None);
        let id = slots.insert("a");
        assert_eq!((id, slots.get(id), slots.len()), (1, Some(&"a"), 1));
        assert_eq!(slots.remove(id), Some("a"));
        assert_eq!(slots.remove(id), None);
        assert_eq!((slots.get(id), slots.len()), (None, 0));
    }

    #[test]
    fn another_id_of_the_same_place_finds_nothing() {
        let mut slots = Slots::new();
        let id = slots.insert("a");
        let same_place = id + FIRST_PLACES as u64;
        assert_eq!(slots.get(same_place), None);
        assert_eq!(slots.remove(same_place), None);
        assert_eq!(slots.get(id), Some(&"a"));
    }

    #[test]
    fn ids_count_up_around_values_that_stay() {
        let mut slots = Slots::new();
        let stays = slots.insert(0);
        let mut last = stays;
        for value in 1..1000 {
            let id = slots.insert(value);
            assert!(id > last);
            last = id;
            assert_eq!(slots.remove(id), Some(value));
        }
        assert_eq!((slots.get(stays), slots.len()), (Some(&0), 1));
        assert_eq!(slots.places.len(), FIRST_PLACES);
    }

    #[test]
    fn every_value_stays_found_while_places_double() {
        let mut slots = Slots::new();
        let ids: Vec<u64> = (0..1000).map(|value| slots.insert(value)).collect();
        let found: Vec<u64> = ids.iter().filter_map(|id| slots.get(*id).copied()).collect();
        assert_eq!(found, (0..1000).collect::<Vec<_>>());
        assert_eq!(slots.iter().count(), 1000);
        assert!(slots.places.len() <= 4 * 1000);
    }
}
