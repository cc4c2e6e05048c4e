//! Packets as bytes: built, taken apart, and described in a line.
//!
//! Pure. What is built goes through etherparse. What was received is read by views that take any bytes: a scanner sees
//! packets cut short, in fragments or wrong, and has to say what there is instead of refusing them.

pub mod build;
pub mod filter;
pub mod line;
pub mod payload;
pub mod template;
pub mod view;

use std::fmt;
use std::str::FromStr;

/// Protocol numbers of the IP header (IANA).
pub mod protocol {
    /// ICMP (RFC 792).
    pub const ICMP: u8 = 1;
    /// TCP (RFC 9293).
    pub const TCP: u8 = 6;
    /// UDP (RFC 768).
    pub const UDP: u8 = 17;
    /// ICMPv6 (RFC 4443).
    pub const ICMPV6: u8 = 58;
    /// SCTP (RFC 9260).
    pub const SCTP: u8 = 132;
}

/// Numbers that tell what an Ethernet frame carries (IANA).
pub mod ether_type {
    /// IPv4.
    pub const IPV4: u16 = 0x0800;
    /// ARP (RFC 826).
    pub const ARP: u16 = 0x0806;
    /// IPv6.
    pub const IPV6: u16 = 0x86dd;
}

/// An Ethernet address.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct MacAddress([u8; 6]);

impl MacAddress {
    /// All stations of a link.
    pub const BROADCAST: Self = Self([0xff; 6]);

    /// Makes an address of its bytes.
    #[must_use]
    pub const fn new(bytes: [u8; 6]) -> Self {
        Self(bytes)
    }

    /// The bytes in the order of the wire.
    #[must_use]
    pub const fn bytes(self) -> [u8; 6] {
        self.0
    }

    /// Whether the address was made up locally and so tells no vendor (IEEE 802, the U/L bit).
    #[must_use]
    pub const fn is_local(self) -> bool {
        self.0[0] & 0x02 != 0
    }
}

impl fmt::Display for MacAddress {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let [a, b, c, d, e, g] = self.0;
        write!(f, "{a:02X}:{b:02X}:{c:02X}:{d:02X}:{e:02X}:{g:02X}")
    }
}

/// Text that is no Ethernet address.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub struct NotAMacAddress;

impl FromStr for MacAddress {
    type Err = NotAMacAddress;

    /// Reads six bytes in hexadecimal, with colons, dashes, dots or nothing between them.
    ///
    /// ```
    /// use scanner::packet::MacAddress;
    /// let address: MacAddress = "02-00-00-00-64-01".parse().unwrap();
    /// assert_eq!(address.to_string(), "02:00:00:00:64:01");
    /// assert!("02:00".parse::<MacAddress>().is_err());
    /// ```
    fn from_str(text: &str) -> Result<Self, NotAMacAddress> {
        let digits: Vec<u8> = text
            .chars()
            .filter(|character| !matches!(character, ':' | '-' | '.'))
            .map(|character| character.to_digit(16).and_then(|digit| u8::try_from(digit).ok()))
            .collect::<Option<_>>()
            .ok_or(NotAMacAddress)?;
        let bytes: Vec<u8> = digits.chunks_exact(2).map(|pair| pair[0] << 4 | pair[1]).collect();
        match (digits.len(), bytes.try_into()) {
            (12, Ok(bytes)) => Ok(Self(bytes)),
            _ => Err(NotAMacAddress),
        }
    }
}

#[cfg(test)]
mod tests;
