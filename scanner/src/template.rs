//! The timing templates `-T0` to `-T5`: the documented numbers (spec 5.1), and what the plan adds to them.

use std::time::Duration;

use crate::pacer::Rate;
use crate::rtt::RttLimits;
use crate::window::WindowLimits;

/// A timing template.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[non_exhaustive]
pub enum Template {
    /// `-T0`: one probe every five minutes.
    Paranoid,
    /// `-T1`: one probe every 15 seconds.
    Sneaky,
    /// `-T2`: one probe every 0.4 seconds.
    Polite,
    /// `-T3`, the default.
    #[default]
    Normal,
    /// `-T4`: for a fast and reliable network.
    Aggressive,
    /// `-T5`: gives up accuracy for speed.
    Insane,
}

impl Template {
    /// Every template in order of speed.
    pub const ALL: [Self; 6] =
        [Self::Paranoid, Self::Sneaky, Self::Polite, Self::Normal, Self::Aggressive, Self::Insane];

    /// The template with the given number (`0`) or name (`paranoid`).
    ///
    /// ```
    /// use scanner::template::Template;
    /// assert_eq!(Template::parse("4"), Some(Template::Aggressive));
    /// assert_eq!(Template::parse("sneaky"), Some(Template::Sneaky));
    /// assert_eq!(Template::parse("6"), None);
    /// ```
    #[must_use]
    pub fn parse(word: &str) -> Option<Self> {
        Self::ALL
            .into_iter()
            .enumerate()
            .find(|(number, template)| word == template.name() || word == number.to_string())
            .map(|(_, template)| template)
    }

    /// Most queries for names in flight to one server: the careful templates leave servers alone too.
    #[must_use]
    pub const fn dns_window_max(self) -> u32 {
        match self {
            Self::Paranoid => 1,
            Self::Sneaky => 4,
            Self::Polite => 16,
            Self::Normal | Self::Aggressive | Self::Insane => dns::WINDOW_MAX,
        }
    }

    /// The template's name.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Paranoid => "paranoid",
            Self::Sneaky => "sneaky",
            Self::Polite => "polite",
            Self::Normal => "normal",
            Self::Aggressive => "aggressive",
            Self::Insane => "insane",
        }
    }

    /// The template's numbers.
    #[must_use]
    pub fn timing(self) -> Timing {
        let ms = Duration::from_millis;
        let rtt = |initial, min, max| RttLimits::new(ms(initial), ms(min), ms(max));
        let normal = Timing {
            rtt: rtt(1000, 100, 10_000),
            retries_max: 10,
            scan_delay: Duration::ZERO,
            scan_delay_max_tcp: ms(1000),
            scan_delay_max_udp: ms(1000),
            parallelism: Parallelism::Dynamic,
            host_timeout: None,
            // The reference starts at 10 and slows at 75, because a silent host holds its window shut; here it does not.
            window: WindowLimits {
                initial: 50,
                min: 4,
                max: 300,
                threshold: 200,
                increment: 1,
                kept_per_mille: 667,
            },
            drop_threshold_percent: 30,
            silence_per_host: Rate::every(Duration::from_micros(1000)),
            silence_per_group: Rate::every(Duration::from_micros(100)),
        };
        let slow = |initial, max, delay| Timing {
            rtt: rtt(initial, 100, max),
            scan_delay: ms(delay),
            parallelism: Parallelism::Serial,
            ..normal
        };
        match self {
            Self::Paranoid => slow(300_000, 300_000, 300_000),
            Self::Sneaky => slow(15_000, 15_000, 15_000),
            Self::Polite => slow(1000, 10_000, 400),
            Self::Normal => normal,
            Self::Aggressive => Timing {
                rtt: rtt(500, 100, 1250),
                retries_max: 6,
                scan_delay_max_tcp: ms(10),
                window: WindowLimits { initial: 75, increment: 2, kept_per_mille: 750, ..normal.window },
                drop_threshold_percent: 40,
                silence_per_host: Rate::every(Duration::from_micros(667)),
                silence_per_group: Rate::every(Duration::from_micros(50)),
                ..normal
            },
            Self::Insane => Timing {
                rtt: rtt(250, 50, 300),
                retries_max: 2,
                scan_delay_max_tcp: ms(5),
                host_timeout: Some(Duration::from_secs(900)),
                window: WindowLimits { initial: 100, increment: 2, kept_per_mille: 800, ..normal.window },
                drop_threshold_percent: 40,
                silence_per_host: Rate::every(Duration::from_micros(333)),
                silence_per_group: Rate::every(Duration::from_micros(25)),
                ..normal
            },
        }
    }
}

/// Whether probes go one after the other.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Parallelism {
    /// One probe at a time in the whole scan.
    Serial,
    /// As many as the evidence allows.
    Dynamic,
}

/// The numbers of a template; options of the command line change single ones.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Timing {
    /// Bounds of the time-out.
    pub rtt: RttLimits,
    /// Most retransmissions of one probe.
    pub retries_max: u8,
    /// Least time between two probes to one host.
    pub scan_delay: Duration,
    /// The documented cap of a delay found by itself, for TCP. [`Settings`](crate::plan::Settings) says when it holds.
    pub scan_delay_max_tcp: Duration,
    /// The same for UDP.
    pub scan_delay_max_udp: Duration,
    /// One probe at a time, or many.
    pub parallelism: Parallelism,
    /// When a host is given up.
    pub host_timeout: Option<Duration>,
    /// The congestion window of a host.
    pub window: WindowLimits,
    /// Share of lost probes, in percent, beyond which a host is suspected to limit its answers.
    pub drop_threshold_percent: u8,
    /// Unanswered probes one host is sent: ours, the reference has no such bound and waits instead.
    pub silence_per_host: Rate,
    /// Unanswered probes all hosts together are sent.
    pub silence_per_group: Rate,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_documented_numbers() {
        // initial, min, max time-out, retries, delay, TCP delay cap (ms)
        let table = [
            (300_000, 100, 300_000, 10, 300_000, 1000),
            (15_000, 100, 15_000, 10, 15_000, 1000),
            (1000, 100, 10_000, 10, 400, 1000),
            (1000, 100, 10_000, 10, 0, 1000),
            (500, 100, 1250, 6, 0, 10),
            (250, 50, 300, 2, 0, 5),
        ];
        for (template, row) in Template::ALL.into_iter().zip(table) {
            let timing = template.timing();
            let ms = |d: Duration| d.as_millis();
            let found = (
                ms(timing.rtt.initial),
                ms(timing.rtt.min),
                ms(timing.rtt.max),
                timing.retries_max,
                ms(timing.scan_delay),
                ms(timing.scan_delay_max_tcp),
            );
            assert_eq!(found, row, "{template:?}");
            assert_eq!(timing.parallelism == Parallelism::Serial, template <= Template::Polite);
        }
    }

    #[test]
    fn numbers_and_names_are_understood() {
        for (number, template) in Template::ALL.into_iter().enumerate() {
            assert_eq!(Template::parse(&number.to_string()), Some(template));
            assert_eq!(Template::parse(template.name()), Some(template));
        }
        assert_eq!(Template::parse("-1"), None);
    }
}
