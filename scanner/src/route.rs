//! How the system would send to an address: from which of its addresses, by which interface, through which neighbor.
//!
//! The kernel itself is asked for each destination, so that policy rules, metrics and several tables count as they do
//! for any other program. [`kernel`] asks; this file is what it answers.

pub mod kernel;

use std::fmt;
use std::net::IpAddr;

use thiserror::Error;

use crate::mac::MacAddress;
use crate::verdict::Errno;

/// The way to one destination.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub struct Route {
    /// The number of the interface packets leave by.
    pub interface: u32,
    /// The address they come from.
    pub source: IpAddr,
    /// The router they go to first; `None` if the destination is on the link.
    pub gateway: Option<IpAddr>,
    /// Whether the destination is this machine itself.
    pub is_local: bool,
}

impl Route {
    /// Whose hardware address a frame to `destination` carries.
    #[must_use]
    pub fn next_hop(&self, destination: IpAddr) -> IpAddr {
        self.gateway.unwrap_or(destination)
    }
}

/// What the user wants of a route.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct Wish {
    /// Leave by this interface (`-e`).
    pub interface: Option<u32>,
    /// Come from this address (`-S`).
    pub source: Option<IpAddr>,
}

/// Why there is no route.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
#[error("{errno}")]
#[non_exhaustive]
pub struct NoRoute {
    /// What the kernel says: `ENETUNREACH` without a route, `EHOSTUNREACH`, `EACCES` or `EINVAL` for routes that forbid
    /// it.
    pub errno: Errno,
}

/// A network interface.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct Interface {
    /// Its number.
    pub index: u32,
    /// Its name.
    pub name: String,
    /// What its link layer is.
    pub kind: InterfaceKind,
    /// Its hardware address, if it is an Ethernet one.
    pub mac: Option<MacAddress>,
    /// The largest IP packet that fits, in bytes.
    pub mtu: u32,
    /// Whether it is up.
    pub is_up: bool,
    /// Its addresses, with the lengths of their prefixes.
    pub addresses: Vec<(IpAddr, u8)>,
}

/// The kinds of link layer that make a difference to a prober.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum InterfaceKind {
    /// Frames with hardware addresses, which neighbors are asked for.
    Ethernet,
    /// This machine itself.
    Loopback,
    /// Packets without a link header, or one that is the system's affair: tunnels, PPP.
    PointToPoint,
}

impl fmt::Display for InterfaceKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(match self {
            Self::Ethernet => "ethernet",
            Self::Loopback => "loopback",
            Self::PointToPoint => "point2point",
        })
    }
}

/// A line of a routing table.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct TableRoute {
    /// The destinations: an address and the length of its prefix.
    pub destination: (IpAddr, u8),
    /// The number of the interface.
    pub interface: u32,
    /// The router, if there is one.
    pub gateway: Option<IpAddr>,
    /// Of several routes the one with the smaller number counts.
    pub metric: u32,
}
