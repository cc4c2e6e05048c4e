//! One line per host, in the columns of Nmap's grepable format (spec 2.9).

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::io::{self, Write};

use super::table::split;
use super::{Consumer, Fold, HostReport, PortResult, ScanEvent, Style};
use crate::plan::{Ending, HostStatus};
use crate::services;

/// Writes a scan in the grepable format.
#[derive(Debug)]
pub struct Grepable<W> {
    writer: W,
    style: Style,
}

impl<W: Write> Grepable<W> {
    /// Writes there.
    pub const fn new(writer: W, style: Style) -> Self {
        Self { writer, style }
    }
}

impl<W: Write> Consumer for Grepable<W> {
    fn event(&mut self, event: ScanEvent<'_>) -> io::Result<()> {
        let version = env!("CARGO_PKG_VERSION");
        let text = match event {
            ScanEvent::Started(start) => {
                format!("# scanner {version} scan initiated {} as: {}\n", start.file_time, start.command)
            }
            ScanEvent::Host(report) => host(report, self.style),
            ScanEvent::Finished(summary) => {
                let (hosts, up) = (summary.hosts, summary.hosts_up);
                format!(
                    "# scanner done at {} -- {hosts} IP address{} ({up} host{} up) scanned in {:.2} seconds\n",
                    summary.file_time,
                    if hosts == 1 { "" } else { "es" },
                    if up == 1 { "" } else { "s" },
                    summary.elapsed.as_secs_f64()
                )
            }
            _ => return Ok(()),
        };
        self.writer.write_all(text.as_bytes())?;
        self.writer.flush()
    }
}

fn host(report: &HostReport, style: Style) -> String {
    if style.open_only && !report.ports.has_open() {
        return String::new();
    }
    let name = report.dns_name.as_deref().unwrap_or_default();
    let title = format!("Host: {} ({name})", report.ip());
    let status = match report.status {
        _ if report.ending == Ending::TimedOut => "Timeout",
        Some((HostStatus::Up, _)) => "Up",
        Some((HostStatus::Down, _)) if style.verbosity == 0 && !style.show_down => return String::new(),
        Some((HostStatus::Down, _)) => "Down",
        _ => "Unknown",
    };
    let mut text = format!("{title}\tStatus: {status}\n");
    if report.ports.is_empty() {
        return text;
    }
    let all = report.ports.sorted();
    let (hidden, shown) = split(&all, Fold::new(style.verbosity, style.debug, style.open_only));
    let _ = write!(text, "{title}\tPorts: ");
    for (place, PortResult { protocol, port, verdict }) in shown.iter().enumerate() {
        let comma = if place == 0 { "" } else { ", " };
        let _ = write!(text, "{comma}{port}/{}/{}//", verdict.state.word(), protocol.name());
        // No name of ours has one, but the column could not bear it.
        let name = services::name(*port, *protocol).unwrap_or_default();
        text.extend(name.chars().map(|letter| if letter == '/' { '|' } else { letter }));
        text.push_str("///");
    }
    let mut states = BTreeMap::new();
    for result in &hidden {
        *states.entry(result.verdict.state).or_insert(0_usize) += 1;
    }
    // With two of them the column could not say which is how many.
    if let (Some((state, count)), 1) = (states.first_key_value(), states.len()) {
        let _ = write!(text, "\tIgnored State: {state} ({count})");
    }
    text.push('\n');
    text
}
