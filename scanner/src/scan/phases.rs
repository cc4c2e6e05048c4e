//! The parts of a scan: group by group while somebody watches, or everything at once.

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
            self.stage = Stage::Whole;
            return;
        }
        let mut group = Vec::new();
        while group.len() < self.options.group_max {
            let Some(address) = self.walk.next(&self.targets) else { break };
            group.push(self.add_host(address, now));
        }
        if group.is_empty() {
            self.count_plan();
            self.stage = Stage::Over;
            io.loop_quit();
            return;
        }
        self.begin_discovery(io, now);
    }

    pub(super) fn begin_discovery(&mut self, io: &mut Io<Self>, now: Instant) {
        self.stage = Stage::Discovery;
        let mut settings = self.options.settings.clone();
        settings.ports = Vec::new();
        let asked: Vec<_> = self
            .unreported
            .iter()
            .copied()
            .filter(|index| self.start_of(*index) == HostStart::Discover)
            .collect();
        if !asked.is_empty() {
            let probes = settings.methods.len();
            self.tell_phase_started(Phase::Discovery(Sweep::Ping), &asked, probes);
        }
        self.begin_plan(settings, now);
        for index in self.unreported.clone() {
            self.enter(index, self.start_of(index), now);
        }
        self.plan.end_of_hosts();
        self.pump(io);
    }

    pub(super) fn begin_names(&mut self, io: &mut Io<Self>) {
        let asked: Vec<_> = self.unreported.iter().copied().filter(|index| self.wants_name(*index)).collect();
        if self.stage == Stage::Discovery {
            self.tell_discovery_completed(io.now());
        }
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
        self.stage = Stage::Ports;
        self.stage_since = now;
        let up: Vec<_> =
            self.unreported.iter().copied().filter(|index| self.hosts[index].report.is_up()).collect();
        // Hosts that are not up have nothing more to come.
        for index in self.unreported.iter().filter(|index| !up.contains(index)) {
            if let Some(host) = self.hosts.get_mut(index) {
                host.finished = true;
            }
        }
        if !up.is_empty() {
            let ports = self.options.settings.ports.len();
            self.tell_phase_started(Phase::Ports(Technique::Connect), &up, ports);
        }
        self.begin_plan(self.options.settings.clone(), now);
        for index in up {
            let reason =
                self.hosts[&index].report.status.map_or(Reason::UserSet, |(_, verdict)| verdict.reason);
            self.enter(index, HostStart::Up(reason), now);
        }
        self.plan.end_of_hosts();
        self.report_finished();
        self.pump(io);
    }

    pub(super) fn begin_plan(&mut self, settings: Settings, now: Instant) {
        self.count_plan();
        self.plan = Plan::new(settings, Driver::connect(self.options.descriptors), now);
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
            Stage::Discovery => self.begin_names(io),
            Stage::Ports => {
                self.tell_ports_completed(io.now());
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

    pub(super) fn tell_discovery_completed(&mut self, now: Instant) {
        let total =
            self.unreported.iter().filter(|index| self.start_of(**index) == HostStart::Discover).count();
        if total > 0 {
            let elapsed = now.saturating_duration_since(self.stage_since);
            self.tell(ScanEvent::PhaseCompleted { phase: Phase::Discovery(Sweep::Ping), elapsed, total });
        }
    }

    pub(super) fn tell_ports_completed(&mut self, now: Instant) {
        let scanned = self.indices.len();
        if scanned > 0 {
            let elapsed = now.saturating_duration_since(self.stage_since);
            let total = scanned * self.options.settings.ports.len();
            self.tell(ScanEvent::PhaseCompleted { phase: Phase::Ports(Technique::Connect), elapsed, total });
        }
    }
}
