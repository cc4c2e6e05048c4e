//! One scan by many threads: the lead finds hosts, knows their names and tells the consumers; the ports it shares with
//! helpers, each of which has an event loop, a plan and sockets of its own.
//!
//! A host with few ports is one worker's, a host with many is everybody's. What helpers find out comes back by a channel,
//! many results at a time, and becomes part of the lead's report of the host. So there is one order of reports, one
//! resolver, one place that writes, and nothing is locked.

use std::sync::mpsc::{Receiver, RecvTimeoutError, Sender, channel};
use std::time::Duration;

use nsock::{Io, Waker};

use super::helper::{Command, Job, Link, Message, Shown, Told, Totals};
use super::{Index, Scan, Stage};
use crate::plan::{Ending, Settings};
use crate::ports::PortSet;
use crate::report::{HostReport, PacketCounts, ScanEvent};
use crate::technique::Technique;
use crate::verdict::{PortState, Reason};

/// From so many ports on a host is everybody's: less would not be worth asking twice on its account.
const SPLIT_PORTS_MIN: usize = 4096;
/// Hosts times ports that all workers have at a time, if that is not fewer hosts than [`HOSTS_MIN`]. What is known of more
/// would not fit the processor's cache.
const PORTS_AT_A_TIME: usize = 1 << 14;
/// Up hosts that all workers have at a time, at least. They may be finished, and wait for a slow one to be reported.
const HOSTS_MIN: usize = 1024;
/// And at most.
const HOSTS_MAX: usize = 8192;
/// So long helpers are waited for when the scan is over; they have nothing to wait for themselves.
const PATIENCE: Duration = Duration::from_secs(5);

/// Who probes the ports of a host.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Share {
    /// The lead.
    Lead,
    /// This helper.
    Helper(usize),
    /// Every worker its part of the ports.
    Everybody,
}

/// The helpers of a scan; by default there are none.
#[derive(Debug, Default)]
pub struct Crew {
    helpers: Vec<Helper>,
    told: Option<(Sender<Message>, Receiver<Message>)>,
    /// Hosts whose ports are the lead's own, and not finished.
    own: usize,
    /// Hosts that were found up, and are not finished.
    up: usize,
    packets: PacketCounts,
}

#[derive(Debug)]
struct Helper {
    commands: Sender<Command>,
    waker: Waker,
    /// Something was said that it does not know of yet.
    is_told: bool,
    /// Hosts that are its own, and not finished.
    hosts: usize,
    /// Hosts that it was given of the plan at hand, and how far it has come with them: finished ones, and shares of others.
    given: u64,
    done: f64,
    ended: bool,
}

impl Crew {
    /// The link of another helper, whose pool is still to be made, to the lead with this waker.
    #[must_use]
    pub fn link(&mut self, lead: Waker) -> (Sender<Command>, Link) {
        let (told, _) = self.told.get_or_insert_with(channel);
        let (commands, heard) = channel();
        (commands, Link::new(self.helpers.len(), told.clone(), lead, heard))
    }

    /// Adds the helper to whom the last link went, with the waker of its pool.
    pub fn add(&mut self, commands: Sender<Command>, waker: Waker) {
        self.helpers.push(Helper {
            commands,
            waker,
            is_told: false,
            hosts: 0,
            given: 0,
            done: 0.0,
            ended: false,
        });
    }

    /// How many share the work.
    pub(super) fn workers(&self) -> usize {
        self.helpers.len() + 1
    }

    pub(super) fn is_empty(&self) -> bool {
        self.helpers.is_empty()
    }

    /// Whether the workers can take another host with so many ports.
    fn has_room(&self, ports: usize) -> bool {
        self.helpers.is_empty() || self.up < (PORTS_AT_A_TIME / ports.max(1)).clamp(HOSTS_MIN, HOSTS_MAX)
    }

    fn least_busy(&self) -> (Share, usize) {
        let able = self.helpers.iter().enumerate().filter(|(_, helper)| !helper.ended);
        let helper =
            able.map(|(place, helper)| (Share::Helper(place), helper.hosts)).min_by_key(|(_, hosts)| *hosts);
        helper.filter(|(_, hosts)| *hosts < self.own).unwrap_or((Share::Lead, self.own))
    }

    /// Who is to probe these ports of another host.
    fn choose(&mut self, ports: usize) -> Share {
        if ports >= SPLIT_PORTS_MIN {
            return Share::Everybody;
        }
        let (share, _) = self.least_busy();
        match share {
            Share::Helper(place) => self.helpers[place].hosts += 1,
            Share::Lead | Share::Everybody => self.own += 1,
        }
        share
    }

    /// A worker has a host no more.
    fn leave(&mut self, share: Share) {
        let hosts = match share {
            Share::Helper(place) => &mut self.helpers[place].hosts,
            Share::Lead => &mut self.own,
            Share::Everybody => return,
        };
        *hosts = hosts.saturating_sub(1);
    }

    fn say(&mut self, place: usize, command: Command) {
        let helper = &mut self.helpers[place];
        // One that has ended has said so, or will have.
        helper.is_told |= helper.commands.send(command).is_ok();
    }

    fn say_all(&mut self, command: impl Fn() -> Command) {
        (0..self.helpers.len()).for_each(|place| self.say(place, command()));
    }

    /// Wakes those who were told something.
    pub(super) fn flush(&mut self) {
        for helper in &mut self.helpers {
            if std::mem::take(&mut helper.is_told) {
                // Its loop is gone, or it hears of it.
                let _ = helper.waker.wake();
            }
        }
    }

    /// What went over the wire because of helpers.
    pub(super) const fn packets(&self) -> PacketCounts {
        self.packets
    }

    /// How many hosts, or parts of hosts, helpers have still to do.
    pub(super) fn undone(&self) -> f64 {
        self.helpers.iter().map(|helper| (helper.given as f64 - helper.done).max(0.0)).sum()
    }
}

impl Drop for Crew {
    fn drop(&mut self) {
        self.say_all(|| Command::Stop);
        self.flush();
    }
}

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
