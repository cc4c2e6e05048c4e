//! What the plan has found out, on its way into the reports.

use std::time::{Duration, Instant};

use nsock::Io;

use super::{Index, Scan, Stage};
use crate::plan::{Ending, HostId, HostStatus, HostSummary, PlanEvent};
use crate::ports::Protocol;
use crate::report::{PortProof, ScanEvent};
use crate::technique::Technique;
use crate::verdict::{PortState, Verdict};

impl Scan {
    pub(super) fn drain_events(&mut self, io: &mut Io<Self>) {
        while let Some(event) = self.plan.poll_event() {
            match event {
                PlanEvent::HostStatus { host, status, verdict, latency, .. } => {
                    self.status_known(io, host, status, verdict, latency);
                }
                PlanEvent::Port { host, port, verdict, tries, round_trip } => {
                    self.port_known(host, port, PortProof { verdict, tries, round_trip });
                }
                PlanEvent::HostFinished { host, summary, .. } => self.host_finished(io.now(), host, summary),
                PlanEvent::LocalTrouble { .. } => {}
            }
        }
    }

    pub(super) fn status_known(
        &mut self,
        io: &mut Io<Self>,
        id: HostId,
        status: HostStatus,
        verdict: Verdict,
        latency: Option<Duration>,
    ) {
        let stage = self.stage;
        let Some(index) = self.indices.get(id) else { return };
        let Some(host) = self.hosts.get_mut(&index) else { return };
        // In the phase of the ports the host was only told to be up; what proves it was found before.
        let was_up = self.earlier.partial.get(&host.report.address).and_then(|host| host.up);
        if stage != Stage::Ports {
            host.report.status = match was_up {
                Some(proof) if status == HostStatus::Up => Some((status, proof)),
                _ => Some((status, verdict)),
            };
        }
        host.report.latency = latency.or(host.report.latency);
        let ip = host.report.ip();
        let mac = self.raw.as_ref().and_then(|raw| raw.mac_of(ip));
        host.report.learn_mac(mac);
        let asking = std::mem::take(&mut host.asking);
        if status == HostStatus::Up && stage != Stage::Ports {
            let found = host.report.clone();
            self.tell(ScanEvent::Up(&found));
        }
        for (probe, iod) in asking {
            io.iod_delete(iod);
            self.probes.remove(&probe);
            self.plan.handle_timeout(io.now(), probe);
        }
        if stage == Stage::Whole && self.wants_name(index) {
            self.ask_name(io, index);
        }
        if status == HostStatus::Up {
            self.hand_out(index, verdict.reason);
        }
    }

    pub(super) fn port_known(&mut self, id: HostId, port: u16, proof: PortProof) {
        let verdict = proof.verdict;
        let protocol = self.technique_at_hand().map_or(Protocol::Tcp, Technique::protocol);
        let Some(host) = self.host_mut(id) else { return };
        host.report.ports.add(protocol, port, verdict);
        let address = host.report.address;
        let is_open = verdict.state == PortState::Open;
        if self.options.tell_ports || is_open {
            self.tell(ScanEvent::Port { address, protocol, port, proof });
        }
        if is_open {
            self.tell(ScanEvent::OpenPort { address, protocol, port });
        }
    }

    pub(super) fn host_finished(&mut self, now: Instant, id: HostId, summary: HostSummary) {
        let Some(index) = self.indices.get(id) else { return };
        let Some(host) = self.hosts.get_mut(&index) else { return };
        let ip = host.report.ip();
        let mac = self.raw.as_ref().and_then(|raw| raw.mac_of(ip));
        host.report.learn_mac(mac);
        host.report.latency = summary.latency.or(host.report.latency);
        host.report.variation = summary.variation.unwrap_or_default();
        host.report.timeout = summary.timeout;
        if summary.ending != Ending::Complete {
            host.report.ending = summary.ending;
        }
        host.report.answers_limited = summary.answers_limited.or(host.report.answers_limited);
        host.report.ports_unfinished += summary.ports_unfinished;
        host.report.elapsed = now.saturating_duration_since(host.since);
        host.own_part_is_over = true;
        self.own_part_over(index, summary.ending);
        if self.stage == Stage::Whole || self.link.is_some() {
            self.indices.remove(id);
        }
        self.settle(index);
    }

    /// Takes note if a host is finished: nobody has anything more to do with it.
    pub(super) fn settle(&mut self, index: Index) {
        let more_to_come = self.stage == Stage::Ports && self.technique + 1 < self.options.techniques.len();
        let Some(host) = self.hosts.get_mut(&index) else { return };
        if !host.own_part_is_over || !host.away.is_empty() {
            return;
        }
        self.work_is_over(index);
        let Some(host) = self.hosts.get_mut(&index) else { return };
        let was_last = self.stage != Stage::Discovery && !more_to_come;
        host.finished |= was_last || host.report.ending != Ending::Complete;
        // The only host of a phase is reported after the line that says that the phase is over.
        if self.stage != Stage::Ports || self.indices.len() > 1 || self.link.is_some() {
            self.report_finished();
        }
    }
}
