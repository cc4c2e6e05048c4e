//! The order in which the addresses of a set are visited: as given or shuffled, and all of them or one shard's.

use std::fmt;
use std::str::FromStr;

use super::{Address, Cursor, TargetSet};
use crate::order::{Permutation, derive_seed};

/// Sets the order of hosts apart from the order of ports, which has the same seed.
const STREAM: u64 = 0x686f_7374_6f72_6465;

/// One of several machines that share the hosts of a scan: each host belongs to exactly one.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Shard {
    index: u32,
    count: u32,
}

impl Shard {
    /// All of the hosts.
    pub const WHOLE: Self = Self { index: 0, count: 1 };

    /// The shard `number` of `count`, counted from 1; `None` if there is no such shard.
    ///
    /// ```
    /// use scanner::target::Shard;
    /// assert!(Shard::new(3, 3).is_some());
    /// assert!(Shard::new(0, 3).is_none() && Shard::new(4, 3).is_none());
    /// ```
    #[must_use]
    pub const fn new(number: u32, count: u32) -> Option<Self> {
        if number == 0 || number > count { None } else { Some(Self { index: number - 1, count }) }
    }

    /// How many shards there are.
    #[must_use]
    pub const fn count(self) -> u32 {
        self.count
    }
}

impl fmt::Display for Shard {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}", self.index + 1, self.count)
    }
}

impl FromStr for Shard {
    type Err = ();

    /// Reads `2/8`.
    fn from_str(text: &str) -> Result<Self, ()> {
        let (number, count) = text.split_once('/').ok_or(())?;
        let digits = |text: &str| text.bytes().all(|byte| byte.is_ascii_digit());
        if !digits(number) || !digits(count) {
            return Err(());
        }
        Self::new(number.parse().map_err(drop)?, count.parse().map_err(drop)?).ok_or(())
    }
}

/// The order of the hosts.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
#[non_exhaustive]
pub enum HostOrder {
    /// As given.
    #[default]
    Given,
    /// A permutation of all of them that follows from a seed (`--randomize-hosts`).
    Shuffled {
        /// The seed.
        seed: u64,
    },
}

/// A walk over a set, in constant memory. It keeps no hold of the set, so the set is lent to every step.
#[derive(Debug, Clone)]
pub struct Walk {
    place: Place,
    shard: Shard,
    /// Hosts of other shards to pass over before the next of ours.
    pass_over: u64,
}

#[derive(Debug, Clone)]
enum Place {
    Given(Cursor),
    Shuffled { order: Permutation, next: u64 },
}

/// More addresses than a shuffle can number.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub struct TooManyToShuffle;

impl Walk {
    /// Starts a walk over `set`.
    ///
    /// # Errors
    /// If `set` is to be shuffled and spans 2^63 addresses or more.
    pub fn new(set: &TargetSet, order: HostOrder, shard: Shard) -> Result<Self, TooManyToShuffle> {
        let place = match order {
            HostOrder::Given => Place::Given(Cursor::default()),
            HostOrder::Shuffled { seed } => {
                let span = u64::try_from(set.span()).ok().filter(|span| *span < 1 << 63);
                let span = span.ok_or(TooManyToShuffle)?;
                Place::Shuffled { order: Permutation::new(span, derive_seed(seed, STREAM)), next: 0 }
            }
        };
        Ok(Self { place, shard, pass_over: shard.index.into() })
    }

    /// Which hosts are ours.
    pub(crate) const fn shard(&self) -> Shard {
        self.shard
    }

    /// The next address, or `None` at the end.
    pub fn next(&mut self, set: &TargetSet) -> Option<Address> {
        while self.pass_over > 0 {
            self.step(set)?;
            self.pass_over -= 1;
        }
        self.pass_over = u64::from(self.shard.count) - 1;
        self.step(set)
    }

    fn step(&mut self, set: &TargetSet) -> Option<Address> {
        match &mut self.place {
            Place::Given(cursor) => set.next_after(cursor),
            Place::Shuffled { order, next } => {
                while *next < order.len() {
                    let at = order.at(*next);
                    *next += 1;
                    if let Some(address) = set.at(at.into()) {
                        return Some(address);
                    }
                }
                None
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use proptest::prelude::*;

    use super::*;
    use crate::target::{Families, Origin, TargetList};

    struct Nobody;

    impl crate::target::Directory for Nobody {
        fn addresses(&mut self, _: &str) -> Result<Vec<Address>, String> {
            Err(String::new())
        }

        fn interface_index(&mut self, _: &str) -> Option<u32> {
            None
        }
    }

    fn set(words: &str, excluded: &str) -> TargetSet {
        let mut list = TargetList::new(Families::Any);
        for word in excluded.split_whitespace() {
            list.exclude(word.as_bytes(), &Origin::Option("--exclude")).unwrap();
        }
        for word in words.split_whitespace() {
            list.include(word.as_bytes(), &Origin::CommandLine);
        }
        list.resolve(&mut Nobody, crate::target::AddressesOfAName::First).unwrap().set
    }

    fn walk(set: &TargetSet, order: HostOrder, shard: Shard) -> Vec<Address> {
        let mut walk = Walk::new(set, order, shard).unwrap();
        std::iter::from_fn(|| walk.next(set)).collect()
    }

    #[test]
    fn a_shuffled_walk_is_another_order_of_the_same_hosts_and_repeats_with_its_seed() {
        let set = set("198.18.0.0/24 198.18.0-255.1-7 fd00::/122", "198.18.0.16/28");
        let given = walk(&set, HostOrder::Given, Shard::WHOLE);
        let shuffled = walk(&set, HostOrder::Shuffled { seed: 1 }, Shard::WHOLE);
        assert_ne!(given, shuffled);
        assert_eq!(shuffled, walk(&set, HostOrder::Shuffled { seed: 1 }, Shard::WHOLE));
        assert_eq!(given.iter().collect::<BTreeSet<_>>(), shuffled.iter().collect());
        assert_eq!(given.len(), shuffled.len());
    }

    #[test]
    fn a_great_network_is_shuffled_in_constant_memory_and_the_greatest_refused() {
        let eight = set("10.0.0.0/8", "");
        let mut walk = Walk::new(&eight, HostOrder::Shuffled { seed: 3 }, Shard::new(2, 3).unwrap()).unwrap();
        let some: BTreeSet<_> = std::iter::from_fn(|| walk.next(&eight)).take(10_000).collect();
        assert_eq!(some.len(), 10_000);
        let order = HostOrder::Shuffled { seed: 3 };
        assert_eq!(Walk::new(&set("fd00::/64", ""), order, Shard::WHOLE).err(), Some(TooManyToShuffle));
    }

    #[test]
    fn a_shard_is_a_number_of_a_count() {
        assert_eq!("2/8".parse(), Ok(Shard { index: 1, count: 8 }));
        assert_eq!(Shard::new(2, 8).unwrap().to_string(), "2/8");
        for text in ["", "/", "0/1", "2/1", "1/0", "-1/2", "+1/2", "1/2/3", "a/b", "1", "1/ 2"] {
            assert_eq!(text.parse::<Shard>(), Err(()), "{text}");
        }
    }

    proptest! {
        #[test]
        fn the_union_of_the_shards_is_each_host_exactly_once(
            count in 1u32..9,
            seed in any::<u64>(),
            shuffled in any::<bool>(),
            first in 0u8..250,
            excluded in 0u8..250,
        ) {
            let set = set(
                &format!("198.18.0.{first}-255 198.18.0-60.1,9 198.18.3.0/25 fd00::{first:x}/125"),
                &format!("198.18.0.{excluded} 198.18.3.0/29"),
            );
            let order = if shuffled { HostOrder::Shuffled { seed } } else { HostOrder::Given };
            let mut seen = BTreeSet::new();
            for number in 1..=count {
                for address in walk(&set, order, Shard::new(number, count).unwrap()) {
                    prop_assert!(seen.insert(address), "{} twice", address);
                }
            }
            prop_assert_eq!(seen, set.iter().collect());
        }
    }
}
