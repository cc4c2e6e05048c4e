//! One bit per port, with a cursor that hands set bits out in order.

/// A set of positions below a fixed length.
#[derive(Clone, Debug, Default)]
pub(super) struct Bitmap {
    words: Vec<u64>,
    count: u32,
    // Word at which the next search begins.
    cursor: usize,
}

impl Bitmap {
    /// Makes an empty set of positions below `len`.
    pub(super) fn new(len: u32) -> Self {
        Self { words: vec![0; len.div_ceil(64) as usize], count: 0, cursor: 0 }
    }

    /// How many positions are in the set.
    pub(super) const fn count(&self) -> u32 {
        self.count
    }

    /// True if `position` is in the set.
    pub(super) fn contains(&self, position: u32) -> bool {
        self.words.get(position as usize / 64).is_some_and(|word| word >> (position % 64) & 1 == 1)
    }

    /// Adds `position`; false if it was there, or is beyond the length.
    pub(super) fn insert(&mut self, position: u32) -> bool {
        let bit = 1 << (position % 64);
        match self.words.get_mut(position as usize / 64) {
            Some(word) if *word & bit == 0 => {
                *word |= bit;
                self.count += 1;
                true
            }
            _ => false,
        }
    }

    /// Bytes of heap.
    #[cfg(test)]
    pub(super) fn bytes(&self) -> usize {
        self.words.capacity() * size_of::<u64>()
    }

    /// Takes out the next position, going round from where the last one was found.
    pub(super) fn take_next(&mut self) -> Option<u32> {
        if self.count == 0 {
            return None;
        }
        for step in 0..=self.words.len() {
            let index = (self.cursor + step) % self.words.len();
            let word = self.words[index];
            if word != 0 {
                self.cursor = index;
                self.words[index] &= word - 1;
                self.count -= 1;
                return u32::try_from(index * 64).ok().map(|base| base + word.trailing_zeros());
            }
        }
        None
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn positions_come_out_once_in_order_and_go_round() {
        let mut bits = Bitmap::new(200);
        for position in [3, 64, 199] {
            assert!(bits.insert(position));
        }
        assert!(!bits.insert(64) && !bits.insert(256));
        assert_eq!(bits.take_next(), Some(3));
        assert_eq!(bits.take_next(), Some(64));
        bits.insert(1);
        assert_eq!(bits.take_next(), Some(199));
        assert_eq!(bits.take_next(), Some(1));
        assert_eq!(bits.take_next(), None);
        assert_eq!(Bitmap::new(0).take_next(), None);
    }
}
