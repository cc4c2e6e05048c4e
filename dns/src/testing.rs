//! Responses for tests, built byte by byte, since most of them are ones that no sound encoder would write.

use std::net::IpAddr;
use std::time::Instant;

/// Flags of a plain answer: QR, RD, RA.
pub(crate) const ANSWER: u16 = 0x8180;

pub(crate) const A: u16 = 1;
pub(crate) const CNAME: u16 = 5;
pub(crate) const SOA: u16 = 6;
pub(crate) const PTR: u16 = 12;
pub(crate) const AAAA: u16 = 28;
pub(crate) const DNAME: u16 = 39;
pub(crate) const RRSIG: u16 = 46;

#[expect(clippy::disallowed_methods, reason = "virtual time starts somewhere")]
pub(crate) fn start_of_time() -> Instant {
    Instant::now()
}

/// A name on the wire.
pub(crate) fn wire(name: &str) -> Vec<u8> {
    raw(&name.split('.').filter(|label| !label.is_empty()).map(str::as_bytes).collect::<Vec<_>>())
}

/// A name of any bytes on the wire.
pub(crate) fn raw(labels: &[&[u8]]) -> Vec<u8> {
    let mut wire = Vec::new();
    for label in labels {
        wire.push(u8::try_from(label.len()).unwrap());
        wire.extend_from_slice(label);
    }
    wire.push(0);
    wire
}

/// A response under construction.
#[derive(Clone, Debug)]
pub(crate) struct Response {
    bytes: Vec<u8>,
}

impl Response {
    /// An answer without records to a query.
    pub(crate) fn to(query: &[u8]) -> Self {
        // Without the records behind the question.
        let name = query[12..].iter().scan(0, |skip, &byte| {
            if *skip == 0 {
                *skip = usize::from(byte) + 1;
            }
            *skip -= 1;
            Some((*skip, byte))
        });
        let end = 12 + name.take_while(|&(skip, byte)| !(skip == 0 && byte == 0)).count() + 5;
        let mut bytes = query[..end.min(query.len())].to_vec();
        bytes[10..12].fill(0);
        Self { bytes }.flags(ANSWER)
    }

    /// A failure or absence.
    pub(crate) fn rcode(query: &[u8], rcode: u16) -> Vec<u8> {
        Self::to(query).flags(ANSWER | rcode).done()
    }

    pub(crate) fn flags(mut self, flags: u16) -> Self {
        self.bytes[2..4].copy_from_slice(&flags.to_be_bytes());
        self
    }

    /// A PTR record of the name asked for.
    pub(crate) fn ptr(self, target: &str) -> Self {
        self.record(&[0xc0, 12], PTR, 60, &wire(target))
    }

    pub(crate) fn address(self, address: IpAddr) -> Self {
        match address {
            IpAddr::V4(address) => self.record(&[0xc0, 12], A, 60, &address.octets()),
            IpAddr::V6(address) => self.record(&[0xc0, 12], AAAA, 60, &address.octets()),
        }
    }

    /// A record of the answer section.
    pub(crate) fn record(self, owner: &[u8], rtype: u16, ttl: u32, data: &[u8]) -> Self {
        self.append(7, owner, rtype, ttl, data)
    }

    /// A SOA record of the authority section; after all answers.
    pub(crate) fn soa(self, ttl: u32, minimum: u32) -> Self {
        let mut data = [wire("ns.test"), wire("root.test")].concat();
        for number in [1, 2, 3, 4, minimum] {
            data.extend_from_slice(&number.to_be_bytes());
        }
        self.append(9, &wire("test"), SOA, ttl, &data)
    }

    /// Says that there are this many answers.
    pub(crate) fn count(mut self, answers: u16) -> Self {
        self.bytes[6..8].copy_from_slice(&answers.to_be_bytes());
        self
    }

    pub(crate) fn done(self) -> Vec<u8> {
        self.bytes
    }

    fn append(mut self, count_at: usize, owner: &[u8], rtype: u16, ttl: u32, data: &[u8]) -> Self {
        self.bytes[count_at] += 1;
        self.bytes.extend_from_slice(owner);
        self.bytes.extend_from_slice(&rtype.to_be_bytes());
        self.bytes.extend_from_slice(&[0, 1]);
        self.bytes.extend_from_slice(&ttl.to_be_bytes());
        self.bytes.extend_from_slice(&u16::try_from(data.len()).unwrap().to_be_bytes());
        self.bytes.extend_from_slice(data);
        self
    }
}
