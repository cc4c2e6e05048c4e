//! A file system without room: what it holds stays whole, and what goes elsewhere is complete.

use std::fs;
use std::path::Path;
use std::process::Command;

use testkit::{need_root, need_tool};

use crate::support::{Run, SCANNER, run};

/// Their reports are more than half a megabyte, in any form.
const HOSTS: usize = 6000;

/// Runs the scanner where `$FULL` is a file system of a megabyte, half of it taken, whose files are in `folder` afterwards.
fn scan_into_full(folder: &Path, options: &str) -> Option<Run> {
    if !need_root() || !need_tool("unshare") {
        return None;
    }
    let script = format!(
        "FULL=$(mktemp -d) && mount -t tmpfs -o size=1m none $FULL || exit 99
         head -c $ROOM_TAKEN /dev/zero >$FULL/.taken
         $SCANNER -sT -n -Pn -T4 --min-rtt-timeout 3s --max-hostgroup 64 -p21-24 {options} \
             127.1.0.0/19 --exclude 127.1.23.112-127.1.31.255
         code=$?; cp $FULL/* {}; exit $code",
        folder.display()
    );
    let mut command = Command::new("unshare");
    Some(run(command
        .args(["--mount", "sh", "-c", &script])
        .env("SCANNER", SCANNER)
        .env("ROOM_TAKEN", (1 << 19).to_string())))
}

#[test]
fn each_file_ends_after_its_last_whole_part_and_the_report_is_intact() {
    let outputs = [("-oN", "normal"), ("-oX", "xml"), ("-oG", "grepable"), ("-oJ", "ndjson")];
    for (option, name) in outputs {
        let folder = tempfile::tempdir().unwrap();
        let Some(done) = scan_into_full(folder.path(), &format!("{option} $FULL/{name}")) else { return };
        expect_told(&done, &[(option, name)]);
        let text = fs::read_to_string(folder.path().join(name)).unwrap();
        expect_whole(name, &text);
        assert!(text.len() > 400_000 && text.len() <= 1 << 19, "{}", text.len());
    }
}

#[test]
fn all_of_them_at_once_too() {
    let folder = tempfile::tempdir().unwrap();
    let Some(done) = scan_into_full(folder.path(), "-oA $FULL/run") else { return };
    expect_told(
        &done,
        &[("-oN", "run.nmap"), ("-oX", "run.xml"), ("-oG", "run.gnmap"), ("-oJ", "run.ndjson")],
    );
    for (name, ending) in [("normal", "nmap"), ("xml", "xml"), ("grepable", "gnmap"), ("ndjson", "ndjson")] {
        expect_whole(name, &fs::read_to_string(folder.path().join("run").with_extension(ending)).unwrap());
    }
    // With room again the run goes on.
    let journal = folder.path().join("run.ndjson");
    let done_before = fs::read_to_string(&journal).unwrap().matches("\"type\":\"host\"").count();
    assert!(done_before > 0 && done_before < HOSTS);
    let xml = folder.path().join("again.xml");
    let line = "-sT -n -Pn -T4 --min-rtt-timeout 3s -p21-24 127.1.0.0/19 --exclude 127.1.23.112-127.1.31.255 --resume";
    let mut command = Command::new(SCANNER);
    command.args(crate::support::words(line)).arg(&journal).arg("-oX").arg(&xml);
    let resumed = run(&command).expect(0);
    assert!(
        resumed.stderr.contains(&format!("{done_before} hosts are done and skipped")),
        "{}",
        resumed.stderr
    );
    assert_eq!(fs::read_to_string(&xml).unwrap().matches("<host ").count(), HOSTS);
}

#[test]
fn a_trace_that_does_not_fit_is_told_and_the_report_is_intact() {
    let folder = tempfile::tempdir().unwrap();
    let Some(done) = scan_into_full(folder.path(), "--trace-out $FULL/trace") else { return };
    expect_told(&done, &[]);
    let told = "scanner: --trace-out: No space left on device (os error 28); the trace is not complete\n";
    assert_eq!(done.stderr, told);
}

/// Each file is named with what is wrong, and standard output tells every host.
#[track_caller]
fn expect_told(done: &Run, failed: &[(&str, &str)]) {
    assert_eq!(done.code, Some(1), "{}", done.stderr);
    for (option, name) in failed {
        let line =
            done.stderr.lines().find(|line| line.starts_with(&format!("scanner: {option}: cannot write")));
        let line = line.unwrap_or_else(|| panic!("{option} is not in {}", done.stderr));
        assert!(line.contains(&format!("/{name}: No space left on device")), "{line}");
        assert!(line.ends_with("it ends here, everything else goes on"), "{line}");
    }
    assert_eq!(done.stdout.matches("Scan report for ").count(), HOSTS);
    assert!(done.stdout.contains(&format!("scanner done: {HOSTS} IP addresses ({HOSTS} hosts up)")));
}

/// What was written can be read to its end.
#[track_caller]
fn expect_whole(name: &str, text: &str) {
    assert!(text.ends_with('\n'), "{name}: {:?}", &text[text.len().saturating_sub(200)..]);
    match name {
        "xml" => {
            assert!(text.ends_with("</nmaprun>\n"));
            assert_eq!(text.matches("<host ").count(), text.matches("</host>").count());
            assert!(scanner::journal::read_xml(text.as_bytes()).is_ok());
        }
        "ndjson" => {
            for line in text.lines() {
                let _value: serde_json::Value = serde_json::from_str(line).unwrap();
            }
        }
        "grepable" => assert!(text.lines().skip(1).all(|line| line.starts_with("Host: ")), "{name}"),
        _ => assert!(text.matches("Scan report for ").count() > 1),
    }
}
