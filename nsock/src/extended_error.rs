//! Reading what the kernel keeps of an ICMP error: `sock_extended_err` and the address behind it (ip(7)). Pure.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use crate::event::IcmpError;

const ORIGIN_ICMP: u8 = 2;
const ORIGIN_ICMP6: u8 = 3;

/// Size of `sock_extended_err`, after which the offender's socket address stands.
const ADDRESS_AT: usize = 16;

/// `None` unless the bytes tell of an ICMP message.
pub(crate) fn parse(bytes: &[u8]) -> Option<IcmpError> {
    let (origin, kind, code) = (*bytes.get(4)?, *bytes.get(5)?, *bytes.get(6)?);
    if origin != ORIGIN_ICMP && origin != ORIGIN_ICMP6 {
        return None;
    }
    Some(IcmpError { kind, code, from: bytes.get(ADDRESS_AT..).and_then(address) })
}

fn address(bytes: &[u8]) -> Option<IpAddr> {
    match i32::from(u16::from_ne_bytes(field(bytes, 0)?)) {
        libc::AF_INET => Some(IpAddr::V4(Ipv4Addr::from(field::<4>(bytes, 4)?))),
        libc::AF_INET6 => Some(IpAddr::V6(Ipv6Addr::from(field::<16>(bytes, 8)?))),
        _ => None,
    }
}

fn field<const N: usize>(bytes: &[u8], at: usize) -> Option<[u8; N]> {
    bytes.get(at..at + N)?.try_into().ok()
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn host_prohibited_by_a_router() {
        // EHOSTUNREACH, origin ICMP, type 3, code 10; the offender is 198.18.64.1.
        let mut bytes = vec![113, 0, 0, 0, ORIGIN_ICMP, 3, 10, 0, 0, 0, 0, 0, 0, 0, 0, 0];
        bytes.extend_from_slice(&[2, 0, 0, 0, 198, 18, 64, 1, 0, 0, 0, 0, 0, 0, 0, 0]);
        let error = parse(&bytes).unwrap();
        assert_eq!((error.kind, error.code), (3, 10));
        assert_eq!(error.from, Some(IpAddr::V4(Ipv4Addr::new(198, 18, 64, 1))));
        bytes[4] = 1;
        assert_eq!(parse(&bytes), None, "an error of this machine is no ICMP message");
    }

    proptest! {
        #[test]
        fn never_panics(bytes in proptest::collection::vec(any::<u8>(), 0..64)) {
            let _ = parse(&bytes);
        }
    }
}
