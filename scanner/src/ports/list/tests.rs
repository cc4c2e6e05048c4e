use super::*;
use proptest::prelude::*;

const TCP: &[Protocol] = &[Protocol::Tcp];
const BOTH: &[Protocol] = &[Protocol::Tcp, Protocol::Udp];

fn parsed(text: &str, scanned: &[Protocol]) -> String {
    PortList::parse(text, scanned).map_or_else(|why| panic!("{text}: {why}"), |list| list.ports.to_string())
}

#[test]
fn every_form_of_a_port_list() {
    let table = [
        ("22", "T:22"),
        ("22,80,443", "T:22,80,443"),
        ("20-25", "T:20-25"),
        ("-100", "T:1-100"),
        ("60000-", "T:60000-65535"),
        ("-", "T:1-65535"),
        ("0", "T:0"),
        ("0-", "T:0-65535"),
        ("0-3,2", "T:0-3"),
        (" 22 , 80 - 82 ", "T:22,80-82"),
        ("T:22", "T:22"),
        ("T: 22", "T:22"),
        ("T:22,23,U:53", "T:22-23"),
        ("ssh", "T:22"),
        ("SSH", "T:22"),
        ("ssh,domain,22", "T:22,53"),
        ("s?h", "T:22"),
        ("T:ssh,U:domain", "T:22"),
        ("mysql,T:http", "T:80,3306"),
        ("[1-6]", "T:1,5"),
        ("[1-3,ssh],4", "T:1,4,22"),
        ("T:[1-6]", "T:1,5"),
        ("[T:1-6]", "T:1,5"),
        ("7,P:6,17", "T:7"),
    ];
    for (text, expected) in table {
        assert_eq!(parsed(text, TCP), expected, "{text}");
    }
}

#[test]
fn without_a_prefix_an_item_means_every_scanned_protocol() {
    assert_eq!(parsed("53", BOTH), "T:53,U:53");
    assert_eq!(parsed("53,U:161,T:22", BOTH), "T:22,53,U:53,161");
    assert_eq!(parsed("U:53,161-162,S:2905", &Protocol::ALL), "U:53,161-162,S:2905");
    assert_eq!(parsed("syslog", BOTH), "U:514");
}

#[test]
fn wild_cards_find_services_by_either_name() {
    let ports = PortList::parse("http*", TCP).unwrap().ports;
    for port in [80, 443, 280, 591, 593, 8000, 8008, 8080, 8443] {
        assert!(ports.of(Protocol::Tcp).contains(port), "{port}");
    }
    assert!(!ports.of(Protocol::Tcp).contains(22));
    assert_eq!(parsed("vnc", TCP), "T:5900");
    assert_eq!(parsed("rfb", TCP), "T:5900");
}

#[test]
fn brackets_keep_the_ports_that_are_known() {
    let ports = PortList::parse("[0-65535]", BOTH).unwrap().ports;
    assert!(ports.of(Protocol::Tcp).contains(10250));
    assert!(!ports.of(Protocol::Tcp).contains(4));
    assert!(!ports.of(Protocol::Tcp).contains(0));
    for port in top_ports::listed(Protocol::Udp) {
        assert!(ports.of(Protocol::Udp).contains(*port));
    }
}

#[test]
fn faults_are_told_with_their_place() {
    let table = [
        ("22,abc%%", 3, "Found no matches for the service mask 'abc%%' and your specified protocols"),
        ("22,70000", 3, "Ports specified must be between 0 and 65535 inclusive, which 70000 is not"),
        ("99999999999999999999", 0, "Ports specified must be between 0 and 65535 inclusive"),
        ("80,30-20", 3, "Your port range 30-20 is backwards. Did you mean 20-30?"),
        ("22x", 2, "Unexpected \"x\" after the port"),
        ("20-2x", 4, "Unexpected \"x\" after the port"),
        ("1-2-3", 3, "Unexpected \"-3\" after the port"),
        ("--5", 1, "Unexpected \"-5\" after the port"),
        ("T:,X:1", 2, "A port, a range or a service name is missing"),
        ("1,X:1", 2, "Unknown protocol specifier 'X'"),
        ("t:1", 0, "Unknown protocol specifier 't'"),
        ("nosuchsvc", 0, "Found no matches for the service mask 'nosuchsvc'"),
        ("", 0, "A port, a range or a service name is missing"),
        ("22,", 3, "A port, a range or a service name is missing"),
        ("22,,23", 3, "A port, a range or a service name is missing"),
        ("[22", 0, "The bracket [ is never closed"),
        ("22]", 2, "Unexpected ] character in port/protocol specification"),
        ("[1,[2]]", 3, "Unexpected [ character in port/protocol specification"),
        ("[1]2", 3, "Unexpected \"2\" after the port"),
        ("P:256", 2, "Ports specified must be between 0 and 255 inclusive"),
        ("P:tcp", 2, "Found no matches for the service mask 'tcp'"),
        ("é,1,\x1b[0m", 0, "Found no matches for the service mask 'é'"),
        ("1,é\x1b", 2, r"Found no matches for the service mask 'é\x1b'"),
    ];
    for (text, at, words) in table {
        let why = PortList::parse(text, TCP).unwrap_err();
        assert_eq!(why.at(), at, "{text}: {why}");
        let line = why.to_string();
        assert!(line.starts_with(words), "{text}: {line}");
        assert!(line.contains(&format!("(character {} of ", at + 1)), "{line}");
        assert!(!line.chars().any(char::is_control), "{line:?}");
    }
}

#[test]
fn what_was_hardly_meant_is_warned_of_once() {
    let warnings = |text| {
        let list = PortList::parse(text, TCP).unwrap();
        list.warnings.iter().map(ToString::to_string).collect::<Vec<_>>()
    };
    assert_eq!(warnings("22,22,23,23"), ["Duplicate port number(s) specified: 22/tcp is scanned once"]);
    assert_eq!(
        warnings("U:53,54"),
        ["Your ports include \"U:\" but you haven't specified UDP scan with -sU."]
    );
    assert_eq!(
        warnings("P:6"),
        ["Your ports include \"P:\" but you haven't specified IP protocol scan with -sO."]
    );
    assert_eq!(warnings("http*,http"), [""; 0]);
    assert!(PortList::parse("U:53", TCP).unwrap().ports.is_empty());
}

#[test]
fn a_mask_that_matches_a_protocol_not_scanned_is_no_error() {
    let list = PortList::parse("22,U:snmp", TCP).unwrap();
    assert_eq!(list.ports.to_string(), "T:22");
    assert_eq!(list.warnings, [PortListWarning::NotScanned('U')]);
}

proptest! {
    #[test]
    fn no_text_makes_it_panic(text in r"[-0-9,TUSP:\[\]*? a-z\u{0}-\u{ff}]{0,24}") {
        match PortList::parse(&text, BOTH) {
            Ok(list) => prop_assert!(list.ports.of(Protocol::Sctp).is_empty()),
            Err(why) => {
                prop_assert!(why.at() <= text.chars().count());
                prop_assert!(!why.to_string().chars().any(char::is_control));
            }
        }
    }

    #[test]
    fn what_is_written_is_read_back(tcp: Vec<u16>, udp: Vec<u16>) {
        let mut ports = Ports::new();
        ports.of_mut(Protocol::Tcp).extend(tcp);
        ports.of_mut(Protocol::Udp).extend(udp);
        prop_assume!(!ports.is_empty());
        let list = PortList::parse(&ports.to_string(), BOTH).unwrap();
        prop_assert_eq!(list.ports, ports);
        prop_assert_eq!(list.warnings, []);
    }
}
