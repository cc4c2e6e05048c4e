//! Ctrl-C and termination: what is known is reported; the second time the program ends at once.

use std::process::{Child, Command, Stdio};
use std::thread;
use std::time::Duration;

use rustix::process::{Pid, Signal, kill_process};

use crate::network::{Network, PLAIN, SILENT};
use crate::support::{Run, SCANNER, finish, read_until, start, wait_at_most};

/// Longer than the program may take to end.
const END_MAX: Duration = Duration::from_secs(10);

fn signal(child: &Child, signal: Signal) {
    kill_process(Pid::from_child(child), signal).unwrap();
}

/// Interrupts a scan of one host that answers and one that does not, after the first was reported.
fn interrupt(network: &Network, options: &str, by: Signal, code: i32) -> Run {
    // A second's work for the host that answers, and close to a minute's for the silent one.
    let line = format!("-n -Pn {options} -p22,80,1001-20000 {PLAIN} {SILENT}");
    let mut child = start(&mut network.scanner(&line), Stdio::null());
    let before = read_until(&mut child, "22/tcp open  ssh\n80/tcp open  http\n");
    signal(&child, by);
    wait_at_most(&mut child, END_MAX);
    let mut done = finish(child).expect(code);
    done.stdout.insert_str(0, &before);
    done
}

/// What is said of a host that answered, and of one that was not finished.
#[track_caller]
fn expect_both(done: &Run) {
    let (_, known) = done.stdout.split_once("Scan report for 198.18.64.10\n").unwrap();
    let (known, unfinished) = known.split_once("Scan report for 198.18.64.13\n").unwrap();
    assert!(known.contains("80/tcp open") && !known.contains("Not finished"), "{done:#?}");
    assert!(
        unfinished.contains("\nNot finished: ")
            && unfinished.contains(" ports of this host have no result\n"),
        "{done:#?}"
    );
    assert!(unfinished.contains("Interrupted: what is above is what was known by then.\n"), "{done:#?}");
    assert!(unfinished.contains("scanner done: 2 IP addresses (2 hosts up) scanned in "), "{done:#?}");
    assert_eq!(done.stderr, "");
}

#[test]
fn an_interrupt_reports_what_is_known_and_marks_the_rest() {
    let Some(network) = Network::new("interrupt") else { return };
    expect_both(&interrupt(&network, "", Signal::INT, 130));
}

#[test]
fn a_termination_does_the_same_and_files_are_whole() {
    let Some(network) = Network::new("terminate") else { return };
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("report");
    let trace = folder.path().join("trace");
    let outputs = format!("-oN {} --trace-out {}", file.display(), trace.display());
    let done = interrupt(&network, &outputs, Signal::TERM, 143);
    expect_both(&done);
    let text = std::fs::read_to_string(&file).unwrap();
    assert!(
        text.contains("Not finished: ") && text.lines().last().unwrap().starts_with("# scanner done at "),
        "{text}"
    );
    for line in std::fs::read_to_string(&trace).unwrap().lines() {
        let _record: serde_json::Value = serde_json::from_str(line).unwrap();
    }
}

#[test]
fn an_interrupt_in_a_watched_scan_ends_every_part_of_it() {
    let Some(network) = Network::new("interrupt-v") else { return };
    // While hosts are looked for: nothing is known of either.
    let line = format!("--unprivileged -n -v -T1 --max-retries 9 --packet-trace -p22 {SILENT} 198.18.64.99");
    let mut child = start(&mut network.scanner(&line), Stdio::null());
    let before = read_until(&mut child, "Operation now in progress");
    signal(&child, Signal::INT);
    wait_at_most(&mut child, END_MAX);
    let mut done = finish(child).expect(130);
    done.stdout.insert_str(0, &before);
    for host in ["198.18.64.13", "198.18.64.99"] {
        assert!(done.stdout.contains(&format!("Scan report for {host} [not finished]\n")), "{done:#?}");
    }
}

#[test]
fn a_second_interrupt_ends_a_program_that_cannot_even_write() {
    let mut command = Command::new(SCANNER);
    // Nobody reads: the pipe is full long before this is done.
    command.args(["-sT", "-n", "-Pn", "--packet-trace", "-p1-5000", "127.0.0.1"]);
    let mut child = start(&mut command, Stdio::null());
    thread::sleep(Duration::from_secs(1));
    signal(&child, Signal::INT);
    thread::sleep(Duration::from_millis(200));
    assert!(child.try_wait().unwrap().is_none(), "it still has something to write");
    signal(&child, Signal::INT);
    assert_eq!(wait_at_most(&mut child, Duration::from_secs(2)), Some(130));
}

#[test]
fn a_watched_scan_is_terminated_with_the_code_of_that() {
    let Some(network) = Network::new("terminate-v") else { return };
    let line = format!("-n -Pn -T2 -v -p1001-1300 {SILENT}");
    let mut child = start(&mut network.scanner(&line), Stdio::null());
    read_until(&mut child, "Initiating Connect Scan");
    signal(&child, Signal::TERM);
    let code = wait_at_most(&mut child, END_MAX);
    assert_eq!(code, Some(143));
}
