//! A DNS server that says what a closure tells it to: late, twice, malformed, as somebody else, by TCP.

use std::collections::BTreeMap;
use std::io::{self, ErrorKind, Read, Write};
use std::net::{Ipv4Addr, SocketAddr, TcpListener, TcpStream, UdpSocket};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant};

use rustix::event::PollFlags;

use crate::LOOPBACK_V4;
use crate::udp;
use crate::worker::{Stop, Wake, Worker};

/// Ports tried for one that is free for UDP and TCP.
const PORTS_TRIED_MAX: usize = 32;
/// TCP connections at a time.
const CONNECTIONS_MAX: usize = 64;
/// More than any message has.
const MESSAGE_BYTES_MAX: usize = 65_535;
/// Another host, on the same machine, which the server can speak as.
const OTHER_HOST: Ipv4Addr = Ipv4Addr::new(127, 0, 0, 2);

/// How a question came.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[expect(clippy::exhaustive_enums, reason = "the two of RFC 7766")]
pub enum DnsTransport {
    /// As a datagram.
    Udp,
    /// By a connection, without the length before it.
    Tcp,
}

/// A question that the server was asked.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct DnsQuestion {
    /// The message.
    pub bytes: Vec<u8>,
    /// How it came.
    pub transport: DnsTransport,
    /// From where.
    pub from: SocketAddr,
    /// How many came before it.
    pub number: usize,
}

impl DnsQuestion {
    /// The id; 0 if there is none.
    #[must_use]
    pub fn id(&self) -> u16 {
        self.bytes.first_chunk().map_or(0, |bytes| u16::from_be_bytes(*bytes))
    }
}

/// One thing that a [`LyingDns`] says.
#[derive(Clone, Debug)]
pub struct Say {
    bytes: Vec<u8>,
    after: Duration,
    voice: Voice,
    manner: Manner,
}

/// Who a datagram seems to come from.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Voice {
    Own,
    OtherPort,
    OtherHost,
}

/// How a message goes into a connection.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Manner {
    Whole,
    Bytewise(Duration),
    Cut(usize),
}

impl Say {
    /// Says it at once, and whole.
    #[must_use]
    pub fn now(bytes: impl Into<Vec<u8>>) -> Self {
        Self { bytes: bytes.into(), after: Duration::ZERO, voice: Voice::Own, manner: Manner::Whole }
    }

    /// Says it so long after the question; by TCP, after what was said before.
    #[must_use]
    pub fn after(mut self, pause: Duration) -> Self {
        self.after = pause;
        self
    }

    /// Sends the datagram from another port of the server's host. By TCP it changes nothing.
    #[must_use]
    pub fn by_other_port(mut self) -> Self {
        self.voice = Voice::OtherPort;
        self
    }

    /// Sends the datagram from the server's port on 127.0.0.2. By TCP, or on another address than 127.0.0.1, it changes
    /// nothing.
    #[must_use]
    pub fn by_other_host(mut self) -> Self {
        self.voice = Voice::OtherHost;
        self
    }

    /// By TCP, sends it byte by byte, with so much time between two.
    #[must_use]
    pub fn bytewise(mut self, every: Duration) -> Self {
        self.manner = Manner::Bytewise(every);
        self
    }

    /// By TCP, announces all of it, sends so many bytes, the two of the length included, and closes.
    #[must_use]
    pub fn cut(mut self, after: usize) -> Self {
        self.manner = Manner::Cut(after);
        self
    }
}

type Script = dyn Fn(&DnsQuestion) -> Vec<Say> + Send + Sync;

/// What the server's threads share.
struct Stage {
    script: Box<Script>,
    asked: Mutex<Vec<DnsQuestion>>,
}

impl Stage {
    /// Notes a question, and says what is to be said to it.
    fn ask(&self, bytes: &[u8], transport: DnsTransport, from: SocketAddr) -> Vec<Say> {
        let question = {
            let mut asked = self.asked.lock().unwrap_or_else(PoisonError::into_inner);
            let question = DnsQuestion { bytes: bytes.to_vec(), transport, from, number: asked.len() };
            asked.push(question.clone());
            question
        };
        (self.script)(&question)
    }
}

/// Answers each question, by UDP and TCP on one port, with what a closure says: nothing, one thing or many.
///
/// If the closure panics, the server goes silent and its drop raises the panic again.
///
/// ```
/// use testkit::{DnsAnswer, LyingDns, Say};
///
/// let server = LyingDns::start(|question| {
///     let truth = DnsAnswer::to(&question.bytes).pointer("true.example");
///     let lie = DnsAnswer::to(&question.bytes).pointer("false.example").id(question.id() ^ 1);
///     vec![Say::now(lie.done()), Say::now(truth.done())]
/// })?;
/// let client = std::net::UdpSocket::bind("127.0.0.1:0")?;
/// let query = b"\x12\x34\x01\x00\x00\x01\x00\x00\x00\x00\x00\x00\x011\x010\x0218\x03198\x07in-addr\x04arpa\x00\x00\x0c\x00\x01";
/// client.send_to(query, server.address())?;
/// let mut buffer = [0; 512];
/// client.recv(&mut buffer)?;
/// assert_eq!(buffer[..2], [0x12, 0x35]);
/// client.recv(&mut buffer)?;
/// assert_eq!(buffer[..2], [0x12, 0x34]);
/// assert_eq!(server.asked().len(), 1);
/// # Ok::<(), std::io::Error>(())
/// ```
pub struct LyingDns {
    address: SocketAddr,
    stage: Arc<Stage>,
    workers: Vec<Worker>,
}

impl LyingDns {
    /// Starts a server on IPv4 loopback.
    ///
    /// # Errors
    /// When the local system has no socket, descriptor or thread to give.
    pub fn start(script: impl Fn(&DnsQuestion) -> Vec<Say> + Send + Sync + 'static) -> io::Result<Self> {
        Self::start_at(LOOPBACK_V4, script)
    }

    /// Starts a server at an address, in the network namespace of the calling thread.
    ///
    /// # Errors
    /// As [`Self::start`]; also when the address is taken or not of this host.
    pub fn start_at(
        address: SocketAddr,
        script: impl Fn(&DnsQuestion) -> Vec<Say> + Send + Sync + 'static,
    ) -> io::Result<Self> {
        let (datagrams, connections) = bind_both(address)?;
        let mut server = Self::speak(datagrams, script)?;
        let stage = Arc::clone(&server.stage);
        server.workers.push(Worker::start("lying-dns-tcp", move |stop| {
            accept(&connections, stop, &stage);
        })?);
        Ok(server)
    }

    /// Starts a server on IPv4 loopback that refuses connections.
    ///
    /// # Errors
    /// As [`Self::start`].
    pub fn start_without_tcp(
        script: impl Fn(&DnsQuestion) -> Vec<Say> + Send + Sync + 'static,
    ) -> io::Result<Self> {
        Self::speak(udp::bind(LOOPBACK_V4)?, script)
    }

    fn speak(
        socket: UdpSocket,
        script: impl Fn(&DnsQuestion) -> Vec<Say> + Send + Sync + 'static,
    ) -> io::Result<Self> {
        let address = socket.local_addr()?;
        let mut elsewhere = address;
        elsewhere.set_port(0);
        let other_port = udp::bind(elsewhere)?;
        let is_home = address.ip() == LOOPBACK_V4.ip();
        let other_host = if is_home { udp::bind((OTHER_HOST, address.port()).into()).ok() } else { None };
        let stage = Arc::new(Stage { script: Box::new(script), asked: Mutex::default() });
        let theirs = Arc::clone(&stage);
        let worker = Worker::start("lying-dns-udp", move |stop| {
            Datagrams { socket, other_port, other_host, stage: &theirs, due: BTreeMap::new(), said: 0 }
                .serve(stop);
        })?;
        Ok(Self { address, stage, workers: vec![worker] })
    }

    /// Where it listens.
    #[must_use]
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// All questions until now, in the order in which they came.
    #[must_use]
    pub fn asked(&self) -> Vec<DnsQuestion> {
        self.stage.asked.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }
}

impl std::fmt::Debug for LyingDns {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("LyingDns").field("address", &self.address).finish_non_exhaustive()
    }
}

/// Sockets of both kinds on one port.
fn bind_both(address: SocketAddr) -> io::Result<(UdpSocket, TcpListener)> {
    let mut tried = 0;
    loop {
        let datagrams = udp::bind(address)?;
        match TcpListener::bind(datagrams.local_addr()?) {
            Ok(connections) => {
                connections.set_nonblocking(true)?;
                return Ok((datagrams, connections));
            }
            Err(why) if why.kind() == ErrorKind::AddrInUse && address.port() == 0 => tried += 1,
            Err(why) => return Err(why),
        }
        if tried == PORTS_TRIED_MAX {
            return Err(io::Error::new(ErrorKind::AddrInUse, "no port is free for both UDP and TCP"));
        }
    }
}

/// The thread for datagrams.
struct Datagrams<'a> {
    socket: UdpSocket,
    other_port: UdpSocket,
    other_host: Option<UdpSocket>,
    stage: &'a Stage,
    due: BTreeMap<(Instant, u64), (Say, SocketAddr)>,
    said: u64,
}

impl Datagrams<'_> {
    #[expect(clippy::disallowed_methods, reason = "a driver: a server lives in real time")]
    fn serve(mut self, stop: &Stop) {
        let mut buffer = vec![0; MESSAGE_BYTES_MAX];
        loop {
            let due = self.due.first_key_value().map(|((due, _), _)| *due);
            let wake = stop.wait_until(&self.socket, PollFlags::IN, due);
            if wake == Wake::Stopped {
                return;
            }
            if wake == Wake::Ready
                && let Ok((length, from)) = self.socket.recv_from(&mut buffer)
            {
                let now = Instant::now();
                for say in self.stage.ask(&buffer[..length], DnsTransport::Udp, from) {
                    self.said += 1;
                    self.due.insert((now + say.after, self.said), (say, from));
                }
            }
            let now = Instant::now();
            while let Some(entry) = self.due.first_entry()
                && entry.key().0 <= now
            {
                let (say, to) = entry.remove();
                let socket = match (say.voice, &self.other_host) {
                    (Voice::OtherPort, _) => &self.other_port,
                    (Voice::OtherHost, Some(socket)) => socket,
                    _ => &self.socket,
                };
                // A peer that is gone, or a message too long for a datagram, is the test's business.
                let _sent = socket.send_to(&say.bytes, to);
            }
        }
    }
}

/// The thread that takes connections; each gets its own.
fn accept(listener: &TcpListener, stop: &Arc<Stop>, stage: &Arc<Stage>) {
    let mut threads: Vec<JoinHandle<()>> = Vec::new();
    while stop.wait(listener, PollFlags::IN) == Wake::Ready {
        threads.retain(|thread| !thread.is_finished());
        let Ok((stream, from)) = listener.accept() else { continue };
        if threads.len() >= CONNECTIONS_MAX {
            continue;
        }
        let (stop, stage) = (Arc::clone(stop), Arc::clone(stage));
        let run = move || {
            // Its end, of whatever kind, is all that matters.
            let _ended = converse(stream, from, &stop, &stage);
        };
        threads.extend(thread::Builder::new().name("lying-dns-conn".to_owned()).spawn(run));
    }
    for thread in threads {
        if let Err(cause) = thread.join() {
            std::panic::resume_unwind(cause);
        }
    }
}

/// Answers the questions of one connection, one after the other.
fn converse(mut stream: TcpStream, from: SocketAddr, stop: &Stop, stage: &Stage) -> io::Result<()> {
    stream.set_nonblocking(true)?;
    stream.set_nodelay(true)?;
    let mut length = [0; 2];
    loop {
        read(&mut stream, stop, &mut length)?;
        let mut question = vec![0; usize::from(u16::from_be_bytes(length))];
        read(&mut stream, stop, &mut question)?;
        for say in stage.ask(&question, DnsTransport::Tcp, from) {
            pause(stop, say.after)?;
            let length = u16::try_from(say.bytes.len()).unwrap_or(u16::MAX);
            let framed = [&length.to_be_bytes(), say.bytes.as_slice()].concat();
            match say.manner {
                Manner::Whole => write(&mut stream, stop, &framed)?,
                Manner::Bytewise(every) => {
                    for byte in framed {
                        write(&mut stream, stop, &[byte])?;
                        pause(stop, every)?;
                    }
                }
                Manner::Cut(after) => return write(&mut stream, stop, &framed[..after.min(framed.len())]),
            }
        }
    }
}

fn pause(stop: &Stop, time: Duration) -> io::Result<()> {
    if time.is_zero() || stop.sleep(time) == Wake::TimedOut { Ok(()) } else { Err(stopped()) }
}

fn read(stream: &mut TcpStream, stop: &Stop, mut buffer: &mut [u8]) -> io::Result<()> {
    while !buffer.is_empty() {
        match stream.read(buffer) {
            Ok(0) => return Err(ErrorKind::UnexpectedEof.into()),
            Ok(count) => buffer = &mut buffer[count..],
            Err(why) if why.kind() == ErrorKind::WouldBlock => ready(stream, stop, PollFlags::IN)?,
            Err(why) if why.kind() == ErrorKind::Interrupted => {}
            Err(why) => return Err(why),
        }
    }
    Ok(())
}

fn write(stream: &mut TcpStream, stop: &Stop, mut bytes: &[u8]) -> io::Result<()> {
    while !bytes.is_empty() {
        match stream.write(bytes) {
            Ok(count) => bytes = &bytes[count..],
            Err(why) if why.kind() == ErrorKind::WouldBlock => ready(stream, stop, PollFlags::OUT)?,
            Err(why) if why.kind() == ErrorKind::Interrupted => {}
            Err(why) => return Err(why),
        }
    }
    Ok(())
}

fn ready(stream: &TcpStream, stop: &Stop, events: PollFlags) -> io::Result<()> {
    if stop.wait(stream, events) == Wake::Ready { Ok(()) } else { Err(stopped()) }
}

fn stopped() -> io::Error {
    io::Error::other("the server is being dropped")
}

#[cfg(test)]
mod tests;
