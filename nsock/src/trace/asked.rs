//! Requests, as records tell of them.

use std::net::SocketAddr;

use crate::op::Until;
use crate::request::SocketKind;

/// A request, as it was made.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum Asked {
    /// `connect_tcp`.
    ConnectTcp(SocketAddr),
    /// `connect_udp`.
    ConnectUdp(SocketAddr),
    /// `connect_ssl`.
    ConnectSsl(SocketAddr),
    /// `reconnect_ssl`.
    ReconnectSsl,
    /// `connect_tcp_host` or `connect_ssl_host`; the name is the payload.
    ConnectHost {
        /// The port.
        port: u16,
        /// Whether TLS is to follow.
        secure: bool,
    },
    /// `connect_unixsock_stream` or `connect_unixsock_datagram`; the path is the payload.
    ConnectUnix(SocketKind),
    /// `connect_vsock_stream` or `connect_vsock_datagram`.
    #[cfg(feature = "vsock")]
    ConnectVsock {
        /// The context id of the machine.
        cid: u32,
        /// The port.
        port: u32,
        /// Stream or datagram.
        kind: SocketKind,
    },
    /// `read`, `readbytes` or `readlines`.
    Read(Until),
    /// `write` of so many bytes.
    Write(usize),
    /// `printf` that made so many bytes.
    Printf(usize),
    /// `sendto` of so many bytes to this address.
    Sendto(SocketAddr, usize),
    /// `pcap_read_packet`.
    PcapRead,
    /// `read_batch`.
    ReadBatch,
    /// `send_batch`.
    SendBatch {
        /// Of so many datagrams.
        datagrams: usize,
        /// With so many bytes together.
        bytes: usize,
    },
    /// `accept`.
    Accept,
    /// `shutdown_write`.
    Shutdown,
    /// `timer_create`.
    Timer,
    /// `wake_wait`.
    Wake,
}
