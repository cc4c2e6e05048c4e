//! What programs of others read of our files, beside what they read of the original's.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use testkit::need_tool;

use crate::network::{DROPPING, Network, PLAIN, REJECTING};
use crate::support::{Run, run, words};

const READERS: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/fixtures/readers.py");
const SCHEMA: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../docs/scanner-ndjson.schema.json");
const DTD: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../docs/scanner.dtd");

/// A scan of three hosts by us and by the original; the bases of their files.
struct Files {
    _folder: tempfile::TempDir,
    ours: PathBuf,
    theirs: PathBuf,
}

impl Files {
    fn new(name: &str) -> Option<Self> {
        let network = Network::with_nmap(name)?;
        let folder = tempfile::tempdir().unwrap();
        let (ours, theirs) = (folder.path().join("ours"), folder.path().join("theirs"));
        // Many ports of one state, which are only counted, and a few of each other.
        let line = |base: &Path| {
            format!("-sS -n -v -p1-13,20-22,80,100-160 -oA {} {PLAIN} {DROPPING} {REJECTING}", base.display())
        };
        network.scan(&line(&ours)).expect(0);
        run(network.lab.scanner_command("nmap").args(words(&line(&theirs)))).expect(0);
        Some(Self { _folder: folder, ours, theirs })
    }

    fn xml(base: &Path) -> PathBuf {
        base.with_extension("xml")
    }

    fn ndjson(&self) -> PathBuf {
        self.ours.with_extension("ndjson")
    }
}

fn read_by(arguments: &[&str], file: &Path) -> Run {
    run(Command::new("python3").arg(READERS).args(arguments).arg(file)).expect(0)
}

/// Lines without an order, as hosts finish in any.
fn sorted(text: &str) -> Vec<&str> {
    let mut lines: Vec<&str> = text.lines().collect();
    lines.sort_unstable();
    lines
}

#[test]
fn libraries_find_in_our_xml_what_they_find_in_the_originals() {
    // It comes with the libraries: see the list of tools for continuous integration.
    if !need_tool("jsonschema") {
        return;
    }
    let Some(files) = Files::new("readers-libraries") else { return };
    for library in ["libnmap", "nmap"] {
        let ours = read_by(&[library], &Files::xml(&files.ours));
        let theirs = read_by(&[library], &Files::xml(&files.theirs));
        assert!(theirs.stdout.contains("198.18.64.10 22 tcp open syn-ack"), "{theirs:#?}");
        assert_eq!(sorted(&ours.stdout), sorted(&theirs.stdout), "{library}");
    }
}

#[test]
fn ndiff_finds_no_difference_between_our_ports_and_the_originals() {
    if !need_tool("ndiff") {
        return;
    }
    let Some(files) = Files::new("readers-ndiff") else { return };
    let (ours, theirs) = (Files::xml(&files.ours), Files::xml(&files.theirs));
    assert_eq!(run(Command::new("ndiff").arg(&ours).arg(&ours)).expect(0).stdout, "");
    let done = run(Command::new("ndiff").arg(&theirs).arg(&ours));
    assert!(matches!(done.code, Some(0 | 1)), "{done:#?}");
    // The names of services are ours, and so is the first line; states are not.
    let states = |sign: char| {
        let lines = done.stdout.lines().filter(move |line| line.starts_with(sign) && line.contains("/tcp"));
        lines.map(|line| line[1..].split_whitespace().take(2).collect::<Vec<_>>()).collect::<Vec<_>>()
    };
    assert_eq!(states('-'), states('+'), "{done:#?}");
    assert!(!done.stdout.contains("Not shown"), "{done:#?}");
    // Our own comparison comes to the same.
    let diff = Command::new(crate::support::SCANNER).arg("diff").arg(&theirs).arg(&ours).output().unwrap();
    assert_eq!((diff.status.code(), String::from_utf8_lossy(&diff.stdout).as_ref()), (Some(0), ""));
}

#[test]
fn our_xml_is_what_our_definition_says() {
    if !need_tool("xmllint") {
        return;
    }
    let Some(files) = Files::new("readers-dtd") else { return };
    let xml = Files::xml(&files.ours);
    run(Command::new("xmllint").args(["--noout", "--dtdvalid", DTD]).arg(&xml)).expect(0);
    // And not anything is.
    let text = fs::read_to_string(&xml).unwrap().replace("<status ", "<state ");
    fs::write(&xml, text).unwrap();
    assert_ne!(run(Command::new("xmllint").args(["--noout", "--dtdvalid", DTD]).arg(&xml)).code, Some(0));
}

#[test]
fn every_line_of_the_journal_is_what_the_schema_says() {
    if !need_tool("jsonschema") || !need_tool("jq") {
        return;
    }
    let Some(files) = Files::new("readers-json") else { return };
    let lines = fs::read_to_string(files.ndjson()).unwrap().lines().count();
    let valid = read_by(&["schema", SCHEMA], &files.ndjson());
    assert_eq!(valid.stdout.lines().count(), lines);
    let filter = r#"select(.type == "host") | .address as $host | .ports[] | select(.state == "open") | "\($host):\(.port)""#;
    let open = run(Command::new("jq").args(["-r", filter]).arg(files.ndjson())).expect(0);
    let expected: Vec<String> = [PLAIN, DROPPING, REJECTING]
        .iter()
        .flat_map(|host| [22, 80].map(|port| format!("{host}:{port}")))
        .collect();
    assert_eq!(sorted(&open.stdout), expected);
}
