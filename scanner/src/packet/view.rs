//! Views of received packets. Every view takes any bytes and never panics; what is not there is `None`.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use super::protocol;
use crate::mac::MacAddress;

/// Extension headers that are skipped before a packet counts as made to confuse.
const EXTENSIONS_MAX: usize = 16;

/// Two bytes, big end first.
pub(super) fn be16(bytes: &[u8], at: usize) -> Option<u16> {
    bytes.get(at..at + 2)?.try_into().ok().map(u16::from_be_bytes)
}

/// Four bytes, big end first.
pub(super) fn be32(bytes: &[u8], at: usize) -> Option<u32> {
    bytes.get(at..at + 4)?.try_into().ok().map(u32::from_be_bytes)
}

pub(super) fn v4(bytes: &[u8], at: usize) -> Option<Ipv4Addr> {
    be32(bytes, at).map(Ipv4Addr::from)
}

pub(super) fn v6(bytes: &[u8], at: usize) -> Option<Ipv6Addr> {
    let bytes: [u8; 16] = bytes.get(at..at + 16)?.try_into().ok()?;
    Some(bytes.into())
}

/// An IP packet of either version whose fixed header is whole.
#[derive(Debug, Clone, Copy)]
pub struct IpPacket<'a> {
    /// From the first byte of the header; what follows the packet, such as Ethernet's padding, is cut off.
    bytes: &'a [u8],
    header: usize,
    protocol: u8,
    fragment: Fragment,
}

/// Where a packet stands among the fragments of a datagram.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct Fragment {
    /// Its offset in bytes.
    pub offset: usize,
    /// Whether others come after it.
    pub more: bool,
}

impl<'a> IpPacket<'a> {
    /// Takes the bytes from the IP header on; `None` if they are no IP packet. A payload may be cut short.
    ///
    /// ```
    /// use scanner::packet::view::IpPacket;
    /// assert!(IpPacket::parse(&[0x45; 19]).is_none());
    /// assert!(IpPacket::parse(&[0x45; 20]).is_some());
    /// assert!(IpPacket::parse(&[0x55; 60]).is_none());
    /// ```
    #[must_use]
    pub fn parse(bytes: &'a [u8]) -> Option<Self> {
        match bytes.first()? >> 4 {
            4 => Self::parse_v4(bytes),
            6 => Self::parse_v6(bytes),
            _ => None,
        }
    }

    fn parse_v4(bytes: &'a [u8]) -> Option<Self> {
        let header = usize::from(bytes.first()? & 0x0f) * 4;
        if bytes.len() < 20 || header < 20 || bytes.len() < header {
            return None;
        }
        let total = usize::from(be16(bytes, 2)?);
        // A length of zero is what offloading network cards leave behind.
        let bytes = if (header..bytes.len()).contains(&total) { &bytes[..total] } else { bytes };
        let fragment = be16(bytes, 6)?;
        let fragment = Fragment { offset: usize::from(fragment & 0x1fff) * 8, more: fragment & 0x2000 != 0 };
        Some(Self { bytes, header, protocol: bytes[9], fragment })
    }

    fn parse_v6(bytes: &'a [u8]) -> Option<Self> {
        if bytes.len() < 40 {
            return None;
        }
        let total = 40 + usize::from(be16(bytes, 4)?);
        let bytes = if total < bytes.len() { &bytes[..total] } else { bytes };
        let (mut next, mut at) = (bytes[6], 40);
        let mut fragment = Fragment::default();
        for _ in 0..EXTENSIONS_MAX {
            let length = match next {
                // Hop-by-hop, routing, destination options, mobility, host identity, shim6.
                0 | 43 | 60 | 135 | 139 | 140 => bytes.get(at + 1).map(|units| (usize::from(*units) + 1) * 8),
                // Authentication counts otherwise (RFC 4302).
                51 => bytes.get(at + 1).map(|units| (usize::from(*units) + 2) * 4),
                44 if fragment.offset == 0 => {
                    if let Some(word) = be16(bytes, at + 2) {
                        fragment = Fragment { offset: usize::from(word & 0xfff8), more: word & 1 != 0 };
                    }
                    Some(8)
                }
                _ => None,
            };
            match length.filter(|length| at + length <= bytes.len()) {
                Some(length) => (next, at) = (bytes[at], at + length),
                None => break,
            }
        }
        Some(Self { bytes, header: at, protocol: next, fragment })
    }

    /// The whole packet, from its first header on.
    #[must_use]
    pub const fn bytes(&self) -> &'a [u8] {
        self.bytes
    }

    /// Everything before the payload: the header, its options, and the extension headers of IPv6.
    #[must_use]
    pub fn header(&self) -> &'a [u8] {
        &self.bytes[..self.header]
    }

    /// Whether it is an IPv6 packet.
    #[must_use]
    pub const fn is_v6(&self) -> bool {
        self.bytes[0] >> 4 == 6
    }

    /// Who sent it.
    #[must_use]
    pub fn source(&self) -> IpAddr {
        self.address(12, 8)
    }

    /// Whom it was sent to.
    #[must_use]
    pub fn destination(&self) -> IpAddr {
        self.address(16, 24)
    }

    fn address(&self, in_v4: usize, in_v6: usize) -> IpAddr {
        let address = if self.is_v6() {
            v6(self.bytes, in_v6).map(IpAddr::V6)
        } else {
            v4(self.bytes, in_v4).map(IpAddr::V4)
        };
        address.unwrap_or(IpAddr::V4(Ipv4Addr::UNSPECIFIED))
    }

    /// Time to live, or hop limit.
    #[must_use]
    pub const fn ttl(&self) -> u8 {
        if self.is_v6() { self.bytes[7] } else { self.bytes[8] }
    }

    /// The protocol of the payload; for IPv6 that after all extension headers.
    #[must_use]
    pub const fn protocol(&self) -> u8 {
        self.protocol
    }

    /// Where it stands among fragments.
    #[must_use]
    pub const fn fragment(&self) -> Fragment {
        self.fragment
    }

    /// What it carries.
    #[must_use]
    pub fn payload(&self) -> &'a [u8] {
        &self.bytes[self.header..]
    }

    /// The TCP segment, if there is enough of one to tell ports, numbers and flags.
    #[must_use]
    pub fn tcp(&self) -> Option<Tcp<'a>> {
        self.first(protocol::TCP).filter(|bytes| bytes.len() >= 14).map(Tcp)
    }

    /// The UDP datagram.
    #[must_use]
    pub fn udp(&self) -> Option<Udp<'a>> {
        self.first(protocol::UDP).filter(|bytes| bytes.len() >= 8).map(Udp)
    }

    /// The ICMP or ICMPv6 message.
    #[must_use]
    pub fn icmp(&self) -> Option<Icmp<'a>> {
        let number = if self.is_v6() { protocol::ICMPV6 } else { protocol::ICMP };
        self.first(number).filter(|bytes| bytes.len() >= 8).map(|bytes| Icmp { bytes, is_v6: self.is_v6() })
    }

    /// The payload, if it is of this protocol and no later fragment.
    fn first(&self, protocol: u8) -> Option<&'a [u8]> {
        (self.protocol == protocol && self.fragment.offset == 0).then(|| self.payload())
    }
}

/// A TCP segment, at least up to its flags.
#[derive(Debug, Clone, Copy)]
pub struct Tcp<'a>(&'a [u8]);

impl<'a> Tcp<'a> {
    /// Source port.
    #[must_use]
    pub fn source_port(&self) -> u16 {
        be16(self.0, 0).unwrap_or(0)
    }

    /// Destination port.
    #[must_use]
    pub fn destination_port(&self) -> u16 {
        be16(self.0, 2).unwrap_or(0)
    }

    /// Sequence number.
    #[must_use]
    pub fn sequence(&self) -> u32 {
        be32(self.0, 4).unwrap_or(0)
    }

    /// Acknowledgment number; it counts if the ACK flag is set.
    #[must_use]
    pub fn acknowledgment(&self) -> u32 {
        be32(self.0, 8).unwrap_or(0)
    }

    /// The flags, as in [`tcp_flags`](crate::technique::tcp_flags).
    #[must_use]
    pub const fn flags(&self) -> u8 {
        self.0[13]
    }

    /// The window, if the segment reaches so far.
    #[must_use]
    pub fn window(&self) -> Option<u16> {
        be16(self.0, 14)
    }

    /// The bytes of the segment.
    #[must_use]
    pub const fn bytes(&self) -> &'a [u8] {
        self.0
    }
}

/// A UDP datagram with a whole header.
#[derive(Debug, Clone, Copy)]
pub struct Udp<'a>(&'a [u8]);

impl<'a> Udp<'a> {
    /// Source port.
    #[must_use]
    pub fn source_port(&self) -> u16 {
        be16(self.0, 0).unwrap_or(0)
    }

    /// Destination port.
    #[must_use]
    pub fn destination_port(&self) -> u16 {
        be16(self.0, 2).unwrap_or(0)
    }

    /// What it carries.
    #[must_use]
    pub fn payload(&self) -> &'a [u8] {
        &self.0[8..]
    }
}

/// An ICMP or ICMPv6 message of at least eight bytes.
#[derive(Debug, Clone, Copy)]
pub struct Icmp<'a> {
    bytes: &'a [u8],
    is_v6: bool,
}

impl<'a> Icmp<'a> {
    /// Its type.
    #[must_use]
    pub const fn kind(&self) -> u8 {
        self.bytes[0]
    }

    /// Its code.
    #[must_use]
    pub const fn code(&self) -> u8 {
        self.bytes[1]
    }

    /// Whether it is ICMPv6.
    #[must_use]
    pub const fn is_v6(&self) -> bool {
        self.is_v6
    }

    /// The identifier of an echo, timestamp or mask message.
    #[must_use]
    pub fn id(&self) -> u16 {
        be16(self.bytes, 4).unwrap_or(0)
    }

    /// The sequence number of such a message.
    #[must_use]
    pub fn sequence(&self) -> u16 {
        be16(self.bytes, 6).unwrap_or(0)
    }

    /// The bytes of the message.
    #[must_use]
    pub const fn bytes(&self) -> &'a [u8] {
        self.bytes
    }

    /// Whether it reports an error about a packet that it quotes.
    #[must_use]
    pub const fn is_error(&self) -> bool {
        if self.is_v6 { self.kind() < 128 } else { matches!(self.kind(), 3 | 4 | 5 | 11 | 12) }
    }

    /// The packet that an error quotes, as much of it as there is.
    #[must_use]
    pub fn quoted(&self) -> Option<IpPacket<'a>> {
        if self.is_error() { IpPacket::parse(&self.bytes[8..]) } else { None }
    }

    /// The target of a neighbor advertisement and its Ethernet address, if it tells one (RFC 4861 section 4.4).
    #[must_use]
    pub fn advertised(&self) -> Option<(Ipv6Addr, Option<MacAddress>)> {
        if !self.is_v6 || self.kind() != 136 {
            return None;
        }
        Some((v6(self.bytes, 8)?, self.link_address(2)))
    }

    /// The address whose neighbor is asked for (RFC 4861 section 4.3).
    #[must_use]
    pub fn solicited(&self) -> Option<Ipv6Addr> {
        if self.is_v6 && self.kind() == 135 { v6(self.bytes, 8) } else { None }
    }

    fn link_address(&self, wanted: u8) -> Option<MacAddress> {
        let mut at = 24;
        while let Some(&[kind, units]) = self.bytes.get(at..at + 2) {
            if kind == wanted && units == 1 {
                let bytes: [u8; 6] = self.bytes.get(at + 2..at + 8)?.try_into().ok()?;
                return Some(MacAddress::new(bytes));
            }
            if units == 0 {
                return None;
            }
            at += usize::from(units) * 8;
        }
        None
    }
}

/// The ports of a quoted TCP or UDP header, of which eight bytes are enough, and the sequence number of TCP.
///
/// ```
/// use scanner::packet::view::quoted_ports;
/// assert_eq!(quoted_ports(&[0x9c, 0x40, 0, 80, 0, 0, 0, 7]), Some((40000, 80, 7)));
/// assert_eq!(quoted_ports(&[0x9c, 0x40, 0]), None);
/// ```
#[must_use]
pub fn quoted_ports(payload: &[u8]) -> Option<(u16, u16, u32)> {
    Some((be16(payload, 0)?, be16(payload, 2)?, be32(payload, 4)?))
}

/// An ARP packet for IPv4 over Ethernet (RFC 826).
#[derive(Debug, Clone, Copy)]
pub struct Arp<'a>(&'a [u8]);

impl<'a> Arp<'a> {
    /// Takes the bytes from the ARP header on; `None` if they are too few.
    #[must_use]
    pub fn parse(bytes: &'a [u8]) -> Option<Self> {
        (bytes.len() >= 28).then_some(Self(bytes))
    }

    /// Whether it asks; otherwise it answers.
    #[must_use]
    pub const fn is_request(&self) -> bool {
        self.0[7] == 1
    }

    /// The Ethernet address of the sender.
    #[must_use]
    pub fn sender_mac(&self) -> MacAddress {
        self.0[8..14].try_into().map_or(MacAddress::ZERO, MacAddress::new)
    }

    /// The address of the sender.
    #[must_use]
    pub fn sender(&self) -> Ipv4Addr {
        v4(self.0, 14).unwrap_or(Ipv4Addr::UNSPECIFIED)
    }

    /// The address that is asked for, or answered to.
    #[must_use]
    pub fn target(&self) -> Ipv4Addr {
        v4(self.0, 24).unwrap_or(Ipv4Addr::UNSPECIFIED)
    }
}
