//! The one gate that every text of others passes on its way into a report: whatever names, banners and vendors hold, no
//! file breaks and no terminal is driven by it.

use std::borrow::Cow;
use std::io;

use super::{Consumer, HostReport, ScanEvent, Start};
use crate::escape::harmless;

/// Hands on events with everything unprintable in them escaped.
#[derive(Debug)]
#[expect(clippy::exhaustive_structs, reason = "a gate before a consumer, and nothing else")]
pub struct Harmless<C>(pub C);

impl<C: Consumer> Consumer for Harmless<C> {
    fn event(&mut self, event: ScanEvent<'_>) -> io::Result<()> {
        match event {
            ScanEvent::Host(report) => self.0.event(ScanEvent::Host(&clean_report(report))),
            ScanEvent::Up(report) => self.0.event(ScanEvent::Up(&clean_report(report))),
            ScanEvent::PhaseStarted { phase, hosts, only, probes_per_host } => {
                let only = only.map(clean_report);
                let only = only.as_deref();
                self.0.event(ScanEvent::PhaseStarted { phase, hosts, only, probes_per_host })
            }
            ScanEvent::Started(start) => self.0.event(ScanEvent::Started(&clean_start(start))),
            ScanEvent::Warning(text) => self.0.event(ScanEvent::Warning(&clean(text))),
            ScanEvent::Detail(text) => self.0.event(ScanEvent::Detail(&clean(text))),
            ScanEvent::Packet { line } => self.0.event(ScanEvent::Packet { line: &clean(line) }),
            ScanEvent::Connect { at, to, port, result } => {
                self.0.event(ScanEvent::Connect { at, to, port, result: &clean(result) })
            }
            other => self.0.event(other),
        }
    }
}

/// The text itself where it is harmless, as nearly all is.
fn clean(text: &str) -> Cow<'_, str> {
    if text.bytes().all(|byte| (b' '..=b'~').contains(&byte)) {
        return Cow::Borrowed(text);
    }
    Cow::Owned(harmless(text))
}

fn is_clean(text: &str) -> bool {
    matches!(clean(text), Cow::Borrowed(_))
}

fn clean_report(report: &HostReport) -> Cow<'_, HostReport> {
    let names = report.given_name.iter().chain(&report.dns_name).chain(&report.other_dns_names);
    if names.map(String::as_str).chain(report.vendor).all(is_clean) {
        return Cow::Borrowed(report);
    }
    let mut cleaned = report.clone();
    for name in [&mut cleaned.given_name, &mut cleaned.dns_name].into_iter().flatten() {
        *name = harmless(name);
    }
    for name in &mut cleaned.other_dns_names {
        *name = harmless(name);
    }
    // The registry is ours and checked by a test; a vendor that is not printable is none of it.
    cleaned.vendor = cleaned.vendor.filter(|vendor| is_clean(vendor) || harmless(vendor) == *vendor);
    Cow::Owned(cleaned)
}

fn clean_start(start: &Start) -> Cow<'_, Start> {
    if is_clean(&start.command) {
        return Cow::Borrowed(start);
    }
    let mut cleaned = start.clone();
    cleaned.command = harmless(&cleaned.command);
    Cow::Owned(cleaned)
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use proptest::prelude::*;

    use super::*;
    use crate::escape::escape;
    use crate::journal::{Record, read_xml};
    use crate::mac::MacAddress;
    use crate::plan::HostStatus;
    use crate::ports::Protocol;
    use crate::report::{Destination, Forward, Grepable, Ndjson, Normal, StatusLine, Style, Summary, Xml};
    use crate::target::Address;
    use crate::technique::Technique;
    use crate::verdict::{PortState, Reason, Verdict};

    /// What hosts and people may call themselves: markup, quotes, controls, marks of direction, and anything else.
    fn hostile() -> impl Strategy<Value = String> {
        let parts = [
            "<",
            ">",
            "&",
            "\"",
            "'",
            "--",
            "-->",
            "]]>",
            "<!ENTITY x SYSTEM \"file:///etc/passwd\">",
            "&x;",
            "</host>",
            "\n",
            "\r\n",
            "\t",
            "\0",
            "\x1b]0;owned\x07",
            "\x1b[2J",
            "\u{9b}31m",
            "\u{202e}",
            "\u{2028}",
            "\u{feff}",
            "\u{fffe}",
            "\\",
            "\\x1b",
            "}{",
            "\",\"type\":\"finish\"",
            "Host: 198.18.0.9",
            "caf\u{e9}",
            "(",
            ")",
            "#",
            "$(id)",
            "%s",
        ];
        let part = prop_oneof![proptest::sample::select(parts.to_vec()).prop_map(str::to_owned), ".{0,12}"];
        proptest::collection::vec(part, 0..8).prop_map(|parts| parts.concat())
    }

    /// Whether a text that is shown as it is could drive a terminal: escaping would change more than backslashes.
    fn drives_a_terminal(text: &str) -> bool {
        text.split(['\n', '\t']).any(|line| {
            let plain = line.replace('\\', "");
            crate::escape::Escaped::new(&plain).limit(usize::MAX).to_string() != plain
        })
    }

    fn report(names: &[String; 3], vendor: &'static str) -> HostReport {
        let mut report = HostReport::new(Address::new("198.18.0.1".parse().unwrap()));
        report.given_name = Some(names[0].clone());
        report.dns_name = Some(names[1].clone());
        report.other_dns_names = vec![names[2].clone()];
        report.status = Some((HostStatus::Up, Verdict::new(PortState::Unknown, Reason::ArpResponse)));
        report.mac = Some(MacAddress::new([2, 0, 0, 0, 0, 1]));
        report.vendor = Some(vendor);
        report.ports.add(Protocol::Tcp, 22, Verdict::new(PortState::Open, Reason::SynAck).with_ttl(64));
        report
    }

    /// Tells a scan of one host in which every text is hostile.
    fn tell(consumer: &mut dyn Consumer, names: &[String; 3], text: &str, report: &HostReport) {
        let mut start = Start::new(format!("scanner {text}"), String::new(), "now".to_owned(), 1);
        start.arguments = vec![text.into()];
        start.scans = vec![(Technique::Syn, "22".parse().unwrap())];
        let mut tell = |event: ScanEvent<'_>| consumer.event(event).unwrap();
        tell(ScanEvent::Started(&start));
        tell(ScanEvent::PhaseStarted {
            phase: crate::report::Phase::Names,
            hosts: 1,
            only: Some(report),
            probes_per_host: 1,
        });
        tell(ScanEvent::PhaseStarted {
            phase: crate::report::Phase::Ports(Technique::Syn),
            hosts: 1,
            only: Some(report),
            probes_per_host: 1,
        });
        tell(ScanEvent::Warning(text));
        tell(ScanEvent::Packet { line: text });
        let (at, to) = (Duration::ZERO, report.address);
        tell(ScanEvent::Connect { at, to, port: 22, result: &names[0] });
        tell(ScanEvent::Up(report));
        tell(ScanEvent::Host(report));
        tell(ScanEvent::Finished(&Summary { hosts: 1, hosts_up: 1, ..Summary::default() }));
    }

    proptest! {
        #[test]
        fn no_text_of_others_breaks_a_file_or_reaches_a_terminal(
            names in [hostile(), hostile(), hostile()],
            text in hostile(),
            vendor in hostile(),
        ) {
            let report = report(&names, Box::leak(vendor.into_boxed_str()));
            let style = Style { verbosity: 2, debug: 1, reasons: true, ..Style::default() };
            macro_rules! written_by {
                ($writer:ident => $consumer:expr) => {{
                    let mut bytes = Vec::new();
                    let $writer = &mut bytes;
                    tell(&mut Harmless($consumer), &names, &text, &report);
                    String::from_utf8(bytes).unwrap()
                }};
            }
            let plain = HostReport::new(report.address);
            let screen = written_by!(w => StatusLine::new(Normal::new(w, Destination::Screen, style), io::sink()));
            let file = written_by!(w => Normal::new(w, Destination::File, style));
            let grepable = written_by!(w => Grepable::new(w, style));
            let xml = written_by!(w => Xml::new(Forward(w), style));
            let journal = written_by!(w => Ndjson::new(w));
            for (form, text) in [&screen, &file, &grepable, &xml, &journal].into_iter().enumerate() {
                prop_assert!(!drives_a_terminal(text), "{}: {:?}", form, text);
            }
            // As many lines as there are without any names, so that none passes for another.
            prop_assert_eq!(screen.matches("\nScan report for ").count(), 1);
            prop_assert_eq!(grepable.lines().count(), 4);
            prop_assert_eq!(grepable.lines().filter(|line| line.starts_with("Host: 198.18.0.1 (")).count(), 2);
            let hosts = read_xml(xml.as_bytes());
            prop_assert!(hosts.is_ok(), "{:?} {}", hosts, xml);
            let hosts = hosts.unwrap();
            prop_assert_eq!(hosts.len(), 1);
            prop_assert!(hosts[&plain.address].names.contains(&harmless(&names[1])), "{:?}", hosts);
            let record = Record::read(journal.as_bytes()).unwrap();
            prop_assert!(record.unreadable.is_empty());
            let read: Vec<HostReport> = record.finished().collect();
            prop_assert_eq!(read.len(), 1);
            prop_assert_eq!(read[0].dns_name.clone(), Some(harmless(&names[1])));
            prop_assert_eq!(&record.start.arguments, &[std::ffi::OsString::from(&text)]);
        }

        #[test]
        fn what_was_escaped_before_stays_as_it_is(bytes: Vec<u8>) {
            let text = escape(&bytes);
            prop_assert_eq!(clean(&text), text.as_str());
        }
    }
}
