//! Why a port has its state: what was asked, what came back, and the rule that leads from one to the other.

use std::fmt::Write as _;
use std::net::IpAddr;
use std::str::FromStr;
use std::time::Duration;

use super::line::Found;
use super::record::Record;
use crate::plan::Ending;
use crate::ports::Protocol;
use crate::report::HostReport;
use crate::services;
use crate::target::Address;
use crate::technique::Technique;
use crate::verdict::{PortState, Reason, Verdict};

/// What is asked: `198.18.0.1:22`, `[fd00::1]:53/udp`, `host.name:80`.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct Question {
    /// An address, or a name of the host.
    pub host: String,
    /// The port.
    pub port: u16,
    /// The protocol; TCP where none is named.
    pub protocol: Protocol,
}

impl FromStr for Question {
    type Err = ();

    fn from_str(text: &str) -> Result<Self, ()> {
        let (host, port) = text.rsplit_once(':').ok_or(())?;
        let (port, protocol) = port.split_once('/').unwrap_or((port, "tcp"));
        let bare = host.strip_prefix('[').and_then(|host| host.strip_suffix(']')).unwrap_or(host);
        Ok(Self {
            host: (!bare.is_empty()).then(|| bare.to_owned()).ok_or(())?,
            port: port.parse().map_err(drop)?,
            protocol: Protocol::named(protocol).ok_or(())?,
        })
    }
}

/// Answers from a journal.
///
/// # Errors
/// One line: what the journal does not know.
pub fn explain(record: &Record<'_>, question: &Question) -> Result<String, String> {
    let Question { host, port, protocol } = question;
    let (port, protocol) = (*port, *protocol);
    let address = host.parse::<Address>().ok();
    let is_asked = |report: &HostReport| match address {
        Some(address) => report.address == address,
        None => [&report.given_name, &report.dns_name].into_iter().any(|name| name.as_ref() == Some(host)),
    };
    let report = record
        .finished()
        .chain(record.unfinished())
        .find(is_asked)
        .ok_or_else(|| format!("the journal knows no host {}", crate::escape::harmless(host)))?;
    let address = report.address;
    let technique = record
        .start
        .scans
        .iter()
        .find(|(technique, ports)| technique.protocol() == protocol && ports.contains(port))
        .map(|(technique, _)| *technique);
    let Some(technique) = technique else {
        return Err(format!("port {port}/{protocol} was not scanned"));
    };
    let result =
        report.ports.sorted().into_iter().find(|result| result.protocol == protocol && result.port == port);
    let title = report.title();
    let mut text = String::new();
    let service = services::name(port, protocol).map(|name| format!(" ({name})")).unwrap_or_default();
    let Some(result) = result else {
        let why = match (report.ending, report.is_up()) {
            (_, false) => "the host was not found up, and only ports of hosts that are up are probed",
            (Ending::TimedOut, _) => "the time for the host was over before (--host-timeout)",
            (Ending::Interrupted, _) => "the scan was cut off before; --resume goes on with it",
            _ => "nothing is noted about it",
        };
        let _ = writeln!(text, "Port {port}/{protocol}{service} of {title} has no state: {why}.");
        text.push_str(&host_line(&report));
        return Ok(text);
    };
    let verdict = result.verdict;
    let _ = writeln!(text, "Port {port}/{protocol}{service} of {title} is {}.", verdict.state);
    text.push_str(&host_line(&report));
    let found = record.found(address, protocol, port);
    text.push_str(&probes(technique, found.last()));
    let _ = writeln!(text, "Reply:  {}.", reply(&verdict, address.ip()));
    let _ = writeln!(text, "Rule:   {}.", rule(technique, &verdict, address.ip()));
    if found.len() > 1 {
        let before: Vec<String> = found[..found.len() - 1]
            .iter()
            .map(|found| format!("{} ({})", found.verdict.state, found.verdict.reason))
            .collect();
        let _ = writeln!(text, "Before: {}; the last word counts.", before.join(", "));
    }
    let _ = writeln!(
        text,
        "Run:    scanner {}, {}, as: {}",
        record.start.version,
        record.start_event().file_time,
        record.start.command
    );
    Ok(text)
}

fn host_line(report: &HostReport) -> String {
    let status = if report.is_up() { "up" } else { "not known to be up" };
    match report.status {
        Some((_, verdict)) => format!("Host:   {status}; {}.\n", reply(&verdict, report.ip())),
        None => format!("Host:   {status}.\n"),
    }
}

fn probes(technique: Technique, found: Option<&Found>) -> String {
    let what = match technique {
        Technique::Connect => "a connect of the system",
        Technique::Syn => "a TCP packet with SYN",
        Technique::Ack | Technique::Window => "a TCP packet with ACK",
        Technique::Fin => "a TCP packet with FIN",
        Technique::Null => "a TCP packet without flags",
        Technique::Xmas => "a TCP packet with FIN, PSH and URG",
        Technique::Maimon => "a TCP packet with FIN and ACK",
        Technique::Udp => "a UDP datagram",
    };
    let option = technique.option();
    let tries = match found.and_then(|found| found.tries) {
        None => "how many were sent is not noted".to_owned(),
        Some(0) => "none could be sent".to_owned(),
        Some(1) => "1 was sent".to_owned(),
        Some(tries) => format!("{tries} were sent"),
    };
    let after = match found.and_then(|found| found.round_trips) {
        Some((shortest, longest)) if shortest == longest => {
            format!(", and answered after {}", milliseconds(shortest))
        }
        Some((shortest, longest)) => format!(
            ", and answered, like those of the ports told with it, after {} to {}",
            milliseconds(shortest),
            milliseconds(longest)
        ),
        None => String::new(),
    };
    format!("Probes: {what} ({option}); {tries}{after}.\n")
}

fn milliseconds(time: Duration) -> String {
    format!("{:.3} ms", time.as_secs_f64() * 1000.0)
}

/// What came back.
fn reply(verdict: &Verdict, target: IpAddr) -> String {
    let mut text = match verdict.reason {
        Reason::SynAck => "a SYN and ACK".to_owned(),
        Reason::ConnRefused => "a refusal of the connect".to_owned(),
        Reason::Reset => "a reset".to_owned(),
        Reason::NoResponse => "none".to_owned(),
        Reason::UdpResponse => "a UDP datagram".to_owned(),
        Reason::ArpResponse => "an ARP answer".to_owned(),
        Reason::NdResponse => "a neighbor advertisement".to_owned(),
        Reason::EchoReply => "an ICMP echo reply".to_owned(),
        Reason::UserSet => "none was asked for (-Pn)".to_owned(),
        Reason::LocalhostResponse => "none was asked for, it is this machine".to_owned(),
        Reason::Local(errno) => format!("none; this machine said {errno}"),
        other => format!("{other}"),
    };
    if let Some(from) = verdict.from.filter(|from| *from != target) {
        let _ = write!(text, " from {from}");
    }
    if let Some(ttl) = verdict.ttl {
        let _ = write!(text, ", ttl {ttl}");
    }
    let _ = write!(text, " ({})", verdict.reason);
    text
}

/// What leads from the reply to the state.
fn rule(technique: Technique, verdict: &Verdict, target: IpAddr) -> String {
    let state = verdict.state;
    let why = match (state, verdict.reason) {
        (PortState::Unknown, Reason::Local(_)) => {
            "what this machine could not send says nothing about the port".to_owned()
        }
        (PortState::Open, Reason::UdpResponse) => "only a service answers a datagram".to_owned(),
        (PortState::Open, Reason::Reset) => "a reset with a window is that of an open port".to_owned(),
        (PortState::Open, _) => "only a port that accepts connections answers so".to_owned(),
        (PortState::Closed, Reason::PortUnreach) => "the host itself says that nobody listens".to_owned(),
        (PortState::Closed, _) => "the host answers, and nobody listens".to_owned(),
        (PortState::Unfiltered, _) => {
            "the probe reached the host, and it cannot tell open from closed".to_owned()
        }
        (PortState::Filtered, Reason::NoResponse) => format!(
            "an open or a closed port would have answered {}, so something drops the probes",
            technique.option()
        ),
        (PortState::OpenFiltered, _) => {
            format!(
                "an open port is silent to {} too, so it is open or the probes are dropped",
                technique.option()
            )
        }
        (_, reason) => {
            let who = match verdict.from {
                Some(from) if from == target => "the host itself".to_owned(),
                Some(from) => from.to_string(),
                None => "something on the way".to_owned(),
            };
            format!("{who} refused the probe ({reason}) and not the port")
        }
    };
    format!("{why}: {state}")
}
