//! Where in the loop a step belongs: to a turn, to the pool's owner or to its shutdown.

use std::collections::HashSet;
use std::mem;

use super::{Check, Event, Key, READ, TIMER, VIOLATIONS_MAX};
use crate::oracle::step::{Outcome, Step, What};
use crate::oracle::{Contract, Violation};

/// Deliveries which nsock's engine promises not to exceed in one turn.
const DELIVERIES_PER_TURN_MAX: usize = 4096;

/// Kind 0 of an EID.
const CONNECT: u64 = 0;

/// Who acts.
#[derive(Debug, Default)]
pub(super) enum Phase {
    /// The owner of the pool, outside the loop.
    #[default]
    Owner,
    Turn(Turn),
    /// Handlers ran where no turn explains it. That is right if it was `shutdown`, and then no request follows.
    Shutdown {
        record: u64,
        contract: Contract,
        seen: String,
        judged: bool,
    },
}

#[derive(Debug, Default)]
pub(super) struct Turn {
    at: Option<i128>,
    delivered: usize,
    /// Something out of time was delivered.
    out_of_time: bool,
    leftovers: bool,
    /// IODs on which a read ended: the next one starts only then.
    pub(super) reads_ended: HashSet<Key>,
}

impl Check {
    pub(super) fn check_phase(&mut self, step: &Step<'_>) {
        match step.what {
            What::Turn | What::LoopStarted => {
                self.no_shutdown();
                if let Some(event) = self.delivery {
                    let name = self.name(event);
                    self.violate(Contract::OnlyInTheLoop, format!("the loop runs in the handler of {name}"));
                }
                if step.what == What::LoopStarted {
                    self.leftovers = true;
                    self.phase = Phase::Owner;
                    return;
                }
                self.turns += 1;
                if let Phase::Turn(turn) = &self.phase {
                    self.leftovers |= turn.delivered >= DELIVERIES_PER_TURN_MAX;
                }
                let leftovers = mem::take(&mut self.leftovers);
                self.phase = Phase::Turn(Turn { leftovers, ..Turn::default() });
            }
            What::EventNew | What::Request { .. } => {
                self.no_shutdown();
                self.act(step.at);
            }
            What::Callback(outcome) => self.enter_callback(outcome, step),
            What::Moved | What::TimerFired => self.check_turn_time(step.at),
            What::Released if self.delivery.is_some() => self.check_turn_time(step.at),
            What::Released | What::Removed { .. } | What::WaitFailed => {}
            What::Cancel { .. } | What::IodDelete | What::IodNew | What::Setup => self.act(step.at),
        }
    }

    /// Somebody asks for something: a handler, or the owner if none is running.
    fn act(&mut self, at: i128) {
        if self.delivery.is_some() {
            self.check_turn_time(at);
        } else if let Phase::Turn(turn) = &self.phase {
            self.leftovers |= turn.delivered >= DELIVERIES_PER_TURN_MAX;
            self.phase = Phase::Owner;
        }
    }

    fn check_turn_time(&mut self, at: i128) {
        let Phase::Turn(turn) = &mut self.phase else { return };
        let of_turn = *turn.at.get_or_insert(at);
        if at != of_turn {
            self.violate(Contract::OneTimePerTurn, format!("{} ns passed within a turn", at - of_turn));
        }
    }

    fn enter_callback(&mut self, outcome: Outcome, step: &Step<'_>) {
        if let Some(event) = self.delivery {
            let name = self.name(event);
            self.violate(Contract::OnlyInTheLoop, format!("a handler runs inside the handler of {name}"));
        }
        let record = self.records;
        let suspect =
            |contract, seen: &str| Phase::Shutdown { record, contract, seen: seen.to_owned(), judged: false };
        match &mut self.phase {
            Phase::Shutdown { .. } => {}
            Phase::Owner => self.phase = suspect(Contract::OnlyInTheLoop, "a handler runs outside the loop"),
            Phase::Turn(_) if outcome == Outcome::Killed => {
                self.phase = suspect(Contract::EndsOnce, "killed, and the pool lives on");
            }
            Phase::Turn(turn) if turn.at.is_some_and(|at| at != step.at) => {
                self.phase = suspect(Contract::OneTimePerTurn, "time passed within a turn");
            }
            Phase::Turn(turn) => {
                turn.at = Some(step.at);
                turn.delivered += 1;
                if turn.delivered == DELIVERIES_PER_TURN_MAX + 1 {
                    let seen = format!("more than {DELIVERIES_PER_TURN_MAX} handlers run in one turn");
                    self.violate(Contract::BoundedTurn, seen);
                }
            }
        }
    }

    /// The pool is alive, so what looked like its shutdown was a violation.
    fn no_shutdown(&mut self) {
        let Phase::Shutdown { record, contract, seen, judged } = &mut self.phase else { return };
        if !mem::replace(judged, true) && self.violations.len() < VIOLATIONS_MAX {
            let violation = Violation { record: *record, contract: *contract, seen: mem::take(seen) };
            self.violations.push(violation);
        }
    }

    pub(super) fn check_turn_order(&mut self, event: Key, pending: &Event, outcome: Outcome) {
        let turns = self.turns;
        let Phase::Turn(turn) = &mut self.phase else { return };
        let (scope, number) = event;
        let timer = number & 7 == TIMER && outcome == Outcome::Success;
        if timer || matches!(outcome, Outcome::TimedOut | Outcome::SuccessOutOfTime) {
            turn.out_of_time = true;
            return;
        }
        // A read waits for the one before it to be delivered, which may be late in the turn.
        let behind = pending.iod.is_some_and(|iod| turn.reads_ended.contains(&(scope, iod)));
        let known_when_the_turn_began = match number & 7 {
            CONNECT => pending.turn < turns,
            READ => pending.turn < turns && !behind,
            _ => false,
        };
        if outcome == Outcome::Success && known_when_the_turn_began && turn.out_of_time && !turn.leftovers {
            let name = self.name(event);
            self.violate(Contract::ResultsFirst, format!("{name} succeeds behind a time-out of its turn"));
        }
    }
}
