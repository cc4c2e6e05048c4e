//! What the options do, one by one.

use std::fs;
use std::process::Command;

use testkit::{LOOPBACK_V6, TcpEcho, closed_port};

use crate::network::{DROPPING, Network, PLAIN, SILENT};
use crate::support::{Run, SCANNER, run_with_input, scanner, words};

/// The hosts reported, as they are titled.
fn hosts(done: &Run) -> Vec<&str> {
    done.stdout.lines().filter_map(|line| line.strip_prefix("Scan report for ")).collect()
}

/// The ports of the first `CONN` line of each port, in order.
fn order(done: &Run) -> Vec<u16> {
    let started = done.stdout.lines().filter(|line| line.ends_with("=> Operation now in progress"));
    started.map(|line| line.split([':', ' ']).rev().nth(5).unwrap().parse().unwrap()).collect()
}

#[test]
fn help_fits_a_screen_and_the_version_is_a_line() {
    let short = scanner(["-h"]).expect(0);
    assert!(short.stdout.lines().count() <= 25);
    assert!(short.stdout.lines().all(|line| line.chars().count() <= 80));
    assert_eq!(short.stderr, "");
    let long = scanner(["--help"]).expect(0);
    assert!(long.stdout.len() > short.stdout.len());
    for option in ["--version", "-V"] {
        assert_eq!(scanner([option]).expect(0).stdout, format!("scanner {}\n", env!("CARGO_PKG_VERSION")));
    }
}

#[test]
fn targets_from_a_file_and_from_stdin_without_the_excluded_ones() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("list");
    fs::write(&file, "# two, one of them twice\n127.0.0.1\t127.0.0.2-4\n127.0.0.2\n").unwrap();
    let list = file.display().to_string();
    let done = scanner(["-n", "-Pn", "-p1", "-iL", &list, "--exclude", "127.0.0.3"]).expect(0);
    assert_eq!(hosts(&done), ["127.0.0.1", "127.0.0.2", "127.0.0.4"]);

    let excluded = folder.path().join("excluded");
    fs::write(&excluded, "127.0.0.2\n127.0.0.4/31\n").unwrap();
    let mut command = Command::new(SCANNER);
    command.args(["-n", "-Pn", "-p1", "-iL", "-", "127.0.0.9", "--excludefile"]).arg(&excluded);
    let done = run_with_input(&command, b"127.0.0.1-5\n").expect(0);
    assert_eq!(hosts(&done), ["127.0.0.9", "127.0.0.1", "127.0.0.3"]);
}

#[test]
fn both_families_at_once_or_one_of_them() {
    let echo = TcpEcho::start_at(LOOPBACK_V6, None).unwrap();
    let port = format!("-p{}", echo.address().port());
    let both = scanner(["-n", "-Pn", &port, "127.0.0.1", "::1"]).expect(0);
    assert_eq!(hosts(&both), ["127.0.0.1", "::1"]);
    let [first, second] = &both.ports()[..] else { panic!("{both:#?}") };
    assert_eq!((first[1], second[1]), ("closed", "open"));
    let only = scanner(["-6", "-n", "-Pn", &port, "127.0.0.1", "::1"]).expect(3);
    assert_eq!(hosts(&only), ["::1"]);
    assert_eq!(
        only.stderr,
        "scanner: Invalid address specification: \"127.0.0.1\": only IPv6 addresses are scanned\n"
    );
    let done = scanner(["-n", "-Pn", "--packet-trace", &port, "::1"]).expect(0);
    assert!(done.stdout.contains(&format!("TCP localhost > ::1:{} => Connected\n", echo.address().port())));
}

#[test]
fn every_spelling_of_the_trace_shows_connects() {
    let closed = closed_port().unwrap();
    let port = closed.address().port();
    for spelling in [
        "--packet-trace",
        "--packet_trace",
        "-packet-trace",
        "--packet-trace=net",
        "--packet-trace=all",
        "-d3",
        "-ddd",
    ] {
        let done = scanner(["-n", "-Pn", &format!("-p{port}"), spelling, "127.0.0.1"]).expect(0);
        let lines: Vec<&str> = done.stdout.lines().filter(|line| line.starts_with("CONN (")).collect();
        let results: Vec<&str> = lines.iter().map(|line| line.split_once(") ").unwrap().1).collect();
        let started = format!("TCP localhost > 127.0.0.1:{port} => Operation now in progress");
        let ended = format!("TCP localhost > 127.0.0.1:{port} => Connection refused");
        assert_eq!(results, [started, ended], "{spelling}");
    }
    for spelling in ["-d2", "-v", "--packet-trace=nsock"] {
        let done = scanner(["-n", "-Pn", &format!("-p{port}"), spelling, "127.0.0.1"]).expect(0);
        assert!(!done.stdout.contains("CONN ("), "{spelling}");
    }
}

#[test]
fn parts_of_the_trace_go_where_they_belong() {
    let Some(network) = Network::new("trace-parts") else { return };
    let run = |mode: &str| network.scan(&format!("-Pn {mode} -p22 {PLAIN}")).expect(0);
    let classic = run("--packet-trace");
    assert_eq!(
        (classic.stdout.matches("CONN (").count(), classic.stderr.lines().count()),
        (2, 10),
        "{classic:#?}"
    );
    let net = run("--packet-trace=net");
    assert_eq!((net.stdout.matches("CONN (").count(), net.stderr.as_str()), (2, ""), "{net:#?}");
    let nsock = run("--packet-trace=nsock");
    assert!(!nsock.stdout.contains("CONN ("), "{nsock:#?}");
    assert!(nsock.stderr.contains("TCP connection requested to 198.18.64.10:22 (IOD #1)"), "{nsock:#?}");
    assert!(
        nsock.stderr.contains("UDP connection requested to 198.18.64.10:53 (IOD #1) EID 8"),
        "{nsock:#?}"
    );
    assert!(nsock.stderr.lines().all(|line| line.starts_with("NSOCK INFO [")), "{nsock:#?}");
    let all = run("--packet-trace=all");
    assert_eq!(all.stdout.matches("CONN (").count(), 2);
    assert_eq!(all.stderr.lines().count(), nsock.stderr.lines().count());
    let debug = run("-d3");
    assert_eq!(
        (debug.stdout.matches("CONN (").count(), debug.stderr.matches("NSOCK INFO").count()),
        (2, 10),
        "{debug:#?}"
    );
    assert!(!network.scan(&format!("-Pn -n --packet-trace -p22 {PLAIN}")).expect(0).stderr.contains("NSOCK"));
}

#[test]
fn a_seed_repeats_the_order_and_debugging_tells_it() {
    let run = |options: &[&str]| {
        let mut arguments = words("-n -Pn --packet-trace=net -p1-40 127.0.0.1");
        arguments.extend(options);
        scanner(arguments).expect(0)
    };
    let first = order(&run(&["--seed", "7"]));
    assert_eq!(first.len(), 40);
    assert_eq!(first, order(&run(&["--seed", "7"])));
    assert_ne!(first, order(&run(&["--seed", "8"])));
    let told = run(&["-d"]);
    let seed = told
        .stdout
        .lines()
        .find_map(|line| line.strip_prefix("Probe order: repeat it with --seed "))
        .unwrap();
    assert_eq!(order(&told), order(&run(&["--seed", seed])));
}

#[test]
fn fast_and_top_ports_take_the_likeliest() {
    let shown = |options: &str| {
        let mut arguments = words("-n -Pn -d3 127.0.0.1");
        arguments.extend(words(options));
        scanner(arguments).expect(0).ports().len()
    };
    assert_eq!(shown("-F"), 100);
    assert_eq!(shown("--top-ports 10"), 10);
    assert_eq!(shown("-p 1-200 --top-ports 5"), 5);
    assert_eq!(shown("-p 1-20 --exclude-ports 5-14"), 10);
    assert_eq!(shown("-p http,T:1-3,U:5"), 4);
    assert_eq!(shown(""), 1000);
}

#[test]
fn open_hides_everything_else() {
    let Some(network) = Network::new("open") else { return };
    let done = network.scan(&format!("-n -Pn --open -p22,80-90 {PLAIN} {SILENT}")).expect(0);
    assert_eq!(hosts(&done), [PLAIN.to_string()]);
    assert_eq!(done.ports().iter().map(|row| row[0]).collect::<Vec<_>>(), ["22/tcp", "80/tcp"]);
    assert!(done.stdout.contains("Not shown: 10 closed tcp ports (conn-refused)\n"), "{done:#?}");
    assert!(done.stdout.contains("2 IP addresses (2 hosts up) scanned"), "{done:#?}");
}

#[test]
fn verbose_tells_phases_and_open_ports_and_silence_is_silent() {
    let Some(network) = Network::new("verbose") else { return };
    let done = network.scan(&format!("--unprivileged -v -p22,81 {PLAIN} {SILENT}")).expect(0);
    for line in [
        "Initiating Ping Scan at ",
        "Scanning 2 hosts [2 ports/host]\n",
        "Completed Ping Scan at ",
        "Initiating Parallel DNS resolution of 1 host. at ",
        "Initiating Connect Scan at ",
        "Scanning plain.example (198.18.64.10) [2 ports]\n",
        "Discovered open port 22/tcp on 198.18.64.10\n",
        "Scan report for 198.18.64.13 [host down]\n",
    ] {
        assert!(done.stdout.contains(line), "{line:?} in {done:#?}");
    }
    let silent = network.scan(&format!("-v0 -n -Pn -p22 {PLAIN}")).expect(0);
    assert_eq!((silent.stdout.as_str(), silent.stderr.as_str()), ("", ""));
}

#[test]
fn every_pace_finds_the_same() {
    let Some(network) = Network::new("pace") else { return };
    for pace in ["-T3", "-T4", "-T5", "-Taggressive"] {
        let done = network.scan(&format!("-n -Pn {pace} -p22,81,82 {DROPPING}")).expect(0);
        let states: Vec<&str> = done.ports().iter().map(|row| row[1]).collect();
        assert_eq!(states, ["open", "closed", "filtered"], "{pace}");
    }
    let once = network.scan(&format!("-n -Pn --max-retries 0 --packet-trace -p22,82 {DROPPING}")).expect(0);
    assert_eq!(once.stdout.matches(":82 => Operation now in progress").count(), 1, "{once:#?}");
}

#[test]
fn no_connection_is_left_in_time_wait() {
    let Some(network) = Network::new("time-wait") else { return };
    for _ in 0..3 {
        network.scan(&format!("-n -p22,80 {PLAIN}")).expect(0);
    }
    let read = || fs::read_to_string("/proc/thread-self/net/tcp").unwrap();
    // The fourth column is the state; 06 is TIME_WAIT.
    let waiting = |table: String| table.lines().filter(|line| words(line).get(3) == Some(&"06")).count();
    assert_eq!(waiting(network.lab.in_scanner(read).unwrap()), 0);
    assert_eq!(waiting(network.lab.in_target(read).unwrap()), 0);
}
