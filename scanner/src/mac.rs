//! Hardware addresses of Ethernet and its kin.

use std::fmt;

/// A hardware address of six bytes (IEEE 802), shown as in `02:00:00:00:64:0A`.
///
/// ```
/// use scanner::mac::MacAddress;
/// assert_eq!(MacAddress::new([2, 0, 0, 0, 0x64, 0xa]).to_string(), "02:00:00:00:64:0A");
/// ```
#[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct MacAddress([u8; 6]);

impl MacAddress {
    /// The address of everybody on the link.
    pub const BROADCAST: Self = Self([0xff; 6]);
    /// The address of nobody.
    pub const ZERO: Self = Self([0; 6]);

    /// The address with these bytes.
    #[must_use]
    pub const fn new(bytes: [u8; 6]) -> Self {
        Self(bytes)
    }

    /// Its bytes, as they go over the wire.
    #[must_use]
    pub const fn octets(self) -> [u8; 6] {
        self.0
    }
}

impl fmt::Display for MacAddress {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let [a, b, c, d, e, g] = self.0;
        f.pad(&format!("{a:02X}:{b:02X}:{c:02X}:{d:02X}:{e:02X}:{g:02X}"))
    }
}

impl fmt::Debug for MacAddress {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}
