//! How many fresh probes may wait for an answer at a time.
//!
//! Slow start, then additive increase on answers, and a multiplicative decrease on proven loss, as TCP does
//! (RFC 5681) with the numbers of spec 5.1 and 5.4. Two things differ. A probe holds its place only for the time an
//! answer usually takes ([`Rtt::horizon`](crate::rtt::Rtt::horizon)), so silence cannot freeze the window. And only
//! loss above what the path loses anyway shrinks it; the caller decides that from its evidence.

use std::time::Instant;

/// The bounds and steps of a [`Window`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct WindowLimits {
    /// Size at the start, in probes.
    pub initial: u32,
    /// Smallest size.
    pub min: u32,
    /// Largest size.
    pub max: u32,
    /// From this size on growth is additive.
    pub threshold: u32,
    /// Additive growth, in probes per window of answers.
    pub increment: u32,
    /// What is kept on a decrease, in thousandths.
    pub kept_per_mille: u32,
}

impl WindowLimits {
    /// Bounds the size; the initial size is pulled between `min` and `max`.
    #[must_use]
    pub fn bounded(mut self, min: u32, max: u32) -> Self {
        self.max = max.max(1);
        self.min = min.clamp(1, self.max);
        self.initial = self.initial.clamp(self.min, self.max);
        self
    }
}

/// The congestion window of one host.
#[derive(Clone, Debug)]
pub struct Window {
    limits: WindowLimits,
    size: u32,
    threshold: u32,
    // Answers since the last additive step.
    progress: u32,
    reduced: Option<Instant>,
}

impl Window {
    /// Starts at the initial size.
    #[must_use]
    pub const fn new(limits: WindowLimits) -> Self {
        Self { limits, size: limits.initial, threshold: limits.threshold, progress: 0, reduced: None }
    }

    /// The size now, in probes.
    #[must_use]
    pub const fn size(&self) -> u32 {
        self.size
    }

    /// An answer arrived: grows.
    pub fn handle_answer(&mut self) {
        if self.size < self.threshold {
            self.size += 1;
        } else {
            self.progress += self.limits.increment;
            if self.progress >= self.size {
                self.progress = 0;
                self.size += 1;
            }
        }
        self.size = self.size.min(self.limits.max);
    }

    /// A probe sent at `sent` is known to be lost: leaves slow start and, if the loss is `excessive`, shrinks.
    ///
    /// It shrinks once per burst: probes sent before the last decrease tell nothing new.
    pub fn handle_loss(&mut self, now: Instant, sent: Instant, loss: Loss) {
        self.threshold = self.threshold.min(self.size);
        if loss == Loss::Tolerable || self.reduced.is_some_and(|reduced| sent <= reduced) {
            return;
        }
        self.reduced = Some(now);
        let kept = u64::from(self.size) * u64::from(self.limits.kept_per_mille) / 1000;
        self.size = u32::try_from(kept).unwrap_or(u32::MAX).clamp(self.limits.min, self.limits.max);
        self.threshold = self.size;
        self.progress = 0;
    }
}

/// What a lost probe says about the sending rate.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Loss {
    /// The path loses about this much at any rate.
    Tolerable,
    /// More is lost than that.
    Excessive,
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::time::Duration;

    const LIMITS: WindowLimits =
        WindowLimits { initial: 10, min: 2, max: 100, threshold: 40, increment: 1, kept_per_mille: 500 };

    #[expect(clippy::disallowed_methods, reason = "tests need some instant to count from")]
    fn start() -> Instant {
        Instant::now()
    }

    #[test]
    fn it_doubles_per_round_trip_and_then_creeps() {
        let mut window = Window::new(LIMITS);
        for _ in 0..30 {
            window.handle_answer();
        }
        assert_eq!(window.size(), 40);
        for _ in 0..40 {
            window.handle_answer();
        }
        assert_eq!(window.size(), 41);
        for _ in 0..100_000 {
            window.handle_answer();
        }
        assert_eq!(window.size(), 100);
    }

    #[test]
    fn one_burst_of_losses_is_one_decrease() {
        let now = start();
        let later = now + Duration::from_millis(5);
        let mut window = Window::new(LIMITS);
        window.handle_loss(later, now, Loss::Excessive);
        window.handle_loss(later, now, Loss::Excessive);
        assert_eq!(window.size(), 5);
        let again = later + Duration::from_millis(5);
        for _ in 0..9 {
            window.handle_loss(again + Duration::from_millis(1), again, Loss::Excessive);
        }
        assert_eq!(window.size(), 2);
    }

    #[test]
    fn tolerable_loss_ends_slow_start_and_keeps_the_size() {
        let now = start();
        let mut window = Window::new(LIMITS);
        window.handle_loss(now, now, Loss::Tolerable);
        assert_eq!(window.size(), 10);
        for _ in 0..10 {
            window.handle_answer();
        }
        assert_eq!(window.size(), 11);
    }
}
