//! The contract as a state machine over the steps of a trace.

mod turns;

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::time::Duration;

use super::step::{Outcome, Step, What};
use super::{Contract, TraceEnd, Violation};
use turns::Phase;

/// Violations kept: what follows the first ones is mostly their echo.
const VIOLATIONS_MAX: usize = 64;

const READ: u64 = 2;
const TIMER: u64 = 4;

/// A scope's index and a number in it: an event or an IOD.
type Key = (usize, u64);

/// What has been seen so far.
#[derive(Debug, Default)]
pub(super) struct Check {
    pub(super) records: u64,
    pub(super) violations: Vec<Violation>,
    /// Nanoseconds by which two times may be off together.
    tolerance: i128,
    last: Option<i128>,
    scopes: Vec<Scope>,
    events: HashMap<Key, Event>,
    /// What the next record has to be.
    expected: Option<Expected>,
    /// The IOD being deleted: its pending events have to go first.
    deleting: Option<Key>,
    /// The event whose handler is running.
    delivery: Option<Key>,
    phase: Phase,
    turns: u64,
    /// The next turn may begin with what an earlier one left: its loop was left by a panic, or it was full.
    leftovers: bool,
}

#[derive(Debug)]
struct Scope {
    label: String,
    serials: u64,
    iods: u64,
    /// Of each open IOD, the serials that are pending and not cancelled, by kind.
    open: BTreeMap<u64, BTreeMap<u64, BTreeSet<u64>>>,
}

/// A pending event.
#[derive(Debug)]
struct Event {
    iod: Option<u64>,
    at: i128,
    limit: Option<Duration>,
    /// Turns that had begun when it was requested.
    turn: u64,
    cancelled: bool,
    /// Its IOD had been deleted before.
    stale: bool,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Expected {
    Released(Key),
    Removed(Key, bool),
    Request(Key),
}

impl Check {
    /// For times that were cut to whole microseconds.
    pub(super) fn rounded_to_microseconds() -> Self {
        Self { tolerance: 2_000, ..Self::default() }
    }

    /// Takes the next step.
    pub(super) fn step(&mut self, step: &Step<'_>) {
        self.records += 1;
        let scope = self.scope(step.scope);
        let event = step.event.map(|number| (scope, number));
        let iod = step.iod.map(|number| (scope, number));
        self.check_time(step.at);
        let explained = self.check_expected(step.what, event) || self.deleting == iod && iod.is_some();
        self.check_deletion(step.what, iod);
        self.check_phase(step);
        if let Some((_, number)) = iod
            && step.what != What::IodNew
            && number > self.scopes[scope].iods
        {
            self.violate(
                Contract::Numbers,
                format!("{:?} on IOD #{number}, which was never made", step.what),
            );
        }
        match (step.what, event, iod) {
            (What::IodNew, _, Some(iod)) => self.iod_new(iod),
            (What::IodDelete, _, Some(iod)) => self.iod_delete(iod),
            (What::EventNew, Some(event), _) => self.event_new(event, step),
            (What::Request { limit }, Some(event), _) => {
                if let Some(event) = self.events.get_mut(&event) {
                    event.limit = limit;
                }
            }
            (What::Cancel { found, notice }, Some(event), _) => self.cancel(event, found, notice),
            (What::Removed { notice }, Some(event), _) => self.removed(event, notice, explained),
            (What::Callback(outcome), Some(event), _) => self.callback(event, outcome, step.at),
            (What::Released, Some(event), _) => self.released(event),
            (What::TimerFired, Some(event), _) => self.check_limit(event, step.at),
            _ => {}
        }
    }

    /// The trace is over.
    pub(super) fn finish(&mut self, end: TraceEnd) {
        self.records += 1;
        if let Some(expected) = self.expected {
            self.violate(Contract::EndsOnce, format!("the trace ends where {expected:?} was due"));
        }
        self.check_deletion(What::Turn, None);
        let down = matches!(self.phase, Phase::Shutdown { .. });
        if end == TraceEnd::Pending && !down {
            return;
        }
        if let Some(event) = self.delivery {
            self.violate(Contract::EndsOnce, format!("{} was never released", self.name(event)));
        }
        let mut left: Vec<_> = self.events.keys().copied().collect();
        left.sort_unstable();
        for event in left {
            self.violate(Contract::EndsOnce, format!("{} never ended", self.name(event)));
        }
    }

    fn violate(&mut self, contract: Contract, seen: String) {
        if self.violations.len() < VIOLATIONS_MAX {
            self.violations.push(Violation { record: self.records, contract, seen });
        }
    }

    fn name(&self, (scope, number): Key) -> String {
        match self.scopes[scope].label.as_str() {
            "" => format!("EID {number}"),
            label => format!("EID {number} of {label}"),
        }
    }

    fn scope(&mut self, label: &str) -> usize {
        self.scopes.iter().position(|scope| scope.label == label).unwrap_or_else(|| {
            self.scopes.push(Scope { label: label.to_owned(), serials: 0, iods: 0, open: BTreeMap::new() });
            self.scopes.len() - 1
        })
    }

    // ---- Where in the loop ------------------------------------------------------------------------------------

    fn check_time(&mut self, at: i128) {
        if self.last.is_some_and(|last| at < last) {
            self.violate(Contract::OneTimePerTurn, "the time went back".to_owned());
        }
        self.last = self.last.max(Some(at));
    }

    /// Whether the record before asked for this one.
    fn check_expected(&mut self, what: What, event: Option<Key>) -> bool {
        let Some(expected) = self.expected.take() else { return false };
        let met = match (expected, what) {
            (Expected::Released(due), What::Released) | (Expected::Request(due), What::Request { .. }) => {
                event == Some(due)
            }
            (Expected::Removed(due, noticed), What::Removed { notice }) => {
                event == Some(due) && notice == noticed
            }
            _ => false,
        };
        if !met {
            let contract = match what {
                What::Callback(_) => Contract::OnlyInTheLoop,
                _ => Contract::EndsOnce,
            };
            self.violate(contract, format!("{what:?} where {expected:?} was due"));
        }
        met
    }

    /// Nothing may be pending on an IOD when its deletion is done, but what is due its notice.
    fn check_deletion(&mut self, what: What, iod: Option<Key>) {
        let Some(deleting) = self.deleting else { return };
        if matches!(what, What::Removed { .. } | What::Released) && iod == Some(deleting) {
            return;
        }
        self.deleting = None;
        let (scope, number) = deleting;
        let left = self.scopes[scope].open.remove(&number).unwrap_or_default();
        for serial in left.values().flatten() {
            self.violate(
                Contract::EndsOnce,
                format!("IOD #{number} was deleted, and its event with serial {serial} not ended"),
            );
        }
    }

    // ---- IODs and events --------------------------------------------------------------------------------------

    fn iod_new(&mut self, (scope, number): Key) {
        let scope = &mut self.scopes[scope];
        let due = scope.iods + 1;
        scope.iods = scope.iods.max(number);
        scope.open.insert(number, BTreeMap::new());
        if number != due {
            self.violate(Contract::Numbers, format!("IOD #{number} is made where #{due} is next"));
        }
    }

    fn iod_delete(&mut self, iod: Key) {
        let (scope, number) = iod;
        if self.scopes[scope].open.contains_key(&number) {
            self.deleting = Some(iod);
        } else {
            self.violate(Contract::StaleIds, format!("IOD #{number} is deleted, and was not open"));
        }
    }

    fn event_new(&mut self, event: Key, step: &Step<'_>) {
        let (scope, number) = event;
        let (serial, kind) = (number >> 3, number & 7);
        let name = self.name(event);
        let due = self.scopes[scope].serials + 1;
        if serial != due {
            self.violate(Contract::Numbers, format!("{name} has serial {serial} where {due} is next"));
        }
        if step.kind != Some(kind) {
            self.violate(Contract::Numbers, format!("{name} is of kind {:?}", step.kind));
        }
        let Scope { serials, open, .. } = &mut self.scopes[scope];
        *serials = (*serials).max(serial);
        let queues = step.iod.map(|iod| open.get_mut(&iod));
        let stale = matches!(queues, Some(None));
        if let Some(Some(queues)) = queues {
            queues.entry(kind).or_default().insert(serial);
        }
        let pending =
            Event { iod: step.iod, at: step.at, limit: None, turn: self.turns, cancelled: false, stale };
        if self.events.insert(event, pending).is_some() {
            self.violate(Contract::StaleIds, format!("{name} is given out again while it is pending"));
        }
        self.expected = Some(Expected::Request(event));
    }

    /// Takes an event off its IOD's queue.
    fn unqueue(&mut self, (scope, number): Key, iod: Option<u64>) {
        let queues = iod.and_then(|iod| self.scopes[scope].open.get_mut(&iod));
        if let Some(queue) = queues.and_then(|queues| queues.get_mut(&(number & 7))) {
            queue.remove(&(number >> 3));
        }
        if let (Phase::Turn(turn), Some(iod), READ) = (&mut self.phase, iod, number & 7) {
            turn.reads_ended.insert((scope, iod));
        }
    }

    fn cancel(&mut self, event: Key, found: bool, notice: bool) {
        let name = self.name(event);
        match self.events.get(&event) {
            None if found => {
                self.violate(Contract::StaleIds, format!("{name} is found by a cancel, and is not pending"));
            }
            Some(pending) if !(found || pending.cancelled && notice) => {
                self.violate(Contract::StaleIds, format!("{name} is pending, and a cancel does not find it"));
            }
            Some(pending) if found && pending.cancelled && notice => {
                self.violate(Contract::CancelWins, format!("{name} is cancelled twice"));
            }
            _ => {}
        }
        if found {
            self.expected = Some(Expected::Removed(event, notice));
        }
    }

    fn removed(&mut self, event: Key, notice: bool, explained: bool) {
        let name = self.name(event);
        if !explained {
            self.violate(Contract::EndsOnce, format!("{name} is removed, and nobody asked for that"));
        }
        let Some(pending) = self.events.get_mut(&event) else {
            self.violate(Contract::EndsOnce, format!("{name} is removed, and was not pending"));
            return;
        };
        let iod = pending.iod;
        pending.cancelled = true;
        self.unqueue(event, iod);
        if !notice {
            self.events.remove(&event);
            self.expected = Some(Expected::Released(event));
        }
    }

    fn released(&mut self, event: Key) {
        if self.delivery == Some(event) {
            self.delivery = None;
        } else if self.delivery.is_none() && self.events.contains_key(&event) {
            self.violate(Contract::EndsOnce, format!("{} is released while it is pending", self.name(event)));
        }
    }

    fn callback(&mut self, event: Key, outcome: Outcome, at: i128) {
        self.delivery = Some(event);
        let name = self.name(event);
        if matches!(outcome, Outcome::TimedOut | Outcome::SuccessOutOfTime)
            || event.1 & 7 == TIMER && outcome == Outcome::Success
        {
            self.check_limit(event, at);
        }
        let Some(pending) = self.events.remove(&event) else {
            let why =
                if event.1 >> 3 > self.scopes[event.0].serials { "was never requested" } else { "had ended" };
            self.violate(Contract::EndsOnce, format!("{name} is delivered, and {why}"));
            return;
        };
        if pending.cancelled != (outcome == Outcome::Cancelled) {
            let was = if pending.cancelled { "was" } else { "was not" };
            self.violate(Contract::CancelWins, format!("{name} ends with {outcome:?}, and {was} cancelled"));
        }
        if let Some(iod) = pending.iod {
            let deleted = !self.scopes[event.0].open.contains_key(&iod);
            let told = outcome == Outcome::Cancelled || pending.stale && outcome == Outcome::Error;
            if (deleted || pending.stale) && !told {
                self.violate(Contract::EndsOnce, format!("{name} ends with {outcome:?} on a deleted IOD"));
            }
            self.check_fifo(event, iod, outcome);
        }
        self.check_turn_order(event, &pending, outcome);
        self.unqueue(event, pending.iod);
    }

    fn check_fifo(&mut self, event: Key, iod: u64, outcome: Outcome) {
        let (scope, number) = event;
        let queue = self.scopes[scope].open.get(&iod).and_then(|queues| queues.get(&(number & 7)));
        let first = queue.and_then(|queue| queue.first().copied());
        if outcome.is_in_turn() && first.is_some_and(|first| first < number >> 3) {
            let first = first.unwrap_or_default();
            let name = self.name(event);
            self.violate(Contract::Fifo, format!("{name} ends before serial {first} of IOD #{iod}"));
        }
    }

    fn check_limit(&mut self, event: Key, at: i128) {
        let Some(pending) = self.events.get(&event) else { return };
        let passed = at - pending.at + self.tolerance;
        let early = match pending.limit {
            None => true,
            Some(limit) => i128::try_from(limit.as_nanos()).is_ok_and(|limit| passed < limit),
        };
        if early {
            let (name, limit) = (self.name(event), pending.limit);
            self.violate(Contract::NeverEarly, format!("{name} of limit {limit:?} ends after {passed} ns"));
        }
    }
}
