//! Options of pace, and which hosts come when.

use std::collections::BTreeSet;

use crate::network::{Network, SILENT};
use crate::support::{Run, scanner, words};

fn hosts(done: &Run) -> Vec<&str> {
    done.stdout.lines().filter_map(|line| line.strip_prefix("Scan report for ")).collect()
}

/// The times at which connects were started, in milliseconds.
fn starts(done: &Run) -> Vec<f64> {
    let started = done.stdout.lines().filter(|line| line.ends_with("=> Operation now in progress"));
    let time = |line: &str| line.strip_prefix("CONN (")?.split_once("s)")?.0.parse::<f64>().ok();
    started.filter_map(time).map(|seconds| seconds * 1000.0).collect()
}

#[test]
fn a_rate_holds_in_every_second_and_is_told() {
    let done = scanner(words("-n -Pn -T4 -p 1-150 --max-rate 100 --packet-trace=net 127.0.0.1")).expect(0);
    let starts = starts(&done);
    assert_eq!(starts.len(), 150);
    let within = |at: f64| starts.iter().filter(|&&other| at <= other && other < at + 1000.0).count();
    assert!(starts.iter().all(|&at| within(at) <= 100), "{starts:?}");
    assert!(done.stdout.contains("Overall sending rates: "), "{}", done.stdout);
}

#[test]
fn a_scan_delay_keeps_probes_apart() {
    let done = scanner(words("-n -Pn -p 1-5 --scan-delay 30ms --packet-trace=net 127.0.0.1")).expect(0);
    let starts = starts(&done);
    assert_eq!(starts.len(), 5);
    // The trace is rounded to a tenth of a millisecond.
    assert!(starts.windows(2).all(|pair| pair[1] - pair[0] > 29.8), "{starts:?}");
}

#[test]
fn ports_in_order_and_hosts_out_of_order() {
    let done = scanner(words("-n -Pn -r -p 1-40 --packet-trace=net 127.0.0.1")).expect(0);
    let ports: Vec<u16> = done
        .stdout
        .lines()
        .filter(|line| line.ends_with("=> Operation now in progress"))
        .map(|line| line.split([':', ' ']).rev().nth(5).unwrap().parse().unwrap())
        .collect();
    assert_eq!(ports, (1..=40).collect::<Vec<_>>());
    let given = scanner(words("-n -Pn -p1 127.0.0.0/28")).expect(0);
    let shuffled = scanner(words("-n -Pn -p1 --randomize-hosts --seed 5 127.0.0.0/28")).expect(0);
    let again = scanner(words("-n -Pn -p1 -rH --seed 5 127.0.0.0/28")).expect(0);
    assert_ne!(hosts(&given), hosts(&shuffled));
    assert_eq!(hosts(&shuffled), hosts(&again));
    assert_eq!(hosts(&given).into_iter().collect::<BTreeSet<_>>(), hosts(&shuffled).into_iter().collect());
}

#[test]
fn shards_share_the_hosts_out() {
    let mut seen = BTreeSet::new();
    for shard in ["1/3", "2/3", "3/3"] {
        let done = scanner(["-n", "-Pn", "-p1", "--shard", shard, "127.0.0.0/28"]).expect(0);
        for host in hosts(&done) {
            assert!(seen.insert(host.to_owned()), "{host} twice");
        }
    }
    assert_eq!(seen.len(), 16);
}

#[test]
fn a_host_timeout_and_an_end_of_the_run_keep_what_is_known() {
    let Some(network) = Network::new("pace") else { return };
    let done = network.scan(&format!("-n -Pn -p 1-2000 --host-timeout 400ms {SILENT}")).expect(0);
    assert!(done.stdout.contains(&format!("Skipping host {SILENT} due to host timeout")), "{done:#?}");
    let done = network.scan(&format!("-n -Pn -p 1-2000 --max-runtime 400ms {SILENT}")).expect(3);
    assert!(done.stdout.contains("Out of time (--max-runtime): what is above is what was known by then."));
    assert_eq!(hosts(&done), [SILENT.to_string()]);
}

#[test]
fn contradictions_are_refused_before_anything_is_sent() {
    let table = [
        ("--min-rate 10 --max-rate 5", "--min-rate is above --max-rate; exchange them, or leave one out"),
        (
            "--max-rtt-timeout 1ms",
            "--max-rtt-timeout must be at least 5 ms, or answers of ordinary networks come too late",
        ),
        (
            "--max-rate 0",
            "--max-rate: \"0\" is not a rate, in packets per second, above 0, such as 100 or 0.5",
        ),
        (
            "--host-timeout 5x",
            "--host-timeout: \"5x\" is not a time, such as 500ms, 2s, 5m or 1h (without unit: seconds)",
        ),
        ("--shard 3/2", "--shard: \"3/2\" is not a shard, such as 1/4 to 4/4"),
        (
            "--max-rtt-timeout 1000",
            "--max-rtt-timeout: \"1000\" is not clear: without a unit it is seconds (16.7 minutes); write ms, s, m or h",
        ),
    ];
    for (line, expected) in table {
        let done = scanner(words(&format!("{line} 127.0.0.1"))).expect(2);
        assert_eq!(done.stderr, format!("scanner: {expected}\n"));
        assert_eq!(done.stdout, "");
    }
}
