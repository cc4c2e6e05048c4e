//! Probes by packet: the sockets, the ways to the targets, and what is sent and heard.

mod craft;
mod listen;
mod transmit;

use std::fmt;
use std::io;
use std::net::IpAddr;
use std::time::{Instant, SystemTime};

use foldhash::HashMap;
use nsock::{Filter, Io, IodId, IpVersion, PcapOptions, Pool};
use thiserror::Error;

use super::{Presumed, Scan};
use crate::limits;
use crate::mac::MacAddress;
use crate::packet::filter::{PortRange, answers};
use crate::packet::line::{Detail, Format};
use crate::plan::{HostId, HostStart, Settings};
use crate::probe::{Cookies, Probing, SourcePorts};
use crate::raw_options::{Decoy, RawOptions, Sending, SpoofedMac};
use crate::report::PacketCounts;
use crate::route::kernel::Kernel;
use crate::route::{InterfaceKind, Route, Wish};
use crate::target::Address;
use crate::technique::Technique;
use crate::verdict::{Errno, Reason};

use craft::Crafter;
use transmit::{Outbox, Outboxes};

/// Bytes kept of each packet: headers with all their options, and what ICMP errors quote.
const SNAPLEN: u32 = 384;
/// Room for packets that the kernel keeps until they are read.
const BUFFER_BYTES: usize = 32 << 20;
/// What a small packet takes of that room.
const PACKET_COST: usize = 1024;
/// Reads of the capture that wait at a time.
const READS: usize = 64;
/// How many probes may wait for answers that fit the room for packets, with as much again to spare.
const fn in_flight_max(room: usize) -> usize {
    let fit = room / PACKET_COST / 2;
    if fit < IN_FLIGHT_MIN { IN_FLIGHT_MIN } else { fit }
}

/// So many targets take over the hardware address of their router before the system is asked for it again: it may change.
const ROUTER_USES_MAX: u16 = 256;

/// Even the smallest room is enough for so many.
const IN_FLIGHT_MIN: usize = 64;

/// Discovery makes at most so many tries, whatever the user says of retries.
const DISCOVERY_TRIES_MAX: u8 = 6;

/// What the raw side is told before it starts.
#[derive(Debug, Clone)]
#[non_exhaustive]
pub struct RawSetup {
    /// What packets are to look like.
    pub options: RawOptions,
    /// The interface and source the user wants.
    pub wish: Wish,
    /// Whether hosts on the local link are asked by ARP and neighbor solicitations.
    pub neighbors: bool,
    /// How packets are shown, if they are.
    pub trace: Option<(Detail, Format)>,
    /// Everything random follows from it, but for the key.
    pub seed: u64,
    /// Which worker this is, and of how many.
    pub worker: (u16, u16),
    /// The key of the numbers that probes carry, from the system's source of randomness.
    pub key: [u64; 2],
}

impl RawSetup {
    /// The usual packets, without a trace.
    #[must_use]
    pub fn new(key: [u64; 2], seed: u64) -> Self {
        let (options, wish) = (RawOptions::default(), Wish::default());
        Self { options, wish, neighbors: true, trace: None, seed, worker: (0, 1), key }
    }
}

/// Why packets cannot be sent or heard.
#[derive(Debug, Error)]
#[non_exhaustive]
pub enum RawError {
    /// The kernel does not tell its interfaces.
    #[error("cannot ask the kernel for routes: {0}")]
    Routes(#[source] io::Error),
    /// The capture.
    #[error(transparent)]
    Capture(#[from] nsock::PcapError),
    /// A socket to send by.
    #[error("cannot open a raw socket: {0}")]
    Socket(nsock::Failure),
}

/// A target, and how packets get there.
#[derive(Debug, Clone, Copy)]
pub(super) struct Target {
    address: Address,
    /// Set while a plan knows it.
    host: Option<HostId>,
    way: Result<Way, Errno>,
    /// The last try to find it as a neighbor, if there was one in the plan at hand.
    neighbor_tries: Option<u8>,
    /// Its own hardware address, if it is on the link.
    pub(super) mac: Option<MacAddress>,
}

/// The way to a target.
#[derive(Debug, Clone, Copy)]
struct Way {
    route: Route,
    kind: InterfaceKind,
    /// Our hardware address on that link.
    own_mac: Option<MacAddress>,
    /// The hardware address that frames are sent to: the target's or its router's.
    next_mac: Option<MacAddress>,
}

/// A router whose hardware address is known.
#[derive(Debug)]
struct Router {
    interface: u32,
    address: IpAddr,
    mac: MacAddress,
    /// Targets that took it over.
    uses: u16,
}

/// The raw side of a scan.
pub struct Raw {
    kernel: Kernel,
    setup: RawSetup,
    capture: IodId,
    outboxes: Outboxes,
    pub(super) probing: Probing,
    crafter: Crafter,
    targets: HashMap<IpAddr, Target>,
    last_router: Option<Router>,
    counts: PacketCounts,
    /// The same moment by both clocks.
    clock: (Instant, SystemTime),
    started: Instant,
    /// Sends that failed and were told of.
    failures_told: u32,
    /// When drops and clocks were last looked at.
    checked: Instant,
    /// Most probes that may wait for an answer.
    in_flight_max: usize,
}

impl Raw {
    /// Opens everything that needs a privilege; afterwards none is needed any more.
    ///
    /// # Errors
    /// [`RawError`].
    pub fn open(pool: &mut Pool<Scan>, setup: RawSetup, started: Instant) -> Result<Self, RawError> {
        let kernel = Kernel::new().map_err(RawError::Routes)?;
        let mut random = fastrand::Rng::with_seed(setup.seed);
        let source_ports = match setup.options.source_port {
            Some(port) => SourcePorts::Fixed(port),
            None => SourcePorts::random(random.u16(..)),
        };
        let source_ports = source_ports.of_worker(setup.worker.0, setup.worker.1);
        let ports = source_ports.all();
        let capture = pool.iod_new();
        let mut options = PcapOptions::default();
        options.snaplen = SNAPLEN as usize;
        options.buffer_bytes = BUFFER_BYTES;
        options.ignore_outgoing = true;
        options.filter = Some(Filter::bpf(answers(PortRange::new(*ports.start(), *ports.end()), SNAPLEN)));
        pool.pcap_open(capture, "any", &options)?;
        let (frames, v4, v6) = (pool.iod_new(), pool.iod_new(), pool.iod_new());
        pool.packet_open(frames).map_err(RawError::Socket)?;
        let raw = nsock_raw_protocol();
        pool.setup_raw(v4, IpVersion::V4, raw).map_err(RawError::Socket)?;
        // A system without IPv6 has no use for it.
        let _without_v6 = pool.setup_raw(v6, IpVersion::V6, raw);
        let probing = Probing {
            cookies: Cookies::new(setup.key),
            source_ports,
            methods: Vec::new(),
            technique: None,
            flags: setup.options.flags,
            payload_bytes: 0,
            tries_max: 0,
            stage: 0,
        };
        let clock = both_clocks();
        let mut crafter = Crafter::new(&setup.options, random);
        let mut setup = setup;
        crafter.settle_decoys(&mut setup.options.decoys);
        Ok(Self {
            kernel,
            capture,
            outboxes: Outboxes { frames: Outbox::new(frames), v4: Outbox::new(v4), v6: Outbox::new(v6) },
            probing,
            crafter,
            setup,
            targets: HashMap::default(),
            last_router: None,
            counts: PacketCounts::default(),
            clock,
            started,
            failures_told: 0,
            checked: clock.0,
            in_flight_max: in_flight_max(limits::receive_room(BUFFER_BYTES)),
        })
    }

    /// Shows packets from now on, or does not.
    pub(super) const fn show_packets(&mut self, how: Option<(Detail, Format)>) {
        self.setup.trace = how;
    }

    /// Most probes that may wait for an answer.
    pub(super) const fn in_flight_max(&self) -> usize {
        self.in_flight_max
    }

    /// The target at an address, its way looked up if it is new.
    pub(super) fn target(&mut self, address: Address) -> &mut Target {
        let ip = address.ip();
        if !self.targets.contains_key(&ip) {
            let way = self.find_way(address);
            let target = Target { address, host: None, way, neighbor_tries: None, mac: None };
            self.targets.insert(ip, target);
        }
        // It was put there just now, if it was not there before.
        self.targets.entry(ip).or_insert(Target {
            address,
            host: None,
            way: Err(Errno::ENETUNREACH),
            neighbor_tries: None,
            mac: None,
        })
    }

    fn find_way(&mut self, address: Address) -> Result<Way, Errno> {
        let mut wish = self.setup.wish;
        if address.scope_id() != 0 {
            wish.interface = Some(address.scope_id());
        }
        // A source of the other family is no wish for this target.
        wish.source = wish.source.filter(|source| source.is_ipv4() == address.ip().is_ipv4());
        let route = self
            .kernel
            .route(address.ip(), wish)
            .map_err(|error| Errno::new(error.raw_os_error().unwrap_or(Errno::EIO.raw())))?
            .map_err(|no_route| no_route.errno)?;
        let interface = self.kernel.interfaces().get(&route.interface).ok_or(Errno::ENODEV)?;
        if !interface.is_up {
            return Err(Errno::ENETDOWN);
        }
        let (kind, own_mac) = (interface.kind, interface.mac);
        let own_mac = own_mac.map(|mac| self.pretended_mac(mac));
        let next_mac = match kind {
            InterfaceKind::Ethernet if !route.is_local && route.gateway.is_some() => {
                self.router(route.interface, route.next_hop(address.ip()))
            }
            InterfaceKind::Ethernet if !route.is_local => self.kernel.neighbor(route.interface, address.ip()),
            _ => None,
        };
        Ok(Way { route, kind, own_mac, next_mac })
    }

    /// The hardware address of a router. Most targets have the same one, so the system is not asked for each of them.
    fn router(&mut self, interface: u32, address: IpAddr) -> Option<MacAddress> {
        if let Some(router) = &mut self.last_router
            && (router.interface, router.address) == (interface, address)
            && router.uses < ROUTER_USES_MAX
        {
            router.uses += 1;
            return Some(router.mac);
        }
        let mac = self.kernel.neighbor(interface, address)?;
        self.last_router = Some(Router { interface, address, mac, uses: 0 });
        Some(mac)
    }

    fn pretended_mac(&mut self, own: MacAddress) -> MacAddress {
        match self.setup.options.spoofed_mac {
            None => own,
            Some(SpoofedMac::Address(address)) => address,
            Some(wanted) => {
                let drawn = self.crafter.random_mac(wanted);
                // All frames come from the same one.
                self.setup.options.spoofed_mac = Some(SpoofedMac::Address(drawn));
                drawn
            }
        }
    }

    /// Whether the target is this machine.
    pub(super) fn is_local(&mut self, address: Address) -> bool {
        matches!(self.target(address).way, Ok(way) if way.route.is_local)
    }

    /// Whether the target is asked as a neighbor on the link.
    pub(super) fn is_neighbor(&mut self, address: Address) -> bool {
        let by_frames = self.setup.neighbors && self.setup.options.sending != Sending::Ip;
        let Ok(way) = self.target(address).way else { return false };
        let on_link = way.route.gateway.is_none() && !way.route.is_local;
        by_frames && on_link && way.kind == InterfaceKind::Ethernet && way.own_mac.is_some()
    }

    /// How a target enters a plan. `packets` is whether its ports will be probed by packets, for which a neighbor's
    /// hardware address is wanted even where nobody is asked.
    pub(super) fn start_of(&mut self, address: Address, presumed: Presumed, packets: bool) -> HostStart {
        match presumed {
            Presumed::Everybody if packets && self.is_neighbor(address) => {
                HostStart::NeighborOrUp(Reason::UserSet)
            }
            Presumed::Everybody => HostStart::Up(Reason::UserSet),
            _ if self.is_local(address) => HostStart::Up(Reason::LocalhostResponse),
            _ if self.is_neighbor(address) => HostStart::Neighbor,
            _ => HostStart::Discover,
        }
    }

    /// A plan begins: answers to the one before are not taken for answers to it.
    pub(super) fn begin_plan(&mut self, settings: &Settings, technique: Option<Technique>) {
        self.probing.methods.clone_from(&settings.methods);
        self.probing.technique = technique.filter(|technique| technique.is_raw());
        self.probing.tries_max = settings.timing.retries_max.max(DISCOVERY_TRIES_MAX);
        self.probing.payload_bytes = self.crafter.payload_bytes();
        self.probing.stage = self.probing.stage.wrapping_add(2);
        self.targets.values_mut().for_each(|target| target.host = None);
    }

    /// A plan has begun with a target.
    pub(super) fn host_entered(&mut self, address: Address, host: HostId) {
        let target = self.target(address);
        target.host = Some(host);
        target.neighbor_tries = None;
    }

    /// Where frames to a target are sent, if that is known.
    pub(super) fn next_mac_of(&self, ip: IpAddr) -> Option<MacAddress> {
        self.targets.get(&ip)?.way.ok()?.next_mac
    }

    /// Takes over where frames to a target are sent.
    pub(super) fn learn_next_mac(&mut self, address: Address, next_mac: Option<MacAddress>) {
        if let Ok(way) = &mut self.target(address).way {
            way.next_mac = way.next_mac.or(next_mac);
        }
    }

    /// Nothing more is asked of a target.
    pub(super) fn host_left(&mut self, ip: IpAddr) {
        self.targets.remove(&ip);
    }

    /// The hardware address of a target on the link.
    pub(super) fn mac_of(&self, ip: IpAddr) -> Option<MacAddress> {
        self.targets.get(&ip).and_then(|target| target.mac)
    }

    /// What went over the wire so far; drops are as last asked.
    pub(super) const fn counts(&self) -> PacketCounts {
        self.counts
    }

    /// The kernel's time of a packet on the program's clock.
    fn instant_of(&self, time: SystemTime) -> Instant {
        let (instant, system) = self.clock;
        match time.duration_since(system) {
            Ok(later) => instant + later,
            Err(earlier) => instant.checked_sub(earlier.duration()).unwrap_or(instant),
        }
    }

    /// The sources of each probe, in order: ours among the decoys, and ours alone without any.
    fn sources(&self, own: IpAddr) -> Vec<IpAddr> {
        self.setup
            .options
            .decoys
            .iter()
            .filter_map(|decoy| match decoy {
                Decoy::Address(address) if address.is_ipv4() == own.is_ipv4() => Some(*address),
                Decoy::Me => Some(own),
                // Drawn when the scan began.
                Decoy::Address(_) | Decoy::Random => None,
            })
            .collect()
    }
}

#[expect(clippy::disallowed_methods, reason = "the same moment by both clocks")]
fn both_clocks() -> (Instant, SystemTime) {
    (Instant::now(), SystemTime::now())
}

/// The protocol number with which the system takes whole packets, header and all (raw(7)).
const fn nsock_raw_protocol() -> u8 {
    255
}

impl Scan {
    /// Asks the kernel for the packets it had no room for.
    pub fn count_drops(&mut self, io: &mut Io<Self>) {
        if let Some(raw) = &mut self.raw
            && let Ok(stats) = io.iod_pcap_stats(raw.capture)
        {
            raw.counts.dropped = stats.dropped;
        }
    }

    /// Gives back the sockets.
    pub(super) fn close_raw(&self, io: &mut Io<Self>) {
        let Some(raw) = &self.raw else { return };
        for iod in [raw.capture, raw.outboxes.frames.iod, raw.outboxes.v4.iod, raw.outboxes.v6.iod] {
            io.iod_delete(iod);
        }
    }
}

impl fmt::Debug for Raw {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Raw").field("targets", &self.targets.len()).finish_non_exhaustive()
    }
}
