//! Names from the network: asked for where the user says, and never shown as they came.

use std::fs;
use std::net::{Ipv4Addr, SocketAddr};

use testkit::UdpServer;

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
