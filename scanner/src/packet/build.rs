//! Building packets: headers by etherparse, checksums right unless a wrong one is asked for.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use etherparse::checksum::Sum16BitWords;
use etherparse::{
    IpFragOffset, IpNumber, Ipv4Header, Ipv4Options, Ipv6FlowLabel, Ipv6Header, TcpHeader, UdpHeader,
};

use super::{ether_type, protocol};
use crate::mac::MacAddress;
use crate::technique::tcp_flags;

/// The fields of an IP header that a prober chooses. Addresses must be of one family.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct Ip {
    /// Who sends.
    pub source: IpAddr,
    /// Who is to receive.
    pub destination: IpAddr,
    /// Time to live, or hop limit.
    pub ttl: u8,
    /// The IPv4 identification.
    pub id: u16,
    /// IPv4 options, padded to four bytes.
    pub options: Vec<u8>,
    /// Whether the checksum of the transport is to be wrong.
    pub checksum: Checksum,
}

/// Whether a checksum is right.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
#[non_exhaustive]
pub enum Checksum {
    /// It is.
    #[default]
    Right,
    /// It is off by one (`--badsum`): only a device that does not look answers.
    Wrong,
}

impl Ip {
    /// A header with the usual values.
    #[must_use]
    pub const fn new(source: IpAddr, destination: IpAddr, ttl: u8, id: u16) -> Self {
        Self { source, destination, ttl, id, options: Vec::new(), checksum: Checksum::Right }
    }
}

/// A TCP segment to be sent.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct Segment<'a> {
    /// Source port.
    pub source_port: u16,
    /// Destination port.
    pub destination_port: u16,
    /// Sequence number.
    pub sequence: u32,
    /// Acknowledgment number.
    pub acknowledgment: u32,
    /// Flags, as in [`tcp_flags`].
    pub flags: u8,
    /// Window.
    pub window: u16,
    /// Options in wire form, of a multiple of four bytes.
    pub options: &'a [u8],
    /// What it carries.
    pub payload: &'a [u8],
}

impl<'a> Segment<'a> {
    /// A segment of flags only.
    #[must_use]
    pub const fn new(source_port: u16, destination_port: u16, flags: u8) -> Self {
        Self {
            source_port,
            destination_port,
            sequence: 0,
            acknowledgment: 0,
            flags,
            window: 1024,
            options: &[],
            payload: &[],
        }
    }

    /// With these numbers.
    #[must_use]
    pub const fn with_numbers(mut self, sequence: u32, acknowledgment: u32) -> Self {
        self.sequence = sequence;
        self.acknowledgment = acknowledgment;
        self
    }

    /// With these options, in wire form.
    #[must_use]
    pub const fn with_options(mut self, options: &'a [u8]) -> Self {
        self.options = options;
        self
    }

    /// With this payload.
    #[must_use]
    pub const fn with_payload(mut self, payload: &'a [u8]) -> Self {
        self.payload = payload;
        self
    }
}

/// The option of a SYN: the largest segment it can take is 1460 bytes.
pub const MSS_1460: [u8; 4] = [2, 4, 0x05, 0xb4];

/// A TCP segment in an IP packet. Options beyond 40 bytes are left out.
///
/// ```
/// use scanner::packet::build::{Ip, MSS_1460, Segment, tcp};
/// use scanner::packet::view::IpPacket;
/// use scanner::technique::tcp_flags::SYN;
///
/// let ip = Ip::new("198.18.0.1".parse().unwrap(), "198.18.0.2".parse().unwrap(), 64, 7);
/// let packet = tcp(&ip, &Segment::new(40000, 80, SYN).with_options(&MSS_1460));
/// let segment = IpPacket::parse(&packet).unwrap().tcp().unwrap();
/// assert_eq!((segment.destination_port(), segment.flags(), packet.len()), (80, SYN, 44));
/// ```
#[must_use]
pub fn tcp(ip: &Ip, segment: &Segment<'_>) -> Vec<u8> {
    let mut header =
        TcpHeader::new(segment.source_port, segment.destination_port, segment.sequence, segment.window);
    header.acknowledgment_number = segment.acknowledgment;
    let set = |flag| segment.flags & flag != 0;
    header.fin = set(tcp_flags::FIN);
    header.syn = set(tcp_flags::SYN);
    header.rst = set(tcp_flags::RST);
    header.psh = set(tcp_flags::PSH);
    header.ack = set(tcp_flags::ACK);
    header.urg = set(tcp_flags::URG);
    header.ece = set(tcp_flags::ECE);
    header.cwr = set(tcp_flags::CWR);
    // More options than a header holds are left out rather than refused: the caller has checked what the user typed.
    let _too_long = header.set_options_raw(segment.options);
    let mut bytes = header.to_bytes().to_vec();
    bytes.extend_from_slice(segment.payload);
    wrap(ip, protocol::TCP, bytes, Some(16))
}

/// A UDP datagram in an IP packet.
#[must_use]
pub fn udp(ip: &Ip, source_port: u16, destination_port: u16, payload: &[u8]) -> Vec<u8> {
    let length = u16::try_from(UdpHeader::LEN + payload.len()).unwrap_or(u16::MAX);
    let mut bytes = UdpHeader { source_port, destination_port, length, checksum: 0 }.to_bytes().to_vec();
    bytes.extend_from_slice(payload);
    wrap(ip, protocol::UDP, bytes, Some(6))
}

/// What an ICMP probe asks.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum Ping {
    /// Echo (RFC 792, RFC 4443).
    Echo,
    /// Timestamp (RFC 792), IPv4 only.
    Timestamp,
    /// Address mask (RFC 950), IPv4 only.
    AddressMask,
}

/// An ICMP question in an IP packet, as long as the reference sends it: 28, 40 or 32 bytes without payload.
#[must_use]
pub fn ping(ip: &Ip, kind: Ping, id: u16, sequence: u16, payload: &[u8]) -> Vec<u8> {
    let (type_v4, zeros) = match kind {
        Ping::Echo => (8, 0),
        Ping::Timestamp => (13, 12),
        Ping::AddressMask => (17, 4),
    };
    let is_v6 = ip.destination.is_ipv6();
    let mut bytes = vec![if is_v6 { 128 } else { type_v4 }, 0, 0, 0];
    bytes.extend_from_slice(&id.to_be_bytes());
    bytes.extend_from_slice(&sequence.to_be_bytes());
    bytes.extend_from_slice(&[0; 12][..zeros]);
    bytes.extend_from_slice(payload);
    wrap(ip, if is_v6 { protocol::ICMPV6 } else { protocol::ICMP }, bytes, Some(2))
}

/// A neighbor solicitation for `target`, sent to its solicited-node group (RFC 4861 section 4.3).
#[must_use]
pub fn neighbor_solicitation(source: Ipv6Addr, mac: MacAddress, target: Ipv6Addr) -> Vec<u8> {
    let mut bytes = vec![135, 0, 0, 0, 0, 0, 0, 0];
    bytes.extend_from_slice(&target.octets());
    bytes.extend_from_slice(&[1, 1]);
    bytes.extend_from_slice(&mac.octets());
    let ip = Ip::new(source.into(), solicited_node(target).into(), 255, 0);
    wrap(&ip, protocol::ICMPV6, bytes, Some(2))
}

/// The multicast group that `address` listens to for its neighbors (RFC 4291 section 2.7.1).
#[must_use]
pub const fn solicited_node(address: Ipv6Addr) -> Ipv6Addr {
    let [.., high, low] = address.segments();
    Ipv6Addr::new(0xff02, 0, 0, 0, 0, 1, 0xff00 | (high & 0xff), low)
}

/// The Ethernet address of an IPv6 multicast group (RFC 2464 section 7).
#[must_use]
pub const fn multicast_mac(group: Ipv6Addr) -> MacAddress {
    let [.., a, b, c, d] = group.octets();
    MacAddress::new([0x33, 0x33, a, b, c, d])
}

/// Packs bytes of `protocol` as they are.
#[must_use]
pub fn raw(ip: &Ip, protocol: u8, payload: &[u8]) -> Vec<u8> {
    wrap(ip, protocol, payload.to_vec(), None)
}

/// Puts the IP header before a transport whose checksum stands at `checksum_at`, and fills in the checksum.
fn wrap(ip: &Ip, number: u8, mut transport: Vec<u8>, checksum_at: Option<usize>) -> Vec<u8> {
    if let Some(at) = checksum_at {
        let sum = transport_checksum(ip.source, ip.destination, number, &transport);
        let sum = match ip.checksum {
            Checksum::Right => sum,
            Checksum::Wrong => sum.wrapping_sub(1),
        };
        transport[at..at + 2].copy_from_slice(&sum.to_be_bytes());
    }
    let mut packet = match (ip.source, ip.destination) {
        (IpAddr::V6(source), IpAddr::V6(destination)) => Ipv6Header {
            traffic_class: 0,
            flow_label: Ipv6FlowLabel::ZERO,
            payload_length: u16::try_from(transport.len()).unwrap_or(u16::MAX),
            next_header: IpNumber(number),
            hop_limit: ip.ttl,
            source: source.octets(),
            destination: destination.octets(),
        }
        .to_bytes()
        .to_vec(),
        (source, destination) => v4_header(ip, number, transport.len(), octets(source), octets(destination)),
    };
    packet.extend_from_slice(&transport);
    packet
}

fn octets(address: IpAddr) -> [u8; 4] {
    match address {
        IpAddr::V4(address) => address.octets(),
        IpAddr::V6(_) => Ipv4Addr::UNSPECIFIED.octets(),
    }
}

fn v4_header(ip: &Ip, number: u8, length: usize, source: [u8; 4], destination: [u8; 4]) -> Vec<u8> {
    let options = Ipv4Options::try_from(&ip.options[..]).unwrap_or_default();
    let mut header = Ipv4Header {
        identification: ip.id,
        dont_fragment: false,
        more_fragments: false,
        fragment_offset: IpFragOffset::ZERO,
        time_to_live: ip.ttl,
        protocol: IpNumber(number),
        source,
        destination,
        options,
        ..Ipv4Header::default()
    };
    header.total_len = u16::try_from(header.header_len() + length).unwrap_or(u16::MAX);
    header.header_checksum = header.calc_header_checksum();
    header.to_bytes().to_vec()
}

/// The checksum of a transport over its pseudo header (RFC 9293 section 3.1, RFC 8200 section 8.1); ICMP over IPv4 has
/// none. The field itself must be zero.
#[must_use]
pub fn transport_checksum(source: IpAddr, destination: IpAddr, number: u8, transport: &[u8]) -> u16 {
    let mut sum = Sum16BitWords::new().add_slice(transport);
    if number != protocol::ICMP {
        let length = u32::try_from(transport.len()).unwrap_or(u32::MAX);
        sum = match (source, destination) {
            (IpAddr::V6(source), IpAddr::V6(destination)) => {
                sum.add_16bytes(source.octets()).add_16bytes(destination.octets())
            }
            (source, destination) => sum.add_4bytes(octets(source)).add_4bytes(octets(destination)),
        };
        sum = sum.add_4bytes(length.to_be_bytes()).add_2bytes([0, number]);
    }
    let sum = sum.ones_complement().to_be();
    // A UDP checksum of zero says that there is none.
    if sum == 0 && number == protocol::UDP { u16::MAX } else { sum }
}

/// Splits an IPv4 packet into fragments of at most `payload_max` bytes of payload each, a multiple of eight; a packet
/// that is short enough, or no IPv4 packet, stays as it is.
#[must_use]
pub fn fragments(packet: &[u8], payload_max: usize) -> Vec<Vec<u8>> {
    let payload_max = (payload_max / 8 * 8).max(8);
    let Ok((header, payload)) = Ipv4Header::from_slice(packet) else { return vec![packet.to_vec()] };
    if payload.len() <= payload_max {
        return vec![packet.to_vec()];
    }
    let count = payload.len().div_ceil(payload_max);
    payload
        .chunks(payload_max)
        .enumerate()
        .map(|(index, chunk)| {
            let mut header = header.clone();
            let units = u16::try_from(index * payload_max / 8).unwrap_or(u16::MAX);
            header.fragment_offset = IpFragOffset::try_new(units).unwrap_or_default();
            header.more_fragments = index + 1 < count;
            header.total_len = u16::try_from(header.header_len() + chunk.len()).unwrap_or(u16::MAX);
            header.header_checksum = header.calc_header_checksum();
            let mut fragment = header.to_bytes().to_vec();
            fragment.extend_from_slice(chunk);
            fragment
        })
        .collect()
}

/// The 14 bytes of an Ethernet header (RFC 894).
#[must_use]
pub fn ethernet(source: MacAddress, destination: MacAddress, ether_type: u16) -> [u8; 14] {
    let mut header = [0; 14];
    header[..6].copy_from_slice(&destination.octets());
    header[6..12].copy_from_slice(&source.octets());
    header[12..].copy_from_slice(&ether_type.to_be_bytes());
    header
}

/// An Ethernet frame with an IP packet.
#[must_use]
pub fn frame(source: MacAddress, destination: MacAddress, packet: &[u8]) -> Vec<u8> {
    let carried =
        if packet.first().is_some_and(|first| first >> 4 == 6) { ether_type::IPV6 } else { ether_type::IPV4 };
    let mut frame = ethernet(source, destination, carried).to_vec();
    frame.extend_from_slice(packet);
    frame
}

/// An ARP request in a broadcast frame: who has `target`? (RFC 826)
#[must_use]
pub fn arp_request(mac: MacAddress, source: Ipv4Addr, target: Ipv4Addr) -> Vec<u8> {
    let mut frame = ethernet(mac, MacAddress::BROADCAST, ether_type::ARP).to_vec();
    // Ethernet, IPv4, address lengths, request.
    frame.extend_from_slice(&[0, 1, 0x08, 0, 6, 4, 0, 1]);
    frame.extend_from_slice(&mac.octets());
    frame.extend_from_slice(&source.octets());
    frame.extend_from_slice(&[0; 6]);
    frame.extend_from_slice(&target.octets());
    frame
}
