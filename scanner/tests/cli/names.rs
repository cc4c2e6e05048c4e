//! Names from the network: asked for where the user says, and never shown as they came.

use std::collections::BTreeSet;
use std::fs;
use std::net::{Ipv4Addr, Ipv6Addr, SocketAddr};
use std::sync::{Arc, Mutex};

use testkit::{DnsAnswer, DnsConditions, DnsResponder, UdpServer, dns_name};

use crate::network::{Network, PLAIN};
use crate::support::{Run, scanner};

/// A server that calls every address by these labels.
fn liar(at: SocketAddr, labels: &'static [&'static [u8]]) -> UdpServer {
    UdpServer::start_at(at, move |query, _| {
        let mut answer = query[..testkit::question_end(query).unwrap()].to_vec();
        (answer[2], answer[3], answer[7], answer[11]) = (0x81, 0x80, 1, 0);
        let mut name: Vec<u8> = labels
            .iter()
            .flat_map(|label| [&[u8::try_from(label.len()).unwrap()], *label].concat())
            .collect();
        name.push(0);
        answer.extend_from_slice(b"\xc0\x0c\x00\x0c\x00\x01\x00\x00\x00\x3c");
        answer.extend_from_slice(&u16::try_from(name.len()).unwrap().to_be_bytes());
        answer.extend_from_slice(&name);
        vec![answer]
    })
    .unwrap()
}

/// Escape sequences, a right-to-left override, markup, an inner dot, a NUL and a line feed.
const HOSTILE: &[&[u8]] = &[
    b"\x1b[31mred\x1b]0;title\x07",
    "a\u{202e}b".as_bytes(),
    b"<script>&\"'",
    b"in.ner\0\r\nfake",
    b"\x9b2J",
    b"test",
];

/// Nothing but printable ASCII.
#[track_caller]
fn expect_harmless(text: &str) {
    for char in text.chars() {
        assert!(char == '\n' || char == ' ' || char.is_ascii_graphic(), "{char:?} in {text:?}");
    }
    for raw in ["<script>", "&\"'", "in.ner"] {
        // Payloads in the trace show printable bytes as they are; no report does.
        let shown = text.lines().filter(|line| !line.contains(" bytes): ")).any(|line| line.contains(raw));
        assert!(!shown, "{raw:?} in {text:?}");
    }
}

#[track_caller]
fn expect_all_harmless(done: &Run, file: &str) {
    expect_harmless(&done.stdout);
    expect_harmless(&done.stderr);
    expect_harmless(file);
}

#[test]
fn a_hostile_name_reaches_neither_terminal_nor_file() {
    let server = liar(testkit::LOOPBACK_V4, HOSTILE);
    let servers = server.address().to_string();
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("report");
    let file = path.to_str().unwrap();
    // The hosts file of the machine knows 127.0.0.1, but hardly this one.
    let arguments =
        ["-Pn", "-p1", "-d3", "--packet-trace=all", "--dns-servers", &servers, "-oN", file, "127.77.0.9"];
    let done = scanner(arguments).expect(0);
    expect_all_harmless(&done, &fs::read_to_string(&path).unwrap());
    assert!(done.stdout.contains("Scan report for **31mred**0*title*."), "{done:#?}");
    assert!(done.stdout.contains(" (127.77.0.9)\n"), "{done:#?}");
    assert!(server.received() > 0);
}

#[test]
fn a_hostile_name_by_way_of_the_system_is_as_harmless() {
    let Some(network) = Network::new("hostile-system") else { return };
    // The real server has port 53 of all addresses.
    let at = (Ipv4Addr::UNSPECIFIED, 5353).into();
    let server = network.lab.in_target(|| liar(at, HOSTILE)).unwrap();
    let redirect = "table ip names { chain input { type nat hook prerouting priority -100; \
                    udp dport 53 redirect to :5353; }; }";
    network.lab.nft_target(redirect).unwrap();
    network
        .lab
        .set_scanner_file("resolv.conf", "nameserver 198.18.64.11\noptions timeout:1 attempts:1\n")
        .unwrap();
    let done = network.scan(&format!("-Pn --system-dns -p22 {PLAIN}")).expect(0);
    expect_all_harmless(&done, "");
    assert_eq!(done.port(22).0, "open");
    assert!(server.received() > 0, "the system has asked");
}

#[test]
fn a_server_may_be_given_with_its_port() {
    let server = liar(testkit::LOOPBACK_V4, &[b"named", b"example"]);
    let servers = server.address().to_string();
    let done = scanner(["-Pn", "-p1", "--dns-servers", &servers, "127.77.0.9"]).expect(0);
    assert!(done.stdout.contains("Scan report for named.example (127.77.0.9)\n"), "{done:#?}");
    assert_eq!(server.received(), 1);
    let done = scanner(["-n", "-Pn", "-p1", "--dns-servers", &servers, "127.77.0.9"]).expect(0);
    assert!(done.stdout.contains("Scan report for 127.77.0.9\n"), "{done:#?}");
    assert_eq!(server.received(), 1, "-n asks nobody");
}

#[test]
fn d01_a_server_that_is_not_there_is_told_once_and_costs_the_scan_nothing() {
    let closed = testkit::closed_port().unwrap();
    let servers = closed.address().to_string();
    let done = scanner(["-sL", "--dns-servers", &servers, "198.18.0.0/26"]).expect(0);
    assert_eq!(done.stdout.matches("Scan report for 198.18.0.").count(), 64);
    let line = "scanner: WARNING: names are missing: no DNS server can be reached: Connection refused (os error 111)\n";
    assert_eq!(done.stderr, line);
}

#[test]
fn d10_every_address_of_a_name_is_scanned_where_that_is_asked_for() {
    // 127.0.0.8 and .9 for A, ::1 for AAAA.
    let server = UdpServer::start(|query, _| {
        let end = testkit::question_end(query).unwrap();
        let answer = DnsAnswer::to(query);
        vec![match query[end - 3] {
            1 => answer
                .record(&[0xc0, 12], 1, 60, &[127, 0, 0, 8])
                .record(&[0xc0, 12], 1, 60, &[127, 0, 0, 9])
                .done(),
            28 => answer.record(&[0xc0, 12], 28, 60, &Ipv6Addr::LOCALHOST.octets()).done(),
            _ => answer.code(3).done(),
        }]
    })
    .unwrap();
    let servers = server.address().to_string();
    let scan = |options: &[&str]| {
        let common = ["-n", "-Pn", "-p1", "--dns-servers", &servers, "both.example"];
        scanner(options.iter().copied().chain(common)).expect(0)
    };
    let first = scan(&["-4"]);
    assert!(first.stdout.contains("Scan report for both.example (127.0.0.8)\n"), "{first:#?}");
    assert!(
        first.stdout.contains("Other addresses for both.example (not scanned): 127.0.0.9 ::1\n"),
        "{first:#?}"
    );
    assert!(!first.stdout.contains("both.example (127.0.0.9)"), "{first:#?}");
    let all = scan(&["--resolve-all"]);
    for address in ["127.0.0.8", "127.0.0.9", "::1"] {
        assert!(all.stdout.contains(&format!("Scan report for both.example ({address})\n")), "{all:#?}");
    }
    assert!(!all.stdout.contains("not scanned"), "{all:#?}");
}

#[test]
fn d11_a_final_dot_and_another_script_are_looked_up_as_what_they_mean() {
    let asked = Arc::new(Mutex::new(BTreeSet::new()));
    let seen = Arc::clone(&asked);
    let server = UdpServer::start(move |query, _| {
        let end = testkit::question_end(query).unwrap();
        seen.lock().unwrap().insert(query[12..end - 4].to_ascii_lowercase());
        let answer = DnsAnswer::to(query);
        vec![if query[end - 3] == 1 {
            answer.record(&[0xc0, 12], 1, 60, &[127, 0, 0, 8]).done()
        } else {
            answer.done()
        }]
    })
    .unwrap();
    let servers = server.address().to_string();
    for name in ["two.example.", "B\u{fc}cher.example"] {
        scanner(["-n", "-Pn", "-p1", "--dns-servers", &servers, name]).expect(0);
    }
    let asked = asked.lock().unwrap().clone();
    let expected = [dns_name(&[b"two", b"example"]), dns_name(&[b"xn--bcher-kva", b"example"])];
    assert_eq!(asked, expected.into());
}

#[test]
fn d18_the_debug_lines_say_who_said_what_and_the_last_line_counts_all() {
    let server = DnsResponder::start_at(testkit::LOOPBACK_V4, DnsConditions::default()).unwrap();
    let servers = server.address().to_string();
    let done = scanner(["-sL", "-d", "--dns-servers", &servers, "198.18.0.0/28"]).expect(0);
    let line = format!("DNS: 198.18.0.5 is h5-0-18-198.example ({servers}, 1 try, ");
    let found = done.stdout.lines().find(|found| found.starts_with(&line)).expect(&done.stdout);
    assert!(found.ends_with(" ms, NOERROR, for 3600 s)"), "{found}");
    let sum = done.stdout.lines().find(|line| line.starts_with("mass_dns: ")).expect(&done.stdout);
    assert!(sum.ends_with(" 16/16 [#: 1, OK: 16, NX: 0, DR: 0, SF: 0, TR: 16, SY: 0]"), "{sum}");
}

#[test]
fn d23_a_server_that_cannot_be_used_ends_the_run_and_nobody_else_is_asked() {
    let done = scanner(["-sL", "--dns-servers", "no.such.server.invalid", "127.77.0.9"]).expect(1);
    assert!(done.stdout.is_empty(), "{done:#?}");
    assert!(done.stderr.starts_with("scanner: --dns-servers: no.such.server.invalid:53: "), "{done:#?}");
}

#[test]
fn d26_any_number_of_bad_names_leaves_the_good_ones_to_be_scanned() {
    let server = UdpServer::start(|query, _| vec![DnsAnswer::to(query).code(3).done()]).unwrap();
    let servers = server.address().to_string();
    let folder = tempfile::tempdir().unwrap();
    let list = folder.path().join("list");
    let names: String = (0..4_100).map(|index| format!("bad{index}.example\n")).collect();
    fs::write(&list, names + "127.0.0.1\n").unwrap();
    let list = list.to_str().unwrap();
    let done = scanner(["-n", "-sL", "--dns-servers", &servers, "-iL", list]).expect(3);
    assert!(done.stdout.contains("Scan report for 127.0.0.1\n"), "{done:#?}");
}

#[test]
fn d27_where_no_host_is_up_no_names_are_looked_up_and_nothing_is_said_of_it() {
    let Some(network) = Network::new("name-nobody") else { return };
    let done = network.scan("--unprivileged -v -p22 198.18.64.13").expect(0);
    assert!(!done.stdout.contains("DNS"), "{done:#?}");
}

#[test]
fn d30_without_a_server_it_says_what_to_do_and_scans() {
    let Some(network) = Network::new("name-no-server") else { return };
    network.lab.set_scanner_file("resolv.conf", "# nothing\n").unwrap();
    let done = network.scan(&format!("-Pn -p22 {PLAIN}")).expect(0);
    assert_eq!(done.port(22).0, "open");
    let warning = "scanner: WARNING: only the hosts file is asked for names: /etc/resolv.conf names no server; name \
                   servers with --dns-servers, or use -n or --system-dns\n";
    assert_eq!(done.stderr, warning);
}

#[test]
fn all_names_of_an_address_are_in_the_files() {
    let server = UdpServer::start(|query, _| {
        vec![DnsAnswer::to(query).pointer("b.example").pointer("a.example").pointer("c.example").done()]
    })
    .unwrap();
    let servers = server.address().to_string();
    let list = |option: &str| {
        scanner(["-sL", "-v0", "--dns-servers", &servers, option, "-", "198.18.0.1"]).expect(0).stdout
    };
    let xml = list("-oX");
    for name in ["a.example", "b.example", "c.example"] {
        assert!(xml.contains(&format!("<hostname name=\"{name}\" type=\"PTR\"/>")), "{xml}");
    }
    let json = list("-oJ");
    assert!(json.contains(r#""dns_name":"a.example","other_dns_names":["b.example","c.example"]"#), "{json}");
}

#[test]
fn a_server_may_be_asked_by_tcp_and_no_faster_than_is_said() {
    let Some(network) = Network::new("name-tcp") else { return };
    let refuse =
        "table inet names { chain input { type filter hook input priority 0; udp dport 53 drop; }; }";
    network.lab.nft_target(refuse).unwrap();
    let done = network.scan(&format!("-Pn -p22 -d --dns-servers tcp://198.18.64.10 {PLAIN}")).expect(0);
    assert!(done.stdout.contains("Scan report for plain.example (198.18.64.10)\n"), "{done:#?}");
    let server = DnsResponder::start_at(testkit::LOOPBACK_V4, DnsConditions::default()).unwrap();
    let servers = server.address().to_string();
    let options = ["-sL", "-d", "--dns-max-rate", "50", "--dns-servers", &servers, "198.18.0.0/27"];
    let done = scanner(options).expect(0);
    let sum = done.stdout.lines().find(|line| line.starts_with("mass_dns: ")).expect(&done.stdout);
    let seconds: f64 = sum["mass_dns: ".len()..].split('s').next().unwrap().parse().unwrap();
    assert!(sum.contains(" 32/32 ") && seconds >= 31.0 / 50.0 - 0.01, "{sum}");
}

#[test]
fn names_of_the_configured_server_of_the_system_and_of_the_hosts_file() {
    let Some(network) = Network::new("name-sources") else { return };
    for options in ["", "--system-dns", "--dns-servers 198.18.64.11", "--dns-servers 198.18.64.12:53"] {
        let done = network.scan(&format!("-Pn -p22 {options} {PLAIN}")).expect(0);
        assert!(
            done.stdout.contains("Scan report for plain.example (198.18.64.10)\n"),
            "{options}: {done:#?}"
        );
    }
    let named = network.scan("-Pn -p22 plain.example").expect(0);
    assert!(named.stdout.contains("Scan report for plain.example (198.18.64.10)\n"), "{named:#?}");
    network.lab.set_scanner_file("hosts", "198.18.64.10 from.hosts\n").unwrap();
    for options in ["", "--system-dns"] {
        let done = network.scan(&format!("-Pn -p22 {options} {PLAIN}")).expect(0);
        assert!(done.stdout.contains("Scan report for from.hosts (198.18.64.10)\n"), "{options}: {done:#?}");
    }
    let named = network.scan("-Pn -p22 from.hosts").expect(0);
    assert_eq!(named.port(22).0, "open");
}

#[test]
fn names_of_all_hosts_or_only_of_those_that_are_up() {
    let Some(network) = Network::new("name-whose") else { return };
    let up = network.scan(&format!("--unprivileged -v -p22 {PLAIN} 198.18.64.13")).expect(0);
    assert!(up.stdout.contains("Scan report for 198.18.64.13 [host down]\n"), "{up:#?}");
    let all = network.scan(&format!("--unprivileged -R -p22 {PLAIN} 198.18.64.13")).expect(0);
    assert!(all.stdout.contains("Scan report for silent.example (198.18.64.13) [host down]\n"), "{all:#?}");
}
