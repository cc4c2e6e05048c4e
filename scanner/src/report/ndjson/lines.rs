//! The lines of the journal as JSON.

use std::collections::BTreeMap;
use std::ffi::OsStr;
use std::hash::Hasher;
use std::os::unix::ffi::OsStrExt;
use std::time::Duration;

use serde_json::{Map, Value, json};
use siphasher::sip::SipHasher13;

use super::FORM;
use crate::escape::harmless;
use crate::plan::{Ending, HostStatus};
use crate::ports::{PortSet, Protocol};
use crate::progress::Progress;
use crate::report::table::split;
use crate::report::{Cut, Fold, HostReport, PortProof, PortResult, Start, Summary};
use crate::services;
use crate::target::Address;
use crate::verdict::Verdict;

/// States that more ports than this of a host have are summed up in its line.
const LISTED_MAX: usize = 25;

/// A number of the options that decide what the results are.
#[must_use]
pub fn fingerprint(options: &[(String, String)]) -> String {
    let mut hasher = SipHasher13::new();
    for (name, value) in options {
        hasher.write(name.as_bytes());
        hasher.write(&[0]);
        hasher.write(value.as_bytes());
        hasher.write(&[0]);
    }
    format!("{:016x}", hasher.finish())
}

/// Text where the bytes are printable text, and otherwise their digits: the reader of a journal gets back what was typed,
/// and a terminal nothing that drives it.
fn argument(bytes: &OsStr) -> Value {
    match bytes.to_str().filter(|text| harmless(text) == *text) {
        Some(text) => text.into(),
        None => {
            let digits: String = bytes.as_bytes().iter().map(|byte| format!("{byte:02x}")).collect();
            json!({ "hex": digits })
        }
    }
}

pub(super) fn started(start: &Start) -> Value {
    let scans: Vec<Value> = start
        .scans
        .iter()
        .map(|(technique, ports)| {
            json!({
                "technique": technique.word(), "protocol": technique.protocol().name(), "ports": ports.to_string(),
            })
        })
        .collect();
    let arguments: Vec<Value> = start.arguments.iter().map(|word| argument(word)).collect();
    let options: Map<String, Value> =
        start.options.iter().map(|(name, value)| (name.clone(), value.as_str().into())).collect();
    json!({
        "type": "start", "form": FORM, "scanner": "scanner", "version": env!("CARGO_PKG_VERSION"),
        "command": start.command, "argv": arguments, "time": start.epoch, "seed": start.seed.to_string(),
        "fingerprint": fingerprint(&start.options), "options": options, "scans": scans,
    })
}

pub(super) fn resumed(start: &Start) -> Value {
    json!({ "type": "resume", "version": env!("CARGO_PKG_VERSION"), "time": crate::report::epoch(), "seed": start.seed.to_string() })
}

pub(super) fn progress(progress: &Progress) -> Value {
    json!({
        "type": "progress", "seconds": progress.elapsed.as_secs_f64(), "task": progress.task,
        "percent": progress.percent(), "remaining": progress.remaining.map(|left| left.as_secs()),
        "hosts_done": progress.hosts_done, "hosts_up": progress.hosts_up, "under_way": progress.under_way,
    })
}

fn line_of(kind: &str, address: Address) -> Map<String, Value> {
    let mut line = Map::new();
    line.insert("type".to_owned(), kind.into());
    line.insert("address".to_owned(), address.to_string().into());
    line
}

fn proof(verdict: &Verdict, into: &mut Map<String, Value>) {
    into.insert("reason".to_owned(), verdict.reason.to_string().into());
    if let Some(from) = verdict.from {
        into.insert("from".to_owned(), from.to_string().into());
    }
    if let Some(ttl) = verdict.ttl {
        into.insert("ttl".to_owned(), ttl.into());
    }
}

fn micros(time: Duration) -> Value {
    (time.as_nanos() as f64 / 1000.0).into()
}

pub(super) fn port(address: Address, protocol: Protocol, port: u16, found: &PortProof) -> Value {
    let mut line = line_of("port", address);
    let verdict = found.verdict;
    fill(&mut line, &PortResult { protocol, port, verdict });
    line.insert("tries".to_owned(), found.tries.into());
    if let Some(round_trip) = found.round_trip {
        line.insert("rtt_us".to_owned(), micros(round_trip));
    }
    line.into()
}

pub(super) fn ports(
    address: Address,
    protocol: Protocol,
    verdict: &Verdict,
    tries: u8,
    ports: &PortSet,
    round_trips: Option<(Duration, Duration)>,
) -> Value {
    let mut line = line_of("ports", address);
    sum_up(&mut line, protocol, verdict, ports);
    line.insert("tries".to_owned(), tries.into());
    if let Some((shortest, longest)) = round_trips {
        line.insert("rtt_us".to_owned(), json!([micros(shortest), micros(longest)]));
    }
    line.into()
}

fn sum_up(into: &mut Map<String, Value>, protocol: Protocol, verdict: &Verdict, ports: &PortSet) {
    into.insert("protocol".to_owned(), protocol.name().into());
    into.insert("state".to_owned(), verdict.state.word().into());
    proof(verdict, into);
    into.insert("count".to_owned(), ports.len().into());
    into.insert("ports".to_owned(), ports.to_string().into());
}

fn fill(into: &mut Map<String, Value>, result: &PortResult) {
    into.insert("protocol".to_owned(), result.protocol.name().into());
    into.insert("port".to_owned(), result.port.into());
    into.insert("state".to_owned(), result.verdict.state.word().into());
    proof(&result.verdict, into);
    if let Some(name) = services::name(result.port, result.protocol) {
        into.insert("service".to_owned(), name.into());
    }
}

pub(super) fn up(report: &HostReport) -> Value {
    let mut line = line_of("up", report.address);
    if let Some((_, verdict)) = &report.status {
        proof(verdict, &mut line);
    }
    line.into()
}

pub(super) fn host(report: &HostReport) -> Value {
    let mut host = line_of("host", report.address);
    let status = match report.status {
        Some((HostStatus::Up, _)) => "up",
        Some((HostStatus::Down, _)) => "down",
        _ => "unknown",
    };
    host.insert("status".to_owned(), status.into());
    if let Some((_, verdict)) = &report.status {
        proof(verdict, &mut host);
    }
    for (key, name) in [("given_name", &report.given_name), ("dns_name", &report.dns_name)] {
        if let Some(name) = name {
            host.insert(key.to_owned(), name.as_str().into());
        }
    }
    if !report.other_dns_names.is_empty() {
        host.insert("other_dns_names".to_owned(), report.other_dns_names.clone().into());
    }
    if !report.other_addresses.is_empty() {
        let others: Vec<Value> =
            report.other_addresses.iter().map(|other| other.to_string().into()).collect();
        host.insert("other_addresses".to_owned(), others.into());
    }
    if let Some(mac) = report.mac {
        host.insert("mac".to_owned(), mac.to_string().into());
    }
    if let Some(vendor) = report.vendor {
        host.insert("vendor".to_owned(), vendor.into());
    }
    if let Some(latency) = report.latency {
        host.insert("latency_us".to_owned(), micros(latency));
        host.insert("variation_us".to_owned(), micros(report.variation));
        host.insert("timeout_us".to_owned(), micros(report.timeout));
    }
    host.insert("began".to_owned(), report.epoch.into());
    host.insert("seconds".to_owned(), report.elapsed.as_secs_f64().into());
    let ending = match report.ending {
        Ending::Complete => "complete",
        Ending::TimedOut => "timed-out",
        Ending::Interrupted => "interrupted",
    };
    host.insert("ending".to_owned(), ending.into());
    host.insert("ports_unfinished".to_owned(), report.ports_unfinished.into());
    if let Some(limit) = report.answers_limited {
        host.insert("answers_limited_per_second".to_owned(), limit.probes_per_second().into());
    }
    let all = report.ports.sorted();
    let (many, few) = split(&all, Fold::Above(LISTED_MAX));
    let listed: Vec<Value> = few
        .iter()
        .map(|result| {
            let mut port = Map::new();
            fill(&mut port, result);
            port.into()
        })
        .collect();
    host.insert("ports".to_owned(), listed.into());
    if !many.is_empty() {
        host.insert("extraports".to_owned(), summed_up(&many).into());
    }
    host.into()
}

/// Ports that are alike but for their number, in a value each.
fn summed_up(results: &[PortResult]) -> Vec<Value> {
    let mut alike: BTreeMap<_, (Protocol, Verdict, PortSet)> = BTreeMap::new();
    for PortResult { protocol, port, verdict } in results {
        let key = (*protocol, verdict.state, verdict.reason, verdict.from, verdict.ttl);
        alike.entry(key).or_insert_with(|| (*protocol, *verdict, PortSet::new())).2.insert(*port);
    }
    alike
        .into_values()
        .map(|(protocol, verdict, ports)| {
            let mut value = Map::new();
            sum_up(&mut value, protocol, &verdict, &ports);
            value.into()
        })
        .collect()
}

pub(super) fn finished(summary: &Summary) -> Value {
    let cut = match summary.cut {
        Cut::Not => Value::Null,
        Cut::Interrupted => "interrupted".into(),
        Cut::OutOfTime => "out-of-time".into(),
    };
    let troubles: Map<String, Value> =
        summary.local_troubles.iter().map(|(errno, count)| (errno.to_string(), (*count).into())).collect();
    let packets = summary.packets.map(|packets| {
        json!({
            "sent": packets.sent, "sent_bytes": packets.sent_bytes, "received": packets.received,
            "received_bytes": packets.received_bytes, "dropped": packets.dropped,
        })
    });
    json!({
        "type": "finish", "hosts": summary.hosts, "hosts_up": summary.hosts_up, "time": summary.epoch,
        "seconds": summary.elapsed.as_secs_f64(), "probes_sent": summary.probes_sent, "unknown": summary.unknown,
        "local_troubles": troubles, "cut": cut, "packets": packets,
    })
}
