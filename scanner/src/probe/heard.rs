//! What a received packet says, as far as a probe can be known by it.

use std::net::IpAddr;

use crate::mac::MacAddress;
use crate::verdict::IcmpError;

/// A received packet.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[expect(clippy::exhaustive_structs, reason = "a driver makes it from a parsed packet")]
pub struct Heard {
    /// Who sent it.
    pub from: IpAddr,
    /// To whom.
    pub to: IpAddr,
    /// Its time to live, or hop limit, on arrival.
    pub ttl: u8,
    /// What it is.
    pub message: Message,
}

/// What a received packet is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Message {
    /// A TCP segment.
    Tcp(Segment),
    /// A UDP datagram.
    Udp {
        /// Its source port.
        source: u16,
        /// Its destination port.
        destination: u16,
    },
    /// The answer to an ICMP request.
    Icmp {
        /// What had been asked for.
        inquiry: Inquiry,
        /// Its identifier.
        id: u16,
        /// Its sequence number.
        sequence: u16,
    },
    /// An ICMP error about another packet.
    Error {
        /// Type and code.
        icmp: IcmpError,
        /// The packet it is about.
        about: Quote,
    },
    /// An ARP reply, or a neighbor advertisement.
    Neighbor {
        /// The address that is answered for.
        address: IpAddr,
        /// Its hardware address.
        mac: Option<MacAddress>,
    },
}

/// The header of a TCP segment.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[expect(clippy::exhaustive_structs, reason = "a driver makes it from a parsed packet")]
pub struct Segment {
    /// Source port.
    pub source: u16,
    /// Destination port.
    pub destination: u16,
    /// Flags.
    pub flags: u8,
    /// Sequence number.
    pub sequence: u32,
    /// Acknowledgment number.
    pub acknowledgment: u32,
    /// Window.
    pub window: u16,
}

/// What can be asked for by ICMP (RFC 792, RFC 950).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Inquiry {
    /// An echo.
    Echo,
    /// The time of day.
    Timestamp,
    /// The network mask.
    AddressMask,
}

/// The packet that an ICMP error is about, as far as it is quoted.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[expect(clippy::exhaustive_structs, reason = "a driver makes it from a parsed packet")]
pub struct Quote {
    /// Who had sent it.
    pub from: IpAddr,
    /// To whom.
    pub to: IpAddr,
    /// What it was.
    pub message: Quoted,
}

/// The first eight bytes after the header of the quoted packet.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Quoted {
    /// A TCP segment.
    Tcp {
        /// Source port.
        source: u16,
        /// Destination port.
        destination: u16,
        /// Sequence number.
        sequence: u32,
    },
    /// A UDP datagram.
    Udp {
        /// Source port.
        source: u16,
        /// Destination port.
        destination: u16,
    },
    /// An ICMP request.
    Icmp {
        /// What was asked for.
        inquiry: Inquiry,
        /// Its identifier.
        id: u16,
        /// Its sequence number.
        sequence: u16,
    },
}
