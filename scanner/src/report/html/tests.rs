use base64::prelude::{BASE64_STANDARD, Engine};
use proptest::prelude::*;
use ring::digest::{SHA256, digest};

use super::*;
use crate::ports::Protocol;
use crate::report::Forward;
use crate::target::Address;
use crate::verdict::{Reason, Verdict};

#[test]
fn the_policy_names_the_style_and_the_script_by_their_hashes() {
    let hash = |text: &str| BASE64_STANDARD.encode(digest(&SHA256, text.as_bytes()));
    assert_eq!((STYLE_HASH, SCRIPT_HASH), (hash(STYLE).as_str(), hash(SCRIPT).as_str()));
    // They would end there.
    assert!(!STYLE.contains("</") && !SCRIPT.contains("</"));
}

fn report(name: &str, other: &str) -> HostReport {
    let mut report = HostReport::new(Address::new("198.18.0.1".parse().unwrap()));
    report.status = Some((HostStatus::Up, Verdict::new(PortState::Unknown, Reason::SynAck)));
    report.given_name = Some(name.to_owned());
    report.dns_name = Some(other.to_owned());
    report.ports.add(Protocol::Tcp, 22, Verdict::new(PortState::Open, Reason::SynAck));
    report.ports.add(Protocol::Udp, 53, Verdict::new(PortState::OpenFiltered, Reason::NoResponse));
    report
}

fn page(text: &str, report: &HostReport) -> String {
    let mut bytes = Vec::new();
    let mut page = Html::new(Forward(&mut bytes), Style::default());
    let start = Start::new(format!("scanner {text}"), String::new(), text.to_owned(), 1);
    page.event(ScanEvent::Started(&start)).unwrap();
    page.event(ScanEvent::Warning(text)).unwrap();
    page.event(ScanEvent::Host(report)).unwrap();
    let summary = Summary { file_time: text.to_owned(), hosts: 1, hosts_up: 1, ..Summary::default() };
    page.event(ScanEvent::Finished(&summary)).unwrap();
    String::from_utf8(bytes).unwrap()
}

/// The tags of a page, texts left out.
fn tags(page: &str) -> Vec<String> {
    let body = page.split_once("</script>").unwrap().1;
    let parts = body.split('<').skip(1);
    parts.map(|part| part.split_once('>').map_or(part, |(tag, _)| tag).to_owned()).collect()
}

/// What others may call themselves: the characters of markup, and anything else.
fn hostile() -> impl Strategy<Value = String> {
    let part = proptest::sample::select(vec![
        "<script>alert(1)</script>",
        "<img src=x onerror=alert(1)>",
        "\" onmouseover=\"alert(1)",
        "' x='",
        "</td></table></style></title>",
        "<!--",
        "-->",
        "<![CDATA[",
        "&lt;script&gt;",
        "&",
        ";",
        "javascript:alert(1)",
        "\u{feff}",
        "\0",
    ]);
    proptest::collection::vec(prop_oneof![part.prop_map(str::to_owned), ".{0,8}"], 0..6)
        .prop_map(|parts| parts.concat())
}

proptest! {
    #[test]
    fn no_text_of_others_is_markup(text in hostile(), name in hostile(), other in hostile()) {
        // As many names as there are in the plain page: equal ones are shown once.
        let (name, other) = (format!("a{name}"), format!("b{other}"));
        let plain = page("x", &report("a", "b"));
        let written = page(&text, &report(&name, &other));
        prop_assert_eq!(tags(&plain), tags(&written));
        // Nothing is lost: the texts are there, escaped.
        prop_assert!(written.contains(&text_of(&name)) && written.contains(&text_of(&text)));
        let shown = text_of(&name);
        prop_assert_eq!(quick_xml::escape::unescape(&shown).unwrap(), name);
    }
}

#[test]
fn the_page_is_complete_after_every_part() {
    let file = tempfile::NamedTempFile::new().unwrap();
    let document = crate::report::Seekable::new(file.reopen().unwrap()).unwrap();
    let mut page = Html::new(document, Style::default());
    let text = || std::fs::read_to_string(file.path()).unwrap();
    let whole = |text: &str| {
        assert!(text.starts_with("<!DOCTYPE html>") && text.ends_with("</html>\n"), "{text}");
        assert_eq!(text.matches("</html>").count(), 1);
        assert_eq!(text.matches("<table").count(), text.matches("</table>").count());
    };
    let start = Start::new("scanner x".to_owned(), String::new(), "now".to_owned(), 1);
    page.event(ScanEvent::Started(&start)).unwrap();
    whole(&text());
    page.event(ScanEvent::Host(&report("a", "b"))).unwrap();
    whole(&text());
    assert!(text().contains("Not finished") && text().contains("<td class=\"n\">22</td>"));
    page.event(ScanEvent::Finished(&Summary { hosts: 1, hosts_up: 1, ..Summary::default() })).unwrap();
    whole(&text());
    assert!(!text().contains("Not finished") && text().contains("1 IP address, 1 up, 0 down; open ports: 1"));
}
