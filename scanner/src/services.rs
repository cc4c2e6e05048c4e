//! Names of services by port: the IANA registry, and a short list of names people know better.
//!
//! The table is text (`services/iana.txt`, made by `xtask`), sorted by port and read in place, from where an index made
//! by the compiler says; so nothing is parsed or allocated at start.

mod overrides;

use crate::ports::Protocol;
use overrides::OVERRIDES;

const IANA: &str = include_str!("services/iana.txt");

/// Where in the table the rows of each port begin, and where the table ends. A report of a million ports asks a million
/// times.
static STARTS: [u32; 65_537] = starts(IANA.as_bytes());

/// Returns the name of `port`, or `None` where none is known (a report then says `unknown`).
///
/// ```
/// use scanner::ports::Protocol;
///
/// assert_eq!(scanner::services::name(22, Protocol::Tcp), Some("ssh"));
/// assert_eq!(scanner::services::name(8080, Protocol::Tcp), Some("http-proxy"));
/// assert_eq!(scanner::services::name(514, Protocol::Udp), Some("syslog"));
/// assert_eq!(scanner::services::name(4, Protocol::Tcp), None);
/// ```
pub fn name(port: u16, protocol: Protocol) -> Option<&'static str> {
    overridden(port, protocol).or_else(|| registered(port, protocol))
}

/// Yields every port with a name, with that name: ours first, then the registry's, overridden names included, so that
/// a port is found by either.
pub fn all(protocol: Protocol) -> impl Iterator<Item = (u16, &'static str)> {
    let ours = OVERRIDES.iter().filter(move |known| known.applies_to(protocol));
    let ours = ours.map(|known| (known.port, known.name));
    let iana = IANA.lines().filter_map(Row::parse).filter(move |row| row.applies_to(protocol));
    ours.chain(iana.map(|row| (row.port, row.name)))
}

fn overridden(port: u16, protocol: Protocol) -> Option<&'static str> {
    let first = OVERRIDES.partition_point(|known| known.port < port);
    let same_port = OVERRIDES[first..].iter().take_while(|known| known.port == port);
    same_port.into_iter().find(|known| known.applies_to(protocol)).map(|known| known.name)
}

fn registered(port: u16, protocol: Protocol) -> Option<&'static str> {
    let mut rows = rows_of(port).lines().filter_map(Row::parse);
    rows.find(|row| row.applies_to(protocol)).map(|row| row.name)
}

/// The rows of a port.
fn rows_of(port: u16) -> &'static str {
    let place = usize::from(port);
    &IANA[STARTS[place] as usize..STARTS[place + 1] as usize]
}

/// Makes the index. Lines that begin with no digit are passed over.
#[expect(
    clippy::cast_possible_truncation,
    reason = "the table is shorter, and a constant cannot be checked later"
)]
const fn starts(text: &[u8]) -> [u32; 65_537] {
    let mut starts = [text.len() as u32; 65_537];
    let (mut at, mut next) = (0, 0);
    while at < text.len() {
        let line = at;
        let mut port = 0;
        while at < text.len() && text[at].is_ascii_digit() {
            port = 10 * port + (text[at] - b'0') as usize;
            at += 1;
        }
        let is_row = at > line;
        while is_row && next < starts.len() && next <= port {
            starts[next] = line as u32;
            next += 1;
        }
        while at < text.len() && text[at] != b'\n' {
            at += 1;
        }
        at += 1;
    }
    starts
}

/// One line of the table: `22 tus ssh`.
#[derive(Debug, Clone, Copy)]
struct Row {
    port: u16,
    protocols: &'static str,
    name: &'static str,
}

impl Row {
    fn parse(line: &'static str) -> Option<Self> {
        let mut words = line.split(' ');
        let port = words.next()?.parse().ok()?;
        Some(Self { port, protocols: words.next()?, name: words.next()? })
    }

    fn applies_to(&self, protocol: Protocol) -> bool {
        self.protocols.contains(match protocol {
            Protocol::Tcp => 't',
            Protocol::Udp => 'u',
            Protocol::Sctp => 's',
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_row_is_found_by_the_index() {
        let mut previous = 0;
        for line in IANA.lines().filter(|line| !line.starts_with('#')) {
            let row = Row::parse(line).expect(line);
            assert!(row.port >= previous, "{line} is out of order");
            previous = row.port;
            assert!(rows_of(row.port).lines().any(|found| found == line), "{line}");
        }
        assert_eq!((rows_of(u16::MAX), rows_of(0)), ("", ""));
    }

    #[test]
    fn overrides_are_sorted_and_change_something() {
        assert!(OVERRIDES.is_sorted_by_key(|known| known.port));
        for known in OVERRIDES {
            for protocol in Protocol::ALL.into_iter().filter(|protocol| known.applies_to(*protocol)) {
                assert_ne!(registered(known.port, protocol), Some(known.name), "{known:?} says nothing new");
            }
        }
    }

    #[test]
    fn people_find_the_names_they_expect() {
        let table = [
            (21, "ftp"),
            (22, "ssh"),
            (25, "smtp"),
            (53, "domain"),
            (80, "http"),
            (135, "msrpc"),
            (443, "https"),
            (445, "microsoft-ds"),
            (631, "ipp"),
            (2375, "docker"),
            (3306, "mysql"),
            (3389, "ms-wbt-server"),
            (5432, "postgresql"),
            (5900, "vnc"),
            (6379, "redis"),
            (6443, "kubernetes"),
            (8080, "http-proxy"),
            (8443, "https-alt"),
            (10250, "kubelet"),
            (27017, "mongodb"),
        ];
        for (port, expected) in table {
            assert_eq!(name(port, Protocol::Tcp), Some(expected));
        }
        assert_eq!(name(514, Protocol::Tcp), Some("shell"));
        assert_eq!(name(514, Protocol::Udp), Some("syslog"));
        assert_eq!(name(51820, Protocol::Udp), Some("wireguard"));
        assert_eq!(name(51820, Protocol::Tcp), None);
        assert_eq!(name(2905, Protocol::Sctp), Some("m3ua"));
    }

    #[test]
    fn names_are_short_plain_ascii() {
        for protocol in Protocol::ALL {
            for (port, name) in all(protocol) {
                assert!((1..=24).contains(&name.len()), "{port} {name}");
                assert!(name.bytes().all(|byte| byte.is_ascii_graphic()), "{port} {name}");
            }
        }
    }
}
