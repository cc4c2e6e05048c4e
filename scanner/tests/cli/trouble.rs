//! Trouble of this machine: it is overcome, or the ports it hides are `unknown` and the exit code is 3. It never turns
//! into a port state.

use std::net::{Ipv4Addr, TcpListener};
use std::process::Stdio;
use std::thread;
use std::time::Duration;

use rustix::process::{Pid, Resource, Rlimit, prlimit};
use testkit::need_tool;

use crate::network::{DROPPING, Network, PLAIN, SILENT};
use crate::support::{Run, finish, read_until, start};

/// Where the few source ports of these tests begin.
const FIRST_SOURCE_PORT: u16 = 40_000;

/// Every port of a list has this state and reason.
#[track_caller]
fn expect_ports(done: &Run, ports: impl IntoIterator<Item = u16>, state: &str, reason: &str) {
    for port in ports {
        assert_eq!(done.port(port), (state, reason.to_owned()), "port {port} in {done:#?}");
    }
}

#[test]
fn thirty_descriptors_are_enough_for_any_number_of_ports() {
    if !need_tool("prlimit") {
        return;
    }
    let Some(network) = Network::new("descriptors") else { return };
    let limited = |limit: u32, line: &str| {
        network.shell(&format!("exec prlimit --nofile={limit}:{limit} $SCANNER -n -sT -Pn {line}"))
    };
    let closed = limited(30, &format!("--reason -d3 -p22,101-400 {PLAIN}")).expect(0);
    expect_ports(&closed, [22], "open", "syn-ack");
    expect_ports(&closed, 101..=400, "closed", "conn-refused");
    let dropped = limited(30, &format!("-d3 -p22,81,101-140 {DROPPING}")).expect(0);
    expect_ports(&dropped, 101..=140, "filtered", "no-response");
    expect_ports(&dropped, [81], "closed", "conn-refused");

    // With names there are sockets of look-ups as well.
    let line = format!("exec prlimit --nofile=30:30 $SCANNER -sT -Pn -d3 -p22,101-200 {PLAIN} {DROPPING}");
    let named = network.shell(&line).expect(0);
    assert!(named.stdout.contains("Scan report for dropping.example (198.18.64.11)"), "{named:#?}");
}

#[test]
fn twelve_descriptors_are_few_and_six_are_none() {
    if !need_tool("prlimit") {
        return;
    }
    let Some(network) = Network::new("twelve") else { return };
    let few = network
        .shell(&format!("exec prlimit --nofile=12:12 $SCANNER -n -sT -Pn -p22,1-20 {PLAIN}"))
        .expect(0);
    expect_ports(&few, 1..=20, "closed", "");
    expect_ports(&few, [22], "open", "");
    // The original: "Socket creation in sendConnectScanProbe: Too many open files (24)", also with code 1.
    let none =
        network.shell(&format!("exec prlimit --nofile=6:6 $SCANNER -n -sT -Pn -p1-8 {PLAIN}")).expect(1);
    assert_eq!(none.stdout, "");
    assert_eq!(
        none.stderr,
        "scanner: cannot watch for signals: Too many open files (os error 24); \
         raise the limit of descriptors (ulimit -n)\n"
    );
}

#[test]
fn a_limit_that_falls_during_the_scan_only_slows_it_down() {
    let Some(network) = Network::new("falling") else { return };
    let line = format!("-n -sT -Pn -v -d3 --max-retries 0 --seed 1 -p22,1001-1060 {PLAIN} {SILENT}");
    let mut child = start(&mut network.scanner(&line), Stdio::null());
    let pid = Pid::from_child(&child);
    let before = read_until(&mut child, "198.18.64.13:1");
    let mut limit = Rlimit { current: Some(0), maximum: Some(4096) };
    // Nothing more can be opened for a while; then a few at a time.
    prlimit(Some(pid), Resource::Nofile, limit).unwrap();
    thread::sleep(Duration::from_millis(500));
    limit.current = Some(40);
    prlimit(Some(pid), Resource::Nofile, limit).unwrap();
    let mut done = finish(child).expect(0);
    done.stdout.insert_str(0, &before);
    let report = done.stdout.split_once("Scan report for 198.18.64.13").unwrap().1.to_owned();
    let silent = Run { stdout: report, ..done };
    expect_ports(&silent, (1001..=1060).chain([22]), "filtered", "no-response");
    assert!(silent.stdout.contains("Trouble on this machine: EMFILE "), "{silent:#?}");
    assert!(silent.stdout.contains("; 0 ports or hosts are unknown because of it."), "{silent:#?}");
}

#[test]
fn ten_source_ports_are_enough() {
    let Some(network) = Network::new("ten-ports") else { return };
    network.lab.set_scanner_ports(FIRST_SOURCE_PORT, FIRST_SOURCE_PORT + 9).unwrap();
    let done = network.scan(&format!("-n -sT -Pn --reason -d3 -p22,80,101-400 {PLAIN}")).expect(0);
    expect_ports(&done, 101..=400, "closed", "conn-refused");
    expect_ports(&done, [22, 80], "open", "syn-ack");
    let done = network.scan(&format!("-n -sT -Pn --reason -d3 -p22,101-160 {DROPPING}")).expect(0);
    expect_ports(&done, 101..=160, "filtered", "no-response");
    expect_ports(&done, [22], "open", "syn-ack");
}

/// Takes all of ten source ports away from the scanner, as bound ports are not given out.
fn hold_all_source_ports(network: &Network) -> Vec<TcpListener> {
    network.lab.set_scanner_ports(FIRST_SOURCE_PORT, FIRST_SOURCE_PORT + 9).unwrap();
    let hold = || {
        let ports = FIRST_SOURCE_PORT..FIRST_SOURCE_PORT + 10;
        ports.map(|port| TcpListener::bind((Ipv4Addr::UNSPECIFIED, port)).unwrap()).collect()
    };
    network.lab.in_scanner(hold).unwrap()
}

#[test]
fn without_any_source_port_nothing_is_known_of_any_port() {
    let Some(network) = Network::new("no-ports") else { return };
    let held = hold_all_source_ports(&network);
    let line = format!("-n -sT -Pn --reason -v -p22,80,101-103 {PLAIN}");
    let done = network.scan(&line).expect(3);
    expect_ports(&done, [22, 80, 101, 102, 103], "unknown", "local-EADDRNOTAVAIL");
    assert!(done.stdout.contains("Trouble on this machine: EADDRNOTAVAIL "), "{done:#?}");
    assert!(done.stdout.contains("; 5 ports or hosts are unknown because of it."), "{done:#?}");

    // The same, but the ports come back while the scan waits.
    let child = start(&mut network.scanner(&line), Stdio::null());
    thread::sleep(Duration::from_secs(1));
    drop(held);
    let done = finish(child).expect(0);
    expect_ports(&done, [22, 80], "open", "syn-ack");
    expect_ports(&done, 101..=103, "closed", "conn-refused");
    assert!(done.stdout.contains("EADDRNOTAVAIL") && done.stdout.contains("; 0 ports or hosts"), "{done:#?}");
}

#[test]
fn a_firewall_of_this_machine_is_not_an_answer_of_the_target() {
    let Some(network) = Network::new("firewall") else { return };
    network
        .lab
        .nft_scanner(
            "table inet local { chain output { type filter hook output priority 0;
               ip daddr 198.18.64.10 tcp dport 101 reject
               ip daddr 198.18.64.10 tcp dport 102 reject with icmp type admin-prohibited
               ip daddr 198.18.64.10 tcp dport 103 reject with icmp type net-prohibited
               ip daddr 198.18.64.10 tcp dport 104 drop
             }; }",
        )
        .unwrap();
    let line = format!("-n -sT -Pn --reason -p22,101-105 {PLAIN}");
    let done = network.scan(&line).expect(3);
    expect_ports(&done, [22], "open", "syn-ack");
    expect_ports(&done, [101], "unknown", "local-ECONNREFUSED");
    expect_ports(&done, [102], "unknown", "local-EHOSTUNREACH");
    expect_ports(&done, [103], "unknown", "local-ENETUNREACH");
    // Linux does not tell a connect that its segment was dropped on the way out: this is silence like any other.
    expect_ports(&done, [104], "filtered", "no-response");
    expect_ports(&done, [105], "closed", "conn-refused");
}

#[test]
fn name_servers_behind_a_local_firewall_cost_the_names_and_nothing_else() {
    let Some(network) = Network::new("no-dns") else { return };
    let rule =
        "table inet local { chain output { type filter hook output priority 0; udp dport 53 drop; }; }";
    network.lab.nft_scanner(rule).unwrap();
    let done = network.scan(&format!("-sT -Pn --packet-trace -p22,81 {PLAIN}")).expect(0);
    assert!(done.stdout.contains("Scan report for 198.18.64.10\n"), "{done:#?}");
    expect_ports(&done, [22], "open", "");
    assert!(done.stderr.contains("WRITE ERROR [Operation not permitted (1)]"), "{done:#?}");
}
