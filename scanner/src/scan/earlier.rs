//! What an earlier run has found out, so that this one need not.

use std::collections::HashMap;

use foldhash::HashSet;

use super::{Index, Scan};
use crate::plan::HostStart;
use crate::ports::{PortSet, Ports};
use crate::report::PortResults;
use crate::target::Address;
use crate::verdict::Verdict;

/// The hosts of an earlier run.
#[derive(Debug, Clone, Default)]
#[non_exhaustive]
pub struct Earlier {
    /// Hosts of which everything is known.
    pub finished: HashSet<Address>,
    /// Hosts that were begun.
    pub partial: HashMap<Address, EarlierHost>,
    /// How many are finished.
    pub hosts: u64,
    /// How many of these are up.
    pub hosts_up: u64,
}

/// A host that an earlier run began.
#[derive(Debug, Clone)]
#[expect(clippy::exhaustive_structs, reason = "made by whoever reads what an earlier run left")]
pub struct EarlierHost {
    /// What proves it up, if anything does.
    pub up: Option<Verdict>,
    /// Ports that are not probed again.
    pub known: Ports,
    /// Their results.
    pub results: PortResults,
}

impl Scan {
    /// Adds what an earlier run has found out.
    #[must_use]
    pub fn with_earlier(mut self, earlier: Earlier) -> Self {
        self.summary.hosts = earlier.hosts;
        self.summary.hosts_up = earlier.hosts_up;
        self.earlier = earlier;
        self
    }

    /// The next target of which not everything is known.
    pub(super) fn next_target(&mut self) -> Option<Address> {
        loop {
            let address = self.walk.next(&self.targets)?;
            if !self.earlier.finished.contains(&address) {
                return Some(address);
            }
        }
    }

    /// What an earlier run proved a host up by.
    pub(super) fn was_up(&self, index: Index) -> Option<Verdict> {
        let address = self.hosts.get(&index)?.report.address;
        self.earlier.partial.get(&address)?.up
    }

    /// A host that was found up is not asked again; a neighbor is, since frames need its hardware address.
    pub(super) fn start_again(&self, index: Index, start: HostStart) -> HostStart {
        match (self.was_up(index), start) {
            (Some(proof), HostStart::Discover) => HostStart::Up(proof.reason),
            (Some(proof), HostStart::Neighbor) => HostStart::NeighborOrUp(proof.reason),
            (_, start) => start,
        }
    }

    /// Ports of a host that the technique at hand need not probe, if there are any.
    pub(super) fn known_ports(&self, address: Address) -> Option<PortSet> {
        let (technique, host) = (self.technique_at_hand()?, self.earlier.partial.get(&address)?);
        Some(host.known.of(technique.protocol())).filter(|known| !known.is_empty()).cloned()
    }
}
