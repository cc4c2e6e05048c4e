//! Hearing: packets of the capture, known by the numbers of the probes they answer.

use std::net::IpAddr;
use std::time::{Duration, Instant};

use nsock::{Event, Io, Packet};

use super::super::{Scan, Stage};
use super::{READS, Raw, both_clocks};
use crate::mac::MacAddress;
use crate::packet::line::{Direction, Line, Subject as Shown};
use crate::packet::view::{Arp, Icmp, IpPacket, quoted_ports};
use crate::packet::{ether_type, protocol};
use crate::probe::{Heard, Inquiry, Message, Quote, Quoted, Segment, Subject};
use crate::report::ScanEvent;
use crate::technique::tcp_flags;
use crate::verdict::{IcmpError, IcmpVersion};

/// Bytes of a cooked capture before the network layer, and where the sender's address and the type stand.
const COOKED: usize = 16;

/// How often the kernel is asked what it had no room for, and what time it is.
const CHECK_EVERY: Duration = Duration::from_secs(1);

impl Scan {
    /// Begins to read what is captured.
    pub(in crate::scan) fn listen(&self, io: &mut Io<Self>) {
        let Some(raw) = &self.raw else { return };
        let capture = raw.capture;
        for _ in 0..READS {
            io.pcap_read_packet(capture, None, Self::captured);
        }
    }

    fn captured(&mut self, io: &mut Io<Self>, event: Event<Packet>) {
        let Ok(packet) = event.outcome else {
            // A capture of all interfaces goes on when one of them goes down; what ends it ends the listening.
            return;
        };
        io.pcap_read_packet(event.iod, None, Self::captured);
        self.hear(io, &packet);
    }

    fn hear(&mut self, io: &mut Io<Self>, packet: &Packet) {
        let Some(raw) = &mut self.raw else { return };
        let (Some(link), Some(bytes)) = (packet.bytes.get(..COOKED), packet.bytes.get(COOKED..)) else {
            return;
        };
        let carried = u16::from_be_bytes([link[14], link[15]]);
        let mac = <[u8; 6]>::try_from(&link[6..12]).ok().map(MacAddress::new);
        let heard = if carried == ether_type::ARP { by_arp(bytes) } else { by_ip(bytes) };
        if heard.is_some_and(|heard| raw.is_our_own(&heard)) {
            return;
        }
        let in_discovery = matches!(self.stage, Stage::Discovery | Stage::Whole);
        let heard_at = raw.instant_of(packet.time);
        let Some(heard) = heard.filter(|heard| raw.concerns_stage(heard, in_discovery)) else { return };
        raw.counts.received += 1;
        raw.counts.received_bytes += bytes.len() as u64;
        if let Some((detail, format)) = raw.setup.trace {
            let at = heard_at.saturating_duration_since(raw.started);
            let subject = match (carried, in_discovery) {
                (ether_type::ARP, _) => Shown::Arp(bytes),
                (_, true) => Shown::Neighbor(bytes),
                _ => Shown::Ip(bytes),
            };
            let line = Line::new(Direction::Received, at, subject).with_format(detail, format).to_string();
            self.tell(ScanEvent::Packet { line: &line });
        }
        self.note(io, &heard, mac, heard_at);
    }

    /// Asks the plan for more when the other packets that are there have been heard too: one at a time, each answer would
    /// send one probe, by a system call of its own. With a trace, where each has its own anyway, at once.
    pub(super) fn pump_soon(&mut self, io: &mut Io<Self>) {
        if self.raw.as_ref().is_some_and(|raw| raw.setup.trace.is_some()) {
            return self.pump(io);
        }
        if !std::mem::replace(&mut self.pump_is_due, true) {
            let _unnamed = io.timer_create(Duration::ZERO, |scan: &mut Self, io, _| {
                scan.pump_is_due = false;
                scan.pump(io);
            });
        }
    }

    /// Takes what a packet says into account.
    fn note(&mut self, io: &mut Io<Self>, heard: &Heard, mac: Option<MacAddress>, heard_at: Instant) {
        let Some(raw) = &mut self.raw else { return };
        let Some(known) = raw.probing.recognize(heard) else { return };
        let Some(target) = raw.targets.get(&known.target) else { return };
        let (Some(host), tries) = (target.host, target.neighbor_tries) else { return };
        let id = match known.subject {
            Subject::Port(port) => self.plan.port_probe(host, port, known.try_number.unwrap_or(0)),
            Subject::Method(method) => self.plan.discovery_probe(host, method, known.try_number.unwrap_or(0)),
            Subject::Neighbor => tries.and_then(|tries| self.plan.neighbor_probe(host, tries)),
        };
        let Some(id) = id else { return };
        raw.learn_way(heard, known.target, mac);
        self.plan.handle_reply_heard_at(io.now(), heard_at, id, known.verdict);
        self.check_now_and_then(io);
        self.pump_soon(io);
    }

    /// If the kernel had no room for answers, fewer are asked for at a time; and if somebody sets the wall clock, by
    /// which the kernel stamps packets, that is noticed.
    fn check_now_and_then(&mut self, io: &mut Io<Self>) {
        let now = io.now();
        let Some(raw) = &mut self.raw else { return };
        if now.saturating_duration_since(raw.checked) < CHECK_EVERY {
            return;
        }
        raw.checked = now;
        raw.clock = both_clocks();
        if let Ok(stats) = io.iod_pcap_stats(raw.capture)
            && stats.dropped > raw.counts.dropped
        {
            raw.counts.dropped = stats.dropped;
            self.plan.handle_lost_answers(now);
        }
    }
}

impl Raw {
    /// Whether a packet is a probe of ours that comes back to us, as on the loopback.
    fn is_our_own(&self, heard: &Heard) -> bool {
        match heard.message {
            Message::Tcp(segment) => {
                let ports = self.probing.source_ports.all();
                heard.from == heard.to
                    && ports.contains(&segment.source)
                    && segment.flags & (tcp_flags::RST | tcp_flags::ACK) == 0
            }
            _ => false,
        }
    }

    /// Whether a packet can have to do with what is asked now: answers that come late to an earlier stage, and to the
    /// kernel's own questions to neighbors, do not.
    fn concerns_stage(&self, heard: &Heard, in_discovery: bool) -> bool {
        match heard.message {
            Message::Tcp(segment) => self.is_port_of_stage(segment.destination),
            Message::Udp { destination, .. } => self.is_port_of_stage(destination),
            Message::Icmp { .. } => in_discovery,
            Message::Neighbor { address, .. } => {
                let asked = self.targets.get(&address).is_some_and(|target| {
                    let ours = matches!(target.way, Ok(way) if way.route.source == heard.to);
                    ours && target.neighbor_tries.is_some()
                });
                in_discovery && asked
            }
            Message::Error { about, .. } => match about.message {
                Quoted::Tcp { source, .. } | Quoted::Udp { source, .. } => self.is_port_of_stage(source),
                Quoted::Icmp { .. } => in_discovery,
            },
        }
    }

    fn is_port_of_stage(&self, port: u16) -> bool {
        self.probing.source_ports.is_of_stage(port, self.probing.stage)
    }

    /// Keeps the hardware address that a target on the link told, or that its answer came from; and for one behind a
    /// router, the router's, which the kernel has found by now. Only an answer to a probe tells that: a packet that
    /// anybody can make must not lead the next one astray.
    fn learn_way(&mut self, heard: &Heard, ip: IpAddr, link: Option<MacAddress>) {
        let Some(target) = self.targets.get_mut(&ip) else { return };
        let Ok(way) = &mut target.way else { return };
        if way.route.is_local || way.own_mac.is_none() {
            return;
        }
        if way.route.gateway.is_some() {
            if way.next_mac.is_none() {
                way.next_mac = self.kernel.neighbor(way.route.interface, way.route.next_hop(ip));
            }
            return;
        }
        let mac = match heard.message {
            Message::Neighbor { mac, .. } => mac.or(link),
            _ => link.filter(|_| heard.from == ip),
        };
        if let Some(mac) = mac.filter(|mac| *mac != MacAddress::ZERO) {
            target.mac = Some(mac);
            way.next_mac = Some(mac);
        }
    }
}

fn by_arp(bytes: &[u8]) -> Option<Heard> {
    let arp = Arp::parse(bytes).filter(|arp| !arp.is_request())?;
    let address = IpAddr::V4(arp.sender());
    let message = Message::Neighbor { address, mac: Some(arp.sender_mac()) };
    Some(Heard { from: address, to: IpAddr::V4(arp.target()), ttl: 0, message })
}

fn by_ip(bytes: &[u8]) -> Option<Heard> {
    let packet = IpPacket::parse(bytes)?;
    let message = message(&packet)?;
    Some(Heard { from: packet.source(), to: packet.destination(), ttl: packet.ttl(), message })
}

fn message(packet: &IpPacket<'_>) -> Option<Message> {
    if let Some(tcp) = packet.tcp() {
        return Some(Message::Tcp(Segment {
            source: tcp.source_port(),
            destination: tcp.destination_port(),
            flags: tcp.flags(),
            sequence: tcp.sequence(),
            acknowledgment: tcp.acknowledgment(),
            window: tcp.window().unwrap_or(0),
        }));
    }
    if let Some(udp) = packet.udp() {
        return Some(Message::Udp { source: udp.source_port(), destination: udp.destination_port() });
    }
    let icmp = packet.icmp()?;
    if let Some((address, mac)) = icmp.advertised() {
        return Some(Message::Neighbor { address: address.into(), mac });
    }
    if icmp.is_error() {
        let version = if icmp.is_v6() { IcmpVersion::V6 } else { IcmpVersion::V4 };
        let error = IcmpError::new(version, icmp.kind(), icmp.code(), Some(packet.source()));
        return Some(Message::Error { icmp: error, about: quote(&icmp)? });
    }
    let inquiry = inquiry(icmp.is_v6(), icmp.kind(), Side::Reply)?;
    Some(Message::Icmp { inquiry, id: icmp.id(), sequence: icmp.sequence() })
}

fn quote(icmp: &Icmp<'_>) -> Option<Quote> {
    let quoted = icmp.quoted()?;
    let (source, destination, sequence) = quoted_ports(quoted.payload())?;
    let message = match quoted.protocol() {
        protocol::TCP => Quoted::Tcp { source, destination, sequence },
        protocol::UDP => Quoted::Udp { source, destination },
        protocol::ICMP | protocol::ICMPV6 => {
            // Type and code, then the checksum, then what we look for.
            let [kind, _] = source.to_be_bytes();
            let [a, b, c, d] = sequence.to_be_bytes();
            let inquiry = inquiry(quoted.is_v6(), kind, Side::Request)?;
            Quoted::Icmp { inquiry, id: u16::from_be_bytes([a, b]), sequence: u16::from_be_bytes([c, d]) }
        }
        _ => return None,
    };
    Some(Quote { from: quoted.source(), to: quoted.destination(), message })
}

/// The two sides of an ICMP exchange.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Side {
    Request,
    Reply,
}

const fn inquiry(is_v6: bool, kind: u8, side: Side) -> Option<Inquiry> {
    Some(match (is_v6, side, kind) {
        (false, Side::Request, 8) | (false, Side::Reply, 0) => Inquiry::Echo,
        (true, Side::Request, 128) | (true, Side::Reply, 129) => Inquiry::Echo,
        (false, Side::Request, 13) | (false, Side::Reply, 14) => Inquiry::Timestamp,
        (false, Side::Request, 17) | (false, Side::Reply, 18) => Inquiry::AddressMask,
        _ => return None,
    })
}
