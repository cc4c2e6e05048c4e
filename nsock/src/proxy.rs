//! Proxy chains: how they are written, and the way through them as a state machine over bytes. Pure.
//!
//! A [`Tunnel`] asks the first proxy for a connection to the second, that one through it for one to the third, and so on
//! to the target. Names go to a proxy as they are; nothing is looked up on this machine.

mod error;
mod http;
mod rehearsal;
mod socks4;
mod socks5;
mod spec;
mod tunnel;

use std::fmt;
use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;

pub use error::{ProxiedTarget, ProxyError, ProxyFailure};
pub use rehearsal::Rehearsal;
pub use spec::{ProxySpecError, ProxySpecProblem};
pub(crate) use tunnel::{Next, Tunnel};

/// Proxies that a chain may have. Each costs a round trip; nobody needs as many.
pub const PROXIES_MAX: usize = 16;

/// The longest host name, which is what one byte of SOCKS5 can count.
const NAME_BYTES_MAX: usize = 255;

/// The proxies that a TCP connection goes through, the nearest first; an empty chain stands for none.
///
/// It is written as nsock has it, a list of URLs with commas between, where `http`, `socks4`, `socks4a` and `socks5` are
/// known, with `user:password@` where the proxy wants it. `socks4a`, `socks5` and `http` proxies are given names to
/// look up themselves; `socks4` ones take IPv4 addresses only. Cloning is cheap.
///
/// ```
/// let chain: nsock::ProxyChain = "socks5://joe:s3cret@127.0.0.1,http://[::1]:3128/".parse()?;
/// assert_eq!(chain.to_string(), "socks5://127.0.0.1:1080,http://[::1]:3128");
/// # Ok::<(), nsock::ProxySpecError>(())
/// ```
#[derive(Clone, Default, PartialEq, Eq)]
pub struct ProxyChain(Option<Arc<[Proxy]>>);

/// One proxy of a chain.
#[derive(Clone, PartialEq, Eq)]
pub(crate) struct Proxy {
    protocol: Protocol,
    host: Host,
    port: u16,
    user: Option<User>,
}

/// How a proxy is asked.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Protocol {
    Http,
    Socks4,
    Socks4a,
    Socks5,
}

/// Who asks.
#[derive(Clone, PartialEq, Eq)]
struct User {
    name: Box<str>,
    password: Box<str>,
}

#[derive(Debug, Clone, PartialEq, Eq)]
enum Host {
    Address(IpAddr),
    /// Not empty, at most [`NAME_BYTES_MAX`] bytes, none of which means anything to a protocol.
    Name(Box<str>),
}

/// What a proxy is asked to connect to. `Display` writes what HTTP calls an authority: `[::1]:80`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Endpoint {
    host: Host,
    port: u16,
}

impl ProxyChain {
    /// How many proxies there are.
    #[must_use]
    pub fn len(&self) -> usize {
        self.proxies().len()
    }

    /// Whether there are none, and connections are direct.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.0.is_none()
    }

    /// The name of the first proxy, if that is how it was given. Nobody else can look it up:
    /// [`with_first_address`](Self::with_first_address) takes what came of it.
    #[must_use]
    pub fn first_name(&self) -> Option<&str> {
        match &self.proxies().first()?.host {
            Host::Name(name) => Some(name),
            Host::Address(_) => None,
        }
    }

    /// The address to connect to; `None` for an empty chain, and while the first proxy has only a name.
    #[must_use]
    pub fn first_address(&self) -> Option<SocketAddr> {
        let first = self.proxies().first()?;
        match first.host {
            Host::Address(address) => Some(SocketAddr::new(address, first.port)),
            Host::Name(_) => None,
        }
    }

    /// The same chain with this address for its first proxy.
    #[must_use]
    pub fn with_first_address(self, address: IpAddr) -> Self {
        let mut proxies = self.proxies().to_vec();
        if let Some(first) = proxies.first_mut() {
            first.host = Host::Address(address);
        }
        Self::of(proxies)
    }

    /// Finds out, without sending anything, whether each proxy can be asked for the next one.
    ///
    /// # Errors
    /// The proxy that cannot: a `socks4` one takes neither names nor IPv6 addresses.
    pub fn check(&self) -> Result<(), ProxyFailure> {
        let proxies = self.proxies();
        for (index, pair) in proxies.windows(2).enumerate() {
            tunnel::check(&pair[0], &pair[1].endpoint())
                .map_err(|error| ProxyFailure::new(index, proxies.len(), error))?;
        }
        Ok(())
    }

    /// Finds out whether the last proxy can be asked for a target like this.
    ///
    /// # Errors
    /// The last proxy, which takes no IPv6 addresses.
    pub fn check_target(&self, target: IpAddr) -> Result<(), ProxyFailure> {
        let Some(last) = self.proxies().last() else { return Ok(()) };
        let hop = self.len() - 1;
        tunnel::check(last, &Endpoint::from(SocketAddr::new(target, 0)))
            .map_err(|error| ProxyFailure::new(hop, self.len(), error))
    }

    fn proxies(&self) -> &[Proxy] {
        self.0.as_deref().unwrap_or_default()
    }

    fn of(proxies: Vec<Proxy>) -> Self {
        Self(if proxies.is_empty() { None } else { Some(proxies.into()) })
    }
}

impl Proxy {
    fn endpoint(&self) -> Endpoint {
        Endpoint { host: self.host.clone(), port: self.port }
    }
}

impl Endpoint {
    /// A host to be looked up by the last proxy; an address in place of a name is as good. `None` if it is neither.
    pub(crate) fn named(host: &str, port: u16) -> Option<Self> {
        spec::host(host).map(|host| Self { host, port })
    }

    /// The name, if that is how it is given.
    pub(crate) fn name(&self) -> Option<&str> {
        if let Host::Name(name) = &self.host { Some(name) } else { None }
    }

    /// The address, if that is how it is given.
    pub(crate) fn address(&self) -> Option<SocketAddr> {
        if let Host::Address(address) = self.host { Some(SocketAddr::new(address, self.port)) } else { None }
    }
}

impl From<SocketAddr> for Endpoint {
    fn from(address: SocketAddr) -> Self {
        Self { host: Host::Address(address.ip()), port: address.port() }
    }
}

impl Protocol {
    fn scheme(self) -> &'static str {
        match self {
            Self::Http => "http",
            Self::Socks4 => "socks4",
            Self::Socks4a => "socks4a",
            Self::Socks5 => "socks5",
        }
    }
}

impl fmt::Display for Endpoint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.host {
            Host::Address(address) => SocketAddr::new(*address, self.port).fmt(f),
            Host::Name(name) => write!(f, "{name}:{}", self.port),
        }
    }
}

/// The URL without user and password, with the port.
impl fmt::Display for Proxy {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}://{}", self.protocol.scheme(), self.endpoint())
    }
}

/// The chain as it is written, without users and passwords, with every port.
impl fmt::Display for ProxyChain {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (index, proxy) in self.proxies().iter().enumerate() {
            write!(f, "{}{proxy}", if index == 0 { "" } else { "," })?;
        }
        Ok(())
    }
}

/// As `Display`: passwords stay out of logs.
impl fmt::Debug for ProxyChain {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "ProxyChain({self})")
    }
}

impl fmt::Debug for User {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("User")
    }
}

impl fmt::Debug for Proxy {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Proxy({self})")
    }
}
