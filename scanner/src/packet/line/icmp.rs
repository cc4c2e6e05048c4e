//! ICMP messages in words (spec 1.7, 1.8).

use std::fmt;

use super::{Detail, Format, Shown};
use crate::packet::protocol;
use crate::packet::view::{Icmp, IpPacket, be16, be32, v4};

/// Writes the line of a packet that carries ICMP.
pub(super) fn describe_v4(f: &mut fmt::Formatter<'_>, shown: &Shown<'_>) -> fmt::Result {
    let packet = shown.packet;
    let (source, destination) = (packet.source(), packet.destination());
    if packet.fragment().offset != 0 {
        write!(f, "ICMP {source} > {destination} fragment ")?;
        shown.write_info(f)?;
        return f.write_str(" (incomplete)");
    }
    let Some(message) = packet.icmp() else {
        write!(f, "ICMP {source} > {destination} [??] ")?;
        return shown.write_info(f);
    };
    let (kind, code) = (message.kind(), message.code());
    if let Some(why) = missing_quote(&message) {
        let why = match shown.detail {
            // The lowest level only tells a quote that is wrong, not one that is missing.
            Detail::Low if why != BOGUS => "",
            _ => why,
        };
        write!(f, "ICMP {source} > {destination} Destination unreachable{why} (type=3/code={code}) ")?;
        return shown.write_info(f);
    }
    write!(f, "ICMP [{source} > {destination} ")?;
    text(f, &message)?;
    write!(f, " (type={kind}/code={code}) ")?;
    fields(f, &message)?;
    write!(f, "] IP [{}]", shown.info())
}

const BOGUS: &str = " (bogus original datagram)";

/// What is wrong with the quote of an unreachable, if anything is.
fn missing_quote(message: &Icmp<'_>) -> Option<&'static str> {
    let quote = message.bytes().get(8..).unwrap_or_default();
    match quote.len() {
        _ if message.kind() != 3 => None,
        0 => Some(" (original datagram missing)"),
        1..=19 => Some(" (part of original datagram missing)"),
        _ if quoted_v4(message).is_none() => Some(BOGUS),
        _ => None,
    }
}

fn quoted_v4<'a>(message: &Icmp<'a>) -> Option<IpPacket<'a>> {
    message.quoted().filter(|quoted| !quoted.is_v6())
}

fn text(f: &mut fmt::Formatter<'_>, message: &Icmp<'_>) -> fmt::Result {
    let fixed = match (message.kind(), message.code()) {
        (0, _) => "Echo reply",
        (8, _) => "Echo request",
        (3, code) => return unreachable(f, message, code),
        (4, _) => "Source quench",
        (5, 0) => "Network redirect",
        (5, 1) => "Host redirect",
        (5, _) => "Redirect (unknown code)",
        (9, 16) => "Router advertisement (Mobile Agent Only)",
        (9, _) => "Router advertisement",
        (10, _) => "Router solicitation",
        (11, 0) => "TTL=0 during transit",
        (11, 1) => "TTL=0 during reassembly",
        (11, _) => "TTL exceeded (unknown code)",
        (12, 0) => "Parameter problem (pointer indicates error)",
        (12, 1) => "Parameter problem (option missing)",
        (12, 2) => "Parameter problem (bad length)",
        (12, _) => "Parameter problem (unknown code)",
        (13, _) => "Timestamp request",
        (14, _) => "Timestamp reply",
        (15, _) => "Information request",
        (16, _) => "Information reply",
        (17, _) => "Address mask request",
        (18, _) => "Address mask reply",
        (30, _) => "Traceroute",
        (37, _) => "Domain name request",
        (38, _) => "Domain name reply",
        (40, _) => "Security failures",
        _ => "Unknown type",
    };
    f.write_str(fixed)
}

fn unreachable(f: &mut fmt::Formatter<'_>, message: &Icmp<'_>, code: u8) -> fmt::Result {
    let Some(quoted) = quoted_v4(message) else { return f.write_str("Destination unreachable") };
    let target = quoted.destination();
    match code {
        0 => write!(f, "Network {target} unreachable"),
        1 => write!(f, "Host {target} unreachable"),
        2 => write!(f, "Protocol {} unreachable", quoted.protocol()),
        3 => match (quoted.protocol(), be16(quoted.payload(), 2)) {
            (protocol::TCP | protocol::UDP | protocol::SCTP, Some(port)) => {
                write!(f, "Port {port} unreachable")
            }
            (protocol::TCP | protocol::UDP | protocol::SCTP, None) => f.write_str("Port unreachable"),
            (number, _) => write!(f, "Port unreachable (unknown protocol {number})"),
        },
        4 => f.write_str("Fragmentation required"),
        5 => f.write_str("Source route failed"),
        6 => write!(f, "Destination network {target} unknown"),
        7 => write!(f, "Destination host {target} unknown"),
        8 => f.write_str("Source host isolated"),
        9 => write!(f, "Destination network {target} administratively prohibited"),
        10 => write!(f, "Destination host {target} administratively prohibited"),
        11 => write!(f, "Network {target} unreachable for TOS"),
        12 => write!(f, "Host {target} unreachable for TOS"),
        13 => f.write_str("Communication administratively prohibited by filtering"),
        14 => f.write_str("Host precedence violation"),
        15 => f.write_str("Precedence cutoff in effect"),
        _ => f.write_str("Destination unreachable (unknown code)"),
    }
}

fn fields(f: &mut fmt::Formatter<'_>, message: &Icmp<'_>) -> fmt::Result {
    let bytes = message.bytes();
    match (message.kind(), message.code()) {
        (0 | 8 | 15 | 16, _) => write!(f, "id={} seq={}", message.id(), message.sequence()),
        (3, 4) => write!(f, "Next-Hop-MTU={}", message.sequence()),
        (5, _) => v4(bytes, 4).map_or(Ok(()), |address| write!(f, "addr={address}")),
        (9, _) => write!(f, "addrs={} addrlen={} lifetime={}", bytes[4], bytes[5], message.sequence()),
        (12, _) => write!(f, "pointer={}", bytes[4]),
        (13 | 14, _) => {
            write!(f, "id={} seq={}", message.id(), message.sequence())?;
            match (be32(bytes, 8), be32(bytes, 12), be32(bytes, 16)) {
                (Some(orig), Some(recv), Some(trans)) => {
                    write!(f, " orig={orig} recv={recv} trans={trans}")
                }
                _ => f.write_str(" (incomplete)"),
            }
        }
        (17 | 18, _) => {
            write!(f, "id={} seq={}", message.id(), message.sequence())?;
            match v4(bytes, 8) {
                Some(mask) => write!(f, " mask={mask}"),
                None => f.write_str(" (incomplete)"),
            }
        }
        _ => Ok(()),
    }
}

/// Writes the line of a packet that carries ICMPv6.
pub(super) fn describe_v6(f: &mut fmt::Formatter<'_>, shown: &Shown<'_>) -> fmt::Result {
    let packet = shown.packet;
    let (source, destination) = (packet.source(), packet.destination());
    let bytes = packet.payload();
    let known = (bytes.len() >= 4 && packet.fragment().offset == 0).then(|| (bytes[0], bytes[1]));
    match shown.format {
        Format::Classic => write!(f, "ICMPv6 (58) {source} > {destination} ")?,
        Format::Bracket => {
            write!(f, "ICMPv6 {source} > {destination} ")?;
            if let Some((kind, code)) = known {
                write!(f, "{} ", text_v6(kind, code))?;
            }
        }
    }
    match known {
        Some((kind, code)) => write!(f, "(type={kind}/code={code}) ")?,
        None => f.write_str("(type=?/code=?) ")?,
    }
    shown.write_info(f)
}

/// The words of RFC 4443 and RFC 4861 for a message.
const fn text_v6(kind: u8, code: u8) -> &'static str {
    match (kind, code) {
        (1, 0) => "No route to destination",
        (1, 1) => "Communication administratively prohibited",
        (1, 2) => "Beyond scope of source address",
        (1, 3) => "Address unreachable",
        (1, 4) => "Port unreachable",
        (1, 5) => "Source address failed ingress/egress policy",
        (1, 6) => "Reject route to destination",
        (1, _) => "Destination unreachable (unknown code)",
        (2, _) => "Packet too big",
        (3, 0) => "Hop limit exceeded in transit",
        (3, 1) => "Fragment reassembly time exceeded",
        (3, _) => "Time exceeded (unknown code)",
        (4, _) => "Parameter problem",
        (128, _) => "Echo request",
        (129, _) => "Echo reply",
        (133, _) => "Router solicitation",
        (134, _) => "Router advertisement",
        (135, _) => "Neighbor solicitation",
        (136, _) => "Neighbor advertisement",
        (137, _) => "Redirect",
        _ => "Unknown type",
    }
}
