//! The book in `docs`: what its pages say to type is typed, and prints what they show.

use testkit::{Page, need_root, need_tool};

use crate::support::run_page;

/// A shell's command for a network with nothing in it, and processes that end with it.
const ALONE: [&str; 6] = ["unshare", "--net", "--pid", "--fork", "--mount-proc", "--kill-child"];

/// Types what a page says, in a network of its own.
fn type_alone(page: &str) {
    let tools = ["unshare", "setpriv", "ip", "nft", "python3", "jq"];
    if need_root() && tools.into_iter().all(need_tool) {
        run_page(&Page::read(page).unwrap(), &ALONE);
    }
}

#[test]
fn the_first_scan_prints_what_its_page_shows() {
    type_alone("first-scan.md");
}

#[test]
fn the_traces_are_those_of_their_page() {
    type_alone("reading-a-trace.md");
}
