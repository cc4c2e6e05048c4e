//! Input that cannot be used: one line on standard error that says what and where, the documented exit code, and nothing
//! on standard output, for nothing was begun.

use std::fs;
use std::path::Path;

use testkit::{TcpEcho, UdpServer, need_root, need_tool};

use crate::network::{Network, PLAIN};
use crate::support::{Run, SCANNER, run, scanner};

/// Nothing but this one line, and this code.
#[track_caller]
fn expect_line(done: &Run, code: i32, line: &str) {
    let expected = format!("scanner: {line}\n");
    assert_eq!((done.code, done.stdout.as_str(), done.stderr.as_str()), (Some(code), "", expected.as_str()));
}

#[test]
fn no_arguments_are_answered_with_the_usage_on_stderr() {
    let done = scanner([""; 0]).expect(2);
    assert_eq!(done.stdout, "");
    assert_eq!(done.stderr, scanner(["-h"]).expect(0).stdout);
}

#[test]
fn no_ports_left() {
    let line = "No ports are left to scan: --exclude-ports takes all of them away, or the brackets of -p hold no known one";
    expect_line(&scanner(["-n", "-p22", "--exclude-ports", "1-100", "127.0.0.1"]), 2, line);
}

#[test]
fn no_targets_left() {
    let line = "no targets are left to scan: --exclude and --excludefile take all of them away";
    expect_line(&scanner(["-n", "-p22", "--exclude", "127.0.0.0/8", "127.0.0.1"]), 2, line);
    let line = "Invalid address specification: \"::1\": only IPv4 addresses are scanned. \
                No targets were specified, so 0 hosts scanned.";
    expect_line(&scanner(["-n", "-4", "-p22", "::1"]), 2, line);
}

#[test]
fn a_bad_exclusion_stops_everything_for_it_may_protect_somebody() {
    let done = scanner(["-n", "-Pn", "-p22", "--exclude", "127.0.0.300", "127.0.0.1"]);
    let line = "--exclude: Invalid address specification: \"127.0.0.300\": \"300\" (character 9) is no octet or range \
                of octets from 0 to 255";
    expect_line(&done, 2, line);
}

#[test]
fn files_that_cannot_be_read_or_written() {
    let folder = tempfile::tempdir().unwrap();
    let name = |name: &str| folder.path().join(name).display().to_string();
    let missing = name("missing");
    let opening = |name: &str, why: &str| format!("Failed to open input file {name} for reading: {why}");
    let no_such = "No such file or directory";
    expect_line(&scanner(["-n", "-iL", &missing]), 1, &opening(&missing, &format!("{no_such} (2)")));
    let done = scanner(["-n", "--excludefile", &missing, "127.0.0.1"]);
    expect_line(&done, 1, &opening(&missing, &format!("{no_such} (2)")));
    let here = folder.path().display().to_string();
    expect_line(&scanner(["-n", "-iL", &here]), 1, &opening(&here, "Is a directory (21)"));
    let within = name("missing/report");
    for option in ["-oN", "--trace-out"] {
        let done = scanner(["-n", "-Pn", "-p1", option, &within, "127.0.0.1"]);
        expect_line(&done, 1, &format!("{option}: cannot write {within}: {no_such} (os error 2)"));
    }
    // Hostile bytes of a name are shown, not sent to the terminal.
    let hostile = scanner(["-n", "-iL", "\u{1b}[31mred\u{202e}"]).expect(1);
    assert!(hostile.stderr.is_ascii() && !hostile.stderr.contains('\u{1b}'), "{hostile:#?}");
}

#[test]
fn one_bad_target_among_good_ones_is_told_and_the_others_are_scanned() {
    let echo = TcpEcho::start().unwrap();
    let port = echo.address().port();
    let done = scanner(["-n", "-Pn", &format!("-p{port}"), "1.2.3.999", "127.0.0.1"]).expect(3);
    assert_eq!(done.port(port).0, "open");
    let line = "scanner: Invalid address specification: \"1.2.3.999\": \"999\" (character 7) is no octet or range of \
                octets from 0 to 255\n";
    assert_eq!(done.stderr, line);

    let folder = tempfile::tempdir().unwrap();
    let list = folder.path().join("list");
    fs::write(&list, "127.0.0.1 # fine\n127.0.0.1/x\n\u{1b}]0;title\u{7}\n").unwrap();
    let list = list.display().to_string();
    let done = scanner(["-n", "-Pn", &format!("-p{port}"), "-iL", &list]).expect(3);
    assert_eq!(done.port(port).0, "open");
    let lines: Vec<&str> = done.stderr.lines().collect();
    assert_eq!(lines.len(), 2, "{done:#?}");
    assert!(lines[0].starts_with(&format!("scanner: {list}:2: Unable to split netmask")), "{done:#?}");
    assert!(lines[1].starts_with(&format!("scanner: {list}:3: ")), "{done:#?}");
    assert!(done.stderr.chars().all(|char| char == '\n' || !char.is_control()), "{done:#?}");
}

/// A name server that says "no such name" to everything.
fn denier() -> UdpServer {
    UdpServer::start(|query, _| {
        let mut answer = query.to_vec();
        (answer[2], answer[3]) = (0x81, 0x83);
        vec![answer]
    })
    .unwrap()
}

#[test]
fn a_name_that_does_not_resolve() {
    let server = denier();
    let servers = server.address().to_string();
    let done = scanner(["--dns-servers", &servers, "-p1", "no.such.host.invalid"]);
    let line = "Failed to resolve \"no.such.host.invalid\": no such name; no targets are left to scan";
    expect_line(&done, 2, line);
    let done =
        scanner(["--dns-servers", &servers, "-Pn", "-p1", "no.such.host.invalid", "127.0.0.1"]).expect(3);
    assert_eq!(done.stderr, "scanner: Failed to resolve \"no.such.host.invalid\": no such name\n");
    assert_eq!(done.ports().len(), 1);
    // Both bad, each with a line of its own.
    let done = scanner(["--dns-servers", &servers, "-p1", "a.invalid", "b.invalid"]).expect(2);
    assert_eq!(done.stderr.lines().count(), 2, "{done:#?}");
    assert!(done.stderr.ends_with("\"b.invalid\": no such name; no targets are left to scan\n"), "{done:#?}");
    assert!(server.received() > 0);
}

#[test]
fn a_name_server_that_is_none() {
    let done = scanner(["--dns-servers", "not/a/server", "-p1", "127.0.0.1"]);
    let line = "--dns-servers: \"not/a/server\" is no address, address:port or host name";
    expect_line(&done, 2, line);
}

/// Runs the scanner where `/etc` has nothing but what is put there.
fn with_empty_etc(prepare: &str, arguments: &str) -> Run {
    let script = format!("mount -t tmpfs none /etc && {prepare} exec {SCANNER} {arguments}");
    run(std::process::Command::new("unshare").args(["--mount", "sh", "-c", &script]))
}

#[test]
fn without_a_resolver_names_are_missing_and_addresses_are_scanned() {
    if !need_root() || !need_tool("unshare") {
        return;
    }
    assert!(Path::new(SCANNER).is_absolute());
    let advice = "/etc/resolv.conf: No such file or directory (os error 2); name servers with --dns-servers, or use -n \
                  or --system-dns";
    expect_line(&with_empty_etc("", "-Pn -p1 some.name"), 1, advice);
    let done = with_empty_etc("", "-Pn -p1 127.0.0.1").expect(0);
    assert_eq!(done.stderr, format!("scanner: WARNING: no names are looked up: {advice}\n"));
    assert_eq!(done.port(1).0, "closed");
    assert_eq!(with_empty_etc("", "-n -Pn -p1 127.0.0.1").expect(0).stderr, "");
    let line = "Failed to resolve \"some.name\": no DNS server is configured; name one with --dns-servers; \
                no targets are left to scan";
    expect_line(&with_empty_etc(": > /etc/resolv.conf;", "-Pn -p1 some.name"), 2, line);
}

#[test]
fn a_name_server_whose_name_is_unknown() {
    let Some(network) = Network::new("server-name") else { return };
    let done = network.scan(&format!("--dns-servers nosuch.example -p1 {PLAIN}")).expect(1);
    assert_eq!((done.stdout.as_str(), done.stderr.lines().count()), ("", 1), "{done:#?}");
    assert!(done.stderr.starts_with("scanner: --dns-servers: nosuch.example:53: "), "{done:#?}");
}
