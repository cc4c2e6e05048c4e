//! One TLS connection as a transformer of bytes: records in, plaintext out, and the other way. No socket is seen here.

use std::io::{self, BufRead, IoSlice, Write};
use std::net::IpAddr;
use std::sync::Arc;

use rustls::client::Resumption;
use rustls::client::danger::ServerCertVerifier;
use rustls::crypto::ring::default_provider;
use rustls::pki_types::ServerName;
use rustls::{ClientConfig, ClientConnection, HandshakeKind, ProtocolVersion};

use super::records::Records;
use super::session::{Origin, Store, TlsSession};
use super::verify::{AcceptAll, TlsVerify};
use super::{TlsInfo, TlsOptions, TlsVersion, cause};
use crate::tls_error::TlsError;

/// Records kept that the socket could not take: four of the largest. A write beyond them waits.
const UNSENT_BYTES_MAX: usize = 65_536;

/// Longest name of an ALPN protocol (RFC 7301 3.1).
const ALPN_BYTES_MAX: usize = 255;

pub(crate) struct Channel {
    connection: ClientConnection,
    sessions: Arc<Store>,
    records: Records,
    /// The peer has said that it sends no more.
    closed: bool,
    /// Something the peer sent was understood.
    understood: bool,
    /// The words of the TLS library for what went wrong.
    pub(crate) cause: Option<String>,
}

impl Channel {
    /// Prepares the first flight of a handshake with the server at this address.
    pub(crate) fn new(options: &TlsOptions, peer: IpAddr) -> Result<Self, TlsError> {
        let name = match &options.server_name {
            Some(name) => ServerName::try_from(name.clone()).map_err(|_| TlsError::Name)?,
            None => ServerName::IpAddress(peer.into()),
        };
        if options.alpn.iter().any(|name| name.is_empty() || name.len() > ALPN_BYTES_MAX) {
            return Err(TlsError::Name);
        }
        let provider = Arc::new(default_provider());
        let resumed = options.session.as_ref().map(|session| &session.0);
        let resumed = resumed.filter(|store| store.origin.fits(&name, &options.verify));
        let verifier: Arc<dyn ServerCertVerifier> = match (resumed, &options.verify) {
            (Some(store), _) => Arc::clone(&store.origin.verifier),
            (None, TlsVerify::Off) => Arc::new(AcceptAll::new(&provider)),
            (None, TlsVerify::Against(roots)) => Arc::clone(&roots.verifier) as _,
        };
        let mut config = ClientConfig::builder_with_provider(provider)
            .with_safe_default_protocol_versions()
            .map_err(|_| TlsError::Local)?
            .dangerous()
            .with_custom_certificate_verifier(Arc::clone(&verifier))
            .with_no_client_auth();
        let sessions = match resumed {
            Some(store) => {
                config.client_auth_cert_resolver = Arc::clone(&store.origin.credentials);
                Arc::clone(store)
            }
            None => Arc::new(Store::new(Origin {
                name: name.clone(),
                verifier,
                verified: matches!(options.verify, TlsVerify::Against(_)),
                credentials: Arc::clone(&config.client_auth_cert_resolver),
            })),
        };
        config.resumption = Resumption::store(Arc::clone(&sessions) as _);
        config.alpn_protocols.clone_from(&options.alpn);
        if let Some(key_log) = &options.key_log {
            config.key_log = Arc::new(key_log.clone());
        }
        let mut connection =
            ClientConnection::new(Arc::new(config), name).map_err(|error| cause::of(&error, true))?;
        connection.set_buffer_limit(Some(UNSENT_BYTES_MAX));
        let records = Records::default();
        Ok(Self { connection, sessions, records, closed: false, understood: false, cause: None })
    }

    /// Takes in what the socket gave; `plain` is given each piece of plaintext, also of what came before an error.
    pub(crate) fn receive(&mut self, mut bytes: &[u8], mut plain: impl FnMut(&[u8])) -> Result<(), TlsError> {
        self.records.pass(bytes);
        while !bytes.is_empty() && !self.closed {
            if let Err(error) = self.connection.read_tls(&mut bytes) {
                return Err(self.fail(TlsError::Protocol, error.to_string()));
            }
            let processed = self.connection.process_new_packets();
            let mut reader = self.connection.reader();
            while let Ok(chunk) = reader.fill_buf() {
                let length = chunk.len();
                if length == 0 {
                    break;
                }
                plain(chunk);
                reader.consume(length);
            }
            match processed {
                Ok(state) => self.closed = state.peer_has_closed(),
                Err(error) => {
                    let why = cause::of(&error, !self.understood);
                    return Err(self.fail(why, error.to_string()));
                }
            }
            self.understood |= !self.records.within();
        }
        Ok(())
    }

    fn fail(&mut self, error: TlsError, cause: String) -> TlsError {
        self.cause = Some(cause);
        error
    }

    /// How the stream ends if the socket gives no more: well, if a peer that just closes is let pass (nmap#3430).
    pub(crate) fn end(&self) -> Result<(), TlsError> {
        if self.closed || !self.records.within() { Ok(()) } else { Err(TlsError::Truncated) }
    }

    /// Whether the peer has said that it sends no more.
    pub(crate) fn is_closed(&self) -> bool {
        self.closed
    }

    pub(crate) fn is_handshaking(&self) -> bool {
        self.connection.is_handshaking()
    }

    /// Encrypts as much as there is room for; the number of bytes taken.
    pub(crate) fn send(&mut self, bytes: &[u8]) -> usize {
        // The writer itself cannot fail: it only buffers.
        self.connection.writer().write(bytes).unwrap_or(0)
    }

    pub(crate) fn has_unsent(&self) -> bool {
        self.connection.wants_write()
    }

    /// Gives records to `send` until there are none left or it fails, as with `WouldBlock`.
    pub(crate) fn flush(&mut self, send: impl FnMut(&[u8]) -> io::Result<usize>) -> io::Result<()> {
        let mut outlet = Outlet(send);
        while self.connection.wants_write() {
            self.connection.write_tls(&mut outlet)?;
        }
        Ok(())
    }

    /// Tells the peer that no more will be sent, with the next [`flush`](Self::flush).
    pub(crate) fn close(&mut self) {
        self.connection.send_close_notify();
    }

    pub(crate) fn info(&self) -> Option<TlsInfo> {
        let version = match self.connection.protocol_version()? {
            ProtocolVersion::TLSv1_2 => TlsVersion::Tls12,
            ProtocolVersion::TLSv1_3 => TlsVersion::Tls13,
            _ => return None,
        };
        let suite = self.connection.negotiated_cipher_suite()?.suite();
        let certificates = self.connection.peer_certificates().unwrap_or_default();
        Some(TlsInfo {
            version,
            cipher: suite.as_str().unwrap_or("unnamed"),
            cipher_number: u16::from(suite),
            alpn: self.connection.alpn_protocol().map(<[u8]>::to_vec),
            certificates: certificates.iter().map(|der| der.to_vec()).collect(),
            resumed: self.connection.handshake_kind() == Some(HandshakeKind::Resumed),
        })
    }

    pub(crate) fn session(&self) -> Option<TlsSession> {
        if self.sessions.is_empty() { None } else { Some(TlsSession(Arc::clone(&self.sessions))) }
    }
}

impl Origin {
    /// Whether a session made with this may be resumed by a connection to `name` with this verification.
    fn fits(&self, name: &ServerName<'_>, verify: &TlsVerify) -> bool {
        let same = match verify {
            TlsVerify::Off => !self.verified,
            TlsVerify::Against(roots) => {
                let wanted: Arc<dyn ServerCertVerifier> = Arc::clone(&roots.verifier) as _;
                self.verified && Arc::ptr_eq(&self.verifier, &wanted)
            }
        };
        same && self.name == *name
    }
}

impl std::fmt::Debug for Channel {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Channel").field("closed", &self.closed).finish_non_exhaustive()
    }
}

/// A function as what rustls writes to.
struct Outlet<F>(F);

impl<F: FnMut(&[u8]) -> io::Result<usize>> Write for Outlet<F> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        (self.0)(bytes)
    }

    fn write_vectored(&mut self, slices: &[IoSlice<'_>]) -> io::Result<usize> {
        // One record at a time: the first slice is the rest of the oldest.
        slices.first().map_or(Ok(0), |slice| (self.0)(slice))
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use std::net::Ipv4Addr;

    use proptest::prelude::*;

    use super::*;

    fn channel() -> Channel {
        Channel::new(&TlsOptions::default(), Ipv4Addr::LOCALHOST.into()).unwrap()
    }

    #[test]
    fn the_first_flight_is_one_client_hello() {
        let mut channel = channel();
        let mut flight = Vec::new();
        channel
            .flush(|records| {
                flight.extend_from_slice(records);
                Ok(records.len())
            })
            .unwrap();
        assert_eq!((flight[0], flight[5]), (22, 1), "a record of a handshake, with a ClientHello");
        assert!(channel.is_handshaking() && !channel.has_unsent());
        assert!(channel.info().is_none() && channel.session().is_none());
    }

    #[test]
    fn an_early_goodbye_is_not_trusted() {
        let mut channel = channel();
        let goodbye = [21, 3, 3, 0, 2, 1, 0];
        let _ = channel.receive(&goodbye, |_| ());
        assert!(channel.is_handshaking() && !channel.is_closed());
    }

    proptest! {
        #[test]
        fn whatever_comes_in_whatever_pieces_it_is_an_error_or_waited_for(
            kind in prop_oneof![20..24u8, any::<u8>()],
            body in proptest::collection::vec(any::<u8>(), 0..400),
            cut in any::<prop::sample::Index>(),
        ) {
            let mut stream = vec![kind, 3, 3];
            stream.extend_from_slice(&u16::try_from(body.len()).unwrap().to_be_bytes());
            stream.extend_from_slice(&body);
            let mut channel = channel();
            let mut plain = 0;
            for piece in [&stream[..cut.index(stream.len())], &stream[cut.index(stream.len())..]] {
                if channel.receive(piece, |bytes| plain += bytes.len()).is_err() {
                    prop_assert!(channel.cause.is_some());
                    break;
                }
            }
            prop_assert_eq!(plain, 0, "nothing is plaintext before there are keys");
            prop_assert!(channel.is_handshaking());
        }
    }
}
