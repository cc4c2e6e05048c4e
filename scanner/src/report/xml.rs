//! The XML that readers of Nmap's know (spec 2.10), well-formed after every host.

use std::collections::BTreeMap;
use std::io;

use quick_xml::Writer;
use quick_xml::events::{BytesEnd, BytesStart, BytesText, Event};

use super::document::Document;
use super::table::split;
use super::{Consumer, Cut, Fold, HostReport, Phase, PortResult, ScanEvent, Start, Style, Summary, Telling};
use crate::plan::{Ending, HostStatus};
use crate::ports::{PortSet, Protocol};
use crate::progress::Progress;
use crate::services;
use crate::verdict::{PortState, Verdict};

/// Writes a scan as XML.
#[derive(Debug)]
pub struct Xml<D> {
    document: D,
    style: Style,
    /// What a run ends with that is cut off.
    counts: (u64, u64),
}

/// What is written at a time.
type Part = Writer<Vec<u8>>;

impl<D: Document> Xml<D> {
    /// Writes into a document.
    pub fn new(document: D, style: Style) -> Self {
        Self { document, style, counts: (0, 0) }
    }

    fn add(&mut self, part: Part) -> io::Result<()> {
        let (up, total) = self.counts;
        let mut end = Writer::new(Vec::new());
        run_stats(&mut end, &[("exit", "error"), ("errormsg", "the scan was cut off")], up, total)?;
        self.document.add(&part.into_inner(), &end.into_inner())
    }
}

impl<D: Document> Consumer for Xml<D> {
    fn event(&mut self, event: ScanEvent<'_>) -> io::Result<()> {
        let mut part = Writer::new(Vec::new());
        match event {
            ScanEvent::Started(start) => head(&mut part, start, self.style)?,
            ScanEvent::PhaseStarted { phase, .. } if self.style.verbosity > 0 => {
                task(&mut part, "taskbegin", phase, None)?;
            }
            ScanEvent::PhaseCompleted { phase, total, .. } if self.style.verbosity > 0 => {
                task(&mut part, "taskend", phase, Some(total))?;
            }
            ScanEvent::Progress(progress, Telling::Stats | Telling::Timing) => {
                task_progress(&mut part, progress)?;
            }
            ScanEvent::Host(report) => {
                self.counts.0 += u64::from(report.is_up());
                self.counts.1 += 1;
                if !is_shown(report, self.style) {
                    return Ok(());
                }
                host(&mut part, report, self.style)?;
            }
            ScanEvent::Finished(summary) => {
                let mut part = Writer::new(Vec::new());
                finished(&mut part, summary)?;
                return self.document.finish(&part.into_inner());
            }
            _ => return Ok(()),
        }
        self.add(part)
    }
}

/// Hosts that are down are only told to those who ask for more, and with `--open` hosts without open ports to nobody.
pub(super) fn is_shown(report: &HostReport, style: Style) -> bool {
    if style.open_only {
        return report.ports.has_open();
    }
    report.is_up() || style.list_only || style.show_down || style.verbosity > 0
}

fn attributes<'a>(name: &'a str, attributes: &[(&'a str, &'a str)]) -> BytesStart<'a> {
    BytesStart::new(name).with_attributes(attributes.iter().copied())
}

/// An element without content.
fn empty(part: &mut Part, name: &str, fields: &[(&str, &str)]) -> io::Result<()> {
    part.write_event(Event::Empty(attributes(name, fields)))
}

fn open(part: &mut Part, name: &str, fields: &[(&str, &str)]) -> io::Result<()> {
    part.write_event(Event::Start(attributes(name, fields)))
}

fn close(part: &mut Part, name: &str) -> io::Result<()> {
    part.write_event(Event::End(BytesEnd::new(name)))
}

fn line(part: &mut Part) -> io::Result<()> {
    part.write_event(Event::Text(BytesText::new("\n")))
}

fn head(part: &mut Part, start: &Start, style: Style) -> io::Result<()> {
    // Two dashes would end the comment.
    let command = start.command.replace("--", "-&#45;");
    let version = env!("CARGO_PKG_VERSION");
    let time = &start.file_time;
    let text = format!(
        "<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n<!DOCTYPE nmaprun>\n\
         <!-- scanner {version} scan initiated {time} as: {command} -->\n"
    );
    part.get_mut().extend_from_slice(text.as_bytes());
    let started = start.epoch.to_string();
    let fields = [
        ("scanner", "scanner"),
        ("args", start.command.as_str()),
        ("start", &started),
        ("startstr", time),
        ("version", version),
        ("xmloutputversion", "1.05"),
    ];
    open(part, "nmaprun", &fields)?;
    line(part)?;
    for (technique, ports) in &start.scans {
        let (count, services) = (ports.len().to_string(), ports.to_string());
        let fields = [
            ("type", technique.word()),
            ("protocol", technique.protocol().name()),
            ("numservices", &count),
            ("services", &services),
        ];
        empty(part, "scaninfo", &fields)?;
        line(part)?;
    }
    empty(part, "verbose", &[("level", &style.verbosity.to_string())])?;
    line(part)?;
    empty(part, "debugging", &[("level", &style.debug.to_string())])?;
    line(part)
}

fn task(part: &mut Part, name: &str, phase: Phase, total: Option<usize>) -> io::Result<()> {
    let (title, unit) = match phase {
        Phase::Discovery(sweep) => (sweep.title(), "hosts"),
        Phase::Names => ("Parallel DNS resolution", "hosts"),
        Phase::Ports(technique) => (technique.title(), "ports"),
    };
    let time = jiff::Timestamp::now().as_second().to_string();
    let extra = total.map(|total| format!("{total} total {unit}"));
    let mut fields = vec![("task", title), ("time", time.as_str())];
    fields.extend(extra.as_deref().map(|extra| ("extrainfo", extra)));
    empty(part, name, &fields)?;
    line(part)
}

fn task_progress(part: &mut Part, progress: &Progress) -> io::Result<()> {
    let time = jiff::Timestamp::now().as_second().to_string();
    let percent = format!("{:.2}", progress.percent());
    let left = progress.remaining.map(|left| (left.as_secs().to_string(), progress.done_epoch.to_string()));
    let mut fields = vec![("task", progress.task), ("time", time.as_str()), ("percent", percent.as_str())];
    if let Some((remaining, etc)) = &left {
        fields.extend([("remaining", remaining.as_str()), ("etc", etc.as_str())]);
    }
    empty(part, "taskprogress", &fields)?;
    line(part)
}

fn host(part: &mut Part, report: &HostReport, style: Style) -> io::Result<()> {
    let (began, ended) = (report.epoch.to_string(), (report.epoch + report.elapsed.as_secs()).to_string());
    let mut fields = Vec::new();
    if report.is_up() && !style.list_only {
        fields.extend([("starttime", began.as_str()), ("endtime", ended.as_str())]);
    }
    match report.ending {
        Ending::TimedOut => fields.push(("timedout", "true")),
        Ending::Interrupted => fields.push(("partial", "true")),
        Ending::Complete => {}
    }
    open(part, "host", &fields)?;
    let (state, reason, ttl, from) = status(report);
    let mut fields = vec![("state", state), ("reason", reason.as_str()), ("reason_ttl", ttl.as_str())];
    fields.extend(from.as_deref().map(|from| ("reason_ip", from)));
    empty(part, "status", &fields)?;
    line(part)?;
    let ip = report.ip();
    let family = if ip.is_ipv4() { "ipv4" } else { "ipv6" };
    empty(part, "address", &[("addr", &ip.to_string()), ("addrtype", family)])?;
    line(part)?;
    if let Some(mac) = report.mac {
        let mac = mac.to_string();
        let mut fields = vec![("addr", mac.as_str()), ("addrtype", "mac")];
        fields.extend(report.vendor.map(|vendor| ("vendor", vendor)));
        empty(part, "address", &fields)?;
        line(part)?;
    }
    open(part, "hostnames", &[])?;
    line(part)?;
    let given = report.given_name.iter().map(|name| (name, "user"));
    let found = report.dns_name.iter().chain(&report.other_dns_names).map(|name| (name, "PTR"));
    for (name, kind) in given.chain(found) {
        empty(part, "hostname", &[("name", name), ("type", kind)])?;
        line(part)?;
    }
    close(part, "hostnames")?;
    line(part)?;
    if !report.ports.is_empty() {
        ports(part, report, style)?;
    }
    if let Some(latency) = report.latency {
        let micros = |duration: std::time::Duration| duration.as_micros().to_string();
        let (variation, timeout) = (micros(report.variation), micros(report.timeout));
        let fields = [("srtt", micros(latency)), ("rttvar", variation), ("to", timeout)];
        let fields: Vec<_> = fields.iter().map(|(name, value)| (*name, value.as_str())).collect();
        empty(part, "times", &fields)?;
        line(part)?;
    }
    close(part, "host")?;
    line(part)
}

fn status(report: &HostReport) -> (&'static str, String, String, Option<String>) {
    let Some((status, verdict)) = report.status else {
        return ("unknown", "user-set".to_owned(), "0".to_owned(), None);
    };
    let state = match status {
        HostStatus::Up => "up",
        HostStatus::Down => "down",
        HostStatus::Unknown => "unknown",
    };
    let (ttl, from) = proof(&verdict, report);
    (state, verdict.reason.to_string(), ttl, from)
}

/// The time to live of an answer, and who sent it if not the host itself.
fn proof(verdict: &Verdict, report: &HostReport) -> (String, Option<String>) {
    let from = verdict.from.filter(|from| *from != report.ip()).map(|from| from.to_string());
    (verdict.ttl.unwrap_or(0).to_string(), from)
}

fn ports(part: &mut Part, report: &HostReport, style: Style) -> io::Result<()> {
    let all = report.ports.sorted();
    let (hidden, shown) = split(&all, Fold::new(style.verbosity, style.debug, style.open_only));
    open(part, "ports", &[])?;
    extra_ports(part, &hidden)?;
    for result in shown {
        port(part, &result, report)?;
    }
    close(part, "ports")?;
    line(part)
}

/// States that are only counted, by reason and protocol.
fn extra_ports(part: &mut Part, hidden: &[PortResult]) -> io::Result<()> {
    let mut states: BTreeMap<PortState, BTreeMap<(String, Protocol), PortSet>> = BTreeMap::new();
    for result in hidden {
        let kind = (result.verdict.reason.to_string(), result.protocol);
        states.entry(result.verdict.state).or_default().entry(kind).or_default().insert(result.port);
    }
    for (state, kinds) in states {
        let count: usize = kinds.values().map(PortSet::len).sum();
        open(part, "extraports", &[("state", state.word()), ("count", &count.to_string())])?;
        line(part)?;
        for ((reason, protocol), ports) in kinds {
            let (count, ports) = (ports.len().to_string(), ports.to_string());
            let fields = [
                ("reason", reason.as_str()),
                ("count", &count),
                ("proto", protocol.name()),
                ("ports", &ports),
            ];
            empty(part, "extrareasons", &fields)?;
            line(part)?;
        }
        close(part, "extraports")?;
        line(part)?;
    }
    Ok(())
}

fn port(part: &mut Part, result: &PortResult, report: &HostReport) -> io::Result<()> {
    let number = result.port.to_string();
    open(part, "port", &[("protocol", result.protocol.name()), ("portid", &number)])?;
    let (ttl, from) = proof(&result.verdict, report);
    let reason = result.verdict.reason.to_string();
    let mut fields = vec![
        ("state", result.verdict.state.word()),
        ("reason", reason.as_str()),
        ("reason_ttl", ttl.as_str()),
    ];
    fields.extend(from.as_deref().map(|from| ("reason_ip", from)));
    empty(part, "state", &fields)?;
    if let Some(name) = services::name(result.port, result.protocol) {
        empty(part, "service", &[("name", name), ("method", "table"), ("conf", "3")])?;
    }
    close(part, "port")?;
    line(part)
}

fn finished(part: &mut Part, summary: &Summary) -> io::Result<()> {
    let (up, total) = (summary.hosts_up, summary.hosts);
    let elapsed = format!("{:.2}", summary.elapsed.as_secs_f64());
    let text = format!(
        "scanner done at {}; {total} IP address{} ({up} host{} up) scanned in {elapsed} seconds",
        summary.file_time,
        if total == 1 { "" } else { "es" },
        if up == 1 { "" } else { "s" },
    );
    let time = summary.epoch.to_string();
    let mut fields = vec![
        ("time", time.as_str()),
        ("timestr", summary.file_time.as_str()),
        ("summary", text.as_str()),
        ("elapsed", elapsed.as_str()),
    ];
    match summary.cut {
        Cut::Not => fields.push(("exit", "success")),
        Cut::Interrupted => fields.extend([("exit", "error"), ("errormsg", "interrupted")]),
        Cut::OutOfTime => fields.extend([("exit", "error"), ("errormsg", "out of time")]),
    }
    run_stats(part, &fields, up, total)
}

fn run_stats(part: &mut Part, finished: &[(&str, &str)], up: u64, total: u64) -> io::Result<()> {
    open(part, "runstats", &[])?;
    let time = jiff::Timestamp::now().as_second().to_string();
    let mut fields = finished.to_vec();
    if !fields.iter().any(|(name, _)| *name == "time") {
        fields.insert(0, ("time", &time));
    }
    empty(part, "finished", &fields)?;
    let (down, up, total) = (total - up, up.to_string(), total.to_string());
    empty(part, "hosts", &[("up", &up), ("down", &down.to_string()), ("total", &total)])?;
    line(part)?;
    close(part, "runstats")?;
    line(part)?;
    close(part, "nmaprun")?;
    line(part)
}
