//! What can be asked.

use std::fmt;
use std::net::IpAddr;

use crate::message::{Asked, Kind};
use crate::name::{HostName, InvalidName};

/// A look-up to be done.
#[derive(Clone, Debug, Eq, PartialEq)]
#[non_exhaustive]
pub enum Request {
    /// The addresses of one family of a name. The name is taken as fully qualified: no search list is applied.
    Forward(String, Family),
    /// The names of an address.
    Reverse(IpAddr),
}

/// An address family, as asked for.
#[derive(Clone, Copy, Debug, Eq, Hash, Ord, PartialEq, PartialOrd)]
#[expect(clippy::exhaustive_enums, reason = "DNS has two address types")]
pub enum Family {
    /// IPv4: A records.
    V4,
    /// IPv6: AAAA records.
    V6,
}

/// Names one request of one resolver. Never used twice.
#[derive(Clone, Copy, Debug, Eq, Hash, Ord, PartialEq, PartialOrd)]
pub struct RequestId(pub(crate) u64);

impl fmt::Display for RequestId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

/// A request that has been checked. Equal questions are asked once.
#[derive(Clone, Debug, Eq, Hash, Ord, PartialEq, PartialOrd)]
pub(crate) enum Question {
    Forward(HostName, Family),
    Reverse(IpAddr),
}

impl Question {
    /// The question as the servers are asked it.
    pub(crate) fn asked(&self) -> Asked {
        match self {
            Self::Forward(name, Family::V4) => Asked { name: name.clone(), kind: Kind::A },
            Self::Forward(name, Family::V6) => Asked { name: name.clone(), kind: Kind::Aaaa },
            Self::Reverse(address) => Asked { name: HostName::reverse(*address), kind: Kind::Pointer },
        }
    }
}

impl From<&Question> for Request {
    fn from(question: &Question) -> Self {
        match question {
            Question::Forward(name, family) => Self::Forward(name.to_string(), *family),
            Question::Reverse(address) => Self::Reverse(*address),
        }
    }
}

impl TryFrom<&Request> for Question {
    type Error = InvalidName;

    fn try_from(request: &Request) -> Result<Self, InvalidName> {
        match request {
            Request::Forward(name, family) => Ok(Self::Forward(HostName::parse(name)?, *family)),
            Request::Reverse(address) => Ok(Self::Reverse(*address)),
        }
    }
}
