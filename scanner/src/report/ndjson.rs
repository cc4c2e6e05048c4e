//! One line of JSON per event, for programs: the form is described by `docs/scanner-ndjson.schema.json`.
//!
//! It is a journal: what is known of a port is in the file as soon as it is known, so that a run that was cut off can go
//! on where it ended. Open ports have a line each, at once. Others wait a moment for their like: a line tells many of
//! them, so that a scan of every port stays cheap.

mod lines;

use std::collections::BTreeMap;
use std::io::{self, Write};
use std::time::Duration;

use super::{Consumer, PortProof, ScanEvent, Telling};
use crate::ports::{PortSet, Protocol};
use crate::target::Address;
use crate::verdict::{PortState, Verdict};

pub use lines::fingerprint;

/// The version of the form, in the first line of every file.
pub const FORM: u32 = 2;

/// So many ports alike are not kept waiting for more.
const BATCH_MAX: usize = 4096;

/// Writes a scan as NDJSON. Every line is whole when it is written, so a file that was cut off lacks only what came
/// later.
#[derive(Debug)]
pub struct Ndjson<W> {
    writer: W,
    /// An earlier run began it.
    continued: bool,
    waiting: BTreeMap<Address, Vec<Batch>>,
}

/// Ports of a host that are told together.
#[derive(Debug)]
struct Batch {
    protocol: Protocol,
    verdict: Verdict,
    tries: u8,
    ports: Vec<u16>,
    /// The shortest and the longest round trip.
    round_trips: Option<(Duration, Duration)>,
}

impl Batch {
    fn is_for(&self, protocol: Protocol, proof: &PortProof) -> bool {
        self.protocol == protocol && self.verdict == proof.verdict && self.tries == proof.tries
    }

    fn add(&mut self, port: u16, round_trip: Option<Duration>) {
        self.ports.push(port);
        if let Some(new) = round_trip {
            let (shortest, longest) = self.round_trips.unwrap_or((new, new));
            self.round_trips = Some((shortest.min(new), longest.max(new)));
        }
    }

    fn line(&self, address: Address) -> serde_json::Value {
        let ports: PortSet = self.ports.iter().copied().collect();
        lines::ports(address, self.protocol, &self.verdict, self.tries, &ports, self.round_trips)
    }
}

impl<W: Write> Ndjson<W> {
    /// Writes there.
    pub const fn new(writer: W) -> Self {
        Self { writer, continued: false, waiting: BTreeMap::new() }
    }

    /// Goes on with a journal that an earlier run began.
    pub const fn continued(writer: W) -> Self {
        Self { writer, continued: true, waiting: BTreeMap::new() }
    }

    /// Takes a port, and returns the lines that are due.
    fn port(
        &mut self,
        address: Address,
        protocol: Protocol,
        port: u16,
        proof: &PortProof,
    ) -> Option<serde_json::Value> {
        if proof.verdict.state == PortState::Open {
            return Some(lines::port(address, protocol, port, proof));
        }
        let batches = self.waiting.entry(address).or_default();
        let place = batches.iter().position(|batch| batch.is_for(protocol, proof)).unwrap_or_else(|| {
            let (verdict, tries) = (proof.verdict, proof.tries);
            batches.push(Batch { protocol, verdict, tries, ports: Vec::new(), round_trips: None });
            batches.len() - 1
        });
        let batch = &mut batches[place];
        batch.add(port, proof.round_trip);
        (batch.ports.len() >= BATCH_MAX).then(|| batches.swap_remove(place).line(address))
    }

    /// The lines of everything that waits, of one host or of all.
    fn due(&mut self, of: Option<Address>) -> Vec<serde_json::Value> {
        let waiting = match of {
            Some(address) => self.waiting.remove_entry(&address).into_iter().collect(),
            None => std::mem::take(&mut self.waiting),
        };
        waiting
            .iter()
            .flat_map(|(address, batches)| batches.iter().map(|batch| batch.line(*address)))
            .collect()
    }
}

impl<W: Write> Consumer for Ndjson<W> {
    fn event(&mut self, event: ScanEvent<'_>) -> io::Result<()> {
        let mut values = Vec::new();
        match event {
            ScanEvent::Started(start) if self.continued => values.push(lines::resumed(start)),
            ScanEvent::Started(start) => values.push(lines::started(start)),
            ScanEvent::Up(report) => values.push(lines::up(report)),
            ScanEvent::Port { address, protocol, port, proof } => {
                values.extend(self.port(address, protocol, port, &proof));
            }
            ScanEvent::Host(report) => {
                values = self.due(Some(report.address));
                values.push(lines::host(report));
            }
            ScanEvent::Progress(progress, Telling::Stats) => values.push(lines::progress(progress)),
            ScanEvent::Tick => values = self.due(None),
            ScanEvent::Warning(text) => {
                values.push(serde_json::json!({ "type": "warning", "text": text }));
            }
            ScanEvent::Finished(summary) => {
                values = self.due(None);
                values.push(lines::finished(summary));
            }
            _ => {}
        }
        if values.is_empty() {
            return Ok(());
        }
        let text: String = values.iter().map(|value| format!("{value}\n")).collect();
        self.writer.write_all(text.as_bytes())?;
        self.writer.flush()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::verdict::Reason;

    #[test]
    fn open_ports_are_told_at_once_and_others_with_their_like() {
        let mut text = Vec::new();
        let mut journal = Ndjson::new(&mut text);
        let address = Address::new("198.18.0.1".parse().unwrap());
        let mut tell = |port, state, reason, tries| {
            let verdict = Verdict::new(state, reason);
            let proof =
                PortProof { verdict, tries, round_trip: Some(Duration::from_micros(u64::from(port))) };
            journal.event(ScanEvent::Port { address, protocol: Protocol::Tcp, port, proof }).unwrap();
        };
        for port in [3, 1, 2, 9] {
            tell(port, PortState::Closed, Reason::Reset, 1);
        }
        tell(22, PortState::Open, Reason::SynAck, 1);
        tell(8, PortState::Closed, Reason::Reset, 2);
        journal.event(ScanEvent::Tick).unwrap();
        journal.event(ScanEvent::Tick).unwrap();
        let text = String::from_utf8(text).unwrap();
        let lines: Vec<serde_json::Value> =
            text.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
        let told: Vec<_> = lines.iter().map(|line| (&line["port"], &line["ports"], &line["tries"])).collect();
        let (none, once, twice) = (serde_json::Value::Null, 1.into(), 2.into());
        let (open, closed, late) = (22.into(), "1-3,9".into(), "8".into());
        assert_eq!(told, [(&open, &none, &once), (&none, &closed, &once), (&none, &late, &twice)]);
        assert_eq!(lines[1]["rtt_us"], serde_json::json!([1.0, 9.0]));
    }
}
