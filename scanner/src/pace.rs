//! The pace a user asks for, over that of the timing template: rates, delays, time-outs, limits.

use std::time::Duration;

use thiserror::Error;

use crate::pacer::Rate;
use crate::plan::{AnswerLimits, Settings};

/// Explicit options of pace; what is `None` is left to the template, wherever `-T` stands on the line (spec 5.1).
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct Pace {
    /// `--min-rate`: never fewer probes a second, while there is something to send.
    pub min_rate: Option<Rate>,
    /// `--max-rate`: never more.
    pub max_rate: Option<Rate>,
    /// `--scan-delay`: least time between two probes to one host.
    pub scan_delay: Option<Duration>,
    /// `--max-scan-delay`: the longest delay the scan may impose on a host by itself.
    pub scan_delay_max: Option<Duration>,
    /// `--initial-rtt-timeout`.
    pub rtt_initial: Option<Duration>,
    /// `--min-rtt-timeout`.
    pub rtt_min: Option<Duration>,
    /// `--max-rtt-timeout`.
    pub rtt_max: Option<Duration>,
    /// `--max-retries`.
    pub retries_max: Option<u8>,
    /// `--host-timeout`; zero is never, also where the template has one.
    pub host_timeout: Option<Duration>,
    /// `--min-parallelism`.
    pub parallelism_min: Option<u32>,
    /// `--max-parallelism`.
    pub parallelism_max: Option<u32>,
    /// `--min-hostgroup`.
    pub hosts_min: Option<u32>,
    /// `--max-hostgroup`.
    pub hosts_max: Option<u32>,
    /// `--max-runtime`: when the whole scan ends, with what is known by then.
    pub runtime_max: Option<Duration>,
    /// `--defeat-rst-ratelimit`: a host that limits its resets does not slow the scan.
    pub answer_limits: AnswerLimits,
}

/// Options that contradict each other.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
#[non_exhaustive]
pub enum PaceError {
    /// A minimum above the maximum.
    #[error("{least} is above {most}; exchange them, or leave one out")]
    Crossed {
        /// The option of the minimum.
        least: &'static str,
        /// The option of the maximum.
        most: &'static str,
    },
    /// A time-out no answer can keep.
    #[error("--max-rtt-timeout must be at least 5 ms, or answers of ordinary networks come too late")]
    TooShort,
}

impl Pace {
    /// Checks the options against each other.
    ///
    /// # Errors
    /// If a minimum is above its maximum, or the longest time-out too short for any network.
    pub fn check(&self) -> Result<(), PaceError> {
        let crossed = |crossed: bool, least, most| match crossed {
            true => Err(PaceError::Crossed { least, most }),
            false => Ok(()),
        };
        let above = |least: Option<u32>, most: Option<u32>| least > most && most.is_some();
        // A rate is ordered by the time between two probes.
        let rates = matches!((self.min_rate, self.max_rate), (Some(least), Some(most)) if least < most);
        crossed(rates, "--min-rate", "--max-rate")?;
        crossed(above(self.parallelism_min, self.parallelism_max), "--min-parallelism", "--max-parallelism")?;
        crossed(above(self.hosts_min, self.hosts_max), "--min-hostgroup", "--max-hostgroup")?;
        let above = |least: Option<Duration>, most: Option<Duration>| least > most && most.is_some();
        crossed(above(self.scan_delay, self.scan_delay_max), "--scan-delay", "--max-scan-delay")?;
        crossed(above(self.rtt_min, self.rtt_max), "--min-rtt-timeout", "--max-rtt-timeout")?;
        crossed(above(self.rtt_min, self.rtt_initial), "--min-rtt-timeout", "--initial-rtt-timeout")?;
        crossed(above(self.rtt_initial, self.rtt_max), "--initial-rtt-timeout", "--max-rtt-timeout")?;
        match self.rtt_max {
            Some(most) if most < Duration::from_millis(5) => Err(PaceError::TooShort),
            _ => Ok(()),
        }
    }

    /// Lines worth saying although the scan goes on.
    #[must_use]
    pub fn warnings(&self) -> Vec<String> {
        let mut warnings = Vec::new();
        if let Some(most) = self.rtt_max.filter(|most| *most < Duration::from_millis(20)) {
            warnings.push(format!(
                "WARNING: You specified a round-trip time timeout ({} ms) that is EXTRAORDINARILY SMALL.  Accuracy may \
                 suffer.",
                most.as_millis()
            ));
        }
        if self.parallelism_min.is_some_and(|least| least > 100) {
            warnings.push(
                "Warning: Your --min-parallelism option is pretty high!  This can hurt reliability."
                    .to_owned(),
            );
        }
        if self.parallelism_max.is_some_and(|most| most > 900) {
            warnings.push(
                "Warning: Your max-parallelism (-M) option is extraordinarily high, which can hurt reliability"
                    .to_owned(),
            );
        }
        warnings
    }

    /// Changes what the template says to what the user says.
    pub fn apply(&self, settings: &mut Settings) {
        let timing = &mut settings.timing;
        let mut rtt = timing.rtt;
        rtt = self.rtt_initial.map_or(rtt, |initial| rtt.with_initial(initial));
        rtt = self.rtt_max.map_or(rtt, |max| rtt.with_max(max));
        timing.rtt = self.rtt_min.map_or(rtt, |min| rtt.with_min(min));
        timing.retries_max = self.retries_max.unwrap_or(timing.retries_max);
        timing.scan_delay = self.scan_delay.unwrap_or(timing.scan_delay);
        if let Some(limit) = self.host_timeout {
            timing.host_timeout = (!limit.is_zero()).then_some(limit);
        }
        settings.scan_delay_max = self.scan_delay_max;
        settings.min_rate = self.min_rate;
        settings.max_rate = self.max_rate;
        settings.min_parallelism = self.parallelism_min;
        settings.max_parallelism = self.parallelism_max;
        settings.hosts_min = self.hosts_min;
        settings.hosts_max = self.hosts_max;
        settings.answer_limits = self.answer_limits;
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::template::Template;

    fn ms(value: u64) -> Duration {
        Duration::from_millis(value)
    }

    #[test]
    fn explicit_options_override_the_template_and_nothing_else() {
        let mut settings = Settings::new(Template::Insane, vec![1]);
        let before = settings.timing;
        Pace::default().apply(&mut settings);
        assert_eq!(settings.timing, before);
        let pace = Pace {
            rtt_max: Some(ms(100)),
            host_timeout: Some(Duration::ZERO),
            scan_delay: Some(ms(7)),
            hosts_max: Some(3),
            ..Pace::default()
        };
        pace.apply(&mut settings);
        assert_eq!((settings.timing.rtt.max, settings.timing.rtt.initial), (ms(100), ms(100)));
        assert_eq!(settings.timing.host_timeout, None);
        assert_eq!((settings.timing.scan_delay, settings.hosts_max), (ms(7), Some(3)));
        assert_eq!(settings.timing.retries_max, before.retries_max);
    }

    #[test]
    fn a_minimum_above_its_maximum_is_refused_by_name() {
        let rate = Rate::per_second;
        let crossed = |pace: Pace| pace.check().unwrap_err().to_string();
        let pace = Pace { min_rate: rate(100.0), max_rate: rate(10.0), ..Pace::default() };
        assert_eq!(crossed(pace), "--min-rate is above --max-rate; exchange them, or leave one out");
        let pace = Pace { parallelism_min: Some(2), parallelism_max: Some(1), ..Pace::default() };
        assert!(crossed(pace).starts_with("--min-parallelism"));
        let pace = Pace { rtt_min: Some(ms(9)), rtt_max: Some(ms(8)), ..Pace::default() };
        assert!(crossed(pace).starts_with("--min-rtt-timeout"));
        let pace = Pace { rtt_max: Some(ms(4)), ..Pace::default() };
        assert_eq!(pace.check(), Err(PaceError::TooShort));
        let pace = Pace { min_rate: rate(10.0), max_rate: rate(10.0), hosts_min: Some(4), ..Pace::default() };
        assert_eq!(pace.check(), Ok(()));
    }
}
