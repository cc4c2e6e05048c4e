//! Debian's `nmap` and ours with the same arguments in the same lab: the same lines on the same streams.

use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::{fs, thread};

use testkit::need_tool;

use crate::network::{DROPPING, Network, PLAIN, REJECTING, SILENT};
use crate::support::{Run, SCANNER, run, words};
use crate::transcript::{masked, sorted};

/// Runs of a pair before a difference counts. On a busy machine either program may be late to read an answer and send
/// its probe once more; a real difference is there every time.
const PAIRS_MAX: usize = 3;

/// Lines that ours never has: there are no data files, and `--open` changes nothing but the report, so no closed port is
/// ever called filtered for its sake.
const NOT_OURS: [&str; 5] = [
    "Read data files from: ",
    "Some closed ports may be reported as filtered",
    // Words of our own: what was given up, what is missing.
    "scanner: every capability is given up",
    "scanner: scanning by TCP connect (-sT)",
    "Overall sending rates: ",
];

/// The lines that are compared, masked.
pub(crate) fn lines(text: &str) -> Vec<String> {
    let is_ours = |line: &String| !NOT_OURS.iter().any(|start| line.starts_with(start));
    masked(text).into_iter().filter(is_ours).collect()
}

/// Runs both at the same time.
fn pair(network: &Network, wrapper: &[&str], scanner: &Path, line: &str) -> (Run, Run) {
    let start = |program: &Path| {
        let mut all: Vec<&str> = wrapper.to_vec();
        let program = program.to_str().unwrap();
        all.push(program);
        all.extend(words(line));
        let mut command = network.lab.scanner_command(all[0]);
        command.args(&all[1..]);
        run(&command)
    };
    thread::scope(|scope| {
        let theirs = scope.spawn(|| start(Path::new("nmap")));
        let ours = start(scanner);
        (theirs.join().unwrap(), ours)
    })
}

/// Fails unless both print the same multisets of lines, once `edit` has made theirs what ours is meant to be.
#[track_caller]
fn compare(
    network: &Network,
    wrapper: &[&str],
    scanner: &Path,
    line: &str,
    edit: fn(String) -> String,
) -> (Run, Run) {
    for attempt in 1.. {
        let (theirs, ours) = pair(network, wrapper, scanner, line);
        let expected = lines(&theirs.stdout).into_iter().map(edit).collect();
        let same = sorted(expected) == sorted(lines(&ours.stdout))
            && sorted(lines(&theirs.stderr)) == sorted(lines(&ours.stderr))
            && theirs.code == ours.code;
        if same {
            return (theirs, ours);
        }
        assert!(attempt < PAIRS_MAX, "{line}\ntheirs: {theirs:#?}\nours: {ours:#?}");
    }
    unreachable!("the loop returns or panics")
}

/// Runs something until it is as it should be, or a difference counts.
#[track_caller]
pub(crate) fn retried<T>(mut attempt: impl FnMut() -> Result<T, String>) -> T {
    for number in 1.. {
        match attempt() {
            Ok(value) => return value,
            Err(difference) => assert!(number < PAIRS_MAX, "{difference}"),
        }
    }
    unreachable!("the loop returns or panics")
}

#[track_caller]
fn same(network: &Network, line: &str) -> (Run, Run) {
    compare(network, &[], Path::new(SCANNER), line, |line| line)
}

#[test]
fn an_open_a_closed_and_a_dropped_port() {
    let Some(network) = Network::with_nmap("same-states") else { return };
    let (theirs, ours) = same(&network, &format!("-n -sT -Pn -p22,81,82 --packet-trace {DROPPING}"));
    assert_eq!(ours.stdout.matches("CONN (").count(), 6, "{ours:#?}");
    assert_eq!((theirs.stderr.as_str(), ours.stderr.as_str()), ("", ""));
    // The recorded transcript of the same situation, so that it is not only the two that agree.
    let recorded = include_str!("../fixtures/open-closed-filtered.txt");
    assert_eq!(sorted(lines(&ours.stdout)), sorted(lines(recorded)));
}

#[test]
fn every_reject_code_but_where_the_error_queue_knows_better() {
    let Some(network) = Network::with_nmap("same-rejects") else { return };
    let arguments = format!("-n -sT -Pn --reason --packet-trace -p1,2,3,4,9,10,13,20,21,22 {REJECTING}");
    let (theirs, ours) = compare(&network, &[], Path::new(SCANNER), &arguments, |line| {
        let true_code = match line.as_str() {
            "4/tcp closed SERVICE conn-refused" => "4/tcp filtered SERVICE port-unreach",
            "9/tcp filtered SERVICE net-unreach" => "9/tcp filtered SERVICE net-prohibited",
            "10/tcp filtered SERVICE host-unreach" => "10/tcp filtered SERVICE host-prohibited",
            "13/tcp filtered SERVICE host-unreach" => "13/tcp filtered SERVICE admin-prohibited",
            same => same,
        };
        true_code.to_owned()
    });
    assert_eq!(theirs.port(4), ("closed", "conn-refused".into()));
    assert_eq!(ours.port(4), ("filtered", "port-unreach".into()));
    let recorded = include_str!("../fixtures/reject-codes.txt");
    assert_eq!(sorted(lines(&theirs.stdout)), sorted(lines(recorded)));
}

#[test]
fn loopback_as_root_needs_no_discovery() {
    let Some(network) = Network::with_nmap("same-loopback") else { return };
    let (_, ours) = same(&network, "-n -sT -p80,81 --packet-trace --reason 127.0.0.1");
    let recorded = include_str!("../fixtures/loopback.txt");
    assert_eq!(sorted(lines(&ours.stdout)), sorted(lines(recorded)));
}

/// A copy of the scanner that every user may execute, wherever the build put the first.
fn copy_for_everybody(folder: &Path) -> PathBuf {
    fs::set_permissions(folder, fs::Permissions::from_mode(0o755)).unwrap();
    let copy = folder.join("scanner");
    fs::copy(SCANNER, &copy).unwrap();
    fs::set_permissions(&copy, fs::Permissions::from_mode(0o755)).unwrap();
    copy
}

#[test]
fn an_unprivileged_user_finds_hosts_by_connects() {
    if !need_tool("setpriv") {
        return;
    }
    let Some(network) = Network::with_nmap("same-user") else { return };
    let folder = tempfile::tempdir().unwrap();
    let scanner = copy_for_everybody(folder.path());
    let user = ["setpriv", "--reuid=65534", "--regid=65534", "--clear-groups"];
    let arguments = format!("-n -v --packet-trace --reason -p22,81 {PLAIN} {SILENT} 127.0.0.1");
    let (_, ours) = compare(&network, &user, &scanner, &arguments, |line| line);
    let recorded = include_str!("../fixtures/unprivileged.txt");
    assert_eq!(sorted(lines(&ours.stdout)), sorted(lines(recorded)));

    // A host that is down, and nothing else.
    let (_, ours) = compare(&network, &user, &scanner, &format!("-n -p22 {SILENT}"), |line| line);
    assert!(ours.stdout.contains("Note: Host seems down."), "{ours:#?}");
    compare(&network, &user, &scanner, &format!("-n -v -p22 {SILENT}"), |line| line);
}

#[test]
fn one_look_up_is_ten_lines_on_stderr_in_order() {
    let Some(network) = Network::with_nmap("same-look-up") else { return };
    let (theirs, ours) = same(&network, &format!("-sT -Pn --packet-trace -p22,81 {PLAIN}"));
    assert_eq!(lines(&theirs.stderr), lines(&ours.stderr));
    assert_eq!(lines(&ours.stderr), masked(include_str!("../fixtures/look-up.txt")));
    assert_eq!(ours.stdout.matches("CONN (").count(), 4);
    assert!(ours.stdout.contains("Scan report for plain.example (198.18.64.10)"), "{ours:#?}");
}

#[test]
fn two_hosts_with_and_without_names() {
    let Some(network) = Network::with_nmap("same-two") else { return };
    same(&network, &format!("-sT -Pn --packet-trace -p22,81 {PLAIN} {DROPPING}"));
    same(&network, &format!("-sT -Pn -n --packet-trace --reason -p22,80,81 {PLAIN} {DROPPING}"));
    same(&network, &format!("-sT -Pn -p22,81 {PLAIN} {SILENT}"));
    same(&network, &format!("-sT -Pn -n -v -p22 {PLAIN}"));
}

#[test]
fn a_report_without_a_trace() {
    let Some(network) = Network::with_nmap("same-report") else { return };
    same(&network, &format!("-sT -Pn -n -p22,81,82 {DROPPING}"));
    same(&network, &format!("-sT -Pn -n --open -p22,81,82 {DROPPING} {PLAIN}"));
    same(&network, &format!("-sT -Pn -n --reason -p20-60,80-160 {PLAIN}"));
    same(&network, &format!("-sT -Pn -n -p100-160 {PLAIN}"));
    let file = |name: &str| {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("report.txt");
        let program = if name == "nmap" { "nmap" } else { SCANNER };
        let mut command: Command = network.lab.scanner_command(program);
        command
            .args(["-sT", "-Pn", "-n", "--packet-trace", "-p22,81", "-oN"])
            .arg(&path)
            .arg(PLAIN.to_string());
        run(&command).expect(0);
        let text = fs::read_to_string(&path).unwrap();
        sorted(lines(&text).into_iter().filter(|line| !line.starts_with('#')).collect())
    };
    assert_eq!(file("nmap"), file("scanner"));
}
