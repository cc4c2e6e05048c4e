//! The lines of requests.

use std::fmt;
use std::time::Duration;

use super::{ClassicText, Millis, Payload, Peer, Plain};
use crate::op::Until;
use crate::request::SocketKind;
use crate::trace::Asked;

impl ClassicText<'_> {
    pub(super) fn request(
        &self,
        f: &mut fmt::Formatter<'_>,
        asked: Asked,
        limit: Option<Duration>,
        iod: u64,
        event: u64,
    ) -> fmt::Result {
        let peer = Peer::of(self.record);
        let limit = Millis(limit);
        match asked {
            Asked::ConnectTcp(to) => write!(
                f,
                "nsock_connect_tcp(): TCP connection requested to {} (IOD #{iod}) (timeout: {limit}ms) EID {event}",
                Plain(to)
            ),
            Asked::ConnectUdp(to) => write!(
                f,
                "nsock_connect_udp(): UDP connection requested to {} (IOD #{iod}) EID {event}",
                Plain(to)
            ),
            Asked::ConnectSsl(to) => write!(
                f,
                "nsock_connect_ssl(): SSL connection requested to {}/tcp (IOD #{iod}) (timeout: {limit}ms) EID {event}",
                Plain(to)
            ),
            Asked::ReconnectSsl => write!(
                f,
                "nsock_reconnect_ssl(): SSL reconnection requested (IOD #{iod}) (timeout: {limit}ms) EID {event}"
            ),
            Asked::ConnectHost { port, secure } => {
                let host = String::from_utf8_lossy(self.record.payload);
                let host = host.escape_debug();
                if secure {
                    write!(
                        f,
                        "nsock_connect_ssl(): SSL connection requested to {host}:{port}/tcp (IOD #{iod}) (timeout: {limit}ms) EID {event}"
                    )
                } else {
                    write!(
                        f,
                        "nsock_connect_tcp(): TCP connection requested to {host}:{port} (IOD #{iod}) (timeout: {limit}ms) EID {event}"
                    )
                }
            }
            Asked::ConnectUnix(kind) => self.connect_unix(f, kind, limit),
            #[cfg(feature = "vsock")]
            Asked::ConnectVsock { cid, port, kind: SocketKind::Stream } => write!(
                f,
                "nsock_connect_vsock_stream(): vsock stream connection requested to {cid}:{port} (IOD #{iod}) (timeout: {limit}ms) EID {event}"
            ),
            #[cfg(feature = "vsock")]
            Asked::ConnectVsock { cid, port, kind: SocketKind::Datagram } => write!(
                f,
                "nsock_connect_vsock_datagram(): vsock dgram connection requested to {cid}:{port} (IOD #{iod}) EID {event}"
            ),
            Asked::Read(Until::Any) => write!(
                f,
                "nsock_read(): Read request from IOD #{iod} [{peer}] (timeout: {limit}ms) EID {event}"
            ),
            Asked::Read(Until::Bytes(wanted)) => write!(
                f,
                "nsock_readbytes(): Read request for {wanted} bytes from IOD #{iod} [{peer}] (timeout: {limit}ms) EID {event}"
            ),
            Asked::Read(Until::Lines(wanted)) => write!(
                f,
                "nsock_readlines(): Read request for {wanted} lines from IOD #{iod} [{peer}] (timeout: {limit}ms) EID {event}"
            ),
            Asked::Write(bytes) => self.write_request(f, "nsock_write(): Write", bytes, peer),
            Asked::Printf(bytes) => self.write_request(f, "nsock_printf(): Write", bytes, peer),
            Asked::Sendto(to, bytes) => {
                self.write_request(f, "nsock_sendto(): Sendto", bytes, Peer::Internet(to))
            }
            Asked::PcapRead => {
                // The two spaces are nsock's.
                write!(f, "nsock_pcap_read_packet(): Pcap read request from IOD #{iod}  EID {event}")
            }
            Asked::ReadBatch => write!(
                f,
                "nsock_read_batch(): Read request from IOD #{iod} [{peer}] (timeout: {limit}ms) EID {event}"
            ),
            Asked::SendBatch { datagrams, bytes } => write!(
                f,
                "nsock_send_batch(): Send request for {datagrams} datagram{} of {bytes} byte{} to IOD #{iod} EID {event}",
                if datagrams == 1 { "" } else { "s" },
                if bytes == 1 { "" } else { "s" }
            ),
            Asked::Accept => {
                write!(f, "nsock_accept(): Accept request from IOD #{iod} (timeout: {limit}ms) EID {event}")
            }
            Asked::Shutdown => {
                write!(
                    f,
                    "nsock_shutdown_write(): End of writes requested on IOD #{iod} [{peer}] EID {event}"
                )
            }
            Asked::Timer => {
                write!(f, "nsock_timer_create(): Timer created - {limit}ms from now.  EID {event}")
            }
            Asked::Wake => write!(f, "nsock_wake_wait(): Wake-up wait (timeout: {limit}ms) EID {event}"),
        }
    }

    fn connect_unix(&self, f: &mut fmt::Formatter<'_>, kind: SocketKind, limit: Millis) -> fmt::Result {
        let iod = self.record.iod.unwrap_or_default();
        let event = self.record.event.unwrap_or_default();
        let path = String::from_utf8_lossy(self.record.payload);
        match kind {
            SocketKind::Stream => write!(
                f,
                "nsock_connect_unixsock_stream(): UNIX domain socket (STREAM) connection requested to {path} (IOD #{iod}) (timeout: {limit}ms) EID {event}"
            ),
            SocketKind::Datagram => write!(
                f,
                "nsock_connect_unixsock_datagram(): UNIX domain socket (DGRAM) connection requested to {path} (IOD #{iod}) EID {event}"
            ),
        }
    }

    pub(super) fn write_request(
        &self,
        f: &mut fmt::Formatter<'_>,
        what: &str,
        bytes: usize,
        peer: Peer<'_>,
    ) -> fmt::Result {
        let iod = self.record.iod.unwrap_or_default();
        let event = self.record.event.unwrap_or_default();
        write!(f, "{what} request for {bytes} bytes to IOD #{iod} EID {event} [{peer}]")?;
        if self.payloads { write!(f, "{}", Payload(self.record.payload)) } else { Ok(()) }
    }
}
