//! The page of `-oH` in a browser: a scan whose hosts call themselves scripts.

use std::fs;

use testkit::{DnsAnswer, TcpEcho, UdpServer, dns_name, need_tool};

use crate::support::{run, scanner};

const BROWSER: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/fixtures/browser.py");

#[test]
fn a_browser_shows_hostile_names_as_text_and_sorts() {
    // The second comes with the library that speaks to the browser: see the tools of continuous integration.
    if !(need_tool("chromium") && need_tool("wsdump")) {
        return;
    }
    let names = UdpServer::start(|query, _| {
        let hostile = dns_name(&[
            b"<script>alert(1)</script>",
            b"<img src=x onerror=alert(2)>",
            b"\" onload=\"x",
            b"test",
        ]);
        vec![DnsAnswer::to(query).pointer_to(&hostile).done()]
    })
    .unwrap();
    let (one, other) = (TcpEcho::start().unwrap(), TcpEcho::start().unwrap());
    let (first, second) =
        (one.address().port().min(other.address().port()), one.address().port().max(other.address().port()));
    let folder = tempfile::tempdir().unwrap();
    let page = folder.path().join("page.html");
    let (servers, ports) = (names.address().to_string(), format!("{first},{second}"));
    let options = ["-Pn", "-p", &ports, "--dns-servers", &servers, "-oH", page.to_str().unwrap()];
    // The given name of a target is hostile too, as far as a command line lets it be.
    let targets = ["127.77.0.9", "127.77.0.10", "127.0.0.1"];
    scanner(options.into_iter().chain(targets)).expect(0);
    let text = fs::read_to_string(&page).unwrap();
    assert!(text.len() < 200_000 && !text.contains("http://") && !text.contains("https://"), "{text}");

    let done = run(std::process::Command::new("python3").args([BROWSER, page.to_str().unwrap()])).expect(0);
    let seen: serde_json::Value = serde_json::from_str(&done.stdout).unwrap();
    let list = |key: &str| -> Vec<String> {
        seen[key].as_array().unwrap().iter().map(|item| item.as_str().unwrap().to_owned()).collect()
    };
    for nothing in ["exceptions", "console", "dialogs"] {
        assert_eq!(list(nothing), Vec::<String>::new(), "{nothing}: {seen:#}");
    }
    assert_eq!(list("requests").len(), 1, "only the page itself: {seen:#}");
    assert_eq!(list("as_written"), targets);
    // By number, not as text.
    assert_eq!(list("ascending"), ["127.0.0.1", "127.77.0.9", "127.77.0.10"]);
    assert_eq!(list("descending"), ["127.77.0.10", "127.77.0.9", "127.0.0.1"]);
    assert_eq!(list("ports"), [first.to_string(), second.to_string()]);
    assert_eq!(list("ports_down"), [second.to_string(), first.to_string()]);
    assert_eq!((&seen["found"], &seen["scripts"], &seen["images"]), (&1.into(), &1.into(), &0.into()));
    assert!(seen["names"].as_str().unwrap().contains("*script*alert*1***script*"), "{seen:#}");
}
