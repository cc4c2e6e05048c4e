//! Error numbers of the local system, by value and by name.

use std::fmt;

/// An error number as a system call returned it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Errno(i32);

/// What kind of local trouble an errno is, which decides how it is retried.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum TroubleClass {
    /// Something ran out (descriptors, ephemeral ports, buffers): fewer probes at a time will do.
    Resource,
    /// The system refused this probe (firewall, route, interface): asking again later may do.
    Refusal,
}

macro_rules! errnos {
    ($($name:ident)*) => {
        #[expect(missing_docs, reason = "the names are those of errno(3)")]
        impl Errno {
            $(pub const $name: Self = Self(libc::$name);)*

            /// The symbolic name, if it is one a socket call is known to return.
            #[must_use]
            pub const fn name(self) -> Option<&'static str> {
                match self {
                    $(Self::$name => Some(stringify!($name)),)*
                    _ => None,
                }
            }

            /// Reads a name, or what `Display` makes of a number without one.
            #[must_use]
            pub fn named(name: &str) -> Option<Self> {
                match name {
                    $(stringify!($name) => Some(Self::$name),)*
                    other => other.strip_prefix("errno-")?.parse().ok().map(Self),
                }
            }
        }
    };
}

errnos! {
    EPERM EINTR EIO ENXIO EBADF EAGAIN ENOMEM EACCES EFAULT EBUSY ENODEV EINVAL ENFILE EMFILE ENOSPC EPIPE EPROTO
    EMSGSIZE ENOTSOCK EDESTADDRREQ EPROTOTYPE ENOPROTOOPT EPROTONOSUPPORT EOPNOTSUPP EAFNOSUPPORT EADDRINUSE
    EADDRNOTAVAIL ENETDOWN ENETUNREACH ENETRESET ECONNABORTED ECONNRESET ENOBUFS EISCONN ENOTCONN ETIMEDOUT
    ECONNREFUSED EHOSTDOWN EHOSTUNREACH EALREADY EINPROGRESS ENONET
}

impl Errno {
    /// Wraps an error number, such as `std::io::Error::raw_os_error` gives it.
    #[must_use]
    pub const fn new(raw: i32) -> Self {
        Self(raw)
    }

    /// The number itself.
    #[must_use]
    pub const fn raw(self) -> i32 {
        self.0
    }

    /// How trouble with this errno is to be retried.
    #[must_use]
    pub const fn trouble_class(self) -> TroubleClass {
        match self {
            Self::EMFILE
            | Self::ENFILE
            | Self::ENOBUFS
            | Self::ENOMEM
            | Self::EAGAIN
            | Self::EADDRNOTAVAIL
            | Self::EADDRINUSE => TroubleClass::Resource,
            _ => TroubleClass::Refusal,
        }
    }
}

impl fmt::Display for Errno {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.name() {
            Some(name) => f.pad(name),
            None => f.pad(&format!("errno-{}", self.0)),
        }
    }
}
