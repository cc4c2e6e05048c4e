//! Ports that do not answer as a server would: one refuses, one is silent.

use std::io::{self, ErrorKind};
use std::net::{IpAddr, Ipv4Addr, SocketAddr, TcpStream, UdpSocket};
use std::time::Duration;

use socket2::{Domain, Socket, Type};

use crate::LOOPBACK_V4;

/// Tries to find a port that is free for both TCP and UDP.
const BIND_TRIES_MAX: usize = 64;
/// Connections which [`full_backlog`] makes at most; three are expected.
const FILLING_MAX: usize = 16;
/// A loopback connect that has not ended after this long met a full queue.
const FILLING_PATIENCE: Duration = Duration::from_millis(250);

/// A port where nothing listens, kept free of listeners for as long as this value lives.
///
/// A connect is answered with RST (`ECONNREFUSED`), a datagram with ICMP port unreachable. The port is *bound*, so no
/// test that runs meanwhile is given it: a TCP socket that does not listen answers as no socket does, and so does a
/// UDP socket that is connected, here to itself, to everybody else.
#[derive(Debug)]
pub struct ClosedPort {
    address: SocketAddr,
    _tcp: Socket,
    _udp: UdpSocket,
}

impl ClosedPort {
    /// The address that refuses.
    #[must_use]
    pub fn address(&self) -> SocketAddr {
        self.address
    }
}

/// Reserves a closed port on IPv4 loopback.
///
/// ```
/// let closed = testkit::closed_port()?;
/// let why = std::net::TcpStream::connect(closed.address()).unwrap_err();
/// assert_eq!(why.kind(), std::io::ErrorKind::ConnectionRefused);
/// # Ok::<(), std::io::Error>(())
/// ```
///
/// # Errors
/// When the local system has no socket or port to give.
pub fn closed_port() -> io::Result<ClosedPort> {
    closed_port_at(IpAddr::V4(Ipv4Addr::LOCALHOST))
}

/// Reserves a closed port on an address of this host (of this thread's network namespace).
///
/// # Errors
/// As [`closed_port`]; also when the address is not of this host.
pub fn closed_port_at(ip: IpAddr) -> io::Result<ClosedPort> {
    for _ in 0..BIND_TRIES_MAX {
        let any = SocketAddr::new(ip, 0);
        let tcp = Socket::new(Domain::for_address(any), Type::STREAM, None)?;
        tcp.bind(&any.into())?;
        let Some(address) = tcp.local_addr()?.as_socket() else { continue };
        match UdpSocket::bind(address) {
            Ok(udp) => {
                udp.connect(address)?;
                return Ok(ClosedPort { address, _tcp: tcp, _udp: udp });
            }
            Err(why) if why.kind() == ErrorKind::AddrInUse => {}
            Err(why) => return Err(why),
        }
    }
    Err(io::Error::new(ErrorKind::AddrInUse, "no port is free for both TCP and UDP"))
}

/// A listener that answers no connect any more: a silent host, on loopback.
#[derive(Debug)]
pub struct FullBacklog {
    address: SocketAddr,
    _listener: Socket,
    _filling: Vec<TcpStream>,
}

impl FullBacklog {
    /// The address where a connect hangs.
    #[must_use]
    pub fn address(&self) -> SocketAddr {
        self.address
    }
}

/// Makes a listener on IPv4 loopback whose queue is full, so that a further connect hangs in `SYN_SENT`.
///
/// Why this works on Linux: a connection is complete, and waits to be accepted, as soon as the kernel has done the
/// handshake. When more wait than the backlog of `listen(2)`, the kernel *drops* further SYNs (unless
/// `tcp_abort_on_overflow` is set, and even then it resets only a handshake's end), in the hope that a retry finds
/// room. Nothing is ever accepted here, so no retry does. The backlog is 1 and not 0, because with 0 the queue of
/// *half-open* connections counts as full from the start, and the kernel logs a SYN flood. The connections that
/// fill the queue are kept in the value.
///
/// The client sends its SYN again after 1, 3, 7 … seconds, to no avail.
///
/// # Errors
/// When the local system has no socket to give, or its queue does not fill.
pub fn full_backlog() -> io::Result<FullBacklog> {
    let listener = Socket::new(Domain::IPV4, Type::STREAM, None)?;
    listener.bind(&LOOPBACK_V4.into())?;
    listener.listen(1)?;
    let Some(address) = listener.local_addr()?.as_socket() else {
        return Err(io::Error::other("the listener has no IP address"));
    };
    let mut filling = Vec::new();
    while filling.len() < FILLING_MAX {
        match TcpStream::connect_timeout(&address, FILLING_PATIENCE) {
            Ok(stream) => filling.push(stream),
            Err(why) if why.kind() == ErrorKind::TimedOut => {
                return Ok(FullBacklog { address, _listener: listener, _filling: filling });
            }
            Err(why) => return Err(why),
        }
    }
    Err(io::Error::other(format!("{address} took {FILLING_MAX} connections with a backlog of 1")))
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::net::Ipv6Addr;

    #[test]
    fn a_closed_port_refuses_tcp_and_udp_on_both_families() {
        for ip in [IpAddr::V4(Ipv4Addr::LOCALHOST), IpAddr::V6(Ipv6Addr::LOCALHOST)] {
            let closed = closed_port_at(ip).unwrap();
            let why = TcpStream::connect(closed.address()).unwrap_err();
            assert_eq!(why.kind(), ErrorKind::ConnectionRefused);

            let udp = UdpSocket::bind((ip, 0)).unwrap();
            udp.set_read_timeout(Some(Duration::from_secs(20))).unwrap();
            udp.connect(closed.address()).unwrap();
            udp.send(b"?").unwrap();
            assert_eq!(udp.recv(&mut [0]).unwrap_err().kind(), ErrorKind::ConnectionRefused);
        }
    }

    #[test]
    fn a_closed_port_is_given_to_nobody_else() {
        let closed = closed_port().unwrap();
        for taken in [
            std::net::TcpListener::bind(closed.address()).unwrap_err(),
            UdpSocket::bind(closed.address()).unwrap_err(),
        ] {
            assert_eq!(taken.kind(), ErrorKind::AddrInUse);
        }
    }

    #[test]
    fn a_full_backlog_makes_a_connect_time_out_past_the_first_retry() {
        let silent = full_backlog().unwrap();
        for limit in [Duration::from_millis(100), Duration::from_millis(1500)] {
            let why = TcpStream::connect_timeout(&silent.address(), limit).unwrap_err();
            assert_eq!(why.kind(), ErrorKind::TimedOut);
        }
    }
}
