//! Which server certificates are accepted.

use std::fmt;
use std::sync::Arc;

use rustls::client::WebPkiServerVerifier;
use rustls::client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier};
use rustls::crypto::CryptoProvider;
use rustls::crypto::ring::default_provider;
use rustls::pki_types::{CertificateDer, ServerName, UnixTime};
use rustls::{DigitallySignedStruct, Error, RootCertStore, SignatureScheme};

use crate::tls_error::TlsError;

/// Whether the server's certificate must be good.
#[derive(Debug, Clone, Default)]
#[non_exhaustive]
pub enum TlsVerify {
    /// Any certificate will do, even one with wrong signatures: what a scanner needs, and no protection at all.
    #[default]
    Off,
    /// The certificate must lead to one of these roots, be valid now, and be for the server name of
    /// [`TlsOptions`](crate::TlsOptions), or for the peer's IP address if there is none.
    Against(TlsRoots),
}

/// Certificates that are trusted to sign others. Clones share them.
#[derive(Clone)]
pub struct TlsRoots {
    pub(crate) verifier: Arc<WebPkiServerVerifier>,
    count: usize,
}

impl TlsRoots {
    /// Takes certificates in DER form (RFC 5280).
    ///
    /// # Errors
    /// [`TlsError::Roots`] if one of them cannot be used, or if there is none.
    pub fn from_der<C: AsRef<[u8]>>(certificates: impl IntoIterator<Item = C>) -> Result<Self, TlsError> {
        let mut roots = RootCertStore::empty();
        for certificate in certificates {
            let certificate = CertificateDer::from(certificate.as_ref().to_vec());
            roots.add(certificate).map_err(|_| TlsError::Roots)?;
        }
        let count = roots.len();
        let provider = Arc::new(default_provider());
        let verifier = WebPkiServerVerifier::builder_with_provider(Arc::new(roots), provider)
            .build()
            .map_err(|_| TlsError::Roots)?;
        Ok(Self { verifier, count })
    }
}

impl fmt::Debug for TlsRoots {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("TlsRoots").field("count", &self.count).finish_non_exhaustive()
    }
}

/// Accepts every certificate and every signature.
#[derive(Debug)]
pub(crate) struct AcceptAll {
    schemes: Vec<SignatureScheme>,
}

impl AcceptAll {
    pub(crate) fn new(provider: &CryptoProvider) -> Self {
        let mut schemes = provider.signature_verification_algorithms.supported_schemes();
        // Nothing is verified, so what only old servers can sign with does as well.
        schemes.extend([SignatureScheme::RSA_PKCS1_SHA1, SignatureScheme::ECDSA_SHA1_Legacy]);
        Self { schemes }
    }
}

impl ServerCertVerifier for AcceptAll {
    fn verify_server_cert(
        &self,
        _: &CertificateDer<'_>,
        _: &[CertificateDer<'_>],
        _: &ServerName<'_>,
        _: &[u8],
        _: UnixTime,
    ) -> Result<ServerCertVerified, Error> {
        Ok(ServerCertVerified::assertion())
    }

    fn verify_tls12_signature(
        &self,
        _: &[u8],
        _: &CertificateDer<'_>,
        _: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        Ok(HandshakeSignatureValid::assertion())
    }

    fn verify_tls13_signature(
        &self,
        _: &[u8],
        _: &CertificateDer<'_>,
        _: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        Ok(HandshakeSignatureValid::assertion())
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.schemes.clone()
    }
}
