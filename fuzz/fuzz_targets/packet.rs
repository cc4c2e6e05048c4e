//! Whatever is captured is read and described, and never panics.
#![no_main]

use std::time::Duration;

use libfuzzer_sys::fuzz_target;
use scanner::packet::build::fragments;
use scanner::packet::line::{Detail, Direction, Format, Line, Subject};
use scanner::packet::view::{Arp, IpPacket, quoted_ports};

fuzz_target!(|bytes: &[u8]| {
    for subject in [Subject::Ip(bytes), Subject::Arp(bytes), Subject::Neighbor(bytes)] {
        for detail in [Detail::Low, Detail::Medium, Detail::High] {
            for format in [Format::Classic, Format::Bracket] {
                let line = Line::new(Direction::Received, Duration::ZERO, subject).with_format(detail, format);
                let text = line.to_string();
                assert!(text.bytes().all(|byte| (b' '..=b'~').contains(&byte)), "{text:?}");
            }
        }
    }
    if let Some(arp) = Arp::parse(bytes) {
        let _ = (arp.sender(), arp.target(), arp.sender_mac(), arp.is_request());
    }
    if let Some(packet) = IpPacket::parse(bytes) {
        assert!(packet.header().len() + packet.payload().len() == packet.bytes().len());
        assert!(packet.bytes().len() <= bytes.len());
        if let Some(icmp) = packet.icmp() {
            let _ = (icmp.advertised(), icmp.solicited());
            let _ = icmp.quoted().and_then(|quoted| quoted_ports(quoted.payload()));
        }
        let _ = packet.tcp().map(|tcp| (tcp.flags(), tcp.window()));
    }
    let parts = fragments(bytes, usize::from(bytes.first().copied().unwrap_or(0)));
    assert!(!parts.is_empty());
});
