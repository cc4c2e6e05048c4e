//! One line of a journal as typed values. Journals come from anywhere: nothing in one is believed to be printable.

use std::ffi::OsString;
use std::net::IpAddr;
use std::os::unix::ffi::OsStringExt;
use std::time::Duration;

use serde_json::Value;
use thiserror::Error;

use crate::escape::harmless;
use crate::mac::MacAddress;
use crate::pacer::Rate;
use crate::plan::{Ending, HostStatus};
use crate::ports::{PortSet, Protocol};
use crate::report::{Cut, HostReport, PacketCounts, PortResults, Summary};
use crate::target::Address;
use crate::technique::Technique;
use crate::verdict::{Errno, PortState, Reason, Verdict};

/// Why a line cannot be read.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
#[non_exhaustive]
pub enum Fault {
    /// It is no JSON object with a type.
    #[error("it is no JSON object with a type")]
    NotJson,
    /// A field is missing or has a senseless value.
    #[error("the field {0} is missing or has a senseless value")]
    Field(&'static str),
}

/// A line.
#[derive(Debug, Clone)]
#[non_exhaustive]
pub enum Line {
    /// The first of a run.
    Start(Box<StartLine>),
    /// A run went on here.
    Resume(u64),
    /// A host was found up.
    Up(Address, Verdict),
    /// States of ports.
    Ports(Found),
    /// Everything about a host.
    Host(Box<HostReport>),
    /// Something the user was told.
    Warning(String),
    /// The last of a run that was not cut off.
    Finish(Summary),
    /// Of a type that is not known here.
    Other,
}

/// What the first line says.
#[derive(Debug, Clone, Default)]
#[non_exhaustive]
pub struct StartLine {
    /// The version of the form.
    pub form: u64,
    /// The version of the program.
    pub version: String,
    /// The command line in one line.
    pub command: String,
    /// The arguments.
    pub arguments: Vec<OsString>,
    /// Seconds since 1970.
    pub epoch: u64,
    /// The seed.
    pub seed: u64,
    /// The options that decide what the results are.
    pub options: Vec<(String, String)>,
    /// The techniques, each with its ports.
    pub scans: Vec<(Technique, PortSet)>,
}

/// Ports of a host that were found to be in the same state in the same way.
#[derive(Debug, Clone)]
#[non_exhaustive]
pub struct Found {
    /// The host.
    pub address: Address,
    /// Their protocol.
    pub protocol: Protocol,
    /// Their numbers.
    pub ports: PortSet,
    /// Their state, and what proves it.
    pub verdict: Verdict,
    /// Probes for each, if that was noted.
    pub tries: Option<u8>,
    /// The shortest and the longest time to an answer.
    pub round_trips: Option<(Duration, Duration)>,
}

impl Line {
    /// Reads a line.
    ///
    /// # Errors
    /// [`Fault`].
    pub fn read(text: &[u8]) -> Result<Self, Fault> {
        let value: Value = serde_json::from_slice(text).map_err(|_| Fault::NotJson)?;
        let kind = value.get("type").and_then(Value::as_str).ok_or(Fault::NotJson)?;
        let fields = Fields(&value);
        Ok(match kind {
            "start" => Self::Start(Box::new(fields.start()?)),
            "resume" => Self::Resume(fields.number("time")?),
            "up" => Self::Up(fields.address("address")?, fields.proof(PortState::Unknown)?),
            "port" | "ports" => Self::Ports(fields.found()?),
            "host" => Self::Host(Box::new(fields.host()?)),
            "warning" => Self::Warning(harmless(fields.text("text")?)),
            "finish" => Self::Finish(fields.finish()?),
            _ => Self::Other,
        })
    }
}

/// The fields of an object.
#[derive(Clone, Copy)]
struct Fields<'a>(&'a Value);

impl<'a> Fields<'a> {
    fn text(self, name: &'static str) -> Result<&'a str, Fault> {
        self.0.get(name).and_then(Value::as_str).ok_or(Fault::Field(name))
    }

    fn optional_text(self, name: &'static str) -> Option<String> {
        self.0.get(name).and_then(Value::as_str).map(harmless)
    }

    fn number(self, name: &'static str) -> Result<u64, Fault> {
        self.0.get(name).and_then(Value::as_u64).ok_or(Fault::Field(name))
    }

    fn small<N: TryFrom<u64>>(self, name: &'static str) -> Result<N, Fault> {
        N::try_from(self.number(name)?).map_err(|_| Fault::Field(name))
    }

    fn items(self, name: &'static str) -> impl Iterator<Item = Fields<'a>> {
        self.0.get(name).and_then(Value::as_array).into_iter().flatten().map(Fields)
    }

    fn address(self, name: &'static str) -> Result<Address, Fault> {
        self.text(name)?.parse().map_err(|_| Fault::Field(name))
    }

    fn micros(self, name: &'static str) -> Option<Duration> {
        self.0.get(name).and_then(Value::as_f64).and_then(micros)
    }

    fn seconds(self, name: &'static str) -> Option<Duration> {
        let seconds = self.0.get(name).and_then(Value::as_f64)?;
        Duration::try_from_secs_f64(seconds).ok()
    }

    fn protocol(self) -> Result<Protocol, Fault> {
        Protocol::named(self.text("protocol")?).ok_or(Fault::Field("protocol"))
    }

    fn proof(self, state: PortState) -> Result<Verdict, Fault> {
        let reason = Reason::of_word(self.text("reason")?).ok_or(Fault::Field("reason"))?;
        let mut verdict = Verdict::new(state, reason);
        verdict.from = self.optional_text("from").and_then(|from| from.parse::<IpAddr>().ok());
        verdict.ttl = self.small("ttl").ok();
        Ok(verdict)
    }

    fn verdict(self) -> Result<Verdict, Fault> {
        self.proof(PortState::of_word(self.text("state")?).ok_or(Fault::Field("state"))?)
    }

    /// The one port of a line, or its many.
    fn ports(self) -> Result<PortSet, Fault> {
        match self.small::<u16>("port") {
            Ok(port) => Ok(PortSet::from_iter([port])),
            Err(_) => self.text("ports")?.parse().map_err(|_| Fault::Field("ports")),
        }
    }

    fn start(self) -> Result<StartLine, Fault> {
        let mut scans = Vec::new();
        for scan in self.items("scans") {
            let technique = Technique::of_word(scan.text("technique")?).ok_or(Fault::Field("technique"))?;
            scans.push((technique, scan.text("ports")?.parse().map_err(|_| Fault::Field("ports"))?));
        }
        let options = self.0.get("options").and_then(Value::as_object).into_iter().flatten();
        let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
        Ok(StartLine {
            form: self.number("form")?,
            version: harmless(self.text("version")?),
            command: harmless(self.text("command")?),
            arguments: self.items("argv").map(argument).collect::<Option<_>>().ok_or(Fault::Field("argv"))?,
            epoch: self.number("time")?,
            seed: self.text("seed")?.parse().map_err(|_| Fault::Field("seed"))?,
            options: options.map(|(name, value)| (name.clone(), text(value))).collect(),
            scans,
        })
    }

    fn found(self) -> Result<Found, Fault> {
        let round_trips = match self.0.get("rtt_us") {
            Some(Value::Array(both)) => {
                let times: Vec<_> = both.iter().filter_map(Value::as_f64).filter_map(micros).collect();
                times.first().copied().zip(times.last().copied())
            }
            _ => self.micros("rtt_us").map(|time| (time, time)),
        };
        Ok(Found {
            address: self.address("address")?,
            protocol: self.protocol()?,
            ports: self.ports()?,
            verdict: self.verdict()?,
            tries: self.small("tries").ok(),
            round_trips,
        })
    }

    fn host(self) -> Result<HostReport, Fault> {
        let mut report = HostReport::new(self.address("address")?);
        let status = match self.text("status")? {
            "up" => Some(HostStatus::Up),
            "down" => Some(HostStatus::Down),
            "unknown" => Some(HostStatus::Unknown),
            _ => return Err(Fault::Field("status")),
        };
        // A host that is only listed has no status and so no reason.
        report.status = status.zip(self.proof(PortState::Unknown).ok());
        report.given_name = self.optional_text("given_name");
        report.dns_name = self.optional_text("dns_name");
        let others = self.0.get("other_dns_names").and_then(Value::as_array).into_iter().flatten();
        report.other_dns_names = others.filter_map(Value::as_str).map(harmless).collect();
        let others = self.0.get("other_addresses").and_then(Value::as_array).into_iter().flatten();
        report.other_addresses =
            others.filter_map(Value::as_str).filter_map(|other| other.parse().ok()).collect();
        report.learn_mac(self.optional_text("mac").and_then(|mac| mac.parse::<MacAddress>().ok()));
        report.latency = self.micros("latency_us");
        report.variation = self.micros("variation_us").unwrap_or_default();
        report.timeout = self.micros("timeout_us").unwrap_or_default();
        report.epoch = self.number("began")?;
        report.elapsed = self.seconds("seconds").unwrap_or_default();
        report.ending = match self.text("ending")? {
            "complete" => Ending::Complete,
            "timed-out" => Ending::TimedOut,
            "interrupted" => Ending::Interrupted,
            _ => return Err(Fault::Field("ending")),
        };
        report.ports_unfinished = self.small("ports_unfinished")?;
        let limit = self.0.get("answers_limited_per_second").and_then(Value::as_f64);
        report.answers_limited = limit.and_then(Rate::per_second);
        report.ports = self.results()?;
        Ok(report)
    }

    fn results(self) -> Result<PortResults, Fault> {
        let mut results = PortResults::default();
        for item in self.items("ports").chain(self.items("extraports")) {
            let (protocol, verdict) = (item.protocol()?, item.verdict()?);
            for port in &item.ports()? {
                results.add(protocol, port, verdict);
            }
        }
        Ok(results)
    }

    fn finish(self) -> Result<Summary, Fault> {
        let mut summary = Summary::default();
        summary.hosts = self.number("hosts")?;
        summary.hosts_up = self.number("hosts_up")?.min(summary.hosts);
        summary.elapsed = self.seconds("seconds").unwrap_or_default();
        summary.epoch = self.number("time").unwrap_or_default();
        summary.probes_sent = self.number("probes_sent").unwrap_or_default();
        summary.unknown = self.number("unknown").unwrap_or_default();
        summary.cut = match self.0.get("cut").and_then(Value::as_str) {
            Some("interrupted") => Cut::Interrupted,
            Some("out-of-time") => Cut::OutOfTime,
            _ => Cut::Not,
        };
        let troubles = self.0.get("local_troubles").and_then(Value::as_object).into_iter().flatten();
        summary.local_troubles =
            troubles.filter_map(|(errno, count)| Errno::named(errno).zip(count.as_u64())).collect();
        summary.packets = self.0.get("packets").filter(|packets| packets.is_object()).map(|packets| {
            let count = |name| packets.get(name).and_then(Value::as_u64).unwrap_or_default();
            PacketCounts {
                sent: count("sent"),
                sent_bytes: count("sent_bytes"),
                received: count("received"),
                received_bytes: count("received_bytes"),
                dropped: count("dropped"),
            }
        });
        Ok(summary)
    }
}

fn micros(micros: f64) -> Option<Duration> {
    Duration::try_from_secs_f64(micros / 1e6).ok()
}

fn argument(value: Fields<'_>) -> Option<OsString> {
    if let Some(text) = value.0.as_str() {
        return Some(text.into());
    }
    let digits = value.0.get("hex")?.as_str()?.as_bytes();
    let digit = |byte: &u8| char::from(*byte).to_digit(16).and_then(|digit| u8::try_from(digit).ok());
    let pairs = digits.chunks(2).map(|pair| match pair {
        [high, low] => Some(digit(high)? << 4 | digit(low)?),
        _ => None,
    });
    pairs.collect::<Option<Vec<u8>>>().map(OsString::from_vec)
}
