//! What answers tell about loss: how many tries are worth making, and whether a host limits its answers.

use std::time::{Duration, Instant};

use crate::pacer::{MaxRate, Rate};
use crate::window::Loss;

/// Retries go on until fewer answering ports than this are expected to have been missed.
const MISSED_MAX: f64 = 0.01;
/// Answered first tries assumed before any was seen, so that one lucky retry does not look like heavy loss.
const PRIOR_ANSWERS: f64 = 8.0;

/// How many tries answers took.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub(super) struct Tries {
    answered: u32,
    lost: u32,
    highest: u8,
}

impl Tries {
    /// An answer to try `try_number` arrived; the tries before it were lost.
    pub(super) fn handle_answer(&mut self, try_number: u8) {
        self.answered = self.answered.saturating_add(1);
        self.lost = self.lost.saturating_add(u32::from(try_number));
        self.highest = self.highest.max(try_number);
    }

    /// How many retries an unanswered probe is worth, at most `max`.
    ///
    /// One more than ever brought an answer (as the reference does, spec 5.5), or as many as it takes until, at the
    /// loss seen so far, a missed answer is unlikely: with `a` answers and a share `q` of lost tries, `n` tries
    /// leave about `a * q^n` answers behind.
    pub(super) fn retries_worth(&self, max: u8) -> u8 {
        let answered = f64::from(self.answered);
        let lost = f64::from(self.lost);
        let share = lost / (lost + answered + PRIOR_ANSWERS);
        let mut missed = answered * share;
        let mut retries = self.highest.saturating_add(1).min(max);
        for _ in 0..retries {
            missed *= share;
        }
        while retries < max && missed / (1.0 - share) > MISSED_MAX {
            missed *= share;
            retries += 1;
        }
        retries
    }
}

/// Answers after which an undisturbed host's loss is judged.
const FREE_ANSWERS: u32 = 16;
/// The same for a host whose answers are limited, since they are rare.
const LIMITED_ANSWERS: u32 = 4;
/// Shortest time over which a rate is measured.
const SPAN_MIN: Duration = Duration::from_millis(200);
/// After this time without enough answers there is nothing to judge.
const SPAN_MAX: Duration = Duration::from_secs(2);
/// A limited host is sent this many times what it answers: its limit stays used up, and a raised limit is noticed.
const GAIN: f64 = 1.25;
/// Loss above what the path has anyway, in shares, beyond which the window shrinks.
const TOLERANCE: f64 = 0.125;
/// Weight of a new answer in the running share of losses.
const WEIGHT: f64 = 1.0 / 32.0;

/// Counts over one span of time.
#[derive(Clone, Copy, Debug)]
struct Span {
    started: Instant,
    sent: u32,
    answered: u32,
    lost: u32,
}

impl Span {
    const fn new(started: Instant) -> Self {
        Self { started, sent: 0, answered: 0, lost: 0 }
    }

    fn share_lost(&self) -> f64 {
        f64::from(self.lost) / f64::from((self.lost + self.answered).max(1))
    }
}

/// What is believed about a host's answers.
#[derive(Clone, Copy, Debug)]
enum Belief {
    /// They are not limited.
    Free,
    /// They may be: the rate was cut, and now it shows whether fewer answers come. If they do, the path loses that
    /// share at any rate.
    Trial { sent_per_second: f64, answers_per_second: f64, share_lost: f64 },
    /// They are: as many came at the lower rate. Above the stated rate the host is taken to be free again.
    Limited { free_above: f64 },
}

/// What a new belief changes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Change {
    /// Nothing.
    None,
    /// The rate was cut, so losses of earlier tries no longer count.
    Slowed,
}

/// Tells a limit on answers from loss, and paces probes to it.
///
/// Both show as retries that are answered. The difference: at a lower rate a lossy path brings fewer answers and a
/// limited host as many as before.
#[derive(Clone, Debug)]
pub(super) struct Limiter {
    span: Span,
    belief: Belief,
    // Share of tries the path loses at any rate.
    tolerated: f64,
    recent: f64,
    threshold: f64,
    rate: f64,
    rate_min: f64,
    pacer: Option<MaxRate>,
}

impl Limiter {
    /// Starts without suspicion. `delay_max` bounds the delay between probes it may ask for.
    pub(super) fn new(now: Instant, threshold_percent: u8, delay_max: Option<Duration>) -> Self {
        Self {
            span: Span::new(now),
            belief: Belief::Free,
            tolerated: 0.0,
            recent: 0.0,
            threshold: f64::from(threshold_percent) / 100.0,
            rate: f64::INFINITY,
            rate_min: delay_max.map_or(0.1, |delay| Rate::every(delay).probes_per_second()),
            pacer: None,
        }
    }

    /// When the host's next probe may go: `None` for now.
    pub(super) fn wait(&self, now: Instant) -> Option<Instant> {
        self.pacer.and_then(|pacer| pacer.wait(now))
    }

    /// The limit, if there is one.
    pub(super) fn limit(&self) -> Option<Rate> {
        match self.belief {
            Belief::Limited { .. } => Rate::per_second(self.rate / GAIN),
            Belief::Free | Belief::Trial { .. } => None,
        }
    }

    /// Whether the losses of late are more than the path's own.
    pub(super) fn loss(&self) -> Loss {
        if self.recent > self.tolerated + TOLERANCE { Loss::Excessive } else { Loss::Tolerable }
    }

    /// A probe was sent.
    pub(super) fn handle_sent(&mut self, now: Instant) {
        self.span.sent += 1;
        if let Some(pacer) = &mut self.pacer {
            pacer.take(now);
        }
    }

    /// An answer came; `lost` says that the try before it was lost, and was sent at the present rate.
    pub(super) fn handle_answer(&mut self, now: Instant, lost: bool, round_trip: Duration) -> Change {
        self.span.answered += 1;
        self.span.lost += u32::from(lost);
        self.recent += (f64::from(u8::from(lost)) - self.recent) * WEIGHT;
        self.judge(now, round_trip)
    }

    /// Looks at the span if it is long enough. To be called now and then even without answers.
    pub(super) fn judge(&mut self, now: Instant, round_trip: Duration) -> Change {
        let elapsed = now.saturating_duration_since(self.span.started);
        if elapsed < SPAN_MIN.max(2 * round_trip) {
            return Change::None;
        }
        let enough = match self.belief {
            Belief::Free => FREE_ANSWERS,
            Belief::Trial { .. } | Belief::Limited { .. } => LIMITED_ANSWERS,
        };
        if self.span.answered < enough && elapsed < SPAN_MAX.max(4 * round_trip) {
            return Change::None;
        }
        let span = std::mem::replace(&mut self.span, Span::new(now));
        let seconds = elapsed.as_secs_f64();
        if span.answered < enough {
            self.handle_silence();
            return Change::None;
        }
        self.handle_span(span, f64::from(span.sent) / seconds, f64::from(span.answered) / seconds)
    }

    /// Hardly anything answers, so a limit cannot be what holds answers back: speed up.
    fn handle_silence(&mut self) {
        match self.belief {
            Belief::Free => {}
            Belief::Trial { sent_per_second, .. } => {
                self.belief = Belief::Limited { free_above: sent_per_second };
                self.pace(2.0 * self.rate);
            }
            Belief::Limited { .. } => self.pace(2.0 * self.rate),
        }
    }

    fn handle_span(&mut self, span: Span, sent_per_second: f64, answers_per_second: f64) -> Change {
        let share_lost = span.share_lost();
        match self.belief {
            Belief::Free if share_lost <= self.tolerated + self.threshold => Change::None,
            Belief::Free if GAIN * answers_per_second >= 0.9 * sent_per_second => {
                // A cut would hardly change the rate: this loss is not of our making.
                self.tolerated = share_lost;
                Change::None
            }
            Belief::Free => {
                self.belief = Belief::Trial { sent_per_second, answers_per_second, share_lost };
                self.pace(GAIN * answers_per_second);
                Change::Slowed
            }
            Belief::Trial {
                sent_per_second: before,
                answers_per_second: answers_before,
                share_lost: lost,
            } => {
                let cut = (sent_per_second / before).min(1.0);
                if answers_per_second >= answers_before * cut.sqrt() {
                    self.belief = Belief::Limited { free_above: 2.0 * before };
                } else {
                    self.tolerated = lost;
                    self.release();
                }
                Change::None
            }
            Belief::Limited { .. } => {
                if share_lost > 0.35 {
                    self.pace((GAIN * answers_per_second).max(0.7 * self.rate));
                    return Change::Slowed;
                }
                // Less loss than the gain must cause at the limit: the limit is higher.
                if share_lost < 0.12 {
                    self.pace(GAIN * self.rate);
                }
                Change::None
            }
        }
    }

    fn pace(&mut self, rate: f64) {
        self.rate = rate.max(self.rate_min);
        if matches!(self.belief, Belief::Limited { free_above } if self.rate > free_above) {
            return self.release();
        }
        self.pacer = Rate::per_second(self.rate).map(MaxRate::new);
    }

    fn release(&mut self) {
        self.belief = Belief::Free;
        self.rate = f64::INFINITY;
        self.pacer = None;
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn tries(answers: &[u32]) -> Tries {
        let mut tries = Tries::default();
        for (try_number, &count) in (0u8..).zip(answers) {
            for _ in 0..count {
                tries.handle_answer(try_number);
            }
        }
        tries
    }

    #[test]
    fn retries_follow_the_loss() {
        assert_eq!(tries(&[]).retries_worth(10), 1, "silence gets one retry");
        assert_eq!(tries(&[1000]).retries_worth(10), 1, "no loss seen");
        assert_eq!(tries(&[1, 1]).retries_worth(10), 2, "one lucky retry is no heavy loss");
        assert_eq!(tries(&[9000, 900, 90]).retries_worth(10), 5);
        assert_eq!(tries(&[64, 23, 8]).retries_worth(10), 8);
        assert_eq!(tries(&[64, 23, 8]).retries_worth(6), 6, "the cap holds");
        assert_eq!(tries(&[64, 23, 8]).retries_worth(0), 0);
    }

    proptest! {
        #[test]
        fn retries_stay_below_the_cap(answers in proptest::collection::vec(0u32..500, 0..12), max in 0u8..20) {
            let worth = tries(&answers).retries_worth(max);
            prop_assert!(worth <= max);
            prop_assert!(max == 0 || worth >= 1);
        }
    }
}
