//! Packet IODs: opening captures, raw and packet sockets, and taking packets.

use std::io;

use socket2::{Domain, Protocol, Socket, Type};

use super::Engine;
use crate::backend::Ready;
use crate::capture::{Capture, PcapError};
use crate::error::{During, Failure, Misuse, SocketOption};
use crate::event::{EventId, IodId, Output};
use crate::iod::{Iod, Link};
use crate::packet::{LinkType, PcapOptions, PcapStats};
use crate::socket::{Flavor, IpVersion};
use crate::trace::{DeviceName, Level, Step};
use crate::transport::Transport;

impl Engine {
    /// Opens a capture on an IOD without a descriptor; then [`PcapRead`](crate::Request::PcapRead) works on it.
    ///
    /// The device `any` stands for all interfaces. `CAP_NET_RAW` is needed.
    ///
    /// # Errors
    /// [`PcapError`]; the IOD stays as it was.
    pub fn pcap_open(&mut self, id: IodId, device: &str, options: &PcapOptions) -> Result<(), PcapError> {
        self.read_clock();
        self.idle_iod(id).map_err(PcapError::Misuse)?;
        let name = DeviceName::new(device);
        let filter = options.filter.as_ref().map_or("", |filter| filter.text());
        let step =
            Step::PcapRequested { device: name, promiscuous: options.promiscuous, snaplen: options.snaplen };
        self.note_packets(id, filter, step);
        match self.open_capture(id, device, options) {
            Ok(link_type) => {
                let l3_offset = link_type.header_bytes();
                self.note_packets(id, "", Step::PcapOpened { device: name, l3_offset });
                Ok(())
            }
            Err(error) => {
                let filter = matches!(error, PcapError::Filter { .. });
                self.note_packets(id, &error.short(), Step::PcapFailed { device: name, filter });
                Err(error)
            }
        }
    }

    fn open_capture(
        &mut self,
        id: IodId,
        device: &str,
        options: &PcapOptions,
    ) -> Result<LinkType, PcapError> {
        let capture = Capture::open(device, options)?;
        let link_type = capture.link_type;
        let transport = Transport::Packets(Box::new(capture));
        self.watch_or_leave_idle(id, transport)
            .map_err(|cause| PcapError::System { device: device.to_owned(), cause })?;
        Ok(link_type)
    }

    /// What the packets of a capture start with; `None` if the IOD is not a capture.
    #[must_use]
    pub fn iod_link_type(&self, id: IodId) -> Option<LinkType> {
        Some(self.iods.get(id.slot, id.made)?.transport.as_ref()?.capture()?.link_type)
    }

    /// What the kernel has counted for a capture since it was opened.
    ///
    /// # Errors
    /// A [`Misuse`] of an IOD that is not a capture, or the system's.
    pub fn iod_pcap_stats(&mut self, id: IodId) -> Result<PcapStats, Failure> {
        let iod = self.iods.get_mut(id.slot, id.made).ok_or(Failure::Misuse(Misuse::StaleIod))?;
        let capture = iod.transport.as_mut().and_then(Transport::capture_mut);
        capture.ok_or(Failure::Misuse(Misuse::NotPackets))?.stats()
    }

    /// Gives an IOD without a descriptor a packet socket that sends whole frames and receives none.
    ///
    /// Each datagram of a [`SendBatch`](crate::Request::SendBatch) names its interface.
    ///
    /// # Errors
    /// The failure of making the socket, which needs `CAP_NET_RAW`, or a [`Misuse`] of the IOD.
    pub fn packet_open(&mut self, id: IodId) -> Result<(), Failure> {
        self.idle_iod(id).map_err(Failure::Misuse)?;
        self.check_direct(id)?;
        self.make_raw(id, Domain::PACKET, None)
    }

    /// Gives an IOD without a descriptor a raw IP socket (raw(7), ipv6(7)), for packets of this protocol.
    ///
    /// The system writes the IP header, except for protocol 255 on IPv4. Received IPv4 packets start with theirs.
    ///
    /// # Errors
    /// The failure of making the socket, which needs `CAP_NET_RAW`, or of an option; or a [`Misuse`] of the IOD.
    pub fn setup_raw(&mut self, id: IodId, version: IpVersion, protocol: u8) -> Result<(), Failure> {
        self.idle_iod(id).map_err(Failure::Misuse)?;
        self.check_direct(id)?;
        let domain = match version {
            IpVersion::V4 => Domain::IPV4,
            IpVersion::V6 => Domain::IPV6,
        };
        self.make_raw(id, domain, Some(Protocol::from(i32::from(protocol))))
    }

    fn make_raw(&mut self, id: IodId, domain: Domain, protocol: Option<Protocol>) -> Result<(), Failure> {
        self.read_clock();
        let options = self.options_of(id);
        let failed = |during| move |error: io::Error| Failure::io(&error, during);
        let socket = Socket::new_raw(domain, Type::RAW.nonblocking().cloexec(), protocol)
            .map_err(failed(During::Socket))?;
        if domain != Domain::PACKET {
            if let Some(local) = options.local {
                socket.bind(&local.into()).map_err(failed(During::Bind))?;
            }
            if let Some(device) = &options.device {
                let option = During::Option(SocketOption::BindToDevice);
                socket.bind_device(Some(device.as_bytes())).map_err(failed(option))?;
            }
            if options.broadcast {
                let option = During::Option(SocketOption::Broadcast);
                socket.set_broadcast(true).map_err(failed(option))?;
            }
        }
        self.watch_or_leave_idle(id, Transport::from_socket(socket, Flavor::Datagram))
            .map_err(failed(During::Register))
    }

    /// Whether an IOD is there and has no descriptor.
    pub(super) fn idle_iod(&self, id: IodId) -> Result<(), Misuse> {
        match self.iods.get(id.slot, id.made) {
            None => Err(Misuse::StaleIod),
            Some(iod) if iod.link != Link::Idle => Err(Misuse::AlreadyConnected),
            Some(_) => Ok(()),
        }
    }

    /// As [`watch`](Self::watch), but what cannot be watched leaves the IOD as it was.
    fn watch_or_leave_idle(&mut self, id: IodId, transport: Transport) -> io::Result<()> {
        use std::os::fd::AsFd;
        let Some(iod) = self.iods.get_mut(id.slot, id.made) else { return Ok(()) };
        self.backend.register(transport.as_fd(), iod.source())?;
        iod.transport = Some(transport);
        iod.link = Link::Open;
        iod.ready.insert(Ready::WRITABLE);
        Ok(())
    }

    pub(super) fn start_pcap_read(&mut self, id: EventId, iod_id: IodId) -> Option<Result<Output, Failure>> {
        let Some(iod) = self.iods.get(iod_id.slot, iod_id.made) else {
            return Some(Err(Failure::Misuse(Misuse::StaleIod)));
        };
        if iod.transport.as_ref().is_none_or(|transport| transport.capture().is_none()) {
            return Some(Err(Failure::Misuse(Misuse::NotPackets)));
        }
        let look = iod.may_read();
        self.enqueue(id, iod_id);
        if look {
            self.schedule(iod_id);
        }
        None
    }

    fn note_packets(&mut self, id: IodId, text: &str, step: Step) {
        if self.wants(Level::Error) {
            self.note(self.subject_of_iod(id), text.as_bytes(), step);
        }
    }
}

/// The next packet of a capture; `None` while there is none.
pub(super) fn take_packet(iod: &mut Iod) -> Option<Result<Output, Failure>> {
    let capture = iod.transport.as_mut()?.capture_mut()?;
    loop {
        match capture.take() {
            Ok(packet) => return Some(Ok(Output::Packet(packet))),
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => {
                iod.ready.remove(Ready::READABLE);
                iod.ready.remove(Ready::ERROR);
                return None;
            }
            Err(error) => {
                iod.ready.remove(Ready::ERROR);
                return Some(Err(Failure::io(&error, During::Read)));
            }
        }
    }
}
