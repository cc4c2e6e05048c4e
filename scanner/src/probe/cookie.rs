//! Numbers that nobody can make up who does not have the key.

use std::hash::Hasher;
use std::net::IpAddr;

use siphasher::sip::SipHasher13;

/// The key of a run. Its numbers follow from it and from what the probe is about.
#[derive(Clone, Copy)]
pub struct Cookies {
    key: [u64; 2],
}

/// The numbers of a probe.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Numbers {
    pub(super) sequence: u32,
    pub(super) acknowledgment: u32,
}

impl Numbers {
    /// The identifier of an echo, which is never 0: some hosts do not answer that.
    pub(super) fn id(self) -> u16 {
        let [a, b, ..] = self.sequence.to_be_bytes();
        u16::from_be_bytes([a, b]).max(1)
    }

    /// The sequence number of an echo.
    pub(super) fn id_sequence(self) -> u16 {
        let [.., a, b] = self.sequence.to_be_bytes();
        u16::from_be_bytes([a, b])
    }
}

impl Cookies {
    /// A key must come from the system's source of randomness.
    #[must_use]
    pub const fn new(key: [u64; 2]) -> Self {
        Self { key }
    }

    /// The numbers of a try of a probe.
    pub(super) fn numbers(
        &self,
        source: IpAddr,
        target: IpAddr,
        source_port: u16,
        port: u16,
        tag: u8,
        try_number: u8,
    ) -> Numbers {
        let ([a, b], [c, d]) = (source_port.to_be_bytes(), port.to_be_bytes());
        let hash = self.hash(source, target, [a, b, c, d, tag, try_number]).to_be_bytes();
        let [a, b, c, d, e, f, g, h] = hash;
        Numbers {
            sequence: u32::from_be_bytes([a, b, c, d]),
            acknowledgment: u32::from_be_bytes([e, f, g, h]),
        }
    }

    /// Which of the source ports of a try a datagram leaves by; any number.
    pub(super) fn lane(&self, source: IpAddr, target: IpAddr, port: u16, tag: u8) -> u8 {
        let [c, d] = port.to_be_bytes();
        self.hash(source, target, [0, 0, c, d, tag, 0xff]).to_be_bytes()[0]
    }

    fn hash(&self, source: IpAddr, target: IpAddr, rest: [u8; 6]) -> u64 {
        let mut bytes = [0; 38];
        let length = match (source, target) {
            (IpAddr::V4(source), IpAddr::V4(target)) => {
                bytes[..4].copy_from_slice(&source.octets());
                bytes[4..8].copy_from_slice(&target.octets());
                8
            }
            (source, target) => {
                let octets = |address: IpAddr| match address {
                    IpAddr::V4(address) => address.to_ipv6_mapped().octets(),
                    IpAddr::V6(address) => address.octets(),
                };
                bytes[..16].copy_from_slice(&octets(source));
                bytes[16..32].copy_from_slice(&octets(target));
                32
            }
        };
        bytes[length..length + 6].copy_from_slice(&rest);
        let mut hasher = SipHasher13::new_with_keys(self.key[0], self.key[1]);
        hasher.write(&bytes[..length + 6]);
        hasher.finish()
    }
}

impl std::fmt::Debug for Cookies {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        // Not the key: a log may be published.
        f.debug_struct("Cookies").finish_non_exhaustive()
    }
}
