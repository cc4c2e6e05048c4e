//! Hardware addresses of Ethernet and its kin.

use std::fmt;
use std::str::FromStr;

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

    /// Whether it was made up locally and so tells no vendor (IEEE 802, the U/L bit).
    #[must_use]
    pub const fn is_local(self) -> bool {
        self.0[0] & 0x02 != 0
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

/// Text that is no hardware address.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub struct NotAMacAddress;

impl FromStr for MacAddress {
    type Err = NotAMacAddress;

    /// Reads six bytes in hexadecimal, with colons, dashes, dots or nothing between them.
    ///
    /// ```
    /// use scanner::mac::MacAddress;
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
