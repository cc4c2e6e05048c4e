//! Tells a limit on a host's answers from loss, and paces probes to it.
//!
//! Both show as retries that are answered. The difference: at a lower rate a lossy path brings fewer answers, and a
//! limited host as many as before. So on suspicion the rate is cut, and the answers are counted.

use std::time::{Duration, Instant};

use super::settings::AnswerLimits;
use crate::pacer::{MaxRate, Rate};

/// Answers by which a stretch of time is judged while nothing is suspected.
const FREE_ANSWERS: u32 = 4;
/// Answers that would have come at the old rate before a cut or raised rate is judged.
const TRIAL_ANSWERS: f64 = 8.0;
/// Shortest and longest stretch that is judged.
const SPAN_MIN: Duration = Duration::from_millis(200);
/// See [`SPAN_MIN`].
const SPAN_MAX: Duration = Duration::from_secs(2);
/// Two stretches in which so much as this part of the answers of one is missing in the other are not steady.
const STEADY: f64 = 0.6;
/// However deep the cut, a limit keeps at least this part of the answers coming.
const LIMIT_KEPT: f64 = 0.5;
/// From this share on it is taken for all.
const RETRIED_ONLY: f64 = 0.9;
/// A limited host is sent this many times what it answers: its limit stays used up.
const GAIN: f64 = 1.25;
/// Every so many stretches a limited host is sent twice as much, to see whether the limit is still there.
const RAISE_EVERY: u32 = 4;
/// Twice as many probes must bring this many times the answers, or the limit holds.
const RAISE_FACTOR: f64 = 1.5;
/// Last tries are this many times as far apart as the limit asks.
const CAUTION: f64 = 1.25;
/// Fewer answers than this part of what a limit allows mean that few ports are left that answer at all.
const DRIED_UP: f64 = 0.25;
/// After a wrong suspicion the next one waits this long; doubled each time.
const COOL_DOWN: Duration = Duration::from_secs(1);

/// What is lost with a probe that is not answered.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Worth {
    /// A try; there will be another.
    Try,
    /// The last chance of its port, or of those that follow.
    LastTry,
}

/// Counts over one stretch of time.
#[derive(Clone, Copy, Debug)]
struct Span {
    started: Instant,
    sent: u32,
    answered: u32,
    // Of the sent, the last tries.
    last: u32,
    // Of the answered, those to a retry.
    retried: u32,
}

impl Span {
    const fn new(started: Instant) -> Self {
        Self { started, sent: 0, last: 0, answered: 0, retried: 0 }
    }
}

/// Probes and answers per second.
#[derive(Clone, Copy, Debug)]
struct Flow {
    sent: f64,
    answered: f64,
}

/// What is believed about a host's answers.
#[derive(Clone, Copy, Debug)]
enum Belief {
    /// They are not limited. After a suspicious stretch, its answers per second.
    Free { suspicion: Option<f64> },
    /// They may be: the rate was cut, from this flow.
    Trial { before: Flow },
    /// They are: so many answers came per second.
    Limited { answered: f64, spans: u32 },
    /// They were: the rate was raised to see whether they still are.
    Raised { answered: f64 },
}

/// The limiter of one host.
#[derive(Clone, Debug)]
pub(super) struct Limiter {
    span: Span,
    belief: Belief,
    // Share of retries among the answers that raises suspicion.
    threshold: f64,
    // Probes sent per answer of a limited host: more than the gain if many of its ports are silent.
    ratio: f64,
    // Above this rate a host is taken to be free.
    free_above: f64,
    rate_min: f64,
    pacer: Option<MaxRate>,
    cool_down: Duration,
    trusted_until: Instant,
    // The last limit that was believed for a while, for the report.
    seen: Option<Rate>,
}

impl Limiter {
    /// Starts without suspicion. `delay_max` bounds the delay between probes it may ask for.
    pub(super) fn new(
        now: Instant,
        threshold_percent: u8,
        delay_max: Option<Duration>,
        limits: AnswerLimits,
    ) -> Self {
        Self {
            span: Span::new(now),
            belief: Belief::Free { suspicion: None },
            // No share is above all.
            threshold: match limits {
                AnswerLimits::Respected => f64::from(threshold_percent) / 100.0,
                AnswerLimits::Defied => f64::INFINITY,
            },
            ratio: GAIN,
            free_above: f64::INFINITY,
            rate_min: delay_max.map_or(0.1, |delay| Rate::every(delay).probes_per_second()),
            pacer: None,
            cool_down: COOL_DOWN,
            trusted_until: now,
            seen: None,
        }
    }

    /// When the host's next probe may go: `None` for now.
    pub(super) fn wait(&self, now: Instant) -> Option<Instant> {
        self.pacer.and_then(|pacer| pacer.wait(now))
    }

    /// The limit that was found, if one was.
    pub(super) const fn seen(&self) -> Option<Rate> {
        self.seen
    }

    /// The limit believed now.
    fn limit(&self) -> Option<Rate> {
        match self.belief {
            Belief::Limited { answered, .. } | Belief::Raised { answered } => Rate::per_second(answered),
            Belief::Free { .. } | Belief::Trial { .. } => None,
        }
    }

    /// True if no limit is believed or tried.
    pub(super) const fn is_free(&self) -> bool {
        matches!(self.belief, Belief::Free { .. })
    }

    /// A probe was sent. Around last tries the next probe waits until the limit surely allows another answer, so that
    /// they are not wasted on a limit that is used up.
    pub(super) fn handle_sent(&mut self, now: Instant, worth: Worth) {
        self.span.sent += 1;
        let last = worth == Worth::LastTry;
        self.span.last += u32::from(last);
        let limit = self.limit();
        let Some(pacer) = &mut self.pacer else { return };
        pacer.take(now);
        if let Some(limit) = limit.filter(|_| last) {
            pacer.postpone(now + limit.interval().mul_f64(CAUTION));
        }
    }

    /// A port answered, to try `try_number`.
    pub(super) fn handle_answer(&mut self, now: Instant, try_number: u8, round_trip: Duration) {
        self.span.answered += 1;
        self.span.retried += u32::from(try_number > 0);
        self.judge(now, round_trip);
    }

    /// Looks at the present stretch if it is long enough. Time alone can end it, so this is to be called without
    /// answers too.
    pub(super) fn judge(&mut self, now: Instant, round_trip: Duration) {
        let elapsed = now.saturating_duration_since(self.span.started);
        if elapsed < SPAN_MIN.max(2 * round_trip) {
            return;
        }
        let seconds = elapsed.as_secs_f64();
        let over = match self.belief {
            Belief::Free { .. } => self.span.answered >= FREE_ANSWERS,
            Belief::Trial { before } => before.answered * seconds >= TRIAL_ANSWERS,
            Belief::Limited { answered, .. } | Belief::Raised { answered } => {
                answered * seconds >= TRIAL_ANSWERS
            }
        };
        if !over && elapsed < SPAN_MAX.max(4 * round_trip) {
            return;
        }
        let span = std::mem::replace(&mut self.span, Span::new(now));
        let flow =
            Flow { sent: f64::from(span.sent) / seconds, answered: f64::from(span.answered) / seconds };
        match self.belief {
            Belief::Free { suspicion } => self.suspect(now, span, flow, suspicion),
            Belief::Trial { before } => self.decide(now, flow, before),
            // The rate was held below the limit on purpose, so the answers tell nothing about it.
            Belief::Limited { answered, .. } if 4 * span.last > span.sent => {
                if flow.answered < DRIED_UP * answered {
                    self.release(now);
                }
            }
            Belief::Limited { answered, spans } => self.follow(now, flow, answered, spans),
            Belief::Raised { answered } => self.compare(flow, answered),
        }
    }

    /// Many answered retries are suspicious, if as many come in two stretches, or if nothing but retries is answered.
    fn suspect(&mut self, now: Instant, span: Span, flow: Flow, suspicion: Option<f64>) {
        let retried = f64::from(span.retried) / f64::from(span.answered.max(1));
        let suspicious = span.answered >= FREE_ANSWERS
            && retried > self.threshold
            && now >= self.trusted_until
            && GAIN * flow.answered < 0.9 * flow.sent;
        let steady =
            suspicion.is_some_and(|before| flow.answered.min(before) >= STEADY * flow.answered.max(before));
        if suspicious && (steady || retried > RETRIED_ONLY) {
            self.belief = Belief::Trial { before: flow };
            self.ratio = GAIN;
            self.free_above = 2.0 * flow.sent;
            self.pace(GAIN * flow.answered);
        } else {
            self.belief = Belief::Free { suspicion: suspicious.then_some(flow.answered) };
        }
    }

    /// The rate was cut: did the answers fall with it?
    fn decide(&mut self, now: Instant, flow: Flow, before: Flow) {
        let cut = (flow.sent / before.sent).min(1.0);
        if flow.answered >= before.answered * cut.sqrt().max(LIMIT_KEPT) {
            self.belief = Belief::Limited { answered: flow.answered, spans: 0 };
            self.pace(self.ratio * flow.answered);
        } else {
            self.release(now);
        }
    }

    /// Keeps to what the host answers.
    fn follow(&mut self, now: Instant, flow: Flow, answered: f64, spans: u32) {
        if flow.answered < DRIED_UP * answered {
            return self.release(now);
        }
        let answered = f64::midpoint(answered, flow.answered);
        self.seen = Rate::per_second(answered);
        if spans >= RAISE_EVERY {
            self.belief = Belief::Raised { answered };
            self.pace(2.0 * self.ratio * answered);
        } else {
            self.belief = Belief::Limited { answered, spans: spans + 1 };
            self.pace(self.ratio * answered);
        }
        if 2.0 * self.ratio * answered > self.free_above {
            self.seen = None;
            self.release(now);
        }
    }

    /// The rate was raised: did the answers rise with it?
    fn compare(&mut self, flow: Flow, answered: f64) {
        if flow.answered >= RAISE_FACTOR * answered {
            self.ratio = (2.0 * self.ratio * answered / flow.answered).max(GAIN);
            // Look again soon: the limit may be far.
            self.belief = Belief::Limited { answered: flow.answered, spans: RAISE_EVERY };
            self.pace(self.ratio * flow.answered);
        } else {
            self.belief = Belief::Limited { answered, spans: 0 };
            self.pace(self.ratio * answered);
        }
    }

    fn pace(&mut self, rate: f64) {
        self.pacer = Rate::per_second(rate.max(self.rate_min)).map(MaxRate::new);
    }

    fn release(&mut self, now: Instant) {
        self.belief = Belief::Free { suspicion: None };
        self.pacer = None;
        self.trusted_until = now + self.cool_down;
        self.cool_down *= 2;
    }
}
