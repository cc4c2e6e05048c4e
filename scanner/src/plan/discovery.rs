//! Is the host there? All methods at once, again after a part of the time-out, then the time-out decides.
//!
//! The second round does not wait for the first to fail: both may still be answered, so a host that is down costs
//! little more than one time-out instead of two.

use std::time::{Duration, Instant};

use super::bitmap::Bitmap;
use super::event::HostStatus;
use crate::verdict::{Errno, PortState, Reason, Verdict};

/// Rounds follow each other after this share of the time-out, in tenths.
const SPACING_TENTHS: u32 = 3;
/// Probes of later rounds are waited for this share of the time-out, in twentieths, so that two rounds take 1.15 of it.
const LATER_TWENTIETHS: u32 = 17;
/// A host that a router calls unreachable is listened for at least this long: another router, or a firewall that
/// refuses but one kind of probe, may answer otherwise.
const HOPELESS_MIN: Duration = Duration::from_millis(50);
/// Most rounds, however lossy the path looks.
const ROUNDS_MAX: u8 = 6;

/// What to do for the discovery of a host.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Step {
    /// Send this method, in this round.
    Probe(u32, u8),
    /// Wait, until this time if there is one.
    Wait(Option<Instant>),
    /// It is decided: not up, for this reason.
    Over(HostStatus, Verdict),
}

/// The discovery of one host.
#[derive(Clone, Debug)]
pub(super) struct Discovery {
    methods: u32,
    next_method: u32,
    round: u8,
    next_round: Option<Instant>,
    // Methods that need no further probe.
    settled: Bitmap,
    in_flight: u32,
    local_pending: u32,
    // What a device on the way said.
    evidence: Option<Verdict>,
    // It said that of the whole host: until then other probes may still prove it wrong.
    hopeless_at: Option<Instant>,
    local: Option<Errno>,
    silent: bool,
}

impl Discovery {
    /// Starts the first round of so many methods.
    pub(super) fn new(methods: u32) -> Self {
        Self {
            methods,
            next_method: 0,
            round: 0,
            next_round: None,
            settled: Bitmap::new(methods),
            in_flight: 0,
            local_pending: 0,
            evidence: None,
            hopeless_at: None,
            local: None,
            silent: false,
        }
    }

    /// How long a probe of this round is waited for.
    pub(super) fn timeout(timeout: Duration, round: u8) -> Duration {
        if round == 0 { timeout } else { timeout * LATER_TWENTIETHS / 20 }
    }

    /// What to do now. `rounds` is how many rounds are worth it, `timeout` that of the first round.
    pub(super) fn step(&mut self, now: Instant, rounds: u8, timeout: Duration) -> Step {
        loop {
            while self.next_method < self.methods {
                let method = self.next_method;
                self.next_method += 1;
                if !self.settled.contains(method) {
                    return Step::Probe(method, self.round);
                }
            }
            if let Some(over) = self.over(rounds) {
                return over;
            }
            if let (Some(at), Some(verdict)) = (self.hopeless_at, self.evidence) {
                return if now < at { Step::Wait(Some(at)) } else { Step::Over(HostStatus::Down, verdict) };
            }
            if self.settled.count() == self.methods || self.round + 1 >= rounds.min(ROUNDS_MAX) {
                return Step::Wait(None);
            }
            let next_round = *self.next_round.get_or_insert(now + timeout * SPACING_TENTHS / 10);
            if next_round > now {
                return Step::Wait(Some(next_round));
            }
            self.next_round = None;
            self.round += 1;
            self.next_method = 0;
        }
    }

    /// The decision, if nothing is left to wait for.
    pub(super) fn over(&self, rounds: u8) -> Option<Step> {
        if self.local_pending > 0 || self.next_method < self.methods {
            return None;
        }
        let exhausted = self.in_flight == 0 && self.round + 1 >= rounds.min(ROUNDS_MAX);
        if self.settled.count() < self.methods && !exhausted {
            return None;
        }
        let silence = Verdict::new(PortState::Filtered, Reason::NoResponse);
        Some(match (self.evidence, self.local) {
            (Some(verdict), _) => Step::Over(HostStatus::Down, verdict),
            (None, Some(errno)) if !self.silent => {
                Step::Over(HostStatus::Unknown, Verdict::new(PortState::Unknown, Reason::Local(errno)))
            }
            _ => Step::Over(HostStatus::Down, silence),
        })
    }

    /// A method is not used.
    pub(super) fn leave_out(&mut self, method: u32) {
        self.settled.insert(method);
    }

    /// A probe went out.
    pub(super) const fn handle_sent(&mut self) {
        self.in_flight += 1;
    }

    /// A probe was answered, but not by a host that is up.
    pub(super) fn handle_evidence(&mut self, method: u32, verdict: Verdict) {
        self.evidence.get_or_insert(verdict);
        self.settled.insert(method);
    }

    /// A device on the way said that the host as a whole cannot be reached: no further round, and what is in flight is
    /// waited for as long as answers take, `round_trip`, but no longer.
    pub(super) fn handle_unreachable(&mut self, now: Instant, round_trip: Duration) {
        self.hopeless_at.get_or_insert_with(|| now + (2 * round_trip).max(HOPELESS_MIN));
    }

    /// A probe was answered in a way that is not to be believed: as good as silence, but not worth another probe.
    pub(super) fn handle_disbelieved(&mut self, method: u32) {
        self.silent = true;
        self.settled.insert(method);
    }

    /// A probe came to its end, whatever that was.
    pub(super) const fn handle_landed(&mut self) {
        self.in_flight = self.in_flight.saturating_sub(1);
    }

    /// A probe stayed without an answer.
    pub(super) const fn handle_silence(&mut self) {
        self.silent = true;
    }

    /// A probe was refused by the local system and will be sent again.
    pub(super) const fn handle_postponed(&mut self) {
        self.local_pending += 1;
    }

    /// A postponed probe is sent again, or given up.
    pub(super) const fn handle_resumed(&mut self) {
        self.local_pending = self.local_pending.saturating_sub(1);
    }

    /// A probe was given up because of local trouble.
    pub(super) fn handle_unsendable(&mut self, method: u32, errno: Errno) {
        self.local = Some(errno);
        self.settled.insert(method);
    }

    /// True if the method needs no further probe.
    pub(super) fn is_settled(&self, method: u32) -> bool {
        self.settled.contains(method)
    }
}
