//! One target specification: a word such as `10.0.0-3.1,5`, `198.18.0.0/15`, `fe80::1%eth0` or `www.example.test/28`.

mod parse;

use std::fmt;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use thiserror::Error;

use super::{Families, OctetPattern};
use crate::escape::Escaped;

/// What one word asks to scan.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum TargetSpec {
    /// Neighboring IPv4 addresses, both ends included: an address, a prefix or `a-b`.
    V4Range {
        /// The lowest address.
        first: Ipv4Addr,
        /// The highest address.
        last: Ipv4Addr,
    },
    /// IPv4 addresses with gaps, from octet ranges.
    V4Pattern(Box<OctetPattern>),
    /// Neighboring IPv6 addresses, both ends included: an address, a prefix or `a-b`.
    V6Range {
        /// The lowest address.
        first: Ipv6Addr,
        /// The highest address.
        last: Ipv6Addr,
        /// The zone (RFC 4007): name or index of the interface whose scope the addresses are in.
        zone: Option<Box<str>>,
    },
    /// A host name, to be looked up before the scan.
    Name {
        /// The name as typed.
        host: Box<str>,
        /// How many leading bits of its address to keep, if its neighbors are wanted too.
        prefix: Option<u8>,
    },
}

impl TargetSpec {
    /// Parses one word.
    ///
    /// Whatever consists of digits, dots, commas, dashes, stars and slashes only is an address expression and never
    /// looked up as a name, so a slip of the finger reaches no name server.
    ///
    /// ```
    /// use scanner::target::TargetSpec;
    ///
    /// assert_eq!(TargetSpec::parse("10.0.0-1.1,5")?.to_string(), "10.0.0-1.1,5");
    /// assert_eq!(TargetSpec::parse("198.18.0.0/30")?.to_string(), "198.18.0.0-198.18.0.3");
    /// assert_eq!(TargetSpec::parse("fe80::1%eth0")?.to_string(), "fe80::1%eth0");
    /// assert!(TargetSpec::parse("198.18.0.999").is_err());
    /// # Ok::<(), scanner::target::TargetError>(())
    /// ```
    ///
    /// # Errors
    /// A word that is neither an address expression nor a possible host name; the error tells the place in the word.
    pub fn parse(word: &str) -> Result<Self, TargetError> {
        parse::spec(word).map_err(|fault| TargetError::new(word, fault))
    }

    /// Refuses an address of a family that is not scanned; a name may still have addresses of either.
    pub(super) fn check_family(&self, families: Families) -> Result<(), TargetFault> {
        let sample = match self {
            Self::V4Range { first, .. } => IpAddr::V4(*first),
            Self::V4Pattern(_) => IpAddr::V4(Ipv4Addr::UNSPECIFIED),
            Self::V6Range { first, .. } => IpAddr::V6(*first),
            Self::Name { .. } => return Ok(()),
        };
        if families.admit(sample) { Ok(()) } else { Err(TargetFault::WrongFamily { only: families }) }
    }
}

/// Writes the specification so that [`TargetSpec::parse`] reads the same back.
impl fmt::Display for TargetSpec {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::V4Range { first, last } if first == last => write!(out, "{first}"),
            Self::V4Range { first, last } => write!(out, "{first}-{last}"),
            Self::V4Pattern(pattern) => write!(out, "{pattern}"),
            Self::V6Range { first, last, zone } => {
                write!(out, "{first}")?;
                if first != last {
                    write!(out, "-{last}")?;
                }
                zone.as_ref().map_or(Ok(()), |zone| write!(out, "%{zone}"))
            }
            Self::Name { host, prefix: None } => out.write_str(host),
            Self::Name { host, prefix: Some(prefix) } => write!(out, "{host}/{prefix}"),
        }
    }
}

/// Why a target cannot be scanned.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TargetError {
    word: Box<str>,
    fault: TargetFault,
}

impl TargetError {
    pub(super) fn new(word: &str, fault: TargetFault) -> Self {
        Self { word: word.into(), fault }
    }

    /// Returns the target as typed.
    pub fn word(&self) -> &str {
        &self.word
    }

    /// Returns what is wrong with it.
    pub const fn fault(&self) -> &TargetFault {
        &self.fault
    }
}

impl std::error::Error for TargetError {}

impl fmt::Display for TargetError {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        let word = Escaped::new(&*self.word);
        match &self.fault {
            TargetFault::Netmask => write!(out, "Unable to split netmask from target expression: \"{word}\""),
            TargetFault::NetmaskTooLong { max } => {
                write!(out, "Illegal netmask in \"{word}\": use /0 to /{max}")
            }
            TargetFault::Unresolved { why } if why.is_empty() => write!(out, "Failed to resolve \"{word}\"."),
            TargetFault::Unresolved { why } => {
                write!(out, "Failed to resolve \"{word}\": {}", Escaped::new(&**why))
            }
            TargetFault::OtherFamily { wanted } => {
                write!(out, "Hostname {word} resolves, but not to any {wanted} address")
            }
            fault => write!(out, "Invalid address specification: \"{word}\": {fault}"),
        }
    }
}

/// What is wrong with a target.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
#[non_exhaustive]
pub enum TargetFault {
    /// What follows the slash is no number.
    #[error("the netmask is no number of bits")]
    Netmask,
    /// More bits than the address has.
    #[error("the netmask is longer than {max} bits")]
    NetmaskTooLong {
        /// The bits of the address.
        max: u8,
    },
    /// An IPv4 expression that has not four parts.
    #[error("an IPv4 address has four octets, this has {found}")]
    OctetCount {
        /// How many there are.
        found: usize,
    },
    /// An octet, or one of its ranges, that is not a number from 0 to 255.
    #[error("\"{text}\" (character {}) is no octet or range of octets from 0 to 255", .at + 1)]
    Octet {
        /// The part in question.
        text: Box<str>,
        /// How many characters of the word stand before it.
        at: usize,
    },
    /// A range whose end is below its start.
    #[error("the range {text} (character {}) is backwards", .at + 1)]
    Backwards {
        /// The range in question.
        text: Box<str>,
        /// How many characters of the word stand before it.
        at: usize,
    },
    /// A colon, but no IPv6 address around it.
    #[error("this is no IPv6 address")]
    V6,
    /// A percent sign with nothing behind it.
    #[error("the zone after the % is missing")]
    ZoneEmpty,
    /// A link-local address without a zone could be on any link.
    #[error("a link-local address needs its interface, as in fe80::1%eth0")]
    ZoneMissing,
    /// No interface has this name or index.
    #[error("there is no interface \"{}\"", Escaped::new(&**.zone))]
    ZoneUnknown {
        /// The zone as typed.
        zone: Box<str>,
    },
    /// A URL where a host belongs.
    #[error("this is a URL; give the host alone")]
    Url,
    /// Neither an address nor a possible host name.
    #[error("'{}' (character {}) cannot be in a host name", Escaped::new(&**.text), .at + 1)]
    Name {
        /// The character in question.
        text: Box<str>,
        /// How many characters of the word stand before it.
        at: usize,
    },
    /// A name with an empty part, or too long a one (RFC 1035: 63 bytes for a label, 253 in all).
    #[error("a host name has parts of 1 to 63 characters and at most 253 in all")]
    NameLength,
    /// The bytes are not text.
    #[error("this is not UTF-8 text")]
    NotText,
    /// A word of a file longer than any target.
    #[error("this is longer than 1023 bytes")]
    TooLong,
    /// An address of the family that `-4` or `-6` leaves out.
    #[error("only {only} addresses are scanned")]
    WrongFamily {
        /// The families that are scanned.
        only: Families,
    },
    /// A name that has addresses, but none of the family wanted.
    #[error("it has no {wanted} address")]
    OtherFamily {
        /// The families that are scanned.
        wanted: Families,
    },
    /// A name nobody knows an address of.
    #[error("it cannot be resolved")]
    Unresolved {
        /// What the resolver said; may be empty.
        why: Box<str>,
    },
    /// Too many overlapping octet patterns to keep apart.
    #[error("too many octet patterns overlap; use prefixes or ranges")]
    TooManyPatterns,
}
