//! What an answer means: port states, reasons, and the pure tables that lead from an outcome to them.
//!
//! Nothing here touches a socket. A driver hands over an errno, or the type and code of an ICMP error, and gets a
//! [`Verdict`] back, or learns that the outcome says nothing about the port: silence, or trouble of the local
//! system. Local trouble never becomes a port state other than [`PortState::Unknown`].

mod errno;
mod reason;

use std::fmt;
use std::net::IpAddr;

pub use errno::{Errno, TroubleClass};
pub use reason::Reason;

/// What is known about a port.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
#[non_exhaustive]
pub enum PortState {
    /// Something accepts connections.
    Open,
    /// The host answers, and nothing listens.
    Closed,
    /// Nothing came back, or a device on the way refused the probe.
    Filtered,
    /// The host answers, but the probe cannot tell open from closed (ACK scan).
    Unfiltered,
    /// Silence, in a scan in which open ports are silent.
    OpenFiltered,
    /// Closed or filtered; the probe cannot tell.
    ClosedFiltered,
    /// The probe could not be sent for a local reason, so nothing was learned.
    Unknown,
}

impl PortState {
    /// The word used in every report.
    #[must_use]
    pub const fn word(self) -> &'static str {
        match self {
            Self::Open => "open",
            Self::Closed => "closed",
            Self::Filtered => "filtered",
            Self::Unfiltered => "unfiltered",
            Self::OpenFiltered => "open|filtered",
            Self::ClosedFiltered => "closed|filtered",
            Self::Unknown => "unknown",
        }
    }

    /// Reads the word of a report.
    #[must_use]
    pub fn of_word(word: &str) -> Option<Self> {
        let all = [
            Self::Open,
            Self::Closed,
            Self::Filtered,
            Self::Unfiltered,
            Self::OpenFiltered,
            Self::ClosedFiltered,
            Self::Unknown,
        ];
        all.into_iter().find(|state| state.word() == word)
    }

    /// True if the port itself answered, so that no later answer can improve on it.
    #[must_use]
    pub const fn is_final(self) -> bool {
        matches!(self, Self::Open | Self::Closed | Self::Unfiltered)
    }
}

impl fmt::Display for PortState {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.word())
    }
}

/// A state and what proves it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub struct Verdict {
    /// The state of the port.
    pub state: PortState,
    /// The word for the proof.
    pub reason: Reason,
    /// Who sent the answer, if the driver knows; a report names it when it is not the target.
    pub from: Option<IpAddr>,
    /// Time to live of the answer as received, if the driver sees packets.
    pub ttl: Option<u8>,
}

impl Verdict {
    /// Makes a verdict without sender and time to live.
    ///
    /// ```
    /// use scanner::verdict::{PortState, Reason, Verdict};
    /// let open = Verdict::new(PortState::Open, Reason::SynAck);
    /// assert_eq!(format!("{} {}", open.state, open.reason), "open syn-ack");
    /// ```
    #[must_use]
    pub const fn new(state: PortState, reason: Reason) -> Self {
        Self { state, reason, from: None, ttl: None }
    }

    /// Adds the sender of the answer.
    #[must_use]
    pub const fn from_sender(mut self, sender: IpAddr) -> Self {
        self.from = Some(sender);
        self
    }

    /// Adds the time to live of the answer.
    #[must_use]
    pub const fn with_ttl(mut self, ttl: u8) -> Self {
        self.ttl = Some(ttl);
        self
    }

    /// True if the answer was made by `target` and not by a device on the way.
    #[must_use]
    pub fn is_by(&self, target: IpAddr) -> bool {
        match self.reason.origin() {
            reason::Origin::Target => true,
            reason::Origin::Anyone => self.from == Some(target),
            reason::Origin::Nobody => false,
        }
    }

    /// True if this answer to a discovery probe proves that `target` is up (spec 3.4).
    ///
    /// An unreachable that the target itself sent is a sign of life; one from a router is not.
    #[must_use]
    pub fn proves_up(&self, target: IpAddr, resets: ResetEvidence) -> bool {
        let reset = matches!(self.reason, Reason::Reset | Reason::ConnRefused);
        self.is_by(target) && !(reset && resets == ResetEvidence::Ignored)
    }
}

/// Whether a reset (or a refused connect) proves a host up; `--discovery-ignore-rst` says no.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub enum ResetEvidence {
    /// A reset proves the host up.
    #[default]
    ProvesUp,
    /// A firewall may have forged it, so it proves nothing.
    Ignored,
}

/// Which ICMP an error message belongs to.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum IcmpVersion {
    /// ICMP for IPv4 (RFC 792).
    V4,
    /// ICMP for IPv6 (RFC 4443).
    V6,
}

/// An ICMP error about one of our probes, as `IP_RECVERR` or a capture tells it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub struct IcmpError {
    /// The protocol of the message.
    pub version: IcmpVersion,
    /// ICMP type.
    pub kind: u8,
    /// ICMP code.
    pub code: u8,
    /// Who sent it, if known.
    pub sender: Option<IpAddr>,
}

impl IcmpError {
    /// Describes one ICMP error message.
    #[must_use]
    pub const fn new(version: IcmpVersion, kind: u8, code: u8, sender: Option<IpAddr>) -> Self {
        Self { version, kind, code, sender }
    }
}

/// What the end of a `connect()` means.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum ConnectOutcome {
    /// The network answered: pass it to [`Plan::handle_reply`](crate::plan::Plan::handle_reply).
    Answer(Verdict),
    /// The kernel gave up waiting: pass it to [`Plan::handle_timeout`](crate::plan::Plan::handle_timeout).
    Silence,
    /// This machine was the obstacle: pass it to
    /// [`Plan::handle_local_trouble`](crate::plan::Plan::handle_local_trouble).
    LocalTrouble(Errno),
}

/// Judges the end of a `connect()` from its errno (`None` for success) and, if `IP_RECVERR` supplied one, the ICMP
/// error behind it (spec 4.1).
///
/// The ICMP error is believed before the errno, since the kernel folds many codes into one errno; in particular an
/// ICMP port-unreachable arrives as `ECONNREFUSED` and is a filtered port here. An errno that is not an answer of the
/// network is local trouble, whatever the error queue holds.
///
/// ```
/// use scanner::verdict::{judge_connect, ConnectOutcome, Errno, PortState};
/// let ConnectOutcome::Answer(refused) = judge_connect(Some(Errno::ECONNREFUSED), None) else { unreachable!() };
/// assert_eq!(refused.state, PortState::Closed);
/// assert_eq!(judge_connect(Some(Errno::EMFILE), None), ConnectOutcome::LocalTrouble(Errno::EMFILE));
/// ```
#[must_use]
pub fn judge_connect(errno: Option<Errno>, icmp: Option<IcmpError>) -> ConnectOutcome {
    let Some(errno) = errno else {
        return ConnectOutcome::Answer(Verdict::new(PortState::Open, Reason::SynAck));
    };
    let by_errno = match errno {
        // A reset that follows the handshake, seen before the connect was reported: the port did accept (Linux turns
        // a reset in SYN_SENT into ECONNREFUSED, so these two prove a later state).
        Errno::ECONNRESET | Errno::EPIPE => {
            return ConnectOutcome::Answer(Verdict::new(PortState::Open, Reason::SynAck));
        }
        Errno::ECONNREFUSED => Some(Verdict::new(PortState::Closed, Reason::ConnRefused)),
        Errno::EHOSTUNREACH => Some(Verdict::new(PortState::Filtered, Reason::HostUnreach)),
        Errno::ENETUNREACH => Some(Verdict::new(PortState::Filtered, Reason::NetUnreach)),
        Errno::ENOPROTOOPT => Some(Verdict::new(PortState::Filtered, Reason::ProtoUnreach)),
        Errno::EACCES => Some(Verdict::new(PortState::Filtered, Reason::AdminProhibited)),
        Errno::ENONET | Errno::EOPNOTSUPP => Some(Verdict::new(PortState::Filtered, Reason::DestUnreach)),
        Errno::EPROTO => Some(Verdict::new(PortState::Filtered, Reason::ParamProblem)),
        Errno::ETIMEDOUT | Errno::EHOSTDOWN => None,
        local => return ConnectOutcome::LocalTrouble(local),
    };
    match icmp.and_then(judge_icmp).or(by_errno) {
        Some(verdict) => ConnectOutcome::Answer(verdict),
        None => ConnectOutcome::Silence,
    }
}

/// Judges an ICMP error that quotes one of our TCP probes (spec 4.2, 4.6), or `None` if it is no answer, such as
/// "fragmentation needed".
///
/// The reference calls a port open on ICMPv6 parameter problem code 0; that proves nothing, so it is filtered here.
#[must_use]
pub fn judge_icmp(icmp: IcmpError) -> Option<Verdict> {
    let reason = match (icmp.version, icmp.kind, icmp.code) {
        (IcmpVersion::V4, 3, 0) => Reason::NetUnreach,
        (IcmpVersion::V4, 3, 1) => Reason::HostUnreach,
        (IcmpVersion::V4, 3, 2) => Reason::ProtoUnreach,
        (IcmpVersion::V4, 3, 3) => Reason::PortUnreach,
        (IcmpVersion::V4, 3, 4) => return None,
        (IcmpVersion::V4, 3, 9) => Reason::NetProhibited,
        (IcmpVersion::V4, 3, 10) => Reason::HostProhibited,
        (IcmpVersion::V4, 3, 13) => Reason::AdminProhibited,
        (IcmpVersion::V4, 3, _) => Reason::DestUnreach,
        (IcmpVersion::V4, 11, _) | (IcmpVersion::V6, 3, _) => Reason::TimeExceeded,
        (IcmpVersion::V4, 12, _) | (IcmpVersion::V6, 4, _) => Reason::ParamProblem,
        (IcmpVersion::V6, 1, 0) => Reason::NoRoute,
        (IcmpVersion::V6, 1, 1 | 5) => Reason::AdminProhibited,
        (IcmpVersion::V6, 1, 2) => Reason::BeyondScope,
        (IcmpVersion::V6, 1, 3) => Reason::HostUnreach,
        (IcmpVersion::V6, 1, 4) => Reason::PortUnreach,
        (IcmpVersion::V6, 1, 6) => Reason::RejectRoute,
        (IcmpVersion::V6, 1, _) => Reason::DestUnreach,
        _ => return None,
    };
    Some(Verdict { state: PortState::Filtered, reason, from: icmp.sender, ttl: None })
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::net::Ipv4Addr;

    const TARGET: IpAddr = IpAddr::V4(Ipv4Addr::new(198, 18, 0, 12));
    const ROUTER: IpAddr = IpAddr::V4(Ipv4Addr::new(198, 18, 0, 1));

    fn answer(errno: Option<Errno>, icmp: Option<(u8, u8)>) -> (PortState, String) {
        let icmp = icmp.map(|(kind, code)| IcmpError::new(IcmpVersion::V4, kind, code, Some(ROUTER)));
        match judge_connect(errno, icmp) {
            ConnectOutcome::Answer(verdict) => (verdict.state, verdict.reason.to_string()),
            other => panic!("{errno:?} is an answer, not {other:?}"),
        }
    }

    #[test]
    fn errnos_of_the_network_are_answers() {
        let table = [
            (None, PortState::Open, "syn-ack"),
            (Some(Errno::ECONNREFUSED), PortState::Closed, "conn-refused"),
            (Some(Errno::EHOSTUNREACH), PortState::Filtered, "host-unreach"),
            (Some(Errno::ENETUNREACH), PortState::Filtered, "net-unreach"),
            (Some(Errno::ENOPROTOOPT), PortState::Filtered, "proto-unreach"),
            (Some(Errno::EACCES), PortState::Filtered, "admin-prohibited"),
            (Some(Errno::ENONET), PortState::Filtered, "dest-unreach"),
            (Some(Errno::ECONNRESET), PortState::Open, "syn-ack"),
        ];
        for (errno, state, reason) in table {
            assert_eq!(answer(errno, None), (state, reason.to_owned()));
        }
    }

    #[test]
    fn the_error_queue_knows_better_than_the_errno() {
        let table = [
            (Errno::ECONNREFUSED, (3, 3), "port-unreach"),
            (Errno::ENETUNREACH, (3, 9), "net-prohibited"),
            (Errno::EHOSTUNREACH, (3, 10), "host-prohibited"),
            (Errno::EHOSTUNREACH, (3, 13), "admin-prohibited"),
            (Errno::EHOSTUNREACH, (11, 0), "time-exceeded"),
            (Errno::EHOSTDOWN, (3, 7), "dest-unreach"),
        ];
        for (errno, icmp, reason) in table {
            assert_eq!(answer(Some(errno), Some(icmp)), (PortState::Filtered, reason.to_owned()));
        }
    }

    #[test]
    fn icmpv6_has_codes_of_its_own() {
        let reason =
            |kind, code| judge_icmp(IcmpError::new(IcmpVersion::V6, kind, code, None)).map(|v| v.reason);
        assert_eq!(reason(1, 0), Some(Reason::NoRoute));
        assert_eq!(reason(1, 1), Some(Reason::AdminProhibited));
        assert_eq!(reason(1, 2), Some(Reason::BeyondScope));
        assert_eq!(reason(1, 4), Some(Reason::PortUnreach));
        assert_eq!(reason(1, 6), Some(Reason::RejectRoute));
        assert_eq!(reason(2, 0), None, "packet too big is no answer");
    }

    #[test]
    fn local_errnos_are_never_an_answer() {
        let network = [
            Errno::ECONNREFUSED,
            Errno::ECONNRESET,
            Errno::EPIPE,
            Errno::EHOSTUNREACH,
            Errno::ENETUNREACH,
            Errno::ENOPROTOOPT,
            Errno::EACCES,
            Errno::ENONET,
            Errno::EOPNOTSUPP,
            Errno::EPROTO,
            Errno::ETIMEDOUT,
            Errno::EHOSTDOWN,
        ];
        for raw in 1..200 {
            let errno = Errno::new(raw);
            if network.contains(&errno) {
                continue;
            }
            let icmp = IcmpError::new(IcmpVersion::V4, 3, 1, Some(ROUTER));
            assert_eq!(judge_connect(Some(errno), Some(icmp)), ConnectOutcome::LocalTrouble(errno));
        }
        assert_eq!(judge_connect(Some(Errno::ETIMEDOUT), None), ConnectOutcome::Silence);
        assert_eq!(judge_connect(Some(Errno::EHOSTDOWN), None), ConnectOutcome::Silence);
    }

    #[test]
    fn only_the_target_itself_proves_the_target_up() {
        let up = |verdict: Verdict| verdict.proves_up(TARGET, ResetEvidence::ProvesUp);
        assert!(up(Verdict::new(PortState::Open, Reason::SynAck)));
        assert!(up(Verdict::new(PortState::Closed, Reason::ConnRefused)));
        assert!(up(Verdict::new(PortState::Filtered, Reason::PortUnreach).from_sender(TARGET)));
        assert!(!up(Verdict::new(PortState::Filtered, Reason::AdminProhibited).from_sender(ROUTER)));
        assert!(!up(Verdict::new(PortState::Filtered, Reason::HostUnreach)));
        assert!(!up(Verdict::new(PortState::Unknown, Reason::Local(Errno::EPERM))));
        let refused = Verdict::new(PortState::Closed, Reason::ConnRefused);
        assert!(!refused.proves_up(TARGET, ResetEvidence::Ignored));
    }
}
