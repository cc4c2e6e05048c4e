//! A whole journal: which hosts are done, and how far the others have come.

use std::collections::{BTreeMap, HashMap};
use std::ops::Range;

use thiserror::Error;

use super::line::{Found, Line, StartLine};
use crate::plan::{Ending, HostStatus};
use crate::ports::{PortSet, Protocol};
use crate::report::{Cut, FORM, HostReport, ScanEvent, Start, Summary};
use crate::target::Address;
use crate::verdict::{PortState, Reason, Verdict};

/// Why a file is no journal that can be read.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
#[non_exhaustive]
pub enum NotAJournal {
    /// It holds nothing, or not even a whole first line.
    #[error("it holds no whole line yet")]
    Empty,
    /// The first line is not that of a journal.
    #[error("it is no journal: -oJ of this program writes one")]
    FirstLine,
    /// It is of another form.
    #[error("it is of form {0}, and this version reads form {FORM}")]
    Form(u64),
}

/// A host of which not everything is known.
#[derive(Debug, Clone, Default)]
#[non_exhaustive]
pub struct Partial {
    /// What proves it up, if that is known.
    pub up: Option<Verdict>,
    /// Its ports that are known, each with its state; the last word counts.
    pub ports: BTreeMap<(Protocol, u16), Verdict>,
    /// What its line said, if it was interrupted.
    pub report: Option<Box<HostReport>>,
}

/// What a journal says.
#[derive(Debug)]
#[non_exhaustive]
pub struct Record<'a> {
    /// Its first line.
    pub start: StartLine,
    /// Hosts that are not finished.
    pub partial: BTreeMap<Address, Partial>,
    /// What the user was told.
    pub warnings: Vec<String>,
    /// The end, if it was not cut off since.
    pub finish: Option<Summary>,
    /// Bytes of whole lines: what follows was cut off.
    pub whole: usize,
    /// The numbers of lines that could not be read, from 1.
    pub unreadable: Vec<usize>,
    bytes: &'a [u8],
    finished: HashMap<Address, usize>,
    // The lines of finished hosts, in the order in which they finished.
    lines: Vec<Range<usize>>,
}

impl<'a> Record<'a> {
    /// Reads a journal. A last line without an end is what a killed run leaves, and is passed over; so is a line that
    /// cannot be read.
    ///
    /// # Errors
    /// If it does not begin as a journal does.
    pub fn read(bytes: &'a [u8]) -> Result<Self, NotAJournal> {
        let whole = bytes.iter().rposition(|byte| *byte == b'\n').map_or(0, |end| end + 1);
        let mut record = Self {
            start: StartLine::default(),
            partial: BTreeMap::new(),
            warnings: Vec::new(),
            finish: None,
            whole,
            unreadable: Vec::new(),
            bytes,
            finished: HashMap::new(),
            lines: Vec::new(),
        };
        let mut at = 0;
        for (number, text) in (1..).zip(bytes[..whole].split_inclusive(|byte| *byte == b'\n')) {
            let place = at..at + text.len();
            at = place.end;
            match (number, Line::read(text)) {
                (1, Ok(Line::Start(start))) if start.form == u64::from(FORM) => record.start = *start,
                (1, Ok(Line::Start(start))) => return Err(NotAJournal::Form(start.form)),
                (1, _) => return Err(NotAJournal::FirstLine),
                (_, Ok(line)) => record.take(line, place),
                (_, Err(_)) => record.unreadable.push(number),
            }
        }
        if whole == 0 { Err(NotAJournal::Empty) } else { Ok(record) }
    }

    fn take(&mut self, line: Line, place: Range<usize>) {
        match line {
            Line::Up(address, verdict) if !self.is_finished(address) => {
                self.partial.entry(address).or_default().up = Some(verdict);
            }
            Line::Ports(found) if !self.is_finished(found.address) => self.take_ports(&found),
            Line::Host(report) => self.take_host(report, place),
            Line::Warning(text) => self.warnings.push(text),
            Line::Finish(summary) => self.finish = Some(summary),
            Line::Resume(_) => self.finish = None,
            // A second start is that of a run which was appended: its hosts count, and its options do not.
            Line::Up(..) | Line::Ports(_) | Line::Start(_) | Line::Other => {}
        }
    }

    fn take_ports(&mut self, found: &Found) {
        let partial = self.partial.entry(found.address).or_default();
        for port in &found.ports {
            partial.ports.insert((found.protocol, port), found.verdict);
        }
    }

    fn take_host(&mut self, report: Box<HostReport>, place: Range<usize>) {
        let address = report.address;
        if report.ending == Ending::Interrupted {
            let partial = self.partial.entry(address).or_default();
            partial.up = report.status.filter(|(status, _)| *status == HostStatus::Up).map(|(_, why)| why);
            for result in report.ports.sorted() {
                partial.ports.insert((result.protocol, result.port), result.verdict);
            }
            partial.report = Some(report);
            return;
        }
        self.partial.remove(&address);
        match self.finished.get(&address) {
            Some(&index) => self.lines[index] = place,
            None => {
                self.finished.insert(address, self.lines.len());
                self.lines.push(place);
            }
        }
    }

    /// Whether everything about a host is known.
    #[must_use]
    pub fn is_finished(&self, address: Address) -> bool {
        self.finished.contains_key(&address)
    }

    /// How many hosts are finished.
    #[must_use]
    pub fn finished_count(&self) -> usize {
        self.lines.len()
    }

    /// The finished hosts, in the order in which they finished.
    pub fn finished(&self) -> impl Iterator<Item = HostReport> {
        self.lines.iter().filter_map(|place| match Line::read(&self.bytes[place.clone()]) {
            Ok(Line::Host(report)) => Some(*report),
            _ => None,
        })
    }

    /// The hosts that are not finished, with what is known of them.
    pub fn unfinished(&self) -> impl Iterator<Item = HostReport> {
        self.partial.iter().map(|(address, partial)| {
            let mut report = partial.report.as_deref().cloned().unwrap_or_else(|| {
                let mut report = HostReport::new(*address);
                report.epoch = self.start.epoch;
                report
            });
            report.ending = Ending::Interrupted;
            if let Some(proof) = partial.up.or_else(|| (!partial.ports.is_empty()).then_some(PRESUMED)) {
                report.status = Some((HostStatus::Up, proof));
            }
            report.ports = crate::report::PortResults::default();
            for (&(protocol, port), &verdict) in &partial.ports {
                report.ports.add(protocol, port, verdict);
            }
            let all: usize = self.start.scans.iter().map(|(_, ports)| ports.len()).sum();
            let left = all.saturating_sub(partial.ports.len());
            report.ports_unfinished = u32::try_from(left).unwrap_or(u32::MAX);
            report
        })
    }

    /// What the beginning of the run told.
    #[must_use]
    pub fn start_event(&self) -> Start {
        start_event(&self.start)
    }

    /// What is known of the end.
    #[must_use]
    pub fn summary(&self) -> Summary {
        if let Some(summary) = &self.finish {
            let mut summary = summary.clone();
            summary.file_time = file_time(&zoned(summary.epoch));
            return summary;
        }
        let mut summary = Summary::default();
        let mut end = self.start.epoch;
        for report in self.finished().chain(self.unfinished()) {
            summary.hosts += 1;
            summary.hosts_up += u64::from(report.is_up());
            end = end.max(report.epoch + report.elapsed.as_secs());
        }
        summary.epoch = end;
        summary.elapsed = std::time::Duration::from_secs(end - self.start.epoch);
        summary.file_time = file_time(&zoned(end));
        summary.cut = Cut::Interrupted;
        summary
    }

    /// Tells the whole run again.
    pub fn replay(&self, tell: &mut dyn FnMut(ScanEvent<'_>)) {
        tell(ScanEvent::Started(&self.start_event()));
        for text in &self.warnings {
            tell(ScanEvent::Warning(text));
        }
        for report in self.finished().chain(self.unfinished()) {
            tell(ScanEvent::Host(&report));
        }
        tell(ScanEvent::Finished(&self.summary()));
    }

    /// Every word about one port, in the order in which they were found: how they were probed is told only there.
    #[must_use]
    pub fn found(&self, address: Address, protocol: Protocol, port: u16) -> Vec<Found> {
        let needle = format!("\"{address}\"");
        let lines = self.bytes[..self.whole].split(|byte| *byte == b'\n');
        // Most lines are about others, and a search is cheaper than to read them.
        let about = lines.filter(|line| contains(line, needle.as_bytes()));
        about
            .filter_map(|line| match Line::read(line) {
                Ok(Line::Ports(found)) => Some(found),
                _ => None,
            })
            .filter(|found| {
                found.address == address && found.protocol == protocol && found.ports.contains(port)
            })
            .collect()
    }

    /// Ports of a host that need not be probed again, by protocol. What this machine could not send is not known.
    #[must_use]
    pub fn known_ports(&self, address: Address, protocol: Protocol) -> PortSet {
        let Some(partial) = self.partial.get(&address) else { return PortSet::new() };
        let known = partial
            .ports
            .iter()
            .filter(|((of, _), verdict)| *of == protocol && verdict.state != PortState::Unknown);
        known.map(|((_, port), _)| *port).collect()
    }
}

/// What proves a host up of which only ports were told.
const PRESUMED: Verdict = Verdict::new(PortState::Unknown, Reason::UserSet);

fn start_event(line: &StartLine) -> Start {
    let time = zoned(line.epoch);
    let (banner, file) = (banner_time(&time), file_time(&time));
    let mut start = Start::new(line.command.clone(), banner, file, line.seed);
    start.epoch = line.epoch;
    start.arguments.clone_from(&line.arguments);
    start.options.clone_from(&line.options);
    start.scans.clone_from(&line.scans);
    start
}

fn contains(text: &[u8], part: &[u8]) -> bool {
    text.windows(part.len()).any(|window| window == part)
}

fn zoned(epoch: u64) -> jiff::Zoned {
    let second = i64::try_from(epoch).unwrap_or_default();
    jiff::Timestamp::from_second(second).unwrap_or_default().to_zoned(jiff::tz::TimeZone::system())
}

/// A time as the banner shows it.
#[must_use]
pub fn banner_time(time: &jiff::Zoned) -> String {
    time.strftime("%Y-%m-%d %H:%M %Z").to_string()
}

/// A time as files show it.
#[must_use]
pub fn file_time(time: &jiff::Zoned) -> String {
    time.strftime("%a %b %e %H:%M:%S %Y").to_string()
}

/// Several journals as one run.
#[derive(Debug)]
#[non_exhaustive]
pub struct Merged {
    /// The first line of the earliest, with the ports of all.
    pub start: StartLine,
    /// The hosts by address.
    pub hosts: Vec<HostReport>,
    /// The sums.
    pub summary: Summary,
}

impl Merged {
    /// Tells all of it as one run.
    pub fn replay(&self, tell: &mut dyn FnMut(ScanEvent<'_>)) {
        tell(ScanEvent::Started(&start_event(&self.start)));
        for report in &self.hosts {
            tell(ScanEvent::Host(report));
        }
        tell(ScanEvent::Finished(&self.summary));
    }
}

/// Puts the hosts of several journals together, each once, by address. Of two words about a port the one of the run that
/// began later counts, unless it is only about trouble of the machine that scanned.
#[must_use]
pub fn merge(records: &[Record<'_>]) -> Merged {
    let mut records: Vec<&Record<'_>> = records.iter().collect();
    records.sort_by_key(|record| record.start.epoch);
    let mut start = records.first().map(|record| record.start.clone()).unwrap_or_default();
    let mut hosts: BTreeMap<Address, HostReport> = BTreeMap::new();
    let mut summary = Summary::default();
    for record in records {
        for (technique, ports) in &record.start.scans {
            match start.scans.iter_mut().find(|(known, _)| known == technique) {
                Some((_, known)) => known.extend(ports.iter()),
                None => start.scans.push((*technique, ports.clone())),
            }
        }
        if start.options != record.start.options {
            start.options.clear();
        }
        for report in record.finished().chain(record.unfinished()) {
            match hosts.remove(&report.address) {
                Some(older) => hosts.insert(report.address, join(&older, report)),
                None => hosts.insert(report.address, report),
            };
        }
        let part = record.summary();
        summary.epoch = summary.epoch.max(part.epoch);
        summary.probes_sent += part.probes_sent;
        summary.unknown += part.unknown;
        if part.cut != Cut::Not {
            summary.cut = part.cut;
        }
    }
    summary.hosts = hosts.len() as u64;
    summary.hosts_up = hosts.values().filter(|report| report.is_up()).count() as u64;
    summary.elapsed = std::time::Duration::from_secs(summary.epoch.saturating_sub(start.epoch));
    summary.file_time = file_time(&zoned(summary.epoch));
    // What one run left open another may have finished.
    if hosts.values().all(|report| report.ending != Ending::Interrupted) {
        summary.cut = Cut::Not;
    }
    Merged { start, hosts: hosts.into_values().collect(), summary }
}

fn join(older: &HostReport, newer: HostReport) -> HostReport {
    let mut ports: BTreeMap<(Protocol, u16), Verdict> = BTreeMap::new();
    for result in older.ports.sorted().into_iter().chain(newer.ports.sorted()) {
        let key = (result.protocol, result.port);
        if result.verdict.state != PortState::Unknown || !ports.contains_key(&key) {
            ports.insert(key, result.verdict);
        }
    }
    let mut joined = newer;
    if !joined.is_up() && older.is_up() {
        joined.status = older.status;
        joined.latency = older.latency;
    }
    joined.given_name = joined.given_name.or_else(|| older.given_name.clone());
    joined.dns_name = joined.dns_name.or_else(|| older.dns_name.clone());
    let mac = joined.mac.or(older.mac);
    joined.learn_mac(mac);
    if older.ending == Ending::Complete && joined.ending == Ending::Interrupted {
        joined.ending = older.ending;
        joined.ports_unfinished = 0;
    }
    joined.ports = crate::report::PortResults::default();
    for ((protocol, port), verdict) in ports {
        joined.ports.add(protocol, port, verdict);
    }
    joined
}
