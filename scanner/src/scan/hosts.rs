//! The hosts of a scan, from the walk over the targets to the report.

use std::time::Instant;

use super::crew::Share;
use super::{Host, Index, Name, Presumed, Scan};
use crate::plan::{HostId, HostStart, HostStatus};
use crate::report::{HostReport, ScanEvent, epoch};
use crate::target::Address;
use crate::verdict::Reason;

impl Scan {
    pub(super) fn add_host(&mut self, address: Address, now: Instant) -> Index {
        let index = self.next_index;
        self.next_index += 1;
        let mut report = HostReport::new(address);
        if let Some(given) = self.targets.given_name(address) {
            report.given_name = Some(given.name.to_string());
            report.other_addresses = given.other_addresses.clone();
        }
        if let Some(earlier) = self.earlier.partial.get(&address) {
            report.ports = earlier.results.clone();
            report.status = earlier.up.map(|proof| (HostStatus::Up, proof));
        }
        report.epoch = epoch();
        if self.wall_clock.0 != report.epoch {
            let text = jiff::Zoned::now().strftime("%Y-%m-%d %H:%M:%S %Z").to_string();
            self.wall_clock = (report.epoch, text);
        }
        report.scanned_at.clone_from(&self.wall_clock.1);
        self.hosts.insert(index, Host::new(report, now));
        self.unreported.push_back(index);
        index
    }

    pub(super) fn start_of(&mut self, index: Index) -> HostStart {
        let start = self.usual_start_of(index);
        self.start_again(index, start)
    }

    fn usual_start_of(&mut self, index: Index) -> HostStart {
        let address = self.hosts.get(&index).map(|host| host.report.address);
        if let (Some(raw), Some(address)) = (&mut self.raw, address) {
            let packets = self.options.techniques.iter().any(|technique| technique.is_raw());
            return raw.start_of(address, self.options.presumed, packets);
        }
        let ip = address.map(Address::ip);
        match self.options.presumed {
            Presumed::Everybody => HostStart::Up(Reason::UserSet),
            Presumed::Ourselves if ip.is_some_and(|ip| ip.is_loopback()) => {
                HostStart::Up(Reason::LocalhostResponse)
            }
            _ => HostStart::Discover,
        }
    }

    pub(super) fn enter(&mut self, index: Index, start: HostStart, now: Instant) {
        let Some(host) = self.hosts.get(&index) else { return };
        let address = host.report.address;
        let share = self.share_out(index);
        let left_out = self.left_out(share, 0, self.known_ports(address));
        let ip = address.ip();
        let id = match share {
            Some(Share::Helper(_)) => self.plan.add_host_without_ports(now, ip, start),
            _ => self.plan.add_host_again(now, ip, start, left_out),
        };
        if let Some(raw) = &mut self.raw {
            raw.host_entered(address, id);
        }
        if let Some(host) = self.hosts.get_mut(&index) {
            host.own_part_is_over = false;
        }
        // Others are added before the plan says so.
        if matches!(start, HostStart::Up(_)) {
            self.work_begins(index);
        }
        self.indices.insert(id, index);
    }

    pub(super) fn host_mut(&mut self, id: HostId) -> Option<&mut Host> {
        self.hosts.get_mut(&self.indices.get(id)?)
    }

    /// Reports finished hosts in the order given, as far as their names are settled.
    pub(super) fn report_finished(&mut self) {
        while let Some(index) = self.unreported.front().copied() {
            if !self.hosts.get(&index).is_some_and(|host| host.finished && host.name != Name::Asked) {
                return;
            }
            self.unreported.pop_front();
            let Some(host) = self.hosts.remove(&index) else { continue };
            if let Some(raw) = &mut self.raw {
                raw.host_left(host.report.ip());
            }
            self.summary.hosts += 1;
            self.summary.hosts_up += u64::from(host.report.is_up());
            match &mut self.link {
                Some(link) => link.keep_host(host.report),
                None => self.tell(ScanEvent::Host(&host.report)),
            }
        }
    }
}
