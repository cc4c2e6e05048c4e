//! The hosts at hand, and which of them the plan means: found by their place, since every answer asks for one. Pure.

use std::collections::VecDeque;
use std::ops::Index as Indexed;

use super::{Host, Index};
use crate::plan::HostId;

/// The hosts that are not reported yet. They come with rising indices, and most leave in that order.
#[derive(Debug, Default)]
pub(super) struct HostTable {
    first: Index,
    hosts: VecDeque<Option<Host>>,
    count: usize,
}

impl HostTable {
    pub(super) const fn len(&self) -> usize {
        self.count
    }

    /// Adds a host, whose index is above those of all before it.
    pub(super) fn insert(&mut self, index: Index, host: Host) {
        if self.hosts.is_empty() {
            self.first = index;
        }
        let place = usize::try_from(index.saturating_sub(self.first)).unwrap_or(usize::MAX);
        self.hosts.resize_with(place.max(self.hosts.len()), || None);
        self.hosts.push_back(Some(host));
        self.count += 1;
    }

    fn place(&self, index: Index) -> Option<usize> {
        usize::try_from(index.checked_sub(self.first)?).ok()
    }

    pub(super) fn get(&self, index: &Index) -> Option<&Host> {
        self.hosts.get(self.place(*index)?)?.as_ref()
    }

    pub(super) fn get_mut(&mut self, index: &Index) -> Option<&mut Host> {
        let place = self.place(*index)?;
        self.hosts.get_mut(place)?.as_mut()
    }

    pub(super) fn remove(&mut self, index: &Index) -> Option<Host> {
        let place = self.place(*index)?;
        let host = self.hosts.get_mut(place)?.take()?;
        self.count -= 1;
        while let Some(None) = self.hosts.front() {
            self.hosts.pop_front();
            self.first += 1;
        }
        Some(host)
    }

    pub(super) fn iter(&self) -> impl Iterator<Item = (Index, &Host)> {
        (self.first..).zip(&self.hosts).filter_map(|(index, host)| Some((index, host.as_ref()?)))
    }

    pub(super) fn values(&self) -> impl Iterator<Item = &Host> {
        self.hosts.iter().flatten()
    }

    pub(super) fn values_mut(&mut self) -> impl Iterator<Item = &mut Host> {
        self.hosts.iter_mut().flatten()
    }
}

impl Indexed<&Index> for HostTable {
    type Output = Host;

    fn index(&self, index: &Index) -> &Host {
        #[expect(clippy::expect_used, reason = "as every index does")]
        self.get(index).expect("a host that is at hand")
    }
}

/// Which host of the scan a host of the plan is.
#[derive(Debug, Default)]
pub(super) struct Places {
    by_slot: Vec<Option<(HostId, Index)>>,
    count: usize,
}

impl Places {
    pub(super) const fn len(&self) -> usize {
        self.count
    }

    pub(super) fn insert(&mut self, id: HostId, index: Index) {
        let slot = id.slot();
        if slot >= self.by_slot.len() {
            self.by_slot.resize(slot + 1, None);
        }
        let before = self.by_slot[slot].replace((id, index));
        self.count += usize::from(before.is_none());
    }

    pub(super) fn get(&self, id: HostId) -> Option<Index> {
        let (known, index) = (*self.by_slot.get(id.slot())?)?;
        (known == id).then_some(index)
    }

    pub(super) fn remove(&mut self, id: HostId) {
        if self.get(id).is_some() {
            self.by_slot[id.slot()] = None;
            self.count -= 1;
        }
    }

    pub(super) fn clear(&mut self) {
        self.by_slot.clear();
        self.count = 0;
    }
}

#[cfg(test)]
mod tests {
    use std::time::Instant;

    use super::*;
    use crate::report::HostReport;
    use crate::target::Address;

    #[test]
    #[expect(clippy::disallowed_methods, reason = "any moment will do")]
    fn hosts_are_found_whatever_left_before_them() {
        let address =
            |index: Index| Address::new(std::net::Ipv4Addr::from_bits(u32::try_from(index).unwrap()).into());
        let host = |index| Host::new(HostReport::new(address(index)), Instant::now());
        let mut table = HostTable::default();
        for index in [7, 8, 9, 12] {
            table.insert(index, host(index));
        }
        assert!(table.get(&6).is_none() && table.get(&10).is_none() && table.get(&13).is_none());
        assert_eq!(table.remove(&8).unwrap().report.address, address(8));
        assert!(table.remove(&8).is_none());
        table.remove(&7);
        let left: Vec<Index> = table.iter().map(|(index, _)| index).collect();
        assert_eq!((left, table.len()), (vec![9, 12], 2));
        assert_eq!(table.get_mut(&12).unwrap().report.address, address(12));
        table.remove(&12);
        table.remove(&9);
        table.insert(100, host(100));
        assert_eq!(table[&100].report.address, address(100));
        assert_eq!((table.len(), table.values().count(), table.values_mut().count()), (1, 1, 1));
    }
}
