//! Journals written by a scan and read back, whole or cut off anywhere.

use std::collections::BTreeMap;
use std::time::Duration;

use proptest::prelude::*;

use super::*;
use crate::plan::{Ending, HostStatus};
use crate::ports::{PortSet, Protocol};
use crate::report::{Consumer, HostReport, Ndjson, PortProof, ScanEvent, Start, Summary};
use crate::target::Address;
use crate::technique::Technique;
use crate::verdict::{Errno, PortState, Reason, Verdict};

fn address(number: u8) -> Address {
    Address::new(std::net::Ipv4Addr::new(198, 18, 0, number).into())
}

fn start(ports: &str) -> Start {
    let mut start = Start::new("scanner x".to_owned(), String::new(), String::new(), 7);
    start.arguments = vec!["-sS".into(), "x".into()];
    start.options = vec![("targets".to_owned(), "1".to_owned())];
    start.scans = vec![(Technique::Syn, ports.parse().unwrap())];
    start
}

fn verdict(port: u16) -> Verdict {
    match port % 5 {
        0 => Verdict::new(PortState::Open, Reason::SynAck).with_ttl(64),
        1 => Verdict::new(PortState::Filtered, Reason::HostProhibited).from_sender(address(9).ip()),
        2 => Verdict::new(PortState::Filtered, Reason::NoResponse),
        3 => Verdict::new(PortState::Unknown, Reason::Local(Errno::EPERM)),
        _ => Verdict::new(PortState::Closed, Reason::Reset).with_ttl(63),
    }
}

/// The journal of hosts with these ports, the last of which is not finished.
fn journal(hosts: u8, ports: &[u16]) -> Vec<u8> {
    let mut text = Vec::new();
    let mut journal = Ndjson::new(&mut text);
    let mut tell = |event: ScanEvent<'_>| journal.event(event).unwrap();
    tell(ScanEvent::Started(&start("1-1000")));
    for number in 0..hosts {
        let mut report = HostReport::new(address(number));
        report.status = Some((HostStatus::Up, Verdict::new(PortState::Unknown, Reason::EchoReply)));
        tell(ScanEvent::Up(&report));
        for &port in ports {
            let proof =
                PortProof { verdict: verdict(port), tries: 1, round_trip: Some(Duration::from_micros(9)) };
            report.ports.add(Protocol::Tcp, port, proof.verdict);
            tell(ScanEvent::Port { address: report.address, protocol: Protocol::Tcp, port, proof });
        }
        if number + 1 < hosts {
            tell(ScanEvent::Host(&report));
        } else {
            tell(ScanEvent::Tick);
        }
    }
    text
}

fn ports_of(report: &HostReport) -> BTreeMap<u16, Verdict> {
    report.ports.sorted().iter().map(|result| (result.port, result.verdict)).collect()
}

#[test]
fn what_was_written_is_read_back() {
    let ports: Vec<u16> = (1..=300).collect();
    let bytes = journal(3, &ports);
    let record = Record::read(&bytes).unwrap();
    assert_eq!((record.finished_count(), record.partial.len(), record.whole), (2, 1, bytes.len()));
    let expected: BTreeMap<_, _> = ports.iter().map(|&port| (port, verdict(port))).collect();
    for report in record.finished().chain(record.unfinished()) {
        assert_eq!(ports_of(&report), expected);
        assert!(report.is_up());
    }
    let unfinished: Vec<_> = record.unfinished().collect();
    assert_eq!((unfinished[0].ending, unfinished[0].ports_unfinished), (Ending::Interrupted, 700));
    // Trouble of this machine is no knowledge.
    let known = record.known_ports(address(2), Protocol::Tcp);
    assert_eq!(known.len(), 240);
    assert!(!known.contains(3));
    assert_eq!(record.start.arguments, ["-sS", "x"]);
    assert_eq!(record.summary().hosts, 3);
}

#[test]
fn other_files_are_no_journals() {
    assert_eq!(Record::read(b"").err(), Some(NotAJournal::Empty));
    assert_eq!(Record::read(b"{\"type\":\"sta").err(), Some(NotAJournal::Empty));
    assert_eq!(Record::read(b"<xml/>\n").err(), Some(NotAJournal::FirstLine));
    let text = String::from_utf8(journal(1, &[1])).unwrap().replace("\"form\":2", "\"form\":77");
    assert_eq!(Record::read(text.as_bytes()).err(), Some(NotAJournal::Form(77)));
}

#[test]
fn a_run_that_went_on_counts_with_its_last_word() {
    let mut bytes = journal(2, &[22, 25]);
    let mut journal = Ndjson::continued(&mut bytes);
    journal.event(ScanEvent::Started(&start("1-1000"))).unwrap();
    let mut report = HostReport::new(address(1));
    report.status = Some((HostStatus::Up, Verdict::new(PortState::Unknown, Reason::EchoReply)));
    report.ports.add(Protocol::Tcp, 22, verdict(4));
    journal.event(ScanEvent::Host(&report)).unwrap();
    let summary = Summary { hosts: 2, ..Summary::default() };
    journal.event(ScanEvent::Finished(&summary)).unwrap();
    let record = Record::read(&bytes).unwrap();
    assert_eq!((record.finished_count(), record.partial.len()), (2, 0));
    assert_eq!(record.finish.as_ref().map(|finish| finish.hosts), Some(2));
    let last = record.finished().last().unwrap();
    assert_eq!(ports_of(&last), BTreeMap::from([(22, verdict(4))]));
}

#[test]
fn hosts_of_several_runs_are_put_together() {
    let (one, two) = (journal(3, &[20, 25]), journal(2, &[25, 30]));
    let merged = merge(&[Record::read(&one).unwrap(), Record::read(&two).unwrap()]);
    assert_eq!((merged.hosts.len(), merged.summary.hosts_up), (3, 3));
    assert_eq!(ports_of(&merged.hosts[0]).into_keys().collect::<Vec<_>>(), [20, 25, 30]);
    assert_eq!(ports_of(&merged.hosts[2]).into_keys().collect::<Vec<_>>(), [20, 25]);
}

#[test]
fn runs_differ_where_their_hosts_and_ports_do() {
    let observe = |bytes: &[u8]| -> BTreeMap<Address, Observed> {
        let record = Record::read(bytes).unwrap();
        record.finished().map(|host| (host.address, Observed::from(&host))).collect()
    };
    let (before, after) = (journal(3, &[20, 24]), journal(4, &[20, 29]));
    let (before, after) = (observe(&before), observe(&after));
    assert!(difference(&before, &before).is_empty());
    let found = difference(&before, &after);
    let text = found.text();
    assert_eq!(
        text.lines().next_back().map(|line| line.split_whitespace().collect::<Vec<_>>()),
        Some(vec!["+", "20/tcp", "open", "ftp-data"])
    );
    assert!(text.contains("+198.18.0.2 (up)\n") && text.contains("-  24/tcp closed"), "{text}");
    let json = found.json();
    assert_eq!((&json["same"], &json["hosts"][2]["change"]), (&false.into(), &"added".into()));
    assert_eq!(json["hosts"][0]["ports"][0]["before"], "closed");
}

#[test]
fn a_port_is_explained() {
    let bytes = journal(2, &[20, 22, 21, 23, 24]);
    let record = Record::read(&bytes).unwrap();
    let ask = |text: &str| explain(&record, &text.parse().unwrap());
    let open = ask("198.18.0.0:20").unwrap();
    assert!(open.starts_with("Port 20/tcp (ftp-data) of 198.18.0.0 is open.\n"), "{open}");
    for part in ["a TCP packet with SYN (-sS); 1 was sent", "after 0.009 ms", "ttl 64", "(echo-reply)"] {
        assert!(open.contains(part), "{part}: {open}");
    }
    assert!(ask("198.18.0.0:21").unwrap().contains("from 198.18.0.9"));
    assert!(ask("198.18.0.0:22").unwrap().contains("something drops the probes"));
    assert!(ask("198.18.0.0:23").unwrap().contains("EPERM"));
    assert!(ask("198.18.0.1:99").unwrap().contains("--resume"));
    assert!(ask("198.18.0.0:2000").unwrap_err().contains("not scanned"));
    assert!(ask("198.18.9.9:20").is_err());
    assert!("198.18.0.1".parse::<Question>().is_err() && ":22".parse::<Question>().is_err());
    assert_eq!("[fd00::1]:53/udp".parse::<Question>().unwrap().host, "fd00::1");
}

#[test]
fn the_original_xml_is_read_with_its_sums() {
    let text = "<?xml version=\"1.0\"?>\n<!DOCTYPE nmaprun>\n<nmaprun scanner=\"nmap\">\
        <scaninfo type=\"syn\" protocol=\"tcp\" numservices=\"3\" services=\"22,80-81\"/>\
        <host><status state=\"up\" reason=\"x\"/><address addr=\"198.18.0.1\" addrtype=\"ipv4\"/>\
        <hostnames><hostname name=\"a&#x1b;b\" type=\"PTR\"/></hostnames>\
        <ports><extraports state=\"closed\" count=\"2\"><extrareasons reason=\"reset\" count=\"2\"/></extraports>\
        <port protocol=\"tcp\" portid=\"22\"><state state=\"open\"/></port></ports></host></nmaprun>";
    let hosts = read_xml(text.as_bytes()).unwrap();
    let host = &hosts[&address(1)];
    let states: Vec<&str> = host.ports.values().map(String::as_str).collect();
    assert_eq!(states, ["open", "closed", "closed"]);
    assert_eq!(host.names.first().map(String::as_str), Some("a\\x1bb"));
    assert_eq!(read_xml(b"<a/>"), Err(NotNmapXml::OtherXml));
    assert!(matches!(read_xml(b"<nmaprun><host>"), Err(NotNmapXml::NotWellFormed(_))));
}

proptest! {
    #[test]
    fn a_journal_cut_off_anywhere_is_read_to_its_last_whole_line(
        ports in proptest::collection::btree_set(1u16..1000, 0..40),
        cut in 0usize..6000,
    ) {
        let ports: Vec<u16> = ports.into_iter().collect();
        let bytes = journal(3, &ports);
        let bytes = &bytes[..cut.min(bytes.len())];
        match Record::read(bytes) {
            Err(why) => prop_assert_eq!(why, NotAJournal::Empty),
            Ok(record) => {
                prop_assert!(record.unreadable.is_empty());
                for report in record.finished() {
                    prop_assert_eq!(report.ports.len(), ports.len());
                }
                for report in record.unfinished() {
                    for (port, found) in ports_of(&report) {
                        prop_assert_eq!(found, verdict(port));
                    }
                }
            }
        }
    }

    #[test]
    fn no_text_makes_a_reader_panic(text: Vec<u8>, line in "\\{\"type\":\"(start|host|ports|up|finish)\",.{0,60}\\}") {
        let _ = Record::read(&text);
        let mut bytes = journal(1, &[5]);
        bytes.extend_from_slice(line.as_bytes());
        bytes.push(b'\n');
        prop_assert!(Record::read(&bytes).is_ok());
        let _ = read_xml(&text);
        let _ = read_xml(line.as_bytes());
    }

    #[test]
    fn ranges_of_any_kind_are_read_or_refused(text in "[0-9,-]{0,20}") {
        let _ = text.parse::<PortSet>();
    }
}
