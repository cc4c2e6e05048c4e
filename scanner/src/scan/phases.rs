//! The parts of a scan: group by group while somebody watches, or everything at once.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use std::time::Instant;

use nsock::Io;

use super::{Course, Index, Lookup, Name, Scan, Stage};
use crate::plan::{Driver, HostStart, Plan, Settings};
use crate::report::{Phase, ScanEvent, Sweep};
use crate::technique::Technique;
use crate::verdict::Reason;

impl Scan {
    /// Begins the next group of targets, or the whole scan.
    pub(super) fn begin_group(&mut self, io: &mut Io<Self>) {
        let now = io.now();
        self.stage_since = now;
        if self.options.course == Course::Overlapped {
            self.begin_plan(self.settings_of(self.technique_of(0)), self.technique_of(0), now);
            self.stage = Stage::Whole;
            return;
        }
        let mut group = Vec::new();
        while group.len() < self.options.group_max {
            let Some(address) = self.next_target() else { break };
            group.push(self.add_host(address, now));
        }
        if group.is_empty() {
            self.count_plan();
            self.stage = Stage::Over;
            io.loop_quit();
            return;
        }
        if self.options.list_only {
            return self.begin_names(io);
        }
        self.begin_discovery(io);
    }

    /// The technique at this place, if there is one.
    pub(super) fn technique_of(&self, place: usize) -> Option<Technique> {
        self.options.techniques.get(place).copied()
    }

    /// The technique whose ports are probed now.
    pub(super) fn technique_at_hand(&self) -> Option<Technique> {
        self.technique_of(self.technique)
    }

    /// The settings of a plan with the ports of a technique, or with none.
    fn settings_of(&self, technique: Option<Technique>) -> Settings {
        let mut settings = self.options.settings.clone();
        settings.ports = match technique {
            Some(technique) => self.options.ports.of(technique.protocol()).iter().collect(),
            None => Vec::new(),
        };
        settings.silence = technique.map_or(settings.silence, Technique::silence);
        settings
    }

    /// Looks for the hosts of the group: neighbors first, then those that are asked as anybody is.
    fn begin_discovery(&mut self, io: &mut Io<Self>) {
        self.stage = Stage::Discovery;
        let all: Vec<_> = self.unreported.iter().copied().collect();
        let mut sweeps = [Sweep::Arp, Sweep::NeighborDiscovery, Sweep::Ping].map(|sweep| (sweep, Vec::new()));
        let mut not_asked = Vec::new();
        for index in all {
            let start = self.start_of(index);
            let v6 = self.hosts.get(&index).is_some_and(|host| host.report.ip().is_ipv6());
            match start {
                HostStart::Up(_) => not_asked.push((index, start)),
                HostStart::Discover => sweeps[2].1.push((index, start)),
                _ => sweeps[usize::from(v6)].1.push((index, start)),
            }
        }
        self.sweeps = sweeps.into_iter().filter(|(_, hosts)| !hosts.is_empty()).collect();
        // What needs no question waits for none.
        match self.sweeps.front_mut() {
            Some((_, first)) => first.extend(not_asked),
            None => self.sweeps.push_back((Sweep::Ping, not_asked)),
        }
        self.begin_sweep(io);
    }

    fn begin_sweep(&mut self, io: &mut Io<Self>) {
        let now = io.now();
        self.stage_since = now;
        let Some((sweep, hosts)) = self.sweeps.front().cloned() else { return self.begin_names(io) };
        let asked = asked(&hosts);
        if !asked.is_empty() {
            let probes = match sweep {
                Sweep::Ping => self.methods_for(&asked),
                _ => 1,
            };
            self.tell_phase_started(Phase::Discovery(sweep), &asked, probes);
        }
        self.begin_plan(self.settings_of(None), None, now);
        for (index, start) in hosts {
            self.enter(index, start, now);
        }
        self.plan.end_of_hosts();
        self.pump(io);
    }

    /// By how many methods these hosts are asked.
    fn methods_for(&self, hosts: &[Index]) -> usize {
        let v6 = |index: &Index| self.hosts.get(index).is_some_and(|host| host.report.ip().is_ipv6());
        let any_v4 = !hosts.iter().all(v6);
        let some = if any_v4 { IpAddr::V4(Ipv4Addr::UNSPECIFIED) } else { Ipv6Addr::UNSPECIFIED.into() };
        self.options.settings.methods.iter().filter(|method| method.is_for(some)).count()
    }

    fn end_sweep(&mut self, io: &mut Io<Self>) {
        if let Some((sweep, hosts)) = self.sweeps.pop_front() {
            let total = asked(&hosts).len();
            let elapsed = io.now().saturating_duration_since(self.stage_since);
            if total > 0 {
                self.tell(ScanEvent::PhaseCompleted { phase: Phase::Discovery(sweep), elapsed, total });
            }
        }
        self.begin_sweep(io);
    }

    pub(super) fn begin_names(&mut self, io: &mut Io<Self>) {
        let asked: Vec<_> = self.unreported.iter().copied().filter(|index| self.wants_name(*index)).collect();
        self.stage = Stage::Names;
        self.stage_since = io.now();
        if !asked.is_empty() {
            self.tell_phase_started(Phase::Names, &asked, 1);
            for index in asked {
                self.ask_name(io, index);
            }
        }
        if self.names_asked.is_empty() {
            self.begin_ports(io);
        }
    }

    pub(super) fn begin_ports(&mut self, io: &mut Io<Self>) {
        let now = io.now();
        if self.stage == Stage::Names && self.options.lookup != Lookup::Nobody {
            let total = self.hosts.values().filter(|host| host.name == Name::Settled).count();
            if total > 0 {
                let elapsed = now.saturating_duration_since(self.stage_since);
                self.tell(ScanEvent::PhaseCompleted { phase: Phase::Names, elapsed, total });
            }
        }
        self.technique = 0;
        self.begin_technique(io);
    }

    /// Scans the ports of one technique, of the hosts at hand that are up.
    fn begin_technique(&mut self, io: &mut Io<Self>) {
        let now = io.now();
        self.stage = Stage::Ports;
        self.stage_since = now;
        let technique = self.technique_at_hand();
        // Hosts that are not up have nothing more to come, nor those whose time is over.
        let up: Vec<_> = self
            .unreported
            .iter()
            .copied()
            .filter(|index| {
                technique.is_some() && !self.hosts[index].finished && self.hosts[index].report.is_up()
            })
            .collect();
        for index in self.unreported.iter().filter(|index| !up.contains(index)) {
            if let Some(host) = self.hosts.get_mut(index) {
                host.finished = true;
            }
        }
        let settings = self.settings_of(technique);
        if let Some(technique) = technique.filter(|_| !up.is_empty()) {
            self.tell_phase_started(Phase::Ports(technique), &up, settings.ports.len());
        }
        self.begin_plan(settings, technique, now);
        for index in up {
            let reason =
                self.hosts[&index].report.status.map_or(Reason::UserSet, |(_, verdict)| verdict.reason);
            self.enter(index, HostStart::Up(reason), now);
        }
        self.plan.end_of_hosts();
        self.report_finished();
        self.pump(io);
    }

    pub(super) fn begin_plan(&mut self, settings: Settings, technique: Option<Technique>, now: Instant) {
        self.count_plan();
        let by_packet = self.raw.is_some() && technique.is_none_or(Technique::is_raw);
        let driver = match &self.raw {
            Some(raw) if by_packet => Driver::raw(raw.in_flight_max()),
            _ => Driver::connect(self.options.descriptors),
        };
        if let Some(raw) = &mut self.raw {
            raw.begin_plan(&settings, technique);
        }
        self.begin_helping(&settings, technique);
        self.plan = Plan::new(settings, driver, now);
        self.indices.clear();
        self.probes.clear();
        self.stage_since = now;
    }

    /// Adds what the plan at hand has counted to the totals.
    pub(super) fn count_plan(&mut self) {
        let counts = self.plan.statistics();
        self.statistics.unknown += counts.unknown;
        self.statistics.sent += counts.sent;
        for (&errno, &count) in self.plan.local_troubles() {
            *self.troubles.entry(errno).or_default() += count;
        }
    }

    /// The plan at hand has nothing more to do.
    pub(super) fn plan_finished(&mut self, io: &mut Io<Self>) {
        match self.stage {
            Stage::Discovery => self.end_sweep(io),
            // A helper that plans for itself is never finished, nor a lead before its helpers.
            Stage::Ports if self.link.is_some() || !self.lent.is_empty() => {}
            Stage::Ports => {
                self.tell_ports_completed(io.now());
                if self.technique + 1 < self.options.techniques.len() {
                    self.technique += 1;
                    return self.begin_technique(io);
                }
                self.report_finished();
                self.begin_group(io);
            }
            Stage::Whole => {
                self.report_finished();
                if self.unreported.is_empty() {
                    self.count_plan();
                    self.stage = Stage::Over;
                    io.loop_quit();
                }
            }
            Stage::Names | Stage::Over => {}
        }
    }

    pub(super) fn tell_phase_started(&mut self, phase: Phase, hosts: &[Index], probes_per_host: usize) {
        let only = match hosts {
            [only] => self.hosts.get(only).map(|host| host.report.clone()),
            _ => None,
        };
        self.tell(ScanEvent::PhaseStarted {
            phase,
            hosts: hosts.len(),
            only: only.as_ref(),
            probes_per_host,
        });
    }

    pub(super) fn tell_ports_completed(&mut self, now: Instant) {
        let scanned = self.indices.len();
        let Some(technique) = self.technique_at_hand().filter(|_| scanned > 0) else { return };
        let elapsed = now.saturating_duration_since(self.stage_since);
        let total = scanned * self.options.ports.of(technique.protocol()).len();
        self.tell(ScanEvent::PhaseCompleted { phase: Phase::Ports(technique), elapsed, total });
    }
}

/// Those of the hosts that are asked at all.
fn asked(hosts: &[(Index, HostStart)]) -> Vec<Index> {
    hosts.iter().filter(|(_, start)| !matches!(start, HostStart::Up(_))).map(|(index, _)| *index).collect()
}
