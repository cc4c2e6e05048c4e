//! A packet socket that captures: setting it up, and taking its frames in batches.

use std::collections::VecDeque;
use std::fmt;
use std::io;
use std::os::fd::{AsFd, BorrowedFd};

use socket2::{Domain, SockFilter, Socket, Type};

use crate::error::{During, Failure, Misuse, errno_text};
use crate::packet::{
    COOKED_HEADER_BYTES, Filter, LinkType, Packet, PacketType, PcapOptions, PcapStats, SNAPLEN_MAX,
    VLAN_TAG_BYTES,
};
use crate::sys::packet::{self, FRAMES_MAX, FrameInfo};

/// Everything, for a packet socket (`ETH_P_ALL`).
const ALL_PROTOCOLS: u16 = 0x0003;
/// The most instructions the kernel takes (`BPF_MAXINSNS`).
const INSTRUCTIONS_MAX: usize = 4096;
/// The name of the device that stands for all of them, libpcap's.
pub(crate) const ANY_DEVICE: &str = "any";

/// Why a capture could not be opened. The IOD is as before, and can be used for something else.
#[derive(Debug)]
#[non_exhaustive]
pub enum PcapError {
    /// This program may not capture: it needs the capability `CAP_NET_RAW`, which root has.
    NotAllowed {
        /// The device.
        device: String,
    },
    /// There is no such device.
    NoDevice {
        /// The name that was given.
        device: String,
    },
    /// The device is down.
    Down {
        /// The device.
        device: String,
    },
    /// The device has a link type that cannot be taken apart here.
    UnknownLinkType {
        /// The device.
        device: String,
        /// The kernel's number for its type (`ARPHRD_…`).
        hardware: u16,
    },
    /// The filter cannot be compiled, or does not fit the device.
    Filter {
        /// The device.
        device: String,
        /// What is wrong with it.
        why: String,
    },
    /// The request made no sense as it stood.
    Misuse(Misuse),
    /// Something else that the system refused.
    System {
        /// The device.
        device: String,
        /// What the system said.
        cause: io::Error,
    },
}

impl fmt::Display for PcapError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::NotAllowed { device } => {
                write!(f, "cannot capture on {device}: not allowed; run as root or with CAP_NET_RAW")
            }
            Self::NoDevice { device } => {
                write!(f, "cannot capture on {device}: no such device; `ip link` lists them")
            }
            Self::Down { device } => {
                write!(f, "cannot capture on {device}: it is down; `ip link set {device} up` starts it")
            }
            Self::UnknownLinkType { device, hardware } => {
                write!(f, "cannot capture on {device}: its link type {hardware} is not supported")
            }
            Self::Filter { device, why } => write!(f, "cannot filter on {device}: {why}"),
            Self::Misuse(misuse) => misuse.fmt(f),
            Self::System { device, cause } => write!(f, "cannot capture on {device}: {cause}"),
        }
    }
}

impl std::error::Error for PcapError {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        match self {
            Self::System { cause, .. } => Some(cause),
            _ => None,
        }
    }
}

impl PcapError {
    /// The text for the trace, which names the device itself.
    pub(crate) fn short(&self) -> String {
        match self {
            Self::NotAllowed { .. } => errno_text(libc::EPERM),
            Self::NoDevice { .. } => errno_text(libc::ENODEV),
            Self::Down { .. } => errno_text(libc::ENETDOWN),
            Self::UnknownLinkType { hardware, .. } => format!("link type {hardware} is not supported"),
            Self::Filter { why, .. } => why.clone(),
            Self::Misuse(misuse) => misuse.to_string(),
            Self::System { cause, .. } => cause.to_string(),
        }
    }

    fn of(device: &str, cause: io::Error) -> Self {
        let device = device.to_owned();
        match cause.raw_os_error() {
            Some(libc::EPERM | libc::EACCES) => Self::NotAllowed { device },
            Some(libc::ENODEV | libc::ENXIO) => Self::NoDevice { device },
            Some(libc::ENETDOWN) => Self::Down { device },
            _ => Self::System { device, cause },
        }
    }
}

/// An open capture.
pub(crate) struct Capture {
    socket: Socket,
    pub(crate) link_type: LinkType,
    snaplen: usize,
    /// The loopback's number, where what goes out is left out in this file.
    loopback: Option<u32>,
    /// A slot for each frame of a batch. Pages that were never written take no memory.
    arena: Vec<u8>,
    infos: Vec<FrameInfo>,
    /// The next frame of the batch.
    next: usize,
    /// Packets of reads that were cancelled.
    returned: VecDeque<Packet>,
    stats: PcapStats,
}

impl Capture {
    /// Opens a device. What it delivers passed the filter, from the first packet on.
    pub(crate) fn open(device: &str, options: &PcapOptions) -> Result<Self, PcapError> {
        let failed = |cause: io::Error| PcapError::of(device, cause);
        let kind =
            |kind: Type| Socket::new_raw(Domain::PACKET, kind.nonblocking().cloexec(), None).map_err(failed);
        let mut socket = kind(Type::RAW)?;
        let mut loopback = None;
        let (interface, link_type) = if device == ANY_DEVICE {
            loopback = rustix::net::netdevice::name_to_index(&socket, "lo").ok();
            (0, LinkType::Cooked)
        } else {
            let interface = rustix::net::netdevice::name_to_index(&socket, device)
                .map_err(|errno| failed(errno.into()))?;
            // With protocol 0 nothing comes in yet.
            packet::bind(socket.as_fd(), interface, 0).map_err(failed)?;
            let hardware = packet::hardware_type(socket.as_fd()).map_err(failed)?;
            let link_type = LinkType::of_hardware(hardware)
                .ok_or_else(|| PcapError::UnknownLinkType { device: device.to_owned(), hardware })?;
            if hardware == libc::ARPHRD_LOOPBACK {
                loopback = Some(interface);
            }
            (interface, link_type)
        };
        if link_type == LinkType::Cooked {
            socket = kind(Type::DGRAM)?;
        }
        let snaplen = options.snaplen.clamp(1, SNAPLEN_MAX);
        attach(&socket, device, options.filter.as_ref(), link_type, snaplen)?;
        let fd = socket.as_fd();
        packet::set_frame_info(fd).map_err(failed)?;
        packet::set_buffer(fd, options.buffer_bytes).map_err(failed)?;
        if options.ignore_outgoing || interface > 0 && loopback.is_some() {
            packet::set_ignore_outgoing(fd).map_err(failed)?;
        }
        if options.promiscuous && interface > 0 {
            packet::set_promiscuous(fd, interface).map_err(failed)?;
        }
        packet::bind(fd, interface, ALL_PROTOCOLS).map_err(failed)?;
        if let Some(error) = socket.take_error().map_err(failed)? {
            return Err(failed(error));
        }
        let arena = vec![0; snaplen * FRAMES_MAX];
        let (infos, returned, stats) = (Vec::new(), VecDeque::new(), PcapStats::default());
        Ok(Self { socket, link_type, snaplen, loopback, arena, infos, next: 0, returned, stats })
    }

    /// Whether there are packets that need no system call.
    pub(crate) fn has_packets(&self) -> bool {
        self.next < self.infos.len() || !self.returned.is_empty()
    }

    /// The next packet.
    pub(crate) fn take(&mut self) -> io::Result<Packet> {
        if let Some(packet) = self.returned.pop_front() {
            return Ok(packet);
        }
        loop {
            while let Some(info) = self.infos.get(self.next) {
                let start = self.next * self.snaplen;
                self.next += 1;
                if let Some(packet) = self.packet(info, &self.arena[start..start + info.captured]) {
                    return Ok(packet);
                }
            }
            self.next = 0;
            self.infos.clear();
            packet::receive(self.socket.as_fd(), &mut self.arena, self.snaplen, &mut self.infos)?;
        }
    }

    /// Hands a packet back, to be the next one.
    pub(crate) fn put_back(&mut self, packet: Packet) {
        self.returned.push_front(packet);
    }

    /// What the kernel has counted so far.
    pub(crate) fn stats(&mut self) -> Result<PcapStats, Failure> {
        let (received, dropped) = packet::take_statistics(self.socket.as_fd())
            .map_err(|error| Failure::io(&error, During::Read))?;
        self.stats.received += u64::from(received);
        self.stats.dropped += u64::from(dropped);
        Ok(self.stats)
    }

    /// A frame as libpcap would show it: with its cooked header and its VLAN tag, and no longer than was asked for.
    fn packet(&self, info: &FrameInfo, frame: &[u8]) -> Option<Packet> {
        let packet_type = PacketType::of_kernel(info.address.sll_pkttype);
        let interface = u32::try_from(info.address.sll_ifindex).unwrap_or(0);
        if packet_type == PacketType::Outgoing && self.loopback == Some(interface) {
            return None;
        }
        let mut bytes = Vec::with_capacity(frame.len() + COOKED_HEADER_BYTES + VLAN_TAG_BYTES);
        let mut length = info.length;
        if self.link_type == LinkType::Cooked {
            let address = &info.address;
            bytes.extend_from_slice(&u16::from(address.sll_pkttype).to_be_bytes());
            bytes.extend_from_slice(&address.sll_hatype.to_be_bytes());
            bytes.extend_from_slice(&u16::from(address.sll_halen).to_be_bytes());
            bytes.extend_from_slice(&address.sll_addr);
            bytes.extend_from_slice(&address.sll_protocol.to_ne_bytes());
            length += COOKED_HEADER_BYTES;
        }
        bytes.extend_from_slice(frame);
        if let (Some((protocol, tag)), Some(place)) = (info.vlan, self.link_type.type_offset())
            && bytes.len() >= place
        {
            let [a, b] = protocol.to_be_bytes();
            let [c, d] = tag.to_be_bytes();
            bytes.splice(place..place, [a, b, c, d]);
            length += VLAN_TAG_BYTES;
        }
        bytes.truncate(self.snaplen);
        Some(Packet { bytes, length, time: info.time, interface, link_type: self.link_type, packet_type })
    }
}

/// Makes the kernel filter, and cut what is longer than was asked for.
fn attach(
    socket: &Socket,
    device: &str,
    filter: Option<&Filter>,
    link_type: LinkType,
    snaplen: usize,
) -> Result<(), PcapError> {
    let bad = |why: String| PcapError::Filter { device: device.to_owned(), why };
    let keep = u32::try_from(snaplen).unwrap_or(u32::MAX);
    let program = match filter {
        Some(filter) => filter.program(link_type, keep).map_err(|error| bad(error.to_string()))?,
        None => Filter::everything(keep),
    };
    if program.len() > INSTRUCTIONS_MAX {
        return Err(bad(format!("{} instructions, the kernel takes {INSTRUCTIONS_MAX}", program.len())));
    }
    let program: Vec<SockFilter> =
        program.iter().map(|one| SockFilter::new(one.code, one.jt, one.jf, one.k)).collect();
    socket.attach_filter(&program).map_err(|error| bad(format!("the kernel refuses the program: {error}")))
}

impl AsFd for Capture {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.socket.as_fd()
    }
}

impl fmt::Debug for Capture {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Capture")
            .field("link_type", &self.link_type)
            .field("snaplen", &self.snaplen)
            .field("waiting", &self.infos.len().saturating_sub(self.next))
            .finish_non_exhaustive()
    }
}
