//! How far a scan has come, and when it may be done: honest numbers, or none.

use std::fmt::Write as _;
use std::net::IpAddr;
use std::time::{Duration, Instant};

use crate::counted::counted;

/// So often the speed is looked at.
const LOOK_EVERY: Duration = Duration::from_secs(1);
/// The share of a new speed in the smoothed one.
const NEW_SPEED: f64 = 0.25;
/// After so long without any progress an estimate would be a lie.
const STALLED_AFTER: Duration = Duration::from_secs(5);
/// Nobody believes an estimate beyond ten days.
const REMAINING_MAX: Duration = Duration::from_secs(10 * 24 * 3600);

/// Where a scan is.
#[derive(Debug, Clone, PartialEq)]
#[non_exhaustive]
pub struct Progress {
    /// Since the scan began.
    pub elapsed: Duration,
    /// Hosts that are reported.
    pub hosts_done: u64,
    /// Hosts found up.
    pub hosts_up: u64,
    /// Hosts at work.
    pub under_way: u64,
    /// What is done with them: `Connect Scan`.
    pub task: &'static str,
    /// The share of the task that is done, from 0 to 1.
    pub share: f64,
    /// How long it may take still, if that can be told.
    pub remaining: Option<Duration>,
    /// For how long nothing at all has moved.
    pub stalled: Duration,
    /// A host that is waited for.
    pub waiting_for: Option<IpAddr>,
    /// The time of day at which it may be done, as `HH:MM`.
    pub done_at: String,
    /// The same in seconds since 1970.
    pub done_epoch: u64,
}

impl Progress {
    /// A scan of which nothing is known yet.
    #[must_use]
    pub const fn new(task: &'static str, elapsed: Duration) -> Self {
        Self {
            elapsed,
            hosts_done: 0,
            hosts_up: 0,
            under_way: 0,
            task,
            share: 0.0,
            remaining: None,
            stalled: Duration::ZERO,
            waiting_for: None,
            done_at: String::new(),
            done_epoch: 0,
        }
    }

    /// The share in percent, rounded down: what is not done is never called done.
    #[must_use]
    pub fn percent(&self) -> f64 {
        (self.share * 10_000.0).floor().clamp(0.0, 9_999.0) / 100.0
    }

    /// `Stats: 0:00:02 elapsed; 0 hosts completed (1 up), 1 undergoing SYN Stealth Scan`
    #[must_use]
    pub fn stats(&self) -> String {
        format!(
            "Stats: {} elapsed; {} hosts completed ({} up), {} undergoing {}\n{}",
            clock(self.elapsed),
            self.hosts_done,
            self.hosts_up,
            self.under_way,
            self.task,
            self.timing()
        )
    }

    /// `SYN Stealth Scan Timing: About 30.50% done; ETC: 11:41 (0:01:11 remaining)`
    #[must_use]
    pub fn timing(&self) -> String {
        let mut text = format!("{} Timing: About {:.2}% done", self.task, self.percent());
        if self.stalled >= STALLED_AFTER {
            let _ = write!(text, "; no answer for {}", clock(self.stalled));
            if let Some(host) = self.waiting_for {
                let _ = write!(text, ", waiting for {host}");
            }
        } else {
            match self.remaining.filter(|_| self.share >= 0.01) {
                Some(left) if left > REMAINING_MAX => text.push_str("; ETC: Unknown (>10 days remaining)"),
                Some(left) => {
                    let _ = write!(text, "; ETC: {} ({} remaining)", self.done_at, clock(left));
                }
                None => {}
            }
        }
        text.push('\n');
        text
    }

    /// One short line for the bottom of a terminal.
    #[must_use]
    pub fn line(&self) -> String {
        let mut text = format!("{} {:.2}%", self.task, self.percent());
        match self.remaining {
            _ if self.stalled >= STALLED_AFTER => {
                let _ = write!(text, ", no answer for {}", clock(self.stalled));
            }
            Some(left) if self.share >= 0.01 && left <= REMAINING_MAX => {
                let _ = write!(text, ", {} left", clock(left));
            }
            _ => {}
        }
        let _ = write!(text, "; {} done, {} up", counted(self.hosts_done, "host", "hosts"), self.hosts_up);
        match self.waiting_for.filter(|_| self.under_way == 1) {
            Some(host) => {
                let _ = write!(text, "; at {host}");
            }
            None => {
                let _ = write!(text, "; at {}", counted(self.under_way, "host", "hosts"));
            }
        }
        text
    }
}

/// `0:01:11`
fn clock(time: Duration) -> String {
    let seconds = time.as_secs();
    format!("{}:{:02}:{:02}", seconds / 3600, seconds / 60 % 60, seconds % 60)
}

/// Estimates when a share will be whole, from how it grew.
#[derive(Debug, Clone, Copy)]
pub struct Estimate {
    began: Instant,
    looked: Instant,
    moved: Instant,
    /// Of the last look, and of the last move.
    share: f64,
    latest: f64,
    /// Of the whole, in a second.
    speed: Option<f64>,
}

impl Estimate {
    /// Begins with nothing done.
    #[must_use]
    pub const fn new(now: Instant) -> Self {
        Self { began: now, looked: now, moved: now, share: 0.0, latest: 0.0, speed: None }
    }

    /// Takes note of the share that is done now. `active`: something was heard, even if no share grew by it.
    pub fn note(&mut self, now: Instant, share: f64, active: bool) {
        if share > self.latest || active {
            self.moved = now;
        }
        self.latest = share;
        let passed = now.saturating_duration_since(self.looked);
        if passed < LOOK_EVERY {
            return;
        }
        let new = (share - self.share).max(0.0) / passed.as_secs_f64();
        self.speed = Some(match self.speed {
            Some(old) => NEW_SPEED * new + (1.0 - NEW_SPEED) * old,
            None => share / now.saturating_duration_since(self.began).as_secs_f64().max(1e-9),
        });
        self.looked = now;
        self.share = share;
    }

    /// How long the rest may take.
    #[must_use]
    pub fn remaining(&self) -> Option<Duration> {
        let speed = self.speed.filter(|speed| *speed > 0.0)?;
        Duration::try_from_secs_f64((1.0 - self.latest).max(0.0) / speed).ok()
    }

    /// For how long nothing has moved.
    #[must_use]
    pub fn stalled(&self, now: Instant) -> Duration {
        now.saturating_duration_since(self.moved)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(share: f64) -> Progress {
        let mut progress = Progress::new("SYN Stealth Scan", Duration::from_secs(2));
        progress.share = share;
        progress.hosts_up = 1;
        progress.under_way = 1;
        progress.remaining = Some(Duration::from_secs(71));
        progress.done_at = "11:41".to_owned();
        progress
    }

    #[test]
    fn the_words_are_those_of_the_original() {
        let stats = at(0.305).stats();
        let expected = "Stats: 0:00:02 elapsed; 0 hosts completed (1 up), 1 undergoing SYN Stealth Scan\n\
            SYN Stealth Scan Timing: About 30.50% done; ETC: 11:41 (0:01:11 remaining)\n";
        assert_eq!(stats, expected);
        assert_eq!(at(0.0031).timing(), "SYN Stealth Scan Timing: About 0.31% done\n");
        let mut long = at(0.5);
        long.remaining = Some(Duration::from_secs(11 * 24 * 3600));
        assert!(long.timing().ends_with("; ETC: Unknown (>10 days remaining)\n"));
    }

    #[test]
    fn silence_is_told_and_nothing_is_called_done_that_is_not() {
        let mut silent = at(0.999_999);
        silent.stalled = Duration::from_secs(12);
        silent.waiting_for = "198.18.0.9".parse().ok();
        assert_eq!(
            silent.timing(),
            "SYN Stealth Scan Timing: About 99.99% done; no answer for 0:00:12, waiting for 198.18.0.9\n"
        );
        assert!(silent.line().contains("no answer for 0:00:12") && !silent.line().contains("left"));
        assert_eq!(at(1.0).percent(), 99.99);
        assert_eq!(at(-1.0).percent(), 0.0);
    }

    #[test]
    #[expect(clippy::disallowed_methods, reason = "any moment will do to count from")]
    fn an_even_pace_is_estimated_exactly_and_a_change_followed() {
        let began = Instant::now();
        let mut estimate = Estimate::new(began);
        let second = |number: u64| began + Duration::from_secs(number);
        for number in 1..=10 {
            estimate.note(second(number), number as f64 / 100.0, false);
        }
        let left = estimate.remaining().unwrap();
        assert!(left.abs_diff(Duration::from_secs(90)) < Duration::from_millis(1), "{left:?}");
        assert_eq!(estimate.stalled(second(10)), Duration::ZERO);
        for number in 11..=30 {
            estimate.note(second(number), 0.1, false);
        }
        assert!(estimate.remaining().unwrap() > Duration::from_secs(900));
        assert_eq!(estimate.stalled(second(30)), Duration::from_secs(20));
        assert_eq!(Estimate::new(began).remaining(), None);
    }
}
