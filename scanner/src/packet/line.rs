//! One line per packet, as packet traces show it, at three levels of detail (spec 1).
//!
//! The classic form is the one that documents and parsers know, down to its blanks: two before `seq=` and one at the end
//! where TCP has no options. The other form puts everything in brackets. Known defects of the reference are not copied:
//! the bytes of SACK edges are in order, an unknown or wrong TCP option is shown as one, a short segment has a line of
//! its own, and a port-unreachable tells its port from the eight bytes that are always quoted.

mod icmp;
mod ip;
mod ip_options;
mod tcp;

use std::fmt;
use std::net::{IpAddr, SocketAddr};
use std::time::Duration;

use super::protocol;
use super::view::{Arp, IpPacket, be16, be32};

/// Which way a packet went.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum Direction {
    /// Out.
    Sent,
    /// In.
    Received,
}

/// How much a line tells.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, PartialOrd, Ord)]
#[non_exhaustive]
pub enum Detail {
    /// What matters most; the level without `-d`, and of `-d`.
    #[default]
    Low,
    /// Checksums too; `-d2`.
    Medium,
    /// Every field; from `-d3` on.
    High,
}

impl Detail {
    /// The detail of a debugging level.
    #[must_use]
    pub const fn of_debug_level(level: u8) -> Self {
        match level {
            0 | 1 => Self::Low,
            2 => Self::Medium,
            _ => Self::High,
        }
    }
}

/// The form of a line (`--trace-format`).
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
#[non_exhaustive]
pub enum Format {
    /// `TCP a:p > b:q S ttl=…  seq=…`.
    #[default]
    Classic,
    /// `TCP [a:p > b:q S seq=…] IP [ttl=…]`, IPv6 addresses before ports in brackets.
    Bracket,
}

/// What a line is about.
#[derive(Debug, Clone, Copy)]
#[non_exhaustive]
pub enum Subject<'a> {
    /// An IP packet, from its header on.
    Ip(&'a [u8]),
    /// An ARP packet, from its header on.
    Arp(&'a [u8]),
    /// An IPv6 packet heard while neighbors are looked for; an advertisement is told in words.
    Neighbor(&'a [u8]),
}

/// A line of the packet trace, without its end.
///
/// ```
/// use std::time::Duration;
/// use scanner::packet::build::{Ip, MSS_1460, Segment, tcp};
/// use scanner::packet::line::{Direction, Line, Subject};
///
/// let ip = Ip::new("198.18.0.1".parse().unwrap(), "198.18.0.2".parse().unwrap(), 64, 7);
/// let packet = tcp(&ip, &Segment::new(40000, 80, 2).with_options(&MSS_1460).with_numbers(5, 0));
/// let line = Line::new(Direction::Sent, Duration::from_millis(12), Subject::Ip(&packet)).to_string();
/// let expected = "SENT (0.0120s) TCP 198.18.0.1:40000 > 198.18.0.2:80 S ttl=64 id=7 iplen=44  seq=5 win=1024 <mss 1460>";
/// assert_eq!(line, expected);
/// ```
#[derive(Debug, Clone, Copy)]
pub struct Line<'a> {
    direction: Direction,
    at: Duration,
    subject: Subject<'a>,
    detail: Detail,
    format: Format,
}

impl<'a> Line<'a> {
    /// A line in the classic form with low detail. `at` is the time since the program was started.
    #[must_use]
    pub const fn new(direction: Direction, at: Duration, subject: Subject<'a>) -> Self {
        Self { direction, at, subject, detail: Detail::Low, format: Format::Classic }
    }

    /// The same in another form.
    #[must_use]
    pub const fn with_format(mut self, detail: Detail, format: Format) -> Self {
        self.detail = detail;
        self.format = format;
        self
    }
}

impl fmt::Display for Line<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let direction = match self.direction {
            Direction::Sent => "SENT",
            Direction::Received => "RCVD",
        };
        write!(f, "{direction} ({:.4}s) ", self.at.as_secs_f64())?;
        match self.subject {
            Subject::Ip(bytes) => Described { bytes, detail: self.detail, format: self.format }.fmt(f),
            Subject::Arp(bytes) => arp(f, bytes),
            Subject::Neighbor(bytes) => match IpPacket::parse(bytes) {
                Some(packet) if neighbor(f, &packet)? => Ok(()),
                _ => Described { bytes, detail: self.detail, format: self.format }.fmt(f),
            },
        }
    }
}

/// What an IP packet is, without direction and time.
#[derive(Debug, Clone, Copy)]
pub struct Described<'a> {
    /// From the IP header on.
    bytes: &'a [u8],
    detail: Detail,
    format: Format,
}

impl<'a> Described<'a> {
    /// Describes the bytes from the IP header on.
    #[must_use]
    pub const fn new(bytes: &'a [u8], detail: Detail, format: Format) -> Self {
        Self { bytes, detail, format }
    }
}

impl fmt::Display for Described<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Some(packet) = IpPacket::parse(self.bytes) else {
            return f.write_str("BOGUS!  Can't parse supposed IP packet");
        };
        let shown = Shown { packet, detail: self.detail, format: self.format };
        match packet.protocol() {
            protocol::TCP => tcp::describe(f, &shown),
            protocol::UDP => udp(f, &shown),
            protocol::SCTP => sctp(f, &shown),
            protocol::ICMP if !packet.is_v6() => icmp::describe_v4(f, &shown),
            protocol::ICMPV6 => icmp::describe_v6(f, &shown),
            _ => other(f, &shown),
        }
    }
}

/// A packet and how it is to be shown.
struct Shown<'a> {
    packet: IpPacket<'a>,
    detail: Detail,
    format: Format,
}

impl<'a> Shown<'a> {
    /// The fields of the IP header.
    fn info(&self) -> ip::Info<'a> {
        ip::Info::new(self.packet, self.detail)
    }

    /// `a:p > b:q`.
    fn ends(&self, source: u16, destination: u16) -> Ends {
        Ends {
            source: SocketAddr::new(self.packet.source(), source),
            destination: SocketAddr::new(self.packet.destination(), destination),
            format: self.format,
        }
    }

    /// Whether the part before the IP header stands in brackets.
    fn is_bracketed(&self) -> bool {
        self.detail > Detail::Low || self.format == Format::Bracket
    }

    fn write_info(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.format {
            Format::Classic => write!(f, "{}", self.info()),
            Format::Bracket => write!(f, "IP [{}]", self.info()),
        }
    }
}

/// Two addresses with ports.
struct Ends {
    source: SocketAddr,
    destination: SocketAddr,
    format: Format,
}

impl fmt::Display for Ends {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let end = |f: &mut fmt::Formatter<'_>, end: &SocketAddr| match (self.format, end.ip()) {
            (Format::Bracket, IpAddr::V6(address)) => write!(f, "[{address}]:{}", end.port()),
            (_, address) => write!(f, "{address}:{}", end.port()),
        };
        end(f, &self.source)?;
        f.write_str(" > ")?;
        end(f, &self.destination)
    }
}

fn udp(f: &mut fmt::Formatter<'_>, shown: &Shown<'_>) -> fmt::Result {
    let (packet, bytes) = (shown.packet, shown.packet.payload());
    let (source, destination) = match (be16(bytes, 0), be16(bytes, 2)) {
        (Some(source), Some(destination)) if packet.fragment().offset == 0 => (source, destination),
        _ => {
            write!(f, "UDP {}:?? > {}:?? fragment ", packet.source(), packet.destination())?;
            shown.write_info(f)?;
            return f.write_str(" (incomplete)");
        }
    };
    let ends = shown.ends(source, destination);
    if shown.detail == Detail::Low {
        write!(f, "UDP {ends} ")?;
        return shown.write_info(f);
    }
    write!(f, "UDP [{ends}")?;
    match (be16(bytes, 4), be16(bytes, 6)) {
        (Some(length), Some(_)) if shown.detail == Detail::High => write!(f, " len={length}")?,
        (_, Some(_)) => {}
        _ => f.write_str(" (incomplete)")?,
    }
    if let Some(checksum) = be16(bytes, 6) {
        write!(f, " csum=0x{checksum:04X}")?;
    }
    write!(f, "] IP [{}]", shown.info())
}

fn sctp(f: &mut fmt::Formatter<'_>, shown: &Shown<'_>) -> fmt::Result {
    let (packet, bytes) = (shown.packet, shown.packet.payload());
    let (Some(source), Some(destination), 0) = (be16(bytes, 0), be16(bytes, 2), packet.fragment().offset)
    else {
        write!(f, "SCTP {}:?? > {}:?? ", packet.source(), packet.destination())?;
        shown.write_info(f)?;
        return f.write_str(" (incomplete)");
    };
    let ends = shown.ends(source, destination);
    if shown.detail == Detail::Low {
        write!(f, "SCTP {ends} ")?;
        return shown.write_info(f);
    }
    write!(f, "SCTP [{ends}")?;
    if let Some(tag) = be32(bytes, 4).filter(|_| shown.detail == Detail::High) {
        write!(f, " vtag={tag}")?;
    }
    match be32(bytes, 8) {
        Some(checksum) => write!(f, " csum=0x{checksum:08x}")?,
        None => f.write_str(" (incomplete)")?,
    }
    write!(f, "] IP [{}]", shown.info())
}

fn other(f: &mut fmt::Formatter<'_>, shown: &Shown<'_>) -> fmt::Result {
    let packet = shown.packet;
    let number = packet.protocol();
    let name = ip::protocol_name(number).unwrap_or("unknown");
    let colon = if shown.format == Format::Classic { ":" } else { "" };
    write!(f, "{name} ({number}) {} > {}{colon} ", packet.source(), packet.destination())?;
    shown.write_info(f)
}

fn arp(f: &mut fmt::Formatter<'_>, bytes: &[u8]) -> fmt::Result {
    match Arp::parse(bytes) {
        Some(arp) if arp.is_request() => write!(f, "ARP who-has {} tell {}", arp.target(), arp.sender()),
        Some(arp) => write!(f, "ARP reply {} is-at {}", arp.sender(), arp.sender_mac()),
        None => write!(f, "ARP (incomplete: {} of 28 bytes)", bytes.len()),
    }
}

/// Tells of a neighbor in words; `false` if the packet is about something else.
fn neighbor(f: &mut fmt::Formatter<'_>, packet: &IpPacket<'_>) -> Result<bool, fmt::Error> {
    let Some(message) = packet.icmp().filter(|message| matches!(message.kind(), 135 | 136)) else {
        return Ok(false);
    };
    let (source, destination) = (packet.source(), packet.destination());
    match (message.kind(), message.advertised(), message.solicited()) {
        (136, Some((target, Some(mac))), _) => {
            write!(f, "neighbor advertisement {source} > {destination} {target} is at {mac}")?;
        }
        (136, Some((target, None)), _) => {
            write!(f, "neighbor advertisement {source} > {destination} {target} no link-layer address")?;
        }
        (135, _, Some(target)) => {
            write!(f, "neighbor solicitation {source} > {destination} who has {target}")?;
        }
        (kind, ..) => {
            let what = if kind == 136 { "advertisement" } else { "solicitation" };
            write!(f, "neighbor {what} {source} > {destination} packet too short")?;
        }
    }
    Ok(true)
}

#[cfg(test)]
mod tests;
