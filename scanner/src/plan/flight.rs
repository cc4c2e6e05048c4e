//! Probes in flight, and for a while those whose time-out passed, if their answer may still come.

use std::collections::VecDeque;
use std::time::{Duration, Instant};

use foldhash::HashMap;

use super::event::ProbeId;

/// How long a probe past its time-out is remembered for its round-trip time (spec 4.5 keeps it as long).
const LATE_KEPT: Duration = Duration::from_secs(10);
/// How many of them: two megabytes. A later answer still counts, only without a round-trip time.
const LATE_MAX: usize = 32_768;

/// A probe that was sent.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Flight {
    /// When it was given to the driver.
    pub(super) sent: Instant,
    /// When it left this machine, as far as the driver tells.
    pub(super) left: Instant,
    /// It still holds a place in its host's window.
    pub(super) young: bool,
    /// Its time-out has not passed.
    pub(super) live: bool,
}

/// All of them.
#[derive(Clone, Debug, Default)]
pub(super) struct Flights {
    // A fast hash will do: the keys are of our own making, no peer chooses them.
    probes: HashMap<ProbeId, Flight>,
    live: usize,
    late: VecDeque<(Instant, ProbeId)>,
}

impl Flights {
    /// How many probes are in flight.
    pub(super) const fn live(&self) -> usize {
        self.live
    }

    /// True if the probe is in flight, as sent at `sent` (one that was refused is sent again under its id).
    pub(super) fn is_live(&self, id: ProbeId, sent: Instant) -> bool {
        self.probes.get(&id).is_some_and(|flight| flight.live && flight.sent == sent)
    }

    /// A probe is sent.
    pub(super) fn insert(&mut self, id: ProbeId, sent: Instant) {
        if self
            .probes
            .insert(id, Flight { sent, left: sent, young: true, live: true })
            .is_none_or(|old| !old.live)
        {
            self.live += 1;
        }
    }

    /// A probe has left this machine.
    pub(super) fn note_left(&mut self, id: ProbeId, left: Instant) {
        if let Some(flight) = self.probes.get_mut(&id) {
            flight.left = left;
        }
    }

    /// Takes out a probe, in flight or late.
    pub(super) fn remove(&mut self, id: ProbeId) -> Option<Flight> {
        let flight = self.probes.remove(&id)?;
        self.live -= usize::from(flight.live);
        Some(flight)
    }

    /// The time-out of a probe in flight passed: keeps it for a late answer.
    pub(super) fn expire(&mut self, id: ProbeId, now: Instant) -> Option<Flight> {
        let kept = self.probes.get_mut(&id).filter(|flight| flight.live)?;
        let flight = *kept;
        kept.live = false;
        kept.young = false;
        self.live -= 1;
        self.late.push_back((now, id));
        while let Some(&(expired, id)) = self.late.front()
            && (now.saturating_duration_since(expired) > LATE_KEPT || self.late.len() > LATE_MAX)
        {
            self.late.pop_front();
            if self.probes.get(&id).is_some_and(|flight| !flight.live) {
                self.probes.remove(&id);
            }
        }
        Some(flight)
    }

    /// The probe leaves its host's window; false if it had left it.
    pub(super) fn age(&mut self, id: ProbeId) -> bool {
        self.probes.get_mut(&id).is_some_and(|flight| std::mem::replace(&mut flight.young, false))
    }

    /// True if the probe holds a place in its host's window.
    pub(super) fn is_young(&self, id: ProbeId) -> bool {
        self.probes.get(&id).is_some_and(|flight| flight.young)
    }
}
