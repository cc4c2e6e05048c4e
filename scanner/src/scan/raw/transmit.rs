//! Sending: packets collect in a box for each socket and leave it many at a time.

use std::net::IpAddr;
use std::time::Instant;

use nsock::{Datagram, Destination, Event, Failure, Io, IodId, LinkDestination, Sent};

use super::super::Scan;
use super::{Raw, Target, Way};
use crate::mac::MacAddress;
use crate::packet::line::{Direction, Line, Subject};
use crate::packet::{build, ether_type};
use crate::plan::{Probe, ProbeId};
use crate::probe::Outline;
use crate::raw_options::Sending;
use crate::report::ScanEvent;
use crate::verdict::Errno;

/// Packets handed to the system at a time.
const BATCH_MAX: usize = 256;
/// Failed sends that are told one by one.
const FAILURES_TOLD_MAX: u32 = 10;
/// Bytes of an Ethernet header.
const ETHERNET: usize = 14;

/// Packets that wait to be sent by one socket.
#[derive(Debug)]
pub(super) struct Outbox {
    pub(super) iod: IodId,
    bytes: Vec<u8>,
    parcels: Vec<Parcel>,
    /// What the system has at hand; its event is still to come.
    under_way: bool,
}

/// A packet in a box.
#[derive(Debug, Clone, Copy)]
struct Parcel {
    probe: ProbeId,
    to: Destination,
    end: usize,
    /// Bytes of link header before the packet.
    link: usize,
}

impl Outbox {
    pub(super) const fn new(iod: IodId) -> Self {
        Self { iod, bytes: Vec::new(), parcels: Vec::new(), under_way: false }
    }

    fn is_full(&self) -> bool {
        self.parcels.len() >= BATCH_MAX
    }
}

/// Which of the boxes.
#[derive(Debug, Clone, Copy)]
enum Socket {
    Frames,
    V4,
    V6,
}

impl Raw {
    fn outbox(&mut self, socket: Socket) -> &mut Outbox {
        match socket {
            Socket::Frames => &mut self.frames,
            Socket::V4 => &mut self.v4,
            Socket::V6 => &mut self.v6,
        }
    }

    /// Whether another probe finds no room; it is made for when the system has taken what waits.
    pub(in crate::scan) fn is_full(&self) -> bool {
        [&self.frames, &self.v4, &self.v6].into_iter().any(Outbox::is_full)
    }

    /// Puts a probe into its box; the errno if it cannot be sent at all.
    pub(in crate::scan) fn pack(&mut self, probe: &Probe) -> Result<(), Errno> {
        let Some(target) = self.targets.get_mut(&probe.address) else { return Err(Errno::ENETUNREACH) };
        let way = target.way?;
        let outline = self.probing.outline(way.route.source, probe.address, probe.kind, probe.try_number);
        let target = *target;
        match outline {
            Some(Outline::Neighbor) => {
                if let Some(known) = self.targets.get_mut(&probe.address) {
                    known.neighbor_tries = Some(probe.try_number);
                }
                self.pack_question(probe.id, &target, way)
            }
            Some(outline) => {
                self.pack_packet(probe.id, &target, way, outline);
                Ok(())
            }
            // Not a packet: the plan asks this of nobody here.
            None => Err(Errno::EINVAL),
        }
    }

    /// An ARP request or a neighbor solicitation.
    fn pack_question(&mut self, probe: ProbeId, target: &Target, way: Way) -> Result<(), Errno> {
        let mac = way.own_mac.ok_or(Errno::EADDRNOTAVAIL)?;
        let (frame, carried) = match (way.route.source, target.address.ip()) {
            (IpAddr::V4(source), IpAddr::V4(wanted)) => {
                (build::arp_request(mac, source, wanted), ether_type::ARP)
            }
            (IpAddr::V6(source), IpAddr::V6(wanted)) => {
                let group = build::multicast_mac(build::solicited_node(wanted));
                let packet = build::neighbor_solicitation(source, mac, wanted);
                (build::frame(mac, group, &packet), ether_type::IPV6)
            }
            _ => return Err(Errno::EAFNOSUPPORT),
        };
        let to = LinkDestination::new(way.route.interface, carried).into();
        self.put(Socket::Frames, probe, to, ETHERNET, &frame);
        Ok(())
    }

    fn pack_packet(&mut self, probe: ProbeId, target: &Target, way: Way, outline: Outline) {
        let ip = target.address.ip();
        let sources = self.sources(way.route.source);
        let own = [way.route.source];
        let sources = if sources.is_empty() { &own[..] } else { &sources[..] };
        for source in sources {
            let mut packet = Vec::with_capacity(64);
            if !self.crafter.write(outline, *source, ip, &mut packet) {
                return;
            }
            match self.setup.options.fragment_bytes {
                Some(most) if ip.is_ipv4() => {
                    for fragment in build::fragments(&packet, usize::from(most)) {
                        self.pack_whole(probe, target, way, &fragment);
                    }
                }
                _ => self.pack_whole(probe, target, way, &packet),
            }
        }
    }

    fn pack_whole(&mut self, probe: ProbeId, target: &Target, way: Way, packet: &[u8]) {
        let by_frame = self.setup.options.sending != Sending::Ip;
        let macs: Option<(MacAddress, MacAddress)> = way.own_mac.zip(way.next_mac).filter(|_| by_frame);
        if let Some((own, next)) = macs {
            let carried = if packet[0] >> 4 == 6 { ether_type::IPV6 } else { ether_type::IPV4 };
            let header = build::ethernet(own, next, carried);
            let to = LinkDestination::new(way.route.interface, carried).into();
            self.put(Socket::Frames, probe, to, ETHERNET, &header);
            let outbox = &mut self.frames;
            outbox.bytes.extend_from_slice(packet);
            if let Some(parcel) = outbox.parcels.last_mut() {
                parcel.end = outbox.bytes.len();
            }
            return;
        }
        let socket = if packet[0] >> 4 == 6 { Socket::V6 } else { Socket::V4 };
        self.put(socket, probe, target.address.socket(0).into(), 0, packet);
    }

    fn put(&mut self, socket: Socket, probe: ProbeId, to: Destination, link: usize, bytes: &[u8]) {
        let outbox = self.outbox(socket);
        outbox.bytes.extend_from_slice(bytes);
        outbox.parcels.push(Parcel { probe, to, end: outbox.bytes.len(), link });
    }
}

impl Scan {
    /// Hands everything that waits to the system; what is under way is waited for first.
    pub(in crate::scan) fn flush(&mut self, io: &mut Io<Self>) {
        for socket in [Socket::Frames, Socket::V4, Socket::V6] {
            while self.flush_one(io, socket) {}
        }
    }

    /// Hands over a batch; true if there may be another one to hand over now.
    fn flush_one(&mut self, io: &mut Io<Self>, socket: Socket) -> bool {
        let Some(raw) = &mut self.raw else { return false };
        let trace = raw.setup.trace;
        let outbox = raw.outbox(socket);
        if outbox.under_way || outbox.parcels.is_empty() {
            return false;
        }
        // With a trace each packet has a time of its own.
        let count = if trace.is_some() { 1 } else { outbox.parcels.len() };
        let end = outbox.parcels[count - 1].end;
        let bytes: Vec<u8> = if count == outbox.parcels.len() {
            std::mem::take(&mut outbox.bytes)
        } else {
            let rest = outbox.bytes.split_off(end);
            std::mem::replace(&mut outbox.bytes, rest)
        };
        let parcels: Vec<Parcel> = outbox.parcels.drain(..count).collect();
        outbox.parcels.iter_mut().for_each(|parcel| parcel.end -= end);
        // One batch at a time, so that what became of it is known; of a single packet it is known anyway.
        outbox.under_way = trace.is_none();
        let iod = outbox.iod;
        let mut start = 0;
        let batch: Vec<Datagram<'_>> = parcels
            .iter()
            .map(|parcel| {
                let data = &bytes[std::mem::replace(&mut start, parcel.end)..parcel.end];
                Datagram::new(parcel.to, data)
            })
            .collect();
        let sent_before = io.iod_bytes(iod).map_or(0, |(_, sent)| sent);
        #[expect(clippy::disallowed_methods, reason = "a packet's own time is that just before it is sent")]
        let at = Instant::now();
        for parcel in &parcels {
            self.plan.handle_left(parcel.probe, at);
        }
        let shown = trace.map(|how| (how, bytes[parcels[0].link..end].to_vec(), parcels[0]));
        let event = io.send_batch(iod, &batch, None, move |scan: &mut Self, io, event| {
            scan.sent(io, socket, &parcels, sent_before, &event);
        });
        if let Some(((detail, format), packet, parcel)) = shown
            && io.failure(event).is_none()
        {
            let at = at.saturating_duration_since(self.options.started);
            let subject = if is_arp(&parcel) { Subject::Arp(&packet) } else { Subject::Ip(&packet) };
            let line = Line::new(Direction::Sent, at, subject).with_format(detail, format).to_string();
            self.tell(ScanEvent::Packet { line: &line });
        }
        trace.is_some()
    }

    /// The system has taken a batch, or a part of it.
    fn sent(
        &mut self,
        io: &mut Io<Self>,
        socket: Socket,
        parcels: &[Parcel],
        sent_before: u64,
        event: &Event<Sent>,
    ) {
        let Some(raw) = &mut self.raw else { return };
        let outbox = raw.outbox(socket);
        outbox.under_way = false;
        let sent = io.iod_bytes(outbox.iod).map_or(0, |(_, sent)| sent).saturating_sub(sent_before);
        let sent = match event.outcome {
            Ok(_) => usize::MAX,
            Err(_) if parcels.len() == 1 => 0,
            Err(_) => usize::try_from(sent).unwrap_or(usize::MAX),
        };
        let gone = parcels.iter().take_while(|parcel| parcel.end <= sent).count();
        let link: usize = parcels[..gone].iter().map(|parcel| parcel.link).sum();
        let bytes = parcels[..gone].last().map_or(0, |last| last.end);
        raw.counts.sent += gone as u64;
        raw.counts.sent_bytes += (bytes - link) as u64;
        if let (Err(failure), Some(failed)) = (&event.outcome, parcels.get(gone)) {
            let now = io.now();
            self.tell_failure(failed, failure);
            let errno = failure.errno().map_or(Errno::EIO, Errno::new);
            self.plan.handle_local_trouble(now, failed.probe, errno);
            // Those behind it were not tried; the plan is told that the system had no room for them, and asks again.
            for parcel in &parcels[gone + 1..] {
                self.plan.handle_local_trouble(now, parcel.probe, Errno::EAGAIN);
            }
        }
        self.pump(io);
    }

    fn tell_failure(&mut self, parcel: &Parcel, failure: &Failure) {
        let Some(raw) = &mut self.raw else { return };
        if raw.setup.trace.is_none() || raw.failures_told > FAILURES_TOLD_MAX {
            return;
        }
        raw.failures_told += 1;
        let text = if raw.failures_told > FAILURES_TOLD_MAX {
            format!(
                "Omitting future messages about failed sends now that {FAILURES_TOLD_MAX} have been shown."
            )
        } else {
            format!("A packet could not be sent ({:?}): {failure}", parcel.to)
        };
        self.tell(ScanEvent::Warning(&text));
    }
}

fn is_arp(parcel: &Parcel) -> bool {
    matches!(parcel.to, Destination::Link(link) if link.ethertype == ether_type::ARP)
}
