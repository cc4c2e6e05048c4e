//! Asking a SOCKS4 proxy: Ying-Da Lee's memo "SOCKS: A protocol for TCP proxy across firewalls", and its extension 4A.

use std::net::{IpAddr, Ipv4Addr};

use super::tunnel::Answer;
use super::{Endpoint, Host, ProxyError, User};

const VERSION: u8 = 4;
const CONNECT: u8 = 1;
/// What an answer takes.
pub(super) const ANSWER_BYTES: usize = 8;
const GRANTED: u8 = 0x5a;
const FAILED: u8 = 0x5b;
/// The proxy could not ask who the user is (RFC 1413).
const NO_IDENTD: u8 = 0x5c;
/// The user is somebody else.
const OTHER_USER: u8 = 0x5d;

/// Whether names may be given (4A).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Names {
    Taken,
    NotTaken,
}

/// Whether a target can be named at all.
pub(super) fn check(names: Names, target: &Endpoint) -> Result<(), ProxyError> {
    match target.host {
        Host::Address(IpAddr::V4(_)) => Ok(()),
        Host::Address(IpAddr::V6(_)) => Err(ProxyError::NoIpv6),
        Host::Name(_) if names == Names::Taken => Ok(()),
        Host::Name(_) => Err(ProxyError::NoNames),
    }
}

/// The request; whoever calls has [`check`]ed the target.
pub(super) fn ask(user: Option<&User>, target: &Endpoint) -> Vec<u8> {
    // An address that is none says that a name follows.
    let (address, name) = match &target.host {
        Host::Address(IpAddr::V4(address)) => (*address, None),
        Host::Address(IpAddr::V6(_)) => (Ipv4Addr::UNSPECIFIED, None),
        Host::Name(name) => (Ipv4Addr::new(0, 0, 0, 1), Some(name)),
    };
    let mut request = vec![VERSION, CONNECT];
    request.extend_from_slice(&target.port.to_be_bytes());
    request.extend_from_slice(&address.octets());
    request.extend_from_slice(user.map_or("", |user| &user.name).as_bytes());
    request.push(0);
    if let Some(name) = name {
        request.extend_from_slice(name.as_bytes());
        request.push(0);
    }
    request
}

/// Looks at what has come. A refusal may be cut short: its code is enough.
pub(super) fn receive(bytes: &[u8], has_user: bool) -> Result<Answer, ProxyError> {
    match *bytes {
        // The memo has 0 here; some proxies repeat their version.
        [version, ..] if version != 0 && version != VERSION => Err(ProxyError::Version(version)),
        [_, GRANTED, ..] if bytes.len() >= ANSWER_BYTES => Ok(Answer::Through { consumed: ANSWER_BYTES }),
        [] | [_] | [_, GRANTED, ..] => Ok(Answer::Incomplete),
        [_, NO_IDENTD | OTHER_USER, ..] if has_user => Err(ProxyError::AuthRefused),
        [_, NO_IDENTD | OTHER_USER, ..] => Err(ProxyError::AuthRequired),
        [_, FAILED, ..] => Err(ProxyError::Socks4(FAILED)),
        [_, _, ..] => Err(ProxyError::Garbage),
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn the_request_is_the_memos() {
        let target = Endpoint::named("10.1.2.3", 8888).unwrap();
        assert_eq!(ask(None, &target), b"\x04\x01\x22\xb8\x0a\x01\x02\x03\x00");
        let joe = User { name: "joe".into(), password: "".into() };
        assert_eq!(ask(Some(&joe), &target), b"\x04\x01\x22\xb8\x0a\x01\x02\x03joe\x00");
        let named = Endpoint::named("host.example", 80).unwrap();
        assert_eq!(ask(None, &named), b"\x04\x01\x00\x50\x00\x00\x00\x01\x00host.example\x00");
    }

    #[test]
    fn what_it_cannot_name_is_refused_before_anything_is_sent() {
        let ipv6 = Endpoint::named("::1", 80).unwrap();
        assert_eq!(check(Names::Taken, &ipv6), Err(ProxyError::NoIpv6));
        let named = Endpoint::named("host.example", 80).unwrap();
        assert_eq!(
            (check(Names::Taken, &named), check(Names::NotTaken, &named)),
            (Ok(()), Err(ProxyError::NoNames))
        );
    }

    #[test]
    fn every_answer_has_its_meaning() {
        for (bytes, meaning) in [
            (&b"\0\x5a\0\0\0\0\0\0early"[..], Ok(Answer::Through { consumed: 8 })),
            (b"\x04\x5a\0\0\0\0\0\0", Ok(Answer::Through { consumed: 8 })),
            (b"\0\x5a\0\0\0\0\0", Ok(Answer::Incomplete)),
            (b"\0", Ok(Answer::Incomplete)),
            (b"\0\x5b", Err(ProxyError::Socks4(0x5b))),
            (b"\0\x5d", Err(ProxyError::AuthRequired)),
            (b"\0\x00", Err(ProxyError::Garbage)),
            (b"\x05", Err(ProxyError::Version(5))),
            (b"H", Err(ProxyError::Version(b'H'))),
        ] {
            assert_eq!(receive(bytes, false), meaning, "{bytes:?}");
        }
        assert_eq!(receive(b"\0\x5c", true), Err(ProxyError::AuthRefused));
    }

    proptest! {
        #[test]
        fn any_bytes_are_an_answer_a_part_of_one_or_none(bytes: Vec<u8>, has_user: bool) {
            match receive(&bytes, has_user) {
                Ok(Answer::Incomplete) => prop_assert!(bytes.len() < ANSWER_BYTES),
                Ok(Answer::Through { consumed }) => prop_assert!(consumed <= bytes.len()),
                Ok(Answer::Say { .. }) => prop_assert!(false, "there is one request"),
                Err(_) => {}
            }
        }
    }
}
