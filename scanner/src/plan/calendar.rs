//! Timers in buckets of one tick, so that adding and taking one costs the same however many are pending.

use std::collections::{BTreeMap, VecDeque};
use std::time::{Duration, Instant};

/// Timers are kept to this precision, rounded up: fine enough for a scan delay, and a time-out of ten seconds is
/// still only 40,000 buckets.
const TICK_NANOS: u64 = 250_000;

/// Pending timers. A timer cannot be removed; its owner ignores it when it is stale.
#[derive(Clone, Debug)]
pub(super) struct Calendar<T> {
    origin: Instant,
    buckets: BTreeMap<u64, Vec<T>>,
    // The bucket of the last timers added: those that follow are often for the same tick.
    open: (u64, Vec<T>),
    due: VecDeque<T>,
}

impl<T> Calendar<T> {
    /// Makes an empty calendar; no timer is due before `origin`.
    pub(super) const fn new(origin: Instant) -> Self {
        Self { origin, buckets: BTreeMap::new(), open: (0, Vec::new()), due: VecDeque::new() }
    }

    /// Adds a timer for `at`.
    pub(super) fn push(&mut self, at: Instant, timer: T) {
        let nanos = u64::try_from(at.saturating_duration_since(self.origin).as_nanos()).unwrap_or(u64::MAX);
        let tick = nanos.div_ceil(TICK_NANOS);
        if tick != self.open.0 {
            self.close();
            self.open.0 = tick;
        }
        self.open.1.push(timer);
    }

    /// Puts the open bucket among the others.
    fn close(&mut self) {
        let (tick, timers) = (self.open.0, std::mem::take(&mut self.open.1));
        if !timers.is_empty() {
            self.buckets.entry(tick).or_default().extend(timers);
        }
    }

    /// Takes out a timer that is due.
    pub(super) fn pop_due(&mut self, now: Instant) -> Option<T> {
        while self.due.is_empty() {
            if self.next().is_none_or(|next| next > now) {
                return None;
            }
            self.close();
            let (_, timers) = self.buckets.pop_first()?;
            self.due.extend(timers);
        }
        self.due.pop_front()
    }

    /// When the next timer is due.
    pub(super) fn next(&self) -> Option<Instant> {
        let open = (!self.open.1.is_empty()).then_some(self.open.0);
        let closed = self.buckets.first_key_value().map(|(&tick, _)| tick);
        let tick = open.into_iter().chain(closed).min()?;
        // A timer beyond the clock's range never comes due.
        let nanos = TICK_NANOS.checked_mul(tick)?;
        self.origin.checked_add(Duration::from_nanos(nanos))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    #[expect(clippy::disallowed_methods, reason = "tests need some instant to count from")]
    fn timers_come_in_order_and_never_early() {
        let origin = Instant::now();
        let at = |micros| origin + Duration::from_micros(micros);
        let mut calendar = Calendar::new(origin);
        calendar.push(at(900), 'b');
        calendar.push(at(100), 'a');
        calendar.push(at(5000), 'c');
        assert_eq!(calendar.pop_due(at(200)), None);
        assert_eq!(calendar.pop_due(at(1000)), Some('a'));
        assert_eq!(calendar.pop_due(at(1000)), Some('b'));
        assert_eq!(calendar.pop_due(at(1000)), None);
        assert_eq!(calendar.next(), Some(at(5000)));
    }
}
