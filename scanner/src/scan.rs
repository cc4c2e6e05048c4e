//! A connect scan on an event pool: the plan says what to do, this does it, and the consumers are told what came of it.
//!
//! While somebody watches (`-v`, any packet trace), the scan goes group by group, each discovery, then names, then
//! ports, as people know it from transcripts. Otherwise the three overlap: ports are scanned as soon as their host is
//! known to be up, and names are looked up beside that.

mod earlier;
mod events;
mod names;
mod phases;
mod probes;
mod proxied;
pub mod raw;
mod status;

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::fmt;
use std::io::ErrorKind;
use std::net::IpAddr;
use std::time::{Duration, Instant};

use foldhash::HashMap;
use nsock::{EventId, Io, IodId, Pool};

use crate::packet::line::Format;
use crate::plan::{Driver, Ending, HostId, HostStart, HostStatus, Next, Plan, ProbeId, Settings, Statistics};
use crate::ports::Ports;
use crate::report::{Consumer, Cut, HostReport, Levels, ScanEvent, Summary, Sweep, epoch};
use crate::target::{Address, TargetSet, Walk};
use crate::technique::Technique;
use crate::tracing::SIGNALS;
use crate::verdict::{Errno, Reason};

pub use earlier::{Earlier, EarlierHost};
pub use names::{NameService, SystemNames};
pub use raw::{Raw, RawError, RawSetup};

use status::Watcher;

/// Hosts of a group, where the scan goes group by group.
pub const GROUP_MAX: usize = 4096;

/// So often consumers are told that time passes.
const TICK: Duration = Duration::from_millis(250);

/// Which hosts count as up without being asked.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum Presumed {
    /// None.
    Nobody,
    /// Addresses of this machine: there is nothing to find out. Only a privileged scan says so, as Nmap does.
    Ourselves,
    /// Everybody (`-Pn`).
    Everybody,
}

/// How the scan goes about its parts.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum Course {
    /// Group by group, one part after the other.
    Phased,
    /// Everything as soon as it can be.
    Overlapped,
}

/// Warnings of one scan that are told apart; a proxy may word each of its troubles differently.
const WARNINGS_MAX: usize = 16;

/// Whose names are looked up.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum Lookup {
    /// Nobody's (`-n`).
    Nobody,
    /// Those of hosts that are up.
    HostsUp,
    /// Everybody's (`-R`).
    Everybody,
}

/// What a scan is told before it starts.
#[derive(Debug, Clone)]
#[non_exhaustive]
pub struct Options {
    /// How fast to scan, and how to find hosts; ports and what silence means follow from the technique at hand.
    pub settings: Settings,
    /// The techniques of the port scan, one after the other; none: hosts are only looked for.
    pub techniques: Vec<Technique>,
    /// The ports, by protocol.
    pub ports: Ports,
    /// Whether hosts are only listed (`-sL`).
    pub list_only: bool,
    /// Descriptors that probes may use.
    pub descriptors: usize,
    /// Which hosts are not asked whether they are there.
    pub presumed: Presumed,
    /// Group by group, or not.
    pub course: Course,
    /// Whose names are looked up.
    pub lookup: Lookup,
    /// Whether consumers are told that time passes.
    pub ticks: bool,
    /// The form of the packet trace, if one is asked for by a key.
    pub trace_format: Format,
    /// Whether `CONN` lines are wanted.
    pub trace_connects: bool,
    /// Whether local trouble is told even if all of it was overcome.
    pub tell_overcome_trouble: bool,
    /// Hosts of a group, where the scan goes group by group.
    pub group_max: usize,
    /// When the scan ends by itself, with what is known by then.
    pub runtime_max: Option<Duration>,
    /// When the program was started.
    pub started: Instant,
}

impl Options {
    /// The defaults for these settings.
    #[must_use]
    pub fn new(settings: Settings, descriptors: usize, started: Instant) -> Self {
        Self {
            settings,
            techniques: vec![Technique::Connect],
            ports: Ports::new(),
            list_only: false,
            descriptors,
            presumed: Presumed::Nobody,
            course: Course::Overlapped,
            lookup: Lookup::Nobody,
            ticks: false,
            trace_format: Format::Classic,
            trace_connects: false,
            tell_overcome_trouble: false,
            group_max: GROUP_MAX,
            runtime_max: None,
            started,
        }
    }
}

/// A host of the scan, by its place in the order given.
type Index = u64;

/// A host that is not reported yet.
#[derive(Debug)]
struct Host {
    report: HostReport,
    name: Name,
    /// Discovery probes under way: forgotten once one of them has an answer.
    asking: Vec<(ProbeId, IodId)>,
    since: Instant,
    finished: bool,
}

/// How far the look-up of a host's name has come.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Name {
    NotAsked,
    Asked,
    Settled,
}

/// Which part of the scan the plan at hand is for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Stage {
    /// Everything at once.
    Whole,
    Discovery,
    Names,
    Ports,
    Over,
}

/// A scan: the state that the handlers work on.
pub struct Scan {
    options: Options,
    targets: TargetSet,
    walk: Walk,
    plan: Plan,
    stage: Stage,
    stage_since: Instant,
    /// The sweep at hand and those that follow it, each with its hosts.
    sweeps: VecDeque<(Sweep, Vec<(Index, HostStart)>)>,
    hosts: BTreeMap<Index, Host>,
    /// Hosts of the plan at hand.
    indices: HashMap<HostId, Index>,
    probes: HashMap<ProbeId, IodId>,
    /// Probes by packet, if there are any.
    raw: Option<Raw>,
    /// A timer will ask the plan for more at once.
    pump_is_due: bool,
    /// Which of the techniques is at hand.
    technique: usize,
    names: NameService,
    /// Hosts whose names are being looked up.
    names_asked: HashMap<IpAddr, Vec<Index>>,
    /// When the first name was asked for, and the last one known.
    names_time: Option<(Instant, Instant)>,
    /// Warnings that have been given.
    warned: BTreeSet<String>,
    /// Indices in the order given, those of reported hosts taken out.
    unreported: VecDeque<Index>,
    next_index: Index,
    timer: Option<(EventId, Instant)>,
    /// The end of the time the scan is given.
    deadline: Option<EventId>,
    consumers: Vec<Box<dyn Consumer>>,
    summary: Summary,
    statistics: Statistics,
    troubles: BTreeMap<Errno, u64>,
    /// Who sent the last ICMP error, and whether that is this machine.
    last_sender: Option<(IpAddr, bool)>,
    unwritable: Option<std::io::Error>,
    /// Every consumer failed.
    unheard: bool,
    /// What an earlier run has found out.
    earlier: Earlier,
    /// The timer of the next tick.
    tick: Option<EventId>,
    watcher: Watcher,
    /// The scope of what nobody wants to see in a trace.
    quiet: Option<nsock::ScopeId>,
}

impl Scan {
    /// Plans a scan of these targets, in the order of `walk`. The consumers get the events in the order given here.
    #[must_use]
    pub fn new(
        options: Options,
        targets: TargetSet,
        walk: Walk,
        names: NameService,
        consumers: Vec<Box<dyn Consumer>>,
        now: Instant,
    ) -> Self {
        let plan = Plan::new(options.settings.clone(), Driver::connect(options.descriptors), now);
        Self {
            options,
            targets,
            walk,
            plan,
            stage: Stage::Over,
            stage_since: now,
            sweeps: VecDeque::new(),
            hosts: BTreeMap::new(),
            indices: HashMap::default(),
            probes: HashMap::default(),
            raw: None,
            pump_is_due: false,
            technique: 0,
            names,
            names_asked: HashMap::default(),
            names_time: None,
            warned: BTreeSet::new(),
            unreported: VecDeque::new(),
            next_index: 0,
            timer: None,
            deadline: None,
            consumers,
            summary: Summary::default(),
            statistics: Statistics::default(),
            troubles: BTreeMap::new(),
            last_sender: None,
            unwritable: None,
            unheard: false,
            earlier: Earlier::default(),
            tick: None,
            quiet: None,
            watcher: Watcher::new(Levels::default(), false, None, now),
        }
    }

    /// Adds the raw side, without which every probe is a connect.
    #[must_use]
    pub fn with_raw(mut self, raw: Option<Raw>) -> Self {
        self.raw = raw;
        self
    }

    /// Where the resolver of the names finds its driver in this state.
    pub fn dns(&mut self) -> &mut dns::Driver<Self> {
        self.names.driver()
    }

    /// Runs the scan to its end, or until [`stop`](Self::stop).
    ///
    /// # Errors
    /// The event loop's.
    pub fn run(&mut self, pool: &mut Pool<Self>) -> Result<(), nsock::Error> {
        if let Some(limit) = self.options.runtime_max {
            let left = limit.saturating_sub(pool.now().saturating_duration_since(self.options.started));
            let event = pool.timer_create(left, |scan: &mut Self, io, _| {
                scan.deadline = None;
                scan.stop(io, Cut::OutOfTime);
            });
            self.deadline = Some(event);
        }
        self.listen(pool);
        if self.options.ticks {
            self.begin_ticks(pool);
        }
        self.begin_group(pool);
        self.pump(pool);
        pool.run(self, None)?;
        Ok(())
    }

    /// Tells every now and then that time passes.
    fn begin_ticks(&mut self, io: &mut Io<Self>) {
        let scope = *self.quiet.get_or_insert_with(|| io.scope(SIGNALS));
        let tick = io.with_scope(scope, |io| {
            io.timer_create(TICK, |scan: &mut Self, io, _| {
                scan.tell(ScanEvent::Tick);
                if scan.stage != Stage::Over {
                    scan.watch(io.now());
                }
                scan.begin_ticks(io);
                scan.stop_if_unheard(io);
            })
        });
        self.tick = Some(tick);
    }

    /// Where nobody takes the results any more there is nothing to scan for.
    fn stop_if_unheard(&mut self, io: &mut Io<Self>) -> bool {
        let stops = self.unheard && self.stage != Stage::Over;
        if stops {
            self.stop(io, Cut::Interrupted);
        }
        stops
    }

    /// Cuts the scan short: nothing more is sent, and what is known is reported.
    pub fn stop(&mut self, io: &mut Io<Self>, cut: Cut) {
        self.stage = Stage::Over;
        self.summary.cut = cut;
        self.plan.stop(io.now());
        self.drain_events(io);
        self.count_plan();
        for host in self.hosts.values_mut() {
            if !host.finished {
                host.report.ending = Ending::Interrupted;
                host.finished = true;
            }
            // A name that is still to come would be waited for.
            host.name = Name::Settled;
        }
        self.report_finished();
        io.loop_quit();
    }

    /// Gives back what the scan still holds of the pool: probes, timer, look-ups.
    pub fn release(&mut self, io: &mut Io<Self>) {
        for (_, iod) in self.probes.drain() {
            io.iod_delete(iod);
        }
        if let Some((timer, _)) = self.timer.take() {
            io.forget(timer);
        }
        if let Some(deadline) = self.deadline.take() {
            io.forget(deadline);
        }
        if let Some(tick) = self.tick.take() {
            io.forget(tick);
        }
        self.close_raw(io);
        if let NameService::Resolver(driver) = &mut self.names {
            driver.detach(io);
        }
    }

    /// Tells the consumers something that did not come from the scan itself.
    pub fn tell(&mut self, event: ScanEvent<'_>) {
        let unwritable = &mut self.unwritable;
        self.consumers.retain_mut(|consumer| match consumer.event(event) {
            Ok(()) => true,
            Err(error) => {
                // That somebody stopped listening is the lesser evil.
                if unwritable.as_ref().is_none_or(|known| known.kind() == ErrorKind::BrokenPipe) {
                    *unwritable = Some(error);
                }
                false
            }
        });
        self.unheard = self.consumers.is_empty() && self.unwritable.is_some();
    }

    /// What is to be said at the end.
    #[must_use]
    pub fn summary(&self, now: Instant, file_time: String) -> Summary {
        let down = self.summary.hosts - self.summary.hosts_up;
        Summary {
            elapsed: now.saturating_duration_since(self.options.started),
            file_time,
            epoch: epoch(),
            local_troubles: self.troubles.iter().map(|(&errno, &count)| (errno, count)).collect(),
            unknown: self.statistics.unknown,
            may_be_hiding: self.summary.hosts == 1
                && down == 1
                && self.statistics.unknown == 0
                && self.summary.cut == Cut::Not,
            probes_sent: self.statistics.sent,
            packets: self.raw.as_ref().map(Raw::counts),
            tell_overcome_trouble: self.options.tell_overcome_trouble,
            ..self.summary.clone()
        }
    }

    /// The first error that writing a report met, if any.
    pub fn unwritable(&mut self) -> Option<std::io::Error> {
        self.unwritable.take()
    }

    /// Tells of trouble that many probes may meet, once.
    fn warn_once(&mut self, line: String) {
        if self.warned.len() < WARNINGS_MAX && !self.warned.contains(&line) {
            self.tell(ScanEvent::Warning(&line));
            self.warned.insert(line);
        }
    }

    // ---- Hosts --------------------------------------------------------------------------------------------------

    fn add_host(&mut self, address: Address, now: Instant) -> Index {
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
        report.scanned_at = jiff::Zoned::now().strftime("%Y-%m-%d %H:%M:%S %Z").to_string();
        let host = Host { report, name: Name::NotAsked, asking: Vec::new(), since: now, finished: false };
        self.hosts.insert(index, host);
        self.unreported.push_back(index);
        index
    }

    fn start_of(&mut self, index: Index) -> HostStart {
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

    fn enter(&mut self, index: Index, start: HostStart, now: Instant) {
        let Some(host) = self.hosts.get(&index) else { return };
        let address = host.report.address;
        let known = self.known_ports(address);
        let id = match known.is_empty() {
            true => self.plan.add_host(now, address.ip(), start),
            false => self.plan.add_host_again(now, address.ip(), start, known),
        };
        if let Some(raw) = &mut self.raw {
            raw.host_entered(address, id);
        }
        self.indices.insert(id, index);
    }

    fn host_mut(&mut self, id: HostId) -> Option<&mut Host> {
        self.hosts.get_mut(self.indices.get(&id)?)
    }

    /// Reports finished hosts in the order given, as far as their names are settled.
    fn report_finished(&mut self) {
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
            self.tell(ScanEvent::Host(&host.report));
        }
    }

    // ---- The plan -----------------------------------------------------------------------------------------------

    /// Does what the plan wants done until it wants to wait.
    fn pump(&mut self, io: &mut Io<Self>) {
        if self.stop_if_unheard(io) {
            return;
        }
        loop {
            let now = io.now();
            // What waits to be sent comes first; its event asks again.
            if self.raw.as_ref().is_some_and(Raw::is_full) {
                return self.flush(io);
            }
            while self.stage == Stage::Whole && self.plan.wants_hosts() {
                let Some(address) = self.next_target() else {
                    self.plan.end_of_hosts();
                    break;
                };
                let index = self.add_host(address, now);
                let start = self.start_of(index);
                self.enter(index, start, now);
            }
            let next = self.plan.next(now);
            self.drain_events(io);
            match next {
                Next::Probe(probe) => self.send(io, &probe),
                Next::Abandon(id) => self.abandon(io, id),
                Next::Wait(until) => {
                    self.flush(io);
                    return self.set_timer(io, until);
                }
                Next::Finished => {
                    self.flush(io);
                    return self.plan_finished(io);
                }
            }
        }
    }

    fn set_timer(&mut self, io: &mut Io<Self>, until: Option<Instant>) {
        match (until, self.timer) {
            (Some(until), Some((_, set))) if set <= until => return,
            (_, Some((timer, _))) => {
                io.forget(timer);
            }
            (_, None) => {}
        }
        self.timer = until.map(|until| {
            let after = until.saturating_duration_since(io.now());
            let timer = io.timer_create(after, |scan: &mut Self, io, _| {
                scan.timer = None;
                scan.pump(io);
            });
            (timer, until)
        });
    }
}

impl fmt::Debug for Scan {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Scan")
            .field("stage", &self.stage)
            .field("hosts", &self.hosts.len())
            .finish_non_exhaustive()
    }
}
