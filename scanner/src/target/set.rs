//! The addresses a scan visits, as ranges and patterns in the order given.

use std::collections::BTreeMap;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use super::claims::Claims;
use super::{Address, OctetPattern};

/// A pattern of at most this many runs is kept as ranges: cheaper to walk, and below 10 KiB.
const RUNS_MAX: u64 = 256;
/// Most patterns kept as such, pieces included. Each is compared with each address of those given after it, so their
/// number bounds the work for one address; nobody writes more than a few of the kind of `*.*.*.1`.
const PATTERNS_MAX: usize = 64;

/// The addresses to scan, each once, in the order in which they were first given.
///
/// Memory grows with the number of specifications, not of addresses: a set of `10.0.0.0/8` is one range. Where a
/// specification repeats part of an earlier one, only the rest of it counts.
///
/// ```
/// use scanner::target::{AddressesOfAName, Families, Origin, TargetList};
/// # struct Nobody;
/// # impl scanner::target::Directory for Nobody {
/// #     fn addresses(&mut self, _: &str) -> Result<Vec<scanner::target::Address>, String> { Err(String::new()) }
/// #     fn interface_index(&mut self, _: &str) -> Option<u32> { None }
/// # }
/// # let mut directory = Nobody;
/// let mut list = TargetList::new(Families::Any);
/// list.include(b"198.18.0.8/30", &Origin::CommandLine);
/// list.include(b"198.18.0.7-198.18.0.9", &Origin::CommandLine);
/// list.exclude(b"198.18.0.10", &Origin::CommandLine)?;
/// let set = list.resolve(&mut directory, AddressesOfAName::First)?.set;
/// let addresses: Vec<String> = set.iter().map(|address| address.to_string()).collect();
/// assert_eq!(addresses, ["198.18.0.8", "198.18.0.9", "198.18.0.11", "198.18.0.7"]);
/// # Ok::<(), scanner::target::TargetProblem>(())
/// ```
#[derive(Debug, Clone, Default)]
pub struct TargetSet {
    blocks: Vec<Block>,
    /// Without common members. What is claimed in `v4` may be a member of a pattern with a lower number than its
    /// owner's `patterns`, and then belongs to that pattern.
    patterns: Vec<(OctetPattern, Purpose)>,
    v4: Claims<u32, Owner>,
    v6: BTreeMap<u32, Claims<u128, Owner>>,
    length: u128,
    given_names: BTreeMap<Address, GivenName>,
}

/// The name an address was given by, and what else the name stands for.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct GivenName {
    /// The name as typed.
    pub name: Box<str>,
    /// The other addresses of the name, which it does not make targets.
    pub other_addresses: Vec<Address>,
}

/// Whether addresses are to be scanned or to be left out.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Purpose {
    Scan,
    LeaveOut,
}

/// More patterns than [`PATTERNS_MAX`] would be needed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct TooManyPatterns;

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Owner {
    /// How many patterns there were before this range.
    patterns: usize,
    purpose: Purpose,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Block {
    V4 { first: u32, last: u32, patterns: usize },
    V6 { first: u128, last: u128, scope_id: u32 },
    Pattern(usize),
}

/// A place in the walk over a [`TargetSet`]; starts before the first address. It takes the same few bytes wherever it
/// is, so a walk can be put aside and taken up later.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Cursor {
    block: usize,
    offset: u128,
}

impl TargetSet {
    /// Counts the addresses; the number of all IPv6 addresses, 2^128, counts as one less.
    pub const fn len(&self) -> u128 {
        self.length
    }

    /// Tells whether there is nothing to scan.
    pub const fn is_empty(&self) -> bool {
        self.length == 0
    }

    /// Tells whether `address` is to be scanned.
    pub fn contains(&self, address: Address) -> bool {
        let IpAddr::V4(v4) = address.ip() else { return self.claim_on(address) == Some(Purpose::Scan) };
        let pattern = self.patterns.iter().find(|(pattern, _)| pattern.contains(v4));
        let purposes = [self.claim_on(address), pattern.map(|(_, purpose)| *purpose)];
        purposes.contains(&Some(Purpose::Scan)) && !purposes.contains(&Some(Purpose::LeaveOut))
    }

    /// Tells whether every address is a loopback address; a pattern counts with what is left out of it.
    pub fn is_loopback(&self) -> bool {
        let both = |first: Ipv4Addr, last: Ipv4Addr| first.is_loopback() && last.is_loopback();
        self.blocks.iter().all(|block| match *block {
            Block::V4 { first, last, .. } => both(first.into(), last.into()),
            Block::V6 { first, last, .. } => first == last && Ipv6Addr::from(first).is_loopback(),
            Block::Pattern(index) => {
                let (pattern, _) = &self.patterns[index];
                let ends = (pattern.nth(0), pattern.nth(pattern.count().saturating_sub(1)));
                matches!(ends, (Some(first), Some(last)) if both(first, last))
            }
        })
    }

    /// Walks the addresses in order.
    pub fn iter(&self) -> Iter<'_> {
        Iter { set: self, cursor: Cursor::default() }
    }

    /// Returns the address after `cursor` and moves it on.
    pub fn next_after(&self, cursor: &mut Cursor) -> Option<Address> {
        loop {
            let block = *self.blocks.get(cursor.block)?;
            if let Some((address, next)) = self.step(block, cursor.offset) {
                cursor.offset = next;
                return Some(address);
            }
            *cursor = Cursor { block: cursor.block + 1, offset: 0 };
        }
    }

    /// The number of places the addresses are numbered by: some of them may be empty, so that they can be found fast.
    #[must_use]
    pub fn span(&self) -> u128 {
        self.blocks.iter().fold(0, |sum: u128, block| sum.saturating_add(self.span_of(*block)))
    }

    /// The address at a place below [`span`](Self::span), or `None` if the place is empty.
    pub(super) fn at(&self, mut place: u128) -> Option<Address> {
        for block in &self.blocks {
            let span = self.span_of(*block);
            if place < span {
                // A step from an empty place leads to a later one.
                return self.step(*block, place).filter(|(_, next)| *next == place + 1).map(|step| step.0);
            }
            place -= span;
        }
        None
    }

    fn span_of(&self, block: Block) -> u128 {
        match block {
            Block::V4 { first, last, .. } => u128::from(last - first) + 1,
            Block::V6 { first, last, .. } => (last - first).saturating_add(1),
            Block::Pattern(index) => self.patterns[index].0.count().into(),
        }
    }

    /// Returns the name that `address` was given by, if it was.
    pub fn given_name(&self, address: Address) -> Option<&GivenName> {
        self.given_names.get(&address)
    }

    /// Remembers a name for an address; the first name stays.
    pub(super) fn name(&mut self, address: Address, name: &str, other_addresses: Vec<Address>) {
        let given = || GivenName { name: name.into(), other_addresses };
        self.given_names.entry(address).or_insert_with(given);
    }

    /// Adds a range of IPv4 addresses behind what is there. What is left out must be added before what is scanned.
    pub(super) fn add_v4(&mut self, first: Ipv4Addr, last: Ipv4Addr, purpose: Purpose) {
        let owner = Owner { patterns: self.patterns.len(), purpose };
        for (first, last) in self.v4.claim(first.into(), last.into(), owner) {
            if purpose == Purpose::Scan {
                self.push_v4(first, last, owner.patterns);
            }
        }
    }

    /// Adds a range of IPv6 addresses behind what is there.
    pub(super) fn add_v6(&mut self, first: Ipv6Addr, last: Ipv6Addr, scope_id: u32, purpose: Purpose) {
        let owner = Owner { patterns: 0, purpose };
        let claims = self.v6.entry(scope_id).or_default();
        for (first, last) in claims.claim(first.into(), last.into(), owner) {
            if purpose == Purpose::Scan {
                self.length = self.length.saturating_add(last - first).saturating_add(1);
                match self.blocks.last_mut() {
                    Some(Block::V6 { last: end, scope_id: scope, .. })
                        if *scope == scope_id && end.checked_add(1) == Some(first) =>
                    {
                        *end = last;
                    }
                    _ => self.blocks.push(Block::V6 { first, last, scope_id }),
                }
            }
        }
    }

    /// Adds a pattern behind what is there.
    pub(super) fn add_pattern(
        &mut self,
        pattern: &OctetPattern,
        purpose: Purpose,
    ) -> Result<(), TooManyPatterns> {
        if pattern.run_count() <= RUNS_MAX {
            for (first, last) in pattern.runs() {
                self.add_v4(first, last, purpose);
            }
            return Ok(());
        }
        self.add_sparse_pattern(pattern, purpose)
    }

    /// Adds a pattern as it is, split only where it overlaps earlier ones.
    fn add_sparse_pattern(
        &mut self,
        pattern: &OctetPattern,
        purpose: Purpose,
    ) -> Result<(), TooManyPatterns> {
        let mut pieces = vec![*pattern];
        for (earlier, _) in &self.patterns {
            pieces = pieces.iter().flat_map(|piece| piece.difference(earlier)).collect();
            if pieces.len() > PATTERNS_MAX {
                return Err(TooManyPatterns);
            }
        }
        if self.patterns.len() + pieces.len() > PATTERNS_MAX {
            return Err(TooManyPatterns);
        }
        for piece in pieces {
            let index = self.patterns.len();
            self.patterns.push((piece, purpose));
            if purpose == Purpose::Scan {
                let taken: u64 = self
                    .v4
                    .iter()
                    .filter(|(_, _, owner)| owner.patterns <= index)
                    .map(|(first, last, _)| piece.count_within(first.into(), last.into()))
                    .sum();
                // Claimed addresses that are members of an earlier pattern are no members of this piece.
                self.length = self.length.saturating_add(u128::from(piece.count() - taken));
                self.blocks.push(Block::Pattern(index));
            }
        }
        Ok(())
    }

    fn push_v4(&mut self, first: u32, last: u32, patterns: usize) {
        let within = |(pattern, _): &(OctetPattern, Purpose)| pattern.count_within(first.into(), last.into());
        let taken: u64 = self.patterns[..patterns].iter().map(within).sum();
        self.length = self.length.saturating_add(u128::from(u64::from(last - first) + 1 - taken));
        match self.blocks.last_mut() {
            Some(Block::V4 { last: end, patterns: known, .. })
                if *known == patterns && end.checked_add(1) == Some(first) =>
            {
                *end = last;
            }
            _ => self.blocks.push(Block::V4 { first, last, patterns }),
        }
    }

    fn claim_on(&self, address: Address) -> Option<Purpose> {
        let found = match address.ip() {
            IpAddr::V4(v4) => self.v4.find(v4.into()).map(|found| found.2),
            IpAddr::V6(v6) => self.v6.get(&address.scope_id())?.find(v6.into()).map(|found| found.2),
        };
        found.map(|owner| owner.purpose)
    }

    /// Returns the first address of `block` at or after `offset` that is the block's own, and the offset behind it.
    fn step(&self, block: Block, offset: u128) -> Option<(Address, u128)> {
        match block {
            Block::V6 { first, last, scope_id } => {
                let number = first.checked_add(offset).filter(|number| *number <= last)?;
                // Only a walk over all of `::/0` gets as far as this bound, and no walk of 2^128 steps ends.
                let next = offset.saturating_add(1);
                Some((Address::with_scope(number.into(), scope_id), next))
            }
            Block::V4 { first, last, patterns } => {
                let mut offset = u64::try_from(offset).ok()?;
                loop {
                    let number =
                        u32::try_from(u64::from(first) + offset).ok().filter(|number| *number <= last)?;
                    offset += 1;
                    let address = Ipv4Addr::from(number);
                    if !self.patterns[..patterns].iter().any(|(pattern, _)| pattern.contains(address)) {
                        return Some((Address::new(address.into()), offset.into()));
                    }
                }
            }
            Block::Pattern(index) => {
                let (pattern, _) = &self.patterns[index];
                let mut rank = u64::try_from(offset).ok()?;
                loop {
                    let address = pattern.nth(rank)?;
                    match self.v4.find(address.into()) {
                        Some((_, last, owner)) if owner.patterns <= index => {
                            let last = Ipv4Addr::from(last);
                            rank = pattern.rank(last) + u64::from(pattern.contains(last));
                        }
                        _ => return Some((Address::new(address.into()), u128::from(rank + 1))),
                    }
                }
            }
        }
    }
}

impl<'a> IntoIterator for &'a TargetSet {
    type Item = Address;
    type IntoIter = Iter<'a>;

    fn into_iter(self) -> Iter<'a> {
        self.iter()
    }
}

/// Walks a [`TargetSet`].
#[derive(Debug, Clone)]
pub struct Iter<'a> {
    set: &'a TargetSet,
    cursor: Cursor,
}

impl Iterator for Iter<'_> {
    type Item = Address;

    fn next(&mut self) -> Option<Address> {
        self.set.next_after(&mut self.cursor)
    }
}

#[cfg(test)]
mod tests;
