//! What a plan is told before it starts.

use std::net::IpAddr;
use std::time::Duration;

use super::host::HALF_OPEN_PER_HOST_MAX;
use crate::pacer::Rate;
use crate::template::{Template, Timing};
use crate::verdict::{PortState, Reason, ResetEvidence};

/// Probes of one host whose answers may wait in a queue before more in flight is no use. On a fast link the queue is
/// the driver's own, and every socket in it is memory that falls out of the processor's cache.
const CONNECTS_QUEUED_MAX: u32 = 64;

/// What the driver of a plan can do.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Driver {
    /// Whether the answer to a port probe may still come after the time-out. A packet driver hears it and leaves
    /// deadlines to the plan; a driver that closes a descriptor does not, and reports each time-out itself. Of
    /// discovery probes the [`Method`] decides that, so that a connect scan can find its hosts by packets.
    pub late_replies: bool,
    /// Most probes in flight: descriptors, ephemeral ports, or the capacity of a ring.
    pub in_flight_max: usize,
    /// From how many probes of one host on that wait in a queue, of the network or of the driver, its window stops
    /// growing. `None` if the driver takes its answers in batches, so that its delays tell nothing about queues.
    pub queued_max: Option<u32>,
}

impl Driver {
    /// A driver that spends a descriptor per probe, closes it at the probe's time-out and then calls
    /// [`Plan::handle_timeout`](super::Plan::handle_timeout).
    #[must_use]
    pub const fn connect(in_flight_max: usize) -> Self {
        Self { late_replies: false, in_flight_max, queued_max: Some(CONNECTS_QUEUED_MAX) }
    }

    /// Unanswered probes that may go to all hosts at once before their rate counts. Packets are sent and heard in batches,
    /// so more of them are on their way at a time.
    pub(super) const fn silence_burst(self) -> u32 {
        if self.late_replies { 8000 } else { 1000 }
    }

    /// A driver that sends packets and hears every answer; the plan counts time-outs by itself.
    #[must_use]
    pub const fn raw(in_flight_max: usize) -> Self {
        Self { late_replies: true, in_flight_max, queued_max: None }
    }
}

/// A way to ask whether a host is there (spec 3.2).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Method {
    /// A TCP connect to this port.
    Connect(u16),
    /// A SYN to this port.
    Syn(u16),
    /// An ACK to this port.
    Ack(u16),
    /// A UDP datagram to this port.
    Udp(u16),
    /// ICMP echo.
    Echo,
    /// ICMP timestamp.
    Timestamp,
    /// ICMP address mask.
    AddressMask,
    /// ARP or neighbor solicitation on the local link.
    Neighbor,
}

impl Method {
    /// Whether hosts of this family can be asked by it.
    #[must_use]
    pub const fn is_for(self, address: IpAddr) -> bool {
        address.is_ipv4() || !matches!(self, Self::Timestamp | Self::AddressMask)
    }

    /// Whether the probe is a packet, whose answer is heard however late it comes; a connect spends a descriptor.
    #[must_use]
    pub const fn is_packet(self) -> bool {
        !matches!(self, Self::Connect(_))
    }
}

/// How a host enters the plan.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum HostStart {
    /// It is asked first, by every method of the settings.
    Discover,
    /// It is on the local link, and asked by [`Method::Neighbor`] alone, whatever the settings say.
    Neighbor,
    /// As [`Neighbor`](Self::Neighbor), but a host that does not answer counts as up all the same, for this reason:
    /// `-Pn`, where only its hardware address is wanted.
    NeighborOrUp(Reason),
    /// It counts as up for this reason: `user-set` for `-Pn`, `localhost-response` for an address of our own.
    Up(Reason),
}

/// What is done about a host that limits the rate of its answers.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub enum AnswerLimits {
    /// It is paced to what it answers, so that every state is right.
    #[default]
    Respected,
    /// It is not waited for (`--defeat-rst-ratelimit`): resets that do not come leave ports filtered.
    Defied,
}

/// How a host is asked whether it is there.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Asked {
    /// By the methods of the settings.
    Methods,
    /// As a neighbor on the local link.
    Neighbor,
}

/// The order of the ports of a host.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub enum PortOrder {
    /// A permutation that follows from the seed, another for each host.
    #[default]
    Seeded,
    /// By number (`-r`).
    Ascending,
}

/// What to scan and how.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct Settings {
    /// The numbers of the timing template, with what options changed in them.
    pub timing: Timing,
    /// The ports of every host; the plan drops repetitions. None: discovery only.
    pub ports: Vec<u16>,
    /// Their order.
    pub port_order: PortOrder,
    /// The discovery methods, all tried at once. Without any, a host that is to be discovered is down.
    pub methods: Vec<Method>,
    /// Whether a reset proves a host up.
    pub resets: ResetEvidence,
    /// The state of a port that stays silent.
    pub silence: PortState,
    /// Every order and draw follows from it.
    pub seed: u64,
    /// Never more probes per second than this, over all hosts.
    pub max_rate: Option<Rate>,
    /// Never fewer, while there is something to send; goes before every window and delay.
    pub min_rate: Option<Rate>,
    /// Smallest window of a host.
    pub min_parallelism: Option<u32>,
    /// Most probes in flight, over all hosts.
    pub max_parallelism: Option<u32>,
    /// Most half-open probes to one host, whatever its window.
    pub half_open_max: u32,
    /// The longest delay the plan may impose on a host by itself, if the user gave one. The template's cap does not
    /// bind it: with a host that answers 40 times a second, sending 100 probes a second gives wrong states.
    pub scan_delay_max: Option<Duration>,
    /// What is done about hosts that limit their answers.
    pub answer_limits: AnswerLimits,
    /// Most hosts asked, and most hosts scanned, at a time. By default many are asked, and how many are scanned
    /// follows from the number of ports.
    pub hosts_max: Option<u32>,
    /// At least so many at a time, if there are; goes before the number that follows from the ports.
    pub hosts_min: Option<u32>,
}

impl Settings {
    /// Settings of a connect scan by `template`, with connects to 80 and 443 as discovery.
    #[must_use]
    pub fn new(template: Template, ports: Vec<u16>) -> Self {
        Self {
            timing: template.timing(),
            ports,
            port_order: PortOrder::Seeded,
            methods: vec![Method::Connect(80), Method::Connect(443)],
            resets: ResetEvidence::ProvesUp,
            silence: PortState::Filtered,
            seed: 0,
            max_rate: None,
            min_rate: None,
            min_parallelism: None,
            max_parallelism: None,
            half_open_max: HALF_OPEN_PER_HOST_MAX,
            scan_delay_max: None,
            answer_limits: AnswerLimits::Respected,
            hosts_max: None,
            hosts_min: None,
        }
    }

    /// Settings for one of several plans that share the hosts of a scan: together they keep to what one may do.
    ///
    /// ```
    /// use scanner::plan::{HALF_OPEN_PER_HOST_MAX, Settings};
    /// use scanner::template::Template;
    /// let whole = Settings::new(Template::Normal, vec![22]);
    /// let half = whole.clone().shared_by(2);
    /// assert_eq!(half.half_open_max, HALF_OPEN_PER_HOST_MAX / 2);
    /// assert_eq!(half.timing.silence_per_group.interval(), 2 * whole.timing.silence_per_group.interval());
    /// ```
    #[must_use]
    pub fn shared_by(mut self, plans: u32) -> Self {
        let plans = plans.max(1);
        self.half_open_max = (self.half_open_max / plans).max(1);
        let interval = self.timing.silence_per_group.interval();
        self.timing.silence_per_group = Rate::every(interval * plans);
        self
    }

    /// The discovery method at an index, for a host asked in this way.
    pub(super) fn method(&self, asked: Asked, index: u32) -> Option<Method> {
        match asked {
            Asked::Methods => self.methods.get(index as usize).copied(),
            Asked::Neighbor => (index == 0).then_some(Method::Neighbor),
        }
    }

    /// How many methods a host is asked by.
    pub(super) fn method_count(&self, asked: Asked) -> u32 {
        match asked {
            Asked::Methods => u32::try_from(self.methods.len()).unwrap_or(u32::MAX),
            Asked::Neighbor => 1,
        }
    }

    /// The port at an index of the sorted list. In a run without gaps it is computed: the order is random, and a look
    /// into the list of all ports would miss the processor's cache twice a probe.
    pub(super) fn port_at(&self, index: usize) -> Option<u16> {
        let (first, last) = (*self.ports.first()?, *self.ports.last()?);
        if self.ports.len() == usize::from(last.checked_sub(first)?) + 1 {
            return first.checked_add(u16::try_from(index).ok()?).filter(|&port| port <= last);
        }
        self.ports.get(index).copied()
    }

    /// Most hosts whose ports are scanned at a time.
    pub(super) fn scanned_max(&self) -> u32 {
        let ports = u32::try_from(self.ports.len()).unwrap_or(u32::MAX).max(1);
        let by_ports = (SCANNED_PORTS / ports).clamp(SCANNED_MIN, ASKED_MAX);
        let by_ports = by_ports.min(AT_A_TIME_MIN.max(AT_A_TIME_PORTS / ports));
        by_ports.max(self.hosts_min.unwrap_or(1)).min(self.hosts_max.unwrap_or(u32::MAX)).max(1)
    }

    /// Most hosts asked whether they are there at a time.
    pub(super) fn asked_max(&self) -> u32 {
        ASKED_MAX.max(self.hosts_min.unwrap_or(1)).min(self.hosts_max.unwrap_or(u32::MAX)).max(1)
    }
}

/// Hosts times ports scanned at a time: bounds the memory of the port tables (a few bits per port, 16 if answers other
/// than the port's own are to be kept).
const SCANNED_PORTS: u32 = 1 << 18;
/// With so many hosts, or hosts times ports, at a time the rates are reached at any usual round-trip time. More would be
/// slower: what is known of them would not fit the processor's cache.
const AT_A_TIME_MIN: u32 = 1024;
/// See [`AT_A_TIME_MIN`].
const AT_A_TIME_PORTS: u32 = 1 << 14;
/// Fewer hosts would let a slow one stop a scan.
const SCANNED_MIN: u32 = 16;
/// More hosts would not make a sweep faster, as rates bound it. Each costs about a kilobyte.
const ASKED_MAX: u32 = 4096;
