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

#[cfg(test)]
mod tests;
