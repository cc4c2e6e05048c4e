//! The requests for packets, raw sockets and batches.

use std::time::Duration;

use super::Io;
use crate::capture::PcapError;
use crate::error::Failure;
use crate::event::{Event, EventId, IodId, Output, Sent};
use crate::packet::{Datagram, Datagrams, LinkType, Packet, PcapOptions, PcapStats};
use crate::request::Request;
use crate::socket::IpVersion;

/// # Packets
impl<S: 'static> Io<S> {
    /// Opens a capture on an IOD that has no descriptor, at once, as [`pcap_open(3)`] would; then
    /// [`pcap_read_packet`](Self::pcap_read_packet) works on it. The device `any` stands for all interfaces.
    ///
    /// [`pcap_open(3)`]: https://www.tcpdump.org/manpages/pcap_open_live.3pcap.html
    ///
    /// ```no_run
    /// use nsock::{Event, Io, Packet, PcapOptions, Pool};
    ///
    /// fn got(count: &mut usize, io: &mut Io<usize>, event: Event<Packet>) {
    ///     if let Ok(packet) = event.outcome {
    ///         *count += packet.l3().len();
    ///         io.pcap_read_packet(event.iod, None, got);
    ///     }
    /// }
    ///
    /// let mut pool = Pool::new()?;
    /// let iod = pool.iod_new();
    /// pool.pcap_open(iod, "eth0", &PcapOptions::default())?;
    /// pool.pcap_read_packet(iod, None, got);
    /// pool.run(&mut 0, None)?;
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    ///
    /// # Errors
    /// [`PcapError`]: no privilege, no such device, a device that is down or of an unknown link type, a filter that
    /// does not compile. The IOD stays as it was.
    pub fn pcap_open(&mut self, iod: IodId, device: &str, options: &PcapOptions) -> Result<(), PcapError> {
        self.engine.pcap_open(iod, device, options)
    }

    /// Reads one packet of a capture. Several reads may wait; they get the packets in the order they were made.
    ///
    /// When the interface goes down, the next read fails with `ENETDOWN`; the capture goes on when it is up again.
    #[track_caller]
    pub fn pcap_read_packet(
        &mut self,
        iod: IodId,
        limit: Option<Duration>,
        handler: impl FnOnce(&mut S, &mut Self, Event<Packet>) + 'static,
    ) -> EventId {
        self.ask(Request::PcapRead { iod }, limit, Output::packet, handler)
    }

    /// What the packets of a capture start with; `None` if the IOD is not a capture.
    #[must_use]
    pub fn iod_link_type(&self, iod: IodId) -> Option<LinkType> {
        self.engine.iod_link_type(iod)
    }

    /// What the kernel has counted for a capture since it was opened: packets that passed the filter, and how many of
    /// them it dropped.
    ///
    /// # Errors
    /// A misuse of an IOD that is not a capture, or the system's.
    pub fn iod_pcap_stats(&mut self, iod: IodId) -> Result<PcapStats, Failure> {
        self.engine.iod_pcap_stats(iod)
    }

    /// The number of a network interface, as [`LinkDestination`](crate::LinkDestination) and [`Packet`] have it.
    ///
    /// # Errors
    /// The system's: `NotFound` or `ENODEV` if there is none of this name.
    pub fn interface_index(name: &str) -> std::io::Result<u32> {
        let socket = socket2::Socket::new(socket2::Domain::UNIX, socket2::Type::DGRAM, None)?;
        Ok(rustix::net::netdevice::name_to_index(&socket, name)?)
    }

    /// Gives an IOD a packet socket (packet(7)) that sends whole frames and receives none, at once. Each datagram of
    /// [`send_batch`](Self::send_batch) names the interface it leaves by.
    ///
    /// # Errors
    /// The failure of making the socket, which needs `CAP_NET_RAW`, or a misuse of the IOD.
    pub fn packet_open(&mut self, iod: IodId) -> Result<(), Failure> {
        self.engine.packet_open(iod)
    }

    /// Gives an IOD a raw IP socket (raw(7)) for packets of this protocol, at once. Reads, [`sendto`](Self::sendto)
    /// with port 0 and batches work on it.
    ///
    /// The system writes the IP header, except for protocol 255 on IPv4. Received IPv4 packets start with theirs.
    ///
    /// # Errors
    /// The failure of making the socket, which needs `CAP_NET_RAW`, or of an option; or a misuse of the IOD.
    pub fn setup_raw(&mut self, iod: IodId, version: IpVersion, protocol: u8) -> Result<(), Failure> {
        self.engine.setup_raw(iod, version, protocol)
    }

    /// Sends datagrams in the order given, many by one system call (`sendmmsg`). The IOD is a UDP, raw or packet one.
    ///
    /// A full queue is waited for: the event comes when the system has taken the last datagram. What it cannot take at
    /// once is copied. If one cannot be sent, the event fails and those behind it are not sent;
    /// [`iod_bytes`](Self::iod_bytes) tells how far it came.
    ///
    /// The system tells a UDP socket of a full queue of its device, instead of dropping, if
    /// [`icmp_errors`](crate::SocketOptions::icmp_errors) is set.
    #[track_caller]
    pub fn send_batch(
        &mut self,
        iod: IodId,
        batch: &[Datagram<'_>],
        limit: Option<Duration>,
        handler: impl FnOnce(&mut S, &mut Self, Event<Sent>) + 'static,
    ) -> EventId {
        self.ask(Request::SendBatch { iod, batch }, limit, Output::sent, handler)
    }

    /// Receives the datagrams that are there, at least one and at most [`READ_BATCH_MAX`](crate::READ_BATCH_MAX), by
    /// one system call (`recvmmsg`).
    #[track_caller]
    pub fn read_batch(
        &mut self,
        iod: IodId,
        limit: Option<Duration>,
        handler: impl FnOnce(&mut S, &mut Self, Event<Datagrams>) + 'static,
    ) -> EventId {
        self.ask(Request::ReadBatch { iod }, limit, Output::datagrams, handler)
    }
}
