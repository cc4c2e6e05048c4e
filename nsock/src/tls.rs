//! What can be asked of TLS and what is known of a connection; behind it, rustls.

mod cause;
mod channel;
mod records;
mod session;
mod verify;

use std::fmt;
use std::fmt::Write;
use std::sync::Arc;

pub(crate) use channel::Channel;
pub use session::TlsSession;
pub use verify::{TlsRoots, TlsVerify};

/// How an IOD's TLS connection is to be made. TLS 1.2 and 1.3 are offered, nothing older, and no renegotiation.
///
/// ```
/// let mut options = nsock::TlsOptions::default();
/// options.server_name = Some("host.example".to_owned());
/// options.alpn = vec![b"h2".to_vec(), b"http/1.1".to_vec()];
/// ```
#[derive(Debug, Clone, Default)]
#[non_exhaustive]
pub struct TlsOptions {
    /// The host to ask for (SNI, RFC 6066 3) and to verify; an IP address is only verified. `None` asks for nobody.
    pub server_name: Option<String>,
    /// Protocols to offer, the best first (ALPN, RFC 7301); none by default.
    pub alpn: Vec<Vec<u8>>,
    /// Whether the server's certificate must be good.
    pub verify: TlsVerify,
    /// The session of an earlier connection, to be resumed if the server agrees.
    pub session: Option<TlsSession>,
    /// Who is told the secrets of the connection.
    pub key_log: Option<TlsKeyLog>,
}

/// Is told the secrets of connections, so that a capture of them can be decrypted. Nothing is told unless asked.
///
/// ```
/// let key_log = nsock::TlsKeyLog::new(|line| eprintln!("{line}"));
/// ```
#[derive(Clone)]
pub struct TlsKeyLog(Arc<dyn Fn(&str) + Send + Sync>);

impl TlsKeyLog {
    /// `tell` is called, in the middle of a handshake, with each line of what NSS calls a key log file (RFC 9850),
    /// without the line end.
    pub fn new(tell: impl Fn(&str) + Send + Sync + 'static) -> Self {
        Self(Arc::new(tell))
    }
}

impl rustls::KeyLog for TlsKeyLog {
    fn log(&self, label: &str, client_random: &[u8], secret: &[u8]) {
        let mut line = format!("{label} ");
        for (index, bytes) in [client_random, secret].into_iter().enumerate() {
            if index > 0 {
                line.push(' ');
            }
            for byte in bytes {
                let _ = write!(line, "{byte:02x}");
            }
        }
        (self.0)(&line);
    }
}

impl fmt::Debug for TlsKeyLog {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("TlsKeyLog")
    }
}

/// What a TLS handshake agreed on.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct TlsInfo {
    /// The version.
    pub version: TlsVersion,
    /// The cipher suite by its name in the IANA registry.
    pub cipher: &'static str,
    /// The cipher suite by its number there.
    pub cipher_number: u16,
    /// The protocol that the server chose among those offered.
    pub alpn: Option<Vec<u8>>,
    /// The server's certificate and those it sent with it, in DER form.
    pub certificates: Vec<Vec<u8>>,
    /// Whether an earlier session was resumed; the certificates are then those of that session.
    pub resumed: bool,
}

/// A version of TLS; `Display` writes `TLSv1.3`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
#[non_exhaustive]
pub enum TlsVersion {
    /// TLS 1.2 (RFC 5246).
    Tls12,
    /// TLS 1.3 (RFC 8446).
    Tls13,
}

impl fmt::Display for TlsVersion {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Tls12 => "TLSv1.2",
            Self::Tls13 => "TLSv1.3",
        })
    }
}
