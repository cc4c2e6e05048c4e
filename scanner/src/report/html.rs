//! A page for browsers: one file that loads nothing, complete after every host, and readable without its script.
//!
//! The policy in its head allows no script and no style but the two it carries, by their hashes: even if a text of
//! others got through as markup, it could run nothing and load nothing.

use std::fmt::{Display, Write as _};
use std::io;
use std::net::IpAddr;

use quick_xml::escape::escape;

use super::document::Document;
use super::normal::{limits, two_digits};
use super::table::{not_shown, reason, split};
use super::xml::is_shown;
use super::{Consumer, Cut, Fold, HostReport, PortResult, ScanEvent, Start, Style, Summary};
use crate::counted::counted;
use crate::plan::{Ending, HostStatus};
use crate::services;
use crate::verdict::PortState;

const STYLE: &str = include_str!("html/page.css");
const SCRIPT: &str = include_str!("html/page.js");
/// SHA-256 of the two, in base64; a test tells what they are after a change.
const STYLE_HASH: &str = "7XJc8JyVYQec0IOd1JC9MmKcFk2tHs642Qk/KK81/Wg=";
const SCRIPT_HASH: &str = "hx+mo9EU4EQy7ae/GV0JZt5s0TkNo360AUniDOAnZ+c=";

/// Writes a scan as a page of HTML.
#[derive(Debug)]
pub struct Html<D> {
    document: D,
    style: Style,
    /// What a run ends with that is cut off.
    counts: Counts,
}

#[derive(Debug, Clone, Copy, Default)]
struct Counts {
    hosts: u64,
    up: u64,
    open: usize,
}

impl<D: Document> Html<D> {
    /// Writes into a document.
    pub fn new(document: D, style: Style) -> Self {
        Self { document, style, counts: Counts::default() }
    }
}

impl<D: Document> Consumer for Html<D> {
    fn event(&mut self, event: ScanEvent<'_>) -> io::Result<()> {
        let body = match event {
            ScanEvent::Started(start) => head(start),
            ScanEvent::Host(report) => {
                self.counts.hosts += 1;
                self.counts.up += u64::from(report.is_up());
                self.counts.open += report.ports.count(PortState::Open);
                if !is_shown(report, self.style) {
                    return Ok(());
                }
                host(report, self.style)
            }
            ScanEvent::Warning(text) => {
                format!(
                    "<tbody class=\"note\"><tr><td colspan=\"{COLUMNS}\">{}</td></tr></tbody>\n",
                    text_of(text)
                )
            }
            ScanEvent::Finished(summary) => {
                return self.document.finish(finished(summary, self.counts.open).as_bytes());
            }
            _ => return Ok(()),
        };
        self.document.add(body.as_bytes(), cut_off(self.counts).as_bytes())
    }
}

/// Makes a text of any origin one that is shown as it is, between tags and in a quoted attribute.
fn text_of<T: Display>(text: T) -> String {
    escape(text.to_string()).into_owned()
}

/// Columns of the table of hosts.
const COLUMNS: usize = 7;

fn head(start: &Start) -> String {
    let (version, time, command) =
        (env!("CARGO_PKG_VERSION"), text_of(&start.file_time), text_of(&start.command));
    format!(
        "<!DOCTYPE html>\n<html lang=\"en\">\n<head>\n<meta charset=\"utf-8\">\n\
         <meta http-equiv=\"Content-Security-Policy\" content=\"default-src 'none'; style-src 'sha256-{STYLE_HASH}'; \
         script-src 'sha256-{SCRIPT_HASH}'; base-uri 'none'; form-action 'none'\">\n\
         <meta name=\"referrer\" content=\"no-referrer\">\n\
         <meta name=\"viewport\" content=\"width=device-width\">\n\
         <title>Scan of {time}</title>\n<style>{STYLE}</style>\n<script>{SCRIPT}</script>\n</head>\n<body>\n\
         <header><h1>Scan report</h1><p>{time}, scanner {version}</p><p><code>{command}</code></p></header>\n\
         <table id=\"hosts\">\n<thead><tr><th>Address</th><th>Name</th><th>State</th><th class=\"n\">Open</th>\
         <th class=\"n\">Latency</th><th>Hardware</th><th>Reason</th></tr></thead>\n"
    )
}

fn host(report: &HostReport, style: Style) -> String {
    let mut text = String::from("<tbody><tr>");
    let ip = report.ip();
    let names: Vec<String> =
        report.given_name.iter().chain(&report.dns_name).chain(&report.other_dns_names).fold(
            Vec::new(),
            |mut names, name| {
                let name = text_of(name);
                if !names.contains(&name) {
                    names.push(name);
                }
                names
            },
        );
    let (state, why) = match &report.status {
        Some((HostStatus::Up, verdict)) => ("up", reason(verdict, ip)),
        Some((HostStatus::Down, verdict)) => ("down", reason(verdict, ip)),
        Some((_, verdict)) => ("unknown", reason(verdict, ip)),
        None => ("unknown", String::new()),
    };
    let (latency, latency_key) = match report.latency {
        Some(latency) => (format!("{} s", two_digits(latency.as_secs_f64())), latency.as_nanos().to_string()),
        None => (String::new(), String::new()),
    };
    let hardware = match (report.mac, report.vendor) {
        (Some(mac), Some(vendor)) => format!("{mac} ({vendor})"),
        (Some(mac), None) => mac.to_string(),
        (None, _) => String::new(),
    };
    let _ = writeln!(
        text,
        "<td data-key=\"{}\">{}</td><td>{}</td><td class=\"{state}\">{state}</td><td class=\"n\">{}</td>\
         <td class=\"n\" data-key=\"{latency_key}\">{latency}</td><td>{}</td><td>{}</td></tr>",
        order(ip),
        text_of(report.address),
        names.join("<br>"),
        report.ports.count(PortState::Open),
        text_of(hardware),
        text_of(why),
    );
    let details = details(report, style);
    if !details.is_empty() {
        let _ = writeln!(text, "<tr><td colspan=\"{COLUMNS}\">{details}</td></tr>");
    }
    text.push_str("</tbody>\n");
    text
}

/// A text by which addresses are put in their order.
fn order(ip: IpAddr) -> String {
    match ip {
        IpAddr::V4(ip) => format!("4{:08x}", ip.to_bits()),
        IpAddr::V6(ip) => format!("6{:032x}", ip.to_bits()),
    }
}

/// Everything about a host that has no column of its own: remarks, and its ports.
fn details(report: &HostReport, style: Style) -> String {
    let mut text = String::new();
    let mut remark = |line: &str| {
        let _ = writeln!(text, "<p>{}</p>", text_of(line));
    };
    if !report.other_addresses.is_empty() {
        let others: Vec<_> = report.other_addresses.iter().map(ToString::to_string).collect();
        remark(&format!("Other addresses of the name, not scanned: {}", others.join(" ")));
    }
    match report.ending {
        Ending::Complete => {}
        Ending::TimedOut => remark("Given up: its scan took longer than --host-timeout"),
        Ending::Interrupted => {
            let left = counted(report.ports_unfinished, "port has no result", "ports have no result");
            remark(&format!("Not finished: {left}"));
        }
    }
    limits(report).lines().for_each(&mut remark);
    if report.ports.is_empty() {
        return text;
    }
    let all = report.ports.sorted();
    let (hidden, shown) = split(&all, Fold::new(style.verbosity, style.debug, style.open_only));
    if !hidden.is_empty() {
        remark(&format!("Not shown: {}", not_shown(&hidden)));
    }
    if !shown.is_empty() {
        text.push_str(
            "<table><thead><tr><th class=\"n\">Port</th><th>Protocol</th><th>State</th><th>Service</th>\
             <th>Reason</th></tr></thead><tbody>\n",
        );
        for result in &shown {
            text.push_str(&port(result, report.ip()));
        }
        text.push_str("</tbody></table>");
    }
    text
}

fn port(PortResult { protocol, port, verdict }: &PortResult, target: IpAddr) -> String {
    let service = services::name(*port, *protocol).unwrap_or("unknown");
    let state = verdict.state.word();
    format!(
        "<tr><td class=\"n\">{port}</td><td>{protocol}</td><td class=\"{}\">{state}</td><td>{}</td><td>{}</td></tr>\n",
        state.replace('|', "-"),
        text_of(service),
        text_of(reason(verdict, target)),
    )
}

/// The end, after what was the last line.
fn end(lines: &[String]) -> String {
    let mut text = String::from("</table>\n<section id=\"summary\">");
    for line in lines {
        let _ = write!(text, "<p>{}</p>", text_of(line));
    }
    text.push_str("</section>\n</body>\n</html>\n");
    text
}

fn hosts_counted(hosts: u64, up: u64, open: usize) -> String {
    let s = if hosts == 1 { "" } else { "es" };
    format!("{hosts} IP address{s}, {up} up, {} down; open ports: {open}", hosts.saturating_sub(up))
}

/// What the page ends with while the scan goes on, and for good if it is killed.
fn cut_off(Counts { hosts, up, open }: Counts) -> String {
    let unfinished = "Not finished: this is what was known when the page was written.";
    end(&[hosts_counted(hosts, up, open), unfinished.to_owned()])
}

fn finished(summary: &Summary, open: usize) -> String {
    let mut lines = vec![
        hosts_counted(summary.hosts, summary.hosts_up, open),
        format!("Done at {}, in {:.2} seconds.", summary.file_time, summary.elapsed.as_secs_f64()),
    ];
    match summary.cut {
        Cut::Not => {}
        Cut::Interrupted => lines.push("Interrupted: this is what was known by then.".to_owned()),
        Cut::OutOfTime => {
            lines.push("Out of time (--max-runtime): this is what was known by then.".to_owned());
        }
    }
    if !summary.local_troubles.is_empty() && summary.unknown > 0 {
        lines.push(summary.trouble("on the machine that scanned"));
    }
    end(&lines)
}

#[cfg(test)]
mod tests;
