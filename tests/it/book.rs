//! The book in `docs`: its list of pages, and those that run examples. Its Rust code is run as documentation of the kit,
//! its scans by the scanner's tests.

use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::{env, fs};

use testkit::{Page, need_tool};

fn docs() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("docs")
}

/// Does what `cargo run` does for examples that are built, as the tests' own build may not be disturbed.
const CARGO: &str = r#"#!/bin/sh
[ "$1 $2 $3" = 'run -q --example' ] || exit 100
name=$4
shift 4
[ "$1" = -- ] && shift
exec "$EXAMPLES/$name" "$@"
"#;

#[test]
fn the_iod_that_hangs_is_found_as_the_page_says() {
    if !need_tool("jq") {
        return;
    }
    let page = Page::read("debugging-an-iod.md").unwrap();
    let folder = tempfile::tempdir().unwrap();
    let cargo = folder.path().join("cargo");
    fs::write(&cargo, CARGO).unwrap();
    fs::set_permissions(&cargo, fs::Permissions::from_mode(0o755)).unwrap();
    let paths = env::var_os("PATH").unwrap_or_default();
    let path =
        env::join_paths([folder.path().to_owned()].into_iter().chain(env::split_paths(&paths))).unwrap();
    let examples = env::current_exe().unwrap().parent().unwrap().parent().unwrap().join("examples");
    let output = Command::new("sh")
        .args(["-c", &page.script()])
        .current_dir(folder.path())
        .env("PATH", path)
        .env("EXAMPLES", examples)
        .output()
        .unwrap();
    page.check(&String::from_utf8(output.stdout).unwrap()).unwrap_or_else(|why| panic!("{why}"));
}

#[test]
fn every_page_is_in_the_summary_and_every_link_leads_somewhere() {
    let read = |name: &str| fs::read_to_string(docs().join(name)).unwrap();
    let pages = fs::read_dir(docs()).unwrap().map(|entry| entry.unwrap().file_name().into_string().unwrap());
    let mut pages: Vec<_> = pages.filter(|name| name.ends_with(".md")).collect();
    let summary = read("SUMMARY.md");
    for page in &pages {
        assert!(page == "SUMMARY.md" || summary.contains(&format!("]({page})")), "{page}");
    }
    pages.push("../README.md".to_owned());
    for page in &pages {
        let text = read(page);
        for target in text.split("](").skip(1).filter_map(|rest| rest.split(')').next()) {
            let file = docs().join(page).parent().unwrap().join(target);
            assert!(target.contains("://") || file.exists(), "{page} links to {target}");
        }
    }
}
