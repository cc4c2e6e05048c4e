//! IPv4 address patterns whose octets each take a set of values: `10.0.0-3.1,5`.

use std::fmt;
use std::net::Ipv4Addr;

/// A set of octet values, 256 bits.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(super) struct OctetSet([u64; 4]);

impl OctetSet {
    pub(super) const ALL: Self = Self([u64::MAX; 4]);

    pub(super) fn insert_range(&mut self, first: u8, last: u8) {
        for value in first..=last {
            self.0[usize::from(value) / 64] |= 1 << (value % 64);
        }
    }

    const fn contains(&self, value: u8) -> bool {
        self.0[value as usize / 64] & (1 << (value % 64)) != 0
    }

    fn len(&self) -> u64 {
        self.0.iter().map(|word| u64::from(word.count_ones())).sum()
    }

    fn is_empty(&self) -> bool {
        *self == Self::default()
    }

    fn values(&self) -> impl Iterator<Item = u8> {
        (0..=u8::MAX).filter(|value| self.contains(*value))
    }

    /// Counts the members below `value`.
    fn below(&self, value: u8) -> u64 {
        let (word, bit) = (usize::from(value) / 64, value % 64);
        let whole: u64 = self.0[..word].iter().map(|word| u64::from(word.count_ones())).sum();
        whole + u64::from((self.0[word] & ((1 << bit) - 1)).count_ones())
    }

    fn zip(&self, other: &Self, combine: fn(u64, u64) -> u64) -> Self {
        let mut words = self.0;
        for (word, theirs) in words.iter_mut().zip(other.0) {
            *word = combine(*word, theirs);
        }
        Self(words)
    }

    /// Adds to each member all values that differ from it in the last `free_bits` bits only.
    fn widen(&self, free_bits: u32) -> Self {
        let span = 0xff_u32.checked_shr(8 - free_bits.min(8)).unwrap_or(0);
        let span = u8::try_from(span).unwrap_or(u8::MAX);
        let mut wide = Self::default();
        for value in self.values() {
            wide.insert_range(value & !span, value | span);
        }
        wide
    }

    fn runs(&self) -> Vec<(u8, u8)> {
        let mut runs: Vec<(u8, u8)> = Vec::new();
        for value in self.values() {
            match runs.last_mut() {
                Some((_, last)) if last.checked_add(1) == Some(value) => *last = value,
                _ => runs.push((value, value)),
            }
        }
        runs
    }
}

impl fmt::Display for OctetSet {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        if *self == Self::ALL {
            return out.write_str("*");
        }
        let mut comma = "";
        for (first, last) in self.runs() {
            match last - first {
                0 => write!(out, "{comma}{first}")?,
                _ => write!(out, "{comma}{first}-{last}")?,
            }
            comma = ",";
        }
        Ok(())
    }
}

/// The IPv4 addresses whose every octet is in a set of its own, in ascending order; never empty.
///
/// It takes 128 bytes whether it stands for one address or for all, and any member is found in constant time.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct OctetPattern([OctetSet; 4]);

impl OctetPattern {
    /// Makes the pattern of four sets, or `None` if one of them is empty.
    pub(super) fn new(octets: [OctetSet; 4]) -> Option<Self> {
        octets.iter().all(|set| !set.is_empty()).then_some(Self(octets))
    }

    /// Makes the host part free after the first `prefix` bits, as `/24` does.
    pub(super) fn widen(&self, prefix: u8) -> Self {
        let mut octets = self.0;
        for (index, octet) in (0_u32..).zip(&mut octets) {
            let fixed = u32::from(prefix).saturating_sub(index * 8).min(8);
            *octet = octet.widen(8 - fixed);
        }
        Self(octets)
    }

    /// Counts the addresses.
    pub fn count(&self) -> u64 {
        self.0.iter().map(OctetSet::len).product()
    }

    /// Tells whether `address` fits.
    pub fn contains(&self, address: Ipv4Addr) -> bool {
        self.0.iter().zip(address.octets()).all(|(set, octet)| set.contains(octet))
    }

    /// Returns the member with `rank` members before it.
    pub fn nth(&self, rank: u64) -> Option<Ipv4Addr> {
        if rank >= self.count() {
            return None;
        }
        let mut rest = rank;
        let mut octets = [0; 4];
        for (octet, set) in octets.iter_mut().zip(&self.0).rev() {
            let index = usize::try_from(rest % set.len()).ok()?;
            *octet = set.values().nth(index)?;
            rest /= set.len();
        }
        Some(Ipv4Addr::from(octets))
    }

    /// Counts the members below `address`.
    pub fn rank(&self, address: Ipv4Addr) -> u64 {
        let mut rank = 0;
        let mut inner = self.count();
        for (set, octet) in self.0.iter().zip(address.octets()) {
            inner /= set.len();
            rank += set.below(octet) * inner;
            if !set.contains(octet) {
                break;
            }
        }
        rank
    }

    /// Counts the members from `first` to `last`, both included.
    pub(super) fn count_within(&self, first: Ipv4Addr, last: Ipv4Addr) -> u64 {
        self.rank(last) + u64::from(self.contains(last)) - self.rank(first)
    }

    /// Counts the runs of neighboring addresses, an upper bound where runs touch across an octet.
    pub(super) fn run_count(&self) -> u64 {
        let mut runs = 1;
        let mut full = true;
        for set in self.0.iter().rev() {
            runs = if full { set.runs().len() as u64 } else { runs * set.len() };
            full &= *set == OctetSet::ALL;
        }
        runs
    }

    /// Lists the runs that [`run_count`](Self::run_count) counts, in ascending order.
    pub(super) fn runs(&self) -> Vec<(Ipv4Addr, Ipv4Addr)> {
        let mut runs = Vec::new();
        self.collect_runs(0, [0; 4], &mut runs);
        runs
    }

    fn collect_runs(&self, level: usize, prefix: [u8; 4], runs: &mut Vec<(Ipv4Addr, Ipv4Addr)>) {
        let Some(set) = self.0.get(level) else { return };
        if self.0[level + 1..].iter().all(|inner| *inner == OctetSet::ALL) {
            for (low, high) in set.runs() {
                let (mut first, mut last) = (prefix, prefix);
                first[level] = low;
                last[level] = high;
                last[level + 1..].fill(u8::MAX);
                runs.push((first.into(), last.into()));
            }
            return;
        }
        for value in set.values() {
            let mut longer = prefix;
            longer[level] = value;
            self.collect_runs(level + 1, longer, runs);
        }
    }

    /// Returns the members that `other` does not have, as at most four patterns without common members.
    pub(super) fn difference(&self, other: &Self) -> Vec<Self> {
        let mut pieces = Vec::new();
        let mut common = self.0;
        for index in 0..4 {
            let mut piece = common;
            piece[index] = self.0[index].zip(&other.0[index], |ours, theirs| ours & !theirs);
            pieces.extend(Self::new(piece));
            common[index] = self.0[index].zip(&other.0[index], |ours, theirs| ours & theirs);
            if common[index].is_empty() {
                break;
            }
        }
        pieces
    }
}

impl fmt::Display for OctetPattern {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        let [a, b, c, d] = &self.0;
        write!(out, "{a}.{b}.{c}.{d}")
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use std::collections::BTreeSet;

    fn octet() -> impl Strategy<Value = OctetSet> {
        proptest::collection::vec((any::<u8>(), 0u8..3), 1..3).prop_map(|ranges| {
            let mut set = OctetSet::default();
            for (first, width) in ranges {
                set.insert_range(first, first.saturating_add(width));
            }
            set
        })
    }

    /// Patterns of few enough values that all members can be listed.
    fn pattern() -> impl Strategy<Value = OctetPattern> {
        [octet(), octet(), octet(), octet()].prop_map(|octets| OctetPattern::new(octets).unwrap())
    }

    fn members(pattern: &OctetPattern) -> Vec<Ipv4Addr> {
        (0..pattern.count()).map(|rank| pattern.nth(rank).unwrap()).collect()
    }

    #[test]
    fn widening_frees_the_host_part_of_every_value() {
        let mut third = OctetSet::default();
        third.insert_range(5, 5);
        third.insert_range(33, 33);
        let mut one = OctetSet::default();
        one.insert_range(1, 1);
        let pattern = OctetPattern::new([one, one, third, one]).unwrap();
        assert_eq!(pattern.widen(20).to_string(), "1.1.0-15,32-47.*");
        assert_eq!(pattern.widen(32), pattern);
        assert_eq!(pattern.widen(0).to_string(), "*.*.*.*");
        assert_eq!(pattern.widen(0).count(), 1 << 32);
        assert_eq!(pattern.widen(0).run_count(), 1);
        assert_eq!(pattern.widen(20).run_count(), 2);
    }

    proptest! {
        #[test]
        fn members_ascend_and_know_their_rank(pattern in pattern()) {
            let all = members(&pattern);
            prop_assert!(all.is_sorted());
            prop_assert_eq!(pattern.nth(pattern.count()), None);
            for (rank, address) in (0..).zip(&all) {
                prop_assert!(pattern.contains(*address));
                prop_assert_eq!(pattern.rank(*address), rank);
            }
        }

        #[test]
        fn runs_cover_the_members_and_nothing_else(pattern in pattern()) {
            let runs = pattern.runs();
            prop_assert_eq!(runs.len() as u64, pattern.run_count());
            let covered: u64 = runs.iter().map(|(first, last)| pattern.count_within(*first, *last)).sum();
            let width: u64 = runs.iter().map(|(first, last)| u64::from(u32::from(*last) - u32::from(*first)) + 1).sum();
            prop_assert_eq!(covered, pattern.count());
            prop_assert_eq!(width, pattern.count());
            prop_assert!(runs.is_sorted());
        }

        #[test]
        fn a_difference_is_a_difference(one in pattern(), same in [any::<bool>(), any::<bool>(), any::<bool>()],
            other in pattern()) {
            let mut other = other;
            for (index, same) in same.into_iter().enumerate() {
                if same {
                    other.0[index] = one.0[index];
                }
            }
            let pieces = one.difference(&other);
            prop_assert!(pieces.len() <= 4);
            let mut seen = BTreeSet::new();
            for address in pieces.iter().flat_map(members) {
                prop_assert!(seen.insert(address), "pieces overlap");
            }
            let expected: BTreeSet<_> = members(&one).into_iter().filter(|address| !other.contains(*address)).collect();
            prop_assert_eq!(seen, expected);
        }
    }
}
