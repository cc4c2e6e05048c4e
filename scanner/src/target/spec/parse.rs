//! Reads one target word.

use std::net::{Ipv4Addr, Ipv6Addr};

use dns::HostName;
use ipnet::Ipv6Net;

use super::{TargetFault, TargetSpec};
use crate::target::octets::{OctetPattern, OctetSet};

const LABEL_BYTES_MAX: usize = 63;
const NAME_BYTES_MAX: usize = 253;

pub(super) fn spec(word: &str) -> Result<TargetSpec, TargetFault> {
    if word.contains("://") {
        return Err(TargetFault::Url);
    }
    let (host, bits) = word.rsplit_once('/').map_or((word, None), |(host, bits)| (host, Some(bits)));
    if is_v4_expression(host) {
        v4(host, bits)
    } else if host.contains(':') {
        v6(host, bits)
    } else {
        let ascii = ascii(host);
        let host = ascii.as_deref().unwrap_or(host);
        check_name(host)?;
        Ok(TargetSpec::Name { host: host.into(), prefix: bits.map(|bits| prefix(bits, 128)).transpose()? })
    }
}

/// Tells whether a word can only be meant as an IPv4 address expression.
fn is_v4_expression(host: &str) -> bool {
    !host.is_empty()
        && host.bytes().all(|byte| matches!(byte, b'0'..=b'9' | b'.' | b',' | b'-' | b'*' | b'/'))
}

fn prefix(bits: &str, max: u8) -> Result<u8, TargetFault> {
    if bits.is_empty() || !bits.bytes().all(|byte| byte.is_ascii_digit()) {
        return Err(TargetFault::Netmask);
    }
    bits.parse().ok().filter(|bits| *bits <= max).ok_or(TargetFault::NetmaskTooLong { max })
}

fn v4(host: &str, bits: Option<&str>) -> Result<TargetSpec, TargetFault> {
    if let Some((first, last)) = v4_ends(host)? {
        return match bits {
            None => Ok(TargetSpec::V4Range { first, last }),
            Some(_) => Err(TargetFault::Netmask),
        };
    }
    let found = host.split('.').count();
    if found != 4 {
        return Err(TargetFault::OctetCount { found });
    }
    let mut octets = [OctetSet::default(); 4];
    let mut at = 0;
    for (set, text) in octets.iter_mut().zip(host.split('.')) {
        *set = octet(text, at)?;
        at += text.len() + 1;
    }
    let unreadable = || TargetFault::Octet { text: host.into(), at: 0 };
    let mut pattern = OctetPattern::new(octets).ok_or_else(unreadable)?;
    if let Some(bits) = bits {
        pattern = pattern.widen(prefix(bits, 32)?);
    }
    let runs = if pattern.run_count() == 1 { pattern.runs() } else { Vec::new() };
    Ok(match runs.as_slice() {
        [(first, last)] => TargetSpec::V4Range { first: *first, last: *last },
        _ => TargetSpec::V4Pattern(Box::new(pattern)),
    })
}

/// Reads `a-b` with a whole address on either side.
fn v4_ends(host: &str) -> Result<Option<(Ipv4Addr, Ipv4Addr)>, TargetFault> {
    let Some((first, last)) = host.split_once('-') else { return Ok(None) };
    let (Ok(first), Ok(last)) = (first.parse::<Ipv4Addr>(), last.parse::<Ipv4Addr>()) else {
        return Ok(None);
    };
    if last < first {
        return Err(TargetFault::Backwards { text: host.into(), at: 0 });
    }
    Ok(Some((first, last)))
}

/// Reads a comma list of numbers and ranges, `at` characters into the word.
fn octet(text: &str, at: usize) -> Result<OctetSet, TargetFault> {
    let mut set = OctetSet::default();
    let mut at = at;
    for part in text.split(',') {
        let (first, last) = octet_range(part).ok_or_else(|| TargetFault::Octet { text: part.into(), at })?;
        if last < first {
            return Err(TargetFault::Backwards { text: part.into(), at });
        }
        set.insert_range(first, last);
        at += part.len() + 1;
    }
    Ok(set)
}

/// Reads `N`, `A-B`, `-B`, `A-`, `-` or `*`.
fn octet_range(part: &str) -> Option<(u8, u8)> {
    if part == "*" {
        return Some((0, u8::MAX));
    }
    let number = |digits: &str, missing| if digits.is_empty() { Some(missing) } else { digits.parse().ok() };
    match part.split_once('-') {
        Some((first, last)) => Some((number(first, 0)?, number(last, u8::MAX)?)),
        None => part.parse().ok().map(|value| (value, value)),
    }
}

fn v6(host: &str, bits: Option<&str>) -> Result<TargetSpec, TargetFault> {
    let (host, zone) = host.split_once('%').map_or((host, None), |(host, zone)| (host, Some(zone)));
    if zone == Some("") {
        return Err(TargetFault::ZoneEmpty);
    }
    let (first, last) = v6_ends(host, bits)?;
    let mapped = first.to_ipv4_mapped().filter(|_| first == last && zone.is_none() && bits.is_none());
    if let Some(mapped) = mapped {
        return Ok(TargetSpec::V4Range { first: mapped, last: mapped });
    }
    if zone.is_none() && first.is_unicast_link_local() {
        return Err(TargetFault::ZoneMissing);
    }
    Ok(TargetSpec::V6Range { first, last, zone: zone.map(Into::into) })
}

fn v6_ends(host: &str, bits: Option<&str>) -> Result<(Ipv6Addr, Ipv6Addr), TargetFault> {
    let address = |text: &str| {
        let bare = text.strip_prefix('[').and_then(|text| text.strip_suffix(']')).unwrap_or(text);
        bare.parse::<Ipv6Addr>().map_err(|_| TargetFault::V6)
    };
    if let Some((first, last)) = host.split_once('-') {
        let (first, last) = (address(first)?, address(last)?);
        if bits.is_some() {
            return Err(TargetFault::Netmask);
        }
        if last < first {
            return Err(TargetFault::Backwards { text: host.into(), at: 0 });
        }
        return Ok((first, last));
    }
    let only = address(host)?;
    let Some(bits) = bits else { return Ok((only, only)) };
    let net = Ipv6Net::new(only, prefix(bits, 128)?).map_err(|_| TargetFault::NetmaskTooLong { max: 128 })?;
    Ok((net.network(), net.broadcast()))
}

/// The `xn--` form of a name in another script, if it has one. Digits of other scripts are no way to write an address.
fn ascii(host: &str) -> Option<String> {
    if host.is_ascii() {
        return None;
    }
    HostName::parse(host).ok().map(|name| name.to_string()).filter(|name| !is_v4_expression(name))
}

/// Accepts what a resolver may be asked for: letters, digits, dashes, underscores (RFC 1035 and practice).
fn check_name(host: &str) -> Result<(), TargetFault> {
    let allowed = |character: char| character.is_ascii_alphanumeric() || matches!(character, '-' | '_' | '.');
    if let Some((at, character)) = host.chars().enumerate().find(|(_, character)| !allowed(*character)) {
        return Err(TargetFault::Name { text: character.to_string().into(), at });
    }
    let labels = host.strip_suffix('.').unwrap_or(host);
    if labels.len() > NAME_BYTES_MAX
        || labels.split('.').any(|label| !(1..=LABEL_BYTES_MAX).contains(&label.len()))
    {
        return Err(TargetFault::NameLength);
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn every_form_of_a_target() {
        let table = [
            ("198.18.0.1", "198.18.0.1"),
            ("198.18.0.1/32", "198.18.0.1"),
            ("198.18.0.77/24", "198.18.0.0-198.18.0.255"),
            ("10.0.0.0/8", "10.0.0.0-10.255.255.255"),
            ("1.2.3.4/0", "0.0.0.0-255.255.255.255"),
            ("10.0.0-3.1,5,7-", "10.0.0-3.1,5,7-255"),
            ("10.0.-1.-", "10.0.0.0-10.0.1.255"),
            ("192.168.*.1,3", "192.168.*.1,3"),
            ("10.0.0-5.1-254", "10.0.0-5.1-254"),
            ("198.18.64-65.*", "198.18.64.0-198.18.65.255"),
            ("198.18.64.8,10-11", "198.18.64.8,10-11"),
            ("1.2.5,33.9/20", "1.2.0-15,32-47.*"),
            ("198.18.0.1-198.18.0.9", "198.18.0.1-198.18.0.9"),
            ("198.18.0.250-198.18.1.3", "198.18.0.250-198.18.1.3"),
            ("010.0.0.01", "10.0.0.1"),
            ("::1", "::1"),
            ("[::1]", "::1"),
            ("fd00:64::10/127", "fd00:64::10-fd00:64::11"),
            ("fd00::5-fd00::9", "fd00::5-fd00::9"),
            ("fe80::1%eth0", "fe80::1%eth0"),
            ("fe80::1%br-lan", "fe80::1%br-lan"),
            ("fe80::1%eth0/126", "fe80::-fe80::3%eth0"),
            ("fe80::1-fe80::3%br-lan", "fe80::1-fe80::3%br-lan"),
            ("fe80::1%2", "fe80::1%2"),
            ("::ffff:198.18.0.1", "198.18.0.1"),
            ("::/0", "::-ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff"),
            ("localhost", "localhost"),
            ("www.example.test.", "www.example.test."),
            ("www.example.test/28", "www.example.test/28"),
            ("1-800-host.test", "1-800-host.test"),
            ("_dmarc.example.test", "_dmarc.example.test"),
        ];
        for (word, expected) in table {
            let spec = TargetSpec::parse(word).unwrap_or_else(|why| panic!("{word}: {why}"));
            assert_eq!(spec.to_string(), expected, "{word}");
            assert_eq!(TargetSpec::parse(expected).unwrap(), spec, "{word}");
        }
    }

    #[test]
    fn faults_are_one_line_with_word_and_place() {
        let table = [
            ("1.2.3.999", "Invalid address specification: \"1.2.3.999\": \"999\" (character 7) is no octet"),
            ("198.18.64.300", "Invalid address specification: \"198.18.64.300\": \"300\" (character 11)"),
            (
                "198.18.64.10-5",
                "Invalid address specification: \"198.18.64.10-5\": the range 10-5 (character 11) is backwards",
            ),
            ("198.18.0.9-198.18.0.1", "Invalid address specification: \"198.18.0.9-198.18.0.1\": the range"),
            ("198.18.0.1-198.18.0.9/24", "Unable to split netmask from target expression"),
            (
                "198.18.0.1-198.18.0",
                "Invalid address specification: \"198.18.0.1-198.18.0\": an IPv4 address has four octets, this has 6",
            ),
            (
                "10.0.0",
                "Invalid address specification: \"10.0.0\": an IPv4 address has four octets, this has 3",
            ),
            ("1..2.3", "Invalid address specification: \"1..2.3\": \"\" (character 3)"),
            ("1.2.3.4,", "Invalid address specification: \"1.2.3.4,\": \"\" (character 9)"),
            ("1.2.3.1-2-3", "Invalid address specification: \"1.2.3.1-2-3\": \"1-2-3\" (character 7)"),
            ("127.0.0.1/33", "Illegal netmask in \"127.0.0.1/33\": use /0 to /32"),
            ("127.0.0.1/999999999999", "Illegal netmask in"),
            ("127.0.0.1/x", "Unable to split netmask from target expression: \"127.0.0.1/x\""),
            ("127.0.0.1/", "Unable to split netmask from target expression: \"127.0.0.1/\""),
            ("127.0.0.1/-1", "Unable to split netmask from target expression"),
            ("1.2.3.4/8/8", "Invalid address specification"),
            ("fd00::1/129", "Illegal netmask in \"fd00::1/129\": use /0 to /128"),
            ("fd00::g", "Invalid address specification: \"fd00::g\": this is no IPv6 address"),
            ("::1-", "Invalid address specification: \"::1-\": this is no IPv6 address"),
            ("fd00::9-fd00::1", "Invalid address specification: \"fd00::9-fd00::1\": the range"),
            ("fe80::1%", "Invalid address specification: \"fe80::1%\": the zone after the % is missing"),
            (
                "fe80::1",
                "Invalid address specification: \"fe80::1\": a link-local address needs its interface",
            ),
            ("http://x.test", "Invalid address specification: \"http://x.test\": this is a URL"),
            ("host/x", "Unable to split netmask from target expression: \"host/x\""),
            ("a b", "Invalid address specification: \"a b\": ' ' (character 2) cannot be in a host name"),
            ("a\x1b[1m", r#"Invalid address specification: "a\x1b[1m": '\x1b' (character 2) cannot"#),
            ("a..b", "Invalid address specification: \"a..b\": a host name has parts"),
            ("", "Invalid address specification: \"\": a host name has parts"),
            ("-", "Invalid address specification: \"-\": an IPv4 address has four octets, this has 1"),
            ("12345", "Invalid address specification: \"12345\": an IPv4 address has four octets"),
        ];
        for (word, start) in table {
            let line = TargetSpec::parse(word).unwrap_err().to_string();
            assert!(line.starts_with(start), "{word}: {line}");
            assert!(!line.chars().any(char::is_control), "{line:?}");
        }
        assert!(TargetSpec::parse(&"x".repeat(64)).is_err());
        assert!(TargetSpec::parse(&"x.".repeat(127)).is_ok());
        assert!(TargetSpec::parse(&"x.".repeat(128)).is_err());
    }

    fn shown() -> impl Strategy<Value = TargetSpec> {
        let octets = "[0-9]{1,2}(-[0-9]{3})?(,[0-9]{1,2})?|\\*|-";
        let v4 = [octets, octets, octets, octets].prop_map(|octets| octets.join("."));
        let bits = proptest::option::of(0..33);
        let v4 = (v4, bits)
            .prop_map(|(host, bits)| bits.map_or_else(|| host.clone(), |bits| format!("{host}/{bits}")));
        let v6 = (any::<u128>(), 0..=128u32, "%[a-z][a-z0-9.-]{0,8}")
            .prop_map(|(bits, prefix, zone)| format!("{}{zone}/{prefix}", Ipv6Addr::from(bits)));
        let name = "[a-z]([a-z0-9-]{0,10}\\.){1,3}[a-z]{1,9}(/[0-9]{1,2})?";
        prop_oneof![v4, v6, name].prop_filter_map("not a target", |word| TargetSpec::parse(&word).ok())
    }

    proptest! {
        #[test]
        fn no_word_makes_it_panic(word in "[-0-9a-f.,*:%/\\[\\] \u{0}-\u{ff}]{0,40}") {
            match TargetSpec::parse(&word) {
                Ok(spec) => prop_assert_eq!(TargetSpec::parse(&spec.to_string()).unwrap(), spec),
                Err(why) => prop_assert!(!why.to_string().chars().any(char::is_control)),
            }
        }

        #[test]
        fn what_is_written_is_read_back(spec in shown()) {
            prop_assert_eq!(TargetSpec::parse(&spec.to_string()).unwrap(), spec);
        }
    }
}
