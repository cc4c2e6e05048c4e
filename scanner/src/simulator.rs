//! A simulated network, and a driver that runs a [`Plan`] against it in virtual time.
//!
//! Pure and seeded: a scan of minutes runs in milliseconds and always the same way. It is an ordinary public module
//! and not behind a feature, because tests, benches and the drivers' own tests outside this crate use it, and a
//! program that does not call it does not carry it.
//!
//! ```
//! use scanner::plan::{Driver, HostStart, Plan, Settings};
//! use scanner::simulator::{simulate, Behavior, Network, SimulatedHost};
//! use scanner::template::Template;
//! use scanner::verdict::{PortState, Reason};
//! # #[expect(clippy::disallowed_methods)]
//! let now = std::time::Instant::now();
//! let address = "198.18.0.10".parse().unwrap();
//! let mut network = Network::new(1);
//! network.add(address, SimulatedHost::new(Behavior::Closed).with_port(22, Behavior::Open));
//! let settings = Settings::new(Template::Normal, (1..=1000).collect());
//! let plan = Plan::new(settings, Driver::connect(1000), now);
//! let report = simulate(plan, &mut network, [(address, HostStart::Up(Reason::UserSet))], now).unwrap();
//! assert_eq!(report.hosts[0].ports_in(PortState::Open), [22]);
//! assert!(report.elapsed.as_millis() < 100);
//! ```

mod network;

use std::cmp::{Ordering, Reverse};
use std::collections::{BTreeMap, BinaryHeap, HashMap, HashSet};
use std::fmt;
use std::net::IpAddr;
use std::time::{Duration, Instant};

pub use network::{AnswerLimit, Behavior, LocalLimits, Network, Refusal, SimulatedHost};

use network::Fate;

use crate::plan::{
    HostId, HostStart, HostStatus, HostSummary, Next, Plan, PlanEvent, Probe, ProbeId, ProbeKind, Statistics,
};
use crate::verdict::{Errno, PortState, Verdict};

/// What a simulated scan found and cost.
#[derive(Clone, Debug, Default)]
#[non_exhaustive]
pub struct Report {
    /// Virtual time from the start to the last result.
    pub elapsed: Duration,
    /// The plan's own counts.
    pub statistics: Statistics,
    /// The plan's counts of local trouble.
    pub local_troubles: BTreeMap<Errno, u64>,
    /// Most probes in flight at a time.
    pub in_flight_peak: usize,
    /// When each probe that reached the network was sent.
    pub sends: Vec<Duration>,
    /// Results about a host without status, or after its end: a defect of the plan.
    pub strays: u32,
    /// The hosts in the order in which they were finished.
    pub hosts: Vec<HostReport>,
}

/// What was found about one host.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct HostReport {
    /// Its id.
    pub id: HostId,
    /// Its address.
    pub address: IpAddr,
    /// Status and proof.
    pub status: Option<(HostStatus, Verdict)>,
    /// Round-trip time at the end of discovery.
    pub latency: Option<Duration>,
    /// One verdict per port.
    pub ports: BTreeMap<u16, Verdict>,
    /// The plan's summary.
    pub summary: Option<HostSummary>,
    /// Second results for the host or a port of it: a defect of the plan.
    pub contradictions: u32,
}

impl HostReport {
    const fn new(id: HostId, address: IpAddr) -> Self {
        Self {
            id,
            address,
            status: None,
            latency: None,
            ports: BTreeMap::new(),
            summary: None,
            contradictions: 0,
        }
    }

    /// The ports in a state, in order.
    #[must_use]
    pub fn ports_in(&self, state: PortState) -> Vec<u16> {
        self.ports.iter().filter(|(_, verdict)| verdict.state == state).map(|(&port, _)| port).collect()
    }
}

/// The plan waits for something that will never happen: a defect of the plan.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct Stalled {
    /// When it stalled.
    pub after: Duration,
    /// What was in flight.
    pub in_flight: usize,
}

impl fmt::Display for Stalled {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "plan stalled after {:?} with {} probes in flight", self.after, self.in_flight)
    }
}

impl std::error::Error for Stalled {}

/// Runs a plan to its end against a network. `start` is the plan's own first instant.
///
/// # Errors
/// If the plan waits without a time while nothing is under way.
pub fn simulate(
    plan: Plan,
    network: &mut Network,
    targets: impl IntoIterator<Item = (IpAddr, HostStart)>,
    start: Instant,
) -> Result<Report, Stalled> {
    let mut run = Run {
        plan,
        network,
        start,
        now: start,
        scheduled: BinaryHeap::new(),
        serial: 0,
        open: HashSet::new(),
        report: Report::default(),
        unfinished: HashMap::new(),
    };
    run.run(targets.into_iter())?;
    run.report.elapsed = run.now - start;
    run.report.statistics = run.plan.statistics();
    run.report.strays += u32::try_from(run.unfinished.len()).unwrap_or(u32::MAX);
    run.report.local_troubles = run.plan.local_troubles().clone();
    Ok(run.report)
}

/// Something that will happen to a probe.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Happening {
    /// The driver hears this answer, unless it has closed the probe's descriptor.
    Answer(ProbeId, Verdict),
    /// A packet that the driver hears in any case.
    Packet(ProbeId, Verdict),
    /// The driver's time-out for the probe.
    Timeout(ProbeId),
}

/// A happening and its time; of two at a time the one scheduled first comes first.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Scheduled {
    at: Instant,
    serial: u64,
    what: Happening,
}

impl Ord for Scheduled {
    fn cmp(&self, other: &Self) -> Ordering {
        (self.at, self.serial).cmp(&(other.at, other.serial))
    }
}

impl PartialOrd for Scheduled {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

struct Run<'n> {
    plan: Plan,
    network: &'n mut Network,
    start: Instant,
    now: Instant,
    scheduled: BinaryHeap<Reverse<Scheduled>>,
    serial: u64,
    // Probes whose descriptor is open.
    open: HashSet<ProbeId>,
    report: Report,
    // Where each host stands in `unfinished`.
    unfinished: HashMap<HostId, HostReport>,
}

impl Run<'_> {
    fn run(&mut self, mut targets: impl Iterator<Item = (IpAddr, HostStart)>) -> Result<(), Stalled> {
        loop {
            while self.plan.wants_hosts() {
                match targets.next() {
                    Some((address, start)) => {
                        self.plan.add_host(self.now, address, start);
                        self.drain_events();
                    }
                    None => self.plan.end_of_hosts(),
                }
            }
            let next = self.plan.next(self.now);
            self.drain_events();
            match next {
                Next::Probe(probe) => self.send(probe),
                Next::Abandon(id) => {
                    self.open.remove(&id);
                }
                Next::Finished => return Ok(()),
                // Finished hosts have made room for others.
                Next::Wait(_) if self.plan.wants_hosts() => {}
                Next::Wait(until) => self.wait(until)?,
            }
            self.happen();
            self.drain_events();
        }
    }

    fn send(&mut self, probe: Probe) {
        self.now += self.network.send_cost;
        let elapsed = self.now - self.start;
        let is_packet = match probe.kind {
            ProbeKind::Discovery(method) if method.is_packet() => true,
            _ => self.network.late_replies,
        };
        match self.network.send(elapsed, probe.address, probe.kind, self.open.len()) {
            Fate::Refused(errno) => {
                self.plan.handle_local_trouble(self.now, probe.id, errno);
                return;
            }
            Fate::Answered(delay, verdict) => {
                let answer = if is_packet { Happening::Packet } else { Happening::Answer };
                self.schedule(self.now + delay, answer(probe.id, verdict));
            }
            Fate::Lost => {}
        }
        self.report.sends.push(elapsed);
        self.report.in_flight_peak = self.report.in_flight_peak.max(self.plan.in_flight());
        if !is_packet {
            self.open.insert(probe.id);
            self.schedule(self.now + probe.timeout, Happening::Timeout(probe.id));
        }
    }

    fn schedule(&mut self, at: Instant, what: Happening) {
        self.scheduled.push(Reverse(Scheduled { at, serial: self.serial, what }));
        self.serial += 1;
    }

    /// Moves time to the next thing that happens.
    fn wait(&mut self, until: Option<Instant>) -> Result<(), Stalled> {
        let coming = self.scheduled.peek().map(|Reverse(scheduled)| scheduled.at);
        let Some(next) = until.into_iter().chain(coming).min() else {
            return Err(Stalled { after: self.now - self.start, in_flight: self.plan.in_flight() });
        };
        // Not even a plan that names a time already past may stop the clock.
        self.now = next.max(self.now + Duration::from_nanos(1));
        Ok(())
    }

    /// Lets everything happen whose time has come.
    fn happen(&mut self) {
        while let Some(&Reverse(Scheduled { at, what, .. })) = self.scheduled.peek()
            && at <= self.now
        {
            self.scheduled.pop();
            match what {
                Happening::Answer(id, verdict) => {
                    if self.open.remove(&id) {
                        self.plan.handle_reply(self.now, id, verdict);
                    }
                }
                Happening::Packet(id, verdict) => self.plan.handle_reply(self.now, id, verdict),
                Happening::Timeout(id) => {
                    if self.open.remove(&id) {
                        self.plan.handle_timeout(self.now, id);
                    }
                }
            }
        }
    }

    fn drain_events(&mut self) {
        while let Some(event) = self.plan.poll_event() {
            match event {
                PlanEvent::HostStatus { host, address, status, verdict, latency } => {
                    let report =
                        self.unfinished.entry(host).or_insert_with(|| HostReport::new(host, address));
                    report.contradictions += u32::from(report.status.is_some());
                    report.status = Some((status, verdict));
                    report.latency = latency;
                }
                PlanEvent::Port { host, port, verdict, .. } => match self.unfinished.get_mut(&host) {
                    Some(report) => {
                        report.contradictions += u32::from(report.ports.insert(port, verdict).is_some());
                    }
                    None => self.report.strays += 1,
                },
                PlanEvent::HostFinished { host, address, summary } => {
                    let report = self.unfinished.remove(&host);
                    let mut report = report.unwrap_or_else(|| HostReport::new(host, address));
                    report.summary = Some(summary);
                    self.report.hosts.push(report);
                }
                PlanEvent::LocalTrouble { .. } => {}
            }
        }
    }
}
