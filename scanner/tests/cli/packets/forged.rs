//! Packets of somebody who knows the addresses, the ports and the time, but cannot have the key.

use std::io::Read;
use std::net::{IpAddr, SocketAddr};
use std::process::Stdio;

use scanner::packet::build::{self, Ip, Segment};
use scanner::packet::protocol;
use scanner::packet::view::IpPacket;
use scanner::technique::tcp_flags::{ACK, RST, SYN};
use socket2::{Domain, Protocol, Socket, Type};
use testkit::SCANNER_V4;

use super::Wire;
use crate::network::SILENT;
use crate::support::{finish, start};

/// How many are forged.
const FORGED: u32 = 100_000;
/// The ports that are scanned: 1 to this.
const PORTS: u16 = 60;

/// The source port of the first probe that arrives.
fn source_port(probes: &mut Socket) -> u16 {
    let mut packet = [0; 256];
    loop {
        let length = probes.read(&mut packet).unwrap();
        if let Some(segment) = IpPacket::parse(&packet[..length]).and_then(|packet| packet.tcp())
            && segment.flags() == SYN
        {
            return segment.source_port();
        }
    }
}

/// An answer with every number right but those that follow from the key.
fn forgery(random: &mut fastrand::Rng, to: u16) -> Vec<u8> {
    let (from, us) = (IpAddr::V4(SILENT), IpAddr::V4(SCANNER_V4));
    let ip = Ip::new(from, us, 64, random.u16(..));
    let port = random.u16(1..=PORTS);
    let flags = [SYN | ACK, RST | ACK, RST, SYN, ACK][random.usize(..5)];
    let segment = Segment::new(port, to, flags).with_numbers(random.u32(..), random.u32(..));
    match random.u8(..8) {
        // An echo reply, which nobody asked for.
        0 => icmp(&ip, 0, 0, random.u32(..), &[]),
        // An unreachable that quotes a probe with the wrong sequence number.
        1 => {
            let probe = Segment::new(to, port, SYN).with_numbers(random.u32(..), 0);
            icmp(&ip, 3, random.u8(..16), 0, &build::tcp(&Ip::new(us, from, 50, 1), &probe))
        }
        _ => build::tcp(&ip, &segment),
    }
}

/// An ICMP message (RFC 792).
fn icmp(ip: &Ip, kind: u8, code: u8, word: u32, data: &[u8]) -> Vec<u8> {
    let mut message = [&[kind, code, 0, 0][..], &word.to_be_bytes(), data].concat();
    let sum = message.chunks(2).fold(0u32, |sum, pair| {
        let sum = sum + u32::from(u16::from_be_bytes([pair[0], pair.get(1).copied().unwrap_or(0)]));
        (sum & 0xffff) + (sum >> 16)
    });
    let [.., a, b] = (!sum).to_be_bytes();
    (message[2], message[3]) = (a, b);
    build::raw(ip, protocol::ICMP, &message)
}

#[test]
fn a_hundred_thousand_forged_answers_change_nothing() {
    let Some(wire) = Wire::new("packets-forged") else { return };
    let lab = &wire.network.lab;
    // Every IPv4 packet that comes in, before any filter.
    let everything = Protocol::from(i32::from(0x0800u16.to_be()));
    let mut probes =
        lab.in_target(|| Socket::new_raw(Domain::PACKET, Type::DGRAM, Some(everything))).unwrap().unwrap();
    let whole_packets = Protocol::from(255);
    let forger =
        lab.in_target(|| Socket::new_raw(Domain::IPV4, Type::RAW, Some(whole_packets))).unwrap().unwrap();

    let line = format!("-n -v -sS -Pn --reason --scan-delay 50ms -p1-{PORTS} {SILENT}");
    let scan = start(&mut wire.network.scanner(&line), Stdio::null());
    let to = source_port(&mut probes);
    let mut random = fastrand::Rng::with_seed(1);
    let address = SocketAddr::new(SCANNER_V4.into(), 0).into();
    for _ in 0..FORGED {
        forger.send_to(&forgery(&mut random, to), &address).unwrap();
    }
    let done = finish(scan).expect(0);
    let expected = format!("Not shown: {PORTS} filtered tcp ports (no-response)\n");
    assert!(done.stdout.contains(&expected), "{done:#?}");
    // They did arrive.
    let received = done.stdout.split("Rcvd: ").nth(1).unwrap();
    let received: u32 = received.split(' ').next().unwrap().parse().unwrap();
    assert!(received > FORGED * 7 / 10, "{done:#?}");
}
