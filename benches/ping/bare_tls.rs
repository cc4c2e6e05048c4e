//! The same client with TLS and without this library: one loop on mio, with rustls reading from and writing to the
//! sockets itself.

use std::collections::VecDeque;
use std::error::Error;
use std::io::{ErrorKind, Read, Write};
use std::net::TcpStream;
use std::os::fd::AsRawFd;
use std::sync::Arc;

use mio::unix::SourceFd;
use mio::{Events, Interest, Poll, Token};
use rustls::pki_types::{CertificateDer, ServerName};
use rustls::{ClientConfig, ClientConnection, RootCertStore};
use testkit::{TLS_HOST, TlsServer};

use super::{IN_FLIGHT_MAX, PING_BYTES};

const EVENTS_MAX: usize = 1024;

/// Connections of one loop.
pub(crate) struct Client {
    poll: Poll,
    events: Events,
    connections: Vec<Connection>,
    idle: VecDeque<usize>,
    left: usize,
    in_flight: usize,
}

struct Connection {
    stream: TcpStream,
    tls: ClientConnection,
    /// Bytes of the echo still to come.
    missing: usize,
}

impl Client {
    /// Connects and makes the handshakes, one after the other.
    pub(crate) fn connect(server: &TlsServer, connections: usize) -> Result<Self, Box<dyn Error>> {
        let mut roots = RootCertStore::empty();
        roots.add(CertificateDer::from(server.identity().root().to_vec()))?;
        let provider = Arc::new(rustls::crypto::ring::default_provider());
        let config = ClientConfig::builder_with_provider(provider)
            .with_safe_default_protocol_versions()?
            .with_root_certificates(roots)
            .with_no_client_auth();
        let config = Arc::new(config);
        let poll = Poll::new()?;
        let connections = (0..connections)
            .map(|index| {
                let mut tls = ClientConnection::new(Arc::clone(&config), ServerName::try_from(TLS_HOST)?)?;
                let mut stream = TcpStream::connect(server.address())?;
                while tls.is_handshaking() {
                    tls.complete_io(&mut stream)?;
                }
                stream.set_nonblocking(true)?;
                let interest = Interest::READABLE | Interest::WRITABLE;
                poll.registry().register(&mut SourceFd(&stream.as_raw_fd()), Token(index), interest)?;
                Ok(Connection { stream, tls, missing: 0 })
            })
            .collect::<Result<Vec<_>, Box<dyn Error>>>()?;
        Ok(Self {
            poll,
            events: Events::with_capacity(EVENTS_MAX),
            idle: (0..connections.len()).collect(),
            connections,
            left: 0,
            in_flight: 0,
        })
    }

    /// Sends so many pings and takes their echoes.
    pub(crate) fn run(&mut self, pings: usize) -> Result<(), Box<dyn Error>> {
        self.left = pings;
        for _ in 0..self.idle.len().min(IN_FLIGHT_MAX) {
            self.ping()?;
        }
        while self.in_flight > 0 {
            self.poll.poll(&mut self.events, None)?;
            let ready: Vec<Token> =
                self.events.iter().filter(|event| event.is_readable()).map(|event| event.token()).collect();
            for Token(index) in ready {
                self.receive(index)?;
            }
        }
        Ok(())
    }

    fn ping(&mut self) -> Result<(), Box<dyn Error>> {
        if self.left == 0 {
            return Ok(());
        }
        let Some(index) = self.idle.pop_front() else { return Ok(()) };
        let connection = &mut self.connections[index];
        connection.tls.writer().write_all(&[b'.'; PING_BYTES])?;
        while connection.tls.wants_write() {
            connection.tls.write_tls(&mut connection.stream)?;
        }
        connection.missing = PING_BYTES;
        self.left -= 1;
        self.in_flight += 1;
        Ok(())
    }

    fn receive(&mut self, index: usize) -> Result<(), Box<dyn Error>> {
        let connection = &mut self.connections[index];
        match connection.tls.read_tls(&mut connection.stream) {
            Ok(0) => return Err("the server closed a connection".into()),
            Ok(_) => {}
            Err(error) if error.kind() == ErrorKind::WouldBlock => return Ok(()),
            Err(error) => return Err(error.into()),
        }
        let plain = connection.tls.process_new_packets()?.plaintext_bytes_to_read();
        if plain == 0 {
            return Ok(());
        }
        let mut buffer = [0; 4 * PING_BYTES];
        let taken = connection.tls.reader().read(&mut buffer)?;
        connection.missing = connection.missing.saturating_sub(taken);
        if connection.missing == 0 {
            self.in_flight -= 1;
            self.idle.push_back(index);
            self.ping()?;
        }
        Ok(())
    }
}
