//! A scan that has helpers: what it gives them, and what becomes of what they tell.

use std::sync::mpsc::RecvTimeoutError;
use std::time::Duration;

use nsock::Io;

use super::crew::{Crew, SPLIT_PORTS_MIN, Share};
use super::helper::{Command, Job, Shown, Told, Totals};
use super::{Index, Scan, Stage};
use crate::plan::{Ending, Settings};
use crate::ports::PortSet;
use crate::report::{HostReport, ScanEvent};
use crate::technique::Technique;
use crate::verdict::{PortState, Reason};

/// So long helpers are waited for when the scan is over; they have nothing to wait for themselves.
const PATIENCE: Duration = Duration::from_secs(5);

impl Scan {
    /// Adds helpers.
    #[must_use]
    pub fn with_crew(mut self, crew: Crew) -> Self {
        self.crew = crew;
        self
    }

    /// Waits for what helpers tell.
    pub(super) fn hear_helpers(&self, io: &mut Io<Self>) {
        if !self.crew.is_empty() {
            io.wake_wait(None, |scan: &mut Self, io, _| {
                scan.hear_helpers(io);
                scan.helpers_told();
                if scan.stage != Stage::Over {
                    scan.pump(io);
                }
            });
        }
    }

    /// A plan for ports begins.
    pub(super) fn begin_helping(&mut self, settings: &Settings, technique: Option<Technique>) {
        if let Some(technique) = technique {
            self.crew.helpers.iter_mut().for_each(|helper| (helper.given, helper.done) = (0, 0.0));
            self.crew.say_all(|| Command::Begin(Box::new(settings.clone()), technique));
        }
    }

    /// Whether the workers can take another host.
    pub(super) fn has_room(&self) -> bool {
        self.crew.has_room(self.ports_at_hand().map_or(0, PortSet::len))
    }

    /// Settles who is to probe the ports of a host that enters the plan.
    pub(super) fn share_out(&mut self, index: Index) -> Option<Share> {
        let with_ports = matches!(self.stage, Stage::Whole | Stage::Ports);
        let ports = self.ports_at_hand().filter(|ports| with_ports && !ports.is_empty());
        let count = ports.map(PortSet::len).filter(|_| !self.crew.is_empty());
        let share = count.map(|count| self.crew.choose(count));
        self.hosts.get_mut(&index)?.share = share;
        share
    }

    /// Whether hosts at hand have so many ports that they are everybody's.
    pub(super) fn is_everybodys(&self) -> bool {
        self.ports_at_hand().is_some_and(|ports| ports.len() >= SPLIT_PORTS_MIN)
    }

    fn ports_at_hand(&self) -> Option<&PortSet> {
        Some(self.options.ports.of(self.technique_at_hand()?.protocol()))
    }

    /// The ports of a host that this worker leaves to the others, or knows already.
    pub(super) fn left_out(
        &self,
        share: Option<Share>,
        worker: usize,
        known: Option<PortSet>,
    ) -> Option<PortSet> {
        let (Some(Share::Everybody), Some(ports)) = (share, self.ports_at_hand()) else { return known };
        let workers = self.crew.workers();
        let others = ports.iter().enumerate().filter(|(place, _)| place % workers != worker);
        let mut left_out = known.unwrap_or_default();
        left_out.extend(others.map(|(_, port)| port));
        Some(left_out)
    }

    /// A host was found up: its ports can be probed.
    pub(super) fn hand_out(&mut self, index: Index, reason: Reason) {
        self.work_begins(index);
        let Some(host) = self.hosts.get(&index) else { return };
        let (address, share) = (host.report.address, host.share);
        let helpers = match share {
            None | Some(Share::Lead) => return,
            Some(Share::Helper(place)) => place..place + 1,
            Some(Share::Everybody) => 0..self.crew.helpers.len(),
        };
        let next_mac = self.raw.as_ref().and_then(|raw| raw.next_mac_of(address.ip()));
        for place in helpers {
            if self.crew.helpers[place].ended {
                // It ended by itself, which is told; nobody looks at these ports.
                if let Some(host) = self.hosts.get_mut(&index) {
                    host.report.ending = Ending::Interrupted;
                }
                continue;
            }
            let leave_out = self.left_out(share, place + 1, self.known_ports(address));
            self.crew.say(place, Command::Host(Job { address, reason, leave_out, next_mac }));
            self.crew.helpers[place].given += 1;
            self.lent.insert(address, index);
            if let Some(host) = self.hosts.get_mut(&index) {
                host.away.push(place);
            }
        }
    }

    /// The lead's own part of a host is over. `ports` of it were never looked at if it was not handed out before its end.
    pub(super) fn own_part_over(&mut self, index: Index, ending: Ending) {
        let ports = self.ports_at_hand().map_or(0, PortSet::len);
        let Some(host) = self.hosts.get_mut(&index) else { return };
        if !host.away.is_empty() {
            return;
        }
        let Some(share) = host.share.take() else { return };
        if ending != Ending::Complete && matches!(share, Share::Helper(_)) {
            host.report.ports_unfinished += u32::try_from(ports).unwrap_or(u32::MAX);
        }
        self.crew.leave(share);
    }

    /// A host is up, and its ports are to be probed by somebody.
    pub(super) fn work_begins(&mut self, index: Index) {
        if let Some(host) = self.hosts.get_mut(&index)
            && host.share.is_some()
            && !std::mem::replace(&mut host.is_at_work, true)
        {
            self.crew.up += 1;
        }
    }

    /// Nobody has anything more to do with a host.
    pub(super) fn work_is_over(&mut self, index: Index) {
        if let Some(host) = self.hosts.get_mut(&index)
            && std::mem::take(&mut host.is_at_work)
        {
            self.crew.up = self.crew.up.saturating_sub(1);
        }
    }

    /// Takes what helpers have told.
    fn helpers_told(&mut self) {
        while let Some(Ok((place, told))) = self.crew.told.as_ref().map(|(_, told)| told.try_recv()) {
            told.into_iter().for_each(|told| self.helper_told(place, told));
        }
    }

    fn helper_told(&mut self, place: usize, told: Told) {
        match told {
            Told::Port { address, protocol, port, proof } => {
                self.tell(ScanEvent::Port { address, protocol, port, proof });
                if proof.verdict.state == PortState::Open {
                    self.tell(ScanEvent::OpenPort { address, protocol, port });
                }
            }
            Told::Connect { at, to, port, result } => {
                self.tell(ScanEvent::Connect { at, to, port, result: &result });
            }
            Told::Packet(line) => self.tell(ScanEvent::Packet { line: &line }),
            Told::Warning(line) => self.warn_once(line),
            Told::Host(report) => self.part_over(place, *report),
            Told::Done(done) => self.crew.helpers[place].done = done,
            Told::Ended(totals) => self.helper_ended(place, &totals),
        }
    }

    /// A helper is done with its part of a host.
    fn part_over(&mut self, place: usize, part: HostReport) {
        let Some(&index) = self.lent.get(&part.address) else { return };
        let Some(host) = self.hosts.get_mut(&index) else { return };
        host.away.retain(|&away| away != place);
        let report = &mut host.report;
        report.ports.add_all(part.ports);
        report.latency = report.latency.or(part.latency);
        report.variation = report.variation.max(part.variation);
        report.timeout = report.timeout.max(part.timeout);
        if part.ending != Ending::Complete {
            report.ending = part.ending;
        }
        report.answers_limited = match (report.answers_limited, part.answers_limited) {
            (Some(ours), Some(theirs)) => Some(ours.plus(theirs)),
            (ours, theirs) => ours.or(theirs),
        };
        report.ports_unfinished += part.ports_unfinished;
        report.elapsed = report.elapsed.max(part.elapsed);
        self.left_by(index);
    }

    /// A helper has nothing more to do with a host.
    fn left_by(&mut self, index: Index) {
        let Some(host) = self.hosts.get_mut(&index) else { return };
        if let Some(share @ Share::Helper(_)) = host.share {
            self.crew.leave(share);
        }
        if host.away.is_empty() {
            self.lent.remove(&host.report.address);
            self.settle(index);
        }
    }

    fn helper_ended(&mut self, place: usize, totals: &Totals) {
        self.statistics.sent += totals.sent;
        self.statistics.unknown += totals.unknown;
        for (&errno, &count) in &totals.troubles {
            *self.troubles.entry(errno).or_default() += count;
        }
        self.crew.packets += totals.packets;
        self.crew.helpers[place].ended = true;
        // None but when it ended by itself, which is a defect: what it had is told to be unfinished.
        let left: Vec<Index> = self
            .hosts
            .iter()
            .filter(|(_, host)| host.away.contains(&place))
            .map(|(index, _)| index)
            .collect();
        if !left.is_empty() {
            self.warn_once("WARNING: a worker has ended; the hosts that it had are not finished".to_owned());
        }
        for index in left {
            if let Some(host) = self.hosts.get_mut(&index) {
                host.away.retain(|&away| away != place);
                host.report.ending = Ending::Interrupted;
            }
            self.left_by(index);
        }
    }

    /// Has helpers tell what they know, and end.
    pub(super) fn end_helpers(&mut self) {
        self.crew.say_all(|| Command::Stop);
        self.crew.flush();
        while self.crew.helpers.iter().any(|helper| !helper.ended) {
            let Some((_, told)) = &self.crew.told else { return };
            match told.recv_timeout(PATIENCE) {
                Ok((place, told)) => told.into_iter().for_each(|told| self.helper_told(place, told)),
                Err(RecvTimeoutError::Timeout | RecvTimeoutError::Disconnected) => return,
            }
        }
    }

    /// Has helpers show packets and connects from now on, or not.
    pub(super) fn show_packets_of_helpers(&mut self, shown: Shown) {
        self.crew.say_all(|| Command::Show(shown));
        self.crew.flush();
    }
}
