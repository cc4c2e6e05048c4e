//! One scan as numbered jobs: the page in `docs` is run as it stands.

use std::collections::BTreeSet;
use std::fs;
use std::process::Command;

use testkit::{Page, need_tool};

use crate::support::{SCANNER, run, run_page, scanner};

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
    let page = Page::read("many-machines.md").unwrap().section("GNU parallel");
    let folder = run_page(&page, &[]);
    let whole = folder.path().join("whole.ndjson");
    let joined = run(Command::new(SCANNER).arg("convert").arg(whole).args(["-oG", "-"])).expect(0).stdout;
    let options = ["-sT", "-n", "-Pn", "-p", "1-3", "-oG", "-", "127.0.8.0/27"];
    let alone = scanner(options).expect(0).stdout;
    assert_eq!(ports(&alone).len(), 32, "{alone}");
    assert_eq!(ports(&joined), ports(&alone));
    assert!(fs::read_to_string(folder.path().join("whole.xml")).unwrap().contains("127.0.8.31"));
}
