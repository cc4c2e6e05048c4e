//! Ports to scan: compact sets, and the `-p` language that describes them.

mod list;
mod set;

use std::fmt;

pub use list::{PortList, PortListError, PortListFault, PortListWarning};
pub use set::{IntoIter, Iter, NotAPortSet, PortSet};

use crate::top_ports;

/// A transport protocol with ports.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[non_exhaustive]
pub enum Protocol {
    /// TCP (RFC 9293).
    Tcp,
    /// UDP (RFC 768).
    Udp,
    /// SCTP (RFC 9260).
    Sctp,
}

impl Protocol {
    /// Every protocol, in the order reports use.
    pub const ALL: [Self; 3] = [Self::Tcp, Self::Udp, Self::Sctp];

    /// Returns the name in port tables: `tcp`.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Tcp => "tcp",
            Self::Udp => "udp",
            Self::Sctp => "sctp",
        }
    }

    /// Reads the name in port tables.
    #[must_use]
    pub fn named(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|protocol| protocol.name() == name)
    }

    /// Returns the letter that stands for the protocol in a port list: `T` in `T:22`.
    pub const fn letter(self) -> char {
        match self {
            Self::Tcp => 'T',
            Self::Udp => 'U',
            Self::Sctp => 'S',
        }
    }
}

impl fmt::Display for Protocol {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.write_str(self.name())
    }
}

/// One set of ports for each protocol.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Ports {
    tcp: PortSet,
    udp: PortSet,
    sctp: PortSet,
}

impl Ports {
    /// Makes empty sets.
    pub fn new() -> Self {
        Self::default()
    }

    /// Takes the `count` likeliest ports of each of `protocols` among those that `wanted` accepts.
    ///
    /// Ports that are not wanted are passed over and the next best fill up, so the result has `count` ports of each
    /// protocol unless fewer exist.
    ///
    /// ```
    /// use scanner::ports::{Ports, Protocol};
    ///
    /// let low = Ports::likeliest(10, &[Protocol::Tcp], |_, port| port < 1024 && port != 80);
    /// assert_eq!(low.of(Protocol::Tcp).len(), 10);
    /// assert!(!low.of(Protocol::Tcp).contains(80));
    /// ```
    pub fn likeliest(count: usize, protocols: &[Protocol], wanted: impl Fn(Protocol, u16) -> bool) -> Self {
        let mut ports = Self::new();
        for protocol in protocols {
            let ranked = top_ports::ranking(*protocol).filter(|port| wanted(*protocol, *port));
            *ports.of_mut(*protocol) = ranked.take(count).collect();
        }
        ports
    }

    /// Returns the ports of `protocol`.
    pub const fn of(&self, protocol: Protocol) -> &PortSet {
        match protocol {
            Protocol::Tcp => &self.tcp,
            Protocol::Udp => &self.udp,
            Protocol::Sctp => &self.sctp,
        }
    }

    /// Returns the ports of `protocol`, to be changed.
    pub const fn of_mut(&mut self, protocol: Protocol) -> &mut PortSet {
        match protocol {
            Protocol::Tcp => &mut self.tcp,
            Protocol::Udp => &mut self.udp,
            Protocol::Sctp => &mut self.sctp,
        }
    }

    /// Counts the ports of all protocols.
    pub fn len(&self) -> usize {
        Protocol::ALL.into_iter().map(|protocol| self.of(protocol).len()).sum()
    }

    /// Tells whether no protocol has a port.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Removes every port that `excluded` has for the same protocol.
    pub fn remove_all(&mut self, excluded: &Self) {
        for protocol in Protocol::ALL {
            self.of_mut(protocol).remove_all(excluded.of(protocol));
        }
    }
}

/// Writes a port list that [`PortList::parse`] reads back: `T:22,80-81,U:53`.
impl fmt::Display for Ports {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut comma = "";
        for protocol in Protocol::ALL {
            let set = self.of(protocol);
            if !set.is_empty() {
                write!(out, "{comma}{}:{set}", protocol.letter())?;
                comma = ",";
            }
        }
        Ok(())
    }
}
