//! What a resolver is told at its start, and what it counts.

use std::collections::BTreeSet;
use std::net::SocketAddr;
use std::num::NonZeroU32;
use std::time::Duration;

use crate::cache::CACHE_ENTRIES_DEFAULT;
use crate::hosts::Hosts;
use crate::outcome::Outcome;
use crate::query::TRIES_MAX;
use crate::resolv_conf::{ResolvConf, SERVERS_MAX};
use crate::server::{TRY_TIMEOUT_MAX, WINDOW_MAX};

/// Time a request gets from its first datagram to its outcome (`spec/dns.md` 4.1.5).
pub const BUDGET_DEFAULT: Duration = Duration::from_secs(5);

/// Largest window that can be asked for: at most 32 sockets share it, and each has 65,536 ids.
pub const WINDOW_LIMIT: u32 = 4096;

/// How a [`Resolver`](crate::Resolver) works.
///
/// ```
/// use std::net::SocketAddr;
/// let conf = dns::ResolvConf::parse(b"nameserver 198.18.0.53\noptions attempts:3\n");
/// let servers = conf.name_servers.iter().map(|server| SocketAddr::new(server.address, 53)).collect();
/// let config = dns::Config::new(servers).with_resolv_conf(&conf);
/// assert_eq!(config.tries_max, 3);
/// ```
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct Config {
    /// Whom to ask, best first; repeated ones are dropped. May be empty: then only the hosts file answers.
    pub servers: Vec<SocketAddr>,
    /// Servers of that list that are asked by TCP alone, as `options use-vc` wants of all. Of the others only what does
    /// not fit a datagram is.
    pub by_tcp: BTreeSet<SocketAddr>,
    /// Names that need no server.
    pub hosts: Hosts,
    /// Which server gets a new question.
    pub rotation: Rotation,
    /// Datagrams per question over all servers, from 1 to [`TRIES_MAX`].
    pub tries_max: u8,
    /// Longest wait for one try.
    pub try_timeout_max: Duration,
    /// Time a request gets from its first datagram to its outcome.
    pub budget: Duration,
    /// Answers kept; 0 keeps none.
    pub cache_entries_max: usize,
    /// Queries in flight to one server at once, from 1 to [`WINDOW_LIMIT`].
    pub window_max: u32,
    /// Queries sent in a second, to all servers together; `None` for as many as they take.
    pub rate_max: Option<NonZeroU32>,
}

/// Which server gets a new question. A retry always goes to the next one in the list.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
#[non_exhaustive]
pub enum Rotation {
    /// The first server of the list that has room.
    #[default]
    InOrder,
    /// One after the other.
    Spread,
}

impl Config {
    /// The defaults, with these servers.
    #[must_use]
    pub fn new(servers: Vec<SocketAddr>) -> Self {
        Self {
            servers,
            by_tcp: BTreeSet::new(),
            hosts: Hosts::default(),
            rotation: Rotation::InOrder,
            tries_max: TRIES_MAX,
            try_timeout_max: TRY_TIMEOUT_MAX,
            budget: BUDGET_DEFAULT,
            cache_entries_max: CACHE_ENTRIES_DEFAULT,
            window_max: WINDOW_MAX,
            rate_max: None,
        }
    }

    /// Takes over `timeout`, `attempts`, `rotate` and `use-vc`, where the file sets them. The servers are left alone, for their
    /// scopes have to be resolved first. The time-outs in use adapt to each server, so `timeout` is an upper bound, and
    /// the budget of a request goes before it.
    #[must_use]
    pub fn with_resolv_conf(mut self, conf: &ResolvConf) -> Self {
        if let Some(attempts) = conf.attempts {
            let servers = u8::try_from(self.servers.len()).unwrap_or(u8::MAX);
            self.tries_max = attempts.saturating_mul(servers).clamp(1, TRIES_MAX);
        }
        if let Some(timeout) = conf.timeout {
            self.try_timeout_max = timeout.min(self.budget);
        }
        if conf.rotate {
            self.rotation = Rotation::Spread;
        }
        if conf.use_tcp {
            self.by_tcp.extend(&self.servers);
        }
        self
    }

    /// Drops repeated servers and checks the rest.
    pub(crate) fn checked(mut self) -> Result<Self, ConfigError> {
        let mut servers = Vec::new();
        for server in self.servers {
            if !servers.contains(&server) {
                servers.push(server);
            }
        }
        if servers.len() > SERVERS_MAX {
            return Err(ConfigError::TooManyServers(servers.len()));
        }
        self.servers = servers;
        self.tries_max = self.tries_max.clamp(1, TRIES_MAX);
        self.window_max = self.window_max.clamp(1, WINDOW_LIMIT);
        Ok(self)
    }
}

/// Why a configuration cannot be used: the caller's fault.
#[derive(Clone, Copy, Debug, Eq, PartialEq, thiserror::Error)]
#[non_exhaustive]
pub enum ConfigError {
    /// More servers than [`SERVERS_MAX`].
    #[error("{0} DNS servers are more than the {SERVERS_MAX} that can be used")]
    TooManyServers(usize),
}

/// What a resolver has done since it was made.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
#[non_exhaustive]
pub struct Counters {
    /// Datagrams given out to be sent.
    pub transmitted: u64,
    /// Datagrams among them that repeat a question.
    pub retried: u64,
    /// Datagrams that came and were thrown away.
    pub discarded: u64,
    /// Requests that ended with names or addresses.
    pub found: u64,
    /// Requests that ended with no such name or no data.
    pub absent: u64,
    /// Requests that ended with a refusal or failure of the servers.
    pub failed: u64,
    /// Requests that ended with a time-out, or with no server to be reached.
    pub unanswered: u64,
    /// Requests that ended on this side: cancelled, bad input, local error, no servers.
    pub unasked: u64,
}

impl Counters {
    /// Requests that have ended.
    #[must_use]
    pub const fn settled(&self) -> u64 {
        self.found + self.absent + self.failed + self.unanswered + self.unasked
    }

    /// Counts one end.
    pub(crate) const fn settle(&mut self, outcome: &Outcome) {
        match outcome {
            Outcome::Addresses(_) | Outcome::Names(_) => self.found += 1,
            Outcome::NoData | Outcome::NoSuchName => self.absent += 1,
            Outcome::Refused | Outcome::ServerFailure(_) => self.failed += 1,
            Outcome::TimedOut | Outcome::Unreachable(_) => self.unanswered += 1,
            Outcome::BadInput(_) | Outcome::Cancelled | Outcome::LocalError(_) | Outcome::NoServers => {
                self.unasked += 1;
            }
        }
    }
}
