//! Files for programs: XML, grepable lines, NDJSON, beside the original's where there is one.

use std::fs;
use std::process::{Command, Stdio};
use std::thread;
use std::time::Duration;

use serde_json::Value;
use testkit::need_tool;

use crate::network::{DROPPING, Network, PLAIN, SILENT};
use crate::support::{finish, run, start, words};

/// What an XPath expression finds in a file; fails if the file is not well-formed.
#[track_caller]
fn xpath(file: &std::path::Path, expression: &str) -> String {
    let mut command = Command::new("xmllint");
    let done = run(command.args(["--xpath", expression]).arg(file));
    assert_eq!(done.code, Some(0), "{expression} {done:#?} {}", fs::read_to_string(file).unwrap());
    done.stdout.trim().to_owned()
}

#[test]
fn every_format_tells_the_ports_that_the_original_tells() {
    if !need_tool("xmllint") {
        return;
    }
    let Some(network) = Network::with_nmap("formats") else { return };
    let folder = tempfile::tempdir().unwrap();
    let base = folder.path().join("ours");
    let theirs = folder.path().join("theirs");
    let line =
        |base: &std::path::Path| format!("-sS -n -p22,80-82 -oA {} {PLAIN} {DROPPING}", base.display());
    network.scan(&line(&base)).expect(0);
    let mut command = network.lab.scanner_command("nmap");
    run(command.args(words(&line(&theirs)))).expect(0);
    let xml = |base: &std::path::Path| base.with_extension("xml");
    for expression in [
        "count(//host)",
        "count(//port)",
        "string(//host[1]/ports/port[@portid='22']/state/@reason)",
        "string(//host[2]/ports/port[@portid='82']/state/@state)",
        "string(//host[1]/address[@addrtype='mac']/@addr)",
        "string(//host[1]/status/@reason)",
        "string(//scaninfo/@type)",
        "string(//scaninfo/@services)",
        "string(//runstats/hosts/@up)",
        "string(//runstats/finished/@exit)",
    ] {
        assert_eq!(xpath(&xml(&base), expression), xpath(&xml(&theirs), expression), "{expression}");
    }
    assert_eq!(xpath(&xml(&base), "string(/nmaprun/@scanner)"), "scanner");
    let grepable = |base: &std::path::Path| {
        let text = fs::read_to_string(base.with_extension("gnmap")).unwrap();
        let lines = text.lines().filter(|line| !line.starts_with('#'));
        // The names of services are ours.
        lines.map(|line| line.replace("hosts2-ns", "http-alt")).collect::<Vec<_>>()
    };
    assert_eq!(grepable(&base).len(), grepable(&theirs).len());
    let states = |lines: &[String]| {
        lines.iter().map(|line| line.split("//").next().unwrap().to_owned()).collect::<Vec<_>>()
    };
    assert_eq!(states(&grepable(&base)), states(&grepable(&theirs)));
    assert!(fs::read_to_string(base.with_extension("nmap")).unwrap().starts_with("# scanner "));
    let json = fs::read_to_string(base.with_extension("ndjson")).unwrap();
    let lines: Vec<Value> = json.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    assert_eq!((&lines[0]["type"], &lines[0]["form"]), (&"start".into(), &2.into()));
    let hosts: Vec<&Value> = lines.iter().filter(|line| line["type"] == "host").collect();
    assert_eq!(hosts.len(), 2);
    assert_eq!(hosts[0]["ports"][0]["state"], "open");
    assert_eq!(hosts[1]["ports"][3]["reason"], "no-response");
    assert_eq!(lines.last().unwrap()["type"], "finish");
}

#[test]
fn a_killed_scan_leaves_files_that_can_be_read() {
    if !need_tool("xmllint") {
        return;
    }
    let Some(network) = Network::new("formats-kill") else { return };
    for milliseconds in [60, 150, 300] {
        let folder = tempfile::tempdir().unwrap();
        let base = folder.path().join("run");
        // One that is done at once, and one that takes long; groups of one are reported one by one.
        let line = format!("-sT -Pn -n -p22,1000-2500 -oA {} {PLAIN} {SILENT}", base.display());
        let mut child = start(&mut network.scanner(&line), Stdio::null());
        thread::sleep(Duration::from_millis(milliseconds));
        child.kill().unwrap();
        let _killed = child.wait().unwrap();
        let xml = base.with_extension("xml");
        if xml.exists() && fs::metadata(&xml).unwrap().len() > 0 {
            assert_eq!(xpath(&xml, "string(/nmaprun/runstats/finished/@exit)"), "error");
        }
        for line in fs::read_to_string(base.with_extension("ndjson")).unwrap_or_default().lines() {
            let _value: Value = serde_json::from_str(line).unwrap();
        }
    }
}

#[test]
fn one_format_on_standard_output_silences_the_report() {
    if !need_tool("xmllint") {
        return;
    }
    let done = crate::support::scanner(words("-sT -Pn -n -p1 -oX - 127.0.0.1")).expect(0);
    assert!(
        done.stdout.starts_with("<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n<!DOCTYPE nmaprun>\n"),
        "{done:#?}"
    );
    assert!(done.stdout.ends_with("</nmaprun>\n"), "{done:#?}");
    let done = crate::support::scanner(words("-sT -Pn -n -p1 -oJ - 127.0.0.1")).expect(0);
    assert!(done.stdout.lines().all(|line| serde_json::from_str::<Value>(line).is_ok()), "{done:#?}");
    crate::support::scanner(words("-oX - -oG - 127.0.0.1")).expect(2);
    crate::support::scanner(words("-oA x -oX y 127.0.0.1")).expect(2);
}

#[test]
fn an_interrupted_scan_says_so_in_every_format() {
    if !need_tool("xmllint") {
        return;
    }
    let Some(network) = Network::new("formats-int") else { return };
    let folder = tempfile::tempdir().unwrap();
    let base = folder.path().join("run");
    let line = format!("-sT -Pn -n -p1000-2500 -oA {} {SILENT}", base.display());
    let child = start(&mut network.scanner(&line), Stdio::null());
    thread::sleep(Duration::from_millis(400));
    let pid = rustix::process::Pid::from_child(&child);
    rustix::process::kill_process(pid, rustix::process::Signal::INT).unwrap();
    finish(child).expect(130);
    let xml = base.with_extension("xml");
    assert_eq!(xpath(&xml, "string(//runstats/finished/@errormsg)"), "interrupted");
    assert_eq!(xpath(&xml, "string(//host/@partial)"), "true");
    let json = fs::read_to_string(base.with_extension("ndjson")).unwrap();
    assert!(json.lines().last().unwrap().contains("\"cut\":\"interrupted\""), "{json}");
}
