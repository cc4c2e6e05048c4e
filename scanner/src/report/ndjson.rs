//! One line of JSON per event, for programs: the form is described by `docs/scanner-ndjson.schema.json`.

use std::io::{self, Write};

use serde_json::{Map, Value, json};

use super::{Consumer, Cut, HostReport, ScanEvent, Start, Summary};
use crate::plan::{Ending, HostStatus};
use crate::services;
use crate::verdict::Verdict;

/// The version of the form, in the first line of every file.
pub const FORM: u32 = 1;

/// Writes a scan as NDJSON. Every line is whole when it is written, so a file that was cut off lacks only what came
/// later.
#[derive(Debug)]
pub struct Ndjson<W> {
    writer: W,
}

impl<W: Write> Ndjson<W> {
    /// Writes there.
    pub const fn new(writer: W) -> Self {
        Self { writer }
    }
}

impl<W: Write> Consumer for Ndjson<W> {
    fn event(&mut self, event: ScanEvent<'_>) -> io::Result<()> {
        let value = match event {
            ScanEvent::Started(start) => started(start),
            ScanEvent::OpenPort { address, protocol, port } => json!({
                "type": "open", "address": address.to_string(), "protocol": protocol.name(), "port": port,
            }),
            ScanEvent::Host(report) => host(report),
            ScanEvent::Warning(text) => json!({ "type": "warning", "text": text }),
            ScanEvent::Finished(summary) => finished(summary),
            _ => return Ok(()),
        };
        let mut line = value.to_string();
        line.push('\n');
        self.writer.write_all(line.as_bytes())?;
        self.writer.flush()
    }
}

fn started(start: &Start) -> Value {
    let scans: Vec<Value> = start
        .scans
        .iter()
        .map(|(technique, ports)| {
            json!({
                "technique": technique.word(), "protocol": technique.protocol().name(), "ports": ports.to_string(),
            })
        })
        .collect();
    json!({
        "type": "start", "form": FORM, "scanner": "scanner", "version": env!("CARGO_PKG_VERSION"),
        "command": start.command, "time": start.epoch, "seed": start.seed.to_string(), "scans": scans,
    })
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

fn host(report: &HostReport) -> Value {
    let mut host = Map::new();
    host.insert("type".to_owned(), "host".into());
    host.insert("address".to_owned(), report.address.to_string().into());
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
    if let Some(mac) = report.mac {
        host.insert("mac".to_owned(), mac.to_string().into());
    }
    if let Some(vendor) = report.vendor {
        host.insert("vendor".to_owned(), vendor.into());
    }
    if let Some(latency) = report.latency {
        host.insert("latency_us".to_owned(), (latency.as_nanos() as f64 / 1000.0).into());
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
    let ports: Vec<Value> = report
        .ports
        .sorted()
        .iter()
        .map(|result| {
            let mut port = Map::new();
            port.insert("protocol".to_owned(), result.protocol.name().into());
            port.insert("port".to_owned(), result.port.into());
            port.insert("state".to_owned(), result.verdict.state.word().into());
            proof(&result.verdict, &mut port);
            if let Some(name) = services::name(result.port, result.protocol) {
                port.insert("service".to_owned(), name.into());
            }
            port.into()
        })
        .collect();
    host.insert("ports".to_owned(), ports.into());
    host.into()
}

fn finished(summary: &Summary) -> Value {
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
        "type": "finish", "hosts": summary.hosts, "hosts_up": summary.hosts_up,
        "seconds": summary.elapsed.as_secs_f64(), "probes_sent": summary.probes_sent, "unknown": summary.unknown,
        "local_troubles": troubles, "cut": cut, "packets": packets,
    })
}
