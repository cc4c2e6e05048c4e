//! A TLS server whose conversations are closures, and certificates of every fault.

use std::fmt;
use std::io::{self, ErrorKind, IoSlice, Read, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::sync::Arc;
use std::thread::{self, JoinHandle};

use rcgen::{
    BasicConstraints, CertificateParams, CertifiedIssuer, DnType, ExtendedKeyUsagePurpose, IsCa, KeyPair,
};
use rustix::event::PollFlags;
use rustls::crypto::ring::default_provider;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use rustls::server::ServerSessionMemoryCache;
use rustls::{ServerConfig, ServerConnection, SupportedProtocolVersion};

use crate::LOOPBACK_V4;
use crate::measure::pin_to_core;
use crate::worker::{Stop, Wake, Worker};

/// Sessions a server remembers for TLS 1.2.
const SESSIONS_MAX: usize = 32;

/// The host that the certificates are for; they are for 127.0.0.1 too.
pub const TLS_HOST: &str = "server.test";

/// When a certificate is valid.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum Validity {
    /// Now.
    Now,
    /// Until 2001.
    Past,
    /// From 2400 on.
    Future,
}

/// A root, and a certificate for [`TLS_HOST`] that it has signed.
#[derive(Debug, Clone)]
pub struct TlsIdentity {
    root: Vec<u8>,
    certificate: CertificateDer<'static>,
    key: Vec<u8>,
    pem: String,
}

impl TlsIdentity {
    /// Makes one.
    ///
    /// # Errors
    /// When the system has no random numbers.
    pub fn new(validity: Validity) -> io::Result<Self> {
        let mut root = CertificateParams::new(Vec::new()).map_err(io::Error::other)?;
        // A name of its own: with that of another root, a chain to the wrong one looks like a wrong signature.
        root.distinguished_name.push(DnType::CommonName, format!("root {:016x}", fastrand::u64(..)));
        root.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        let key = || KeyPair::generate().map_err(io::Error::other);
        let root = CertifiedIssuer::self_signed(root, key()?).map_err(io::Error::other)?;
        let names = [TLS_HOST.to_owned(), "127.0.0.1".to_owned()];
        let mut params = CertificateParams::new(names).map_err(io::Error::other)?;
        params.extended_key_usages = vec![ExtendedKeyUsagePurpose::ServerAuth];
        let years = match validity {
            Validity::Now => 2000..3000,
            Validity::Past => 2000..2001,
            Validity::Future => 2400..3000,
        };
        params.not_before = rcgen::date_time_ymd(years.start, 1, 1);
        params.not_after = rcgen::date_time_ymd(years.end, 1, 1);
        let key = key()?;
        let certificate = params.signed_by(&key, &root).map_err(io::Error::other)?;
        Ok(Self {
            root: root.der().to_vec(),
            pem: format!("{}{}", certificate.pem(), key.serialize_pem()),
            certificate: certificate.der().clone(),
            key: key.serialize_der(),
        })
    }

    /// The root, in DER form.
    #[must_use]
    pub fn root(&self) -> &[u8] {
        &self.root
    }

    /// The server's certificate, in DER form.
    #[must_use]
    pub fn certificate(&self) -> &[u8] {
        &self.certificate
    }

    /// The server's certificate and key in one file's text, for `openssl s_server`.
    #[must_use]
    pub fn pem(&self) -> &str {
        &self.pem
    }
}

/// How a server is to be.
#[derive(Debug, Clone)]
#[non_exhaustive]
pub struct TlsSetup {
    /// What it shows.
    pub identity: TlsIdentity,
    /// What it speaks.
    pub versions: Vec<&'static SupportedProtocolVersion>,
    /// The protocols it takes (ALPN), the best first.
    pub alpn: Vec<Vec<u8>>,
    /// The core its threads run on.
    pub core: Option<usize>,
}

impl TlsSetup {
    /// One that is valid now and speaks TLS 1.2 and 1.3.
    ///
    /// # Errors
    /// As [`TlsIdentity::new`].
    pub fn new() -> io::Result<Self> {
        Ok(Self {
            identity: TlsIdentity::new(Validity::Now)?,
            versions: rustls::ALL_VERSIONS.to_vec(),
            alpn: Vec::new(),
            core: None,
        })
    }
}

/// A TLS server: each connection has a thread, which runs the closure that the server was started with.
pub struct TlsServer {
    address: SocketAddr,
    identity: TlsIdentity,
    _worker: Worker,
}

impl TlsServer {
    /// Starts a server on IPv4 loopback. An error that `talk` returns closes the connection, no more.
    ///
    /// # Errors
    /// When the local system has no socket, descriptor or thread to give, or the setup cannot be.
    pub fn start(
        setup: TlsSetup,
        talk: impl Fn(&mut TlsPeer) -> io::Result<()> + Send + Sync + 'static,
    ) -> io::Result<Self> {
        let listener = crate::tcp::listen(LOOPBACK_V4)?;
        let address = listener.local_addr()?;
        let key = PrivateKeyDer::try_from(setup.identity.key.clone()).map_err(io::Error::other)?;
        let mut config = ServerConfig::builder_with_provider(Arc::new(default_provider()))
            .with_protocol_versions(&setup.versions)
            .map_err(io::Error::other)?
            .with_no_client_auth()
            .with_single_cert(vec![setup.identity.certificate.clone()], key)
            .map_err(io::Error::other)?;
        config.alpn_protocols = setup.alpn;
        config.send_half_rtt_data = true;
        config.session_storage = ServerSessionMemoryCache::new(SESSIONS_MAX);
        let (config, talk) = (Arc::new(config), Arc::new(talk));
        let worker = Worker::start("tls-server", move |stop| {
            // A core that cannot be had changes what a bench measures, and nothing else.
            let _ = setup.core.map(pin_to_core);
            accept(&listener, stop, |stream| {
                let connection = ServerConnection::new(Arc::clone(&config)).ok()?;
                let mut peer = TlsPeer::new(connection, stream, Arc::clone(stop)).ok()?;
                let talk = Arc::clone(&talk);
                let run = move || drop(talk(&mut peer));
                thread::Builder::new().name("tls-peer".to_owned()).spawn(run).ok()
            });
        })?;
        Ok(Self { address, identity: setup.identity, _worker: worker })
    }

    /// Starts a server that sends back what it receives and says goodbye when the peer does.
    ///
    /// # Errors
    /// As [`start`](Self::start).
    pub fn echo(setup: TlsSetup) -> io::Result<Self> {
        Self::start(setup, |peer| {
            let mut buffer = vec![0; 16_384];
            loop {
                match peer.read(&mut buffer)? {
                    0 => return peer.close(),
                    length => peer.write_all(&buffer[..length])?,
                }
            }
        })
    }

    /// Where it listens.
    #[must_use]
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// What it shows.
    #[must_use]
    pub fn identity(&self) -> &TlsIdentity {
        &self.identity
    }
}

impl fmt::Debug for TlsServer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("TlsServer").field("address", &self.address).finish_non_exhaustive()
    }
}

fn accept(listener: &TcpListener, stop: &Stop, start: impl Fn(TcpStream) -> Option<JoinHandle<()>>) {
    let mut threads: Vec<JoinHandle<()>> = Vec::new();
    while stop.wait(listener, PollFlags::IN) == Wake::Ready {
        threads.retain(|thread| !thread.is_finished());
        if let Ok((stream, _)) = listener.accept() {
            threads.extend(start(stream));
        }
    }
    let panicked = threads.into_iter().filter_map(|thread| thread.join().err()).next();
    if let Some(cause) = panicked {
        std::panic::resume_unwind(cause);
    }
}

/// One connection of a server. Its `Read` and `Write` carry plaintext and make the handshake if there was none.
#[derive(Debug)]
pub struct TlsPeer {
    connection: ServerConnection,
    socket: Patient,
}

/// A socket whose calls wait for the peer or for the end of the server.
#[derive(Debug)]
struct Patient {
    stream: TcpStream,
    stop: Arc<Stop>,
}

impl TlsPeer {
    fn new(connection: ServerConnection, stream: TcpStream, stop: Arc<Stop>) -> io::Result<Self> {
        stream.set_nonblocking(true)?;
        stream.set_nodelay(true)?;
        Ok(Self { connection, socket: Patient { stream, stop } })
    }

    /// Makes the handshake.
    ///
    /// # Errors
    /// Those of the connection and of TLS.
    pub fn handshake(&mut self) -> io::Result<()> {
        while self.connection.is_handshaking() {
            self.connection.complete_io(&mut self.socket)?;
        }
        Ok(())
    }

    /// The host that the client asked for.
    #[must_use]
    pub fn server_name(&self) -> Option<&str> {
        self.connection.server_name()
    }

    /// The records that carry this plaintext, not sent.
    ///
    /// # Errors
    /// When TLS cannot make them.
    pub fn records(&mut self, plain: &[u8]) -> io::Result<Vec<u8>> {
        let mut records = Vec::new();
        self.connection.writer().write_all(plain)?;
        while self.connection.wants_write() {
            self.connection.write_tls(&mut records)?;
        }
        Ok(records)
    }

    /// The connection below TLS; both directions wait for the peer.
    pub fn raw(&mut self) -> &mut (impl Read + Write) {
        &mut self.socket
    }

    /// Says that no more will be sent.
    ///
    /// # Errors
    /// Those of the connection.
    pub fn close(&mut self) -> io::Result<()> {
        self.connection.send_close_notify();
        self.flush()
    }

    /// Ends the connection with a reset when the conversation ends.
    ///
    /// # Errors
    /// The system's.
    pub fn reset_at_the_end(&self) -> io::Result<()> {
        socket2::SockRef::from(&self.socket.stream).set_linger(Some(std::time::Duration::ZERO))
    }

    /// Waits until the server is dropped.
    pub fn stall(&self) {
        while self.socket.stop.sleep(std::time::Duration::from_secs(60)) == Wake::TimedOut {}
    }

    /// Sends this with the server's last flight of a TLS 1.3 handshake that has not begun.
    ///
    /// # Errors
    /// When it is more than the server keeps.
    pub fn send_with_handshake(&mut self, plain: &[u8]) -> io::Result<()> {
        self.connection.writer().write_all(plain)
    }
}

impl Read for TlsPeer {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        rustls::Stream::new(&mut self.connection, &mut self.socket).read(buffer)
    }
}

impl Write for TlsPeer {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        rustls::Stream::new(&mut self.connection, &mut self.socket).write(bytes)
    }

    fn flush(&mut self) -> io::Result<()> {
        rustls::Stream::new(&mut self.connection, &mut self.socket).flush()
    }
}

impl Patient {
    fn until<T>(
        &mut self,
        events: PollFlags,
        mut call: impl FnMut(&mut TcpStream) -> io::Result<T>,
    ) -> io::Result<T> {
        loop {
            match call(&mut self.stream) {
                Err(error) if error.kind() == ErrorKind::WouldBlock => {}
                outcome => return outcome,
            }
            if self.stop.wait(&self.stream, events) == Wake::Stopped {
                return Err(ErrorKind::ConnectionAborted.into());
            }
        }
    }
}

impl Read for Patient {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        self.until(PollFlags::IN, |stream| stream.read(buffer))
    }
}

impl Write for Patient {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.until(PollFlags::OUT, |stream| stream.write(bytes))
    }

    fn write_vectored(&mut self, slices: &[IoSlice<'_>]) -> io::Result<usize> {
        // Not only the first one: an alert may be the last thing that rustls has to say, and it says it once.
        self.until(PollFlags::OUT, |stream| stream.write_vectored(slices))
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}
