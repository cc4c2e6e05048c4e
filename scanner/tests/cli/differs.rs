//! Where ours does not do as the original does, on purpose.

use std::net::Ipv4Addr;

use crate::network::{Network, PLAIN};
use crate::support::{Run, scanner};

/// One case of a fixture: a command line, what the original says, and what ours says.
struct Case<'a> {
    arguments: Vec<&'a str>,
    ours: &'a str,
}

/// Reads blocks of `$ arguments`, `theirs: ...` and `ours: ...`; arguments are apart by blanks, `''` is an empty one.
fn cases(text: &str) -> Vec<Case<'_>> {
    let mut cases = Vec::new();
    let mut arguments = Vec::new();
    for line in text.lines() {
        if let Some(typed) = line.strip_prefix("$ ") {
            arguments = typed.split(' ').map(|word| if word == "''" { "" } else { word }).collect();
        } else if let Some(ours) = line.strip_prefix("ours: ") {
            cases.push(Case { arguments: std::mem::take(&mut arguments), ours });
        }
    }
    cases
}

/// Every case is refused with one line, code 2, and nothing on standard output.
#[track_caller]
fn expect_refusals(text: &str, count: usize) {
    let cases = cases(text);
    assert_eq!(cases.len(), count);
    for case in cases {
        let done = scanner(&case.arguments);
        assert_eq!(done.stderr, format!("scanner: {}\n", case.ours), "{:?}", case.arguments);
        assert_eq!((done.code, done.stdout.as_str()), (Some(2), ""), "{:?}", case.arguments);
    }
}

#[test]
fn a_bad_port_list_is_refused_at_the_character_and_before_the_banner() {
    expect_refusals(include_str!("../fixtures/bad-port-lists.txt"), 12);
}

#[test]
fn a_repeated_port_is_told_and_scanned_once() {
    let done = scanner(["-n", "-Pn", "-p22,22", "127.0.0.1"]).expect(0);
    assert_eq!(done.stderr, "scanner: WARNING: Duplicate port number(s) specified: 22/tcp is scanned once\n");
    assert_eq!(done.ports().len(), 1);
}

#[test]
fn a_bad_target_alone_is_an_error_and_not_an_empty_success() {
    expect_refusals(include_str!("../fixtures/bad-targets.txt"), 7);
}

#[test]
fn an_ipv6_target_needs_no_option() {
    let done = scanner(["-n", "-Pn", "-p1", "::1"]).expect(0);
    assert!(done.stdout.contains("Scan report for ::1\n"), "{done:#?}");
}

#[test]
fn an_option_we_do_not_have_is_refused_by_name_with_code_2() {
    expect_refusals(include_str!("../fixtures/unknown-options.txt"), 12);
}

/// Each port: tried six times, then `unknown` for this reason; exit 3.
#[track_caller]
fn expect_local_trouble(network: &Network, target: &str, words: &str, errno: &str) {
    let done = network.scan(&format!("-n -sT -Pn -p80,81 --reason --packet-trace {target}")).expect(3);
    for port in [80, 81] {
        assert_eq!(done.port(port), ("unknown", format!("local-{errno}")), "{done:#?}");
        let lines = format!("TCP localhost > {target}:{port} => {words}\n");
        assert_eq!(done.stdout.matches(&lines).count(), 6, "{done:#?}");
    }
    assert_eq!(done.stdout.matches("CONN (").count(), 12);
    let summary =
        format!("Trouble on this machine: {errno} 12 times; 2 ports or hosts are unknown because of it.\n");
    assert!(done.stdout.contains(&summary), "{done:#?}");
    assert_eq!(done.stderr, "");
}

#[test]
fn what_connect_refuses_here_is_tried_again_and_then_unknown() {
    let Some(network) = Network::new("routes") else { return };
    network
        .lab
        .ip_scanner(
            "route add unreachable 198.19.200.0/24\nroute add prohibit 198.19.201.0/24\nroute add blackhole 198.19.202.0/24",
        )
        .unwrap();
    let network = &network;
    std::thread::scope(|scope| {
        for (target, words, errno) in [
            ("198.19.200.1", "No route to host", "EHOSTUNREACH"),
            ("198.19.201.1", "Permission denied", "EACCES"),
            ("198.19.202.1", "Invalid argument", "EINVAL"),
            ("198.18.64.255", "Network is unreachable", "ENETUNREACH"),
            ("198.19.203.1", "Network is unreachable", "ENETUNREACH"),
        ] {
            scope.spawn(move || expect_local_trouble(network, target, words, errno));
        }
    });
}

#[test]
fn a_route_that_is_missing_hides_one_target_and_not_the_others() {
    let Some(network) = Network::new("one-route") else { return };
    let done = network.scan(&format!("-n -sT -p22,81 --reason 198.19.203.1 {PLAIN}")).expect(3);
    let absent: Ipv4Addr = "198.19.203.1".parse().unwrap();
    assert!(
        done.stdout.contains(&format!(
            "Scan report for {absent}\nHost status is unknown, received local-ENETUNREACH"
        )),
        "{done:#?}"
    );
    let plain = done.stdout.split_once("Scan report for 198.18.64.10").unwrap().1.to_owned();
    let plain = Run { stdout: plain, ..done };
    assert_eq!(plain.port(22), ("open", "syn-ack".into()));
    assert_eq!(plain.port(81), ("closed", "conn-refused".into()));
}
