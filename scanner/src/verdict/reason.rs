//! The words that say what proves a state (spec 4.6).

use std::fmt;

use super::Errno;

/// Why a port or a host has its state; `Display` gives the word of the report.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
#[non_exhaustive]
#[expect(missing_docs, reason = "each variant is its own word, see `word`")]
pub enum Reason {
    Abort,
    AddressMaskReply,
    AdminProhibited,
    ArpResponse,
    BeyondScope,
    ConnRefused,
    DestUnreach,
    EchoReply,
    HostProhibited,
    HostUnreach,
    InitAck,
    IpIdChange,
    LocalhostResponse,
    NdResponse,
    NetProhibited,
    NetUnreach,
    NoIpIdChange,
    NoResponse,
    NoRoute,
    ParamProblem,
    PermDenied,
    PortUnreach,
    ProtoResponse,
    ProtoUnreach,
    ProxyRefused,
    RejectRoute,
    Reset,
    ScriptSet,
    SourceQuench,
    SplitHandshakeSyn,
    SynAck,
    TcpResponse,
    TimeExceeded,
    TimestampReply,
    UdpResponse,
    UnknownResponse,
    UserSet,
    /// The local system refused to send the probe: `local-EPERM` and the like.
    Local(Errno),
}

/// Who can have made an answer with a given reason.
pub(super) enum Origin {
    /// Only the target (as far as a reply without a known sender can tell).
    Target,
    /// The target or a device on the way; the sender decides.
    Anyone,
    /// It is no answer.
    Nobody,
}

impl Reason {
    /// The word, but for [`Reason::Local`], whose errno `Display` appends to this prefix.
    #[must_use]
    pub const fn word(self) -> &'static str {
        match self {
            Self::Abort => "abort",
            Self::AddressMaskReply => "addressmask-reply",
            Self::AdminProhibited => "admin-prohibited",
            Self::ArpResponse => "arp-response",
            Self::BeyondScope => "beyond-scope",
            Self::ConnRefused => "conn-refused",
            Self::DestUnreach => "dest-unreach",
            Self::EchoReply => "echo-reply",
            Self::HostProhibited => "host-prohibited",
            Self::HostUnreach => "host-unreach",
            Self::InitAck => "init-ack",
            Self::IpIdChange => "ipid-change",
            Self::LocalhostResponse => "localhost-response",
            Self::NdResponse => "nd-response",
            Self::NetProhibited => "net-prohibited",
            Self::NetUnreach => "net-unreach",
            Self::NoIpIdChange => "no-ipid-change",
            Self::NoResponse => "no-response",
            Self::NoRoute => "no-route",
            Self::ParamProblem => "param-problem",
            Self::PermDenied => "perm-denied",
            Self::PortUnreach => "port-unreach",
            Self::ProtoResponse => "proto-response",
            Self::ProtoUnreach => "proto-unreach",
            Self::ProxyRefused => "proxy-refused",
            Self::RejectRoute => "reject-route",
            Self::Reset => "reset",
            Self::ScriptSet => "script-set",
            Self::SourceQuench => "source-quench",
            Self::SplitHandshakeSyn => "split-handshake-syn",
            Self::SynAck => "syn-ack",
            Self::TcpResponse => "tcp-response",
            Self::TimeExceeded => "time-exceeded",
            Self::TimestampReply => "timestamp-reply",
            Self::UdpResponse => "udp-response",
            Self::UnknownResponse => "unknown-response",
            Self::UserSet => "user-set",
            Self::Local(_) => "local-",
        }
    }

    /// Reads the word of a report: the inverse of `Display`.
    #[must_use]
    pub fn of_word(word: &str) -> Option<Self> {
        match word.strip_prefix("local-") {
            Some(errno) => Errno::named(errno).map(Self::Local),
            None => Self::OF_THE_NETWORK.into_iter().find(|reason| reason.word() == word),
        }
    }

    /// Every reason but those that are local.
    const OF_THE_NETWORK: [Self; 37] = [
        Self::ProxyRefused,
        Self::Abort,
        Self::AddressMaskReply,
        Self::AdminProhibited,
        Self::ArpResponse,
        Self::BeyondScope,
        Self::ConnRefused,
        Self::DestUnreach,
        Self::EchoReply,
        Self::HostProhibited,
        Self::HostUnreach,
        Self::InitAck,
        Self::IpIdChange,
        Self::LocalhostResponse,
        Self::NdResponse,
        Self::NetProhibited,
        Self::NetUnreach,
        Self::NoIpIdChange,
        Self::NoResponse,
        Self::NoRoute,
        Self::ParamProblem,
        Self::PermDenied,
        Self::PortUnreach,
        Self::ProtoResponse,
        Self::ProtoUnreach,
        Self::RejectRoute,
        Self::Reset,
        Self::ScriptSet,
        Self::SourceQuench,
        Self::SplitHandshakeSyn,
        Self::SynAck,
        Self::TcpResponse,
        Self::TimeExceeded,
        Self::TimestampReply,
        Self::UdpResponse,
        Self::UnknownResponse,
        Self::UserSet,
    ];

    /// True if a router with this answer speaks of the host as a whole, and not of a port or a protocol that it filters.
    #[must_use]
    pub const fn is_about_the_host(self) -> bool {
        matches!(
            self,
            Self::BeyondScope | Self::HostUnreach | Self::NetUnreach | Self::NoRoute | Self::RejectRoute
        )
    }

    /// Who can have made an answer with this reason.
    pub(super) const fn origin(self) -> Origin {
        match self {
            Self::Abort
            | Self::AddressMaskReply
            | Self::ArpResponse
            | Self::ConnRefused
            | Self::EchoReply
            | Self::InitAck
            | Self::IpIdChange
            | Self::LocalhostResponse
            | Self::NdResponse
            | Self::ProtoResponse
            | Self::Reset
            | Self::SplitHandshakeSyn
            | Self::SynAck
            | Self::TcpResponse
            | Self::TimestampReply
            | Self::UdpResponse => Origin::Target,
            Self::AdminProhibited
            | Self::BeyondScope
            | Self::DestUnreach
            | Self::HostProhibited
            | Self::HostUnreach
            | Self::NetProhibited
            | Self::NetUnreach
            | Self::NoRoute
            | Self::ParamProblem
            | Self::PermDenied
            | Self::PortUnreach
            | Self::ProtoUnreach
            | Self::ProxyRefused
            | Self::RejectRoute
            | Self::SourceQuench
            | Self::TimeExceeded
            | Self::UnknownResponse => Origin::Anyone,
            Self::NoIpIdChange | Self::NoResponse | Self::ScriptSet | Self::UserSet | Self::Local(_) => {
                Origin::Nobody
            }
        }
    }
}

impl fmt::Display for Reason {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Local(errno) => f.pad(&format!("local-{errno}")),
            other => f.pad(other.word()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_local_reason_names_its_errno() {
        assert_eq!(Reason::Local(Errno::EPERM).to_string(), "local-EPERM");
        assert_eq!(Reason::Local(Errno::new(4095)).to_string(), "local-errno-4095");
    }

    #[test]
    fn every_word_is_read_back() {
        let local = [Reason::Local(Errno::EPERM), Reason::Local(Errno::new(4095))];
        for reason in Reason::OF_THE_NETWORK.into_iter().chain(local) {
            assert_eq!(Reason::of_word(&reason.to_string()), Some(reason));
        }
        assert_eq!(Reason::of_word("local-"), None);
    }
}
