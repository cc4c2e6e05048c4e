//! What can be asked of the engine. Plain data.

use std::net::SocketAddr;
use std::os::unix::ffi::OsStrExt;
use std::path::Path;

use crate::event::{IodId, Kind};
use crate::op::Until;
use crate::packet::Datagram;
use crate::trace::Asked;

/// A request, to be submitted with an optional time limit.
#[derive(Debug, Clone, Copy)]
#[non_exhaustive]
pub enum Request<'a> {
    /// Connect an IOD that has no socket yet to a TCP server. The limit covers the whole connect.
    ConnectTcp {
        /// The IOD.
        iod: IodId,
        /// The server.
        to: SocketAddr,
    },
    /// Fix the peer of an IOD that has no socket yet to a UDP address. No packet is sent.
    ConnectUdp {
        /// The IOD.
        iod: IodId,
        /// The peer.
        to: SocketAddr,
    },
    /// Connect an IOD that has no socket yet to a TCP server and agree on TLS. The limit covers both.
    #[cfg(feature = "tls")]
    ConnectSsl {
        /// The IOD.
        iod: IodId,
        /// The server.
        to: SocketAddr,
    },
    /// Agree on TLS on a TCP connection that has been used without (STARTTLS).
    #[cfg(feature = "tls")]
    ReconnectSsl {
        /// The IOD.
        iod: IodId,
    },
    /// Connect an IOD that has no socket yet to a TCP server by name, which the last proxy looks up. The limit covers the
    /// whole way there.
    ConnectHost {
        /// The IOD.
        iod: IodId,
        /// The name; an address is as good.
        host: &'a str,
        /// The port.
        port: u16,
    },
    /// As [`ConnectHost`](Self::ConnectHost), and agree on TLS.
    #[cfg(feature = "tls")]
    ConnectSslHost {
        /// The IOD.
        iod: IodId,
        /// The name, also asked for in TLS unless the IOD's options name another.
        host: &'a str,
        /// The port.
        port: u16,
    },
    /// Connect an IOD that has no socket yet to a Unix socket.
    ConnectUnix {
        /// The IOD.
        iod: IodId,
        /// Where the socket is in the file system.
        path: &'a Path,
        /// Stream or datagram.
        kind: SocketKind,
    },
    /// Connect an IOD that has no socket yet to a socket across the border of a virtual machine (vsock(7)).
    #[cfg(feature = "vsock")]
    ConnectVsock {
        /// The IOD.
        iod: IodId,
        /// The context id of the machine.
        cid: u32,
        /// The port.
        port: u32,
        /// Stream or datagram.
        kind: SocketKind,
    },
    /// Gather bytes or datagrams.
    Read {
        /// The IOD.
        iod: IodId,
        /// When it is enough.
        until: Until,
    },
    /// Send everything. What cannot be sent at once is copied.
    Write {
        /// The IOD.
        iod: IodId,
        /// The bytes.
        data: &'a [u8],
    },
    /// As [`Write`](Self::Write), shown as `nsock_printf` in traces.
    Printf {
        /// The IOD.
        iod: IodId,
        /// The text.
        data: &'a [u8],
    },
    /// Send one datagram to an address.
    Sendto {
        /// The IOD, a datagram socket.
        iod: IodId,
        /// The destination; it becomes the IOD's peer.
        to: SocketAddr,
        /// The datagram.
        data: &'a [u8],
    },
    /// Take the next packet of a capture.
    PcapRead {
        /// The IOD.
        iod: IodId,
    },
    /// Take the datagrams that are there, at least one.
    ReadBatch {
        /// The IOD, a datagram socket.
        iod: IodId,
    },
    /// Take the next connection to a listening IOD.
    Accept {
        /// The IOD.
        iod: IodId,
    },
    /// Send no more, when all writes asked for before are done.
    Shutdown {
        /// The IOD, a stream.
        iod: IodId,
    },
    /// Send many datagrams. Those that cannot be sent at once are copied.
    SendBatch {
        /// The IOD, a datagram socket.
        iod: IodId,
        /// The datagrams, in order.
        batch: &'a [Datagram<'a>],
    },
    /// Succeed when the limit has passed.
    Timer,
    /// Succeed when a [`Waker`](crate::Waker) of this engine is used, or has been since the last such event.
    Wake,
}

/// The kinds of Unix and vsock sockets that can be connected.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum SocketKind {
    /// `SOCK_STREAM`.
    Stream,
    /// `SOCK_DGRAM`.
    Datagram,
}

impl Request<'_> {
    pub(crate) fn kind(&self) -> Kind {
        match self {
            Self::ConnectTcp { .. }
            | Self::ConnectUdp { .. }
            | Self::ConnectHost { .. }
            | Self::ConnectUnix { .. } => Kind::Connect,
            #[cfg(feature = "vsock")]
            Self::ConnectVsock { .. } => Kind::Connect,
            #[cfg(feature = "tls")]
            Self::ConnectSsl { .. } | Self::ConnectSslHost { .. } | Self::ReconnectSsl { .. } => {
                Kind::ConnectSsl
            }
            Self::Read { .. } | Self::ReadBatch { .. } => Kind::Read,
            Self::Write { .. }
            | Self::Printf { .. }
            | Self::Sendto { .. }
            | Self::SendBatch { .. }
            | Self::Shutdown { .. } => Kind::Write,
            Self::Accept { .. } => Kind::Accept,
            Self::PcapRead { .. } => Kind::PcapRead,
            Self::Timer => Kind::Timer,
            Self::Wake => Kind::Wake,
        }
    }

    pub(crate) fn iod(&self) -> Option<IodId> {
        match *self {
            Self::ConnectTcp { iod, .. }
            | Self::ConnectUdp { iod, .. }
            | Self::ConnectHost { iod, .. }
            | Self::ConnectUnix { iod, .. }
            | Self::Read { iod, .. }
            | Self::Write { iod, .. }
            | Self::Printf { iod, .. }
            | Self::Sendto { iod, .. }
            | Self::PcapRead { iod }
            | Self::ReadBatch { iod }
            | Self::Accept { iod }
            | Self::Shutdown { iod }
            | Self::SendBatch { iod, .. } => Some(iod),
            #[cfg(feature = "vsock")]
            Self::ConnectVsock { iod, .. } => Some(iod),
            #[cfg(feature = "tls")]
            Self::ConnectSsl { iod, .. } | Self::ConnectSslHost { iod, .. } | Self::ReconnectSsl { iod } => {
                Some(iod)
            }
            Self::Timer | Self::Wake => None,
        }
    }

    pub(crate) fn data(&self) -> &[u8] {
        match self {
            Self::Write { data, .. } | Self::Printf { data, .. } | Self::Sendto { data, .. } => data,
            Self::ConnectHost { host, .. } => host.as_bytes(),
            #[cfg(feature = "tls")]
            Self::ConnectSslHost { host, .. } => host.as_bytes(),
            Self::ConnectUnix { path, .. } => path.as_os_str().as_bytes(),
            _ => &[],
        }
    }

    pub(crate) fn asked(&self) -> Asked {
        match *self {
            Self::ConnectTcp { to, .. } => Asked::ConnectTcp(to),
            Self::ConnectUdp { to, .. } => Asked::ConnectUdp(to),
            #[cfg(feature = "tls")]
            Self::ConnectSsl { to, .. } => Asked::ConnectSsl(to),
            #[cfg(feature = "tls")]
            Self::ReconnectSsl { .. } => Asked::ReconnectSsl,
            Self::ConnectHost { port, .. } => Asked::ConnectHost { port, secure: false },
            #[cfg(feature = "tls")]
            Self::ConnectSslHost { port, .. } => Asked::ConnectHost { port, secure: true },
            Self::ConnectUnix { kind, .. } => Asked::ConnectUnix(kind),
            #[cfg(feature = "vsock")]
            Self::ConnectVsock { cid, port, kind, .. } => Asked::ConnectVsock { cid, port, kind },
            Self::Read { until, .. } => Asked::Read(until),
            Self::Write { data, .. } => Asked::Write(data.len()),
            Self::Printf { data, .. } => Asked::Printf(data.len()),
            Self::Sendto { to, data, .. } => Asked::Sendto(to, data.len()),
            Self::PcapRead { .. } => Asked::PcapRead,
            Self::ReadBatch { .. } => Asked::ReadBatch,
            Self::SendBatch { batch, .. } => Asked::SendBatch {
                datagrams: batch.len(),
                bytes: batch.iter().map(|datagram| datagram.data.len()).sum(),
            },
            Self::Accept { .. } => Asked::Accept,
            Self::Shutdown { .. } => Asked::Shutdown,
            Self::Timer => Asked::Timer,
            Self::Wake => Asked::Wake,
        }
    }
}
