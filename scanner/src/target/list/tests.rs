use super::*;

/// Knows a few names and one interface, and counts what it is asked.
#[derive(Default)]
struct Table {
    asked: Vec<String>,
}

impl Directory for Table {
    fn addresses(&mut self, name: &str) -> Result<Vec<Address>, String> {
        self.asked.push(name.to_owned());
        let parse = |list: &str| list.split(' ').map(|ip| Address::new(ip.parse().unwrap())).collect();
        match name {
            "four.test" => Ok(parse("198.18.0.4")),
            "both.test" => Ok(parse("fd00::6 198.18.0.6 198.18.0.7")),
            "six.test" => Ok(parse("fd00::66")),
            "nothing.test" => Ok(Vec::new()),
            _ => Err("Name or service not known".to_owned()),
        }
    }

    fn interface_index(&mut self, name: &str) -> Option<u32> {
        (name == "eth0").then_some(2)
    }
}

fn list(families: Families, targets: &[&str], exclude: &str) -> TargetList {
    let mut list = TargetList::new(families);
    for target in targets {
        list.include(target.as_bytes(), &Origin::CommandLine);
    }
    if !exclude.is_empty() {
        list.exclude(exclude.as_bytes(), &Origin::Option("--exclude")).unwrap();
    }
    list
}

fn scanned(families: Families, targets: &[&str], exclude: &str) -> String {
    let resolved =
        list(families, targets, exclude).resolve(&mut Table::default(), AddressesOfAName::First).unwrap();
    let addresses: Vec<String> = resolved.set.iter().map(|address| address.to_string()).collect();
    assert_eq!(resolved.set.len(), addresses.len() as u128);
    addresses.join(" ")
}

#[test]
fn the_order_given_is_kept_and_duplicates_are_scanned_once() {
    let table: &[(&[&str], &str, &str)] = &[
        (&["198.18.64.8/30"], "", "198.18.64.8 198.18.64.9 198.18.64.10 198.18.64.11"),
        (&["198.18.64.8,10-11"], "", "198.18.64.8 198.18.64.10 198.18.64.11"),
        (&["fd00:64::10/127"], "", "fd00:64::10 fd00:64::11"),
        (&["198.18.64-65.*"], "198.18.64.0/24,198.18.65.2-255", "198.18.65.0 198.18.65.1"),
        (&["198.18.0.3", "198.18.0.1", "198.18.0.2"], "", "198.18.0.3 198.18.0.1 198.18.0.2"),
        (&["198.18.0.2", "198.18.0.1-198.18.0.3"], "", "198.18.0.2 198.18.0.1 198.18.0.3"),
        (&["198.18.0.1", "198.18.0.1", "198.18.0.1/32", "::ffff:198.18.0.1"], "", "198.18.0.1"),
        (&["::1", "127.0.0.1", "::1"], "", "::1 127.0.0.1"),
        (&["fe80::1%eth0", "fe80::1%2", "fe80::1%3"], "", "fe80::1%2 fe80::1%3"),
        (&["four.test", "198.18.0.4"], "", "198.18.0.4"),
        (&["both.test"], "", "fd00::6"),
        (&["four.test/31"], "", "198.18.0.4 198.18.0.5"),
        (&["198.18.0.4-198.18.0.8"], "both.test, 198.18.0.5", "198.18.0.4 198.18.0.8"),
        (&["198.18.0.1-198.18.0.5"], "198.18.0.1,3-4", "198.18.0.2 198.18.0.5"),
        (&["198.18.0.1"], "0.0.0.0/0", ""),
    ];
    for (targets, exclude, expected) in table {
        assert_eq!(scanned(Families::Any, targets, exclude), *expected, "{targets:?}");
    }
}

#[test]
fn a_family_can_be_left_out() {
    assert_eq!(scanned(Families::V4, &["both.test", "::1", "127.0.0.1"], ""), "198.18.0.6 127.0.0.1");
    assert_eq!(scanned(Families::V6, &["both.test", "::1", "127.0.0.1"], ""), "fd00::6 ::1");
    let six = list(Families::V4, &["::1", "six.test"], "");
    let early: Vec<String> = six.problems().iter().map(ToString::to_string).collect();
    assert_eq!(early, ["Invalid address specification: \"::1\": only IPv4 addresses are scanned"]);
    let late = six.resolve(&mut Table::default(), AddressesOfAName::First).unwrap().problems;
    assert_eq!(late[0].to_string(), "Hostname six.test resolves, but not to any IPv4 address");
}

#[test]
fn one_bad_target_among_good_ones_is_told_and_the_others_are_kept() {
    let list = list(
        Families::Any,
        &["198.18.0.1", "1.2.3.999", "198.18.0.2", "no.test", "no.test", "nothing.test"],
        "",
    );
    assert_eq!(list.problems().len(), 1);
    let mut table = Table::default();
    let resolved = list.resolve(&mut table, AddressesOfAName::First).unwrap();
    let lines: Vec<String> = resolved.problems.iter().map(ToString::to_string).collect();
    assert_eq!(
        lines,
        ["Failed to resolve \"no.test\": Name or service not known", "Failed to resolve \"nothing.test\"."]
    );
    assert_eq!(resolved.set.len(), 2);
    assert_eq!(table.asked, ["no.test", "nothing.test"]);
    assert_eq!(list.names().collect::<Vec<_>>(), ["no.test", "nothing.test"]);
}

#[test]
fn what_is_to_be_left_out_must_be_understood() {
    let mut list = TargetList::new(Families::Any);
    let refused = list.exclude(b"198.18.0.0/24,1.2.3", &Origin::Option("--exclude")).unwrap_err();
    assert_eq!(
        refused.to_string(),
        "--exclude: Invalid address specification: \"1.2.3\": an IPv4 address has four octets, this has 3"
    );
    let refused = list.exclude_file("out.txt", b"# mine\n198.18.0.1\nfe80::1\n").unwrap_err();
    assert!(refused.to_string().starts_with("out.txt:3: Invalid address specification: \"fe80::1\""));
    assert!(list.exclude(b"", &Origin::Option("--exclude")).is_err());
    list.include(b"198.18.0.1", &Origin::CommandLine);
    list.exclude(b"no.test", &Origin::Option("--exclude")).unwrap();
    let refused = list.resolve(&mut Table::default(), AddressesOfAName::First).unwrap_err();
    assert_eq!(refused.to_string(), "--exclude: Failed to resolve \"no.test\": Name or service not known");
}

#[test]
fn problems_of_a_file_tell_the_line_and_are_bounded() {
    let mut list = TargetList::new(Families::Any);
    list.include_file("t.txt", b"198.18.0.1\n# x\n  1.2.3.999 198.18.0.2\n\xff\xfe\n");
    let lines: Vec<String> = list.problems().iter().map(ToString::to_string).collect();
    assert!(lines[0].starts_with("t.txt:3: Invalid address specification: \"1.2.3.999\""), "{lines:?}");
    assert!(lines[1].starts_with("t.txt:4: Invalid address specification:"), "{lines:?}");
    list.include_file("junk", "1.2.3 ".repeat(5000).as_bytes());
    list.include_file("long", &[b'1'; 5000]);
    assert_eq!(list.problems().len(), PROBLEMS_MAX);
    assert_eq!(list.problems_dropped(), 5001 + 2 - PROBLEMS_MAX);
}

#[test]
fn unknown_interfaces_are_told() {
    let list = list(Families::Any, &["fe80::1%nope", "fe80::1%0"], "");
    let problems = list.resolve(&mut Table::default(), AddressesOfAName::First).unwrap().problems;
    let lines: Vec<String> = problems.iter().map(ToString::to_string).collect();
    assert_eq!(lines[0], "Invalid address specification: \"fe80::1%nope\": there is no interface \"nope\"");
    assert_eq!(lines.len(), 2);
}

#[test]
fn a_host_keeps_the_name_it_was_given_by() {
    let list = list(Families::Any, &["both.test/127", "four.test"], "");
    let set = list.resolve(&mut Table::default(), AddressesOfAName::First).unwrap().set;
    let named: Vec<Option<&str>> =
        set.iter().map(|address| set.given_name(address).map(|given| &*given.name)).collect();
    assert_eq!(named, [Some("both.test"), None, Some("four.test")]);
    let both = set.given_name(set.iter().next().unwrap()).unwrap();
    assert_eq!(both.other_addresses.len(), 2);
}
