//! Every probe is known by its answer, and nothing else is.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use proptest::prelude::*;

use super::*;
use crate::verdict::{IcmpError, IcmpVersion, PortState, Reason};

const US: IpAddr = IpAddr::V4(Ipv4Addr::new(198, 18, 64, 5));
const TARGET: IpAddr = IpAddr::V4(Ipv4Addr::new(198, 18, 64, 10));
const ROUTER: IpAddr = IpAddr::V4(Ipv4Addr::new(198, 18, 64, 1));
const TECHNIQUES: [Technique; 8] = [
    Technique::Syn,
    Technique::Ack,
    Technique::Window,
    Technique::Fin,
    Technique::Null,
    Technique::Xmas,
    Technique::Maimon,
    Technique::Udp,
];
const METHODS: [Method; 8] = [
    Method::Echo,
    Method::Syn(443),
    Method::Syn(80),
    Method::Ack(80),
    Method::Timestamp,
    Method::Udp(40_125),
    Method::AddressMask,
    Method::Neighbor,
];

fn probing(technique: Technique) -> Probing {
    Probing {
        cookies: Cookies::new([1, 2]),
        source_ports: SourcePorts::From { first: 40_000, stages: 32 },
        methods: METHODS.to_vec(),
        technique: Some(technique),
        flags: None,
        payload_bytes: 0,
        tries_max: 10,
        stage: 3,
    }
}

fn heard(message: Message) -> Heard {
    Heard { from: TARGET, to: US, ttl: 63, message }
}

/// How a standards-keeping host would answer: with the states of an open port, then with those of a closed one.
fn answers(outline: Outline) -> Vec<Message> {
    use tcp_flags::{ACK, FIN, RST, SYN};
    match outline {
        Outline::Tcp { source_port, port, flags, sequence, acknowledgment } => {
            let numbers = u32::from(flags & SYN != 0) + u32::from(flags & FIN != 0);
            let segment = |flags, sequence, acknowledgment| {
                let (source, destination) = (port, source_port);
                Message::Tcp(Segment { source, destination, flags, sequence, acknowledgment, window: 0 })
            };
            let reset = if flags & ACK != 0 {
                segment(RST, acknowledgment, 0)
            } else {
                segment(RST | ACK, 0, sequence.wrapping_add(numbers))
            };
            let accepted = segment(SYN | ACK, 77, sequence.wrapping_add(1));
            if flags == SYN { vec![accepted, reset] } else { vec![reset] }
        }
        Outline::Udp { source_port, port } => {
            vec![Message::Udp { source: port, destination: source_port }]
        }
        Outline::Icmp { inquiry, id, sequence } => vec![Message::Icmp { inquiry, id, sequence }],
        Outline::Neighbor => vec![Message::Neighbor { address: TARGET, mac: None }],
    }
}

fn quoted(outline: Outline) -> Option<Quote> {
    let message = match outline {
        Outline::Tcp { source_port, port, sequence, .. } => {
            Quoted::Tcp { source: source_port, destination: port, sequence }
        }
        Outline::Udp { source_port, port } => Quoted::Udp { source: source_port, destination: port },
        Outline::Icmp { inquiry, id, sequence } => Quoted::Icmp { inquiry, id, sequence },
        Outline::Neighbor => return None,
    };
    Some(Quote { from: US, to: TARGET, message })
}

fn error(from: IpAddr, code: u8, about: Quote) -> Heard {
    let icmp = IcmpError::new(IcmpVersion::V4, 3, code, Some(from));
    Heard { from, to: US, ttl: 64, message: Message::Error { icmp, about } }
}

#[test]
fn a_method_is_known_by_every_answer_to_any_of_its_tries() {
    let probing = probing(Technique::Syn);
    for (index, method) in METHODS.into_iter().enumerate() {
        for try_number in 0..=6 {
            let kind = ProbeKind::Discovery(method);
            let outline = probing.outline(US, TARGET, kind, try_number).unwrap();
            for message in answers(outline) {
                let found = probing.recognize(&heard(message)).unwrap();
                assert_eq!(found.target, TARGET);
                if method == Method::Neighbor {
                    assert_eq!((found.subject, found.try_number), (Subject::Neighbor, None));
                    continue;
                }
                assert_eq!((found.subject, found.try_number), (Subject::Method(index), Some(try_number)));
                assert_eq!(found.verdict.ttl, Some(63));
            }
            if let Some(quote) = quoted(outline) {
                let found = probing.recognize(&error(ROUTER, 13, quote)).unwrap();
                assert_eq!((found.subject, found.try_number), (Subject::Method(index), Some(try_number)));
                assert_eq!(
                    (found.verdict.reason, found.verdict.from),
                    (Reason::AdminProhibited, Some(ROUTER))
                );
            }
        }
    }
}

#[test]
fn a_port_unreachable_closes_a_udp_port_only_if_the_target_says_so() {
    let probing = probing(Technique::Udp);
    let outline = probing.outline(US, TARGET, ProbeKind::Port(53), 0).unwrap();
    let quote = quoted(outline).unwrap();
    let state = |from, code| probing.recognize(&error(from, code, quote)).unwrap().verdict.state;
    assert_eq!(state(TARGET, 3), PortState::Closed);
    assert_eq!(state(ROUTER, 3), PortState::Filtered);
    assert_eq!(state(TARGET, 13), PortState::Filtered);
    let about_syn = self::probing(Technique::Syn);
    let outline = about_syn.outline(US, TARGET, ProbeKind::Port(53), 0).unwrap();
    let found = about_syn.recognize(&error(TARGET, 3, quoted(outline).unwrap())).unwrap();
    assert_eq!(found.verdict.state, PortState::Filtered);
}

#[test]
fn an_advertisement_that_has_crossed_a_router_is_nothing() {
    let address = IpAddr::V6(Ipv6Addr::new(0xfd00, 0, 0, 0, 0, 0, 0, 1));
    let message = Message::Neighbor { address, mac: None };
    let heard = |ttl| Heard { from: address, to: Ipv6Addr::LOCALHOST.into(), ttl, message };
    let probing = probing(Technique::Syn);
    assert_eq!(probing.recognize(&heard(255)).unwrap().verdict.reason, Reason::NdResponse);
    assert_eq!(probing.recognize(&heard(254)), None);
}

#[test]
fn an_error_that_is_no_answer_and_a_split_handshake_are_nothing() {
    let probing = probing(Technique::Syn);
    let outline = probing.outline(US, TARGET, ProbeKind::Port(22), 0).unwrap();
    assert_eq!(probing.recognize(&error(ROUTER, 4, quoted(outline).unwrap())), None);
    let Outline::Tcp { source_port, .. } = outline else { unreachable!() };
    let syn = Segment {
        source: 22,
        destination: source_port,
        flags: tcp_flags::SYN,
        sequence: 1,
        acknowledgment: 0,
        window: 1,
    };
    assert_eq!(probing.recognize(&heard(Message::Tcp(syn))), None);
}

fn any_technique() -> impl Strategy<Value = Technique> {
    proptest::sample::select(TECHNIQUES.to_vec())
}

fn any_message(port: u16, source_port: u16) -> impl Strategy<Value = Message> {
    let ports = move || (prop_oneof![Just(port), any::<u16>()], prop_oneof![Just(source_port), any::<u16>()]);
    let inquiry = || proptest::sample::select(vec![Inquiry::Echo, Inquiry::Timestamp, Inquiry::AddressMask]);
    let segment = (ports(), any::<u8>(), any::<u32>(), any::<u32>(), any::<u16>()).prop_map(
        |((source, destination), flags, sequence, acknowledgment, window)| {
            Message::Tcp(Segment { source, destination, flags, sequence, acknowledgment, window })
        },
    );
    let reply = (inquiry(), any::<u16>(), any::<u16>()).prop_map(|(inquiry, id, sequence)| Message::Icmp {
        inquiry,
        id,
        sequence,
    });
    let quoted = prop_oneof![
        (ports(), any::<u32>()).prop_map(|((destination, source), sequence)| Quoted::Tcp {
            source,
            destination,
            sequence
        }),
        (inquiry(), any::<u16>(), any::<u16>()).prop_map(|(inquiry, id, sequence)| Quoted::Icmp {
            inquiry,
            id,
            sequence
        }),
    ];
    let error = (quoted, 0u8..16).prop_map(|(message, code)| Message::Error {
        icmp: IcmpError::new(IcmpVersion::V4, 3, code, Some(TARGET)),
        about: Quote { from: US, to: TARGET, message },
    });
    prop_oneof![4 => segment, 1 => reply, 2 => error]
}

proptest! {
    #[test]
    fn a_port_is_known_by_every_answer_to_any_of_its_tries(
        technique in any_technique(), port: u16, try_number in 0u8..=10, six: bool, stage in 0u16..100,
    ) {
        let mut probing = probing(technique);
        probing.stage = stage;
        let (us, target) = if six {
            (Ipv6Addr::LOCALHOST.into(), Ipv6Addr::new(0xfd00, 0, 0, 0, 0, 0, 0, 1).into())
        } else {
            (US, TARGET)
        };
        let outline = probing.outline(us, target, ProbeKind::Port(port), try_number).unwrap();
        for message in answers(outline) {
            let heard = Heard { from: target, to: us, ttl: 1, message };
            let found = probing.recognize(&heard).unwrap();
            prop_assert_eq!(found.subject, Subject::Port(port));
            prop_assert_eq!(found.try_number, Some(try_number));
            // The same from elsewhere, to elsewhere, or in another stage, is nothing.
            // Of datagrams one in sixteen passes, as they have nothing but ports to be known by.
            if technique != Technique::Udp {
                prop_assert_eq!(probing.recognize(&Heard { from: ROUTER, ..heard }), None);
                prop_assert_eq!(probing.recognize(&Heard { to: ROUTER, ..heard }), None);
            }
            let mut next = probing.clone();
            next.stage += 2;
            prop_assert_eq!(next.recognize(&heard), None);
            let other_run = Probing { cookies: Cookies::new([1, 3]), ..probing.clone() };
            if technique != Technique::Udp {
                prop_assert_eq!(other_run.recognize(&heard), None);
            }
        }
    }

    #[test]
    fn a_cookie_that_is_wrong_in_any_bit_is_nothing(technique in any_technique(), bit in 1u32..32, port: u16) {
        let probing = probing(technique);
        let outline = probing.outline(US, TARGET, ProbeKind::Port(port), 0).unwrap();
        for mut message in answers(outline) {
            if let Message::Tcp(segment) = &mut message {
                // The lowest bit apart: a FIN may be counted or not.
                segment.sequence ^= 1 << bit;
                segment.acknowledgment ^= 1 << bit;
                prop_assert_eq!(probing.recognize(&heard(message)), None);
            }
        }
        if let Some(mut quote) = quoted(outline)
            && let Quoted::Tcp { sequence, .. } = &mut quote.message
        {
            *sequence ^= 1 << bit;
            prop_assert_eq!(probing.recognize(&error(TARGET, 1, quote)), None);
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(100_000))]

    /// Whoever knows addresses, ports and technique, but not the key, gets nowhere: but for one guess in 2^31.
    #[test]
    fn a_hundred_thousand_forged_packets_answer_nothing(
        technique in any_technique(), message in any_message(22, 40_000 + 256 * 4),
    ) {
        let probing = probing(technique);
        prop_assert_eq!(probing.recognize(&heard(message)), None);
    }
}
