//! What is known of one server: how much it takes at once, how long it takes, and whether it is there at all.

use std::fmt;
use std::net::SocketAddr;
use std::time::{Duration, Instant};

use crate::capability::Capability;

/// Queries in flight to a server nothing is known about (`spec/dns.md` 4.1.7).
const WINDOW_START: u32 = 10;

/// Most queries in flight to one server, unless the configuration says otherwise: home routers survive it
/// (`spec/dns.md` 4.1.7).
pub const WINDOW_MAX: u32 = 256;

/// A server that loses much still gets this many, or a batch would crawl behind its time-outs.
const WINDOW_MIN: u32 = 4;

/// The window is cut when more than one in this many is lost. Less is the noise of a radio link, not a server that is
/// overrun, and a cut for it would cost more than the loss.
const LOSS_TOLERATED_ONE_IN: u32 = 10;

/// Queries that make a round of the loss count at least; of fewer, one loss would already be too many.
const ROUND_MIN: u32 = 32;

/// Time-out while nothing is known about the server (`spec/dns.md` 4.1.5).
const TRY_TIMEOUT_START: Duration = Duration::from_millis(400);

/// No time-out is shorter: below it the scheduling of a busy machine looks like loss.
const TRY_TIMEOUT_MIN: Duration = Duration::from_millis(100);

/// Longest time-out of one try (`spec/dns.md` 4.1.5).
pub const TRY_TIMEOUT_MAX: Duration = Duration::from_secs(2);

/// Time-outs in a row after which a server is parked if another one is there (`spec/dns.md` 4.1.6).
const TIMEOUTS_MAX: u32 = 8;

/// ICMP errors in a row after which a server is parked. One may be forged or old (`spec/dns.md` 5.1).
const UNREACHABLE_MAX: u32 = 3;

/// Silence after which the last server is given up too. Less than the budget of a request, so that a whole batch at
/// silent servers ends within that budget.
const SILENCE_MAX: Duration = Duration::from_secs(4);

/// A parked server gets one query per this time.
const PROBE_EVERY: Duration = Duration::from_secs(1);

/// Names a server: its place in the configured list.
#[derive(Clone, Copy, Debug, Eq, Hash, Ord, PartialEq, PartialOrd)]
pub struct ServerId(pub(crate) u8);

impl ServerId {
    /// The place in the list the resolver was made with, duplicates left out.
    #[must_use]
    pub const fn index(self) -> usize {
        self.0 as usize
    }
}

impl fmt::Display for ServerId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

/// One server.
///
/// | health | what moves it |
/// |---|---|
/// | live → parked | 8 time-outs in a row (and 4 s of silence, if no other server is live), or 3 ICMP errors in a row |
/// | parked → live | any answer |
/// | parked → parked, next probe a second later | a probe that fails |
#[derive(Debug)]
pub(crate) struct Server {
    pub(crate) address: SocketAddr,
    health: Health,
    /// Tries that are waited for: sent, neither answered nor timed out nor withdrawn.
    in_flight: u32,
    window: u32,
    window_max: u32,
    /// What it does beyond the plain question.
    pub(crate) capability: Capability,
    /// It is asked by TCP alone.
    pub(crate) is_by_tcp: bool,
    loss: Loss,
    round_trip: Option<RoundTrip>,
    timeouts_in_a_row: u32,
    unreachable_in_a_row: u32,
    /// The first query since the last answer.
    silent_since: Option<Instant>,
}

#[derive(Clone, Copy, Debug, Eq, PartialEq)]
enum Health {
    Live,
    Parked { probe_at: Instant },
}

/// The loss count of one round.
#[derive(Debug, Default)]
struct Loss {
    answered: u32,
    lost: u32,
    /// The window was cut then; what was sent earlier says nothing about the smaller one.
    cut_at: Option<Instant>,
}

/// The estimator of RFC 6298 2. An id is used for one try only, so every sample is exact (Karn).
#[derive(Clone, Copy, Debug)]
struct RoundTrip {
    smoothed: Duration,
    variation: Duration,
}

/// Whether a try that ended was waited for until then, or had been given up before.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) enum Timeliness {
    InTime,
    Late,
}

/// Whether another server is worth waiting for.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) enum Others {
    Live,
    None,
}

impl Server {
    pub(crate) fn new(address: SocketAddr, window_max: u32, is_by_tcp: bool) -> Self {
        Self {
            address,
            health: Health::Live,
            in_flight: 0,
            window: WINDOW_START.min(window_max),
            window_max,
            capability: Capability::default(),
            is_by_tcp,
            loss: Loss::default(),
            round_trip: None,
            timeouts_in_a_row: 0,
            unreachable_in_a_row: 0,
            silent_since: None,
        }
    }

    pub(crate) const fn in_flight(&self) -> u32 {
        self.in_flight
    }

    pub(crate) fn is_parked(&self) -> bool {
        self.health != Health::Live
    }

    /// Whether a query may be sent now: within the window, or as a probe.
    pub(crate) fn has_room(&self, now: Instant) -> bool {
        match self.health {
            Health::Live => self.in_flight < self.window,
            Health::Parked { probe_at } => self.in_flight == 0 && probe_at <= now,
        }
    }

    /// When room will come that nobody's answer or time-out brings.
    pub(crate) fn probe_at(&self) -> Option<Instant> {
        match self.health {
            Health::Parked { probe_at } if self.in_flight == 0 => Some(probe_at),
            _ => None,
        }
    }

    /// How long to wait for a try that follows `tries` others of the same question. It grows gently: eight tries have
    /// to fit into five seconds, or names go missing at 5 % loss.
    pub(crate) fn try_timeout(&self, tries: u8, timeout_max: Duration, others: Others) -> Duration {
        if self.is_parked() && others == Others::None {
            // The last straw may be slow.
            return timeout_max;
        }
        let base = self.round_trip.map_or(TRY_TIMEOUT_START, |it| {
            (it.smoothed + 4 * it.variation).max(2 * it.smoothed).max(TRY_TIMEOUT_MIN)
        });
        (0..tries).fold(base, |timeout, _| (timeout + timeout / 2).min(timeout_max)).min(timeout_max)
    }

    pub(crate) fn sent(&mut self, now: Instant) {
        self.in_flight += 1;
        self.silent_since.get_or_insert(now);
    }

    /// A response came, whatever it says: the server is there.
    ///
    /// `round_trip` is left out where it would say nothing: by TCP it has a handshake in it.
    pub(crate) fn answered(&mut self, round_trip: Option<Duration>, timeliness: Timeliness) {
        let was_full = 2 * self.in_flight > self.window;
        if self.is_parked() {
            self.health = Health::Live;
            self.window = WINDOW_START.min(self.window_max);
        }
        self.timeouts_in_a_row = 0;
        self.unreachable_in_a_row = 0;
        self.silent_since = None;
        if let Some(sample) = round_trip {
            self.round_trip = Some(RoundTrip::sampled(self.round_trip, sample));
        }
        if timeliness == Timeliness::Late {
            return;
        }
        self.in_flight -= 1;
        if was_full {
            self.window = (self.window + 1).min(self.window_max);
        }
        self.loss.answered += 1;
        if self.loss.answered + self.loss.lost >= self.window.max(ROUND_MIN) {
            self.loss = Loss { cut_at: self.loss.cut_at, ..Loss::default() };
        }
    }

    /// A try was withdrawn: nothing is known, or something that is not about the server.
    pub(crate) const fn withdrawn(&mut self) {
        self.in_flight -= 1;
    }

    pub(crate) fn timed_out(&mut self, now: Instant, sent_at: Instant, others: Others) {
        self.in_flight -= 1;
        self.timeouts_in_a_row += 1;
        self.count_loss(now, sent_at);
        let silence = self.silent_since.map_or(Duration::ZERO, |since| now.saturating_duration_since(since));
        let is_gone =
            self.timeouts_in_a_row >= TIMEOUTS_MAX && (others == Others::Live || silence >= SILENCE_MAX);
        if is_gone || self.is_parked() {
            self.park(now);
        }
    }

    /// Its socket failed: no service on the port, or no way to the server.
    pub(crate) fn unreachable(&mut self, now: Instant) {
        self.unreachable_in_a_row += 1;
        if self.unreachable_in_a_row >= UNREACHABLE_MAX || self.is_parked() {
            self.park(now);
        }
    }

    fn park(&mut self, now: Instant) {
        self.health = Health::Parked { probe_at: now + PROBE_EVERY };
    }

    fn count_loss(&mut self, now: Instant, sent_at: Instant) {
        if self.loss.cut_at.is_some_and(|cut_at| sent_at < cut_at) {
            return;
        }
        self.loss.lost += 1;
        if self.loss.lost * LOSS_TOLERATED_ONE_IN > self.window.max(ROUND_MIN) {
            self.window = (self.window / 2).max(WINDOW_MIN.min(self.window_max));
            self.loss = Loss { cut_at: Some(now), ..Loss::default() };
        }
    }
}

impl RoundTrip {
    fn sampled(before: Option<Self>, sample: Duration) -> Self {
        match before {
            None => Self { smoothed: sample, variation: sample / 2 },
            Some(Self { smoothed, variation }) => Self {
                variation: (3 * variation + smoothed.abs_diff(sample)) / 4,
                smoothed: (7 * smoothed + sample) / 8,
            },
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const MILLISECOND: Duration = Duration::from_millis(1);

    #[expect(clippy::disallowed_methods, reason = "virtual time starts somewhere")]
    fn server() -> (Server, Instant) {
        (Server::new(([198, 18, 0, 53], 53).into(), WINDOW_MAX, false), Instant::now())
    }

    #[test]
    fn the_window_doubles_each_round_trip_up_to_its_ceiling() {
        let (mut server, mut now) = server();
        let mut windows = Vec::new();
        for _ in 0..7 {
            windows.push(server.window);
            while server.has_room(now) {
                server.sent(now);
            }
            now += 20 * MILLISECOND;
            for _ in 0..server.in_flight {
                // Refilled at once, as a batch does.
                server.answered(Some(20 * MILLISECOND), Timeliness::InTime);
                server.sent(now);
            }
        }
        assert_eq!(windows, [10, 20, 40, 80, 160, 256, 256]);
    }

    #[test]
    fn a_window_that_is_not_used_does_not_grow() {
        let (mut server, now) = server();
        for _ in 0..100 {
            server.sent(now);
            server.answered(Some(MILLISECOND), Timeliness::InTime);
        }
        assert_eq!(server.window, WINDOW_START);
    }

    #[test]
    fn a_tenth_lost_is_borne_and_more_cuts_once() {
        let (mut server, now) = server();
        server.window = 200;
        for _ in 0..200 {
            server.sent(now);
        }
        for _ in 0..20 {
            server.timed_out(now + MILLISECOND, now, Others::Live);
        }
        assert_eq!(server.window, 200);
        for _ in 0..60 {
            server.timed_out(now + MILLISECOND, now, Others::Live);
        }
        assert_eq!(server.window, 100);
        assert_eq!(server.in_flight(), 120);
    }

    #[test]
    fn time_outs_follow_the_round_trip_and_grow_gently() {
        let (mut server, now) = server();
        assert_eq!(server.try_timeout(0, TRY_TIMEOUT_MAX, Others::None), TRY_TIMEOUT_START);
        assert_eq!(server.try_timeout(200, TRY_TIMEOUT_MAX, Others::None), TRY_TIMEOUT_MAX);
        for _ in 0..50 {
            server.sent(now);
            server.answered(Some(20 * MILLISECOND), Timeliness::InTime);
        }
        assert_eq!(server.try_timeout(0, TRY_TIMEOUT_MAX, Others::None), TRY_TIMEOUT_MIN);
        assert_eq!(server.try_timeout(1, TRY_TIMEOUT_MAX, Others::None), 150 * MILLISECOND);
        let all: Duration =
            (0..8).map(|tries| server.try_timeout(tries, TRY_TIMEOUT_MAX, Others::None)).sum();
        assert!(all <= Duration::from_secs(5), "{all:?}");
    }

    #[test]
    fn a_silent_server_is_parked_at_once_only_if_there_is_another() {
        for (others, silence, parked) in [
            (Others::Live, Duration::from_millis(400), true),
            (Others::None, Duration::from_millis(400), false),
            (Others::None, SILENCE_MAX, true),
        ] {
            let (mut server, now) = server();
            for _ in 0..TIMEOUTS_MAX {
                server.sent(now);
                server.timed_out(now + silence, now, others);
            }
            assert_eq!(server.is_parked(), parked, "{others:?} {silence:?}");
        }
    }

    #[test]
    fn a_parked_server_gets_one_probe_a_second_and_is_back_with_its_first_answer() {
        let (mut server, now) = server();
        for _ in 0..UNREACHABLE_MAX {
            server.sent(now);
            server.withdrawn();
            server.unreachable(now);
        }
        assert!(server.is_parked() && !server.has_room(now));
        assert_eq!(server.probe_at(), Some(now + PROBE_EVERY));
        let later = now + PROBE_EVERY;
        assert!(server.has_room(later));
        server.sent(later);
        assert!(!server.has_room(later));
        server.timed_out(later + MILLISECOND, later, Others::None);
        assert_eq!(server.probe_at(), Some(later + MILLISECOND + PROBE_EVERY));
        server.answered(Some(MILLISECOND), Timeliness::Late);
        assert!(!server.is_parked() && server.has_room(now));
    }
}
