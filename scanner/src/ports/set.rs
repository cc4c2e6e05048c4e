//! A set of ports as a bitmap: 8 KiB whatever it holds.

use std::fmt;
use std::str::FromStr;

use super::Protocol;
use crate::top_ports;

/// 65,536 bits.
const WORDS: usize = 1024;

/// A set of port numbers, walked by ascending number.
///
/// ```
/// use scanner::ports::PortSet;
///
/// let mut ports = PortSet::new();
/// ports.insert_range(80, 82);
/// ports.insert(22);
/// assert_eq!(ports.iter().collect::<Vec<_>>(), [22, 80, 81, 82]);
/// assert_eq!(ports.to_string(), "22,80-82");
/// ```
#[derive(Clone, PartialEq, Eq)]
pub struct PortSet {
    words: Box<[u64; WORDS]>,
}

impl PortSet {
    /// Makes an empty set.
    pub fn new() -> Self {
        Self { words: Box::new([0; WORDS]) }
    }

    /// Adds `port`; tells whether it was new.
    pub const fn insert(&mut self, port: u16) -> bool {
        let (word, bit) = place(port);
        let new = self.words[word] & bit == 0;
        self.words[word] |= bit;
        new
    }

    /// Adds `first` to `last`, both included. Nothing is added if `last` is below `first`.
    pub fn insert_range(&mut self, first: u16, last: u16) {
        for port in first..=last {
            self.insert(port);
        }
    }

    /// Removes `port`; tells whether it was there.
    pub const fn remove(&mut self, port: u16) -> bool {
        let (word, bit) = place(port);
        let present = self.words[word] & bit != 0;
        self.words[word] &= !bit;
        present
    }

    /// Removes every port of `other`.
    pub fn remove_all(&mut self, other: &Self) {
        for (word, theirs) in self.words.iter_mut().zip(other.words.iter()) {
            *word &= !theirs;
        }
    }

    /// Tells whether `port` is in the set.
    pub const fn contains(&self, port: u16) -> bool {
        let (word, bit) = place(port);
        self.words[word] & bit != 0
    }

    /// Counts the ports.
    pub fn len(&self) -> usize {
        self.words.iter().map(|word| word.count_ones() as usize).sum()
    }

    /// Tells whether there is no port.
    pub fn is_empty(&self) -> bool {
        self.words.iter().all(|word| *word == 0)
    }

    /// Returns the smallest port not below `from`.
    pub fn first_from(&self, from: u16) -> Option<u16> {
        let (start, bit) = place(from);
        let mut word = self.words[start] & !(bit - 1);
        let mut index = start;
        while word == 0 {
            index += 1;
            word = *self.words.get(index)?;
        }
        u16::try_from(index * 64 + word.trailing_zeros() as usize).ok()
    }

    /// Walks the set by ascending number.
    pub const fn iter(&self) -> Iter<'_> {
        Iter { set: self, from: Some(0) }
    }

    /// Walks the set with the ports likeliest to be open first, by the ranking for `protocol`; port 0, which has no
    /// rank, comes last.
    pub fn iter_likeliest(&self, protocol: Protocol) -> impl Iterator<Item = u16> {
        let zero = self.contains(0).then_some(0);
        top_ports::ranking(protocol).filter(|port| self.contains(*port)).chain(zero)
    }

    /// Walks the runs of neighboring ports, each as its first and last.
    pub fn ranges(&self) -> impl Iterator<Item = (u16, u16)> {
        let mut from = Some(0);
        std::iter::from_fn(move || {
            let first = self.first_from(from?)?;
            let mut last = first;
            while last < u16::MAX && self.contains(last + 1) {
                last += 1;
            }
            from = last.checked_add(1);
            Some((first, last))
        })
    }
}

const fn place(port: u16) -> (usize, u64) {
    (port as usize / 64, 1 << (port % 64))
}

impl Default for PortSet {
    fn default() -> Self {
        Self::new()
    }
}

impl fmt::Debug for PortSet {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(out, "PortSet({self})")
    }
}

/// Writes the ranges: `22,80-82`.
impl fmt::Display for PortSet {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut comma = "";
        for (first, last) in self.ranges() {
            match last - first {
                0 => write!(out, "{comma}{first}")?,
                _ => write!(out, "{comma}{first}-{last}")?,
            }
            comma = ",";
        }
        Ok(())
    }
}

/// Text that is no list of ranges as [`PortSet`] is written.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub struct NotAPortSet;

impl FromStr for PortSet {
    type Err = NotAPortSet;

    /// Reads what `Display` writes.
    fn from_str(text: &str) -> Result<Self, NotAPortSet> {
        let number = |digits: &str| match digits.bytes().all(|byte| byte.is_ascii_digit()) {
            true => digits.parse::<u16>().map_err(|_| NotAPortSet),
            false => Err(NotAPortSet),
        };
        let mut set = Self::new();
        for range in text.split(',').filter(|_| !text.is_empty()) {
            let (first, last) = range.split_once('-').unwrap_or((range, range));
            set.insert_range(number(first)?, number(last)?);
        }
        Ok(set)
    }
}

impl FromIterator<u16> for PortSet {
    fn from_iter<I: IntoIterator<Item = u16>>(ports: I) -> Self {
        let mut set = Self::new();
        set.extend(ports);
        set
    }
}

impl Extend<u16> for PortSet {
    fn extend<I: IntoIterator<Item = u16>>(&mut self, ports: I) {
        for port in ports {
            self.insert(port);
        }
    }
}

/// Walks a [`PortSet`] by ascending number.
#[derive(Debug, Clone)]
pub struct Iter<'a> {
    set: &'a PortSet,
    from: Option<u16>,
}

impl Iterator for Iter<'_> {
    type Item = u16;

    fn next(&mut self) -> Option<u16> {
        let port = self.set.first_from(self.from?);
        self.from = port.and_then(|port| port.checked_add(1));
        port
    }
}

/// Walks an owned [`PortSet`] by ascending number.
#[derive(Debug, Clone)]
pub struct IntoIter {
    set: PortSet,
    from: Option<u16>,
}

impl Iterator for IntoIter {
    type Item = u16;

    fn next(&mut self) -> Option<u16> {
        let mut walk = Iter { set: &self.set, from: self.from };
        let port = walk.next();
        self.from = walk.from;
        port
    }
}

impl<'a> IntoIterator for &'a PortSet {
    type Item = u16;
    type IntoIter = Iter<'a>;

    fn into_iter(self) -> Iter<'a> {
        self.iter()
    }
}

impl IntoIterator for PortSet {
    type Item = u16;
    type IntoIter = IntoIter;

    fn into_iter(self) -> IntoIter {
        IntoIter { set: self, from: Some(0) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use std::collections::BTreeSet;

    #[test]
    fn the_ends_of_the_range_belong() {
        let all: PortSet = (0..=u16::MAX).collect();
        assert_eq!(all.len(), 65_536);
        assert_eq!(all.iter().count(), 65_536);
        assert_eq!(all.to_string(), "0-65535");
        assert_eq!(all.iter_likeliest(Protocol::Tcp).count(), 65_536);
        assert_eq!(PortSet::new().iter().next(), None);
        assert_eq!(PortSet::from_iter([65_535]).iter().collect::<Vec<_>>(), [65_535]);
    }

    #[test]
    fn likely_ports_come_first_on_demand() {
        let set: PortSet = [0, 4, 65_000, 22, 443, 80].into_iter().collect();
        let order: Vec<u16> = set.iter_likeliest(Protocol::Tcp).collect();
        assert_eq!(order, [80, 443, 22, 4, 65_000, 0]);
    }

    proptest! {
        #[test]
        fn it_behaves_like_a_tree_of_numbers(ports: Vec<u16>, removed: Vec<u16>) {
            let mut set: PortSet = ports.iter().copied().collect();
            let mut model: BTreeSet<u16> = ports.iter().copied().collect();
            for port in &removed {
                prop_assert_eq!(set.remove(*port), model.remove(port));
            }
            prop_assert_eq!(set.len(), model.len());
            prop_assert_eq!(set.is_empty(), model.is_empty());
            prop_assert!(set.iter().eq(model.iter().copied()));
            prop_assert!(set.clone().into_iter().eq(model.iter().copied()));
            prop_assert_eq!(set.to_string().parse(), Ok(set.clone()));
            let widths: usize = set.ranges().map(|(first, last)| usize::from(last - first) + 1).sum();
            prop_assert_eq!(widths, model.len());
        }
    }
}
