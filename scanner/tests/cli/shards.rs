//! One scan as numbered jobs: the page in `docs` is run as it stands.

use std::collections::BTreeSet;
use std::fs;
use std::path::Path;
use std::process::Command;

use testkit::need_tool;

use crate::support::{SCANNER, run, scanner};

const PAGE: &str = include_str!("../../../docs/many-machines.md");

/// The commands of a section, up to its first block's end.
fn block(section: &str) -> &'static str {
    let after = PAGE.split(&format!("## {section}\n")).nth(1).unwrap();
    after.split("```sh\n").nth(1).unwrap().split("```").next().unwrap()
}

/// Address, port, state and reason of each port that a journal or another file comes to.
fn ports(grepable: &str) -> BTreeSet<String> {
    let hosts = grepable.lines().filter(|line| line.contains("\tPorts: "));
    hosts.map(|line| line.split("\tIgnored").next().unwrap_or_default().to_owned()).collect()
}

#[test]
fn parts_run_by_gnu_parallel_come_to_what_one_run_does() {
    if !need_tool("parallel") {
        return;
    }
    let folder = tempfile::tempdir().unwrap();
    let bin = folder.path().join("bin");
    fs::create_dir(&bin).unwrap();
    std::os::unix::fs::symlink(Path::new(SCANNER), bin.join("scanner")).unwrap();
    let script = format!("cd {0}; PATH={0}/bin:$PATH; {1}", folder.path().display(), block("GNU parallel"));
    run(Command::new("sh").args(["-ec", &script])).expect(0);
    let whole = folder.path().join("whole.ndjson");
    let joined = run(Command::new(SCANNER).arg("convert").arg(whole).args(["-oG", "-"])).expect(0).stdout;
    let options = ["-sT", "-n", "-Pn", "-p", "1-3", "-oG", "-", "127.0.8.0/27"];
    let alone = scanner(options).expect(0).stdout;
    assert_eq!(ports(&alone).len(), 32, "{alone}");
    assert_eq!(ports(&joined), ports(&alone));
    assert!(fs::read_to_string(folder.path().join("whole.xml")).unwrap().contains("127.0.8.31"));
}
