//! Round-trip time estimate and the time-out that follows from it (RFC 6298, with the bounds of spec 5.1 and 5.2).

use std::time::Duration;

/// The least variation a first sample is given, so that one quick answer does not make the time-out too tight.
const FIRST_VARIATION_MIN: Duration = Duration::from_millis(5);
/// The most variation an estimate carries.
const VARIATION_MAX: Duration = Duration::from_secs(2);
/// Longer samples are not round trips of a probe but accidents.
const SAMPLE_MAX: Duration = Duration::from_secs(8);
/// A sample that jumps by more than this, and by far more than the variation, is an outlier.
const JUMP_MAX: Duration = Duration::from_millis(1500);
/// Until there is a sample, an answer is expected this soon after its probe (see [`Rtt::horizon`]).
const HORIZON_UNKNOWN: Duration = Duration::from_millis(50);
/// Scheduling noise makes a shorter horizon meaningless.
const HORIZON_MIN: Duration = Duration::from_millis(10);

/// The bounds of a time-out.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct RttLimits {
    /// The time-out while there is no sample.
    pub initial: Duration,
    /// The shortest time-out.
    pub min: Duration,
    /// The longest time-out.
    pub max: Duration,
}

impl RttLimits {
    /// Makes bounds; `initial` is pulled between `min` and `max`, and `max` is raised to `min`.
    #[must_use]
    pub fn new(initial: Duration, min: Duration, max: Duration) -> Self {
        let max = max.max(min);
        Self { initial: initial.clamp(min, max), min, max }
    }

    /// Sets the shortest time-out, raising the others to it (`--min-rtt-timeout`).
    #[must_use]
    pub fn with_min(self, min: Duration) -> Self {
        Self { min, max: self.max.max(min), initial: self.initial.max(min) }
    }

    /// Sets the longest time-out, lowering the others to it (`--max-rtt-timeout`).
    #[must_use]
    pub fn with_max(self, max: Duration) -> Self {
        Self { max, min: self.min.min(max), initial: self.initial.min(max) }
    }

    /// Sets the first time-out, widening the bounds to hold it (`--initial-rtt-timeout`).
    #[must_use]
    pub fn with_initial(self, initial: Duration) -> Self {
        Self { initial, min: self.min.min(initial), max: self.max.max(initial) }
    }
}

/// What the samples so far say.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Estimate {
    smoothed: Duration,
    variation: Duration,
    shortest: Duration,
}

/// The estimate for one host, or for a group of hosts.
///
/// ```
/// use scanner::rtt::{Rtt, RttLimits};
/// use std::time::Duration;
/// let ms = Duration::from_millis;
/// let mut rtt = Rtt::new(RttLimits::new(ms(1000), ms(100), ms(10_000)));
/// assert_eq!(rtt.timeout(), ms(1000));
/// rtt.sample(ms(80));
/// assert_eq!(rtt.timeout(), ms(80 + 4 * 80));
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Rtt {
    limits: RttLimits,
    estimate: Option<Estimate>,
}

impl Rtt {
    /// Starts without a sample.
    #[must_use]
    pub const fn new(limits: RttLimits) -> Self {
        Self { limits, estimate: None }
    }

    /// Takes the time between a probe and its answer into account; outliers are ignored (spec 5.2).
    pub fn sample(&mut self, elapsed: Duration) {
        if elapsed >= SAMPLE_MAX {
            return;
        }
        let Some(Estimate { smoothed, variation, shortest }) = self.estimate else {
            let variation = elapsed.clamp(FIRST_VARIATION_MIN, VARIATION_MAX);
            self.estimate = Some(Estimate { smoothed: elapsed, variation, shortest: elapsed });
            return;
        };
        let error = elapsed.abs_diff(smoothed);
        if elapsed > smoothed && error > JUMP_MAX && elapsed > 3 * smoothed + 2 * variation {
            return;
        }
        let smoothed =
            if elapsed >= smoothed { smoothed + error / 8 } else { smoothed.saturating_sub(error / 8) };
        let variation = (variation * 3 / 4 + error / 4).min(VARIATION_MAX);
        self.estimate = Some(Estimate { smoothed, variation, shortest: shortest.min(elapsed) });
    }

    /// True once there was a sample.
    #[must_use]
    pub const fn is_known(&self) -> bool {
        self.estimate.is_some()
    }

    /// The smoothed round-trip time, which a report calls latency.
    #[must_use]
    pub fn smoothed(&self) -> Option<Duration> {
        self.estimate.map(|e| e.smoothed)
    }

    /// Of so many probes in flight, how many wait in a queue somewhere rather than travel: the longer answers take than
    /// the fastest one did, the more (TCP Vegas; Brakmo and Peterson, 1995).
    ///
    /// ```
    /// use scanner::rtt::{Rtt, RttLimits};
    /// use std::time::Duration;
    /// let ms = Duration::from_millis;
    /// let mut rtt = Rtt::new(RttLimits::new(ms(1000), ms(100), ms(10_000)));
    /// rtt.sample(ms(10));
    /// assert_eq!(rtt.queued_of(100), 0);
    /// (0..100).for_each(|_| rtt.sample(ms(40)));
    /// assert_eq!(rtt.queued_of(100), 74, "smoothed, it is still a little below 40 ms");
    /// ```
    #[must_use]
    pub fn queued_of(&self, in_flight: u32) -> u32 {
        let Some(Estimate { smoothed, shortest, .. }) = self.estimate else { return 0 };
        // Samples are a few seconds at most, so neither the nanoseconds nor the product come near the limit.
        let nanos = |time: Duration| u64::try_from(time.as_nanos()).unwrap_or(u64::MAX);
        let late = u64::from(in_flight).saturating_mul(nanos(smoothed.saturating_sub(shortest)));
        u32::try_from(late / nanos(smoothed).max(1)).unwrap_or(u32::MAX)
    }

    /// The mean deviation.
    #[must_use]
    pub fn variation(&self) -> Option<Duration> {
        self.estimate.map(|e| e.variation)
    }

    /// How long a first try is waited for.
    #[must_use]
    pub fn timeout(&self) -> Duration {
        match self.estimate {
            Some(e) => (e.smoothed + 4 * e.variation).clamp(self.limits.min, self.limits.max),
            None => self.limits.initial,
        }
    }

    /// How long try number `try_number` is waited for: twice the time-out from the second try on.
    ///
    /// RFC 6298 5.5 doubles each time. Here the first doubling covers a host slower than the estimate, and more of it
    /// would only cost time, since the window and not the time-out answers congestion.
    #[must_use]
    pub fn timeout_of_try(&self, try_number: u8) -> Duration {
        if try_number == 0 { self.timeout() } else { (2 * self.timeout()).min(self.limits.max) }
    }

    /// After this time a probe without an answer is presumed to meet silence and no longer holds a place in the
    /// window, though an answer is still welcome until the time-out.
    ///
    /// Unlike the time-out it is not held above the configured minimum.
    #[must_use]
    pub fn horizon(&self) -> Duration {
        match self.estimate {
            Some(e) => (e.smoothed + 4 * e.variation).clamp(HORIZON_MIN, self.limits.max.max(HORIZON_MIN)),
            None => HORIZON_UNKNOWN.min(self.limits.initial),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    const fn ms(value: u64) -> Duration {
        Duration::from_millis(value)
    }

    fn normal() -> Rtt {
        Rtt::new(RttLimits::new(ms(1000), ms(100), ms(10_000)))
    }

    #[test]
    fn a_steady_round_trip_tightens_the_timeout() {
        let mut rtt = normal();
        for _ in 0..50 {
            rtt.sample(ms(200));
        }
        assert_eq!(rtt.smoothed(), Some(ms(200)));
        assert!(rtt.timeout() < ms(205), "{:?}", rtt.timeout());
        assert_eq!(rtt.timeout_of_try(3), 2 * rtt.timeout());
    }

    #[test]
    fn a_lan_is_held_at_the_minimum() {
        let mut rtt = normal();
        rtt.sample(Duration::from_micros(50));
        assert_eq!(rtt.timeout(), ms(100));
        assert!(rtt.horizon() < ms(25));
    }

    #[test]
    fn an_outlier_is_ignored_and_a_slower_path_is_followed() {
        let mut rtt = normal();
        rtt.sample(ms(20));
        rtt.sample(ms(3000));
        assert_eq!(rtt.smoothed(), Some(ms(20)));
        for _ in 0..40 {
            rtt.sample(ms(400));
        }
        assert!(rtt.timeout() > ms(400));
    }

    #[test]
    fn limits_pull_each_other() {
        let limits = RttLimits::new(ms(1000), ms(100), ms(10_000));
        assert_eq!(limits.with_max(ms(50)), RttLimits { initial: ms(50), min: ms(50), max: ms(50) });
        assert_eq!(limits.with_min(ms(2000)).initial, ms(2000));
        assert_eq!(limits.with_initial(ms(20)).min, ms(20));
    }

    proptest! {
        #[test]
        fn the_timeout_stays_in_its_bounds(samples in proptest::collection::vec(0u64..20_000_000, 0..200)) {
            let mut rtt = normal();
            for sample in samples {
                rtt.sample(Duration::from_micros(sample));
                prop_assert!((ms(100)..=ms(10_000)).contains(&rtt.timeout()));
                prop_assert!(rtt.timeout_of_try(1) <= ms(10_000));
            }
        }
    }
}
