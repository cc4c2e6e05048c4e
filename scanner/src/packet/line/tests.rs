//! Ninety-eight packets, each at three levels of detail, beside the lines that the reference printed for them.
//!
//! The packets are rebuilt from their names and the fields of their most detailed lines. Rows that show a defect of the
//! reference have our line here, with the reason.

#![expect(clippy::cast_possible_truncation, reason = "made-up packets are small")]

use proptest::prelude::*;

use super::*;

/// Name, level, and line as the reference printed it.
const REFERENCE: &str = include_str!("../../../tests/fixtures/trace-formats.txt");

const HOST: [u8; 4] = [198, 18, 65, 10];

/// An IPv4 packet with the fields all of them share.
fn v4(protocol: u8, fragment: u16, options: &[u8], payload: &[u8]) -> Vec<u8> {
    let words = 5 + options.len() / 4;
    let length = (words * 4 + payload.len()) as u16;
    let mut packet = vec![0x40 | words as u8, 0];
    packet.extend(length.to_be_bytes());
    packet.extend(12345_u16.to_be_bytes());
    packet.extend(fragment.to_be_bytes());
    packet.extend([64, protocol, 0xab, 0xcd, 198, 18, 64, 5]);
    packet.extend(HOST);
    packet.extend(options);
    packet.extend(payload);
    packet
}

fn v6(protocol: u8, class: u8, payload: &[u8]) -> Vec<u8> {
    let first = 6 << 28 | u32::from(class) << 20 | 0x12345;
    let mut packet = first.to_be_bytes().to_vec();
    packet.extend((payload.len() as u16).to_be_bytes());
    packet.extend([protocol, 64]);
    packet.extend("fd00::5".parse::<std::net::Ipv6Addr>().unwrap().octets());
    packet.extend("fd00::10".parse::<std::net::Ipv6Addr>().unwrap().octets());
    packet.extend(payload);
    packet
}

fn segment(flags: u8, options: &[u8]) -> Vec<u8> {
    let mut segment = 40000_u16.to_be_bytes().to_vec();
    segment.extend(80_u16.to_be_bytes());
    segment.extend(860_312_039_u32.to_be_bytes());
    segment.extend(111_u32.to_be_bytes());
    segment.extend([((5 + options.len() / 4) as u8) << 4, flags]);
    segment.extend(1024_u16.to_be_bytes());
    segment.extend([0xbe, 0xef, 0, 0]);
    segment.extend(options);
    segment
}

fn tcp(flags: u8, options: &[u8]) -> Vec<u8> {
    v4(6, 0, &[], &segment(flags, options))
}

const MSS: [u8; 4] = [2, 4, 0x05, 0xb4];

fn udp_header() -> Vec<u8> {
    [&1234_u16.to_be_bytes()[..], &53_u16.to_be_bytes(), &[0, 8, 0x11, 0x11]].concat()
}

fn icmp(kind: u8, code: u8, rest: &[u8]) -> Vec<u8> {
    v4(1, 0, &[], &[&[kind, code, 0, 0], rest].concat())
}

/// The packet that an error quotes: to the same host, with so much of its transport.
fn quote(protocol: u8, transport: &[u8]) -> Vec<u8> {
    v4(protocol, 0, &[], transport)
}

fn error(kind: u8, code: u8, field: [u8; 4]) -> Vec<u8> {
    icmp(kind, code, &[&field[..], &quote(6, &segment(2, &[])[..8])].concat())
}

fn numbers(id: u16, sequence: u16, rest: &[u32]) -> Vec<u8> {
    let mut bytes = [id.to_be_bytes(), sequence.to_be_bytes()].concat();
    rest.iter().for_each(|number| bytes.extend(number.to_be_bytes()));
    bytes
}

fn with_ip_options(options: &[u8]) -> Vec<u8> {
    v4(6, 0, options, &segment(2, &[]))
}

fn tcp_packet(name: &str) -> Vec<u8> {
    let second = |more: u16, bytes: usize, at: u16| {
        let segment = segment(2, &MSS);
        v4(6, more | (at / 8), &[], &segment[8..8 + bytes])
    };
    match name {
        "S-mss" => tcp(2, &MSS),
        "SA-many" => {
            let options = [&MSS[..], &[4, 2, 8, 10, 0, 0, 0, 16, 0, 0, 0, 0, 1, 3, 3, 7]].concat();
            v4(6, 0x4000, &[], &segment(0x12, &options))
        }
        "RA" => tcp(0x14, &[]),
        "R" => tcp(4, &[]),
        "A" => tcp(0x10, &[]),
        "none" => tcp(0, &[]),
        "FPU" => tcp(0x29, &[]),
        "all" => tcp(0xff, &[]),
        "sack" => tcp(0x10, &[1, 1, 5, 10, 0, 0, 0, 1, 0, 0, 0, 2]),
        "badopt" => tcp(0x10, &[2, 3, 0x05, 0xb4]),
        "unkopt" => tcp(0x10, &[30, 4, 1, 0]),
        "eol" => tcp(2, &[3, 3, 10, 0]),
        "trunc-opt" => v4(6, 0, &[], &segment(2, &MSS)[..22]),
        "19" => v4(6, 0, &[], &segment(2, &[])[..19]),
        "14" => v4(6, 0, &[], &segment(2, &[])[..14]),
        "10" => v4(6, 0, &[], &segment(2, &[])[..10]),
        "7" => v4(6, 0, &[], &segment(2, &[])[..7]),
        "frag0" => v4(6, 0x2000, &[], &segment(2, &[])[..8]),
        "frag8" => second(0x2000, 8, 8),
        "frag8full" => second(0, 16, 8),
        "frag16" => second(0, 8, 16),
        _ => panic!("no packet tcp-{name}"),
    }
}

fn icmp_packet(name: &str) -> Vec<u8> {
    let port = |quote: Vec<u8>| icmp(3, 3, &[&[0; 4], &quote[..]].concat());
    let router = [&[1, 2][..], &1800_u16.to_be_bytes(), &[0; 8]].concat();
    let code = |prefix: &str| name.strip_prefix(prefix).and_then(|code| code.parse::<u8>().ok());
    match name {
        "echoreq" => icmp(8, 0, &numbers(7, 9, &[])),
        "echorep" => icmp(0, 0, &numbers(7, 9, &[])),
        "unreach-4" => error(3, 4, [0, 0, 0x05, 0x00]),
        "port-udp" => port(quote(17, &[&udp_header()[..], &[0; 4]].concat())),
        "port-icmp" => port(quote(1, &[0; 12])),
        "port-tcp12" => port(quote(6, &segment(2, &[])[..12])),
        "unreach-noorig" => icmp(3, 1, &[0; 4]),
        "unreach-part" => icmp(3, 1, &[0; 14]),
        "unreach-bogus" => icmp(3, 1, &[0; 32]),
        "squench" => error(4, 0, [0; 4]),
        "rtradv" => icmp(9, 0, &router),
        "rtradv16" => icmp(9, 16, &router),
        "rtrsol" => icmp(10, 0, &[0; 4]),
        "tsreq" => icmp(13, 0, &numbers(1, 2, &[3, 4, 5])),
        "tsrep" => icmp(14, 0, &numbers(1, 2, &[3, 4, 5])),
        "inforeq" => icmp(15, 0, &numbers(1, 2, &[])),
        "inforep" => icmp(16, 0, &numbers(1, 2, &[])),
        "maskreq" => icmp(17, 0, &numbers(1, 2, &[0])),
        "maskrep" => icmp(18, 0, &numbers(1, 2, &[0xffff_ff00])),
        "short" => v4(1, 0, &[], &[8, 0, 0]),
        "6bytes" => v4(1, 0, &[], &[8, 0, 0, 0, 0, 7]),
        "frag" => v4(1, 0x2001, &[], &[0; 8]),
        "30" | "37" | "38" | "40" | "99" => icmp(name.parse().unwrap(), 0, &[0; 4]),
        _ => match (code("unreach-"), code("redir"), code("timex-"), code("param-")) {
            (Some(code), ..) => error(3, code, [0; 4]),
            (_, Some(code), ..) => error(5, code, [198, 18, 64, 1]),
            (_, _, Some(code), _) => error(11, code, [0; 4]),
            (.., Some(code)) => error(12, code, [5, 0, 0, 0]),
            _ => panic!("no packet icmp-{name}"),
        },
    }
}

fn packet(name: &str) -> Vec<u8> {
    if let Some(name) = name.strip_prefix("tcp-") {
        return tcp_packet(name);
    }
    if let Some(name) = name.strip_prefix("icmp-") {
        return icmp_packet(name);
    }
    match name {
        "udp" => v4(17, 0, &[], &udp_header()),
        "udp-short" => v4(17, 0, &[], &udp_header()[..6]),
        "udp-frag" => v4(17, 1, &[], &udp_header()),
        "sctp" => v4(132, 0, &[], &[0, 1, 0, 2, 0, 0, 0, 3, 0x12, 0x34, 0x56, 0x78]),
        "proto-gre" => v4(47, 0, &[], &[0; 8]),
        "proto-200" => v4(200, 0, &[], &[0; 8]),
        "proto-2" => v4(2, 0, &[], &[0; 8]),
        "ipopt-nop-rr" => with_ip_options(&[1, 7, 7, 4, 0, 0, 0, 0]),
        "ipopt-lsrr" => with_ip_options(&[1, 131, 11, 4, 198, 18, 64, 1, 198, 18, 65, 10]),
        "ipopt-ssrr-done" => with_ip_options(&[1, 137, 7, 8, 198, 18, 64, 1]),
        "ipopt-ts0" => with_ip_options(&[68, 12, 5, 0, 0, 0, 0, 0, 0, 0, 0, 0]),
        "ipopt-ts1" => with_ip_options(&[68, 12, 5, 0x11, 198, 18, 64, 1, 0, 0, 0, 7]),
        "ipopt-sid" => with_ip_options(&[136, 4, 0x12, 0x34]),
        "ipopt-unk" => with_ip_options(&[0x94, 4, 0, 0]),
        "ipopt-eol" => with_ip_options(&[1, 1, 1, 0]),
        "ipopt-badptr" => with_ip_options(&[7, 7, 5, 0, 0, 0, 0, 0]),
        "v6-tcp-S" => v6(6, 3, &segment(2, &[2, 4, 0x05, 0xa0])),
        "v6-udp" => v6(17, 0, &udp_header()),
        "v6-icmp-echo" => v6(58, 0, &[128, 0, 0, 0, 0, 7, 0, 9]),
        "v6-icmp-short" => v6(58, 0, &[128, 0]),
        "v6-icmp-unreach" => {
            let quoted = v6(6, 0, &segment(2, &[]));
            v6(58, 0, &[&[1, 4, 0, 0, 0, 0, 0, 0], &quoted[..60]].concat())
        }
        "v6-nonext" => v6(59, 0, &[]),
        "v5-bogus" => [&[0x55], &[0; 39][..]].concat(),
        "short20" => vec![0x45; 19],
        _ => panic!("no packet {name}"),
    }
}

/// Our line where the reference's shows a defect, `None` where its line is right.
fn ours(name: &str, level: &str) -> Option<&'static str> {
    Some(match (name, level) {
        // The reference writes the edges of SACK blocks with their bytes swapped.
        ("tcp-sack", "d1") => {
            "TCP 198.18.64.5:40000 > 198.18.65.10:80 A ttl=64 id=12345 iplen=52  seq=860312039 win=1024 <nop,nop,sack 1 {1:2}>"
        }
        ("tcp-sack", "d2") => {
            "TCP [198.18.64.5:40000 > 198.18.65.10:80 A seq=860312039 win=1024 csum=0xBEEF <nop,nop,sack 1 {1:2}>] IP [ttl=64 id=12345 proto=6 csum=0xabcd iplen=52 ]"
        }
        ("tcp-sack", "d3") => {
            "TCP [198.18.64.5:40000 > 198.18.65.10:80 A seq=860312039 ack=111 off=8 res=0 win=1024 csum=0xBEEF urp=0 <nop,nop,sack 1 {1:2}>] IP [ver=4 ihl=5 tos=0x00 iplen=52 id=12345 foff=0 ttl=64 proto=6 csum=0xabcd]"
        }
        // It takes an option of a wrong length for a right one.
        ("tcp-badopt", "d1") => {
            "TCP 198.18.64.5:40000 > 198.18.65.10:80 A ttl=64 id=12345 iplen=44  seq=860312039 win=1024 <opt-2(bad len 3)>"
        }
        ("tcp-badopt", "d2") => {
            "TCP [198.18.64.5:40000 > 198.18.65.10:80 A seq=860312039 win=1024 csum=0xBEEF <opt-2(bad len 3)>] IP [ttl=64 id=12345 proto=6 csum=0xabcd iplen=44 ]"
        }
        ("tcp-badopt", "d3") => {
            "TCP [198.18.64.5:40000 > 198.18.65.10:80 A seq=860312039 ack=111 off=6 res=0 win=1024 csum=0xBEEF urp=0 <opt-2(bad len 3)>] IP [ver=4 ihl=5 tos=0x00 iplen=44 id=12345 foff=0 ttl=64 proto=6 csum=0xabcd]"
        }
        // It reads the data of an option it does not know as the next option.
        ("tcp-unkopt", "d1") => {
            "TCP 198.18.64.5:40000 > 198.18.65.10:80 A ttl=64 id=12345 iplen=44  seq=860312039 win=1024 <opt-30:0100>"
        }
        ("tcp-unkopt", "d2") => {
            "TCP [198.18.64.5:40000 > 198.18.65.10:80 A seq=860312039 win=1024 csum=0xBEEF <opt-30:0100>] IP [ttl=64 id=12345 proto=6 csum=0xabcd iplen=44 ]"
        }
        ("tcp-unkopt", "d3") => {
            "TCP [198.18.64.5:40000 > 198.18.65.10:80 A seq=860312039 ack=111 off=6 res=0 win=1024 csum=0xBEEF urp=0 <opt-30:0100>] IP [ver=4 ihl=5 tos=0x00 iplen=44 id=12345 foff=0 ttl=64 proto=6 csum=0xabcd]"
        }
        // For 8 to 15 bytes it repeats the line of the packet before. What it meant to print is in spec 1.5.
        ("tcp-14", "d1") => {
            "TCP 198.18.64.5:40000 > 198.18.65.10:80 seq=860312039 (incomplete), ttl=64 id=12345 iplen=34 "
        }
        ("tcp-14", "d2") => {
            "TCP 198.18.64.5:40000 > 198.18.65.10:80 seq=860312039 (incomplete), ttl=64 id=12345 proto=6 csum=0xabcd iplen=34 "
        }
        ("tcp-14", "d3") => {
            "TCP 198.18.64.5:40000 > 198.18.65.10:80 seq=860312039 (incomplete), ver=4 ihl=5 tos=0x00 iplen=34 id=12345 foff=0 ttl=64 proto=6 csum=0xabcd"
        }
        ("tcp-10", "d1") => {
            "TCP 198.18.64.5:40000 > 198.18.65.10:80 ?? seq=860312039 (incomplete) ttl=64 id=12345 iplen=30 "
        }
        ("tcp-10", "d2") => {
            "TCP 198.18.64.5:40000 > 198.18.65.10:80 ?? seq=860312039 (incomplete) ttl=64 id=12345 proto=6 csum=0xabcd iplen=30 "
        }
        ("tcp-10", "d3") => {
            "TCP 198.18.64.5:40000 > 198.18.65.10:80 ?? seq=860312039 (incomplete) ver=4 ihl=5 tos=0x00 iplen=30 id=12345 foff=0 ttl=64 proto=6 csum=0xabcd"
        }
        ("tcp-frag0", "d1") => {
            "TCP 198.18.64.5:40000 > 198.18.65.10:80 ?? seq=860312039 (incomplete) ttl=64 id=12345 iplen=28 frag offset=0+ "
        }
        ("tcp-frag0", "d2") => {
            "TCP 198.18.64.5:40000 > 198.18.65.10:80 ?? seq=860312039 (incomplete) ttl=64 id=12345 proto=6 csum=0xabcd iplen=28 frag offset=0+ "
        }
        ("tcp-frag0", "d3") => {
            "TCP 198.18.64.5:40000 > 198.18.65.10:80 ?? seq=860312039 (incomplete) ver=4 ihl=5 tos=0x00 iplen=28 id=12345 flg=M foff=0+ ttl=64 proto=6 csum=0xabcd"
        }
        // A second fragment has no sequence number; the reference prints what lies before the packet in memory.
        ("tcp-frag8full", "d3") => {
            "TCP [198.18.64.5:?? > 198.18.65.10:?? S ack=111 off=6 res=0 win=1024 csum=0xBEEF urp=0 <mss 1460>] IP [ver=4 ihl=5 tos=0x00 iplen=36 id=12345 foff=8 ttl=64 proto=6 csum=0xabcd]"
        }
        // It reads a checksum behind the end of the packet.
        ("udp-short", "d2") => {
            "UDP [198.18.64.5:1234 > 198.18.65.10:53 (incomplete)] IP [ttl=64 id=12345 proto=17 csum=0xabcd iplen=26 ]"
        }
        ("udp-short", "d3") => {
            "UDP [198.18.64.5:1234 > 198.18.65.10:53 (incomplete)] IP [ver=4 ihl=5 tos=0x00 iplen=26 id=12345 foff=0 ttl=64 proto=17 csum=0xabcd]"
        }
        // Eight quoted bytes are enough to tell the port.
        ("icmp-unreach-3", "d1") => {
            "ICMP [198.18.64.5 > 198.18.65.10 Port 80 unreachable (type=3/code=3) ] IP [ttl=64 id=12345 iplen=56 ]"
        }
        ("icmp-unreach-3", "d2") => {
            "ICMP [198.18.64.5 > 198.18.65.10 Port 80 unreachable (type=3/code=3) ] IP [ttl=64 id=12345 proto=1 csum=0xabcd iplen=56 ]"
        }
        ("icmp-unreach-3", "d3") => {
            "ICMP [198.18.64.5 > 198.18.65.10 Port 80 unreachable (type=3/code=3) ] IP [ver=4 ihl=5 tos=0x00 iplen=56 id=12345 foff=0 ttl=64 proto=1 csum=0xabcd]"
        }
        _ => return None,
    })
}

#[test]
fn each_packet_has_its_line_at_each_level() {
    let mut wrong = Vec::new();
    let mut rows = 0;
    for row in REFERENCE.lines() {
        let (name, rest) = row.split_once(' ').unwrap();
        let (level, line) = rest.trim_start().split_once("  ").unwrap();
        rows += 1;
        let detail = match level {
            "d1" => Detail::Low,
            "d2" => Detail::Medium,
            _ => Detail::High,
        };
        let bytes = packet(name);
        let shown = Described::new(&bytes, detail, Format::Classic).to_string();
        let expected = ours(name, level).unwrap_or(line);
        if shown != expected {
            wrong.push(format!("{name} {level}\n  wanted {expected}|\n  got    {shown}|"));
        }
        if let Some(ours) = ours(name, level) {
            assert_ne!(ours, line, "{name} {level} is no defect");
        }
    }
    assert_eq!(rows, 3 * 98);
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

#[test]
fn the_other_form_has_everything_in_brackets() {
    let table = [
        (
            "tcp-S-mss",
            "TCP [198.18.64.5:40000 > 198.18.65.10:80 S seq=860312039 win=1024 <mss 1460>] IP [ttl=64 id=12345 iplen=44 ]",
        ),
        (
            "tcp-RA",
            "TCP [198.18.64.5:40000 > 198.18.65.10:80 RA seq=860312039 ack=111 win=1024] IP [ttl=64 id=12345 iplen=40 ]",
        ),
        ("tcp-10", "TCP [198.18.64.5:40000 > 198.18.65.10:80 seq=860312039] IP [ttl=64 id=12345 iplen=30 ]"),
        ("udp", "UDP 198.18.64.5:1234 > 198.18.65.10:53 IP [ttl=64 id=12345 iplen=28 ]"),
        ("proto-gre", "gre (47) 198.18.64.5 > 198.18.65.10 IP [ttl=64 id=12345 iplen=28 ]"),
        (
            "v6-tcp-S",
            "TCP [[fd00::5]:40000 > [fd00::10]:80 S seq=860312039 win=1024 <mss 1440>] IP [hopl=64 flow=12345 payloadlen=24]",
        ),
        (
            "v6-icmp-echo",
            "ICMPv6 fd00::5 > fd00::10 Echo request (type=128/code=0) IP [hopl=64 flow=12345 payloadlen=8]",
        ),
    ];
    for (name, line) in table {
        let shown = Described::new(&packet(name), Detail::Low, Format::Bracket).to_string();
        assert_eq!(shown, line, "{name}");
    }
}

#[test]
fn neighbors_have_lines_of_their_own() {
    use crate::mac::MacAddress;
    use crate::packet::build;
    let at = Duration::from_micros(12_049);
    let mac = MacAddress::new([2, 0, 0, 0, 0x64, 1]);
    let request = build::arp_request(mac, [198, 18, 64, 5].into(), [198, 18, 64, 13].into());
    let line = Line::new(Direction::Sent, at, Subject::Arp(&request[14..])).to_string();
    assert_eq!(line, "SENT (0.0120s) ARP who-has 198.18.64.13 tell 198.18.64.5");
    let mut reply = request[14..].to_vec();
    reply[7] = 2;
    let line = Line::new(Direction::Received, at, Subject::Arp(&reply)).to_string();
    assert_eq!(line, "RCVD (0.0120s) ARP reply 198.18.64.5 is-at 02:00:00:00:64:01");
    let (host, us) = ("fd00:64::10".parse().unwrap(), "fd00:64::5".parse().unwrap());
    let asked = build::neighbor_solicitation(us, mac, host);
    let line = Line::new(Direction::Sent, at, Subject::Ip(&asked)).to_string();
    let expected = "SENT (0.0120s) ICMPv6 (58) fd00:64::5 > ff02::1:ff00:10 (type=135/code=0) hopl=255 flow=0 payloadlen=32";
    assert_eq!(line, expected);
    let mut told = [&[136, 0, 0, 0, 0x60, 0, 0, 0][..], &host.octets(), &[2, 1], &mac.octets()].concat();
    let ip = build::Ip::new(host.into(), us.into(), 255, 0);
    let line = |told: &[u8]| {
        let packet = build::raw(&ip, 58, told);
        Line::new(Direction::Received, at, Subject::Neighbor(&packet)).to_string()
    };
    let prefix = "RCVD (0.0120s) neighbor advertisement fd00:64::10 > fd00:64::5";
    assert_eq!(line(&told), format!("{prefix} fd00:64::10 is at 02:00:00:00:64:01"));
    told.truncate(24);
    assert_eq!(line(&told), format!("{prefix} fd00:64::10 no link-layer address"));
    told.truncate(20);
    assert_eq!(line(&told), format!("{prefix} packet too short"));
}

proptest! {
    #[test]
    fn any_bytes_have_a_line(bytes in proptest::collection::vec(any::<u8>(), 0..200), version in 0u8..16, v4 in 0u8..16) {
        let mut bytes = bytes;
        if let Some(first) = bytes.first_mut() {
            *first = if version < 8 { 0x40 | v4 } else { 0x60 };
        }
        for detail in [Detail::Low, Detail::Medium, Detail::High] {
            for format in [Format::Classic, Format::Bracket] {
                for subject in [Subject::Ip(&bytes), Subject::Arp(&bytes), Subject::Neighbor(&bytes)] {
                    let line = Line::new(Direction::Sent, Duration::ZERO, subject).with_format(detail, format).to_string();
                    prop_assert!(line.len() < 4096 && line.chars().all(|c| c.is_ascii_graphic() || c == ' '), "{}", line);
                }
            }
        }
    }

    #[test]
    fn any_cut_of_a_known_packet_has_a_line(row in 0usize..98, cut in 0usize..120, at in 0usize..120, byte in any::<u8>()) {
        let name = REFERENCE.lines().nth(3 * row).unwrap().split(' ').next().unwrap();
        let mut bytes = packet(name);
        if let Some(place) = bytes.get_mut(at) {
            *place = byte;
        }
        bytes.truncate(cut);
        for detail in [Detail::Low, Detail::High] {
            prop_assert!(!Described::new(&bytes, detail, Format::Classic).to_string().is_empty());
        }
    }
}
