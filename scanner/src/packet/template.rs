//! A probe that is built once and then only patched: the hot path of a scan.
//!
//! The checksums are those of the unpatched packet, kept as sums, plus the words that were patched in.

use std::net::IpAddr;

use super::build::{self, Checksum, Ip, Segment};
use super::protocol;

/// What differs from probe to probe.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub struct Patch {
    /// Who sends; of the template's family.
    pub source: IpAddr,
    /// Who is to receive; of the template's family.
    pub destination: IpAddr,
    /// Time to live, or hop limit.
    pub ttl: u8,
    /// The IPv4 identification.
    pub id: u16,
    /// Source port.
    pub source_port: u16,
    /// Destination port.
    pub destination_port: u16,
    /// Sequence number.
    pub sequence: u32,
    /// Acknowledgment number.
    pub acknowledgment: u32,
}

impl Patch {
    /// From an address to an address; everything else is zero.
    #[must_use]
    pub const fn new(source: IpAddr, destination: IpAddr) -> Self {
        Self {
            source,
            destination,
            ttl: 0,
            id: 0,
            source_port: 0,
            destination_port: 0,
            sequence: 0,
            acknowledgment: 0,
        }
    }
}

/// A TCP probe over IPv4 or IPv6.
#[derive(Debug, Clone)]
pub struct Template {
    packet: Vec<u8>,
    is_v6: bool,
    /// Where TCP starts.
    transport: usize,
    /// Sums of what is never patched.
    ip_sum: u64,
    tcp_sum: u64,
    checksum: Checksum,
}

impl Template {
    /// Builds it from the fields that stay; `ip` tells the family and the IP options, and what is patched is ignored.
    #[must_use]
    pub fn new(ip: &Ip, segment: &Segment<'_>) -> Self {
        let is_v6 = ip.destination.is_ipv6();
        let blank = if is_v6 { IpAddr::from([0; 16]) } else { IpAddr::from([0; 4]) };
        let mut plain = Ip::new(blank, blank, 0, 0);
        plain.options.clone_from(&ip.options);
        let mut blank_segment = segment.clone();
        (blank_segment.source_port, blank_segment.destination_port) = (0, 0);
        (blank_segment.sequence, blank_segment.acknowledgment) = (0, 0);
        let mut packet = build::tcp(&plain, &blank_segment);
        let transport = if is_v6 { 40 } else { usize::from(packet[0] & 0x0f) * 4 };
        let checksum_at = transport + 16;
        packet[checksum_at..checksum_at + 2].fill(0);
        if !is_v6 {
            packet[10..12].fill(0);
        }
        let length = u64::try_from(packet.len() - transport).unwrap_or(u64::MAX);
        let tcp_sum = sum(&packet[transport..]) + u64::from(protocol::TCP) + length;
        let ip_sum = sum(&packet[..transport]);
        Self { packet, is_v6, transport, ip_sum, tcp_sum, checksum: ip.checksum }
    }

    /// The packet with these fields; it stays until the next call.
    pub fn patch(&mut self, patch: &Patch) -> &[u8] {
        let (mut ip_sum, mut tcp_sum) = (self.ip_sum, self.tcp_sum);
        match (patch.source, patch.destination) {
            (IpAddr::V4(source), IpAddr::V4(destination)) => {
                self.packet[4..6].copy_from_slice(&patch.id.to_be_bytes());
                self.packet[8] = patch.ttl;
                self.packet[12..16].copy_from_slice(&source.octets());
                self.packet[16..20].copy_from_slice(&destination.octets());
                let addresses = sum(&self.packet[12..20]);
                ip_sum += u64::from(patch.id) + (u64::from(patch.ttl) << 8) + addresses;
                tcp_sum += addresses;
                self.packet[10..12].copy_from_slice(&fold(ip_sum).to_be_bytes());
            }
            (IpAddr::V6(source), IpAddr::V6(destination)) => {
                self.packet[7] = patch.ttl;
                self.packet[8..24].copy_from_slice(&source.octets());
                self.packet[24..40].copy_from_slice(&destination.octets());
                tcp_sum += sum(&self.packet[8..40]);
            }
            // A caller that mixes families gets the packet as it was.
            _ => return &self.packet,
        }
        let tcp = self.transport;
        self.packet[tcp..tcp + 2].copy_from_slice(&patch.source_port.to_be_bytes());
        self.packet[tcp + 2..tcp + 4].copy_from_slice(&patch.destination_port.to_be_bytes());
        self.packet[tcp + 4..tcp + 8].copy_from_slice(&patch.sequence.to_be_bytes());
        self.packet[tcp + 8..tcp + 12].copy_from_slice(&patch.acknowledgment.to_be_bytes());
        tcp_sum += sum(&self.packet[tcp..tcp + 12]);
        let right = fold(tcp_sum);
        let checksum = match self.checksum {
            Checksum::Right => right,
            Checksum::Wrong => right.wrapping_sub(1),
        };
        self.packet[tcp + 16..tcp + 18].copy_from_slice(&checksum.to_be_bytes());
        &self.packet
    }

    /// Whether it is of IPv6.
    #[must_use]
    pub const fn is_v6(&self) -> bool {
        self.is_v6
    }
}

/// The sum of 16-bit words, the last one padded with zero.
fn sum(bytes: &[u8]) -> u64 {
    let words = bytes.chunks_exact(2);
    let rest = words.remainder().first().map_or(0, |last| u64::from(*last) << 8);
    words.map(|word| u64::from(u16::from_be_bytes([word[0], word[1]]))).sum::<u64>() + rest
}

/// The Internet checksum of a sum (RFC 1071).
const fn fold(mut sum: u64) -> u16 {
    while sum > 0xffff {
        sum = (sum >> 16) + (sum & 0xffff);
    }
    let [.., high, low] = sum.to_be_bytes();
    !u16::from_be_bytes([high, low])
}

#[cfg(test)]
mod tests {
    use std::net::{Ipv4Addr, Ipv6Addr};

    use proptest::prelude::*;

    use super::*;
    use crate::packet::build::MSS_1460;

    fn check(
        source: IpAddr,
        destination: IpAddr,
        numbers: (u8, u16, u16, u16, u32, u32),
        flags: u8,
        payload: &[u8],
    ) {
        let (ttl, id, source_port, destination_port, sequence, acknowledgment) = numbers;
        for checksum in [Checksum::Right, Checksum::Wrong] {
            let mut ip = Ip::new(source, destination, ttl, id);
            ip.checksum = checksum;
            let segment = Segment::new(source_port, destination_port, flags)
                .with_numbers(sequence, acknowledgment)
                .with_options(&MSS_1460)
                .with_payload(payload);
            let mut template = Template::new(&ip, &segment);
            let patch = Patch {
                source,
                destination,
                ttl,
                id,
                source_port,
                destination_port,
                sequence,
                acknowledgment,
            };
            // What was patched in before leaves no trace.
            template.patch(&Patch { source: destination, destination: source, sequence: 77, ..patch });
            assert_eq!(template.patch(&patch), build::tcp(&ip, &segment));
        }
    }

    proptest! {
        #[test]
        fn a_patched_packet_is_the_packet_built_whole(
            addresses in any::<[u128; 2]>(),
            numbers in any::<(u8, u16, u16, u16, u32, u32)>(),
            flags in any::<u8>(),
            payload in proptest::collection::vec(any::<u8>(), 0..9),
        ) {
            let [source, destination] = addresses;
            check(Ipv6Addr::from(source).into(), Ipv6Addr::from(destination).into(), numbers, flags, &payload);
            let [source, destination] = addresses.map(|address| Ipv4Addr::from(u32::try_from(address >> 96).unwrap_or(0)));
            check(source.into(), destination.into(), numbers, flags, &payload);
        }
    }
}
