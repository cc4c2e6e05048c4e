//! A slab whose entries carry a generation, so that a stale key finds nothing instead of somebody else.

use slab::Slab;

/// Capacities up to this are kept: giving them back would cost more than it saves.
const KEPT_MIN: usize = 1024;

/// Values by slot number; each was inserted with a generation that is never used twice.
#[derive(Debug)]
pub(crate) struct Slots<T> {
    slab: Slab<(u64, T)>,
    /// Removals since memory was last given back.
    removals: usize,
    /// Giving back is worth another try when no more entries are left than this.
    retry_len: usize,
}

impl<T> Slots<T> {
    pub(crate) fn new() -> Self {
        Self { slab: Slab::new(), removals: 0, retry_len: usize::MAX }
    }

    pub(crate) fn len(&self) -> usize {
        self.slab.len()
    }

    #[cfg(test)]
    pub(crate) fn capacity(&self) -> usize {
        self.slab.capacity()
    }

    pub(crate) fn insert(&mut self, generation: u64, value: T) -> u32 {
        if self.slab.len() == self.slab.capacity() {
            self.retry_len = usize::MAX;
        }
        let slot = self.slab.insert((generation, value));
        slot_number(slot)
    }

    pub(crate) fn get(&self, slot: u32, generation: u64) -> Option<&T> {
        match self.slab.get(slot as usize) {
            Some((found, value)) if *found == generation => Some(value),
            _ => None,
        }
    }

    pub(crate) fn get_mut(&mut self, slot: u32, generation: u64) -> Option<&mut T> {
        match self.slab.get_mut(slot as usize) {
            Some((found, value)) if *found == generation => Some(value),
            _ => None,
        }
    }

    /// The tenant of a slot whoever it is, for links that live and die with their target.
    pub(crate) fn at(&self, slot: u32) -> Option<(u64, &T)> {
        self.slab.get(slot as usize).map(|(generation, value)| (*generation, value))
    }

    pub(crate) fn at_mut(&mut self, slot: u32) -> Option<&mut T> {
        self.slab.get_mut(slot as usize).map(|(_, value)| value)
    }

    pub(crate) fn remove(&mut self, slot: u32, generation: u64) -> Option<T> {
        self.get(slot, generation)?;
        self.removals += 1;
        let (_, value) = self.slab.remove(slot as usize);
        if self.slab.is_empty() && self.slab.capacity() > KEPT_MIN {
            // Not left to `shrink`: the next entry would take the slot that was freed last, wherever that is, and one
            // that comes back whenever it goes (a timer set by its own handler) would stand in the way for good.
            *self = Self::new();
        }
        Some(value)
    }

    /// Slot, generation and value of each entry, by slot.
    pub(crate) fn iter(&self) -> impl Iterator<Item = (u32, u64, &T)> {
        self.slab.iter().map(|(slot, (generation, value))| (slot_number(slot), *generation, value))
    }

    /// Gives memory back after a burst, as far as no entry stands in the way.
    ///
    /// A try walks the whole slab, so it is made when half of the entries of the last try have gone, or as many have
    /// as the slab has room for: constant time per removal on average.
    pub(crate) fn shrink(&mut self) {
        let (capacity, len) = (self.slab.capacity(), self.slab.len());
        if capacity > KEPT_MIN && len < capacity / 8 && (len <= self.retry_len || self.removals > capacity) {
            self.slab.shrink_to_fit();
            self.removals = 0;
            self.retry_len = len / 2;
        }
    }
}

/// A slab index as the slot number it is kept as.
pub(crate) fn slot_number(index: usize) -> u32 {
    debug_assert!(index < u32::MAX as usize, "memory ends long before four thousand million entries");
    #[expect(clippy::cast_possible_truncation, reason = "checked just above")]
    let number = index as u32;
    number
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn stale_key_finds_nothing() {
        let mut slots = Slots::new();
        let old = slots.insert(1, "old");
        assert_eq!(slots.remove(old, 1), Some("old"));
        let new = slots.insert(2, "new");
        assert_eq!(old, new, "the slot is used again");
        assert_eq!(slots.remove(old, 1), None);
        assert_eq!((slots.get(old, 1), slots.get(new, 2)), (None, Some(&"new")));
    }

    #[test]
    fn memory_returns_after_a_burst() {
        let mut slots = Slots::new();
        let keys: Vec<_> =
            (0..100_000).map(|generation| (slots.insert(generation, generation), generation)).collect();
        for (slot, generation) in keys {
            slots.remove(slot, generation);
        }
        slots.shrink();
        assert_eq!(slots.slab.capacity(), 0);
    }

    #[test]
    fn memory_returns_though_one_entry_stays_and_again_after_the_next_burst() {
        let mut slots = Slots::new();
        slots.insert(0, 0);
        for burst in 1..=2_u64 {
            let mut keys: Vec<_> = (0..100_000)
                .map(|count| (slots.insert(burst << 32 | count, count), burst << 32 | count))
                .collect();
            // The last ones stand in the way while most others go.
            while !keys.is_empty() {
                let stay = keys.len() / 16;
                for (slot, generation) in keys.drain(..keys.len() - stay) {
                    slots.remove(slot, generation);
                }
                slots.shrink();
            }
            assert_eq!(slots.len(), 1);
            assert!(slots.slab.capacity() <= KEPT_MIN, "{}", slots.slab.capacity());
        }
    }

    #[test]
    fn memory_returns_though_an_entry_comes_back_whenever_it_goes() {
        let mut slots = Slots::new();
        let keys: Vec<_> =
            (0..100_000).map(|generation| (slots.insert(generation, generation), generation)).collect();
        let (last, generation) = keys[99_999];
        for &(slot, generation) in &keys[..99_999] {
            slots.remove(slot, generation);
        }
        slots.remove(last, generation);
        slots.insert(100_000, 0);
        slots.shrink();
        assert!(slots.slab.capacity() <= KEPT_MIN, "{}", slots.slab.capacity());
    }
}
