//! The fields of an IP header.

use std::fmt;

use super::Detail;
use super::ip_options::IpOptions;
use crate::packet::view::{IpPacket, be16, be32};

/// The part of a line that tells about the IP header.
pub(super) struct Info<'a> {
    packet: IpPacket<'a>,
    detail: Detail,
}

impl<'a> Info<'a> {
    pub(super) const fn new(packet: IpPacket<'a>, detail: Detail) -> Self {
        Self { packet, detail }
    }

    fn v4(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let header = self.packet.header();
        let word = |at| be16(header, at).unwrap_or(0);
        let (length, id, checksum) = (word(2), word(4), word(10));
        let (ttl, protocol) = (self.packet.ttl(), self.packet.protocol());
        let fragment = self.packet.fragment();
        let more = if fragment.more { "+" } else { "" };
        let options = IpOptions::new(header.get(20..).unwrap_or_default());
        if self.detail == Detail::High {
            let (version, words, tos) = (header[0] >> 4, header[0] & 0x0f, header[1]);
            write!(f, "ver={version} ihl={words} tos=0x{tos:02x} iplen={length} id={id}")?;
            let flags = word(6);
            if flags & 0xe000 != 0 {
                f.write_str(" flg=")?;
                for (bit, letter) in [(0x8000, "x"), (0x4000, "D"), (0x2000, "M")] {
                    f.write_str(if flags & bit != 0 { letter } else { "" })?;
                }
            }
            write!(f, " foff={}{more} ttl={ttl} proto={protocol} csum=0x{checksum:04x}", fragment.offset)?;
            return if options.is_empty() { Ok(()) } else { write!(f, " {options}") };
        }
        write!(f, "ttl={ttl} id={id} ")?;
        if self.detail == Detail::Medium {
            write!(f, "proto={protocol} csum=0x{checksum:04x} ")?;
        }
        write!(f, "iplen={length}")?;
        if fragment.offset != 0 || fragment.more {
            write!(f, " frag offset={}{more}", fragment.offset)?;
        }
        write!(f, " {options}")
    }

    fn v6(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let header = self.packet.header();
        let first = be32(header, 0).unwrap_or(0);
        let (class, flow) = ((first >> 20) & 0xff, first & 0xf_ffff);
        let length = be16(header, 4).unwrap_or(0);
        let hops = self.packet.ttl();
        match self.detail {
            Detail::Low => write!(f, "hopl={hops} flow={flow:x} payloadlen={length}"),
            Detail::Medium => write!(f, "hopl={hops} tclass={class} flow={flow:x} payloadlen={length}"),
            Detail::High => {
                let next = protocol_name(header[6]).unwrap_or("unknown");
                write!(f, "ver=6, tclass={class:x} flow={flow:x} payloadlen={length} nh={next} hopl={hops} ")
            }
        }
    }
}

impl fmt::Display for Info<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.packet.is_v6() { self.v6(f) } else { self.v4(f) }
    }
}

/// The keyword of a protocol in the IANA registry, in small letters.
pub(super) const fn protocol_name(number: u8) -> Option<&'static str> {
    Some(match number {
        0 => "hopopt",
        1 => "icmp",
        2 => "igmp",
        3 => "ggp",
        4 => "ipv4",
        5 => "st",
        6 => "tcp",
        8 => "egp",
        9 => "igp",
        17 => "udp",
        27 => "rdp",
        33 => "dccp",
        41 => "ipv6",
        43 => "ipv6-route",
        44 => "ipv6-frag",
        46 => "rsvp",
        47 => "gre",
        50 => "esp",
        51 => "ah",
        55 => "min-ipv4",
        58 => "ipv6-icmp",
        59 => "ipv6-nonxt",
        60 => "ipv6-opts",
        88 => "eigrp",
        89 => "ospfigp",
        94 => "ipip",
        97 => "etherip",
        98 => "encap",
        103 => "pim",
        108 => "ipcomp",
        112 => "vrrp",
        115 => "l2tp",
        124 => "isis",
        132 => "sctp",
        133 => "fc",
        135 => "mobility-header",
        136 => "udplite",
        137 => "mpls-in-ip",
        138 => "manet",
        139 => "hip",
        140 => "shim6",
        141 => "wesp",
        142 => "rohc",
        143 => "ethernet",
        _ => return None,
    })
}
