//! The journal: runs killed anywhere go on where they ended, and the commands that read it.

use std::collections::BTreeMap;
use std::fs;
use std::path::Path;
use std::process::{Command, Stdio};
use std::thread;
use std::time::Duration;

use scanner::counted::counted;
use serde_json::Value;

use crate::network::{Network, PLAIN, REJECTING};
use crate::support::{Run, SCANNER, run, scanner, start, words};

/// Hosts of the loopback network that is scanned in the great test.
const HOSTS: usize = 2000;

fn lines(file: &Path) -> Vec<Value> {
    let text = fs::read(file).unwrap();
    let whole = text.iter().rposition(|byte| *byte == b'\n').map_or(0, |end| end + 1);
    text[..whole]
        .split(|byte| *byte == b'\n')
        .filter(|line| !line.is_empty())
        .map(|line| serde_json::from_slice(line).unwrap())
        .collect()
}

/// Every port of every host that is done, with its state.
fn results(file: &Path) -> BTreeMap<String, BTreeMap<u64, String>> {
    let mut hosts = BTreeMap::new();
    for line in lines(file).iter().filter(|line| line["type"] == "host" && line["ending"] == "complete") {
        let mut ports = BTreeMap::new();
        for port in line["ports"].as_array().unwrap() {
            ports.insert(port["port"].as_u64().unwrap(), port["state"].as_str().unwrap().to_owned());
        }
        for sum in line["extraports"].as_array().into_iter().flatten() {
            let set: scanner::ports::PortSet = sum["ports"].as_str().unwrap().parse().unwrap();
            for port in &set {
                ports.insert(port.into(), sum["state"].as_str().unwrap().to_owned());
            }
        }
        hosts.insert(line["address"].as_str().unwrap().to_owned(), ports);
    }
    hosts
}

/// How many ports each run of a journal probed: the known ones of an earlier run are not told again.
fn told(file: &Path) -> BTreeMap<(String, u64), u32> {
    let mut told = BTreeMap::new();
    for line in lines(file) {
        let address = line["address"].as_str().unwrap_or_default().to_owned();
        match line["type"].as_str().unwrap() {
            "port" => *told.entry((address, line["port"].as_u64().unwrap())).or_insert(0) += 1,
            "ports" => {
                let set: scanner::ports::PortSet = line["ports"].as_str().unwrap().parse().unwrap();
                for port in &set {
                    *told.entry((address.clone(), port.into())).or_insert(0) += 1;
                }
            }
            _ => {}
        }
    }
    told
}

fn resume(file: &Path) -> Run {
    run(Command::new(SCANNER).arg("--resume").arg(file))
}

/// What the report of a run holds when it is made again from a file: only hosts, no times.
fn report(file: &Path) -> Vec<String> {
    let done = run(Command::new(SCANNER).arg("convert").arg(file).args(["-oG", "-"])).expect(0);
    let lines = done.stdout.lines().filter(|line| !line.starts_with('#')).map(str::to_owned);
    let mut lines: Vec<String> = lines.collect();
    lines.sort();
    lines
}

#[test]
fn a_run_killed_at_any_moment_goes_on_and_comes_to_the_same() {
    let folder = tempfile::tempdir().unwrap();
    let whole = folder.path().join("whole.ndjson");
    // 2,000 hosts with 4 ports. A machine that stalls for a moment is not to make closed ports look silent.
    let targets = "127.1.0.0/21 --exclude 127.1.7.208-255";
    let line = |file: &Path| {
        format!(
            "-sT -n -Pn -T4 --min-rtt-timeout 3s -p22,80-82 -oJ {} -oX {}.xml {targets}",
            file.display(),
            file.display()
        )
    };
    scanner(words(&line(&whole))).expect(0);
    let expected = results(&whole);
    assert_eq!(expected.len(), HOSTS);
    let mut cut_off = 0;
    for moment in 0..50_u64 {
        let file = folder.path().join(format!("{moment}.ndjson"));
        let mut command = Command::new(SCANNER);
        let mut child = start(command.args(words(&line(&file))), Stdio::null());
        // Moments spread over a run, start and end included.
        thread::sleep(Duration::from_millis(10 + moment * 37 % 900));
        child.kill().unwrap();
        let reported = child.wait_with_output().unwrap();
        let reported = String::from_utf8_lossy(&reported.stdout).into_owned();
        if !file.exists() || fs::metadata(&file).unwrap().len() == 0 {
            continue;
        }
        let before = results(&file);
        let xml = fs::read_to_string(format!("{}.xml", file.display())).unwrap_or_default();
        for host in reported.lines().filter_map(|line| line.strip_prefix("Scan report for ")) {
            // The screen is told first, the files follow within the same moment.
            let is_last = reported.rfind("Scan report for ").is_some_and(|at| reported[at..].contains(host));
            assert!(is_last || before.contains_key(host), "{host} is not in the journal");
            assert!(is_last || xml.contains(&format!("addr=\"{host}\"")), "{host} is not in the XML");
        }
        if !xml.is_empty() {
            assert!(xml.ends_with("</nmaprun>\n"), "{}", &xml[xml.len().saturating_sub(300)..]);
        }
        if !lines(&file).iter().any(|line| line["type"] == "finish") {
            cut_off += 1;
        }
        let converted = run(Command::new(SCANNER).arg("convert").arg(&file).args(["-oX", "-"])).expect(0);
        assert!(converted.stdout.ends_with("</nmaprun>\n"));
        let done = resume(&file).expect(0);
        let skipped = counted(before.len(), "host is done and skipped", "hosts are done and skipped");
        assert!(done.stderr.contains(&skipped), "{done:#?}");
        assert!(
            done.stdout.contains(&format!("scanner done: {HOSTS} IP addresses ({HOSTS} hosts up)")),
            "{done:#?}"
        );
        let results = results(&file);
        let others: Vec<_> =
            expected.iter().filter(|(host, ports)| results.get(*host) != Some(*ports)).collect();
        let theirs: Vec<_> = others.iter().map(|(host, _)| (host, results.get(*host))).collect();
        assert!(others.is_empty() && results.len() == HOSTS, "moment {moment}: {others:?} became {theirs:?}");
        let xml = fs::read_to_string(format!("{}.xml", file.display())).unwrap();
        assert_eq!(xml.matches("<host ").count(), HOSTS);
    }
    assert!(cut_off > 25, "only {cut_off} runs were killed before their end");
    assert_eq!(report(&whole), report(&folder.path().join("0.ndjson")));
}

#[test]
fn ports_that_are_known_are_not_probed_again() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("run.ndjson");
    let line = format!("-sT -n -Pn --max-rate 2000 -p1-6000 -oJ {} 127.0.0.1", file.display());
    let mut command = Command::new(SCANNER);
    let mut child = start(command.args(words(&line)), Stdio::null());
    while !fs::read_to_string(&file).unwrap_or_default().contains("\"ports\",\"address\"") {
        thread::sleep(Duration::from_millis(20));
    }
    child.kill().unwrap();
    let _killed = child.wait().unwrap();
    let known = told(&file);
    assert!(!known.is_empty() && known.len() < 6000, "{}", known.len());
    // As a power failure leaves it.
    let mut torn = fs::read(&file).unwrap();
    torn.extend_from_slice(b"{\"type\":\"ports\",\"addre");
    fs::write(&file, torn).unwrap();
    let done = run(Command::new(SCANNER).arg("--resume").arg(&file).args(["--max-rate", "100000"]));
    let done = done.expect(0);
    assert!(
        done.stderr.contains(&format!("1 was begun, and {} of its ports are known", known.len())),
        "{done:#?}"
    );
    let after = told(&file);
    assert_eq!(after.len(), 6000);
    assert!(after.values().all(|times| *times == 1), "a port was probed twice");
    assert_eq!(results(&file)["127.0.0.1"].len(), 6000);
    assert!(lines(&file).iter().any(|line| line["type"] == "resume"));
}

#[test]
fn scans_by_packets_go_on_to_the_port_too_and_so_do_watched_ones() {
    let Some(network) = Network::new("resume-packets") else { return };
    for options in ["-sS", "-sS -v", "-sS --disable-arp-ping -PS22", "-sT -v"] {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("run.ndjson");
        let line = format!(
            "{options} -n --max-rate 1000 -p22,80,1001-3000 -oJ {} {PLAIN} {REJECTING}",
            file.display()
        );
        let mut child = start(&mut network.scanner(&line), Stdio::null());
        while !fs::read_to_string(&file).unwrap_or_default().contains("\"ports\",\"address\"") {
            thread::sleep(Duration::from_millis(20));
        }
        child.kill().unwrap();
        let _killed = child.wait().unwrap();
        let known = told(&file);
        assert!(!known.is_empty() && known.len() < 4004, "{options}: {}", known.len());
        let mut command = network.lab.scanner_command(SCANNER);
        let done = run(command.arg("--resume").arg(&file)).expect(0);
        assert!(
            done.stderr.contains(&format!("2 were begun, and {} of their ports", known.len())),
            "{options}: {done:#?}"
        );
        let after = told(&file);
        assert_eq!(after.len(), 4004, "{options}");
        assert!(after.values().all(|times| *times == 1), "{options}: a port was probed twice");
        let results = results(&file);
        for host in [PLAIN, REJECTING] {
            let ports = &results[&host.to_string()];
            assert_eq!(ports.len(), 2002, "{options}");
            let open: Vec<u64> =
                ports.iter().filter(|(_, state)| *state == "open").map(|(port, _)| *port).collect();
            assert_eq!(open, [22, 80], "{options}: {host}");
        }
        let host = lines(&file).into_iter().find(|line| line["type"] == "host").unwrap();
        // Frames of the second run need the hardware address as much as those of the first.
        assert!(host["mac"].is_string(), "{options}: {host}");
    }
}

#[test]
fn a_run_with_other_options_is_refused_by_their_names() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("run.ndjson");
    let name = file.display();
    scanner(words(&format!("-sT -n -Pn -p1,2 -oJ {name} 127.0.0.1"))).expect(0);
    let refused = |options: &str, named: &[&str]| {
        let done = scanner(words(&format!("-sT -n -Pn --resume {name} {options}"))).expect(2);
        assert!(done.stderr.contains("this would be another scan"), "{done:#?}");
        for name in named {
            assert!(done.stderr.contains(name), "{name}: {done:#?}");
        }
    };
    refused("-p1,3 127.0.0.1", &["ports (-p)"]);
    refused("-p1,2 127.0.0.2", &["targets"]);
    refused("-p1,2 --shard 1/2 127.0.0.1", &["--shard"]);
    refused("-p1,2 -4 127.0.0.1", &["-4, -6"]);
    // Pace and reports may change.
    let grepable = folder.path().join("run.gnmap");
    let done = scanner(words(&format!(
        "-sT -n -Pn -p1,2 -T4 -v --resume {name} -oG {} 127.0.0.1",
        grepable.display()
    )));
    done.expect(0);
    assert!(fs::read_to_string(&grepable).unwrap().contains("Host: 127.0.0.1 ()\tPorts: 1/closed/tcp"));
    // The same without targets: all else stands in the journal.
    let refused = scanner(words(&format!("--resume {name} -p1,3"))).expect(2);
    assert!(refused.stderr.contains("Only 1 -p option allowed"), "{refused:#?}");
    let refused = scanner(words(&format!("--resume {name} --shard 1/2"))).expect(2);
    assert!(refused.stderr.contains("this would be another scan"), "{refused:#?}");
    let other = folder.path().join("other");
    fs::write(&other, "no journal\n").unwrap();
    assert!(resume(&other).expect(2).stderr.contains("it is no journal"));
    assert!(resume(&folder.path().join("absent")).expect(2).stderr.contains("No such file"));
}

#[test]
fn journals_are_converted_merged_compared_and_explained() {
    let folder = tempfile::tempdir().unwrap();
    let path = |name: &str| folder.path().join(name).display().to_string();
    let (one, two, both) = (path("one.ndjson"), path("two.ndjson"), path("both.ndjson"));
    scanner(words(&format!("-sT -n -Pn -p1-40 -oJ {one} -oX {} 127.0.0.1", path("one.xml")))).expect(0);
    scanner(words(&format!("-sT -n -Pn -p30-50 -oJ {two} 127.0.0.1 127.0.0.2"))).expect(0);
    let command = |line: &str| run(Command::new(SCANNER).args(words(line)));
    command(&format!("convert {one} -oX {}", path("again.xml"))).expect(0);
    assert_eq!(fs::read(path("one.xml")).unwrap(), fs::read(path("again.xml")).unwrap());
    let shown = command(&format!("convert {one}")).expect(0);
    assert!(shown.stdout.contains("Scan report for 127.0.0.1\n"), "{shown:#?}");
    let merged = command(&format!("merge {one} {two} -oJ {both}")).expect(0);
    assert_eq!(merged.stdout, "");
    let merged = results(Path::new(&both));
    assert_eq!((merged["127.0.0.1"].len(), merged["127.0.0.2"].len()), (50, 21));
    assert_eq!(command(&format!("diff {one} {}", path("one.xml"))).expect(0).stdout, "");
    let differ = command(&format!("diff {one} {both} --json")).expect(1);
    let differ: Value = serde_json::from_str(&differ.stdout).unwrap();
    assert_eq!((&differ["same"], differ["hosts"].as_array().unwrap().len()), (&false.into(), 2));
    assert!(command(&format!("diff {one} {both}")).expect(1).stdout.contains("+127.0.0.2 (up)\n"));
    let explained = command(&format!("explain {one} 127.0.0.1:7")).expect(0);
    assert!(explained.stdout.contains("1 was sent, and answered"), "{explained:#?}");
    command(&format!("explain {one} 127.0.0.9:7")).expect(1);
    command(&format!("explain {one}")).expect(2);
    command(&format!("diff {one} {}", path("absent"))).expect(2);
    command(&format!("convert {one} -sS")).expect(2);
    command(&format!("merge {one} {two} -oJ {one}")).expect(2);
    command("convert --help").expect(0);
}

#[test]
fn files_are_added_to_and_have_the_time_in_their_names() {
    let folder = tempfile::tempdir().unwrap();
    let base = folder.path().join("run-%Y-100%%").display().to_string();
    for _ in 0..2 {
        scanner(words(&format!("-sT -n -Pn -p1 --append-output -oA {base} 127.0.0.1"))).expect(0);
    }
    let names: Vec<String> = fs::read_dir(folder.path())
        .unwrap()
        .map(|entry| entry.unwrap().file_name().into_string().unwrap())
        .collect();
    let name = names.iter().find(|name| name.ends_with(".nmap")).unwrap();
    assert!(name.starts_with("run-20") && name.ends_with("-100%.nmap"), "{names:?}");
    let text = fs::read_to_string(folder.path().join(name)).unwrap();
    assert_eq!(text.matches("# scanner done at").count(), 2);
    let xml = fs::read_to_string(folder.path().join(name.replace(".nmap", ".xml"))).unwrap();
    assert_eq!(xml.matches("</nmaprun>").count(), 2);
}
