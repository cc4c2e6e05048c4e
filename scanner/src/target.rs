//! What to scan: target specifications, lists of them, and the set of addresses they come to.
//!
//! A word of the command line or of a file becomes a [`TargetSpec`], a [`TargetList`] holds all of them with what is to
//! be left out, and [`TargetList::resolve`] turns it into a [`TargetSet`] once names are looked up. None of the three
//! costs memory for each address.

mod claims;
mod list;
mod octets;
mod set;
mod spec;
mod walk;
mod words;

use std::fmt;
use std::net::{IpAddr, Ipv6Addr, SocketAddr, SocketAddrV6};
use std::str::FromStr;

pub use list::{AddressesOfAName, Directory, Origin, PROBLEMS_MAX, Resolved, TargetList, TargetProblem};
pub use octets::OctetPattern;
pub use set::{Cursor, GivenName, Iter, TargetSet};
pub use spec::{TargetError, TargetFault, TargetSpec};
pub use walk::{HostOrder, Shard, TooManyToShuffle, Walk};
pub use words::{WORD_BYTES_MAX, Word, words};

/// Which address families are scanned.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
#[non_exhaustive]
pub enum Families {
    /// Both, mixed as they come.
    #[default]
    Any,
    /// IPv4 only (`-4`).
    V4,
    /// IPv6 only (`-6`).
    V6,
}

impl Families {
    /// Tells whether `address` is of a family that is scanned.
    pub const fn admit(self, address: IpAddr) -> bool {
        matches!((self, address), (Self::Any, _) | (Self::V4, IpAddr::V4(_)) | (Self::V6, IpAddr::V6(_)))
    }
}

impl fmt::Display for Families {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.write_str(match self {
            Self::Any => "IP",
            Self::V4 => "IPv4",
            Self::V6 => "IPv6",
        })
    }
}

/// An address a packet can be sent to: an IPv6 address comes with its scope id (RFC 4007), 0 where it needs none.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Address {
    ip: IpAddr,
    scope_id: u32,
}

impl Address {
    /// Makes an address of `ip` without a scope. An IPv4-mapped IPv6 address becomes the IPv4 address it stands for.
    pub const fn new(ip: IpAddr) -> Self {
        Self { ip: ip.to_canonical(), scope_id: 0 }
    }

    /// Makes an IPv6 address within the scope of an interface.
    pub const fn with_scope(ip: Ipv6Addr, scope_id: u32) -> Self {
        Self { ip: IpAddr::V6(ip), scope_id }
    }

    /// Returns the address without its scope.
    pub const fn ip(self) -> IpAddr {
        self.ip
    }

    /// Returns the scope id: the index of an interface, or 0.
    pub const fn scope_id(self) -> u32 {
        self.scope_id
    }

    /// Returns the socket address of `port` there, scope included.
    pub const fn socket(self, port: u16) -> SocketAddr {
        match self.ip {
            IpAddr::V4(_) => SocketAddr::new(self.ip, port),
            IpAddr::V6(ip) => SocketAddr::V6(SocketAddrV6::new(ip, port, 0, self.scope_id)),
        }
    }
}

impl From<IpAddr> for Address {
    fn from(ip: IpAddr) -> Self {
        Self::new(ip)
    }
}

impl From<SocketAddr> for Address {
    fn from(socket: SocketAddr) -> Self {
        match socket {
            SocketAddr::V6(v6) if v6.scope_id() != 0 => Self::with_scope(*v6.ip(), v6.scope_id()),
            _ => Self::new(socket.ip()),
        }
    }
}

/// Text that is no address.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub struct NotAnAddress;

impl FromStr for Address {
    type Err = NotAnAddress;

    /// Reads what `Display` writes.
    fn from_str(text: &str) -> Result<Self, NotAnAddress> {
        match text.split_once('%') {
            None => text.parse().map(Self::new).map_err(|_| NotAnAddress),
            Some((ip, scope)) => {
                let (Ok(ip), Ok(scope)) = (ip.parse(), scope.parse()) else { return Err(NotAnAddress) };
                Ok(Self::with_scope(ip, scope))
            }
        }
    }
}

impl fmt::Display for Address {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.scope_id {
            0 => self.ip.fmt(out),
            scope_id => write!(out, "{}%{scope_id}", self.ip),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_mapped_address_is_the_one_it_stands_for() {
        let mapped: IpAddr = "::ffff:198.18.0.1".parse().unwrap();
        assert_eq!(Address::new(mapped), Address::new("198.18.0.1".parse().unwrap()));
    }

    #[test]
    fn the_scope_reaches_the_socket_address() {
        let local = Address::with_scope("fe80::1".parse().unwrap(), 3);
        assert_eq!(local.to_string(), "fe80::1%3");
        assert_eq!("fe80::1%3".parse(), Ok(local));
        assert_eq!("fe80::1%x".parse::<Address>(), Err(NotAnAddress));
        assert_eq!(local.socket(80).to_string(), "[fe80::1%3]:80");
        assert_eq!(Address::from(local.socket(80)), local);
    }
}
