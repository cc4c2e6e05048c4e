//! The echo server that benches measure against.

use std::io::{self, ErrorKind, Read, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::os::fd::AsRawFd;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::mpsc;
use std::time::Duration;

use mio::event::Event;
use mio::unix::SourceFd;
use mio::{Events, Interest, Poll, Token};
use slab::Slab;

use crate::LOOPBACK_V4;
use crate::measure::pin_to_core;
use crate::worker::{Stop, Worker};

const STOP: Token = Token(usize::MAX);
const LISTENER: Token = Token(usize::MAX - 1);

/// One buffer serves every connection: what cannot be sent at once is kept with its connection.
const BUFFER_BYTES: usize = 64 * 1024;
/// Events taken per system call; more wait in the kernel for the next.
const EVENTS_MAX: usize = 4096;
/// Buffers read from one connection before the others get their turn.
const READS_PER_TURN_MAX: usize = 16;
/// Pause before accepting again when the process is out of descriptors.
const ACCEPT_RETRY: Duration = Duration::from_millis(10);

/// Sends back what it receives; closes when the peer does.
///
/// One thread with an edge-triggered loop serves all connections: a message costs one read and one write, and nothing
/// is allocated for it. With `TCP_NODELAY`, so an answer leaves at once. A peer that does not read is not read from
/// either. After the peer's half-close everything received is sent back before the close.
///
/// ```
/// let echo = testkit::TcpEcho::start_on_core(Some(0))?;
/// let client = std::net::TcpStream::connect(echo.address())?;
/// assert_eq!(client.peer_addr()?, echo.address());
/// # Ok::<(), std::io::Error>(())
/// ```
#[derive(Debug)]
pub struct TcpEcho {
    address: SocketAddr,
    accepted: Arc<AtomicU64>,
    _worker: Worker,
}

impl TcpEcho {
    /// Starts a server on IPv4 loopback.
    ///
    /// # Errors
    /// When the local system has no socket, descriptor or thread to give.
    pub fn start() -> io::Result<Self> {
        Self::start_at(LOOPBACK_V4, None)
    }

    /// Starts a server on IPv4 loopback whose thread runs on this CPU core only (`None`: on any).
    ///
    /// # Errors
    /// As [`Self::start`]; also when this process may not run on that core.
    pub fn start_on_core(core: Option<usize>) -> io::Result<Self> {
        Self::start_at(LOOPBACK_V4, core)
    }

    /// Starts a server at an address, in the network namespace of the calling thread.
    ///
    /// # Errors
    /// As [`Self::start_on_core`]; also when the address is taken or not of this host.
    pub fn start_at(address: SocketAddr, core: Option<usize>) -> io::Result<Self> {
        let listener = super::listen(address)?;
        let address = listener.local_addr()?;
        let accepted = Arc::new(AtomicU64::new(0));
        let count = Arc::clone(&accepted);
        let (report, started) = mpsc::sync_channel(1);
        let worker = Worker::start("tcp-echo", move |stop| {
            let ready = core.map_or(Ok(()), pin_to_core).and_then(|()| Loop::new(listener, stop, count));
            match ready {
                Ok(mut server) => {
                    let _owner_waits = report.send(Ok(()));
                    server.run();
                }
                Err(why) => {
                    let _owner_waits = report.send(Err(why));
                }
            }
        })?;
        started.recv().map_err(io::Error::other)??;
        Ok(Self { address, accepted, _worker: worker })
    }

    /// Where it listens.
    #[must_use]
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// Connections accepted until now.
    #[must_use]
    pub fn accepted(&self) -> u64 {
        self.accepted.load(Ordering::Relaxed)
    }
}

/// What remains to do for a connection.
enum After {
    /// Its turn is over and it has more: serve it again without waiting for an event.
    Again,
    Close,
    /// The kernel will tell.
    Wait,
}

struct Connection {
    stream: TcpStream,
    /// Received but refused by the kernel's send buffer; nothing more is read until it is gone.
    unsent: Vec<u8>,
}

impl Connection {
    /// Echoes until the kernel has no more, or the turn is over. `drain`: a short read does not end the turn, because
    /// an end of stream that was announced together with the data is not announced again.
    fn serve(&mut self, buffer: &mut [u8], drain: bool) -> After {
        for _ in 0..READS_PER_TURN_MAX {
            let unsent = self.unsent.len();
            if unsent > 0 {
                match send(&mut self.stream, &self.unsent) {
                    Err(_) => return After::Close,
                    Ok(sent) => self.unsent.drain(..sent),
                };
                if !self.unsent.is_empty() {
                    return After::Wait;
                }
            }
            let count = match self.stream.read(buffer) {
                Ok(0) => return After::Close,
                Ok(count) => count,
                Err(why) if why.kind() == ErrorKind::WouldBlock => return After::Wait,
                Err(why) if why.kind() == ErrorKind::Interrupted => continue,
                Err(_) => return After::Close,
            };
            let Ok(sent) = send(&mut self.stream, &buffer[..count]) else { return After::Close };
            self.unsent.extend_from_slice(&buffer[sent..count]);
            // On a stream a short read means that the kernel's buffer is empty: epoll(7), Q9.
            if !self.unsent.is_empty() || (count < buffer.len() && !drain) {
                return After::Wait;
            }
        }
        After::Again
    }
}

/// Sends until all is gone or the kernel takes no more (only then will it tell when it does again).
fn send(stream: &mut TcpStream, bytes: &[u8]) -> io::Result<usize> {
    let mut sent = 0;
    while sent < bytes.len() {
        match stream.write(&bytes[sent..]) {
            Ok(count) => sent += count,
            Err(why) if why.kind() == ErrorKind::WouldBlock => break,
            Err(why) if why.kind() == ErrorKind::Interrupted => {}
            Err(why) => return Err(why),
        }
    }
    Ok(sent)
}

struct Loop {
    poll: Poll,
    listener: TcpListener,
    /// Set while there may be connections to accept that no event will announce.
    accept_again: bool,
    accepted: Arc<AtomicU64>,
    connections: Slab<Connection>,
    /// Connections whose turn ended before their data did.
    again: Vec<usize>,
    buffer: Box<[u8]>,
}

impl Loop {
    fn new(listener: TcpListener, stop: &Stop, accepted: Arc<AtomicU64>) -> io::Result<Self> {
        let poll = Poll::new()?;
        let registry = poll.registry();
        registry.register(&mut SourceFd(&stop.as_fd().as_raw_fd()), STOP, Interest::READABLE)?;
        registry.register(&mut SourceFd(&listener.as_raw_fd()), LISTENER, Interest::READABLE)?;
        Ok(Self {
            poll,
            listener,
            accept_again: false,
            accepted,
            connections: Slab::new(),
            again: Vec::new(),
            buffer: vec![0; BUFFER_BYTES].into_boxed_slice(),
        })
    }

    /// Serves until the stop signal.
    fn run(&mut self) {
        let mut events = Events::with_capacity(EVENTS_MAX);
        let mut last_turn = Vec::new();
        loop {
            let timeout = match (self.again.is_empty(), self.accept_again) {
                (false, _) => Some(Duration::ZERO),
                (true, true) => Some(ACCEPT_RETRY),
                (true, false) => None,
            };
            match self.poll.poll(&mut events, timeout) {
                Ok(()) => {}
                Err(why) if why.kind() == ErrorKind::Interrupted => continue,
                Err(_) => return,
            }
            std::mem::swap(&mut self.again, &mut last_turn);
            for event in &events {
                match event.token() {
                    STOP => return,
                    LISTENER => self.accept_again = true,
                    Token(key) => self.serve(key, Event::is_read_closed(event)),
                }
            }
            for key in last_turn.drain(..) {
                self.serve(key, true);
            }
            if self.accept_again {
                self.accept();
            }
        }
    }

    /// Gives one connection its turn. A key that outlived its connection finds none, or a new one with nothing to read.
    fn serve(&mut self, key: usize, drain: bool) {
        let Some(connection) = self.connections.get_mut(key) else { return };
        match connection.serve(&mut self.buffer, drain) {
            After::Again => self.again.push(key),
            After::Close => drop(self.connections.remove(key)),
            After::Wait => {}
        }
    }

    /// Takes every connection that waits.
    fn accept(&mut self) {
        loop {
            let stream = match self.listener.accept() {
                Ok((stream, _)) => stream,
                Err(why) if why.kind() == ErrorKind::WouldBlock => return self.accept_again = false,
                Err(why) if matches!(why.kind(), ErrorKind::Interrupted | ErrorKind::ConnectionAborted) => {
                    continue;
                }
                // Out of descriptors or memory: the listener will not be announced again, so ask later.
                Err(_) => return,
            };
            self.accepted.fetch_add(1, Ordering::Relaxed);
            // A failure closes the connection: its peer sees that, and no other peer suffers.
            let _peer_is_told = self.adopt(stream);
        }
    }

    fn adopt(&mut self, stream: TcpStream) -> io::Result<()> {
        stream.set_nonblocking(true)?;
        stream.set_nodelay(true)?;
        let entry = self.connections.vacant_entry();
        let interest = Interest::READABLE | Interest::WRITABLE;
        self.poll.registry().register(&mut SourceFd(&stream.as_raw_fd()), Token(entry.key()), interest)?;
        entry.insert(Connection { stream, unsent: Vec::new() });
        Ok(())
    }
}

#[cfg(test)]
mod tests;
