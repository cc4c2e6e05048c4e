//! How TLS fails, in words of this library's own. Pure; it exists without the feature `tls` too.

use std::fmt;

use crate::error::Fault;

/// Why a TLS connection could not be made, or broke.
///
/// The text that the TLS library has for it is at [`Io::iod_tls_cause`](crate::Io::iod_tls_cause).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum TlsError {
    /// The peer ended it with this alert (RFC 8446 6).
    Alert(u8),
    /// The peer's certificate was not accepted; only where verification is on.
    Certificate(CertificateError),
    /// The peer closed the connection during the handshake.
    Closed,
    /// There is no cipher suite, group or extension that both can use.
    Incompatible,
    /// This machine failed: no random numbers, no time, or a state that the TLS library does not expect.
    Local,
    /// The host name to ask for or to verify is none, or an ALPN protocol is empty or longer than 255 bytes.
    Name,
    /// What the peer sent is not TLS.
    NotTls,
    /// The peer broke the protocol, or somebody between changed what it sent.
    Protocol,
    /// A certificate among the roots cannot be used.
    Roots,
    /// The stream ended in the middle of a record.
    Truncated,
    /// The peer speaks neither TLS 1.2 nor TLS 1.3; older versions are not spoken here.
    Version,
}

/// What is wrong with a certificate.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum CertificateError {
    /// Its time is over.
    Expired,
    /// It is for another host.
    Name,
    /// Its time has not come.
    NotYetValid,
    /// It was revoked.
    Revoked,
    /// A signature is wrong.
    Signature,
    /// No root that was given stands behind it.
    UnknownIssuer,
    /// It cannot be read, is missing, or is not for a server.
    Unusable,
}

impl TlsError {
    pub(crate) fn fault(self) -> Fault {
        match self {
            Self::Name | Self::Roots => Fault::Caller,
            Self::Local => Fault::Local,
            _ => Fault::Peer,
        }
    }
}

impl fmt::Display for TlsError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Alert(number) => {
                return match alert_name(*number) {
                    Some(name) => write!(f, "TLS: the peer refused with the alert {name} ({number})"),
                    None => write!(f, "TLS: the peer refused with the alert {number}"),
                };
            }
            Self::Certificate(why) => return write!(f, "TLS: the peer's certificate {why}"),
            Self::Closed => "TLS: the peer closed the connection during the handshake",
            Self::Incompatible => "TLS: the peer offers nothing that both can use",
            Self::Local => "TLS: this machine failed",
            Self::Name => "TLS: the server name or an ALPN protocol is malformed: correct the options",
            Self::NotTls => "TLS: what the peer sent is not TLS: is this the right port?",
            Self::Protocol => "TLS: the peer broke the protocol",
            Self::Roots => "TLS: a root certificate cannot be used: give it as DER",
            Self::Truncated => "TLS: the stream ended in the middle of a record",
            Self::Version => "TLS: the peer speaks neither TLS 1.2 nor TLS 1.3",
        })
    }
}

impl fmt::Display for CertificateError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Expired => "has expired",
            Self::Name => "is for another host",
            Self::NotYetValid => "is not valid yet",
            Self::Revoked => "was revoked",
            Self::Signature => "has a wrong signature",
            Self::UnknownIssuer => "is signed by nobody among the roots",
            Self::Unusable => "cannot be used",
        })
    }
}

impl std::error::Error for TlsError {}

/// The names of RFC 8446 6 and, where TLS 1.3 has dropped them, RFC 5246 7.2.
fn alert_name(number: u8) -> Option<&'static str> {
    Some(match number {
        0 => "close_notify",
        10 => "unexpected_message",
        20 => "bad_record_mac",
        22 => "record_overflow",
        40 => "handshake_failure",
        42 => "bad_certificate",
        43 => "unsupported_certificate",
        44 => "certificate_revoked",
        45 => "certificate_expired",
        46 => "certificate_unknown",
        47 => "illegal_parameter",
        48 => "unknown_ca",
        49 => "access_denied",
        50 => "decode_error",
        51 => "decrypt_error",
        71 => "insufficient_security",
        80 => "internal_error",
        86 => "inappropriate_fallback",
        90 => "user_canceled",
        100 => "no_renegotiation",
        109 => "missing_extension",
        110 => "unsupported_extension",
        112 => "unrecognized_name",
        116 => "certificate_required",
        120 => "no_application_protocol",
        _ => return None,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_line_says_what_and_whose_fault() {
        let refused = TlsError::Alert(40);
        assert_eq!(refused.to_string(), "TLS: the peer refused with the alert handshake_failure (40)");
        assert_eq!((refused.fault(), TlsError::Name.fault()), (Fault::Peer, Fault::Caller));
        let expired = TlsError::Certificate(CertificateError::Expired);
        assert_eq!(expired.to_string(), "TLS: the peer's certificate has expired");
        assert_eq!(TlsError::Alert(255).to_string(), "TLS: the peer refused with the alert 255");
    }
}
