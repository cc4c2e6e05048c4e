//! Trouble of the local system: how many probes it bears, when to ask again, when to give up.

use std::collections::{BTreeMap, HashMap, VecDeque};
use std::time::{Duration, Instant};

use super::event::ProbeId;
use crate::verdict::{Errno, TroubleClass};

/// Times one probe may be refused (`EPERM` and the like). With the delays below that is about 1.5 s.
const REFUSALS_MAX: u8 = 6;
/// Delay after the first refusal; doubled each time.
const REFUSAL_DELAY: Duration = Duration::from_millis(50);
/// How long nothing at all may be sendable for want of a resource, before probes are given up.
const PATIENCE: Duration = Duration::from_secs(5);
/// Pause after a want of resources; doubled while nothing is in flight that could free some.
const PAUSE_MIN: Duration = Duration::from_millis(1);
/// Longest such pause.
const PAUSE_MAX: Duration = Duration::from_millis(500);
/// After so long without a shortage the budget doubles: completed probes alone, a second each where ports are silent,
/// would take a minute to win back what somebody else only borrowed.
const RECOVERY: Duration = Duration::from_millis(500);

/// What is to become of a probe the local system refused.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Remedy {
    /// It is sent again as soon as the budget allows.
    Soon,
    /// It is sent again at this time.
    At(Instant),
    /// It is given up.
    GiveUp,
}

/// The state of it.
#[derive(Clone, Debug)]
pub(super) struct LocalTroubles {
    budget_max: usize,
    budget: usize,
    // Completed probes since the budget last grew.
    progress: usize,
    // When the budget last shrank or doubled.
    grown: Option<Instant>,
    pause: Duration,
    paused_until: Option<Instant>,
    stuck_since: Option<Instant>,
    refusals: HashMap<ProbeId, u8>,
    counts: BTreeMap<Errno, u64>,
    retries: VecDeque<ProbeId>,
}

impl LocalTroubles {
    /// Starts with the whole budget.
    pub(super) fn new(budget_max: usize) -> Self {
        Self {
            budget_max,
            budget: budget_max,
            progress: 0,
            grown: None,
            pause: PAUSE_MIN,
            paused_until: None,
            stuck_since: None,
            refusals: HashMap::new(),
            counts: BTreeMap::new(),
            retries: VecDeque::new(),
        }
    }

    /// Until when no further probe fits beside those in flight: `Some(None)` is until one of them is completed.
    pub(super) fn wait_for_room(&mut self, now: Instant, in_flight: usize) -> Option<Option<Instant>> {
        if in_flight < self.budget {
            return None;
        }
        if self.budget >= self.budget_max {
            return Some(None);
        }
        let grows = self.grown.map_or(now, |grown| grown + RECOVERY);
        if grows > now {
            return Some(Some(grows));
        }
        self.grown = Some(now);
        self.budget = (2 * self.budget).min(self.budget_max);
        if in_flight < self.budget { None } else { Some(Some(now + RECOVERY)) }
    }

    /// How often each errno was met.
    pub(super) const fn counts(&self) -> &BTreeMap<Errno, u64> {
        &self.counts
    }

    /// Until when nothing may be sent.
    pub(super) fn pause(&self, now: Instant) -> Option<Instant> {
        self.paused_until.filter(|&until| until > now)
    }

    /// A probe went out and came to its end: the budget may grow again, by one per budget.
    pub(super) fn handle_completed(&mut self, id: ProbeId) {
        self.stuck_since = None;
        self.pause = PAUSE_MIN;
        if !self.refusals.is_empty() {
            self.refusals.remove(&id);
        }
        if self.budget < self.budget_max {
            self.progress += 1;
            if self.progress >= self.budget {
                self.progress = 0;
                self.budget += 1;
            }
        }
    }

    /// A probe was refused while `in_flight` others were under way.
    pub(super) fn handle_trouble(
        &mut self,
        now: Instant,
        id: ProbeId,
        errno: Errno,
        in_flight: usize,
    ) -> Remedy {
        *self.counts.entry(errno).or_insert(0) += 1;
        match errno.trouble_class() {
            TroubleClass::Resource => self.handle_shortage(now, id, in_flight),
            TroubleClass::Refusal => self.handle_refusal(now, id),
        }
    }

    /// Half as many probes as there are now are to be in flight, until time or progress allow more.
    pub(super) fn halve(&mut self, now: Instant, in_flight: usize) {
        self.budget = (in_flight.min(self.budget) / 2).max(1);
        self.grown = Some(now);
        self.progress = 0;
    }

    fn handle_shortage(&mut self, now: Instant, id: ProbeId, in_flight: usize) -> Remedy {
        self.budget = in_flight.clamp(1, self.budget_max);
        self.grown = Some(now);
        self.progress = 0;
        if in_flight > 0 {
            self.paused_until = Some(now + PAUSE_MIN);
        } else {
            let since = *self.stuck_since.get_or_insert(now);
            if now.saturating_duration_since(since) >= PATIENCE {
                self.refusals.remove(&id);
                return Remedy::GiveUp;
            }
            self.paused_until = Some(now + self.pause);
            self.pause = (2 * self.pause).min(PAUSE_MAX);
        }
        self.retries.push_back(id);
        Remedy::Soon
    }

    fn handle_refusal(&mut self, now: Instant, id: ProbeId) -> Remedy {
        let refusals = self.refusals.entry(id).or_insert(0);
        *refusals += 1;
        if *refusals >= REFUSALS_MAX {
            self.refusals.remove(&id);
            return Remedy::GiveUp;
        }
        Remedy::At(now + REFUSAL_DELAY * (1 << (*refusals - 1)))
    }

    /// The delay of [`Remedy::At`] is over.
    pub(super) fn retry(&mut self, id: ProbeId) {
        self.retries.push_back(id);
    }

    /// The next probe to be sent again.
    pub(super) fn next_retry(&mut self) -> Option<ProbeId> {
        self.retries.pop_front()
    }

    /// A probe is no longer wanted.
    pub(super) fn forget(&mut self, id: ProbeId) {
        self.refusals.remove(&id);
    }
}
