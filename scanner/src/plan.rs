//! The scan plan: which probe goes next, what its outcome means, when a host is finished.
//!
//! Pure: a plan opens no socket and reads no clock. Its driver passes `now` and outcomes in and takes probes and
//! events out, so the same plan serves a connect scan and a packet scan, and a whole scan runs in virtual time in a
//! test (see [`simulator`](crate::simulator)). Equal settings, seed and outcomes give an equal scan.
//!
//! # How a driver calls it
//! 1. While [`Plan::wants_hosts`] says so, [`Plan::add_host`]; after the last one, [`Plan::end_of_hosts`]. Ask again
//!    before every wait.
//! 2. [`Plan::next`] until it says to wait; send each [`Next::Probe`] at once, close each [`Next::Abandon`].
//! 3. Hand back the outcome of *every* probe, once: [`Plan::handle_reply`], [`Plan::handle_timeout`] or
//!    [`Plan::handle_local_trouble`]. A driver that hears late replies leaves time-outs to the plan and may hand in
//!    replies at any time.
//! 4. Drain [`Plan::poll_event`] after each turn. Go back to 1 until [`Next::Finished`] and no event is left.
//!
//! # How it decides
//! * *Fresh ports first*, one retry in eight probes between them; then retries, lowest try first. How many tries
//!   silence is worth follows from the loss seen; a silent host gets two.
//! * *A window per host* grows on answers and shrinks on excessive loss. A probe leaves it when an answer would
//!   usually have come, so silence does not hold it shut; a token bucket, to which answers give their token back,
//!   bounds the rate of unanswered probes instead.
//! * *A limit on answers* is told apart from loss by cutting the rate and looking whether fewer answers come; the
//!   host is then paced to a little more than it answers.
//! * *Local trouble* shrinks the number of probes in flight, is retried, and ends as
//!   [`PortState::Unknown`] if it stays.
//!
//! Every call costs the same however many hosts, ports and timers there are, but for the timer buckets, which are
//! ordered by a tree of at most a few thousand.

mod bitmap;
mod calendar;
mod discovery;
mod event;
mod evidence;
mod flight;
mod host;
mod interner;
mod limiter;
mod local;
mod outcome;
mod ports;
mod report;
mod schedule;
mod settings;

#[cfg(test)]
mod tests;

use std::collections::{BTreeMap, VecDeque};
use std::net::IpAddr;
use std::time::Instant;

pub use event::{
    Ending, HostId, HostStatus, HostSummary, Next, PlanEvent, Probe, ProbeId, ProbeKind, Statistics, UnderWay,
};
pub use host::HALF_OPEN_PER_HOST_MAX;
pub use settings::{AnswerLimits, Driver, HostStart, Method, PortOrder, Settings};

use calendar::Calendar;
use discovery::Discovery;
use event::Target;
use evidence::Tries;
use flight::Flights;
use host::{Gates, Host, Phase};
use interner::Verdicts;
use local::LocalTroubles;
use report::Queued;
use settings::Asked;

use crate::pacer::{MaxRate, MinRate, SilenceCredit};
use crate::ports::PortSet;
use crate::rtt::Rtt;
use crate::template::Parallelism;
use crate::verdict::{Errno, PortState, Verdict};

/// Hosts may be finished this many groups ahead of one that is not, since they are reported in order.
const UNREPORTED_GROUPS_MAX: usize = 2;

/// Something that happens at a time.
#[derive(Clone, Copy, Debug)]
enum Timer {
    /// A host held by a gate may be asked again.
    Wake(HostId),
    /// The time-out of a probe sent then passes, if the plan counts time-outs; else one that was given too much is
    /// abandoned.
    Deadline(ProbeId, Instant),
    /// A refused probe is sent again.
    Retry(ProbeId),
    /// A host's own time-out passes.
    HostTimeout(HostId),
}

/// A scan in progress.
///
/// ```
/// use scanner::plan::{Driver, HostStart, Next, Plan, PlanEvent, Settings};
/// use scanner::template::Template;
/// use scanner::verdict::{PortState, Reason, Verdict};
/// # #[expect(clippy::disallowed_methods)]
/// let now = std::time::Instant::now();
/// let settings = Settings::new(Template::Normal, vec![22]);
/// let mut plan = Plan::new(settings, Driver::connect(1000), now);
/// let host = plan.add_host(now, "198.18.0.1".parse().unwrap(), HostStart::Up(Reason::UserSet));
/// plan.end_of_hosts();
/// let Next::Probe(probe) = plan.next(now) else { unreachable!() };
/// plan.handle_reply(now, probe.id, Verdict::new(PortState::Open, Reason::SynAck));
/// assert_eq!(plan.next(now), Next::Finished);
/// let ports: Vec<u16> = std::iter::from_fn(|| plan.poll_event())
///     .filter_map(|event| match event {
///         PlanEvent::Port { port, .. } => Some(port),
///         _ => None,
///     })
///     .collect();
/// assert_eq!(ports, [22]);
/// ```
#[derive(Debug)]
pub struct Plan {
    settings: Settings,
    driver: Driver,
    hosts: Vec<Option<Box<Host>>>,
    // Free places in `hosts`.
    free: Vec<u32>,
    serial: u32,
    // Hosts that are not finished, and those of them that are asked, wait, or are scanned.
    active: u32,
    asked: u32,
    waiting: VecDeque<HostId>,
    scanned: u32,
    // Hosts not yet reported, in the order given.
    given: VecDeque<HostId>,
    // Hosts to be asked for a probe, in turn.
    ready: VecDeque<HostId>,
    // Hosts that have something to send but are held by a gate; kept only for a minimum rate.
    held: VecDeque<HostId>,
    // Probes the driver is to close.
    abandoned: VecDeque<ProbeId>,
    flights: Flights,
    calendar: Calendar<Timer>,
    local: LocalTroubles,
    silence: SilenceCredit,
    max_rate: Option<MaxRate>,
    min_rate: Option<MinRate>,
    // Of all hosts: it only lengthens the time-out of a host without samples.
    rtt: Rtt,
    discovery_tries: Tries,
    verdicts: Verdicts,
    events: VecDeque<Queued>,
    statistics: Statistics,
    ended: bool,
    stopped: bool,
    // Known ports of the host that is being added.
    known_next: Option<PortSet>,
    // The host that is being added is only looked for.
    portless_next: bool,
}

impl Plan {
    /// Starts a plan without hosts.
    #[must_use]
    pub fn new(mut settings: Settings, driver: Driver, now: Instant) -> Self {
        // A port twice would be two results; sorted, a port's place is found quickly.
        settings.ports.sort_unstable();
        settings.ports.dedup();
        let serial = settings.timing.parallelism == Parallelism::Serial;
        let most = settings.max_parallelism.map_or(usize::MAX, |most| most as usize);
        let most = if serial && settings.max_parallelism.is_none() { 1 } else { most };
        Self {
            driver,
            hosts: Vec::new(),
            free: Vec::new(),
            serial: 0,
            active: 0,
            asked: 0,
            waiting: VecDeque::new(),
            scanned: 0,
            given: VecDeque::new(),
            ready: VecDeque::new(),
            held: VecDeque::new(),
            abandoned: VecDeque::new(),
            flights: Flights::default(),
            calendar: Calendar::new(now),
            local: LocalTroubles::new(driver.in_flight_max.min(most).max(1)),
            silence: SilenceCredit::new(settings.timing.silence_per_group, driver.silence_burst(), now),
            max_rate: settings.max_rate.map(MaxRate::new),
            min_rate: settings.min_rate.map(MinRate::new),
            rtt: Rtt::new(settings.timing.rtt),
            discovery_tries: Tries::default(),
            verdicts: Verdicts::default(),
            events: VecDeque::new(),
            statistics: Statistics::default(),
            ended: false,
            stopped: false,
            known_next: None,
            portless_next: false,
            settings,
        }
    }

    /// True if another host should be added now. Hosts are taken as the work on others ends, so that a list of any
    /// length costs only the hosts at hand.
    #[must_use]
    pub fn wants_hosts(&self) -> bool {
        let asked_max = self.settings.asked_max();
        let room = self.asked < asked_max
            && self.waiting.len() < self.settings.scanned_max() as usize
            && self.given.len() < UNREPORTED_GROUPS_MAX * asked_max as usize;
        room && !self.ended && !self.stopped
    }

    /// Adds a host. It is reported after those added before it.
    pub fn add_host(&mut self, now: Instant, address: IpAddr, start: HostStart) -> HostId {
        let slot = self.free.pop().unwrap_or_else(|| {
            self.hosts.push(None);
            u32::try_from(self.hosts.len() - 1).unwrap_or(u32::MAX)
        });
        let id = HostId { serial: self.serial, slot };
        self.serial = self.serial.wrapping_add(1);
        let asked = match start {
            HostStart::Neighbor | HostStart::NeighborOrUp(_) => Asked::Neighbor,
            HostStart::Discover | HostStart::Up(_) => Asked::Methods,
        };
        let mut discovery = Discovery::new(self.settings.method_count(asked));
        for (method, known) in (0..).zip(&self.settings.methods) {
            if asked == Asked::Methods && !known.is_for(address) {
                discovery.leave_out(method);
            }
        }
        let phase = Phase::Discovery(discovery);
        let mut host = Box::new(Host::new(id, address, phase, &self.settings, now));
        host.asked = asked;
        host.known = self.known_next.take();
        host.portless = self.portless_next;
        if let HostStart::NeighborOrUp(reason) = start {
            host.presumed = Some(reason);
        }
        self.hosts[slot as usize] = Some(host);
        self.given.push_back(id);
        self.active += 1;
        self.asked += 1;
        match start {
            HostStart::Discover | HostStart::Neighbor | HostStart::NeighborOrUp(_) => self.wake(id),
            HostStart::Up(reason) => self.host_is_up(now, id, Verdict::new(PortState::Unknown, reason)),
        }
        id
    }

    /// As [`add_host`](Self::add_host), for a host some of whose ports are known from an earlier run: they are neither
    /// probed nor reported.
    pub fn add_host_again(
        &mut self,
        now: Instant,
        address: IpAddr,
        start: HostStart,
        known: Option<PortSet>,
    ) -> HostId {
        // The ports begin within the call where the host is declared up.
        self.known_next = known;
        let id = self.add_host(now, address, start);
        self.known_next = None;
        id
    }

    /// As [`add_host`](Self::add_host), for a host that is only looked for: its ports are somebody else's.
    pub fn add_host_without_ports(&mut self, now: Instant, address: IpAddr, start: HostStart) -> HostId {
        self.portless_next = true;
        let id = self.add_host(now, address, start);
        self.portless_next = false;
        id
    }

    /// No more hosts will be added.
    pub const fn end_of_hosts(&mut self) {
        self.ended = true;
    }

    /// Ends every host at once: nothing more is sent, and what is known is reported.
    pub fn stop(&mut self, now: Instant) {
        self.stopped = true;
        self.waiting.clear();
        for id in self.given.clone() {
            self.finish(now, id, Ending::Interrupted);
        }
    }

    /// What to do now.
    pub fn next(&mut self, now: Instant) -> Next {
        while let Some(timer) = self.calendar.pop_due(now) {
            self.handle_timer(now, timer);
        }
        if let Some(id) = self.abandoned.pop_front() {
            return Next::Abandon(id);
        }
        if self.stopped {
            return Next::Finished;
        }
        let gates = match self.min_rate {
            Some(min_rate) if min_rate.is_behind(now) => Gates::Overruled,
            _ => Gates::Observed,
        };
        if let Some(wait) = self.common_gate(now, gates) {
            return self.wait_or_finish(wait);
        }
        while let Some(id) = self.local.next_retry() {
            if let Some(probe) = self.resume(now, id) {
                return Next::Probe(probe);
            }
        }
        while let Some(id) = self.next_candidate(gates) {
            if let Some(probe) = self.ask(now, id, gates) {
                return Next::Probe(probe);
            }
        }
        let due = self.min_rate.and_then(|min_rate| min_rate.due()).filter(|_| !self.held.is_empty());
        self.wait_or_finish(due)
    }

    /// Takes out the next event.
    pub fn poll_event(&mut self) -> Option<PlanEvent> {
        self.poll_report()
    }

    /// How far the hosts at hand have come, as the sum of their shares from 0 to 1, and one of those not finished.
    #[must_use]
    pub fn under_way(&self) -> UnderWay {
        let mut under_way = UnderWay::default();
        for host in self.hosts.iter().flatten() {
            match host.phase {
                Phase::Discovery(_) => under_way.asked += 1,
                Phase::Waiting => under_way.waiting += 1,
                Phase::Ports => {
                    under_way.scanned += 1;
                    under_way.shares += host.ports.share_done();
                }
                Phase::Finished(_) => continue,
            }
            under_way.one = under_way.one.or(Some(host.address));
        }
        under_way
    }

    /// Counts of the whole plan.
    #[must_use]
    pub const fn statistics(&self) -> Statistics {
        self.statistics
    }

    /// How often each errno kept a probe from being sent.
    #[must_use]
    pub const fn local_troubles(&self) -> &BTreeMap<Errno, u64> {
        self.local.counts()
    }

    /// How many probes are in flight.
    #[must_use]
    pub const fn in_flight(&self) -> usize {
        self.flights.live()
    }

    /// The id of a try of a port probe, for a driver that finds host, port and try in a reply rather than keep a
    /// table. `None` if the host is gone, or if the plan has no such port or try.
    #[must_use]
    pub fn port_probe(&self, host: HostId, port: u16, try_number: u8) -> Option<ProbeId> {
        if try_number > self.settings.timing.retries_max {
            return None;
        }
        let index = self.settings.ports.binary_search(&port).ok()?;
        let position = self.host(host)?.ports.position(index)?;
        Some(ProbeId { host, target: Target::Port(position), try_number })
    }

    /// The id of a try of a discovery probe, as [`port_probe`](Self::port_probe). `method` is its place among the methods
    /// of the settings.
    #[must_use]
    pub fn discovery_probe(&self, host: HostId, method: usize, try_number: u8) -> Option<ProbeId> {
        let method = u32::try_from(method).ok()?;
        self.settings.method(self.host(host)?.asked, method)?;
        Some(ProbeId { host, target: Target::Method(method), try_number })
    }

    /// The id of a try of the question a neighbor is asked; `None` if the host is not asked as a neighbor.
    #[must_use]
    pub fn neighbor_probe(&self, host: HostId, try_number: u8) -> Option<ProbeId> {
        let asked = self.host(host)?.asked;
        (asked == Asked::Neighbor).then(|| self.discovery_probe(host, 0, try_number)).flatten()
    }

    /// Whether the answer to a probe is heard after its time-out too.
    fn hears_late(&self, id: ProbeId) -> bool {
        match (id.target, self.host(id.host)) {
            (Target::Method(method), Some(host)) => {
                self.settings.method(host.asked, method).is_some_and(Method::is_packet)
                    || self.driver.late_replies
            }
            _ => self.driver.late_replies,
        }
    }

    fn host(&self, id: HostId) -> Option<&Host> {
        self.hosts.get(id.slot as usize)?.as_deref().filter(|host| host.id == id)
    }

    fn host_mut(&mut self, id: HostId) -> Option<&mut Host> {
        self.hosts.get_mut(id.slot as usize)?.as_deref_mut().filter(|host| host.id == id)
    }
}
