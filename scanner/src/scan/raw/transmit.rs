//! Sending: packets collect in a box for each socket and leave it many at a time.

use std::collections::VecDeque;
use std::net::IpAddr;
use std::ops::Range;
use std::time::Instant;

use nsock::{Datagram, Destination, Event, Failure, Io, IodId, LinkDestination, Sent};

use super::super::Scan;
use super::{Raw, Way};
use crate::packet::line::{Direction, Line, Subject};
use crate::packet::{build, ether_type};
use crate::plan::{Probe, ProbeId};
use crate::probe::Outline;
use crate::raw_options::Sending;
use crate::report::ScanEvent;
use crate::target::Address;
use crate::verdict::Errno;

/// Packets handed to the system at a time.
const BATCH_MAX: usize = 128;
/// Failed sends that are told one by one.
const FAILURES_TOLD_MAX: u32 = 10;
/// Bytes of an Ethernet header.
const ETHERNET: usize = 14;

/// Packets that wait to be sent by one socket.
#[derive(Debug)]
pub(super) struct Outbox {
    pub(super) iod: IodId,
    waiting: Parcels,
    /// What the system was handed; the events are still to come, in this order.
    under_way: VecDeque<Batch>,
    /// Room that a batch leaves behind for the next one.
    spare: Parcels,
}

/// Packets that were handed over together.
#[derive(Debug)]
struct Batch {
    parcels: Parcels,
    /// Bytes that the socket had sent before.
    sent_before: u64,
}

/// Packets one after the other.
#[derive(Debug, Default)]
struct Parcels {
    bytes: Vec<u8>,
    list: Vec<Parcel>,
}

/// One of them.
#[derive(Debug, Clone, Copy)]
struct Parcel {
    probe: ProbeId,
    to: Destination,
    end: usize,
    /// Bytes of link header before the packet.
    link: usize,
}

impl Parcels {
    fn clear(&mut self) {
        self.bytes.clear();
        self.list.clear();
    }

    /// Closes the packet whose bytes were appended.
    fn close(&mut self, probe: ProbeId, to: Destination, link: usize) {
        self.list.push(Parcel { probe, to, end: self.bytes.len(), link });
    }

    /// Where the bytes of a packet are.
    fn range(&self, index: usize) -> Range<usize> {
        let start = index.checked_sub(1).map_or(0, |before| self.list[before].end);
        start..self.list[index].end
    }

    fn push(&mut self, parcel: Parcel, bytes: &[u8]) {
        self.bytes.extend_from_slice(bytes);
        self.close(parcel.probe, parcel.to, parcel.link);
    }

    /// Takes out the first packet.
    fn split_first(&mut self) -> Self {
        let mut first = Self::default();
        first.push(self.list[0], &self.bytes[self.range(0)]);
        let end = self.list.remove(0).end;
        self.bytes.drain(..end);
        self.list.iter_mut().for_each(|parcel| parcel.end -= end);
        first
    }
}

impl Outbox {
    pub(super) fn new(iod: IodId) -> Self {
        Self { iod, waiting: Parcels::default(), under_way: VecDeque::new(), spare: Parcels::default() }
    }

    fn is_full(&self) -> bool {
        self.waiting.list.len() >= BATCH_MAX
    }

    /// Puts the packets from `index` on, which the system was not asked to send after all, before those that wait. What
    /// else belongs to the failed probe is left out: it is sent again as a whole.
    fn put_back(&mut self, parcels: &Parcels, index: usize, failed: ProbeId) {
        let newer = std::mem::take(&mut self.waiting);
        for (from, first) in [(parcels, index), (&newer, 0)] {
            for (place, parcel) in from.list.iter().enumerate().skip(first) {
                if parcel.probe != failed {
                    self.waiting.push(*parcel, &from.bytes[from.range(place)]);
                }
            }
        }
    }
}

/// Which of the boxes.
#[derive(Debug, Clone, Copy)]
enum Socket {
    Frames,
    V4,
    V6,
}

/// A box for each socket.
#[derive(Debug)]
pub(super) struct Outboxes {
    pub(super) frames: Outbox,
    pub(super) v4: Outbox,
    pub(super) v6: Outbox,
}

impl Outboxes {
    fn of(&mut self, socket: Socket) -> &mut Outbox {
        match socket {
            Socket::Frames => &mut self.frames,
            Socket::V4 => &mut self.v4,
            Socket::V6 => &mut self.v6,
        }
    }
}

/// How a packet leaves: by which socket, to where, and with which link header.
#[derive(Debug, Clone, Copy)]
struct Exit {
    socket: Socket,
    to: Destination,
    header: Option<[u8; ETHERNET]>,
}

impl Raw {
    /// Whether another probe finds no room; it is made for when the system has taken what waits.
    pub(in crate::scan) fn is_full(&self) -> bool {
        let Outboxes { frames, v4, v6 } = &self.outboxes;
        [frames, v4, v6].into_iter().any(Outbox::is_full)
    }

    /// Puts a probe into its box; the errno if it cannot be sent at all.
    pub(in crate::scan) fn pack(&mut self, probe: &Probe) -> Result<(), Errno> {
        let Some(target) = self.targets.get_mut(&probe.address) else { return Err(Errno::ENETUNREACH) };
        let address = target.address;
        if target.way.is_err() {
            // The route that was missing may be there by now.
            let way = self.find_way(address);
            if let Some(target) = self.targets.get_mut(&probe.address) {
                target.way = way;
            }
        }
        let Some(target) = self.targets.get_mut(&probe.address) else { return Err(Errno::ENETUNREACH) };
        let way = target.way?;
        let outline = self.probing.outline(way.route.source, probe.address, probe.kind, probe.try_number);
        match outline {
            Some(Outline::Neighbor) => {
                target.neighbor_tries = Some(probe.try_number);
                self.pack_question(probe.id, address.ip(), way)
            }
            Some(outline) => {
                self.pack_packet(probe.id, address, way, outline);
                Ok(())
            }
            // Not a packet: the plan asks this of nobody here.
            None => Err(Errno::EINVAL),
        }
    }

    /// An ARP request or a neighbor solicitation.
    fn pack_question(&mut self, probe: ProbeId, target: IpAddr, way: Way) -> Result<(), Errno> {
        let mac = way.own_mac.ok_or(Errno::EADDRNOTAVAIL)?;
        let (frame, carried) = match (way.route.source, target) {
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
        let parcels = &mut self.outboxes.frames.waiting;
        parcels.bytes.extend_from_slice(&frame);
        parcels.close(probe, to, ETHERNET);
        Ok(())
    }

    fn pack_packet(&mut self, probe: ProbeId, target: Address, way: Way, outline: Outline) {
        let exit = self.exit(target, way);
        if self.setup.options.decoys.is_empty() {
            return self.pack_from(probe, target.ip(), exit, outline, way.route.source);
        }
        for source in self.sources(way.route.source) {
            self.pack_from(probe, target.ip(), exit, outline, source);
        }
    }

    fn pack_from(&mut self, probe: ProbeId, target: IpAddr, exit: Exit, outline: Outline, source: IpAddr) {
        let header = exit.header.as_ref().map_or(&[][..], |header| &header[..]);
        let parcels = &mut self.outboxes.of(exit.socket).waiting;
        if let Some(most) = self.setup.options.fragment_bytes.filter(|_| target.is_ipv4()) {
            let mut packet = Vec::new();
            self.crafter.write(outline, source, target, &mut packet);
            for fragment in build::fragments(&packet, usize::from(most)) {
                parcels.bytes.extend_from_slice(header);
                parcels.bytes.extend_from_slice(&fragment);
                parcels.close(probe, exit.to, header.len());
            }
            return;
        }
        parcels.bytes.extend_from_slice(header);
        self.crafter.write(outline, source, target, &mut parcels.bytes);
        parcels.close(probe, exit.to, header.len());
    }

    /// Frames go where the hardware address of the next hop is known; elsewhere the system finds the way by itself.
    fn exit(&self, target: Address, way: Way) -> Exit {
        let is_v6 = target.ip().is_ipv6();
        let by_frame = self.setup.options.sending != Sending::Ip;
        if let Some((own, next)) = way.own_mac.zip(way.next_mac).filter(|_| by_frame) {
            let carried = if is_v6 { ether_type::IPV6 } else { ether_type::IPV4 };
            return Exit {
                socket: Socket::Frames,
                to: LinkDestination::new(way.route.interface, carried).into(),
                header: Some(build::ethernet(own, next, carried)),
            };
        }
        let socket = if is_v6 { Socket::V6 } else { Socket::V4 };
        Exit { socket, to: target.socket(0).into(), header: None }
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
        let outbox = raw.outboxes.of(socket);
        // One batch at a time, so that what became of it is known; of a single packet it is known anyway.
        if outbox.waiting.list.is_empty() || (trace.is_none() && !outbox.under_way.is_empty()) {
            return false;
        }
        // With a trace each packet has a time of its own.
        let parcels = match trace {
            Some(_) => outbox.waiting.split_first(),
            None => std::mem::replace(&mut outbox.waiting, std::mem::take(&mut outbox.spare)),
        };
        let iod = outbox.iod;
        let sent_before = io.iod_bytes(iod).map_or(0, |(_, sent)| sent);
        #[expect(clippy::disallowed_methods, reason = "a packet's own time is that just before it is sent")]
        let at = Instant::now();
        for parcel in &parcels.list {
            self.plan.handle_left(parcel.probe, at);
        }
        let batch: Vec<Datagram<'_>> = parcels
            .list
            .iter()
            .enumerate()
            .map(|(index, parcel)| Datagram::new(parcel.to, &parcels.bytes[parcels.range(index)]))
            .collect();
        let event = io.send_batch(iod, &batch, None, move |scan: &mut Self, io, event| {
            scan.sent(io, socket, &event);
        });
        if let Some((detail, format)) = trace
            && io.failure(event).is_none()
        {
            let (at, parcel) = (at.saturating_duration_since(self.options.started), parcels.list[0]);
            let packet = &parcels.bytes[parcel.link..parcel.end];
            let subject = if is_arp(&parcel) { Subject::Arp(packet) } else { Subject::Ip(packet) };
            let line = Line::new(Direction::Sent, at, subject).with_format(detail, format).to_string();
            self.tell(ScanEvent::Packet { line: &line });
        }
        if let Some(raw) = &mut self.raw {
            raw.outboxes.of(socket).under_way.push_back(Batch { parcels, sent_before });
        }
        trace.is_some()
    }

    /// The system has taken a batch, or a part of it.
    fn sent(&mut self, io: &mut Io<Self>, socket: Socket, event: &Event<Sent>) {
        let Some(raw) = &mut self.raw else { return };
        let outbox = raw.outboxes.of(socket);
        let Some(Batch { mut parcels, sent_before }) = outbox.under_way.pop_front() else { return };
        let sent = io.iod_bytes(outbox.iod).map_or(0, |(_, sent)| sent).saturating_sub(sent_before);
        let sent = match event.outcome {
            Ok(_) => usize::MAX,
            Err(_) if parcels.list.len() == 1 => 0,
            Err(_) => usize::try_from(sent).unwrap_or(usize::MAX),
        };
        let gone = parcels.list.iter().take_while(|parcel| parcel.end <= sent).count();
        let link: usize = parcels.list[..gone].iter().map(|parcel| parcel.link).sum();
        let bytes = parcels.list[..gone].last().map_or(0, |last| last.end);
        raw.counts.sent += gone as u64;
        raw.counts.sent_bytes += (bytes - link) as u64;
        if let (Err(failure), Some(&failed)) = (&event.outcome, parcels.list.get(gone)) {
            outbox.put_back(&parcels, gone + 1, failed.probe);
            self.tell_failure(&failed, failure);
            let errno = failure.errno().map_or(Errno::EIO, Errno::new);
            self.plan.handle_local_trouble(io.now(), failed.probe, errno);
        } else {
            parcels.clear();
            outbox.spare = parcels;
        }
        // After the answers that came meanwhile: read at once they are in the processor's cache, and few at a time.
        self.pump_soon(io);
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
