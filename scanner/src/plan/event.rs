//! What goes in and out of a plan: ids, probes, events, statistics.

use std::fmt;
use std::net::IpAddr;
use std::time::{Duration, Instant};

use super::settings::Method;
use crate::pacer::Rate;
use crate::verdict::{Errno, Verdict};

/// A host of a plan. Never reused; a stale one is harmless.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct HostId {
    pub(super) serial: u32,
    pub(super) slot: u32,
}

impl HostId {
    /// Its place in the plan's table of hosts, which is used again when it has left.
    #[must_use]
    pub const fn slot(self) -> usize {
        self.slot as usize
    }

    /// The host's number in the order in which hosts were added, from 0.
    #[must_use]
    pub const fn index(self) -> u32 {
        self.serial
    }
}

impl fmt::Display for HostId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.serial.fmt(f)
    }
}

/// One try of one probe. Never reused but for a probe that was not sent (local trouble).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct ProbeId {
    pub(super) host: HostId,
    pub(super) target: Target,
    pub(super) try_number: u8,
}

impl ProbeId {
    /// The host the probe went to.
    #[must_use]
    pub const fn host(self) -> HostId {
        self.host
    }

    /// True if the probe asks whether the host is there, and not for a port.
    #[must_use]
    pub const fn is_discovery(self) -> bool {
        matches!(self.target, Target::Method(_))
    }
}

/// What a probe is about, by position in the plan's tables.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub(super) enum Target {
    /// Position in the list of discovery methods.
    Method(u32),
    /// Position in the host's port order.
    Port(u32),
}

/// A probe to send now.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Probe {
    /// The name under which its outcome is handed back.
    pub id: ProbeId,
    /// The host it goes to.
    pub host: HostId,
    /// The host's address.
    pub address: IpAddr,
    /// What to send.
    pub kind: ProbeKind,
    /// 0 for the first try.
    pub try_number: u8,
    /// How long to wait for the answer.
    pub timeout: Duration,
}

/// What a probe is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum ProbeKind {
    /// The host is asked whether it is there.
    Discovery(Method),
    /// A port is asked for its state.
    Port(u16),
}

/// What the driver is to do next.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Next {
    /// Send this, then ask again.
    Probe(Probe),
    /// Close this probe's descriptor and report nothing about it: an answer would have come by now. Only for a driver
    /// without late replies, and only for probes sent before the host's round-trip time was known.
    Abandon(ProbeId),
    /// Nothing may be sent before this time, or, without one, before an outcome or a new host is handed in. A driver
    /// adds the hosts the plan wants by then before it waits.
    Wait(Option<Instant>),
    /// Every host is finished. Events may be left to poll.
    Finished,
}

/// Something became known. Statuses and answers come as they arrive; a host's remaining ports and its
/// [`HostFinished`](Self::HostFinished) come when it and every host given before it are finished.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum PlanEvent {
    /// Discovery of a host ended.
    HostStatus {
        /// The host.
        host: HostId,
        /// Its address.
        address: IpAddr,
        /// The result.
        status: HostStatus,
        /// What proves it; the state in it is that of the discovery probe.
        verdict: Verdict,
        /// Round-trip time, if one was measured.
        latency: Option<Duration>,
    },
    /// The one result of a port.
    Port {
        /// The host.
        host: HostId,
        /// The port number.
        port: u16,
        /// State and reason.
        verdict: Verdict,
        /// Probes sent for it up to the one that brought the answer, or all of them if none did.
        tries: u8,
        /// How long the answer took, if it settled the port by itself and its probe is known.
        round_trip: Option<Duration>,
    },
    /// The host is finished; nothing more comes about it.
    HostFinished {
        /// The host.
        host: HostId,
        /// Its address.
        address: IpAddr,
        /// How it went.
        summary: HostSummary,
    },
    /// Local trouble of a kind not seen before; [`Statistics`] and
    /// [`Plan::local_troubles`](super::Plan::local_troubles) count the rest.
    LocalTrouble {
        /// The errno.
        errno: Errno,
    },
}

/// What discovery found.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum HostStatus {
    /// The host answered, or was declared up.
    Up,
    /// It did not answer, or a router said it cannot be reached.
    Down,
    /// No discovery probe could be sent.
    Unknown,
}

/// Why a host is finished.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Ending {
    /// There was nothing left to learn.
    Complete,
    /// The host time-out struck; the ports known by then were reported.
    TimedOut,
    /// The plan was stopped; the ports known by then were reported.
    Interrupted,
}

/// How the scan of one host went.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct HostSummary {
    /// Why it ended.
    pub ending: Ending,
    /// The status, unless the host ended during discovery.
    pub status: Option<HostStatus>,
    /// Ports for which no result was reported, because the host did not end completely.
    pub ports_unfinished: u32,
    /// Smoothed round-trip time.
    pub latency: Option<Duration>,
    /// Its variation.
    pub variation: Option<Duration>,
    /// The time-out it led to.
    pub timeout: Duration,
    /// The host limits the rate of its answers to about this.
    pub answers_limited: Option<Rate>,
}

/// The hosts that are not finished.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
#[non_exhaustive]
pub struct UnderWay {
    /// Hosts that are asked whether they are there.
    pub asked: u32,
    /// Hosts that are up and wait for their turn.
    pub waiting: u32,
    /// Hosts whose ports are scanned.
    pub scanned: u32,
    /// The sum over these of the share of their work that is done.
    pub shares: f64,
    /// One of all these hosts.
    pub one: Option<IpAddr>,
}

/// Counts of a whole plan.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct Statistics {
    /// Probes handed out and not refused by the local system.
    pub sent: u64,
    /// Those of them with a try number above 0.
    pub retransmitted: u64,
    /// Answers to probes.
    pub replies: u64,
    /// Answers that told nothing new: duplicates, and answers about finished hosts.
    pub duplicates: u64,
    /// Probes whose time-out passed.
    pub timeouts: u64,
    /// Times the local system refused a probe.
    pub local_troubles: u64,
    /// Ports and hosts left unknown because of it.
    pub unknown: u64,
    /// Hosts found up.
    pub hosts_up: u64,
    /// Hosts found down.
    pub hosts_down: u64,
    /// Hosts finished.
    pub hosts_finished: u64,
}
