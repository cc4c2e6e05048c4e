//! The options of pace, from words to a [`Pace`].

use std::ffi::{OsStr, OsString};
use std::time::Duration;

use super::UsageError;
use super::values::Values;
use crate::pace::Pace;
use crate::pacer::Rate;
use crate::plan::AnswerLimits;

/// Largest number of probes or hosts at a time that can be asked for.
const COUNT_MAX: u64 = 100_000;
/// Longest time that can be asked for: no clock of a scan reaches further.
const TIME_MAX: Duration = Duration::from_secs(10 * 365 * 86_400);
/// From this many seconds on a round-trip time without a unit was meant in milliseconds.
const ROUND_TRIP_SECONDS_MAX: f64 = 50.0;
/// The same for a delay between probes.
const DELAY_SECONDS_MAX: f64 = 100.0;
/// The same for the time a host or a scan may take.
const RUN_SECONDS_MAX: f64 = 100_000.0;

impl Values<'_> {
    /// Reads every option of pace.
    pub(super) fn pace(&self) -> Result<Pace, UsageError> {
        let round_trip = |name: &'static str| self.time(name, ROUND_TRIP_SECONDS_MAX);
        let delay = |name: &'static str| self.time(name, DELAY_SECONDS_MAX);
        let pace = Pace {
            min_rate: self.rate("--min-rate")?,
            max_rate: self.rate("--max-rate")?,
            scan_delay: delay("--scan-delay")?,
            scan_delay_max: delay("--max-scan-delay")?,
            rtt_initial: round_trip("--initial-rtt-timeout")?,
            rtt_min: round_trip("--min-rtt-timeout")?,
            rtt_max: round_trip("--max-rtt-timeout")?,
            retries_max: self
                .count("--max-retries", 0, u64::from(u8::MAX))?
                .and_then(|most| u8::try_from(most).ok()),
            host_timeout: self.time("--host-timeout", RUN_SECONDS_MAX)?,
            parallelism_min: self.count("--min-parallelism", 1, COUNT_MAX)?,
            parallelism_max: self.count("--max-parallelism", 1, COUNT_MAX)?,
            hosts_min: self.count("--min-hostgroup", 1, COUNT_MAX)?,
            hosts_max: self.count("--max-hostgroup", 1, COUNT_MAX)?,
            runtime_max: self.time("--max-runtime", RUN_SECONDS_MAX)?,
            answer_limits: match self.matches.get_flag("defeat-rst-ratelimit") {
                true => AnswerLimits::Defied,
                false => AnswerLimits::Respected,
            },
        };
        pace.check().map_err(|why| UsageError::new(why.to_string()))?;
        Ok(pace)
    }

    /// Reads a number of things, if the option was given.
    pub(super) fn count(&self, option: &'static str, min: u64, max: u64) -> Result<Option<u32>, UsageError> {
        let Some(value) = self.once(option.trim_start_matches('-'), option)? else { return Ok(None) };
        self.number(option, &value, min, max).map(|number| u32::try_from(number).ok())
    }

    fn rate(&self, option: &'static str) -> Result<Option<Rate>, UsageError> {
        let Some(value) = self.once(option.trim_start_matches('-'), option)? else { return Ok(None) };
        let rate = value.to_str().and_then(|text| text.parse().ok()).and_then(Rate::per_second);
        let wanted = "a rate, in packets per second, above 0, such as 100 or 0.5";
        rate.map(Some).ok_or_else(|| self.refuse(option, &value, wanted))
    }

    /// Reads a time, if the option was given; without a unit it may be at most `seconds_max`.
    pub(super) fn time(
        &self,
        option: &'static str,
        seconds_max: f64,
    ) -> Result<Option<Duration>, UsageError> {
        let name = option.trim_start_matches('-');
        let Some(value): Option<OsString> = self.once(name, option)? else { return Ok(None) };
        match time(&value) {
            Some(Time { seconds, unit: Unit::Missing }) if seconds >= seconds_max => {
                let minutes = seconds / 60.0;
                Err(self.refuse(
                    option,
                    &value,
                    &format!(
                        "clear: without a unit it is seconds ({minutes:.1} minutes); write ms, s, m or h"
                    ),
                ))
            }
            Some(Time { seconds, .. }) => Ok(Some(Duration::from_secs_f64(seconds))),
            None => Err(self.refuse(
                option,
                &value,
                "a time, such as 500ms, 2s, 5m or 1h (without unit: seconds)",
            )),
        }
    }
}

/// A time as it was written.
#[derive(Debug, Clone, Copy, PartialEq)]
struct Time {
    seconds: f64,
    unit: Unit,
}

/// Whether a time was written with its unit.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Unit {
    Written,
    Missing,
}

/// Reads `500ms`, `2s`, `5m`, `1h` or plain seconds.
fn time(value: &OsStr) -> Option<Time> {
    let text = value.to_str()?;
    let digits = text.find(|character: char| !character.is_ascii_digit() && character != '.');
    let (number, unit) = text.split_at(digits.unwrap_or(text.len()));
    let scale = match unit {
        "" | "s" => 1.0,
        "ms" => 1e-3,
        "m" => 60.0,
        "h" => 3600.0,
        _ => return None,
    };
    let seconds = number.parse::<f64>().ok()? * scale;
    let unit = if unit.is_empty() { Unit::Missing } else { Unit::Written };
    (seconds <= TIME_MAX.as_secs_f64()).then_some(Time { seconds, unit })
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn seconds(text: &str) -> Option<f64> {
        time(OsStr::new(text)).map(|time| time.seconds)
    }

    #[test]
    fn times_have_units_and_seconds_are_the_default() {
        let table = [
            ("500ms", 0.5),
            ("2", 2.0),
            ("2s", 2.0),
            ("1.5m", 90.0),
            ("1h", 3600.0),
            (".5", 0.5),
            ("0", 0.0),
        ];
        for (text, expected) in table {
            assert_eq!(seconds(text), Some(expected), "{text}");
        }
        for text in ["", "s", "-1", "+1", "1e3", "1 s", "1.2.3", "1d", "inf", "NaN", "99999999999h", "."] {
            assert_eq!(seconds(text), None, "{text}");
        }
    }

    proptest! {
        #[test]
        fn any_text_is_a_time_in_bounds_or_none(text in ".{0,12}") {
            if let Some(seconds) = seconds(&text) {
                prop_assert!((0.0..=TIME_MAX.as_secs_f64()).contains(&seconds));
            }
        }
    }
}
