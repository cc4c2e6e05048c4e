//! A connect scan on an event pool: the plan says what to do, this does it, and the consumers are told what came of it.
//!
//! While somebody watches (`-v`, any packet trace), the scan goes group by group, each discovery, then names, then
//! ports, as people know it from transcripts. Otherwise the three overlap: ports are scanned as soon as their host is
//! known to be up, and names are looked up beside that.

mod crew;
mod earlier;
mod events;
mod helper;
mod hosts;
mod lead;
mod names;
mod options;
mod phases;
mod probes;
mod proxied;
pub mod raw;
mod status;
mod table;

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::fmt;
use std::io::ErrorKind;
use std::net::IpAddr;
use std::time::Instant;

use foldhash::HashMap;
use nsock::{EventId, Io, IodId, Pool};

use crate::plan::{Driver, Ending, HostStart, Next, Plan, ProbeId, Statistics};
use crate::report::{Consumer, Cut, HostReport, Levels, ScanEvent, Summary, Sweep, epoch};
use crate::target::{Address, TargetSet, Walk};
use crate::verdict::Errno;

pub use crew::Crew;
pub use earlier::{Earlier, EarlierHost};
pub use helper::{Command, Job, Link, Shown};
pub use names::{NameService, SystemNames};
pub use options::{Course, GROUP_MAX, Lookup, Options, Presumed};
pub use raw::{Raw, RawError, RawSetup};

use crew::Share;
use status::Watcher;
use table::{HostTable, Places};

/// Warnings of one scan that are told apart; a proxy may word each of its troubles differently.
const WARNINGS_MAX: usize = 16;

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
    /// Who probes its ports, and the helpers that are at it.
    share: Option<Share>,
    away: Vec<usize>,
    /// It was found up, and its ports are not all known.
    is_at_work: bool,
    /// The plan at hand has nothing more to do with it.
    own_part_is_over: bool,
    finished: bool,
}

impl Host {
    const fn new(report: HostReport, since: Instant) -> Self {
        Self {
            report,
            name: Name::NotAsked,
            asking: Vec::new(),
            since,
            share: None,
            away: Vec::new(),
            is_at_work: false,
            own_part_is_over: false,
            finished: false,
        }
    }
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
    hosts: HostTable,
    /// Hosts of the plan at hand.
    indices: Places,
    probes: HashMap<ProbeId, IodId>,
    /// Probes by packet, if there are any.
    raw: Option<Raw>,
    /// Those who share the work, and the hosts they have.
    crew: Crew,
    lent: HashMap<Address, Index>,
    /// The one whose work this scan shares.
    link: Option<Link>,
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
    /// The second at hand, and its text in reports.
    wall_clock: (u64, String),
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
            hosts: HostTable::default(),
            indices: Places::default(),
            probes: HashMap::default(),
            raw: None,
            crew: Crew::default(),
            lent: HashMap::default(),
            link: None,
            pump_is_due: false,
            technique: 0,
            names,
            names_asked: HashMap::default(),
            names_time: None,
            warned: BTreeSet::new(),
            unreported: VecDeque::new(),
            next_index: 0,
            wall_clock: (0, String::new()),
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
        self.hear_helpers(pool);
        if self.options.ticks {
            self.begin_ticks(pool);
        }
        self.begin_group(pool);
        self.pump(pool);
        pool.run(self, None)?;
        self.end_helpers();
        Ok(())
    }

    /// Cuts the scan short: nothing more is sent, and what is known is reported.
    pub fn stop(&mut self, io: &mut Io<Self>, cut: Cut) {
        self.stage = Stage::Over;
        self.summary.cut = cut;
        self.plan.stop(io.now());
        self.drain_events(io);
        self.count_plan();
        self.end_helpers();
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
        if let Some(link) = &mut self.link {
            return link.keep(event);
        }
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
            packets: self.raw.as_ref().map(|raw| raw.counts() + self.crew.packets()),
            tell_overcome_trouble: self.options.tell_overcome_trouble,
            is_proxied: self.options.is_proxied,
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

    /// Does what the plan wants done until it wants to wait, and tells those who share the work.
    fn pump(&mut self, io: &mut Io<Self>) {
        self.pump_plan(io);
        self.crew.flush();
        if let Some(link) = &mut self.link {
            link.flush();
        }
    }

    fn pump_plan(&mut self, io: &mut Io<Self>) {
        if self.stop_if_unheard(io) {
            return;
        }
        loop {
            let now = io.now();
            // What waits to be sent comes first; its event asks again.
            if self.raw.as_ref().is_some_and(Raw::is_full) {
                return self.flush(io);
            }
            while self.stage == Stage::Whole && self.plan.wants_hosts() && self.has_room() {
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
