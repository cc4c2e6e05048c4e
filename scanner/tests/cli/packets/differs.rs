//! Where a scan by packets is meant to differ from the original.

use testkit::{FAR_V4, TcpEcho};

use super::{ABSENT, Wire};
use crate::network::{PLAIN, REJECTING};

#[test]
fn on_loopback_our_own_probes_are_not_shown_as_received() {
    let Some(wire) = Wire::new("packets-loopback") else { return };
    let address = ([127, 0, 0, 1], 22).into();
    let _open = wire.network.lab.in_scanner(|| TcpEcho::start_at(address, None)).unwrap().unwrap();
    let done = wire.network.scan("-n -sS -p22,81 --reason --packet-trace 127.0.0.1").expect(0);
    assert_eq!(done.port(22), ("open", "syn-ack ttl 64".into()));
    assert_eq!(done.port(81), ("closed", "reset ttl 64".into()));
    assert!(done.stdout.contains("Host is up, received localhost-response"), "{done:#?}");
    let packets = |start: &str| done.stdout.lines().filter(|line| line.starts_with(start)).count();
    // The reference has each of the two probes as received too.
    assert_eq!((packets("SENT ("), packets("RCVD (")), (2, 2), "{done:#?}");
}

#[test]
fn with_pn_no_host_is_down() {
    let Some(wire) = Wire::new("packets-pn") else { return };
    let done = wire.network.scan(&format!("-n -sS -Pn -p80 --reason {ABSENT}")).expect(0);
    assert!(done.stdout.contains("Host is up, received user-set.\n"), "{done:#?}");
    assert_eq!(done.port(80).0, "filtered");
}

#[test]
fn a_router_that_prohibits_is_believed_and_named() {
    let Some(wire) = Wire::new("packets-prohibits") else { return };
    let done = wire.network.scan(&format!("-n -sn -v --reason {}", FAR_V4[2])).expect(0);
    // The router names itself by its first address.
    let expected =
        format!("Scan report for {} [host down, received admin-prohibited from {PLAIN} ttl 64]\n", FAR_V4[2]);
    assert!(done.stdout.contains(&expected), "{done:#?}");
}

#[test]
fn no_route_and_a_local_firewall_are_trouble_of_this_machine() {
    let Some(wire) = Wire::new("packets-trouble") else { return };
    let network = &wire.network;
    network.lab.ip_scanner("route add unreachable 198.19.200.0/24").unwrap();
    let done = network.scan("-n -sS -Pn -p80,81 --reason 198.19.200.1").expect(3);
    for port in [80, 81] {
        assert_eq!(done.port(port), ("unknown", "local-EHOSTUNREACH".into()), "{done:#?}");
    }
    let done = network.scan("-n -sn --reason 198.19.200.1").expect(3);
    assert!(done.stdout.contains("Host status is unknown, received local-EHOSTUNREACH"), "{done:#?}");

    // Frames pass the firewall by, packets do not.
    network
        .lab
        .nft_scanner(&format!(
            "table inet t {{ chain c {{ type filter hook output priority 0; ip daddr {PLAIN} tcp dport 81 drop; }}; }}"
        ))
        .unwrap();
    let done = network.scan(&format!("-n -sS -Pn --send-ip -p22,81 --reason {PLAIN}")).expect(3);
    assert_eq!(done.port(22), ("open", "syn-ack ttl 64".into()), "{done:#?}");
    assert_eq!(done.port(81), ("unknown", "local-EPERM".into()), "{done:#?}");
    let done = network.scan(&format!("-n -sS -Pn -p22,81 --reason {PLAIN}")).expect(0);
    assert_eq!(done.port(81), ("closed", "reset ttl 64".into()), "{done:#?}");
}

#[test]
fn two_techniques_are_one_report() {
    let Some(wire) = Wire::new("packets-two") else { return };
    let done = wire.network.scan(&format!("-n -sS -sU -p T:22,81,U:10000 --reason {PLAIN}")).expect(0);
    let rows: Vec<&str> = done
        .stdout
        .lines()
        .filter(|line| line.contains("/tcp") || line.contains("/udp"))
        .map(|line| line.split_whitespace().next().unwrap())
        .collect();
    assert_eq!(rows, ["22/tcp", "81/tcp", "10000/udp"], "{done:#?}");
}

#[test]
fn neighbors_and_far_hosts_are_found_together_without_a_trace() {
    let Some(wire) = Wire::new("packets-mixed") else { return };
    let line = format!("-n -p22,81 --reason {PLAIN} {} {ABSENT} {REJECTING} {}", FAR_V4[0], FAR_V4[1]);
    let done = wire.network.scan(&line).expect(0);
    for reason in ["arp-response", "echo-reply ttl 63"] {
        assert!(done.stdout.contains(&format!("Host is up, received {reason} (")), "{done:#?}");
    }
    assert!(done.stdout.contains("5 IP addresses (3 hosts up)"), "{done:#?}");
    // The connect scan finds its hosts in the same way.
    let done = wire.network.scan(&format!("-sT {line}")).expect(0);
    assert!(done.stdout.contains("5 IP addresses (3 hosts up)"), "{done:#?}");
    assert!(done.stdout.contains("Host is up, received arp-response ("), "{done:#?}");
}

#[test]
fn a_link_that_goes_down_is_trouble_and_no_answer() {
    let Some(wire) = Wire::new("packets-down") else { return };
    wire.network.lab.ip_scanner("link set scan0 down").unwrap();
    let done = wire.network.scan(&format!("-n -sS -Pn -p80 --reason {PLAIN}")).expect(3);
    let (state, reason) = done.port(80);
    assert_eq!(state, "unknown");
    assert!(reason.starts_with("local-ENET"), "{done:#?}");
}
