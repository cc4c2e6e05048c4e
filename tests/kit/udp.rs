//! UDP peers: one that echoes, one that answers as a closure says.

use std::io::{self, ErrorKind};
use std::net::{SocketAddr, UdpSocket};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use rustix::event::PollFlags;
use socket2::{Domain, Socket, Type};

use crate::LOOPBACK_V4;
use crate::worker::{Stop, Wake, Worker};

/// More than any datagram has: 65,507 bytes over IPv4, 65,527 over IPv6 (RFC 768, RFC 8200).
const DATAGRAM_BYTES_MAX: usize = 65_535;
/// Datagrams taken before the stop signal is looked at again.
const DATAGRAMS_PER_TURN_MAX: usize = 64;
/// Asked of the kernel for each direction, so that a burst from one event loop is not dropped (capped by `rmem_max`).
const SOCKET_BUFFER_BYTES: usize = 4 << 20;

/// Datagrams in, answers the kernel would not send.
#[derive(Debug, Default)]
struct Counts {
    received: AtomicU64,
    unsent: AtomicU64,
}

/// Answers each datagram with the datagrams that a closure returns: none, one or many, also empty ones.
///
/// The closure runs on the server's thread. If it panics, the server goes silent and its drop raises the panic again.
///
/// ```
/// let twice = testkit::UdpServer::start(|asked, _from| vec![asked.to_vec(), Vec::new()])?;
/// let client = std::net::UdpSocket::bind("127.0.0.1:0")?;
/// client.send_to(b"hi", twice.address())?;
/// let mut buffer = [0; 16];
/// assert_eq!(client.recv(&mut buffer)?, 2);
/// assert_eq!(client.recv(&mut buffer)?, 0);
/// assert_eq!(twice.received(), 1);
/// # Ok::<(), std::io::Error>(())
/// ```
#[derive(Debug)]
pub struct UdpServer {
    address: SocketAddr,
    counts: Arc<Counts>,
    _worker: Worker,
}

impl UdpServer {
    /// Starts a server on IPv4 loopback.
    ///
    /// # Errors
    /// When the local system has no socket, descriptor or thread to give.
    pub fn start(answer: impl FnMut(&[u8], SocketAddr) -> Vec<Vec<u8>> + Send + 'static) -> io::Result<Self> {
        Self::start_at(LOOPBACK_V4, answer)
    }

    /// Starts a server at an address, in the network namespace of the calling thread.
    ///
    /// # Errors
    /// As [`Self::start`]; also when the address is taken or not of this host.
    pub fn start_at(
        address: SocketAddr,
        mut answer: impl FnMut(&[u8], SocketAddr) -> Vec<Vec<u8>> + Send + 'static,
    ) -> io::Result<Self> {
        Self::serve_at(address, move |datagram, from, reply| {
            for bytes in answer(datagram, from) {
                reply(&bytes);
            }
        })
    }

    /// Starts a server whose closure sends each answer through a function it is lent.
    fn serve_at(
        address: SocketAddr,
        answer: impl FnMut(&[u8], SocketAddr, &mut dyn FnMut(&[u8])) + Send + 'static,
    ) -> io::Result<Self> {
        let socket = bind(address)?;
        let address = socket.local_addr()?;
        let counts = Arc::new(Counts::default());
        let theirs = Arc::clone(&counts);
        let worker = Worker::start("udp-server", move |stop| serve(&socket, stop, &theirs, answer))?;
        Ok(Self { address, counts, _worker: worker })
    }

    /// Where it listens.
    #[must_use]
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// Datagrams received until now; each is counted before it is answered.
    #[must_use]
    pub fn received(&self) -> u64 {
        self.counts.received.load(Ordering::Relaxed)
    }

    /// Answers that the kernel refused to send: larger than a datagram can be, or to a peer it cannot reach.
    #[must_use]
    pub fn unsent(&self) -> u64 {
        self.counts.unsent.load(Ordering::Relaxed)
    }
}

/// Sends each datagram back to where it came from, without allocating.
///
/// ```
/// let echo = testkit::UdpEcho::start_at(testkit::LOOPBACK_V6)?;
/// let client = std::net::UdpSocket::bind("[::1]:0")?;
/// client.send_to(b"hi", echo.address())?;
/// assert_eq!(client.recv(&mut [0; 16])?, 2);
/// assert_eq!(echo.received(), 1);
/// # Ok::<(), std::io::Error>(())
/// ```
#[derive(Debug)]
pub struct UdpEcho {
    server: UdpServer,
}

impl UdpEcho {
    /// Starts a server on IPv4 loopback.
    ///
    /// # Errors
    /// As [`UdpServer::start`].
    pub fn start() -> io::Result<Self> {
        Self::start_at(LOOPBACK_V4)
    }

    /// Starts a server at an address, in the network namespace of the calling thread.
    ///
    /// # Errors
    /// As [`UdpServer::start_at`].
    pub fn start_at(address: SocketAddr) -> io::Result<Self> {
        Ok(Self { server: UdpServer::serve_at(address, |datagram, _, reply| reply(datagram))? })
    }

    /// Where it listens.
    #[must_use]
    pub fn address(&self) -> SocketAddr {
        self.server.address()
    }

    /// Datagrams received until now; each is counted before it is sent back.
    #[must_use]
    pub fn received(&self) -> u64 {
        self.server.received()
    }
}

/// A non-blocking socket at `address`, with large buffers.
pub(crate) fn bind(address: SocketAddr) -> io::Result<UdpSocket> {
    let socket = Socket::new(Domain::for_address(address), Type::DGRAM, None)?;
    socket.set_recv_buffer_size(SOCKET_BUFFER_BYTES)?;
    socket.set_send_buffer_size(SOCKET_BUFFER_BYTES)?;
    socket.set_nonblocking(true)?;
    socket.bind(&address.into())?;
    Ok(socket.into())
}

/// Answers until the stop signal.
fn serve(
    socket: &UdpSocket,
    stop: &Stop,
    counts: &Counts,
    mut answer: impl FnMut(&[u8], SocketAddr, &mut dyn FnMut(&[u8])),
) {
    let mut buffer = vec![0; DATAGRAM_BYTES_MAX];
    while stop.wait(socket, PollFlags::IN) == Wake::Ready {
        for _ in 0..DATAGRAMS_PER_TURN_MAX {
            // An error here is an empty queue, or a past answer's fault: the next wait tells which.
            let Ok((count, from)) = socket.recv_from(&mut buffer) else { break };
            counts.received.fetch_add(1, Ordering::Relaxed);
            answer(&buffer[..count], from, &mut |bytes| {
                if send(socket, stop, bytes, from).is_err() {
                    counts.unsent.fetch_add(1, Ordering::Relaxed);
                }
            });
        }
    }
}

/// Sends one datagram, waiting while the send buffer is full.
fn send(socket: &UdpSocket, stop: &Stop, bytes: &[u8], to: SocketAddr) -> io::Result<()> {
    loop {
        match socket.send_to(bytes, to) {
            Ok(_) => return Ok(()),
            Err(why) if why.kind() == ErrorKind::Interrupted => {}
            Err(why) if why.kind() == ErrorKind::WouldBlock => {
                if stop.wait(socket, PollFlags::OUT) != Wake::Ready {
                    return Err(why);
                }
            }
            Err(why) => return Err(why),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::LOOPBACK_V6;
    use std::time::Duration;

    /// A client that fails instead of hanging.
    fn client(server: SocketAddr) -> UdpSocket {
        let local = if server.is_ipv4() { LOOPBACK_V4 } else { LOOPBACK_V6 };
        let socket = UdpSocket::bind(local).unwrap();
        socket.set_read_timeout(Some(Duration::from_secs(20))).unwrap();
        socket.connect(server).unwrap();
        socket
    }

    fn receive(socket: &UdpSocket) -> Vec<u8> {
        let mut buffer = vec![0; DATAGRAM_BYTES_MAX];
        let count = socket.recv(&mut buffer).unwrap();
        buffer.truncate(count);
        buffer
    }

    #[test]
    fn echoes_empty_and_largest_datagrams_on_both_families() {
        for (address, largest) in [(LOOPBACK_V4, 65_507), (LOOPBACK_V6, 65_527)] {
            let echo = UdpEcho::start_at(address).unwrap();
            let socket = client(echo.address());
            for size in [0, 1, largest] {
                socket.send(&vec![5; size]).unwrap();
                assert_eq!(receive(&socket), vec![5; size]);
            }
            assert_eq!(echo.received(), 3);
        }
    }

    #[test]
    fn a_script_gives_no_one_and_many_answers() {
        let mut asked = 0;
        let server = UdpServer::start(move |question, from| {
            assert!(from.ip().is_loopback());
            asked += 1;
            match asked {
                1 => vec![],
                2 => vec![Vec::new(), vec![8; 65_507], question.to_vec()],
                _ => vec![vec![0; 65_508]],
            }
        })
        .unwrap();
        let socket = client(server.address());
        socket.send(b"first").unwrap();
        socket.send(b"second").unwrap();
        assert_eq!(receive(&socket), b"");
        assert_eq!(receive(&socket), vec![8; 65_507]);
        assert_eq!(receive(&socket), b"second");
        assert_eq!((server.received(), server.unsent()), (2, 0));

        socket.send(b"third").unwrap();
        socket.set_read_timeout(Some(Duration::from_millis(200))).unwrap();
        assert!(socket.recv(&mut [0; 1]).is_err());
        assert_eq!((server.received(), server.unsent()), (3, 1));
    }

    #[test]
    #[should_panic(expected = "not the question")]
    fn a_failed_assertion_of_the_closure_fails_the_test() {
        let server = UdpServer::start(|question, _| {
            assert_eq!(question, b"what", "not the question");
            Vec::new()
        })
        .unwrap();
        let socket = client(server.address());
        socket.send(b"else").unwrap();
        while server.received() == 0 {
            std::thread::yield_now();
        }
        drop(server);
    }
}
