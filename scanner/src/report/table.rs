//! The port table, and which states are only counted.

use std::cmp::Reverse;
use std::collections::BTreeMap;
use std::fmt::Write;
use std::net::IpAddr;

use super::{Palette, PortResult, PortResults};
use crate::ports::Protocol;
use crate::services;
use crate::verdict::{PortState, Verdict};

/// Which states are folded into a count.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum Fold {
    /// States that more ports have than this.
    Above(usize),
    /// All but those that are, or may be, open (`--open`).
    AllButOpen,
    /// None (`-d3`).
    Nothing,
}

impl Fold {
    /// What the levels of `-v` and `-d` and `--open` come to (spec 2.4).
    #[must_use]
    pub fn new(verbosity: u8, debug: u8, open_only: bool) -> Self {
        match (verbosity, debug) {
            (_, 3..) => Self::Nothing,
            _ if open_only => Self::AllButOpen,
            (0, 0) => Self::Above(25),
            (verbosity, debug) => Self::Above(25 * (usize::from(verbosity) + 1 + 20 * usize::from(debug))),
        }
    }

    fn folds(self, state: PortState, count: usize) -> bool {
        match self {
            _ if state == PortState::Open => false,
            Self::Above(most) => count > most,
            Self::AllButOpen => !matches!(state, PortState::OpenFiltered | PortState::Unfiltered),
            Self::Nothing => false,
        }
    }
}

/// Writes what a report says of the ports of a host: the line of counts, and the table.
#[must_use]
pub fn port_table(
    results: &PortResults,
    title: &str,
    target: IpAddr,
    fold: Fold,
    reasons: bool,
    palette: Palette,
) -> String {
    let ports = results.sorted();
    let (hidden, shown) = split(&ports, fold);
    let mut text = String::new();
    if shown.is_empty() {
        let (count, noun) = (ports.len(), if ports.len() == 1 { "port" } else { "ports" });
        let verb = if ports.len() == 1 { "is" } else { "are" };
        let _ = writeln!(text, "All {count} scanned {noun} on {title} {verb} in ignored states.");
    }
    if hidden.is_empty() {
        text.push('\n');
    } else {
        let _ = writeln!(text, "Not shown: {}", not_shown(&hidden));
    }
    if !shown.is_empty() {
        text.push_str(&table(&shown, target, reasons, palette));
    }
    text
}

/// The results of states that are only counted, and the others.
pub(super) fn split(ports: &[PortResult], fold: Fold) -> (Vec<PortResult>, Vec<PortResult>) {
    let mut counts: BTreeMap<PortState, usize> = BTreeMap::new();
    for result in ports {
        *counts.entry(result.verdict.state).or_default() += 1;
    }
    let folded = |state: PortState| fold.folds(state, counts.get(&state).copied().unwrap_or(0));
    ports.iter().copied().partition(|result| folded(result.verdict.state))
}

/// `98 filtered tcp ports (no-response), 59 closed tcp ports (conn-refused)`: states by falling count, and in a state the
/// reasons by falling count.
pub(super) fn not_shown(hidden: &[PortResult]) -> String {
    let mut states: BTreeMap<PortState, BTreeMap<(String, Protocol), usize>> = BTreeMap::new();
    for PortResult { protocol, verdict, .. } in hidden {
        let kind = (verdict.reason.to_string(), *protocol);
        *states.entry(verdict.state).or_default().entry(kind).or_default() += 1;
    }
    let mut states: Vec<_> = states.into_iter().collect();
    states.sort_by_key(|(_, reasons)| Reverse(reasons.values().sum::<usize>()));
    let mut items = Vec::new();
    for (state, reasons) in states {
        let mut reasons: Vec<_> = reasons.into_iter().collect();
        reasons.sort_by_key(|(_, count)| Reverse(*count));
        for ((reason, protocol), count) in reasons {
            let noun = if count == 1 { "port" } else { "ports" };
            items.push(format!("{count} {state} {protocol} {noun} ({reason})"));
        }
    }
    items.join(", ")
}

/// The table, in columns as wide as their widest cell. A report may have millions of rows, so no cell is a string.
fn table(ports: &[PortResult], target: IpAddr, reasons: bool, palette: Palette) -> String {
    let service = |result: &PortResult| services::name(result.port, result.protocol).unwrap_or("unknown");
    let (mut ports_width, mut states_width, mut services_width) =
        ("PORT".len(), "STATE".len(), "SERVICE".len());
    for result in ports {
        let digits = result.port.checked_ilog10().unwrap_or(0) as usize + 1;
        ports_width = ports_width.max(digits + 1 + result.protocol.name().len());
        states_width = states_width.max(result.verdict.state.word().len());
        services_width = services_width.max(service(result).len());
    }
    let mut text =
        String::with_capacity((ports.len() + 1) * (ports_width + states_width + services_width + 3));
    let end = if reasons { " REASON" } else { "" };
    let _ = write!(text, "{:ports_width$} {:states_width$} ", "PORT", "STATE");
    last_cell(&mut text, "SERVICE", services_width, end);
    for result in ports {
        let (port, state, name) = (result.port, result.verdict.state, result.protocol.name());
        let digits = port.checked_ilog10().unwrap_or(0) as usize + 1;
        let _ = write!(text, "{port}/{name:0$} ", ports_width - digits - 1);
        // What colors a cell has no width.
        let (word, blanks) = (state.word(), states_width - state.word().len());
        let _ = write!(text, "{}{:blanks$} ", palette.state(state, word), "");
        let reason = if reasons { format!(" {}", reason(&result.verdict, target)) } else { String::new() };
        last_cell(&mut text, service(result), services_width, &reason);
    }
    text
}

/// Writes the service and what follows it; where nothing does, no blanks do either.
fn last_cell(text: &mut String, service: &str, width: usize, end: &str) {
    let _ = match end {
        "" => writeln!(text, "{service}"),
        end => writeln!(text, "{service:width$}{end}"),
    };
}

/// Lays rows out in columns as wide as their widest cell, with one blank between them and none at the end of a line.
#[must_use]
pub fn align(rows: Vec<Vec<String>>) -> String {
    let widths: Vec<usize> = (0..rows.first().map_or(0, Vec::len))
        .map(|column| {
            rows.iter().map(|row| row.get(column).map_or(0, |cell| cell.chars().count())).max().unwrap_or(0)
        })
        .collect();
    let mut text = String::new();
    for row in rows {
        let cells: Vec<_> = row.iter().zip(&widths).map(|(cell, &width)| format!("{cell:width$}")).collect();
        text.push_str(cells.join(" ").trim_end());
        text.push('\n');
    }
    text
}

/// The reason, who gave it if that was not the target, and the time to live if it is known.
pub(super) fn reason(verdict: &Verdict, target: IpAddr) -> String {
    let mut text = verdict.reason.to_string();
    if let Some(from) = verdict.from.filter(|&from| from != target) {
        let _ = write!(text, " from {from}");
    }
    if let Some(ttl) = verdict.ttl {
        let _ = write!(text, " ttl {ttl}");
    }
    text
}

#[cfg(test)]
mod tests {
    use std::net::Ipv4Addr;

    use super::*;
    use crate::verdict::Reason;

    const TARGET: IpAddr = IpAddr::V4(Ipv4Addr::new(198, 18, 64, 10));

    fn results(ports: impl IntoIterator<Item = (u16, PortState, Reason)>) -> PortResults {
        let mut results = PortResults::default();
        for (port, state, reason) in ports {
            results.add(Protocol::Tcp, port, Verdict::new(state, reason));
        }
        results
    }

    #[test]
    fn columns_are_as_wide_as_their_widest_cell() {
        let results =
            results([(8080, PortState::Filtered, Reason::NoResponse), (22, PortState::Open, Reason::SynAck)]);
        let text = port_table(&results, "198.18.64.10", TARGET, Fold::new(0, 0, false), true, Palette::Plain);
        let expected = "\n\
            PORT     STATE    SERVICE    REASON\n\
            22/tcp   open     ssh        syn-ack\n\
            8080/tcp filtered http-proxy no-response\n";
        assert_eq!(text, expected);
    }

    #[test]
    fn colors_take_no_room() {
        let results =
            results([(22, PortState::Open, Reason::SynAck), (8080, PortState::Filtered, Reason::NoResponse)]);
        let fold = Fold::new(0, 0, false);
        let plain = port_table(&results, "198.18.64.10", TARGET, fold, true, Palette::Plain);
        let colored = port_table(&results, "198.18.64.10", TARGET, fold, true, Palette::Colored);
        assert!(colored.contains("22/tcp   \x1b[1m\x1b[32mopen\x1b[0m     ssh"), "{colored:?}");
        assert_eq!(without_escapes(&colored), plain);
    }

    fn without_escapes(text: &str) -> String {
        let mut parts = text.split("\x1b[");
        let first = parts.next().unwrap().to_owned();
        parts.fold(first, |text, part| text + part.split_once('m').unwrap().1)
    }

    #[test]
    fn many_ports_of_one_state_are_counted_by_reason() {
        let many = (1..=164).map(|port| (port, PortState::Filtered, Reason::HostProhibited));
        let more = (165..=198).map(|port| (port, PortState::Filtered, Reason::NoResponse));
        let open = [(200, PortState::Open, Reason::SynAck)];
        let results = results(many.chain(more).chain(open));
        let text =
            port_table(&results, "198.18.64.10", TARGET, Fold::new(0, 0, false), false, Palette::Plain);
        let first = text.lines().next().unwrap();
        assert_eq!(
            first,
            "Not shown: 164 filtered tcp ports (host-prohibited), 34 filtered tcp ports (no-response)"
        );
        assert_eq!(text.lines().count(), 3);
    }

    #[test]
    fn local_trouble_keeps_its_errno_when_it_is_only_counted() {
        let results = results(
            (1..=100).map(|port| (port, PortState::Unknown, Reason::Local(crate::verdict::Errno::EMFILE))),
        );
        let text =
            port_table(&results, "198.18.64.10", TARGET, Fold::new(0, 0, false), false, Palette::Plain);
        assert!(text.ends_with("Not shown: 100 unknown tcp ports (local-EMFILE)\n"), "{text}");
    }

    #[test]
    fn all_ports_in_ignored_states() {
        let results = results((1000..=1100).map(|port| (port, PortState::Closed, Reason::ConnRefused)));
        let text =
            port_table(&results, "198.18.64.10", TARGET, Fold::new(0, 0, false), false, Palette::Plain);
        let expected = "All 101 scanned ports on 198.18.64.10 are in ignored states.\n\
            Not shown: 101 closed tcp ports (conn-refused)\n";
        assert_eq!(text, expected);
    }

    #[test]
    fn what_is_folded_depends_on_the_levels() {
        assert_eq!(Fold::new(0, 0, false), Fold::Above(25));
        assert_eq!(Fold::new(1, 0, false), Fold::Above(50));
        assert_eq!(Fold::new(1, 1, false), Fold::Above(550));
        assert_eq!(Fold::new(3, 3, false), Fold::Nothing);
        assert_eq!(Fold::new(0, 0, true), Fold::AllButOpen);
    }
}
