//! Packets of our own making beside the original's, in one lab.

use std::collections::BTreeSet;
use std::net::Ipv4Addr;
use std::thread;

use crate::network::{DROPPING, Network, PLAIN, REJECTING, SILENT};
use crate::support::{Run, run, words};
use crate::transcript::masked;

/// Attempts before two runs count as different: ARP and the kernel's limits on ICMP know no two scanners.
const PAIRS_MAX: u32 = 3;

/// What is masked besides: sequence numbers, ids, ports, times to live that are drawn.
fn set(text: &str) -> BTreeSet<String> {
    masked(text).iter().filter(|line| !line.starts_with("Read data files")).map(|line| mask(line)).collect()
}

fn mask(line: &str) -> String {
    let Some((direction, rest)) = line.split_once(' ').filter(|(word, _)| matches!(*word, "SENT" | "RCVD"))
    else {
        return mask_host(line);
    };
    let words: Vec<String> = rest
        .split(' ')
        .map(|word| {
            let end = word.trim_end_matches([']', ')']);
            let tail = &word[end.len()..];
            for name in ["seq=", "id=", "flow=", "orig=", "recv=", "trans=", "win="] {
                if end.starts_with(name) {
                    return format!("{name}N{tail}");
                }
            }
            if end.starts_with("(0.") || end.starts_with("(1.") {
                return "(T)".to_owned();
            }
            if direction == "SENT" && word.trim_start_matches('[').starts_with("ttl=") {
                return "ttl=N".to_owned();
            }
            mask_port(word)
        })
        .collect();
    format!("{direction} {}", words.join(" "))
}

/// Masks the port of ours: the other side's are below 20,000 here.
fn mask_port(word: &str) -> String {
    match word.rsplit_once(':') {
        Some((address, port)) if port.parse::<u16>().is_ok_and(|port| port > 20_000) => {
            format!("{address}:P")
        }
        _ => word.to_owned(),
    }
}

/// A host that answers within the shown digits may have no latency at all.
fn mask_host(line: &str) -> String {
    let ours = line.starts_with("Host is up") && line.contains("latency");
    if ours {
        line.split(" (").next().unwrap_or(line).trim_end_matches('.').to_owned()
    } else {
        line.to_owned()
    }
}

/// Fails unless both print the same set of lines.
#[track_caller]
fn same(network: &Network, line: &str) -> Run {
    for attempt in 1.. {
        let start = |program: &str| {
            let mut command = network.lab.scanner_command(program);
            run(command.args(words(line)))
        };
        let (theirs, ours) = thread::scope(|scope| {
            let theirs = scope.spawn(|| start("nmap"));
            let ours = start(crate::support::SCANNER);
            (theirs.join().unwrap(), ours)
        });
        if set(&theirs.stdout) == set(&ours.stdout) {
            return ours;
        }
        let (left, right) = (set(&theirs.stdout), set(&ours.stdout));
        let only = |one: &BTreeSet<String>, other: &BTreeSet<String>| {
            one.difference(other).cloned().collect::<Vec<_>>().join("\n  ")
        };
        assert!(
            attempt < PAIRS_MAX,
            "{line}\nonly theirs:\n  {}\nonly ours:\n  {}\n{}",
            only(&left, &right),
            only(&right, &left),
            ours.stderr
        );
    }
    unreachable!("the loop returns or panics")
}

#[test]
fn hosts_on_the_link_are_found_by_arp() {
    let Some(network) = Network::with_nmap("raw-arp") else { return };
    let ours = same(&network, &format!("-n -sn --packet-trace {PLAIN} {SILENT} 198.18.64.99"));
    assert!(ours.stdout.contains("MAC Address: 02:00:00:00:64:10 (Unknown)"), "{ours:#?}");
    same(&network, &format!("-n -sn {PLAIN} {SILENT}"));
    same(&network, "-n -sn 198.18.64.99");
}

#[test]
fn each_kind_of_ping_looks_as_it_should() {
    let Some(network) = Network::with_nmap("raw-pings") else { return };
    for option in ["-PE", "-PP", "-PS22", "-PA80"] {
        same(&network, &format!("-n -sn --disable-arp-ping {option} --packet-trace {PLAIN}"));
    }
    same(&network, &format!("-n -PS -p22 --reason --disable-arp-ping {PLAIN}"));
}

#[test]
fn a_syn_scan_finds_open_and_closed_ports() {
    let Some(network) = Network::with_nmap("raw-syn") else { return };
    same(&network, &format!("-n -sS -p22,23 --packet-trace {PLAIN}"));
    same(&network, &format!("-n -p22,23 --reason {PLAIN} {DROPPING}"));
}

#[test]
fn every_reject_code_is_a_filtered_port_with_its_reason() {
    let Some(network) = Network::with_nmap("raw-rejects") else { return };
    same(&network, &format!("-n -sS -Pn --reason -p1,2,3,4,9,10,13,20,21,22 {REJECTING}"));
}

#[test]
fn other_techniques_read_the_same_answers_their_own_way() {
    let Some(network) = Network::with_nmap("raw-others") else { return };
    for technique in ["-sA", "-sW", "-sF", "-sN", "-sX", "-sM"] {
        same(&network, &format!("-n -Pn {technique} --reason -p22,81,82 {DROPPING}"));
    }
}

#[test]
fn loopback_shows_no_probe_of_ours_as_received() {
    let Some(network) = Network::new("raw-loopback") else { return };
    let target = Ipv4Addr::LOCALHOST;
    let done = network.scan(&format!("-n -sS -p22,23 --packet-trace {target}")).expect(0);
    let lines = |start: &str| done.stdout.lines().filter(|line| line.starts_with(start)).count();
    assert_eq!((lines("SENT"), lines("RCVD")), (2, 2), "{done:#?}");
    assert!(done.stdout.contains("Host is up"), "{done:#?}");
}

#[test]
fn without_the_capability_a_syn_scan_is_refused_and_the_default_falls_back() {
    if !testkit::need_tool("setpriv") {
        return;
    }
    let Some(network) = Network::new("raw-caps") else { return };
    let bare = "setpriv --bounding-set -net_raw --inh-caps -net_raw";
    let refused = network.shell(&format!("{bare} $SCANNER -n -sS -p22 {PLAIN}"));
    assert_eq!((refused.code, refused.stdout.as_str()), (Some(4), ""), "{refused:#?}");
    assert!(refused.stderr.contains("-sS needs raw packets: CAP_NET_RAW is missing"), "{refused:#?}");
    assert!(refused.stderr.contains("sudo setcap cap_net_raw+ep "), "{refused:#?}");
    let fallen = network.shell(&format!("{bare} $SCANNER -n -p22,81 --reason {PLAIN}"));
    assert_eq!(fallen.code, Some(0), "{fallen:#?}");
    assert!(fallen.stderr.contains("scanning by TCP connect (-sT): CAP_NET_RAW is missing"), "{fallen:#?}");
    assert_eq!(fallen.port(81), ("closed", "conn-refused".to_owned()));
}

#[test]
fn the_capability_alone_is_enough_and_is_given_up_after_the_start() {
    if !testkit::need_tool("setpriv") {
        return;
    }
    let Some(network) = Network::new("raw-user") else { return };
    // An ordinary user who has nothing but the one capability, and no way to a folder of root's.
    let folder = tempfile::tempdir().unwrap();
    let copy = folder.path().join("scanner");
    std::fs::copy(crate::support::SCANNER, &copy).unwrap();
    let open = std::os::unix::fs::PermissionsExt::from_mode(0o755);
    std::fs::set_permissions(folder.path(), std::fs::Permissions::clone(&open)).unwrap();
    std::fs::set_permissions(&copy, open).unwrap();
    let user =
        "setpriv --reuid 65534 --regid 65534 --clear-groups --inh-caps +net_raw --ambient-caps +net_raw";
    let done = network.shell(&format!("{user} {} -n -sS -p22,23 --reason {PLAIN}", copy.display())).expect(0);
    assert_eq!(done.port(22), ("open", "syn-ack ttl 64".to_owned()));
    assert_eq!(done.port(23), ("closed", "reset ttl 64".to_owned()));
    // While it scans silent ports it holds no capability.
    let script =
        format!("$SCANNER -n -sS -Pn -p1-3000 {SILENT} >/dev/null & sleep 0.5; cat /proc/$!/status; kill $!");
    let status = network.shell(&script);
    for set in ["CapInh", "CapPrm", "CapEff", "CapAmb"] {
        assert!(status.stdout.contains(&format!("{set}:\t0000000000000000")), "{set} {status:#?}");
    }
    assert!(status.stdout.contains("NoNewPrivs:\t1"), "{status:#?}");
}

#[test]
fn what_packets_are_to_look_like_is_what_they_look_like() {
    let Some(network) = Network::new("raw-options") else { return };
    let line = format!(
        "-n -sS -Pn -p22 -g 4444 --ttl 9 --data-string abcd -D 198.18.64.77,ME --max-retries 0 --packet-trace {PLAIN}"
    );
    let done = network.scan(&line).expect(0);
    let sent: Vec<&str> =
        done.stdout.lines().filter(|line| line.starts_with("SENT") && line.contains(" S ")).collect();
    assert_eq!(sent.len(), 2, "{done:#?}");
    assert!(sent[0].contains("TCP 198.18.64.77:4444 > 198.18.64.10:22 S ttl=9 "), "{sent:?}");
    assert!(sent[1].contains("TCP 198.18.64.5:4444 > 198.18.64.10:22 S ttl=9 "), "{sent:?}");
    assert!(sent.iter().all(|line| line.contains(" iplen=48 ")), "{sent:?}");
    assert_eq!(done.port(22).0, "open");
    // Whoever looks at checksums answers nothing.
    let bad = network.scan(&format!("-n -sS -Pn -p22 --badsum --max-retries 0 {PLAIN}")).expect(0);
    assert_eq!(bad.port(22).0, "filtered");
    let fragments = network.scan(&format!("-n -sS -Pn -p22,23 -f {PLAIN}")).expect(0);
    assert_eq!((fragments.port(22).0, fragments.port(23).0), ("open", "closed"));
    let ip = network.scan(&format!("-n -sS -p22,23 --send-ip {PLAIN}")).expect(0);
    assert_eq!((ip.port(22).0, ip.port(23).0), ("open", "closed"));
}

#[test]
fn listed_hosts_are_named_and_not_asked() {
    let Some(network) = Network::new("raw-list") else { return };
    let done = network.scan(&format!("-sL {PLAIN} 198.18.64.99")).expect(0);
    let hosts: Vec<&str> = done.stdout.lines().filter(|line| line.starts_with("Scan report")).collect();
    assert_eq!(hosts, ["Scan report for plain.example (198.18.64.10)", "Scan report for 198.18.64.99"]);
    assert!(done.stdout.contains("scanner done: 2 IP addresses (0 hosts up) scanned in "), "{done:#?}");
}

#[test]
fn interfaces_and_routes_are_listed() {
    let Some(network) = Network::new("raw-iflist") else { return };
    let done = network.scan("--iflist").expect(0);
    assert!(done.stdout.contains("198.18.64.5/24"), "{done:#?}");
    assert!(done.stdout.contains("DST/MASK"), "{done:#?}");
}
