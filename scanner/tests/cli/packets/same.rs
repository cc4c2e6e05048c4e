//! Debian's `nmap` and ours one after the other: the same lines, once what is drawn at random is masked.

use testkit::{FAR_V4, FAR_V6, TARGETS_V6};

use super::{ABSENT, UDP_OPEN, Wire};
use crate::network::{DROPPING, PLAIN, REJECTING, SILENT};
use crate::same::{lines, retried};
use crate::support::{Run, SCANNER, run, words};
use crate::transcript::sorted;

/// Fails unless both print the same multisets of lines. Each runs alone: a capture has the other's packets too.
#[track_caller]
fn same(wire: &Wire, line: &str) -> Run {
    let start = |program: &str| {
        let mut command = wire.network.lab.scanner_command(program);
        command.args(words(line));
        run(&command)
    };
    retried(|| {
        let (theirs, ours) = (start("nmap"), start(SCANNER));
        let differ = [differences(&theirs.stdout, &ours.stdout), differences(&theirs.stderr, &ours.stderr)];
        match differ.concat() {
            none if none.is_empty() => Ok(ours),
            some => Err(format!("{line}\n{}\ntheirs: {theirs:#?}\nours: {ours:#?}", some.join("\n"))),
        }
    })
}

/// The lines that only one of them has: `-` theirs, `+` ours.
fn differences(theirs: &str, ours: &str) -> Vec<String> {
    let mut theirs = sorted(lines(theirs));
    let mut alone = Vec::new();
    for line in lines(ours) {
        // The reference finds the port only in longer quotes than the usual one of 28 bytes (spec 1.7).
        let line = match line.split_once(" Port ").filter(|_| line.ends_with(" iplen=56 ]")) {
            Some((start, rest)) => {
                format!(
                    "{start} Port unreachable {}",
                    rest.split_once(" unreachable ").unwrap_or(("", rest)).1
                )
            }
            None => line,
        };
        match theirs.iter().position(|known| *known == line) {
            Some(place) => drop(theirs.remove(place)),
            None => alone.push(format!("+ {line}")),
        }
    }
    theirs.into_iter().map(|line| format!("- {line}")).chain(alone).collect()
}

#[test]
fn neighbors_are_found_by_arp() {
    let Some(wire) = Wire::new("packets-arp") else { return };
    let ours = same(&wire, &format!("-n -sn --packet-trace {PLAIN} {SILENT} {ABSENT}"));
    assert_eq!(ours.stdout.matches("ARP who-has 198.18.64.99").count(), 2, "{ours:#?}");
    same(&wire, &format!("-n -sn --reason {PLAIN} {ABSENT}"));
    same(&wire, &format!("-n -sn -v {ABSENT}"));
    same(&wire, &format!("-n -p80 {ABSENT}"));
}

#[test]
fn each_discovery_probe_alone_and_the_four_of_the_default() {
    let Some(wire) = Wire::new("packets-discovery") else { return };
    for option in ["-PE", "-PP", "-PS22", "-PS81", "-PA80", "-PU40125", ""] {
        same(&wire, &format!("-n -sn --disable-arp-ping {option} --packet-trace --reason {PLAIN}"));
        same(&wire, &format!("-n -sn {option} --packet-trace --reason {}", FAR_V4[0]));
    }
}

#[test]
fn a_far_host_that_is_silent() {
    let Some(wire) = Wire::new("packets-silent") else { return };
    same(&wire, &format!("-n -sn -PE --packet-trace --reason {}", FAR_V4[1]));
    same(&wire, &format!("-n -sn --reason --packet-trace {}", FAR_V4[1]));
    same(&wire, &format!("-n -Pn -p22,80,443 --reason --packet-trace {}", FAR_V4[1]));
}

#[test]
fn an_open_and_a_closed_port_by_syn() {
    let Some(wire) = Wire::new("packets-syn") else { return };
    same(&wire, &format!("-n -sS -p22,23 --packet-trace {PLAIN}"));
    same(&wire, &format!("-n -p22,23 --packet-trace --reason {PLAIN}"));
    same(&wire, &format!("-n -PS -p22 --reason --disable-arp-ping --packet-trace {PLAIN}"));
    same(&wire, &format!("-n -sS -p22,23,80 --reason {PLAIN} {DROPPING} {}", FAR_V4[0]));
    same(&wire, &format!("-n -sS -p100-160 {PLAIN}"));
    same(&wire, &format!("-n -v -sS -p22,81 {PLAIN}"));
}

#[test]
fn every_reject_code_by_syn() {
    let Some(wire) = Wire::new("packets-rejects") else { return };
    same(&wire, &format!("-n -sS -Pn --reason --packet-trace -p1,2,3,4,9,10,13,20,21,22 {REJECTING}"));
}

#[test]
fn every_technique_of_tcp() {
    let Some(wire) = Wire::new("packets-techniques") else { return };
    for technique in ["A", "W", "F", "N", "X", "M"] {
        same(&wire, &format!("-n -s{technique} -p22,81,3 --reason --packet-trace {REJECTING}"));
    }
}

#[test]
fn neighbors_and_far_hosts_by_ipv6() {
    let Some(wire) = Wire::new("packets-ipv6") else { return };
    same(&wire, &format!("-6 -n --reason --packet-trace -p22,81 {}", TARGETS_V6[0]));
    same(&wire, &format!("-6 -n --reason --packet-trace -p22,81 {}", FAR_V6[0]));
    same(&wire, &format!("-6 -n -Pn --reason --packet-trace -p1,2,3,4,5,6,20,22 {}", TARGETS_V6[2]));
    same(&wire, &format!("-6 -n -sn --packet-trace --reason fd00:64::99 {}", TARGETS_V6[1]));
}

#[test]
fn open_closed_and_silent_ports_of_udp() {
    let Some(wire) = Wire::new("packets-udp") else { return };
    same(&wire, &format!("-n -sU -p9,{UDP_OPEN},10000 --reason --packet-trace {DROPPING}"));
    same(&wire, &format!("-n -sU -p{UDP_OPEN},10000 --reason --packet-trace {}", FAR_V4[0]));
}

#[test]
fn packets_at_every_level_of_detail() {
    let Some(wire) = Wire::new("packets-detail") else { return };
    let packets = |program: &str, line: &str| {
        let done = run(wire.network.lab.scanner_command(program).args(words(line)));
        let is_packet = |line: &&str| line.starts_with("SENT") || line.starts_with("RCVD");
        done.stdout.lines().filter(is_packet).collect::<Vec<_>>().join("\n")
    };
    for (level, target) in [("-d2", FAR_V4[0].to_string()), ("-d3", FAR_V4[0].to_string())] {
        let line = format!("-n {level} --packet-trace -p22,81 {target}");
        retried(|| {
            let (theirs, ours) = (packets("nmap", &line), packets(SCANNER, &line));
            let differ = differences(&theirs, &ours);
            if differ.is_empty() { Ok(()) } else { Err(format!("{line}\n{}", differ.join("\n"))) }
        });
    }
}

#[test]
fn names_are_looked_up_between_discovery_and_ports() {
    let Some(wire) = Wire::new("packets-names") else { return };
    let ours = same(&wire, &format!("-sS -p22,81 --packet-trace {PLAIN}"));
    assert_eq!(ours.stderr.lines().filter(|line| line.starts_with("NSOCK")).count(), 10, "{ours:#?}");
}
