//! Ranges of numbers, each taken by whoever asked first.

use std::collections::BTreeMap;

/// A number with neighbors.
pub(super) trait Number: Copy + Ord {
    /// Returns the next higher number.
    fn next(self) -> Option<Self>;
    /// Returns the next lower number.
    fn previous(self) -> Option<Self>;
}

impl Number for u32 {
    fn next(self) -> Option<Self> {
        self.checked_add(1)
    }

    fn previous(self) -> Option<Self> {
        self.checked_sub(1)
    }
}

impl Number for u128 {
    fn next(self) -> Option<Self> {
        self.checked_add(1)
    }

    fn previous(self) -> Option<Self> {
        self.checked_sub(1)
    }
}

/// Disjoint ranges with an owner each. Neighbors of one owner are joined.
#[derive(Debug, Clone)]
pub(super) struct Claims<N, O> {
    ranges: BTreeMap<N, (N, O)>,
}

impl<N, O> Default for Claims<N, O> {
    fn default() -> Self {
        Self { ranges: BTreeMap::new() }
    }
}

impl<N: Number, O: Copy + Eq> Claims<N, O> {
    /// Gives `owner` what is still free between `first` and `last`, both included; returns it in ascending order.
    pub(super) fn claim(&mut self, first: N, last: N, owner: O) -> Vec<(N, N)> {
        let mut free = Vec::new();
        let mut from = self.find(first).map_or(Some(first), |(_, taken_to, _)| taken_to.next());
        while let Some(start) = from.filter(|start| *start <= last) {
            let next =
                self.ranges.range(start..=last).next().map(|(taken, (taken_to, _))| (*taken, *taken_to));
            match next {
                Some((taken, taken_to)) => {
                    free.extend(taken.previous().filter(|end| *end >= start).map(|end| (start, end)));
                    from = taken_to.next();
                }
                None => {
                    free.push((start, last));
                    break;
                }
            }
        }
        for (first, last) in &free {
            self.insert(*first, *last, owner);
        }
        free
    }

    /// Returns the range that holds `number`, and its owner.
    pub(super) fn find(&self, number: N) -> Option<(N, N, O)> {
        let (first, (last, owner)) = self.ranges.range(..=number).next_back()?;
        (number <= *last).then_some((*first, *last, *owner))
    }

    /// Yields all ranges in ascending order.
    pub(super) fn iter(&self) -> impl Iterator<Item = (N, N, O)> {
        self.ranges.iter().map(|(first, (last, owner))| (*first, *last, *owner))
    }

    fn insert(&mut self, first: N, last: N, owner: O) {
        let before =
            first.previous().and_then(|neighbor| self.find(neighbor)).filter(|found| found.2 == owner);
        let after = last.next().and_then(|neighbor| self.find(neighbor)).filter(|found| found.2 == owner);
        if let Some((start, ..)) = after {
            self.ranges.remove(&start);
        }
        let start = before.map_or(first, |(start, ..)| start);
        let end = after.map_or(last, |(_, end, _)| end);
        self.ranges.insert(start, (end, owner));
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn the_ends_of_the_number_line_can_be_claimed() {
        let mut claims = Claims::default();
        assert_eq!(claims.claim(1_u32, u32::MAX - 1, ()), [(1, u32::MAX - 1)]);
        assert_eq!(claims.claim(0, u32::MAX, ()), [(0, 0), (u32::MAX, u32::MAX)]);
        assert_eq!(claims.claim(0, u32::MAX, ()), []);
        assert_eq!(claims.iter().count(), 1);
    }

    proptest! {
        #[test]
        fn the_first_to_ask_owns(requests in proptest::collection::vec((0u32..64, 0u32..16, 0u8..3), 0..20)) {
            let mut claims = Claims::default();
            let mut model = [None; 80];
            for (first, width, owner) in requests {
                let last = first + width;
                let mut given: Vec<u32> = Vec::new();
                for (first, last) in claims.claim(first, last, owner) {
                    given.extend(first..=last);
                }
                let expected: Vec<u32> = (first..=last).filter(|number| model[*number as usize].is_none()).collect();
                prop_assert_eq!(&given, &expected);
                for number in given {
                    model[number as usize] = Some(owner);
                }
            }
            for number in 0..80 {
                prop_assert_eq!(claims.find(number).map(|found| found.2), model[number as usize]);
            }
            let ranges: Vec<_> = claims.iter().collect();
            for pair in ranges.windows(2) {
                prop_assert!(pair[0].1 < pair[1].0);
                prop_assert!(pair[0].1 + 1 < pair[1].0 || pair[0].2 != pair[1].2, "neighbors are not joined");
            }
        }
    }
}
