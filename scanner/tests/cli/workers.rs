//! One scan by several threads: what it comes to is what one thread comes to.

use std::net::Ipv4Addr;
use std::process::{Command, Stdio};
use std::time::Duration;

use rustix::process::{Pid, Signal, kill_process};

use crate::network::{Network, PLAIN, REJECTING, SILENT};
use crate::support::{SCANNER, finish, run, scanner, start, words};

/// The report without what differs between two runs: times, and with `-v` the order in which open ports are found.
fn report(stdout: &str) -> (Vec<String>, Vec<String>) {
    let is_timed = |line: &&str| line.starts_with("Starting ") || line.starts_with("scanner done");
    let (mut found, kept): (Vec<_>, Vec<_>) = stdout
        .lines()
        .filter(|line| !is_timed(line))
        .map(|line| match line.split_once(" latency)") {
            Some((before, after)) => format!("{}{after}", before.split('(').next().unwrap_or_default()),
            None => line
                .split(" at ")
                .next()
                .unwrap_or_default()
                .split(", ")
                .next()
                .unwrap_or_default()
                .to_owned(),
        })
        .partition(|line| line.starts_with("Discovered open port"));
    found.sort();
    (kept, found)
}

#[test]
fn two_and_five_threads_come_to_what_one_does() {
    let Some(network) = Network::new("workers") else { return };
    for line in [
        // Every host is everybody's, then each somebody's.
        format!("-sT -n -Pn --reason -p1-5000 {PLAIN}"),
        format!("-sS -n --reason -p1-5000 {PLAIN} {REJECTING}"),
        format!("-sS -n --reason -p1-30,80 --max-retries 1 {PLAIN} {REJECTING} {SILENT} 198.18.64.99"),
        format!("-sT -n -v -Pn -p1-30,80 {PLAIN} {REJECTING}"),
        format!("-sSU -n -v -p22,80,81,9 --max-retries 1 {PLAIN} {REJECTING}"),
        "-6 -sS -n --reason -p20-25 fd00:64::10 fd00:64::12".to_owned(),
        format!("-sT -R -p22,81 {PLAIN} {REJECTING} 198.18.64.99"),
    ] {
        let by = |workers: u32| network.scan(&format!("--workers {workers} {line}")).expect(0);
        let alone = by(1);
        for workers in [2, 5] {
            let shared = by(workers);
            assert_eq!(report(&shared.stdout), report(&alone.stdout), "{line} by {workers}");
            assert_eq!(shared.stderr, alone.stderr, "{line} by {workers}");
        }
    }
}

#[test]
fn hundreds_of_hosts_are_reported_in_the_order_given() {
    let hosts: Vec<String> = (0..600).map(|at| Ipv4Addr::from_bits(0x7f00_0900 + at).to_string()).collect();
    let mut command = Command::new(SCANNER);
    let done = run(command.args(words("--workers 3 -sT -n -Pn -p9,10 -oG -")).args(&hosts)).expect(0);
    let ports = done.stdout.lines().filter(|line| line.contains("Ports: ")).collect::<Vec<_>>();
    let reported: Vec<&str> = ports.iter().map(|line| line.split(' ').nth(1).unwrap()).collect();
    assert_eq!(reported, hosts);
    assert!(ports.iter().all(|line| line.contains("9/closed/tcp") && line.contains("10/closed/tcp")));
}

#[test]
fn the_journal_of_several_threads_is_whole_and_a_cut_off_run_of_theirs_goes_on() {
    let Some(network) = Network::new("workers-journal") else { return };
    let folder = tempfile::tempdir().unwrap();
    let journal = folder.path().join("run.ndjson");
    let journal = journal.display();
    // One after the other is slow: it is stopped in the middle.
    let line = format!("$SCANNER --workers 2 -sT -n -Pn -p1-6000 -oJ {journal} {PLAIN} {SILENT}");
    let cut = network.shell(&format!("{line} & sleep 1; kill -TERM $!; wait $!"));
    assert_eq!(cut.code, Some(143), "{cut:#?}");
    assert!(cut.stdout.contains("Interrupted: what is above is what was known by then."), "{cut:#?}");
    assert!(cut.stdout.contains(&format!("Scan report for {SILENT}")), "{cut:#?}");
    let gone_on = network.shell(&format!("$SCANNER -T4 --max-retries 0 --resume {journal}")).expect(0);
    assert!(gone_on.stderr.contains("1 host is done and skipped; 1 was begun"), "{gone_on:#?}");
    let whole =
        run(Command::new(SCANNER).arg("convert").arg(journal.to_string()).args(["-oG", "-"])).expect(0);
    let host = |ip: Ipv4Addr| {
        let named = format!("Host: {ip} (");
        whole.stdout.lines().find(|line| line.starts_with(&named) && line.contains("Ports: ")).unwrap()
    };
    assert!(
        host(PLAIN).contains("22/open/tcp") && host(PLAIN).ends_with("Ignored State: closed (5997)"),
        "{whole:#?}"
    );
    assert!(host(SILENT).ends_with("Ignored State: filtered (6000)"), "{whole:#?}");
}

#[test]
fn a_signal_ends_all_threads_and_loses_nothing() {
    // Slow by its silence: the loopback answers at once, and a rate would be one thread's.
    let Some(network) = Network::new("workers-signal") else { return };
    let mut command = network.scanner(&format!("--workers 3 -n -Pn -p22,80,1001-20000 {PLAIN} {SILENT}"));
    let child = start(&mut command, Stdio::null());
    std::thread::sleep(Duration::from_millis(700));
    kill_process(Pid::from_child(&child), Signal::INT).unwrap();
    let done = finish(child);
    assert_eq!(done.code, Some(130), "{done:#?}");
    for expected in
        ["22/tcp open  ssh", "80/tcp open  http", "Not finished: ", "2 IP addresses (2 hosts up) scanned"]
    {
        assert!(done.stdout.contains(expected), "{expected}: {done:#?}");
    }
}

#[test]
fn one_thread_does_what_one_has_to_and_says_so() {
    for (options, why) in [
        ("-p9 --packet-trace", "a trace is of one event loop"),
        ("-p9 -d", "a trace is of one event loop"),
        ("-sn", "only ports are shared, and none are scanned"),
        ("-p9 --max-rate 100", "a pace that is asked for is kept by one"),
        ("-p9 -T2", "a pace that is asked for is kept by one"),
    ] {
        let done = scanner(words(&format!("--workers 2 {options} -n 127.0.0.1"))).expect(0);
        assert!(done.stderr.contains(&format!("scanner: --workers: {why}; one thread scans")), "{done:#?}");
    }
    let refused = scanner(["--workers", "0", "127.0.0.1"]).expect(2);
    assert!(refused.stderr.contains("--workers"), "{refused:#?}");
}
