//! The trace beside a capture of the wire: what it says was sent is what went out, and nothing else did.

use std::io::{BufRead, BufReader};
use std::net::UdpSocket;
use std::process::{Command, Stdio};
use std::time::Duration;

use testkit::{SCANNER_V4, TARGET_LINK, need_tool};

use super::Wire;
use crate::network::PLAIN;
use crate::support::{run, start, words};
use crate::transcript::sorted;

/// The fields that the trace has as well, and what tshark makes of the checksums (1 is right).
const FIELDS: [&str; 7] = [
    "tcp.srcport",
    "tcp.dstport",
    "tcp.seq_raw",
    "tcp.flags.reset",
    "ip.ttl",
    "tcp.checksum.status",
    "ip.checksum.status",
];

/// What is sent when all is sent.
const LAST_WORDS: &[u8] = b"and that was all of it";

#[test]
fn tshark_sees_every_packet_of_the_trace_with_right_checksums_and_no_other() {
    if !(need_tool("tcpdump") && need_tool("tshark")) {
        return;
    }
    let Some(wire) = Wire::new("packets-tshark") else { return };
    let lab = &wire.network.lab;
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("wire.pcap");
    let mut tcpdump = lab.target_command("tcpdump");
    tcpdump
        .args(["-i", TARGET_LINK, "--immediate-mode", "-s", "256", "-B", "8192", "-U", "-Z", "root", "-w"])
        .arg(&file)
        .arg("ip");
    let mut tcpdump = start(&mut tcpdump, Stdio::null());
    let mut said = BufReader::new(tcpdump.stderr.take().unwrap()).lines();
    assert!(said.any(|line| line.unwrap().contains("listening on")));
    let done = wire.network.scan(&format!("-n -sS --packet-trace -p1-40 {PLAIN}")).expect(0);
    // The kernel hands frames to tcpdump in their order, but in its own time: when one that is sent now is in the file,
    // all before it are.
    let is_written = || {
        let known = std::fs::read(&file).unwrap_or_default();
        known.windows(LAST_WORDS.len()).any(|part| part == LAST_WORDS)
    };
    for _ in 0..300 {
        if is_written() {
            break;
        }
        let say = || UdpSocket::bind("0.0.0.0:0")?.send_to(LAST_WORDS, (PLAIN, 9));
        lab.in_scanner(say).unwrap().unwrap();
        std::thread::sleep(Duration::from_millis(100));
    }
    assert!(is_written(), "tcpdump does not write");
    // By an interrupt, so that it says what it has lost.
    let interrupted = Command::new("kill").args(["-INT", &tcpdump.id().to_string()]).status().unwrap();
    assert!(interrupted.success());
    let counts: Vec<String> = said.map(Result::unwrap).collect();
    tcpdump.wait().unwrap();
    assert!(counts.iter().any(|line| line.starts_with("0 packets dropped")), "{counts:?}");

    let mut tshark = lab.target_command("tshark");
    tshark.args(words("-o tcp.check_checksum:TRUE -o ip.check_checksum:TRUE -T fields")).arg("-r").arg(&file);
    tshark.arg("-Y").arg(format!("ip.src == {SCANNER_V4} and not udp and not icmp"));
    for field in FIELDS {
        tshark.args(["-e", field]);
    }
    let seen = run(&tshark).expect(0).stdout;
    let seen: Vec<Vec<&str>> = seen.lines().map(|line| line.split('\t').collect()).collect();
    assert!(seen.iter().all(|packet| packet[5..] == ["1", "1"]), "{seen:?}");
    // The kernel resets by itself what it did not open.
    let (resets, probes): (Vec<_>, Vec<_>) =
        seen.into_iter().partition(|packet| matches!(packet[3], "1" | "True"));
    assert_eq!(resets.len(), 1, "{resets:?} beside {probes:?}");
    let probes = probes.into_iter().map(|packet| [packet[0], packet[1], packet[2], packet[4]].join(" "));
    let traced = done.stdout.lines().filter(|line| line.starts_with("SENT") && line.contains(" TCP "));
    let traced = traced.map(|line| {
        let field = |name: &str| line.split_once(name).unwrap().1.split(' ').next().unwrap();
        let port = |after: &str| line.split_once(after).unwrap().1.split(' ').next().unwrap();
        let (from, to) = (port("198.18.64.5:"), port("198.18.64.10:"));
        [from, to, field("seq="), field("ttl=")].join(" ")
    });
    assert_eq!(sorted(probes.collect()), sorted(traced.collect()), "{counts:?} {done:#?}");
}
