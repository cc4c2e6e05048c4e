//! The page of nsock's functions holds what it says: all of them, and examples and tests that exist.

use std::collections::BTreeSet;
use std::fs;
use std::path::Path;

const PAGE: &str = include_str!("../../nsock/src/parity.md");

/// How many functions nsock has (spec nsock 2).
const FUNCTIONS: usize = 69;

/// The cells of the page's tables.
fn rows() -> Vec<Vec<&'static str>> {
    PAGE.lines()
        .filter(|line| line.starts_with("| "))
        .map(|line| line.trim_matches('|').split(" | ").map(|cell| cell.trim_matches([' ', '|'])).collect())
        .collect()
}

/// What stands in backquotes.
fn quoted(cell: &str) -> impl Iterator<Item = &str> {
    cell.split('`').skip(1).step_by(2)
}

/// Every file of Rust below a folder, one after the other.
fn source(folder: &Path, all: &mut String) {
    for entry in fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path()) {
        if entry.is_dir() {
            source(&entry, all);
        } else if entry.extension().is_some_and(|extension| extension == "rs") {
            all.push_str(&fs::read_to_string(entry).unwrap());
        }
    }
}

#[test]
fn each_function_has_its_row_and_each_row_says_what_or_why_not() {
    let functions: Vec<_> = rows()
        .into_iter()
        .filter(|row| row[0].starts_with("`nsock_") || row[0].starts_with("`nse_"))
        .collect();
    let names: BTreeSet<_> = functions.iter().map(|row| row[0]).collect();
    assert_eq!((functions.len(), names.len()), (FUNCTIONS, FUNCTIONS));
    for row in functions {
        let says_why = row[1].starts_with("not here") || row[1] == "as above";
        assert!(row.len() == 3 && !row[1].is_empty(), "{row:?}");
        assert!(says_why || quoted(row[2]).next().is_some(), "{row:?} is shown by nothing");
    }
}

#[test]
fn each_example_and_test_it_names_exists() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let mut all = String::new();
    source(&root.join("tests"), &mut all);
    source(&root.join("nsock/src"), &mut all);
    for row in rows().iter().filter(|row| row.len() == 3) {
        for name in quoted(row[2]) {
            let is_example = root.join("examples").join(name).with_extension("rs").exists();
            let is_module = root.join("tests/it").join(name).with_extension("rs").exists();
            assert!(is_example || is_module || all.contains(&format!("fn {name}(")), "{name} does not exist");
        }
    }
}

#[test]
fn each_report_it_counts_as_a_test_is_one() {
    let mut all = String::new();
    source(&Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/it"), &mut all);
    let reports = PAGE.split("# The reports of its users").nth(1).unwrap().split(';').next().unwrap();
    let numbers: Vec<_> = quoted(reports).map(|name| name.trim_start_matches("nmap_")).collect();
    assert!(numbers.len() > 25, "{numbers:?}");
    let beside = ["1485", "1489", "1873"];
    for number in numbers.into_iter().filter(|number| !beside.contains(number)) {
        let named = all.split("fn nmap_").skip(1).any(|rest| {
            let name = rest.split('(').next().unwrap_or_default();
            name.split('_').any(|part| part == number)
        });
        assert!(named, "no test is named after {number}");
    }
}
