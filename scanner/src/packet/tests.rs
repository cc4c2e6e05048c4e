//! What is built is what is read.

#![expect(clippy::cast_possible_truncation, reason = "made-up packets are small")]

use std::net::{Ipv4Addr, Ipv6Addr};

use etherparse::{NetSlice, SlicedPacket, TransportSlice};
use proptest::prelude::*;

use super::build::{self, Checksum, Ip, Ping, Segment};
use super::protocol;
use super::view::{Arp, IpPacket, quoted_ports};
use crate::mac::MacAddress;

fn addresses() -> impl Strategy<Value = Ip> {
    let fields = (any::<bool>(), any::<u128>(), any::<u128>(), any::<u8>(), any::<u16>());
    fields.prop_map(|(v6, source, destination, ttl, id)| {
        if v6 {
            Ip::new(Ipv6Addr::from(source).into(), Ipv6Addr::from(destination).into(), ttl, 0)
        } else {
            let v4 = |bits: u128| Ipv4Addr::from(bits as u32).into();
            Ip::new(v4(source), v4(destination), ttl, id)
        }
    })
}

proptest! {
    #[test]
    fn a_segment_is_read_as_it_was_built(
        ip in addresses(),
        ports in any::<(u16, u16)>(),
        numbers in any::<(u32, u32)>(),
        (flags, window) in any::<(u8, u16)>(),
        words in 0usize..=10,
        payload in proptest::collection::vec(any::<u8>(), 0..40),
    ) {
        let options = vec![1; words * 4];
        let mut segment = Segment::new(ports.0, ports.1, flags)
            .with_numbers(numbers.0, numbers.1)
            .with_options(&options)
            .with_payload(&payload);
        segment.window = window;
        let packet = build::tcp(&ip, &segment);
        let view = IpPacket::parse(&packet).unwrap();
        prop_assert_eq!((view.source(), view.destination(), view.ttl()), (ip.source, ip.destination, ip.ttl));
        let tcp = view.tcp().unwrap();
        prop_assert_eq!((tcp.source_port(), tcp.destination_port()), ports);
        prop_assert_eq!((tcp.sequence(), tcp.acknowledgment()), numbers);
        prop_assert_eq!((tcp.flags(), tcp.window()), (flags, Some(window)));
        prop_assert_eq!(tcp.bytes().len(), 20 + 4 * words + payload.len());
        // Another reader finds the checksums right.
        let sliced = SlicedPacket::from_ip(&packet).unwrap();
        let Some(TransportSlice::Tcp(theirs)) = &sliced.transport else { panic!("no TCP") };
        let right = match &sliced.net {
            Some(NetSlice::Ipv4(net)) => {
                prop_assert_eq!(net.header().header_checksum(), net.header().to_header().calc_header_checksum());
                let header = net.header();
                theirs.to_header().calc_checksum_ipv4_raw(header.source(), header.destination(), &payload).unwrap()
            }
            Some(NetSlice::Ipv6(net)) => theirs.to_header().calc_checksum_ipv6(&net.header().to_header(), &payload).unwrap(),
            _ => panic!("no IP"),
        };
        prop_assert_eq!(theirs.checksum(), right);
        // Wrong means wrong by one, and nothing else.
        let mut bad = ip;
        bad.checksum = Checksum::Wrong;
        let bad = build::tcp(&bad, &segment);
        let different = packet.iter().zip(&bad).filter(|(a, b)| a != b).count();
        prop_assert!((1..=2).contains(&different));
    }

    #[test]
    fn a_datagram_and_a_ping_are_read_as_they_were_built(
        ip in addresses(),
        ports in any::<(u16, u16)>(),
        payload in proptest::collection::vec(any::<u8>(), 0..40),
        which in 0usize..3,
    ) {
        let packet = build::udp(&ip, ports.0, ports.1, &payload);
        let udp = IpPacket::parse(&packet).unwrap().udp().unwrap();
        prop_assert_eq!((udp.source_port(), udp.destination_port()), ports);
        prop_assert_eq!(udp.payload(), &payload[..]);
        let kind = [Ping::Echo, Ping::Timestamp, Ping::AddressMask][which];
        let packet = build::ping(&ip, kind, ports.0, ports.1, &payload);
        let view = IpPacket::parse(&packet).unwrap();
        let icmp = view.icmp().unwrap();
        prop_assert_eq!((icmp.id(), icmp.sequence()), ports);
        prop_assert_eq!(icmp.is_v6(), ip.destination.is_ipv6());
        prop_assert!(!icmp.is_error());
        let number = if view.is_v6() { protocol::ICMPV6 } else { protocol::ICMP };
        let mut bytes = view.payload().to_vec();
        let sent = [bytes[2], bytes[3]];
        bytes[2..4].fill(0);
        prop_assert_eq!(build::transport_checksum(ip.source, ip.destination, number, &bytes).to_be_bytes(), sent);
    }

    #[test]
    fn fragments_hold_the_whole_and_say_where_they_belong(
        payload in proptest::collection::vec(any::<u8>(), 0..400),
        most in 0usize..200,
    ) {
        let ip = Ip::new(Ipv4Addr::LOCALHOST.into(), Ipv4Addr::LOCALHOST.into(), 9, 77);
        let whole = build::raw(&ip, protocol::UDP, &payload);
        let mut found = Vec::new();
        let fragments = build::fragments(&whole, most);
        for (index, fragment) in fragments.iter().enumerate() {
            let view = IpPacket::parse(fragment).unwrap();
            prop_assert_eq!(view.fragment().offset, found.len());
            prop_assert_eq!(view.fragment().more, index + 1 < fragments.len());
            found.extend_from_slice(view.payload());
        }
        prop_assert_eq!(found, payload);
    }

    #[test]
    fn a_question_for_a_neighbor_is_read_as_it_was_built(mac in any::<[u8; 6]>(), ends in any::<(u32, u32)>(), target in any::<u128>()) {
        let mac = MacAddress::new(mac);
        let (source, wanted) = (Ipv4Addr::from(ends.0), Ipv4Addr::from(ends.1));
        let frame = build::arp_request(mac, source, wanted);
        let arp = Arp::parse(&frame[14..]).unwrap();
        prop_assert!(arp.is_request());
        prop_assert_eq!((arp.sender_mac(), arp.sender(), arp.target()), (mac, source, wanted));
        let target = Ipv6Addr::from(target);
        let packet = build::neighbor_solicitation(Ipv6Addr::LOCALHOST, mac, target);
        let view = IpPacket::parse(&packet).unwrap();
        prop_assert_eq!(view.icmp().unwrap().solicited(), Some(target));
        prop_assert_eq!(mac.to_string().parse(), Ok(mac));
    }

    #[test]
    fn no_view_panics_on_any_bytes(bytes in proptest::collection::vec(any::<u8>(), 0..120), v6 in any::<bool>()) {
        let mut bytes = bytes;
        if let Some(first) = bytes.first_mut() {
            *first = if v6 { 0x60 } else { 0x40 | (*first & 0x0f) };
        }
        let _ = Arp::parse(&bytes).map(|arp| (arp.sender(), arp.target(), arp.sender_mac(), arp.is_request()));
        if let Some(packet) = IpPacket::parse(&bytes) {
            let _ = (packet.source(), packet.destination(), packet.ttl(), packet.payload(), packet.header());
            let _ = packet.tcp().map(|tcp| (tcp.window(), tcp.flags(), tcp.acknowledgment()));
            let _ = packet.udp().map(|udp| udp.payload());
            let _ = packet.icmp().map(|icmp| (icmp.id(), icmp.advertised(), icmp.solicited(), icmp.quoted().map(|q| quoted_ports(q.payload()))));
        }
    }
}
