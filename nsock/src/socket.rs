//! Making sockets, with the options that were asked for.

use std::io;
use std::net::SocketAddr;
use std::os::fd::AsFd;
use std::path::Path;
use std::time::Duration;

use socket2::{Domain, SockAddr, Socket, Type};

use crate::error::{During, SocketOption};
use crate::sys;

/// What to set on a socket when it is made. Everything is off by default, as the system has it.
///
/// An option that cannot be set fails the request: a probe that leaves by the wrong interface is worse than none.
///
/// ```
/// let mut options = nsock::SocketOptions::default();
/// options.local = Some("127.0.0.2:0".parse()?);
/// options.nodelay = true;
/// # Ok::<(), std::net::AddrParseError>(())
/// ```
#[derive(Debug, Clone, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct SocketOptions {
    /// The local address and port to bind to; port 0 lets the system choose.
    pub local: Option<SocketAddr>,
    /// The interface to bind to (`SO_BINDTODEVICE`).
    pub device: Option<String>,
    /// Whether a datagram socket may send to broadcast addresses.
    pub broadcast: bool,
    /// IPv4 options for every packet, at most 40 bytes; not used on IPv6.
    pub ip_options: Vec<u8>,
    /// Whether small writes go out at once (`TCP_NODELAY`).
    pub nodelay: bool,
    /// Whether to keep the ICMP message behind a failed connect (`IP_RECVERR`), for
    /// [`Io::iod_icmp_error`](crate::Io::iod_icmp_error). The system's error number alone does not tell a port
    /// that is closed from one that a router answers for.
    pub icmp_errors: bool,
    /// How long closing waits for unsent data (`SO_LINGER`); zero resets the connection and leaves no `TIME_WAIT`.
    pub linger: Option<Duration>,
}

/// Which internet protocol a raw socket speaks.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[expect(clippy::exhaustive_enums, reason = "there are two")]
pub enum IpVersion {
    /// IPv4.
    V4,
    /// IPv6.
    V6,
}

/// The two kinds of socket made here.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Flavor {
    Stream,
    Datagram,
}

/// A step of setting up a socket that failed.
#[derive(Debug)]
pub(crate) struct SetupError {
    pub(crate) during: During,
    pub(crate) error: io::Error,
}

/// Makes a non-blocking, close-on-exec socket of the address's family, bound to `local` and not to what the options say.
/// `bound` is told before the bind.
pub(crate) fn open(
    address: &SocketAddr,
    flavor: Flavor,
    options: &SocketOptions,
    local: Option<SocketAddr>,
    bound: impl FnOnce(SocketAddr),
) -> Result<Socket, SetupError> {
    let kind = match flavor {
        Flavor::Stream => Type::STREAM,
        Flavor::Datagram => Type::DGRAM,
    };
    let socket = Socket::new_raw(Domain::for_address(*address), kind.nonblocking().cloexec(), None)
        .map_err(|error| SetupError { during: During::Socket, error })?;
    let check = |option: SocketOption, result: io::Result<()>| {
        result.map_err(|error| SetupError { during: During::Option(option), error })
    };
    if let Some(local) = local {
        check(SocketOption::ReuseAddr, socket.set_reuse_address(true))?;
        bound(local);
        socket.bind(&SockAddr::from(local)).map_err(|error| SetupError { during: During::Bind, error })?;
    }
    if !options.ip_options.is_empty() && address.is_ipv4() {
        check(SocketOption::IpOptions, sys::set_ip_options(socket.as_fd(), &options.ip_options))?;
    }
    if let Some(device) = &options.device {
        check(SocketOption::BindToDevice, socket.bind_device(Some(device.as_bytes())))?;
    }
    match flavor {
        Flavor::Datagram if options.broadcast => check(SocketOption::Broadcast, socket.set_broadcast(true))?,
        Flavor::Stream if options.nodelay => check(SocketOption::NoDelay, socket.set_tcp_nodelay(true))?,
        _ => {}
    }
    if options.icmp_errors {
        check(SocketOption::RecvErr, sys::set_icmp_errors(socket.as_fd(), address.is_ipv6()))?;
    }
    if let Some(linger) = options.linger {
        check(SocketOption::Linger, socket.set_linger(Some(linger)))?;
    }
    Ok(socket)
}

/// Begins to connect a new socket to one across the border of a virtual machine; true if it is under way.
#[cfg(feature = "vsock")]
pub(crate) fn connect_vsock(cid: u32, port: u32, flavor: Flavor) -> Result<(Socket, bool), SetupError> {
    let kind = match flavor {
        Flavor::Stream => Type::STREAM,
        Flavor::Datagram => Type::DGRAM,
    };
    let socket = Socket::new_raw(Domain::VSOCK, kind.nonblocking().cloexec(), None)
        .map_err(|error| SetupError { during: During::Socket, error })?;
    match socket.connect(&SockAddr::vsock(cid, port)) {
        Ok(()) => Ok((socket, false)),
        Err(error) if error.raw_os_error() == Some(libc::EINPROGRESS) => Ok((socket, true)),
        Err(error) => Err(SetupError { during: During::Connect, error }),
    }
}

/// Connections that wait to be accepted: the system's own bound, or less if that is lower (listen(2)).
const BACKLOG: i32 = 4_096;

/// Makes a TCP socket that listens. The address may be in use by connections of an earlier listener.
pub(crate) fn listen(local: SocketAddr, options: &SocketOptions) -> Result<Socket, SetupError> {
    let failed = |during| move |error| SetupError { during, error };
    let socket = Socket::new_raw(Domain::for_address(local), Type::STREAM.nonblocking().cloexec(), None)
        .map_err(failed(During::Socket))?;
    let option = |option| failed(During::Option(option));
    socket.set_reuse_address(true).map_err(option(SocketOption::ReuseAddr))?;
    if let Some(device) = &options.device {
        socket.bind_device(Some(device.as_bytes())).map_err(option(SocketOption::BindToDevice))?;
    }
    // The connections that are accepted inherit these (socket(7), tcp(7)).
    if options.nodelay {
        socket.set_tcp_nodelay(true).map_err(option(SocketOption::NoDelay))?;
    }
    if let Some(linger) = options.linger {
        socket.set_linger(Some(linger)).map_err(option(SocketOption::Linger))?;
    }
    socket.bind(&SockAddr::from(local)).map_err(failed(During::Bind))?;
    socket.listen(BACKLOG).map_err(failed(During::Listen))?;
    Ok(socket)
}

/// Makes a socket in the file system that listens.
pub(crate) fn listen_unix(path: &Path) -> Result<Socket, SetupError> {
    let failed = |during| move |error| SetupError { during, error };
    let address = SockAddr::unix(path).map_err(|_| SetupError {
        during: During::Bind,
        error: io::Error::from_raw_os_error(libc::ENAMETOOLONG),
    })?;
    let socket = Socket::new_raw(Domain::UNIX, Type::STREAM.nonblocking().cloexec(), None)
        .map_err(failed(During::Socket))?;
    socket.bind(&address).map_err(failed(During::Bind))?;
    socket.listen(BACKLOG).map_err(failed(During::Listen))?;
    Ok(socket)
}

/// Connects a new socket to one in the file system, without waiting: a full backlog fails with `EAGAIN`.
pub(crate) fn connect_unix(path: &Path, flavor: Flavor) -> Result<Socket, SetupError> {
    let kind = match flavor {
        Flavor::Stream => Type::STREAM,
        Flavor::Datagram => Type::DGRAM,
    };
    let address = SockAddr::unix(path).map_err(|_| SetupError {
        during: During::Connect,
        error: io::Error::from_raw_os_error(libc::ENAMETOOLONG),
    })?;
    let socket = Socket::new_raw(Domain::UNIX, kind.nonblocking().cloexec(), None)
        .map_err(|error| SetupError { during: During::Socket, error })?;
    socket.connect(&address).map_err(|error| SetupError { during: During::Connect, error })?;
    Ok(socket)
}
