//! From the numbers of a probe to its bytes.

use std::net::{IpAddr, Ipv4Addr};

use crate::mac::MacAddress;
use crate::packet::build::{self, Checksum, Ip, MSS_1460, Ping, Segment};
use crate::packet::payload;
use crate::packet::template::{Patch, Template};
use crate::probe::{Inquiry, Outline};
use crate::raw_options::{Data, Decoy, RawOptions, SpoofedMac};
use crate::technique::tcp_flags;

/// Times to live are drawn from here, as the reference does: a packet then tells less about who sent it.
const TTL: std::ops::RangeInclusive<u8> = 37..=59;
/// The hop limit of IPv6 probes.
const HOP_LIMIT: u8 = 255;

/// Makes the packets of a scan.
pub(super) struct Crafter {
    ttl: Option<u8>,
    checksum: Checksum,
    ip_options: Vec<u8>,
    /// What every probe carries, if the user says so.
    data: Option<Vec<u8>>,
    random: fastrand::Rng,
    /// TCP probes, by family and flags.
    templates: Vec<(bool, u8, Template)>,
}

impl Crafter {
    pub(super) fn new(options: &RawOptions, mut random: fastrand::Rng) -> Self {
        let data = match &options.data {
            Data::Usual => None,
            Data::Bytes(bytes) => Some(bytes.clone()),
            Data::Random(length) => Some((0..*length).map(|_| random.u8(..)).collect()),
        };
        Self {
            ttl: options.ttl,
            checksum: if options.bad_checksums { Checksum::Wrong } else { Checksum::Right },
            ip_options: options.ip_options.clone(),
            data,
            random,
            templates: Vec::new(),
        }
    }

    /// How much every TCP probe carries.
    pub(super) fn payload_bytes(&self) -> u32 {
        self.data.as_ref().map_or(0, |data| u32::try_from(data.len()).unwrap_or(u32::MAX))
    }

    /// A hardware address to pretend.
    pub(super) fn random_mac(&mut self, wanted: SpoofedMac) -> MacAddress {
        let mut bytes: [u8; 6] = std::array::from_fn(|_| self.random.u8(..));
        match wanted {
            SpoofedMac::Address(address) => return address,
            SpoofedMac::Vendor(vendor) => bytes[..3].copy_from_slice(&vendor),
            // Not a group's, and marked as made up.
            SpoofedMac::Random => bytes[0] = (bytes[0] & 0xfc) | 0x02,
        }
        MacAddress::new(bytes)
    }

    /// Draws the random ones among decoys, and finds a place for ourselves if the user has not.
    pub(super) fn settle_decoys(&mut self, decoys: &mut Vec<Decoy>) {
        if decoys.is_empty() {
            return;
        }
        for decoy in decoys.iter_mut().filter(|decoy| **decoy == Decoy::Random) {
            *decoy = Decoy::Address(self.public_address().into());
        }
        if !decoys.contains(&Decoy::Me) {
            let place = self.random.usize(..=decoys.len());
            decoys.insert(place, Decoy::Me);
        }
    }

    /// An address that could be anybody's on the public network.
    fn public_address(&mut self) -> Ipv4Addr {
        loop {
            let address = Ipv4Addr::from(self.random.u32(..));
            let [a, b, c, _] = address.octets();
            let shared = a == 100 && (64..128).contains(&b);
            let special =
                (a, b, c) == (192, 0, 0) || (a == 198 && (b == 18 || b == 19)) || a == 0 || a >= 224;
            let reserved = address.is_private()
                || address.is_loopback()
                || address.is_link_local()
                || address.is_documentation();
            if !(shared || special || reserved) {
                return address;
            }
        }
    }

    /// Appends the IP packet of a probe, and tells whether it is one: questions for neighbors are frames.
    pub(super) fn write(
        &mut self,
        outline: Outline,
        source: IpAddr,
        target: IpAddr,
        into: &mut Vec<u8>,
    ) -> bool {
        let is_v6 = target.is_ipv6();
        let ttl = self.ttl.unwrap_or_else(|| if is_v6 { HOP_LIMIT } else { self.random.u8(TTL) });
        let id = self.random.u16(..);
        match outline {
            Outline::Tcp { source_port, port, flags, sequence, acknowledgment } => {
                let mut patch = Patch::new(source, target);
                (patch.ttl, patch.id) = (ttl, id);
                (patch.source_port, patch.destination_port) = (source_port, port);
                (patch.sequence, patch.acknowledgment) = (sequence, acknowledgment);
                let template = self.template(is_v6, flags, source, target);
                into.extend_from_slice(template.patch(&patch));
            }
            Outline::Udp { source_port, port } => {
                let ip = self.ip(source, target, ttl, id);
                let payload = self.data.as_deref().unwrap_or_else(|| payload::udp(port));
                into.extend_from_slice(&build::udp(&ip, source_port, port, payload));
            }
            Outline::Icmp { inquiry, id: identifier, sequence } => {
                let ip = self.ip(source, target, ttl, id);
                let ping = match inquiry {
                    Inquiry::Timestamp => Ping::Timestamp,
                    Inquiry::AddressMask => Ping::AddressMask,
                    _ => Ping::Echo,
                };
                let payload = self.data.as_deref().unwrap_or_default();
                into.extend_from_slice(&build::ping(&ip, ping, identifier, sequence, payload));
            }
            _ => return false,
        }
        true
    }

    fn ip(&self, source: IpAddr, target: IpAddr, ttl: u8, id: u16) -> Ip {
        let mut ip = Ip::new(source, target, ttl, id);
        ip.checksum = self.checksum;
        if target.is_ipv4() {
            ip.options.clone_from(&self.ip_options);
        }
        ip
    }

    fn template(&mut self, is_v6: bool, flags: u8, source: IpAddr, target: IpAddr) -> &mut Template {
        let known = self.templates.iter().position(|(v6, known, _)| (*v6, *known) == (is_v6, flags));
        let index = known.unwrap_or_else(|| {
            let options: &[u8] = if flags & tcp_flags::SYN != 0 { &MSS_1460 } else { &[] };
            let mut segment = Segment::new(0, 0, flags).with_options(options);
            if let Some(data) = &self.data {
                segment = segment.with_payload(data);
            }
            let template = Template::new(&self.ip(source, target, 0, 0), &segment);
            self.templates.push((is_v6, flags, template));
            self.templates.len() - 1
        });
        &mut self.templates[index].2
    }
}
