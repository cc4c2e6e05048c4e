//! Rates: when the next probe may go, when it must go, and how many may meet silence.
//!
//! All three count in whole probes and nanoseconds and sleep nowhere; the caller passes `now` and waits by itself.

use std::fmt;
use std::time::{Duration, Instant};

/// A late probe may be made up for within this time (timers wake late), and no later, so that a pause is not
/// followed by a burst.
const LAG_MAX: Duration = Duration::from_millis(5);
/// How far [`MinRate`] may fall behind and still catch up: a stall does not become a flood.
const ARREARS_MAX: Duration = Duration::from_millis(250);

/// A positive number of probes per second, kept as the time between two of them.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct Rate {
    interval: Duration,
}

impl Rate {
    /// Makes a rate, or `None` unless `probes` is a positive number of at least one probe in ten thousand seconds.
    ///
    /// ```
    /// use scanner::pacer::Rate;
    /// assert!(Rate::per_second(0.5).is_some());
    /// assert!(Rate::per_second(0.0).is_none());
    /// assert!(Rate::per_second(f64::NAN).is_none());
    /// ```
    #[must_use]
    pub fn per_second(probes: f64) -> Option<Self> {
        if probes.is_nan() || probes < 1e-4 {
            return None;
        }
        let interval = Duration::try_from_secs_f64(probes.recip()).ok()?;
        Some(Self { interval: interval.max(Duration::from_nanos(1)) })
    }

    /// The rate with `interval` between two probes.
    #[must_use]
    pub fn every(interval: Duration) -> Self {
        Self { interval: interval.max(Duration::from_nanos(1)) }
    }

    /// The time between two probes.
    #[must_use]
    pub const fn interval(self) -> Duration {
        self.interval
    }

    /// Both rates together.
    ///
    /// ```
    /// use scanner::pacer::Rate;
    /// let sum = Rate::per_second(10.0).unwrap().plus(Rate::per_second(30.0).unwrap());
    /// assert_eq!(sum.probes_per_second().round(), 40.0);
    /// ```
    #[must_use]
    pub fn plus(self, other: Self) -> Self {
        Self::per_second(self.probes_per_second() + other.probes_per_second()).unwrap_or(self)
    }

    /// Probes per second.
    #[must_use]
    pub fn probes_per_second(self) -> f64 {
        self.interval.as_secs_f64().recip()
    }
}

impl fmt::Debug for Rate {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:.1}/s", self.probes_per_second())
    }
}

/// Never more than a rate: `--max-rate`, and the pace of one host.
///
/// In no second do more probes go than the rate says: the schedule runs as much slower (half a percent) as a late
/// probe may be made up for.
#[derive(Clone, Copy, Debug)]
pub struct MaxRate {
    interval: Duration,
    next: Option<Instant>,
}

impl MaxRate {
    /// Starts with one probe allowed at once.
    #[must_use]
    pub fn new(rate: Rate) -> Self {
        Self { interval: rate.interval + rate.interval / 200, next: None }
    }

    /// When the next probe may go: `None` for now.
    #[must_use]
    pub fn wait(&self, now: Instant) -> Option<Instant> {
        self.next.filter(|&next| next > now)
    }

    /// Puts the next probe off until `at`, if it may go sooner.
    pub fn postpone(&mut self, at: Instant) {
        self.next = self.next.max(Some(at));
    }

    /// Counts a probe sent at `now`.
    pub fn take(&mut self, now: Instant) {
        let scheduled = match self.next {
            Some(next) if next + LAG_MAX >= now => next,
            Some(_) => now.checked_sub(LAG_MAX).unwrap_or(now),
            None => now,
        };
        self.next = Some(scheduled + self.interval);
    }
}

/// Never less than a rate, while there is something to send: `--min-rate`.
#[derive(Clone, Copy, Debug)]
pub struct MinRate {
    interval: Duration,
    due: Option<Instant>,
}

impl MinRate {
    /// The first probe is due at once.
    #[must_use]
    pub const fn new(rate: Rate) -> Self {
        Self { interval: rate.interval, due: None }
    }

    /// True if a probe must go now, whatever the windows say.
    #[must_use]
    pub fn is_behind(&self, now: Instant) -> bool {
        self.due.is_none_or(|due| due <= now)
    }

    /// When the next probe is due.
    #[must_use]
    pub const fn due(&self) -> Option<Instant> {
        self.due
    }

    /// Counts a probe sent at `now`. A schedule ahead of time is pulled back to now: what the windows sent beyond
    /// the rate does not excuse a later pause.
    pub fn take(&mut self, now: Instant) {
        let base = match self.due {
            Some(due) if due <= now => due.max(now.checked_sub(ARREARS_MAX).unwrap_or(now)),
            _ => now,
        };
        self.due = Some(base + self.interval);
    }
}

/// A token bucket whose tokens come back with answers, so that it bounds the rate of *unanswered* probes only.
///
/// A host that answers everything never empties it; a silent one is probed at exactly the rate. The level is kept in
/// nanoseconds of credit.
#[derive(Clone, Copy, Debug)]
pub struct SilenceCredit {
    rate: Rate,
    capacity: u128,
    level: u128,
    filled: Instant,
}

impl SilenceCredit {
    /// Starts full, with `burst` tokens.
    #[must_use]
    pub fn new(rate: Rate, burst: u32, now: Instant) -> Self {
        let capacity = rate.interval.as_nanos() * u128::from(burst.max(1));
        Self { rate, capacity, level: capacity, filled: now }
    }

    /// When there is a token: `None` for now.
    pub fn wait(&mut self, now: Instant) -> Option<Instant> {
        self.fill(now);
        let missing = self.rate.interval.as_nanos().saturating_sub(self.level);
        (missing > 0).then(|| now + Duration::from_nanos(u64::try_from(missing).unwrap_or(u64::MAX)))
    }

    /// Spends a token, or what there is of one.
    pub fn take(&mut self, now: Instant) {
        self.fill(now);
        self.level = self.level.saturating_sub(self.rate.interval.as_nanos());
    }

    /// An answer came: its token returns.
    pub fn refund(&mut self) {
        self.level = (self.level + self.rate.interval.as_nanos()).min(self.capacity);
    }

    fn fill(&mut self, now: Instant) {
        // Most calls are of the same turn, so of the same time.
        if now > self.filled {
            self.level = (self.level + (now - self.filled).as_nanos()).min(self.capacity);
            self.filled = now;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[expect(clippy::disallowed_methods, reason = "tests need some instant to count from")]
    fn start() -> Instant {
        Instant::now()
    }

    /// Sends as fast as `MaxRate` lets, waking `late` after each deadline in turn.
    fn sends(rate: f64, seconds: u64, late: &[Duration]) -> Vec<Duration> {
        let origin = start();
        let mut now = origin;
        let mut pacer = MaxRate::new(Rate::per_second(rate).unwrap());
        let mut sent = Vec::new();
        let mut turn = 0;
        while now - origin < Duration::from_secs(seconds) {
            if let Some(next) = pacer.wait(now) {
                now = next + late.get(turn % late.len().max(1)).copied().unwrap_or_default();
                turn += 1;
                continue;
            }
            pacer.take(now);
            sent.push(now - origin);
        }
        sent
    }

    fn most_in_a_second(sent: &[Duration]) -> usize {
        let mut first = 0;
        let mut most = 0;
        for (last, &at) in sent.iter().enumerate() {
            while at - sent[first] >= Duration::from_secs(1) {
                first += 1;
            }
            most = most.max(last - first + 1);
        }
        most
    }

    #[test]
    fn a_hundred_per_second_is_never_exceeded() {
        let sent = sends(100.0, 5, &[Duration::ZERO, Duration::from_millis(5), Duration::from_millis(2)]);
        assert!(most_in_a_second(&sent) <= 100, "{}", most_in_a_second(&sent));
        assert!(sent.len() >= 490, "{}", sent.len());
    }

    #[test]
    fn sub_millisecond_intervals_survive_a_coarse_timer() {
        let sent = sends(50_000.0, 1, &[Duration::from_millis(1)]);
        assert!((49_000..=50_000).contains(&sent.len()), "{}", sent.len());
    }

    #[test]
    fn min_rate_catches_up_a_little_and_forgets_a_stall() {
        let origin = start();
        let mut pacer = MinRate::new(Rate::per_second(100.0).unwrap());
        pacer.take(origin);
        assert!(!pacer.is_behind(origin + Duration::from_millis(9)));
        let late = origin + Duration::from_secs(10);
        let mut burst = 0;
        while pacer.is_behind(late) {
            pacer.take(late);
            burst += 1;
        }
        assert!((20..=30).contains(&burst), "{burst}");
    }

    #[test]
    fn answered_probes_cost_no_credit_and_unanswered_ones_wait() {
        let now = start();
        let mut credit = SilenceCredit::new(Rate::per_second(1000.0).unwrap(), 10, now);
        for _ in 0..10_000 {
            assert_eq!(credit.wait(now), None);
            credit.take(now);
            credit.refund();
        }
        for _ in 0..10 {
            assert_eq!(credit.wait(now), None);
            credit.take(now);
        }
        assert_eq!(credit.wait(now), Some(now + Duration::from_millis(1)));
    }

    proptest! {
        #[test]
        fn max_rate_holds_in_every_second(
            rate in 1.0f64..2000.0,
            late in proptest::collection::vec(0u64..20_000, 1..10),
        ) {
            let late: Vec<Duration> = late.into_iter().map(Duration::from_micros).collect();
            let sent = sends(rate, 3, &late);
            prop_assert!(most_in_a_second(&sent) as f64 <= rate.ceil());
        }
    }
}
