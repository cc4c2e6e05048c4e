//! Files, and standard output that goes away.

use std::collections::HashSet;
use std::fs;
use std::io::{BufRead, BufReader, Read};
use std::process::{Command, Stdio};
use std::time::Duration;

use serde_json::Value;
use testkit::{Oracle, TcpEcho, TraceEnd};

use crate::network::{Network, PLAIN};
use crate::support::{SCANNER, scanner, start, wait_at_most};

#[test]
fn the_report_in_a_file_has_the_trace_and_its_own_first_and_last_line() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("the report.txt").display().to_string();
    let done = scanner(["-n", "-Pn", "--packet-trace", "-v", "-p1", "-oN", &file, "127.0.0.1"]).expect(0);
    let text = fs::read_to_string(&file).unwrap();
    let lines: Vec<&str> = text.lines().collect();
    assert!(lines[0].starts_with("# scanner 0.") && lines[0].contains(" scan initiated "), "{text}");
    let command = format!("--packet-trace -v -p1 -oN \"{file}\" 127.0.0.1");
    assert!(lines[0].ends_with(&command), "{text}");
    let last = lines.last().unwrap();
    assert!(
        last.starts_with("# scanner done at ") && last.contains(" -- 1 IP address (1 host up) scanned in "),
        "{text}"
    );
    // Neither banner nor progress, but everything else of the screen.
    let is_screen_only = |line: &&str| {
        ["Starting ", "Initiating ", "Scanning ", "Completed ", "scanner done: "]
            .iter()
            .any(|start| line.starts_with(start))
    };
    let screen: Vec<&str> = done.stdout.lines().filter(|line| !is_screen_only(line)).collect();
    assert_eq!(lines[1..lines.len() - 1], screen);
    assert_eq!(text.matches("CONN (").count(), 2);
}

#[test]
fn a_dash_is_standard_output_without_the_other_report() {
    let done = scanner(["-n", "-Pn", "-p1", "-oN", "-", "127.0.0.1"]).expect(0);
    assert!(done.stdout.starts_with("# scanner ") && !done.stdout.contains("Starting "), "{done:#?}");
    assert_eq!(done.ports().len(), 1);
}

/// What every step has to have, besides `t` and `step`.
fn fields(step: &str) -> &'static [&'static str] {
    match step {
        "iod_new" | "iod_delete" => &["iod"],
        "event_new" | "released" | "callback" | "timer_fired" => &["eid", "kind"],
        "request" => &["eid", "kind", "call", "place"],
        _ => &[],
    }
}

#[test]
fn every_trace_record_is_a_line_of_json_with_the_documented_fields() {
    let Some(network) = Network::new("trace-out") else { return };
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("trace.ndjson");
    network.scan(&format!("--unprivileged -p22,81 --trace-out {} {PLAIN}", file.display())).expect(0);
    let text = fs::read_to_string(&file).unwrap();
    let (mut steps, mut scopes, mut last) = (HashSet::new(), HashSet::new(), 0.0);
    for line in text.lines() {
        let record: Value = serde_json::from_str(line).unwrap();
        let time = record["t"].as_f64().unwrap();
        assert!(time >= last && time < 60.0, "{line}");
        last = time;
        let step = record["step"].as_str().unwrap().to_owned();
        for field in fields(&step) {
            assert!(!record[field].is_null(), "{field} in {line}");
        }
        steps.insert(step);
        scopes.insert(record["scope"].as_str().unwrap_or_default().to_owned());
    }
    for step in ["iod_new", "request", "callback", "iod_delete"] {
        assert!(steps.contains(step), "{step} in {steps:?}");
    }
    assert!(scopes.contains("dns") && scopes.contains(""), "{scopes:?}");
    let connects = text.lines().filter(|line| line.contains("198.18.64.10:22")).count();
    assert!(connects > 0, "{text}");
    let violations = Oracle::check_ndjson(text.as_bytes(), TraceEnd::Complete).unwrap();
    assert_eq!(violations, [], "the contract holds in every record of a scan");
}

#[test]
fn a_reader_that_has_seen_enough_ends_the_program_quietly() {
    let mut command = Command::new(SCANNER);
    command.args(["-sT", "-n", "-Pn", "--packet-trace", "-p1-3000", "127.0.0.1"]);
    let mut child = start(&mut command, Stdio::null());
    let mut stdout = BufReader::new(child.stdout.take().unwrap());
    let mut first = String::new();
    stdout.read_line(&mut first).unwrap();
    assert!(first.starts_with("Starting scanner "), "{first}");
    drop(stdout);
    assert_eq!(wait_at_most(&mut child, Duration::from_secs(20)), Some(0));
    let mut said = String::new();
    child.stderr.take().unwrap().read_to_string(&mut said).unwrap();
    assert_eq!(said, "");
}

#[test]
fn a_full_disk_is_an_error_and_not_a_lost_report() {
    let echo = TcpEcho::start().unwrap();
    let port = format!("-p{}", echo.address().port());
    for option in ["-oN", "--trace-out"] {
        let done = scanner(["-n", "-Pn", &port, option, "/dev/full", "127.0.0.1"]).expect(1);
        assert!(
            done.stderr.contains("No space left on device") && done.stderr.lines().count() == 1,
            "{done:#?}"
        );
        assert_eq!(done.port(echo.address().port()).0, "open", "the screen has it all the same");
    }
}
