//! How things fail, and whose fault it is.

use std::{error, fmt, io};

use crate::proxy::ProxyFailure;
use crate::tls_error::TlsError;

/// Why a request did not succeed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Failure {
    /// It was cancelled, or its IOD was deleted with notice.
    Cancelled,
    /// The peer sends no more, and nothing was left to deliver.
    Eof,
    /// A system call failed.
    Io {
        /// The system's error number, such as `ECONNREFUSED`.
        errno: i32,
        /// Which step failed; it decides whose fault it is.
        during: During,
    },
    /// The pool was shut down.
    Killed,
    /// The request made no sense as it stood.
    Misuse(Misuse),
    /// The way through the proxies came to nothing.
    Proxy(ProxyFailure),
    /// Time ran out with nothing to deliver.
    TimedOut,
    /// TLS failed.
    Tls(TlsError),
}

/// The step of a request in which the system reported an error.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum During {
    /// Taking a connection to a listening socket.
    Accept,
    /// Binding to the local address that was asked for.
    Bind,
    /// The `connect` call itself: nothing may have left this machine.
    Connect,
    /// The peer's (or a router's) answer to a connect under way.
    Handshake,
    /// Making a socket listen.
    Listen,
    /// Formatting the text of a `printf`.
    Format,
    /// Setting a socket option that was asked for.
    Option(SocketOption),
    /// Receiving.
    Read,
    /// Putting the descriptor under watch.
    Register,
    /// Making the socket.
    Socket,
    /// Sending.
    Write,
}

/// A socket option that can be asked for; see [`SocketOptions`](crate::SocketOptions).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum SocketOption {
    /// `SO_BINDTODEVICE`.
    BindToDevice,
    /// `SO_BROADCAST`.
    Broadcast,
    /// `IP_OPTIONS`.
    IpOptions,
    /// `SO_LINGER`.
    Linger,
    /// `TCP_NODELAY`.
    NoDelay,
    /// `IP_RECVERR` or `IPV6_RECVERR`.
    RecvErr,
    /// `SO_REUSEADDR`, set before a bind.
    ReuseAddr,
}

/// A request that no peer and no system could have met.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Misuse {
    /// Datagrams or raw packets, where connections are to go through proxies.
    AroundProxies,
    /// A second connect on one IOD.
    AlreadyConnected,
    /// A TLS handshake on a connection that has TLS already.
    AlreadySecured,
    /// A TLS handshake on a connection with reads or writes pending.
    Busy,
    /// `sendto` on an IOD that is not a datagram socket.
    NotDatagram,
    /// A TLS handshake on what is not a TCP connection.
    NotTcp,
    /// A read or write on an IOD that listens.
    Listening,
    /// A read or write on an IOD that has no descriptor.
    NotConnected,
    /// An accept on an IOD that does not listen.
    NotListening,
    /// The end of sending, on what has no such end.
    NotStream,
    /// A connect to a name without a proxy to look it up, or to what is no name.
    NoName,
    /// A packet read on an IOD that is not a capture.
    NotPackets,
    /// A read or write on a capture.
    Packets,
    /// The IOD was deleted before.
    StaleIod,
    /// A write after the sending direction was ended.
    WriteShut,
}

/// Who has to do something about a [`Failure`].
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Fault {
    /// The program: it cancelled, or asked for what cannot be.
    Caller,
    /// This machine: out of descriptors, no route, a local firewall, no such interface …
    Local,
    /// The peer or the network between.
    Peer,
    /// A proxy on the way, or the network between this machine and it. Nothing is known of the peer.
    Proxy,
}

impl Failure {
    /// Whose fault it is. Nothing that this machine did wrong is ever put down to the peer.
    #[must_use]
    pub fn fault(self) -> Fault {
        match self {
            Self::Cancelled | Self::Killed | Self::Misuse(_) => Fault::Caller,
            Self::Eof | Self::TimedOut => Fault::Peer,
            Self::Io { errno, during: During::Handshake | During::Read | During::Write }
                if of_the_peer(errno) =>
            {
                Fault::Peer
            }
            // On loopback the refusal can be there before `connect` returns.
            Self::Io { errno: libc::ECONNREFUSED, during: During::Connect } => Fault::Peer,
            Self::Proxy(failure) => failure.fault(),
            Self::Tls(error) => error.fault(),
            Self::Io { during: During::Format, .. } => Fault::Caller,
            Self::Io { .. } => Fault::Local,
        }
    }

    /// The system's error number, where there is one.
    #[must_use]
    pub fn errno(self) -> Option<i32> {
        if let Self::Io { errno, .. } = self { Some(errno) } else { None }
    }

    pub(crate) fn io(error: &io::Error, during: During) -> Self {
        Self::Io { errno: error.raw_os_error().unwrap_or(libc::EIO), during }
    }

    /// The status word of a trace line (`nse_status2str`, spec nsock 1.3).
    pub(crate) fn status(self) -> &'static str {
        match self {
            Self::Cancelled => "CANCELLED",
            Self::Eof => "EOF",
            Self::Io { .. } | Self::Misuse(_) | Self::Tls(_) => "ERROR",
            Self::Killed => "KILL",
            Self::Proxy(_) => "PROXY ERROR",
            Self::TimedOut => "TIMEOUT",
        }
    }
}

/// Errors that only somebody beyond this machine's own stack can cause.
fn of_the_peer(errno: i32) -> bool {
    matches!(
        errno,
        libc::ECONNREFUSED
            | libc::ECONNRESET
            | libc::ECONNABORTED
            | libc::EHOSTDOWN
            | libc::EHOSTUNREACH
            | libc::ENETUNREACH
            | libc::ENOPROTOOPT
            | libc::EOPNOTSUPP
            | libc::EPIPE
            | libc::EPROTO
            | libc::ETIMEDOUT
    )
}

/// The system's text for an error number, without Rust's `(os error N)`.
pub(crate) fn errno_text(errno: i32) -> String {
    let text = io::Error::from_raw_os_error(errno).to_string();
    match text.rfind(" (os error ") {
        Some(end) => text[..end].to_owned(),
        None => text,
    }
}

impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Cancelled => f.write_str("cancelled"),
            Self::Eof => f.write_str("the peer closed the connection"),
            Self::Io { errno, during } => write!(f, "{during}: {} ({errno})", errno_text(*errno)),
            Self::Killed => f.write_str("the pool was shut down"),
            Self::Misuse(misuse) => misuse.fmt(f),
            Self::Proxy(failure) => failure.fmt(f),
            Self::TimedOut => f.write_str("timed out"),
            Self::Tls(error) => error.fmt(f),
        }
    }
}

impl error::Error for Failure {}

impl fmt::Display for During {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Accept => f.write_str("accepting a connection"),
            Self::Bind => f.write_str("binding the local address"),
            Self::Connect => f.write_str("starting to connect"),
            Self::Handshake => f.write_str("connecting"),
            Self::Format => f.write_str("formatting"),
            Self::Listen => f.write_str("listening"),
            Self::Option(option) => write!(f, "setting {option}"),
            Self::Read => f.write_str("reading"),
            Self::Register => f.write_str("watching the descriptor"),
            Self::Socket => f.write_str("making a socket"),
            Self::Write => f.write_str("writing"),
        }
    }
}

impl fmt::Display for SocketOption {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::BindToDevice => "SO_BINDTODEVICE",
            Self::Broadcast => "SO_BROADCAST",
            Self::IpOptions => "IP_OPTIONS",
            Self::Linger => "SO_LINGER",
            Self::NoDelay => "TCP_NODELAY",
            Self::RecvErr => "IP_RECVERR",
            Self::ReuseAddr => "SO_REUSEADDR",
        })
    }
}

impl fmt::Display for Misuse {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::AroundProxies => {
                "datagrams and raw packets would go around the proxies: set an empty chain for the IOD if they may"
            }
            Self::AlreadyConnected => "the IOD has a socket already: use a new IOD for another connection",
            Self::AlreadySecured => "the connection has TLS already",
            Self::Busy => "the IOD has reads or writes pending: start TLS after them",
            Self::NotTcp => "TLS needs a TCP connection",
            Self::NotDatagram => "sendto and batches need a datagram socket: use write on a connection",
            Self::Listening => "the IOD listens: accept connections, and use theirs",
            Self::NotListening => "the IOD does not listen",
            Self::NotStream => "only a stream has an end of sending",
            Self::NotConnected => "the IOD has no descriptor: connect it first",
            Self::NoName => {
                "only a proxy looks up names, and no odd ones: set a proxy chain, or connect to an address"
            }
            Self::NotPackets => "the IOD is not a capture: open it with pcap_open first",
            Self::Packets => "the IOD is a capture: use pcap_read_packet on it, and another IOD to send",
            Self::StaleIod => "the IOD was deleted",
            Self::WriteShut => "the sending direction was ended with shutdown_write: write before that",
        })
    }
}

/// Why a pool could not be made or its loop could not go on. Always this machine's doing.
#[derive(Debug)]
#[non_exhaustive]
pub enum Error {
    /// A pool needs two descriptors (for the readiness queue and for wake-ups) and could not have them.
    Create(io::Error),
    /// The descriptor to adopt could not be duplicated or watched.
    Adopt(io::Error),
    /// Waiting for readiness failed.
    Wait(io::Error),
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Create(cause) => write!(f, "cannot make an event pool: {cause}"),
            Self::Adopt(cause) => write!(f, "cannot adopt the descriptor: {cause}"),
            Self::Wait(cause) => write!(f, "cannot wait for events: {cause}"),
        }
    }
}

impl error::Error for Error {
    fn source(&self) -> Option<&(dyn error::Error + 'static)> {
        match self {
            Self::Create(cause) | Self::Adopt(cause) | Self::Wait(cause) => Some(cause),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn local_trouble_is_never_the_peers_fault() {
        for errno in [
            libc::EMFILE,
            libc::ENFILE,
            libc::ENOBUFS,
            libc::ENOMEM,
            libc::EPERM,
            libc::EACCES,
            libc::ENETDOWN,
        ] {
            for during in [
                During::Socket,
                During::Connect,
                During::Handshake,
                During::Read,
                During::Write,
                During::Bind,
            ] {
                assert_eq!(Failure::Io { errno, during }.fault(), Fault::Local, "{errno} {during}");
            }
        }
        let no_route = Failure::Io { errno: libc::ENETUNREACH, during: During::Connect };
        assert_eq!(no_route.fault(), Fault::Local);
        let refused = Failure::Io { errno: libc::ECONNREFUSED, during: During::Handshake };
        assert_eq!(
            (refused.fault(), refused.to_string().as_str()),
            (Fault::Peer, "connecting: Connection refused (111)")
        );
    }
}
