//! The report that people read, on the screen and in the `-oN` file.

use std::fmt::Write as _;
use std::io::{self, Write};

use super::phases::{phase_completed, phase_started};
use super::table::reason;
use super::{
    Consumer, Cut, Fold, HostReport, PacketCounts, Palette, ScanEvent, Start, Summary, Telling, port_table,
};
use crate::counted::counted;
use crate::plan::{AnswerLimits, Ending, HostStatus};
use crate::verdict::PortState;

/// Of so many ports a host has few that are open; if nearly all of them are, something answers for them.
const CROWD: usize = 50;

/// Name and version, as every output shows them.
const PRODUCT: &str = concat!("scanner ", env!("CARGO_PKG_VERSION"));

/// Where a normal report goes; a file has no banner and no progress, but a first and a last line of its own.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum Destination {
    /// Standard output.
    Screen,
    /// A file (`-oN`).
    File,
}

/// How much a normal report tells.
#[derive(Debug, Clone, Copy, Default)]
#[non_exhaustive]
pub struct Style {
    /// The level of `-v`.
    pub verbosity: u8,
    /// The level of `-d`.
    pub debug: u8,
    /// Whether reasons are shown.
    pub reasons: bool,
    /// Whether only hosts with open ports are shown, and only these ports.
    pub open_only: bool,
    /// Whether hosts that are down are shown even without `-v`, because their names were asked for (`-R`).
    pub show_down: bool,
    /// Whether hosts are only listed.
    pub list_only: bool,
    /// Whether the rate of the scan is told at its end.
    pub show_rate: bool,
    /// Whether states are told apart by color as well.
    pub palette: Palette,
    /// What was done about hosts that limit their answers.
    pub answer_limits: AnswerLimits,
}

/// Writes the report of each host when it is finished.
#[derive(Debug)]
pub struct Normal<W> {
    writer: W,
    destination: Destination,
    style: Style,
    /// Reasons are shown whatever the levels are.
    reasons_asked: bool,
    /// Whether the last host has no blank line below it.
    stands_close: bool,
}

impl<W: Write> Normal<W> {
    /// Makes a report.
    #[must_use]
    pub fn new(writer: W, destination: Destination, style: Style) -> Self {
        Self { writer, destination, style, reasons_asked: style.reasons, stands_close: false }
    }

    fn on_screen(&self) -> bool {
        self.destination == Destination::Screen
    }
}

impl<W: Write> Consumer for Normal<W> {
    fn event(&mut self, event: ScanEvent<'_>) -> io::Result<()> {
        let verbose = self.on_screen() && self.style.verbosity > 0;
        let text = match event {
            ScanEvent::Started(start) => banner(start, self.destination, self.style),
            ScanEvent::Connect { at, to, port, result } => {
                format!("CONN ({:.4}s) TCP localhost > {}:{port} => {result}\n", at.as_secs_f64(), to.ip())
            }
            ScanEvent::Packet { line } => format!("{line}\n"),
            ScanEvent::PhaseStarted { phase, hosts, only, probes_per_host } if verbose => {
                phase_started(phase, hosts, only, probes_per_host)
            }
            ScanEvent::PhaseCompleted { phase, elapsed, total } if verbose => {
                phase_completed(phase, elapsed, total)
            }
            ScanEvent::OpenPort { address, protocol, port } if verbose => {
                let open = self.style.palette.state(PortState::Open, PortState::Open.word());
                format!("Discovered {open} port {port}/{protocol} on {address}\n")
            }
            ScanEvent::Progress(progress, Telling::Stats) if self.on_screen() => progress.stats(),
            ScanEvent::Progress(progress, Telling::Timing) if self.on_screen() => progress.timing(),
            ScanEvent::Key { levels, text } if self.on_screen() => {
                self.style.verbosity = levels.verbosity;
                self.style.debug = levels.debug;
                self.style.reasons = self.reasons_asked || levels.verbosity >= 2 || levels.debug >= 1;
                text.to_owned()
            }
            ScanEvent::PhaseStarted { .. }
            | ScanEvent::PhaseCompleted { .. }
            | ScanEvent::OpenPort { .. }
            | ScanEvent::Up(_)
            | ScanEvent::Progress(..)
            | ScanEvent::Key { .. }
            | ScanEvent::Port { .. }
            | ScanEvent::Tick => return Ok(()),
            ScanEvent::Host(host) => {
                let text = host_report(host, self.style);
                self.stands_close = if text.is_empty() { self.stands_close } else { !text.ends_with("\n\n") };
                text
            }
            // On the screen they are on stderr already.
            ScanEvent::Warning(_) if self.on_screen() => String::new(),
            ScanEvent::Warning(text) => format!("{text}\n"),
            ScanEvent::Detail(text) if self.style.debug > 0 => format!("{text}\n"),
            ScanEvent::Detail(_) => String::new(),
            ScanEvent::Finished(summary) => {
                finished(summary, self.destination, self.style, self.stands_close)
            }
        };
        self.writer.write_all(text.as_bytes())?;
        // A trace line may wait for the others of its burst; what a host comes to may not.
        match event {
            ScanEvent::Connect { .. } | ScanEvent::Packet { .. } => Ok(()),
            _ => self.writer.flush(),
        }
    }
}

fn banner(start: &Start, destination: Destination, style: Style) -> String {
    let mut text = match destination {
        Destination::Screen => format!("Starting {PRODUCT} at {}\n", start.banner_time),
        Destination::File => {
            format!("# {PRODUCT} scan initiated {} as: {}\n", start.file_time, start.command)
        }
    };
    if style.debug > 0 {
        let _ = writeln!(text, "Probe order: repeat it with --seed {}", start.seed);
    }
    text
}

fn host_report(host: &HostReport, style: Style) -> String {
    if style.open_only && !host.ports.has_open() {
        return String::new();
    }
    let title = format!("Scan report for {}", host.title());
    let mut text = style.palette.title(&title).to_string();
    if style.list_only {
        text.push('\n');
        return text;
    }
    let Some((status, verdict)) = host.status.filter(|(status, _)| *status != HostStatus::Down) else {
        return if style.verbosity > 0 || style.show_down { down(host, text, style) } else { String::new() };
    };
    text.push('\n');
    text.push_str(match status {
        HostStatus::Up => "Host is up",
        _ => "Host status is unknown",
    });
    if style.reasons || status == HostStatus::Unknown {
        let _ = write!(text, ", received {}", reason(&verdict, host.ip()));
    }
    match host.latency {
        Some(latency) => {
            let _ = writeln!(text, " ({}s latency).", two_digits(latency.as_secs_f64()));
        }
        None => text.push_str(".\n"),
    }
    if !host.other_addresses.is_empty() {
        let others: Vec<_> = host.other_addresses.iter().map(ToString::to_string).collect();
        let name = host.given_name.as_deref().unwrap_or_default();
        let _ = writeln!(text, "Other addresses for {name} (not scanned): {}", others.join(" "));
    }
    if let (Some(given), Some(dns)) = (&host.given_name, &host.dns_name)
        && given != dns
    {
        let _ = writeln!(text, "rDNS record for {}: {dns}", host.address);
    }
    if style.verbosity >= 2 || style.debug > 0 {
        let _ = writeln!(text, "Scanned at {} for {}s", host.scanned_at, host.elapsed.as_secs());
    }
    match host.ending {
        Ending::Complete => {}
        Ending::TimedOut => {
            let _ = writeln!(text, "Skipping host {} due to host timeout", host.title());
        }
        Ending::Interrupted => {
            let left =
                counted(host.ports_unfinished, "port of this host has no", "ports of this host have no");
            let _ = writeln!(text, "Not finished: {left} result");
        }
    }
    if !host.ports.is_empty() {
        let fold = Fold::new(style.verbosity, style.debug, style.open_only);
        if style.answer_limits == AnswerLimits::Defied && host.ports.count(PortState::Filtered) > 0 {
            text.push_str("Some closed ports may be reported as filtered due to --defeat-rst-ratelimit\n");
        }
        text.push_str(&port_table(&host.ports, &host.title(), host.ip(), fold, style.reasons, style.palette));
    }
    if let Some(mac) = host.mac {
        let _ = writeln!(text, "MAC Address: {mac} ({})", host.vendor.unwrap_or("Unknown"));
    }
    text.push_str(&limits(host));
    // Reports without ports are short and stand close together.
    if !host.ports.is_empty() || host.ending != Ending::Complete {
        text.push('\n');
    }
    text
}

/// What the host, or something in front of it, did to the scan.
pub(super) fn limits(host: &HostReport) -> String {
    let mut text = String::new();
    if let Some(limit) = host.answers_limited {
        let rate = counted(limit.probes_per_second().round(), "probe", "probes");
        let _ = writeln!(text, "Note: {} answers about {rate} a second; it was asked no faster", host.ip());
    }
    let (open, all) = (host.ports.count(PortState::Open), host.ports.len());
    if all >= CROWD && 10 * open >= 9 * all {
        let _ = writeln!(
            text,
            "Note: {open} of {all} ports of {} are open; a SYN proxy or tarpit may be answering for it",
            host.ip()
        );
    }
    text
}

fn down(host: &HostReport, mut text: String, style: Style) -> String {
    match host.status {
        Some((_, verdict)) if style.reasons => {
            let _ = writeln!(text, " [host down, received {}]", reason(&verdict, host.ip()));
        }
        Some(_) => text.push_str(" [host down]\n"),
        None => text.push_str(" [not finished]\n"),
    }
    text
}

/// Two significant digits, never an exponent.
pub(super) fn two_digits(seconds: f64) -> String {
    if seconds <= 0.0 || !seconds.is_finite() {
        return "0.0".to_owned();
    }
    let magnitude = format!("{seconds:.1e}");
    let exponent: i32 = magnitude.split_once('e').and_then(|(_, digits)| digits.parse().ok()).unwrap_or(0);
    let decimals = usize::try_from(1 - exponent).unwrap_or(0);
    format!("{seconds:.decimals$}")
}

/// The end of a report; `apart` is whether what is not the scan's usual end needs a blank line above it.
fn finished(summary: &Summary, destination: Destination, style: Style, apart: bool) -> String {
    let mut text = String::new();
    if style.show_rate {
        let rate = summary.probes_sent as f64 / summary.elapsed.as_secs_f64().max(1e-6);
        let _ = writeln!(text, "Overall sending rates: {rate:.2} packets / s.");
    }
    let (hosts, up) = (summary.hosts, summary.hosts_up);
    if !summary.local_troubles.is_empty() && (summary.unknown > 0 || summary.tell_overcome_trouble) {
        if apart && text.is_empty() {
            text.push('\n');
        }
        let _ = writeln!(text, "{}", summary.trouble("on this machine"));
    }
    text.push_str(match summary.cut {
        Cut::Not => "",
        Cut::Interrupted => "Interrupted: what is above is what was known by then.\n",
        Cut::OutOfTime => "Out of time (--max-runtime): what is above is what was known by then.\n",
    });
    if summary.may_be_hiding && destination == Destination::Screen {
        text.push_str("Note: Host seems down. If it is really up, but blocking our ping probes, try -Pn\n");
    }
    let counts = format!(
        "{hosts} IP address{} ({up} host{} up) scanned in {:.2} seconds",
        if hosts == 1 { "" } else { "es" },
        if up == 1 { "" } else { "s" },
        summary.elapsed.as_secs_f64()
    );
    match destination {
        Destination::Screen => {
            let _ = writeln!(text, "scanner done: {counts}");
            if let Some(packets) = summary.packets.filter(|_| style.verbosity > 0) {
                text.push_str(&packet_counts(&packets));
            }
        }
        Destination::File => {
            let _ = writeln!(text, "# scanner done at {} -- {counts}", summary.file_time);
        }
    }
    text
}

fn packet_counts(packets: &PacketCounts) -> String {
    let mut text = String::new();
    if packets.dropped > 0 {
        let _ = writeln!(text, "{:11}Lost in this machine before they were read: {}", "", packets.dropped);
    }
    let (sent, received) = (size(packets.sent_bytes), size(packets.received_bytes));
    let _ = writeln!(
        text,
        "{:11}Raw packets sent: {} ({sent}) | Rcvd: {} ({received})",
        "", packets.sent, packets.received
    );
    text
}

/// Bytes in the unit that fits them, by powers of a thousand.
fn size(bytes: u64) -> String {
    match bytes {
        0..1000 => format!("{bytes}B"),
        1000..1_000_000 => format!("{:.3}KB", bytes as f64 / 1e3),
        _ => format!("{:.3}MB", bytes as f64 / 1e6),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::mac::MacAddress;
    use crate::target::Address;
    use crate::verdict::{Errno, Reason, Verdict};

    #[test]
    fn a_host_on_the_link_is_named_with_its_card_and_stands_close_to_the_next() {
        let mut host = HostReport::new(Address::new("198.18.64.10".parse().unwrap()));
        host.status = Some((HostStatus::Up, Verdict::new(PortState::Unknown, Reason::ArpResponse)));
        host.mac = Some(MacAddress::new([2, 0, 0, 0, 0x64, 1]));
        let text = host_report(&host, Style::default());
        let expected =
            "Scan report for 198.18.64.10\nHost is up.\nMAC Address: 02:00:00:00:64:01 (Unknown)\n";
        assert_eq!(text, expected);
    }

    #[test]
    fn trouble_stands_apart_from_the_last_host_and_one_is_no_plural() {
        let mut host = HostReport::new(Address::new("198.18.64.10".parse().unwrap()));
        let summary = Summary {
            hosts: 1,
            unknown: 1,
            local_troubles: vec![(Errno::ENETUNREACH, 1), (Errno::EPERM, 2)],
            ..Summary::default()
        };
        let report = |host: &HostReport| {
            let mut text = Vec::new();
            let mut normal = Normal::new(&mut text, Destination::Screen, Style::default());
            normal.event(ScanEvent::Host(host)).unwrap();
            normal.event(ScanEvent::Finished(&summary)).unwrap();
            String::from_utf8(text).unwrap()
        };
        let trouble = "Trouble on this machine: ENETUNREACH once, EPERM 2 times; 1 port or host is unknown because of it.\n";
        let cause = Verdict::new(PortState::Unknown, Reason::UserSet);
        host.status = Some((HostStatus::Up, cause));
        let close = report(&host);
        assert!(close.contains(&format!("Host is up.\n\n{trouble}scanner done")), "{close}");
        host.ports.add(crate::ports::Protocol::Tcp, 22, cause);
        let with_ports = report(&host);
        assert!(with_ports.contains(&format!("\n\n{trouble}")), "{with_ports}");
        assert!(!with_ports.contains("\n\n\n"), "{with_ports}");
    }

    #[test]
    fn packets_are_counted_in_units_that_fit() {
        let counts = PacketCounts {
            sent: 205,
            sent_bytes: 8980,
            received: 202,
            received_bytes: 808,
            ..PacketCounts::default()
        };
        let expected = "           Raw packets sent: 205 (8.980KB) | Rcvd: 202 (808B)\n";
        assert_eq!(packet_counts(&counts), expected);
        assert_eq!(size(88_000_000), "88.000MB");
    }

    #[test]
    fn latency_has_two_significant_digits_and_no_exponent() {
        let table = [
            (0.000_006, "0.0000060"),
            (0.000_108, "0.00011"),
            (0.02, "0.020"),
            (0.099_9, "0.10"),
            (1.234, "1.2"),
            (12.34, "12"),
            (0.0, "0.0"),
        ];
        for (seconds, text) in table {
            assert_eq!(two_digits(seconds), text);
        }
    }
}
