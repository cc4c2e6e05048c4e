//! The simulated machines: what becomes of a probe.

use std::collections::{BTreeMap, HashMap};
use std::net::IpAddr;
use std::ops::RangeInclusive;
use std::time::Duration;

use crate::plan::{Driver, Method, ProbeKind};
use crate::verdict::{
    ConnectOutcome, Errno, IcmpError, PortState, Reason, Verdict, judge_connect, judge_icmp,
};

/// How a port takes a probe.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Behavior {
    /// Accepts.
    Open,
    /// Answers with a reset.
    Closed,
    /// Drops the probe.
    Silent,
    /// Answers with an ICMP error.
    Reject(IcmpError),
    /// Accepts, after this additional time.
    Tarpit(Duration),
}

/// A limit on resets and ICMP errors: a token bucket.
#[derive(Clone, Copy, Debug, PartialEq)]
#[non_exhaustive]
pub struct AnswerLimit {
    /// Answers per second.
    pub per_second: f64,
    /// Answers that may come at once.
    pub burst: f64,
    tokens: f64,
    filled: Duration,
}

impl AnswerLimit {
    /// A full bucket.
    #[must_use]
    pub const fn new(per_second: f64, burst: f64) -> Self {
        Self { per_second, burst, tokens: burst, filled: Duration::ZERO }
    }

    fn allows(&mut self, elapsed: Duration) -> bool {
        let new = elapsed.saturating_sub(self.filled).as_secs_f64() * self.per_second;
        self.tokens = (self.tokens + new).min(self.burst);
        self.filled = self.filled.max(elapsed);
        let allowed = self.tokens >= 1.0;
        if allowed {
            self.tokens -= 1.0;
        }
        allowed
    }
}

/// A host of the network.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct SimulatedHost {
    /// Least round-trip time.
    pub delay: Duration,
    /// Most additional round-trip time, drawn evenly per answer.
    pub jitter: Duration,
    /// Share of probes lost on the way there.
    pub loss_out: f64,
    /// Share of answers lost on the way back.
    pub loss_back: f64,
    /// What every port does that is not listed.
    pub rest: Behavior,
    /// What single ports do.
    pub ports: BTreeMap<u16, Behavior>,
    /// Limit on resets and ICMP errors.
    pub limit: Option<AnswerLimit>,
}

impl SimulatedHost {
    /// A host on the local network without loss.
    #[must_use]
    pub const fn new(rest: Behavior) -> Self {
        Self {
            delay: Duration::from_micros(100),
            jitter: Duration::from_micros(50),
            loss_out: 0.0,
            loss_back: 0.0,
            rest,
            ports: BTreeMap::new(),
            limit: None,
        }
    }

    /// Sets what one port does.
    #[must_use]
    pub fn with_port(mut self, port: u16, behavior: Behavior) -> Self {
        self.ports.insert(port, behavior);
        self
    }

    /// Sets the round-trip time.
    #[must_use]
    pub const fn with_delay(mut self, delay: Duration, jitter: Duration) -> Self {
        self.delay = delay;
        self.jitter = jitter;
        self
    }

    /// Sets the shares lost on the way there and back.
    #[must_use]
    pub const fn with_loss(mut self, out: f64, back: f64) -> Self {
        self.loss_out = out;
        self.loss_back = back;
        self
    }

    /// Limits resets and ICMP errors.
    #[must_use]
    pub const fn with_limit(mut self, limit: AnswerLimit) -> Self {
        self.limit = Some(limit);
        self
    }

    fn behavior(&self, port: u16) -> Behavior {
        self.ports.get(&port).copied().unwrap_or(self.rest)
    }
}

/// The local system refuses probes.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct Refusal {
    /// With this errno.
    pub errno: Errno,
    /// Probes to these ports.
    pub ports: RangeInclusive<u16>,
    /// Until this time after the start.
    pub until: Duration,
}

impl Refusal {
    /// Refuses probes to `ports` with `errno` until `until` has passed.
    #[must_use]
    pub const fn new(errno: Errno, ports: RangeInclusive<u16>, until: Duration) -> Self {
        Self { errno, ports, until }
    }
}

/// What the local system bears.
#[derive(Clone, Debug, Default)]
#[non_exhaustive]
pub struct LocalLimits {
    /// Open descriptors; one more is `EMFILE`.
    pub descriptors: Option<usize>,
    /// Ephemeral ports; one more is `EADDRNOTAVAIL`.
    pub ephemeral_ports: Option<usize>,
    /// Probes refused outright.
    pub refusal: Option<Refusal>,
}

/// Everything a plan can meet.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct Network {
    /// What the local system bears.
    pub local: LocalLimits,
    /// Whether the simulated driver hears answers after the time-out; must be what the plan was told.
    pub late_replies: bool,
    /// Time one send takes.
    pub send_cost: Duration,
    hosts: HashMap<IpAddr, SimulatedHost>,
    random: fastrand::Rng,
}

/// What becomes of a probe.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) enum Fate {
    /// The local system does not send it.
    Refused(Errno),
    /// It is answered after this time.
    Answered(Duration, Verdict),
    /// No answer comes.
    Lost,
}

impl Network {
    /// A network without hosts: every address is silent.
    #[must_use]
    pub fn new(seed: u64) -> Self {
        Self {
            local: LocalLimits::default(),
            late_replies: false,
            send_cost: Duration::from_micros(10),
            hosts: HashMap::new(),
            random: fastrand::Rng::with_seed(seed),
        }
    }

    /// The same network seen through another driver.
    #[must_use]
    pub const fn seen_by(mut self, driver: Driver) -> Self {
        self.late_replies = driver.late_replies;
        self
    }

    /// Puts a host at an address.
    pub fn add(&mut self, address: IpAddr, host: SimulatedHost) {
        self.hosts.insert(address, host);
    }

    /// Decides what becomes of a probe sent now, while `open` descriptors are in use.
    pub(super) fn send(&mut self, elapsed: Duration, address: IpAddr, kind: ProbeKind, open: usize) -> Fate {
        let port = match kind {
            ProbeKind::Port(port) => Some(port),
            ProbeKind::Discovery(Method::Connect(port) | Method::Syn(port) | Method::Ack(port)) => Some(port),
            ProbeKind::Discovery(_) => None,
        };
        if self.local.descriptors.is_some_and(|most| open >= most) {
            return Fate::Refused(Errno::EMFILE);
        }
        if self.local.ephemeral_ports.is_some_and(|most| open >= most) {
            return Fate::Refused(Errno::EADDRNOTAVAIL);
        }
        if let Some(refusal) = &self.local.refusal
            && elapsed < refusal.until
            && port.is_none_or(|port| refusal.ports.contains(&port))
        {
            return Fate::Refused(refusal.errno);
        }
        self.deliver(elapsed, address, port)
    }

    fn deliver(&mut self, elapsed: Duration, address: IpAddr, port: Option<u16>) -> Fate {
        let Some(host) = self.hosts.get_mut(&address) else { return Fate::Lost };
        let behavior = port.map_or(host.rest, |port| host.behavior(port));
        if self.random.f64() < host.loss_out {
            return Fate::Lost;
        }
        let limited = matches!(behavior, Behavior::Closed | Behavior::Reject(_));
        if limited && host.limit.as_mut().is_some_and(|limit| !limit.allows(elapsed)) {
            return Fate::Lost;
        }
        if self.random.f64() < host.loss_back {
            return Fate::Lost;
        }
        let extra = match behavior {
            Behavior::Tarpit(extra) => extra,
            _ => Duration::ZERO,
        };
        let delay = host.delay + host.jitter.mul_f64(self.random.f64()) + extra;
        match self.verdict(behavior, port) {
            Some(verdict) => Fate::Answered(delay, verdict),
            None => Fate::Lost,
        }
    }

    /// What the driver makes of the answer, by the tables the real ones use.
    fn verdict(&self, behavior: Behavior, port: Option<u16>) -> Option<Verdict> {
        let connect = |errno, icmp| match judge_connect(errno, icmp) {
            ConnectOutcome::Answer(verdict) => Some(verdict),
            _ => None,
        };
        match behavior {
            Behavior::Silent => None,
            // A device on the way rejects pings too.
            Behavior::Reject(icmp) if self.late_replies => judge_icmp(icmp),
            _ if port.is_none() => Some(Verdict::new(PortState::Open, Reason::EchoReply)),
            Behavior::Open | Behavior::Tarpit(_) => connect(None, None),
            Behavior::Closed if self.late_replies => Some(Verdict::new(PortState::Closed, Reason::Reset)),
            Behavior::Closed => connect(Some(Errno::ECONNREFUSED), None),
            Behavior::Reject(icmp) => connect(Some(Errno::EHOSTUNREACH), Some(icmp)),
        }
    }
}
