//! The hosts file: text in, names and addresses out. Nothing here opens a file.

use std::collections::HashMap;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use crate::name::HostName;
use crate::request::{Family, Question};
use crate::text;

/// Names taken from a hosts file. Block lists have some hundred thousand lines; this keeps them under about 150 MB.
pub const HOSTS_NAMES_MAX: usize = 1 << 20;

/// What a hosts file says. `localhost` is always in it, for 127.0.0.1 and ::1 (RFC 6761 6.3).
///
/// For a reverse look-up the first line with the address decides, and its first name is the name; for a forward one
/// the first line of the family with the name decides. Names compare without regard to case.
///
/// ```
/// let hosts = dns::Hosts::parse(b"198.18.0.5  Alpha.test alpha # the first\n");
/// assert_eq!(hosts.name_of("198.18.0.5".parse()?).unwrap().to_string(), "Alpha.test");
/// # Ok::<(), std::net::AddrParseError>(())
/// ```
#[derive(Clone, Debug)]
pub struct Hosts {
    names: HashMap<IpAddr, HostName>,
    addresses: HashMap<(HostName, Family), IpAddr>,
    /// Lines that are neither empty nor of use.
    skipped: usize,
}

impl Default for Hosts {
    /// Knows `localhost` and nothing else.
    fn default() -> Self {
        let mut hosts = Self { names: HashMap::new(), addresses: HashMap::new(), skipped: 0 };
        if let Ok(localhost) = HostName::parse("localhost") {
            hosts.add(Ipv4Addr::LOCALHOST.into(), std::slice::from_ref(&localhost));
            hosts.add(Ipv6Addr::LOCALHOST.into(), &[localhost]);
        }
        hosts
    }
}

impl Hosts {
    /// Reads the text of a hosts file. A line that makes no sense is skipped and counted; it never fails.
    #[must_use]
    pub fn parse(bytes: &[u8]) -> Self {
        let mut hosts = Self::default();
        for line in text::lines(bytes) {
            let mut words = text::words(line, b"#");
            let Some(first) = words.next() else { continue };
            let address =
                text::address(first).filter(|(_, scope)| scope.is_none()).map(|(address, _)| address);
            let names: Vec<HostName> = words.filter_map(|word| HostName::parse(word).ok()).collect();
            match address {
                Some(address) if !names.is_empty() && hosts.has_room_for(names.len()) => {
                    hosts.add(address, &names)
                }
                _ => hosts.skipped += 1,
            }
        }
        hosts
    }

    /// The name of `address`, if the file has one.
    #[must_use]
    pub fn name_of(&self, address: IpAddr) -> Option<&HostName> {
        self.names.get(&address)
    }

    /// The address of `name` in `family`, if the file has one.
    #[must_use]
    pub fn address_of(&self, name: &HostName, family: Family) -> Option<IpAddr> {
        // The key has to be owned; look-ups by name are few.
        self.addresses.get(&(name.clone(), family)).copied()
    }

    /// The number of lines that could not be used.
    #[must_use]
    pub const fn skipped(&self) -> usize {
        self.skipped
    }

    /// What the file answers to `question`.
    pub(crate) fn lookup(&self, question: &Question) -> Option<Found<'_>> {
        match question {
            Question::Forward(name, family) => self.address_of(name, *family).map(Found::Address),
            Question::Reverse(address) => self.name_of(*address).map(Found::Name),
        }
    }

    fn has_room_for(&self, names: usize) -> bool {
        self.addresses.len() + names <= HOSTS_NAMES_MAX
    }

    /// Enters a line; what is there already stays.
    fn add(&mut self, address: IpAddr, names: &[HostName]) {
        let family = if address.is_ipv4() { Family::V4 } else { Family::V6 };
        if let Some(first) = names.first() {
            self.names.entry(address).or_insert_with(|| first.clone());
        }
        for name in names {
            self.addresses.entry((name.clone(), family)).or_insert(address);
        }
    }
}

/// One entry of the file.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Found<'a> {
    Address(IpAddr),
    Name(&'a HostName),
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn ip(text: &str) -> IpAddr {
        text.parse().unwrap()
    }

    fn name(text: &str) -> HostName {
        HostName::parse(text).unwrap()
    }

    #[test]
    fn the_first_line_and_its_first_name_decide() {
        let hosts = Hosts::parse(b"10.0.0.1 one uno\r\n10.0.0.1 two\n10.0.0.2\tone\nfd00::1 one\n");
        assert_eq!(hosts.name_of(ip("10.0.0.1")), Some(&name("one")));
        assert_eq!(hosts.address_of(&name("uno"), Family::V4), Some(ip("10.0.0.1")));
        assert_eq!(hosts.address_of(&name("one"), Family::V4), Some(ip("10.0.0.1")));
        assert_eq!(hosts.address_of(&name("one"), Family::V6), Some(ip("fd00::1")));
        assert_eq!(hosts.address_of(&name("two"), Family::V6), None);
    }

    #[test]
    fn d22_names_are_found_in_any_case() {
        let hosts = Hosts::parse(b"10.0.0.1 Alpha\n");
        assert_eq!(hosts.address_of(&name("alpha"), Family::V4), Some(ip("10.0.0.1")));
    }

    #[test]
    fn a_comment_may_start_inside_a_word() {
        let hosts = Hosts::parse(b"10.0.0.1 beta#x gamma\n# 10.0.0.2 no\n");
        assert_eq!(hosts.name_of(ip("10.0.0.1")), Some(&name("beta")));
        assert_eq!(hosts.address_of(&name("gamma"), Family::V4), None);
        assert_eq!(hosts.skipped(), 0);
    }

    #[test]
    fn localhost_is_known_and_cannot_be_renamed() {
        let hosts = Hosts::parse(b"127.0.0.1 evil\n");
        assert_eq!(hosts.name_of(ip("127.0.0.1")), Some(&name("localhost")));
        assert_eq!(hosts.address_of(&name("LOCALHOST"), Family::V6), Some(ip("::1")));
    }

    #[test]
    fn lines_without_sense_are_counted_and_skipped() {
        let hosts = Hosts::parse(b"10.0.0.300 a\n10.0.0.4\n\xff\xfe b\n10.0.0.5 a..b\n10.0.0.6 ok \xff\n");
        assert_eq!(hosts.skipped(), 4);
        assert_eq!(hosts.name_of(ip("10.0.0.6")), Some(&name("ok")));
    }

    proptest! {
        #[test]
        fn any_bytes_are_read(bytes in proptest::collection::vec(any::<u8>(), 0..400)) {
            let hosts = Hosts::parse(&bytes);
            prop_assert!(hosts.skipped() <= bytes.len());
        }
    }
}
