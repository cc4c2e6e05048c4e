//! One host: its phase, its gates, what is in flight to it.

use std::collections::VecDeque;
use std::net::IpAddr;
use std::time::{Duration, Instant};

use super::discovery::{Discovery, Step};
use super::event::{Ending, HostId, HostStatus, HostSummary, ProbeId, Target};
use super::flight::{Flight, Flights};
use super::limiter::{Limiter, Worth};
use super::ports::{Pick, PortTable};
use super::settings::{Asked, Settings};
use crate::pacer::SilenceCredit;
use crate::ports::PortSet;
use crate::rtt::Rtt;
use crate::template::Parallelism;
use crate::verdict::{Reason, Verdict};
use crate::window::{Loss, Window};

/// The documented number: never more half-open probes to one host, whatever the window and the descriptors allow.
pub const HALF_OPEN_PER_HOST_MAX: u32 = 1024;

/// Probes kept in the order sent before those are let go that nobody waits for any more.
const YOUNG_KEPT_MAX: usize = 4 * HALF_OPEN_PER_HOST_MAX as usize;

/// Up to this share of lost tries the window does not shrink: busy links lose as much at any rate.
const LOSS_TOLERATED: f64 = 0.15;
/// After it shrank, that much more must be lost before it shrinks again: if the smaller window did not help, the path
/// loses that share at any rate, and an ever smaller one would only cost time.
const LOSS_STEP: f64 = 0.1;

/// Where a host stands.
#[derive(Clone, Debug)]
pub(super) enum Phase {
    /// It is asked whether it is there.
    Discovery(Discovery),
    /// It is up and waits until fewer hosts are scanned.
    Waiting,
    /// Its ports are scanned.
    Ports,
    /// It is finished and waits for its turn to be reported.
    Finished(Ending),
}

/// What a host wants.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Offer {
    /// Send this.
    Probe(Target, u8),
    /// There is something to send, but not before an outcome or this time.
    Held(Option<Instant>),
    /// There is nothing to send before an outcome or this time.
    Idle(Option<Instant>),
    /// Discovery ended without a sign of life.
    Absent(HostStatus, Verdict),
    /// Nothing is left to do.
    Over,
}

/// Whether the gates of a host count.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Gates {
    /// They do.
    Observed,
    /// The minimum rate is not reached, which goes before them.
    Overruled,
}

/// A host of the plan.
#[derive(Clone, Debug)]
pub(super) struct Host {
    pub(super) id: HostId,
    pub(super) address: IpAddr,
    pub(super) phase: Phase,
    pub(super) status: Option<HostStatus>,
    pub(super) asked: Asked,
    // It counts as up for this reason even if it does not answer.
    pub(super) presumed: Option<Reason>,
    pub(super) ports: PortTable,
    // It is only looked for.
    pub(super) portless: bool,
    // Ports known from an earlier run, until the port table is made.
    pub(super) known: Option<PortSet>,
    pub(super) rtt: Rtt,
    // It stands in the queue of hosts to be asked.
    pub(super) queued: bool,
    // It stands in the queue of hosts held by a gate.
    pub(super) held: bool,
    // When its next timer strikes.
    pub(super) wake: Option<Instant>,
    // The next position to look at when its results are reported.
    pub(super) reported: u32,
    window: Window,
    // The share of lost tries beyond which the window shrinks.
    loss_tolerated: f64,
    silence: SilenceCredit,
    limiter: Limiter,
    next_send: Option<Instant>,
    // Port probes that wait to be sent again after local trouble.
    local_pending: u32,
    in_flight: u32,
    ports_in_flight: u32,
    half_open_max: u32,
    young: u32,
    // Probes in the order sent, until they are answered or older than an answer usually is.
    young_queue: VecDeque<(Instant, ProbeId)>,
    // The last probes sent while no round-trip time was known, whose time-out is therefore too long.
    unsampled: VecDeque<(Instant, ProbeId)>,
}

impl Host {
    /// A host in a phase.
    pub(super) fn new(id: HostId, address: IpAddr, phase: Phase, settings: &Settings, now: Instant) -> Self {
        let timing = &settings.timing;
        let most = settings.max_parallelism.unwrap_or(settings.half_open_max).max(1);
        let serial = timing.parallelism == Parallelism::Serial && settings.max_parallelism.is_none();
        let half_open_max = if serial { 1 } else { most };
        let least = settings.min_parallelism.unwrap_or(timing.window.min);
        let limits = timing.window.bounded(least, timing.window.max.max(least).min(half_open_max));
        Self {
            id,
            address,
            phase,
            status: None,
            asked: Asked::Methods,
            presumed: None,
            ports: PortTable::default(),
            portless: false,
            known: None,
            rtt: Rtt::new(timing.rtt),
            queued: false,
            held: false,
            wake: None,
            reported: 0,
            window: Window::new(limits),
            loss_tolerated: LOSS_TOLERATED,
            silence: SilenceCredit::new(timing.silence_per_host, limits.initial, now),
            limiter: Limiter::new(
                now,
                timing.drop_threshold_percent,
                settings.scan_delay_max,
                settings.answer_limits,
            ),
            next_send: None,
            local_pending: 0,
            in_flight: 0,
            ports_in_flight: 0,
            half_open_max,
            young: 0,
            young_queue: VecDeque::new(),
            unsampled: VecDeque::new(),
        }
    }

    /// Begins with the ports.
    pub(super) fn start_ports(&mut self, settings: &Settings, now: Instant) {
        let timing = &settings.timing;
        self.phase = Phase::Ports;
        if self.portless {
            return;
        }
        self.ports = PortTable::new(settings, self.id.serial);
        if let Some(known) = self.known.take() {
            for (index, _) in settings.ports.iter().enumerate().filter(|(_, port)| known.contains(**port)) {
                if let Some(position) = self.ports.position(index) {
                    self.ports.leave_out(position);
                }
            }
        }
        self.limiter =
            Limiter::new(now, timing.drop_threshold_percent, settings.scan_delay_max, settings.answer_limits);
    }

    /// True while something may still be learned about the host.
    pub(super) const fn is_active(&self) -> bool {
        !matches!(self.phase, Phase::Finished(_))
    }

    /// What the host wants to send now. `rounds` and `timeout` are those of its discovery.
    pub(super) fn offer(
        &mut self,
        now: Instant,
        gates: Gates,
        flights: &mut Flights,
        (rounds, timeout): (u8, Duration),
    ) -> Offer {
        let gate = self.gate(now, flights);
        let has_work = match &self.phase {
            Phase::Discovery(discovery) => discovery.over(rounds).is_none(),
            Phase::Ports => !self.is_over(),
            Phase::Waiting | Phase::Finished(_) => false,
        };
        match gate {
            Gate::Until(at) if has_work && gates == Gates::Observed => return Offer::Held(Some(at)),
            Gate::Shut if has_work && gates == Gates::Observed => return Offer::Held(None),
            _ => {}
        }
        match &mut self.phase {
            Phase::Discovery(discovery) => match discovery.step(now, rounds, timeout) {
                Step::Probe(method, round) => Offer::Probe(Target::Method(method), round),
                Step::Wait(until) => Offer::Idle(until),
                Step::Over(status, verdict) => Offer::Absent(status, verdict),
            },
            Phase::Ports => self.offer_port(),
            Phase::Waiting | Phase::Finished(_) => Offer::Idle(None),
        }
    }

    fn offer_port(&mut self) -> Offer {
        if !self.is_over()
            && let Pick::Probe(position, try_number) = self.ports.pick()
        {
            return Offer::Probe(Target::Port(position), try_number);
        }
        if self.is_over() { Offer::Over } else { Offer::Idle(None) }
    }

    /// True if the ports need no further probe.
    pub(super) fn is_over(&self) -> bool {
        self.ports.is_over(self.ports_in_flight + self.local_pending)
    }

    /// Whether another probe may go to this host.
    fn gate(&mut self, now: Instant, flights: &mut Flights) -> Gate {
        if self.in_flight >= self.half_open_max {
            return Gate::Shut;
        }
        if let Some(at) = self.next_send.filter(|&at| at > now) {
            return Gate::Until(at);
        }
        if let Some(at) = self.limiter.wait(now) {
            return Gate::Until(at);
        }
        // Who is old matters only where it makes room.
        if self.young >= self.window.size() || self.young_queue.len() > YOUNG_KEPT_MAX {
            self.let_age(now, flights);
        }
        if self.young >= self.window.size()
            && let Some(&(sent, _)) = self.young_queue.front()
        {
            return Gate::Until(sent + self.rtt.horizon());
        }
        match self.silence.wait(now) {
            Some(at) => Gate::Until(at),
            None => Gate::Open,
        }
    }

    /// Lets answered and old probes go from the window.
    fn let_age(&mut self, now: Instant, flights: &mut Flights) {
        let horizon = self.rtt.horizon();
        while let Some(&(sent, id)) = self.young_queue.front() {
            if sent + horizon <= now {
                self.young = self.young.saturating_sub(u32::from(flights.age(id)));
            } else if flights.is_young(id) {
                break;
            }
            self.young_queue.pop_front();
        }
    }

    /// A probe goes out.
    pub(super) fn handle_sent(&mut self, now: Instant, id: ProbeId, scan_delay: Duration) {
        self.in_flight += 1;
        self.young += 1;
        self.young_queue.push_back((now, id));
        if !self.rtt.is_known() {
            if self.unsampled.len() >= HALF_OPEN_PER_HOST_MAX as usize {
                self.unsampled.pop_front();
            }
            self.unsampled.push_back((now, id));
        }
        self.silence.take(now);
        let last = matches!(id.target, Target::Port(_)) && self.ports.is_last(id.try_number);
        self.limiter.handle_sent(now, if last { Worth::LastTry } else { Worth::Try });
        if !scan_delay.is_zero() {
            self.next_send = Some(now + scan_delay);
        }
        match (&mut self.phase, id.target) {
            (_, Target::Port(_)) => self.ports_in_flight += 1,
            (Phase::Discovery(discovery), Target::Method(_)) => discovery.handle_sent(),
            _ => {}
        }
    }

    /// Takes a round-trip time into account. The first one hands out the probes whose time-out was guessed.
    pub(super) fn sample(&mut self, round_trip: Duration) -> VecDeque<(Instant, ProbeId)> {
        self.rtt.sample(round_trip);
        if self.rtt.is_known() { std::mem::take(&mut self.unsampled) } else { VecDeque::new() }
    }

    /// A probe came back in any way, or is given up waiting for.
    pub(super) fn handle_landed(&mut self, flight: Flight, target: Target) {
        if !flight.live {
            return;
        }
        self.in_flight = self.in_flight.saturating_sub(1);
        self.young = self.young.saturating_sub(u32::from(flight.young));
        match (&mut self.phase, target) {
            (_, Target::Port(_)) => self.ports_in_flight = self.ports_in_flight.saturating_sub(1),
            (Phase::Discovery(discovery), Target::Method(_)) => discovery.handle_landed(),
            _ => {}
        }
    }

    /// A probe was not sent after all, or was answered: it met no silence.
    pub(super) fn refund(&mut self) {
        self.silence.refund();
    }

    /// A probe was refused and will be sent again.
    pub(super) fn postpone(&mut self, target: Target) {
        match (&mut self.phase, target) {
            (_, Target::Port(_)) => self.local_pending += 1,
            (Phase::Discovery(discovery), Target::Method(_)) => discovery.handle_postponed(),
            _ => {}
        }
    }

    /// The time to send a postponed probe again has come. True if it is still wanted.
    pub(super) fn resume(&mut self, target: Target) -> bool {
        match (&mut self.phase, target) {
            (Phase::Discovery(discovery), Target::Method(method)) => {
                discovery.handle_resumed();
                !discovery.is_settled(method)
            }
            (phase, Target::Port(position)) => {
                self.local_pending = self.local_pending.saturating_sub(1);
                matches!(phase, Phase::Ports) && !self.ports.is_done(position)
            }
            _ => false,
        }
    }

    /// Learns about loss from an answer to a port probe. `sent` is unknown for a very late answer.
    pub(super) fn note_port_answer(
        &mut self,
        now: Instant,
        sent: Option<Instant>,
        try_number: u8,
        queued_max: Option<u32>,
    ) {
        self.ports.note_answer(try_number);
        // A window that is not used up (RFC 7661) or only fills a queue is large enough. This probe has just left it.
        let size = self.window.size();
        let is_full = self.young + 1 >= size;
        if queued_max.is_none_or(|most| is_full && self.rtt.queued_of(size) < most) {
            self.window.handle_answer();
        }
        let round_trip = self.rtt.smoothed().unwrap_or_default();
        self.limiter.handle_answer(now, try_number, round_trip);
        // A limit on answers is paced to instead.
        if try_number > 0 && self.limiter.is_free() {
            let share = self.ports.share_lost();
            let excessive = share > self.loss_tolerated;
            let loss = if excessive { Loss::Excessive } else { Loss::Tolerable };
            self.window.handle_loss(now, sent.unwrap_or(now), loss);
            if excessive {
                self.loss_tolerated = share + LOSS_STEP;
            }
        }
    }

    /// Lets the limiter look at a stretch of silence.
    pub(super) fn note_silence(&mut self, now: Instant) {
        self.limiter.judge(now, self.rtt.smoothed().unwrap_or_default());
    }

    /// Gives back what only a running scan needs.
    pub(super) fn shrink(&mut self) {
        self.ports.shrink();
        self.young_queue = VecDeque::new();
        self.unsampled = VecDeque::new();
    }

    /// How it went, once it is finished.
    pub(super) fn summary(&self, ending: Ending, ports: usize) -> HostSummary {
        let ports = if self.portless { 0 } else { u32::try_from(ports).unwrap_or(u32::MAX) };
        let unfinished = ports.saturating_sub(self.ports.told());
        HostSummary {
            ending,
            status: self.status,
            ports_unfinished: if ending == Ending::Complete { 0 } else { unfinished },
            latency: self.rtt.smoothed(),
            variation: self.rtt.variation(),
            timeout: self.rtt.timeout(),
            answers_limited: self.limiter.seen(),
        }
    }
}

/// Whether a host may be sent to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Gate {
    Open,
    Until(Instant),
    Shut,
}
