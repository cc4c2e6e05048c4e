//! The capture filter of a prober, as instructions for the kernel: everything that can answer a probe, and little else.
//!
//! What passes is looked at again, so the filter only has to be cheap. It is for cooked captures, where 16 bytes stand
//! before the network layer.

use nsock::BpfInstruction;

use super::{ether_type, protocol};

/// Bytes of a cooked capture before the network layer.
const LINK: u32 = 16;
/// Where a cooked capture tells what the network layer is.
const TYPE: u32 = 14;

/// Ports that probes come from, and answers go to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub struct PortRange {
    /// The first.
    pub first: u16,
    /// The last.
    pub last: u16,
}

impl PortRange {
    /// From a port to a port, both included.
    #[must_use]
    pub const fn new(first: u16, last: u16) -> Self {
        Self { first, last }
    }

    /// Whether a port is one of them.
    #[must_use]
    pub const fn contains(self, port: u16) -> bool {
        self.first <= port && port <= self.last
    }
}

/// Lets through ARP replies, neighbor advertisements, ICMP, and TCP and UDP to these ports; `snaplen` bytes of each.
#[must_use]
pub fn answers(ports: PortRange, snaplen: u32) -> Vec<BpfInstruction> {
    let mut program = Program::default();
    program.load_half(TYPE);
    program.unless_equal(u32::from(ether_type::ARP), "not arp");
    program.load_half(LINK + 6);
    program.jump_if_equal(2, "accept");
    program.jump("reject");
    program.label("not arp");
    program.unless_equal(u32::from(ether_type::IPV4), "not ipv4");
    program.load_byte(LINK + 9);
    program.jump_if_equal(u32::from(protocol::ICMP), "accept");
    program.jump_if_equal(u32::from(protocol::TCP), "ports of ipv4");
    program.unless_equal(u32::from(protocol::UDP), "reject");
    program.label("ports of ipv4");
    program.load_half(LINK + 6);
    program.jump_if_any(0x1fff, "reject");
    program.load_header_length(LINK);
    program.load_half_behind_header(LINK + 2);
    program.within(ports);
    program.label("not ipv4");
    program.unless_equal(u32::from(ether_type::IPV6), "reject");
    program.load_byte(LINK + 6);
    program.jump_if_equal(u32::from(protocol::ICMPV6), "icmpv6");
    program.jump_if_equal(u32::from(protocol::TCP), "ports of ipv6");
    program.unless_equal(u32::from(protocol::UDP), "reject");
    program.label("ports of ipv6");
    program.load_half(LINK + 42);
    program.within(ports);
    program.label("icmpv6");
    // Errors, echo replies and neighbor advertisements; routers advertise themselves to everybody.
    program.load_byte(LINK + 40);
    program.jump_if_equal(129, "accept");
    program.jump_if_equal(136, "accept");
    program.jump_if_any(0x80, "reject");
    program.label("accept");
    program.push(0x06, snaplen);
    program.label("reject");
    program.push(0x06, 0);
    program.finish()
}

/// Instructions whose jumps still have names.
#[derive(Debug, Default)]
struct Program {
    instructions: Vec<BpfInstruction>,
    labels: Vec<(&'static str, usize)>,
    /// Where a jump stands, to which label it goes, and if its condition holds or not.
    jumps: Vec<(usize, &'static str, Taken)>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Taken {
    IfTrue,
    IfFalse,
    Always,
}

impl Program {
    fn push(&mut self, code: u16, k: u32) {
        self.instructions.push(BpfInstruction { code, jt: 0, jf: 0, k });
    }

    fn label(&mut self, name: &'static str) {
        self.labels.push((name, self.instructions.len()));
    }

    fn branch(&mut self, code: u16, k: u32, to: &'static str, taken: Taken) {
        self.jumps.push((self.instructions.len(), to, taken));
        self.push(code, k);
    }

    fn load_half(&mut self, at: u32) {
        self.push(0x28, at);
    }

    fn load_byte(&mut self, at: u32) {
        self.push(0x30, at);
    }

    /// Four times the low half of a byte, into the index register.
    fn load_header_length(&mut self, at: u32) {
        self.push(0xb1, at);
    }

    fn load_half_behind_header(&mut self, at: u32) {
        self.push(0x48, at);
    }

    fn jump(&mut self, to: &'static str) {
        self.branch(0x05, 0, to, Taken::Always);
    }

    fn jump_if_equal(&mut self, k: u32, to: &'static str) {
        self.branch(0x15, k, to, Taken::IfTrue);
    }

    fn unless_equal(&mut self, k: u32, to: &'static str) {
        self.branch(0x15, k, to, Taken::IfFalse);
    }

    fn jump_if_any(&mut self, bits: u32, to: &'static str) {
        self.branch(0x45, bits, to, Taken::IfTrue);
    }

    /// Ends the program by whether the accumulator is one of `ports`.
    fn within(&mut self, ports: PortRange) {
        self.branch(0x35, u32::from(ports.first), "reject", Taken::IfFalse);
        self.branch(0x25, u32::from(ports.last), "reject", Taken::IfTrue);
        self.jump("accept");
    }

    fn finish(mut self) -> Vec<BpfInstruction> {
        for (at, to, taken) in &self.jumps {
            let Some((_, target)) = self.labels.iter().find(|(name, _)| name == to) else { continue };
            let skip = target.saturating_sub(at + 1);
            let short = u8::try_from(skip).unwrap_or(u8::MAX);
            let instruction = &mut self.instructions[*at];
            match taken {
                Taken::IfTrue => instruction.jt = short,
                Taken::IfFalse => instruction.jf = short,
                Taken::Always => instruction.k = u32::try_from(skip).unwrap_or(u32::MAX),
            }
        }
        self.instructions
    }
}

#[cfg(test)]
mod tests {
    use std::net::{Ipv4Addr, Ipv6Addr};

    use proptest::prelude::*;

    use super::*;
    use crate::mac::MacAddress;
    use crate::packet::build::{self, Ip, Ping, Segment};

    /// What the kernel would do, for the instructions that are used here.
    fn run(program: &[BpfInstruction], packet: &[u8]) -> u32 {
        let (mut a, mut x, mut at) = (0_u32, 0_usize, 0);
        let byte = |at: usize| packet.get(at).copied();
        loop {
            let one = program[at];
            let k = one.k as usize;
            at += 1;
            let loaded = match one.code {
                0x28 => byte(k).zip(byte(k + 1)).map(|(h, l)| u32::from(h) << 8 | u32::from(l)),
                0x48 => byte(x + k).zip(byte(x + k + 1)).map(|(h, l)| u32::from(h) << 8 | u32::from(l)),
                0x30 => byte(k).map(u32::from),
                0xb1 => {
                    let Some(first) = byte(k) else { return 0 };
                    x = usize::from(first & 0x0f) * 4;
                    continue;
                }
                0x05 => {
                    at += k;
                    continue;
                }
                0x06 => return one.k,
                code => {
                    let holds = match code {
                        0x15 => a == one.k,
                        0x25 => a > one.k,
                        0x35 => a >= one.k,
                        0x45 => a & one.k != 0,
                        _ => panic!("instruction {code:#x}"),
                    };
                    at += usize::from(if holds { one.jt } else { one.jf });
                    continue;
                }
            };
            match loaded {
                Some(loaded) => a = loaded,
                // A load beyond the end rejects.
                None => return 0,
            }
        }
    }

    fn passes(ether_type: u16, packet: &[u8]) -> bool {
        let mut cooked = vec![0; 14];
        cooked.extend(ether_type.to_be_bytes());
        cooked.extend(packet);
        run(&answers(PortRange::new(40_000, 40_255), 300), &cooked) != 0
    }

    const V4: (Ipv4Addr, Ipv4Addr) = (Ipv4Addr::new(198, 18, 0, 2), Ipv4Addr::new(198, 18, 0, 1));

    fn v4() -> Ip {
        Ip::new(V4.0.into(), V4.1.into(), 64, 1)
    }

    fn v6() -> Ip {
        let address = |low| Ipv6Addr::new(0xfd00, 0, 0, 0, 0, 0, 0, low);
        Ip::new(address(2).into(), address(1).into(), 64, 0)
    }

    #[test]
    fn what_can_answer_a_probe_passes_and_nothing_else() {
        for (kind, ip) in [(ether_type::IPV4, v4()), (ether_type::IPV6, v6())] {
            let with_options = |options: &[u8]| Ip { options: options.to_vec(), ..ip.clone() };
            for ip in [ip.clone(), with_options(&[1, 1, 1, 0])] {
                for (port, expected) in
                    [(39_999, false), (40_000, true), (40_255, true), (40_256, false), (80, false)]
                {
                    assert_eq!(
                        passes(kind, &build::tcp(&ip, &Segment::new(80, port, 0x12))),
                        expected,
                        "{port}"
                    );
                    assert_eq!(passes(kind, &build::udp(&ip, 53, port, b"x")), expected, "{port}");
                }
            }
            assert!(!passes(kind, &build::raw(&ip, protocol::SCTP, &[0; 20])));
        }
        assert!(passes(ether_type::IPV4, &build::ping(&v4(), Ping::Echo, 1, 1, &[])));
        let icmpv6 = |kind: u8| {
            passes(ether_type::IPV6, &build::raw(&v6(), protocol::ICMPV6, &[kind, 0, 0, 0, 0, 0, 0, 0]))
        };
        assert!([1, 2, 3, 4, 129, 136].into_iter().all(icmpv6));
        assert!(![128, 133, 134, 135, 137].into_iter().any(icmpv6));
        let mut arp = build::arp_request(MacAddress::BROADCAST, V4.0, V4.1)[14..].to_vec();
        assert!(!passes(ether_type::ARP, &arp));
        arp[7] = 2;
        assert!(passes(ether_type::ARP, &arp));
    }

    #[test]
    fn later_fragments_have_no_ports_and_are_left_out() {
        let whole = build::tcp(&v4(), &Segment::new(80, 40_000, 2).with_payload(&[0; 64]));
        let fragments = build::fragments(&whole, 24);
        assert_eq!(fragments.iter().filter(|one| passes(ether_type::IPV4, one)).count(), 1);
    }

    proptest! {
        #[test]
        fn any_packet_is_judged(kind in any::<u16>(), bytes in proptest::collection::vec(any::<u8>(), 0..80)) {
            for kind in [kind, ether_type::IPV4, ether_type::IPV6, ether_type::ARP] {
                passes(kind, &bytes);
            }
        }
    }
}
