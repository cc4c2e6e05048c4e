//! A name server as the user names it.

use std::fmt;
use std::net::{IpAddr, Ipv6Addr, SocketAddr};

use crate::target::{Address, Directory, TargetSpec};

/// Where name servers listen (RFC 1035, section 4.2).
pub const DNS_PORT: u16 = 53;

/// A name server: `198.18.0.53`, `fe80::1%eth0`, `198.18.0.53:5353`, `[fd00::53]:5353`, `198.18.0.53#5353` or a host name;
/// with `tcp://` before it, one that is asked by TCP alone.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct DnsServer {
    /// The machine.
    pub host: DnsHost,
    /// The UDP and TCP port, [`DNS_PORT`] unless told otherwise.
    pub port: u16,
    /// Whether it is asked by TCP alone.
    pub by_tcp: bool,
}

/// The machine a name server runs on.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum DnsHost {
    /// An address.
    Address(IpAddr),
    /// An IPv6 address in the zone of an interface.
    Zoned(Ipv6Addr, Box<str>),
    /// A host name, which the system has to look up.
    Name(Box<str>),
}

impl DnsServer {
    /// Parses one item of `--dns-servers`, or returns `None` if it is none.
    ///
    /// ```
    /// use scanner::config::DnsServer;
    ///
    /// assert_eq!(DnsServer::parse("[fd00::53]:5353").map(|server| server.port), Some(5353));
    /// assert_eq!(DnsServer::parse("fd00::53").map(|server| server.port), Some(53));
    /// assert_eq!(DnsServer::parse("tcp://198.18.0.53").map(|server| server.by_tcp), Some(true));
    /// assert_eq!(DnsServer::parse("198.18.0.256"), None);
    /// ```
    pub fn parse(word: &str) -> Option<Self> {
        let (by_tcp, word) = match word.split_once("://") {
            Some(("tcp", rest)) => (true, rest),
            Some(("udp", rest)) => (false, rest),
            Some(_) => return None,
            None => (false, word),
        };
        if let Some(host) = parse_host(word) {
            return Some(Self { host, port: DNS_PORT, by_tcp });
        }
        let (host, port) = word.rsplit_once('#').or_else(|| word.rsplit_once(':'))?;
        let digits = port.bytes().all(|byte| byte.is_ascii_digit());
        let port = port.parse().ok().filter(|port| digits && *port != 0)?;
        Some(Self { host: parse_host(host)?, port, by_tcp })
    }

    /// Returns the socket addresses of the server, all that a name has.
    ///
    /// # Errors
    /// A name or an interface that `directory` does not know; the text is one line.
    pub fn sockets(&self, directory: &mut dyn Directory) -> Result<Vec<SocketAddr>, String> {
        let addresses = match &self.host {
            DnsHost::Address(ip) => vec![Address::new(*ip)],
            DnsHost::Zoned(ip, zone) => {
                let index = zone.parse().ok().or_else(|| directory.interface_index(zone));
                vec![Address::with_scope(
                    *ip,
                    index.ok_or_else(|| format!("there is no interface \"{zone}\""))?,
                )]
            }
            DnsHost::Name(name) => directory.addresses(name)?,
        };
        Ok(addresses.into_iter().map(|address| address.socket(self.port)).collect())
    }
}

/// Reads an address, perhaps in brackets or with a zone, or a host name.
fn parse_host(text: &str) -> Option<DnsHost> {
    let bare = text.strip_prefix('[').and_then(|text| text.strip_suffix(']')).unwrap_or(text);
    if let Ok(ip) = bare.parse() {
        return Some(DnsHost::Address(ip));
    }
    if let Some((ip, zone)) = bare.split_once('%') {
        let fits =
            |zone: &str| !zone.is_empty() && zone.bytes().all(|byte| byte.is_ascii_graphic() && byte != b'%');
        return ip.parse().ok().filter(|_| fits(zone)).map(|ip| DnsHost::Zoned(ip, zone.into()));
    }
    match TargetSpec::parse(text) {
        Ok(TargetSpec::Name { host, prefix: None }) => Some(DnsHost::Name(host)),
        _ => None,
    }
}

/// Writes the server so that [`DnsServer::parse`] reads the same back.
impl fmt::Display for DnsServer {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.write_str(if self.by_tcp { "tcp://" } else { "" })?;
        match &self.host {
            DnsHost::Address(IpAddr::V6(ip)) => write!(out, "[{ip}]:{}", self.port),
            DnsHost::Address(IpAddr::V4(ip)) => write!(out, "{ip}:{}", self.port),
            DnsHost::Zoned(ip, zone) => write!(out, "[{ip}%{zone}]:{}", self.port),
            DnsHost::Name(name) => write!(out, "{name}:{}", self.port),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    struct Nobody;

    impl Directory for Nobody {
        fn addresses(&mut self, _: &str) -> Result<Vec<Address>, String> {
            Err("nobody answers".to_owned())
        }

        fn interface_index(&mut self, name: &str) -> Option<u32> {
            (name == "eth0").then_some(4)
        }
    }

    #[test]
    fn every_form_of_a_name_server() {
        let table = [
            ("198.18.0.53", "198.18.0.53:53"),
            ("198.18.0.53:5353", "198.18.0.53:5353"),
            ("198.18.0.53#5353", "198.18.0.53:5353"),
            ("fd00::53", "[fd00::53]:53"),
            ("[fd00::53]", "[fd00::53]:53"),
            ("[fd00::53]:5353", "[fd00::53]:5353"),
            ("fd00::53#5353", "[fd00::53]:5353"),
            ("fe80::1%eth0", "[fe80::1%eth0]:53"),
            ("[fe80::1%eth0]:5353", "[fe80::1%eth0]:5353"),
            ("ns.example.test", "ns.example.test:53"),
            ("ns.example.test:5353", "ns.example.test:5353"),
            ("tcp://198.18.0.53", "tcp://198.18.0.53:53"),
            ("tcp://[fd00::53]:5353", "tcp://[fd00::53]:5353"),
            ("udp://ns.example.test", "ns.example.test:53"),
        ];
        for (word, shown) in table {
            assert_eq!(DnsServer::parse(word).unwrap_or_else(|| panic!("{word}")).to_string(), shown);
        }
        for word in [
            "",
            "198.18.0.256",
            "198.18.0.0/24",
            "x:99999",
            "x:0",
            "x:+53",
            "x:",
            ":53",
            "a b",
            "fe80::1%",
            "tls://198.18.0.53",
            "tcp://",
            "-",
        ] {
            assert_eq!(DnsServer::parse(word), None, "{word}");
        }
    }

    #[test]
    fn sockets_carry_port_and_scope() {
        let sockets = |word| DnsServer::parse(word).unwrap().sockets(&mut Nobody);
        assert_eq!(sockets("fe80::1%eth0"), Ok(vec!["[fe80::1%4]:53".parse().unwrap()]));
        assert_eq!(sockets("198.18.0.53#54"), Ok(vec!["198.18.0.53:54".parse().unwrap()]));
        assert_eq!(sockets("fe80::1%eth9"), Err("there is no interface \"eth9\"".to_owned()));
        assert_eq!(sockets("ns.test"), Err("nobody answers".to_owned()));
    }

    proptest! {
        #[test]
        fn what_is_written_is_read_back(word in "[0-9a-f.:%#\\[\\]\u{0}-\u{ff}]{0,24}") {
            if let Some(server) = DnsServer::parse(&word) {
                prop_assert_eq!(DnsServer::parse(&server.to_string()), Some(server));
            }
        }
    }
}
