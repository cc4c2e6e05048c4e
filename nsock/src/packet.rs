//! Packets as a capture delivers them, and what can be asked of a capture. Pure: no socket is seen here.

mod filter;

use std::fmt;
use std::net::SocketAddr;
use std::time::SystemTime;

#[cfg(feature = "libpcap")]
pub(crate) use filter::BadFilter;
pub use filter::{BpfInstruction, Filter};

/// The most bytes of a frame a capture keeps: libpcap's own bound, above any frame that the kernel delivers whole.
pub const SNAPLEN_MAX: usize = 262_144;

/// The most datagrams that one [`Io::read_batch`](crate::Io::read_batch) delivers: one `recvmmsg`.
pub const READ_BATCH_MAX: usize = 64;

/// The header that stands for the link layer where packets of several interfaces meet (`LINKTYPE_LINUX_SLL`).
pub(crate) const COOKED_HEADER_BYTES: usize = 16;

/// One VLAN tag (IEEE 802.1Q).
pub(crate) const VLAN_TAG_BYTES: usize = 4;

/// The type that announces a VLAN tag.
pub(crate) const ETHERTYPE_VLAN: u16 = 0x8100;

/// What stands in front of the network layer of a captured frame.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum LinkType {
    /// An Ethernet header: Ethernet itself, veth, and the loopback, whose addresses are zero.
    Ethernet,
    /// Nothing: tun devices and IP tunnels.
    Raw,
    /// The 16 bytes of a cooked capture: the any-interface, and links whose own header the kernel hides, as PPP's.
    Cooked,
}

impl LinkType {
    /// libpcap's number for it on Linux, as `nsock_iod_linktype` gave it: `DLT_EN10MB`, `DLT_RAW`, `DLT_LINUX_SLL`.
    #[must_use]
    pub fn dlt(self) -> i32 {
        match self {
            Self::Ethernet => 1,
            Self::Raw => 12,
            Self::Cooked => 113,
        }
    }

    /// Bytes before the network layer, VLAN tags apart.
    #[must_use]
    pub fn header_bytes(self) -> usize {
        match self {
            Self::Ethernet => 14,
            Self::Raw => 0,
            Self::Cooked => COOKED_HEADER_BYTES,
        }
    }

    /// By the kernel's number for the device's type (`ARPHRD_…`, the address type of packet(7)); `None` for links
    /// that are not known here.
    pub(crate) fn of_hardware(hardware: u16) -> Option<Self> {
        Some(match hardware {
            libc::ARPHRD_ETHER | libc::ARPHRD_LOOPBACK => Self::Ethernet,
            libc::ARPHRD_NONE | RAW_IP | libc::ARPHRD_TUNNEL | libc::ARPHRD_TUNNEL6 | libc::ARPHRD_SIT => {
                Self::Raw
            }
            libc::ARPHRD_PPP | libc::ARPHRD_SLIP | libc::ARPHRD_IPGRE | GRE_OVER_IPV6 => Self::Cooked,
            _ => return None,
        })
    }

    /// Where the type field starts, in front of which a VLAN tag belongs.
    pub(crate) fn type_offset(self) -> Option<usize> {
        (self != Self::Raw).then(|| self.header_bytes() - 2)
    }
}

/// `ARPHRD_RAWIP`, of cellular modems.
const RAW_IP: u16 = 519;
/// `ARPHRD_IP6GRE`.
const GRE_OVER_IPV6: u16 = 823;

/// For whom a packet was, as the kernel saw it on the interface (packet(7)).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum PacketType {
    /// For this machine.
    Host,
    /// For everybody on the link.
    Broadcast,
    /// For a group.
    Multicast,
    /// For another machine, seen because the interface is promiscuous.
    OtherHost,
    /// From this machine.
    Outgoing,
}

impl PacketType {
    pub(crate) fn of_kernel(number: u8) -> Self {
        match number {
            libc::PACKET_BROADCAST => Self::Broadcast,
            libc::PACKET_MULTICAST => Self::Multicast,
            libc::PACKET_OTHERHOST => Self::OtherHost,
            libc::PACKET_OUTGOING => Self::Outgoing,
            _ => Self::Host,
        }
    }
}

/// One captured packet.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct Packet {
    /// What was captured, from the link layer on; at most the capture's `snaplen`.
    pub bytes: Vec<u8>,
    /// How long the packet was on the link.
    pub length: usize,
    /// When the kernel got it, or sent it.
    pub time: SystemTime,
    /// The number of the interface; see `ip link`.
    pub interface: u32,
    /// What the bytes start with.
    pub link_type: LinkType,
    /// For whom it was.
    pub packet_type: PacketType,
}

impl Packet {
    /// The link layer: 14 bytes of Ethernet or 16 of a cooked capture, 4 more with a VLAN tag; empty on a raw link.
    #[must_use]
    pub fn l2(&self) -> &[u8] {
        self.split().0
    }

    /// The network layer and all behind it; empty if that was not captured.
    #[must_use]
    pub fn l3(&self) -> &[u8] {
        self.split().1
    }

    /// Link layer and network layer. As nsock, it looks through one VLAN tag (spec nsock 5).
    #[must_use]
    pub fn split(&self) -> (&[u8], &[u8]) {
        let mut l2 = self.link_type.header_bytes();
        let tag = self.link_type.type_offset().and_then(|offset| self.bytes.get(offset..offset + 2));
        if tag == Some(&ETHERTYPE_VLAN.to_be_bytes()) {
            l2 += VLAN_TAG_BYTES;
        }
        self.bytes.split_at(l2.min(self.bytes.len()))
    }
}

/// How a capture is to be made. The default keeps whole frames of this machine's own traffic, both directions.
///
/// ```
/// let mut options = nsock::PcapOptions::default();
/// options.snaplen = 256;
/// options.promiscuous = true;
/// ```
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct PcapOptions {
    /// The most bytes to keep of each packet, from 1 to [`SNAPLEN_MAX`]; others are taken as the nearer of these.
    pub snaplen: usize,
    /// Whether to see what is for other machines too.
    pub promiscuous: bool,
    /// What to capture; everything if none.
    pub filter: Option<Filter>,
    /// Whether to leave out what this machine sends. On the loopback that is left out in any case, as libpcap does:
    /// each packet would be there twice.
    pub ignore_outgoing: bool,
    /// Room in the kernel for packets not yet read, in bytes of its bookkeeping: about 800 for a small packet.
    pub buffer_bytes: usize,
}

impl Default for PcapOptions {
    fn default() -> Self {
        Self {
            snaplen: 65_535,
            promiscuous: false,
            filter: None,
            ignore_outgoing: false,
            // libpcap's default.
            buffer_bytes: 2 << 20,
        }
    }
}

/// What the kernel has counted for a capture since it was opened.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct PcapStats {
    /// Packets that passed the filter, those dropped included.
    pub received: u64,
    /// Packets that passed the filter and were lost, because the buffer was full.
    pub dropped: u64,
}

/// Where a datagram of a batch goes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Destination {
    /// The peer that the IOD is connected to.
    Peer,
    /// An address, for UDP and raw IP sockets (where the port is 0).
    Address(SocketAddr),
    /// An interface, for packet sockets.
    Link(LinkDestination),
}

/// The interface a frame leaves by, and its EtherType for the kernel's own use.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub struct LinkDestination {
    /// The number of the interface; [`Io::interface_index`](crate::Io::interface_index) tells it.
    pub interface: u32,
    /// The EtherType, such as 0x0800; with 0 the kernel reads it from the frame.
    pub ethertype: u16,
}

impl LinkDestination {
    /// Out of this interface.
    #[must_use]
    pub fn new(interface: u32, ethertype: u16) -> Self {
        Self { interface, ethertype }
    }
}

impl From<SocketAddr> for Destination {
    fn from(address: SocketAddr) -> Self {
        Self::Address(address)
    }
}

impl From<LinkDestination> for Destination {
    fn from(link: LinkDestination) -> Self {
        Self::Link(link)
    }
}

/// One datagram of a batch to send.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub struct Datagram<'a> {
    /// Where it goes.
    pub to: Destination,
    /// What it holds; for packet sockets, the whole frame.
    pub data: &'a [u8],
}

impl<'a> Datagram<'a> {
    /// These bytes to this destination.
    pub fn new(to: impl Into<Destination>, data: &'a [u8]) -> Self {
        Self { to: to.into(), data }
    }
}

/// Datagrams that were received together, in the order they came.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Datagrams {
    pub(crate) bytes: Vec<u8>,
    /// Where each ends, and who sent it.
    pub(crate) ends: Vec<(usize, Option<SocketAddr>)>,
}

impl Datagrams {
    pub(crate) fn push(&mut self, bytes: &[u8], from: Option<SocketAddr>) {
        self.bytes.extend_from_slice(bytes);
        self.ends.push((self.bytes.len(), from));
    }

    /// How many; at least one in an event.
    #[must_use]
    pub fn len(&self) -> usize {
        self.ends.len()
    }

    /// Whether there are none.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.ends.is_empty()
    }

    /// Each with its sender, where that is known.
    pub fn iter(&self) -> impl DoubleEndedIterator<Item = (Option<SocketAddr>, &[u8])> {
        (0..self.ends.len()).map(|index| {
            let start = index.checked_sub(1).map_or(0, |before| self.ends[before].0);
            let (end, from) = self.ends[index];
            (from, &self.bytes[start..end])
        })
    }
}

impl fmt::Display for LinkType {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Ethernet => "Ethernet",
            Self::Raw => "raw IP",
            Self::Cooked => "cooked",
        })
    }
}

impl fmt::Display for PacketType {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Host => "to us",
            Self::Broadcast => "broadcast",
            Self::Multicast => "multicast",
            Self::OtherHost => "to others",
            Self::Outgoing => "outgoing",
        })
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn packet(link_type: LinkType, bytes: Vec<u8>) -> Packet {
        Packet {
            length: bytes.len(),
            bytes,
            time: SystemTime::UNIX_EPOCH,
            interface: 1,
            link_type,
            packet_type: PacketType::Host,
        }
    }

    #[test]
    fn one_vlan_tag_belongs_to_the_link_layer_a_second_one_does_not() {
        let mut frame = vec![0; 60];
        frame[12..14].copy_from_slice(&[0x81, 0]);
        frame[16..18].copy_from_slice(&[0x81, 0]);
        assert_eq!(packet(LinkType::Ethernet, frame.clone()).l2().len(), 18);
        frame[12..14].copy_from_slice(&[8, 0]);
        assert_eq!(packet(LinkType::Ethernet, frame.clone()).l2().len(), 14);
        assert_eq!(packet(LinkType::Raw, frame.clone()).l2().len(), 0);
        assert_eq!(packet(LinkType::Cooked, frame).l2().len(), 16);
    }

    proptest! {
        #[test]
        fn the_split_loses_nothing_however_short_the_capture(
            bytes in proptest::collection::vec(any::<u8>(), 0..40),
            link_type in prop_oneof![Just(LinkType::Ethernet), Just(LinkType::Raw), Just(LinkType::Cooked)],
        ) {
            let packet = packet(link_type, bytes.clone());
            let (l2, l3) = packet.split();
            prop_assert_eq!([l2, l3].concat(), bytes);
            prop_assert!(l2.len() <= link_type.header_bytes() + VLAN_TAG_BYTES);
        }

        #[test]
        fn datagrams_come_out_as_they_went_in(
            all in proptest::collection::vec(proptest::collection::vec(any::<u8>(), 0..9), 0..20),
        ) {
            let mut datagrams = Datagrams::default();
            for bytes in &all {
                datagrams.push(bytes, None);
            }
            prop_assert_eq!(datagrams.len(), all.len());
            prop_assert_eq!(datagrams.iter().map(|(_, bytes)| bytes.to_vec()).collect::<Vec<_>>(), all);
        }
    }
}
