//! How chains are written (spec nsock 4.1).
//!
//! Beyond nsock's grammar there are `socks4a`, `socks5` (also as `socks5h`), and user and password. Where nsock ignores
//! what stands between `]` and the port, the port with it, this is an error.

use std::fmt;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use std::str::FromStr;

use super::{Host, NAME_BYTES_MAX, PROXIES_MAX, Protocol, Proxy, ProxyChain, User};

/// Users and passwords are counted by one byte (RFC 1929), and no longer ones are of use.
const USER_BYTES_MAX: usize = 255;

/// A text that is no chain of proxies: which of them, and what is wrong with it.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct ProxySpecError {
    /// Which proxy of the list, counted from 1.
    pub proxy: usize,
    /// What is wrong with it.
    pub problem: ProxySpecProblem,
    /// The proxy as it was written, but for user and password.
    pub text: String,
}

/// What is wrong with how a proxy is written.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum ProxySpecProblem {
    /// There is nothing, or nothing between two commas.
    Empty,
    /// A `%` without two hexadecimal digits.
    Encoding,
    /// The host is neither an address nor a name of letters, digits, `-`, `.` and `_`.
    Host,
    /// What is in brackets, or behind them, is not as it should be.
    Ipv6,
    /// A SOCKS4 proxy has an IPv4 address.
    Ipv6OfSocks4,
    /// The host is missing.
    NoHost,
    /// It does not start with a scheme and two slashes.
    NoScheme,
    /// User or password are empty, too long, or have bytes that the protocol cannot carry.
    NoUser,
    /// SOCKS4 has users, but no passwords.
    PasswordOfSocks4,
    /// The port is not one of 1 to 65535.
    Port,
    /// TLS to the proxy itself is not spoken.
    Https,
    /// The list is longer than [`PROXIES_MAX`](crate::PROXIES_MAX).
    TooMany,
    /// The scheme is not known.
    UnknownScheme,
}

use ProxySpecProblem as Problem;

impl FromStr for ProxyChain {
    type Err = ProxySpecError;

    fn from_str(text: &str) -> Result<Self, ProxySpecError> {
        let mut proxies = Vec::new();
        for (index, node) in text.split(',').enumerate() {
            let parsed = if index < PROXIES_MAX { proxy(node) } else { Err(Problem::TooMany) };
            let wrong = |problem| ProxySpecError { proxy: index + 1, problem, text: without_user(node) };
            proxies.push(parsed.map_err(wrong)?);
        }
        Ok(Self::of(proxies))
    }
}

/// `scheme://[user[:password]@]host[:port][/…]`
fn proxy(node: &str) -> Result<Proxy, Problem> {
    if node.is_empty() {
        return Err(Problem::Empty);
    }
    let (scheme, rest) = node.split_once("://").ok_or(Problem::NoScheme)?;
    let protocol = match scheme.to_ascii_lowercase().as_str() {
        "http" => Protocol::Http,
        "socks4" => Protocol::Socks4,
        "socks4a" => Protocol::Socks4a,
        "socks5" | "socks5h" => Protocol::Socks5,
        "https" => return Err(Problem::Https),
        "" => return Err(Problem::NoScheme),
        _ => return Err(Problem::UnknownScheme),
    };
    let authority = rest.split(['/', '?', '#']).next().unwrap_or_default();
    let (user, place) = match authority.rsplit_once('@') {
        Some((user, place)) => (Some(self::user(user, protocol)?), place),
        None => (None, authority),
    };
    let (host, port) = match place.strip_prefix('[') {
        Some(bracketed) => {
            let (address, behind) = bracketed.split_once(']').ok_or(Problem::Ipv6)?;
            let address = decoded(address)?.parse::<Ipv6Addr>().map_err(|_| Problem::Ipv6)?;
            let port = match behind.strip_prefix(':') {
                Some(port) => port,
                None if behind.is_empty() => "",
                None => return Err(Problem::Ipv6),
            };
            (Host::Address(IpAddr::V6(address)), port)
        }
        None => {
            let (host, port) = place.split_once(':').unwrap_or((place, ""));
            let text = decoded(host)?;
            if text.is_empty() {
                return Err(Problem::NoHost);
            }
            (name_or_ipv4(&text).ok_or(Problem::Host)?, port)
        }
    };
    if matches!(protocol, Protocol::Socks4 | Protocol::Socks4a)
        && matches!(host, Host::Address(IpAddr::V6(_)))
    {
        return Err(Problem::Ipv6OfSocks4);
    }
    Ok(Proxy { protocol, host, port: self::port(port, protocol)?, user })
}

fn port(text: &str, protocol: Protocol) -> Result<u16, Problem> {
    if text.is_empty() {
        return Ok(if protocol == Protocol::Http { 8080 } else { 1080 });
    }
    let digits = text.len() <= 5 && text.bytes().all(|byte| byte.is_ascii_digit());
    match text.parse() {
        Ok(port @ 1..) if digits => Ok(port),
        _ => Err(Problem::Port),
    }
}

fn user(text: &str, protocol: Protocol) -> Result<User, Problem> {
    let (name, password) = text.split_once(':').unwrap_or((text, ""));
    let (name, password) = (decoded(name)?, decoded(password)?);
    let sizes = 1..=USER_BYTES_MAX;
    let sound = match protocol {
        // RFC 7617 2
        Protocol::Http => !name.contains(':') && !name.chars().chain(password.chars()).any(char::is_control),
        Protocol::Socks5 => sizes.contains(&password.len()),
        Protocol::Socks4 | Protocol::Socks4a if !password.is_empty() => {
            return Err(Problem::PasswordOfSocks4);
        }
        Protocol::Socks4 | Protocol::Socks4a => !name.contains('\0'),
    };
    if !sound || !sizes.contains(&name.len()) || password.len() > USER_BYTES_MAX {
        return Err(Problem::NoUser);
    }
    Ok(User { name: name.into(), password: password.into() })
}

/// A host as a caller names it: an address of either family, or a name.
pub(super) fn host(text: &str) -> Option<Host> {
    match text.parse() {
        Ok(address) => Some(Host::Address(IpAddr::V6(address))),
        Err(_) => name_or_ipv4(text),
    }
}

/// An IPv4 address in any of the forms that `getaddrinfo` takes, or a name; a name does not end in a number.
fn name_or_ipv4(text: &str) -> Option<Host> {
    if let Some(address) = ipv4(text) {
        return Some(Host::Address(IpAddr::V4(address)));
    }
    let last = text.strip_suffix('.').unwrap_or(text).rsplit('.').next().unwrap_or_default();
    let sound = !text.is_empty()
        && text.len() <= NAME_BYTES_MAX
        && text.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"-._".contains(&byte))
        && number(last).is_none()
        && !last.is_empty();
    sound.then(|| Host::Name(text.into()))
}

/// One to four numbers with dots between; the last one fills the bytes that are left (inet_aton(3)).
fn ipv4(text: &str) -> Option<Ipv4Addr> {
    let numbers = text.split('.').map(number).collect::<Option<Vec<u32>>>()?;
    let (&last, firsts) = numbers.split_last()?;
    let bytes_left = 4_u32.checked_sub(u32::try_from(firsts.len()).ok()?)?;
    let mut address = last;
    if bytes_left == 0 || u64::from(last) >= 1 << (8 * bytes_left) {
        return None;
    }
    for (place, &number) in firsts.iter().enumerate() {
        address |= u32::from(u8::try_from(number).ok()?) << (24 - 8 * place);
    }
    Some(Ipv4Addr::from(address))
}

/// A number as C writes it: decimal, `0` octal, `0x` hexadecimal.
fn number(text: &str) -> Option<u32> {
    let (digits, radix) = match text.as_bytes() {
        [b'0', b'x' | b'X', _, ..] => (&text[2..], 16),
        [b'0', _, ..] => (&text[1..], 8),
        _ => (text, 10),
    };
    if digits.starts_with('+') { None } else { u32::from_str_radix(digits, radix).ok() }
}

/// Undoes percent-encoding (RFC 3986 2.1).
fn decoded(text: &str) -> Result<String, Problem> {
    let mut bytes = Vec::with_capacity(text.len());
    let mut rest = text.bytes();
    while let Some(byte) = rest.next() {
        let mut digit = || char::from(rest.next()?).to_digit(16).and_then(|digit| u8::try_from(digit).ok());
        bytes.push(match byte {
            b'%' => match (digit(), digit()) {
                (Some(high), Some(low)) => high << 4 | low,
                _ => return Err(Problem::Encoding),
            },
            byte => byte,
        });
    }
    String::from_utf8(bytes).map_err(|_| Problem::Encoding)
}

/// A proxy as it was written, made fit for a message.
fn without_user(node: &str) -> String {
    let (scheme, rest) = node.split_once("//").unwrap_or(("", node));
    let place = rest.rsplit_once('@').map_or(rest, |(_, place)| place);
    let slashes = if node.len() > rest.len() { "//" } else { "" };
    format!("{scheme}{slashes}{place}").escape_debug().take(80).collect()
}

impl fmt::Display for ProxySpecError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { proxy, problem, text } = self;
        write!(f, "proxy {proxy} (\"{text}\"): {problem}")
    }
}

impl fmt::Display for ProxySpecProblem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Empty => "there is nothing: write a proxy as in socks5://host:1080",
            Self::Encoding => "% needs two hexadecimal digits, and they have to make UTF-8",
            Self::Host => "the host is neither an address nor a name of letters, digits, - . and _",
            Self::Https => "TLS to the proxy itself is not spoken; TLS to the target goes through http://",
            Self::Ipv6 => "write an IPv6 address as in http://[::1]:8080",
            Self::Ipv6OfSocks4 => "SOCKS4 proxies have IPv4 addresses: use socks5 or http",
            Self::NoHost => "the host is missing; an IPv6 address needs brackets",
            Self::NoScheme => "the scheme is missing: write a proxy as in socks5://host:1080",
            Self::NoUser => "the user or the password is empty, too long or has a forbidden character",
            Self::PasswordOfSocks4 => "SOCKS4 has users, but no passwords: use socks5 or http",
            Self::Port => "the port is not one of 1 to 65535",
            Self::TooMany => return write!(f, "there are more than {PROXIES_MAX} proxies"),
            Self::UnknownScheme => "the scheme is none of http, socks4, socks4a, socks5",
        })
    }
}

impl std::error::Error for ProxySpecError {}

#[cfg(test)]
mod tests;
