//! From rustls's errors to ours. Pure.

use rustls::{AlertDescription, CertificateError as Cause, Error, PeerIncompatible};

use crate::tls_error::{CertificateError, TlsError};

/// `fresh` tells that nothing of the peer's has been understood so far.
pub(crate) fn of(error: &Error, fresh: bool) -> TlsError {
    match error {
        Error::AlertReceived(AlertDescription::ProtocolVersion) => TlsError::Version,
        Error::AlertReceived(alert) => TlsError::Alert(u8::from(*alert)),
        Error::PeerIncompatible(
            PeerIncompatible::ServerDoesNotSupportTls12Or13
            | PeerIncompatible::ServerTlsVersionIsDisabledByOurConfig
            | PeerIncompatible::Tls12NotOffered
            | PeerIncompatible::Tls12NotOfferedOrEnabled,
        ) => TlsError::Version,
        Error::PeerIncompatible(_) => TlsError::Incompatible,
        Error::InvalidCertificate(why) => TlsError::Certificate(certificate(why)),
        Error::NoCertificatesPresented => TlsError::Certificate(CertificateError::Unusable),
        Error::InvalidMessage(_) | Error::PeerSentOversizedRecord if fresh => TlsError::NotTls,
        Error::InvalidMessage(_)
        | Error::InappropriateMessage { .. }
        | Error::InappropriateHandshakeMessage { .. }
        | Error::PeerSentOversizedRecord
        | Error::PeerMisbehaved(_)
        | Error::DecryptError => TlsError::Protocol,
        Error::UnsupportedNameType => TlsError::Name,
        _ => TlsError::Local,
    }
}

fn certificate(why: &Cause) -> CertificateError {
    match why {
        Cause::Expired | Cause::ExpiredContext { .. } => CertificateError::Expired,
        Cause::NotValidYet | Cause::NotValidYetContext { .. } => CertificateError::NotYetValid,
        Cause::Revoked => CertificateError::Revoked,
        Cause::UnknownIssuer => CertificateError::UnknownIssuer,
        Cause::BadSignature => CertificateError::Signature,
        Cause::NotValidForName | Cause::NotValidForNameContext { .. } => CertificateError::Name,
        _ => CertificateError::Unusable,
    }
}
