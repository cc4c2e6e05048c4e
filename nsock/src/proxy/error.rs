//! How the way through a proxy chain fails, which proxy it was, and whose fault it is.

use std::fmt;

use crate::error::{During, Failure, Fault};

/// A connection through proxies that did not come about.
///
/// What the last proxy says of the target is the target's state, and [`target`](Self::target) tells it apart from
/// everything else, which is trouble of a proxy and says nothing about the target.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub struct ProxyFailure {
    /// Which proxy of the chain it was, counted from 1.
    pub hop: u8,
    /// How many proxies the chain has.
    pub of: u8,
    /// What happened there.
    pub error: ProxyError,
}

/// What happened at one proxy.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum ProxyError {
    /// It refused the user or the password.
    AuthRefused,
    /// It wants a user and a password, and has none, or wants a kind of proof that is not spoken here.
    AuthRequired,
    /// It closed the connection before its answer was complete.
    Closed,
    /// What it sent is not of its protocol.
    Garbage,
    /// A system call failed, on the one connection there is: to the first proxy.
    Io {
        /// The system's error number.
        errno: i32,
        /// Which step failed.
        during: During,
    },
    /// It was asked to connect, and time ran out without a word on it.
    NoAnswer,
    /// It takes no IPv6 addresses (SOCKS4).
    NoIpv6,
    /// It takes no names (SOCKS4).
    NoNames,
    /// It refused with this code (SOCKS4).
    Socks4(u8),
    /// It refused with this code (RFC 1928 6).
    Socks5(u8),
    /// It refused with this status (RFC 9110 15).
    Status(u16),
    /// Time ran out before it could be asked to connect.
    TimedOut,
    /// The head of its answer is longer than 64 KiB (HTTP).
    TooLong,
    /// Its name was not looked up; see [`ProxyChain::with_first_address`](crate::ProxyChain::with_first_address).
    Unresolved,
    /// It answered in another version of SOCKS.
    Version(u8),
}

/// What a proxy says of the host that it was asked to connect to.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum ProxiedTarget {
    /// It did not accept, or could not be reached: the protocol has no words to tell which.
    Failed,
    /// No route led to it, or nobody was there.
    HostUnreachable,
    /// No route led to its network.
    NetworkUnreachable,
    /// It refused the connection.
    Refused,
    /// It did not answer in time.
    Silent,
    /// The packets did not live long enough to reach it.
    TimeExceeded,
}

impl ProxyFailure {
    /// For the proxy with this index.
    pub(crate) fn new(index: usize, of: usize, error: ProxyError) -> Self {
        let number = |count: usize| u8::try_from(count).unwrap_or(u8::MAX);
        Self { hop: number(index + 1), of: number(of), error }
    }

    /// What the last proxy said of the target; `None` if the trouble is anybody else's.
    ///
    /// ```
    /// # use nsock::{Failure, ProxiedTarget};
    /// fn is_closed(failure: Failure) -> bool {
    ///     matches!(failure, Failure::Proxy(why) if why.target() == Some(ProxiedTarget::Refused))
    /// }
    /// ```
    #[must_use]
    pub fn target(&self) -> Option<ProxiedTarget> {
        if self.is_last() { self.error.next_hop() } else { None }
    }

    /// Whose fault it is: never the target's because of what a proxy did.
    #[must_use]
    pub fn fault(&self) -> Fault {
        match self.error {
            ProxyError::AuthRefused
            | ProxyError::AuthRequired
            | ProxyError::NoIpv6
            | ProxyError::NoNames
            | ProxyError::Unresolved => Fault::Caller,
            ProxyError::Io { errno, during } => match (Failure::Io { errno, during }).fault() {
                Fault::Peer => Fault::Proxy,
                fault => fault,
            },
            _ if self.target().is_some() => Fault::Peer,
            _ => Fault::Proxy,
        }
    }

    fn is_last(&self) -> bool {
        self.hop == self.of
    }
}

impl ProxyError {
    /// What this says of the host that the proxy was asked to connect to.
    fn next_hop(self) -> Option<ProxiedTarget> {
        Some(match self {
            Self::NoAnswer | Self::Status(504) => ProxiedTarget::Silent,
            // Gateways have no status for a refusal (RFC 9110 15.6); 500 is tinyproxy's.
            Self::Status(500 | 502 | 503) | Self::Socks4(0x5b) => ProxiedTarget::Failed,
            Self::Socks5(3) => ProxiedTarget::NetworkUnreachable,
            Self::Socks5(4) => ProxiedTarget::HostUnreachable,
            Self::Socks5(5) => ProxiedTarget::Refused,
            Self::Socks5(6) => ProxiedTarget::TimeExceeded,
            _ => return None,
        })
    }
}

impl fmt::Display for ProxyFailure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { hop, of, error } = self;
        write!(f, "proxy {hop} of {of}")?;
        if error.next_hop().is_some() {
            if self.is_last() {
                f.write_str(" of the target")?;
            } else {
                write!(f, " of proxy {}", hop + 1)?;
            }
        }
        write!(f, ": {error}")
    }
}

impl fmt::Display for ProxyError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::AuthRefused => "it refused the user or the password",
            Self::AuthRequired => {
                "it wants a user and a password: give them as in socks5://user:password@host"
            }
            Self::Closed => "it closed the connection before it answered",
            Self::Garbage => "what it sent is not of its protocol: is this the right scheme and port?",
            Self::Io { errno, during } => return Failure::Io { errno: *errno, during: *during }.fmt(f),
            Self::NoAnswer => "no answer in time",
            Self::NoIpv6 => "SOCKS4 knows no IPv6 addresses: use a socks5 or http proxy",
            Self::NoNames => "socks4 takes no names: use socks4a, socks5 or http, or give an address",
            Self::Socks4(code) => return write!(f, "{} (SOCKS4 code {code})", socks4_text(*code)),
            Self::Socks5(code) => return write!(f, "{} (SOCKS5 code {code})", socks5_text(*code)),
            Self::Status(status) => return write!(f, "it refused with HTTP status {status}"),
            Self::TimedOut => "timed out",
            Self::TooLong => "the head of its answer is longer than 64 KiB",
            Self::Unresolved => "its name was not looked up: give an address",
            Self::Version(version) => return write!(f, "it answered in version {version} of SOCKS"),
        })
    }
}

impl std::error::Error for ProxyFailure {}

fn socks4_text(code: u8) -> &'static str {
    match code {
        0x5b => "rejected or failed",
        _ => "refused for an unknown reason",
    }
}

/// The words of RFC 1928 6.
fn socks5_text(code: u8) -> &'static str {
    match code {
        1 => "general SOCKS server failure",
        2 => "connection not allowed by ruleset",
        3 => "Network unreachable",
        4 => "Host unreachable",
        5 => "Connection refused",
        6 => "TTL expired",
        7 => "Command not supported",
        8 => "Address type not supported",
        _ => "refused for an unknown reason",
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn failure(hop: u8, error: ProxyError) -> ProxyFailure {
        ProxyFailure { hop, of: 2, error }
    }

    #[test]
    fn only_what_the_last_proxy_says_is_about_the_target() {
        let refused = ProxyError::Socks5(5);
        assert_eq!(failure(2, refused).target(), Some(ProxiedTarget::Refused));
        assert_eq!(failure(2, refused).fault(), Fault::Peer);
        assert_eq!(failure(1, refused).target(), None);
        assert_eq!(failure(1, refused).fault(), Fault::Proxy);
        for error in [
            ProxyError::Closed,
            ProxyError::Garbage,
            ProxyError::TimedOut,
            ProxyError::TooLong,
            ProxyError::Version(4),
            ProxyError::Socks5(1),
            ProxyError::Socks5(2),
            ProxyError::Socks5(77),
            ProxyError::Status(403),
            ProxyError::Io { errno: libc::ECONNREFUSED, during: During::Handshake },
        ] {
            assert_eq!(
                (failure(2, error).target(), failure(2, error).fault()),
                (None, Fault::Proxy),
                "{error}"
            );
        }
    }

    #[test]
    fn local_trouble_on_the_way_to_the_first_proxy_is_local() {
        let error = ProxyError::Io { errno: libc::EMFILE, during: During::Socket };
        assert_eq!(failure(1, error).fault(), Fault::Local);
    }

    #[test]
    fn one_line_says_which_proxy_and_of_whom_it_speaks() {
        let said = |hop, error| failure(hop, error).to_string();
        assert_eq!(
            said(1, ProxyError::Socks5(5)),
            "proxy 1 of 2 of proxy 2: Connection refused (SOCKS5 code 5)"
        );
        assert_eq!(
            said(2, ProxyError::Socks4(0x5b)),
            "proxy 2 of 2 of the target: rejected or failed (SOCKS4 code 91)"
        );
        assert_eq!(said(1, ProxyError::Closed), "proxy 1 of 2: it closed the connection before it answered");
    }
}
