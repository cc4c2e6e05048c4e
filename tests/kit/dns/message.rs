//! DNS messages byte by byte, since most that a test needs are ones that no sound encoder would write. Pure.

use std::net::IpAddr;

/// Bytes of a header (RFC 1035 4.1.1).
const HEADER_BYTES: usize = 12;
/// QR, RD, RA: an ordinary answer.
const ANSWER: u16 = 0x8180;
/// There is no such name.
const NXDOMAIN: u16 = 3;
/// The name of the question, as a pointer.
const QUESTION_NAME: [u8; 2] = [0xc0, 12];
const PTR: u16 = 12;
/// An hour.
const TIME_TO_LIVE: u32 = 3_600;

/// Where the one question of a message ends; `None` if the bytes are no message with one plain question.
#[must_use]
pub fn question_end(message: &[u8]) -> Option<usize> {
    if message.get(4..6)? != [0, 1] {
        return None;
    }
    let mut at = HEADER_BYTES;
    loop {
        match *message.get(at)? {
            0 => break,
            length @ 1..=63 => at += 1 + usize::from(length),
            _ => return None,
        }
    }
    let end = at + 5;
    (message.len() >= end).then_some(end)
}

/// A name of any bytes on the wire.
///
/// # Panics
/// When a label has more than 255 bytes.
#[must_use]
pub fn dns_name(labels: &[&[u8]]) -> Vec<u8> {
    let mut wire = Vec::new();
    for label in labels {
        wire.push(u8::try_from(label.len()).expect("the length of a label is one byte"));
        wire.extend_from_slice(label);
    }
    wire.push(0);
    wire
}

/// The name that [`answer_in_place`] gives an address: `h103-1-168-192.example` for 192.168.1.103.
#[must_use]
pub fn pointer_name(address: IpAddr) -> String {
    match address {
        IpAddr::V4(address) => {
            let [a, b, c, d] = address.octets();
            format!("h{d}-{c}-{b}-{a}.example")
        }
        IpAddr::V6(address) => {
            let nibbles = format!("{:032x}", u128::from(address));
            format!("h{}.example", nibbles.chars().rev().collect::<String>())
        }
    }
}

/// Turns a query, which lies at the start of `buffer`, into the answer to it, and gives its length: one PTR record with
/// the name of [`pointer_name`], or that there is no such name. `None` if it is no query, or the answer has no room.
///
/// ```
/// let query = b"\x12\x34\x01\x00\x00\x01\x00\x00\x00\x00\x00\x00\x011\x010\x0218\x03198\x07in-addr\x04arpa\x00\x00\x0c\x00\x01";
/// let mut buffer = [0; 512];
/// buffer[..query.len()].copy_from_slice(query);
/// let length = testkit::answer_in_place(&mut buffer, query.len()).unwrap();
/// assert!(buffer[..length].ends_with(b"\x0bh1-0-18-198\x07example\x00"));
/// ```
pub fn answer_in_place(buffer: &mut [u8], length: usize) -> Option<usize> {
    let end = question_end(buffer.get(..length)?)?;
    if buffer[2] & 0x80 != 0 {
        return None;
    }
    let name = match buffer[end - 4..end] {
        [0, 12, 0, 1] => host_label(&buffer[HEADER_BYTES..end]),
        _ => None,
    };
    // An additional section is not for a server this simple.
    buffer[6..HEADER_BYTES].fill(0);
    let Some((label, label_length)) = name else {
        buffer[2..4].copy_from_slice(&(ANSWER | NXDOMAIN).to_be_bytes());
        return Some(end);
    };
    buffer[2..4].copy_from_slice(&ANSWER.to_be_bytes());
    buffer[7] = 1;
    let label = &label[..label_length];
    let data_length = u16::try_from(label.len() + 10).ok()?;
    let mut at = end;
    for part in [
        QUESTION_NAME.as_slice(),
        &[0, 12, 0, 1],
        &TIME_TO_LIVE.to_be_bytes(),
        &data_length.to_be_bytes(),
        &[u8::try_from(label.len()).ok()?],
        label,
        b"\x07example\x00",
    ] {
        buffer.get_mut(at..at + part.len())?.copy_from_slice(part);
        at += part.len();
    }
    Some(at)
}

/// The first label of the name of an address, from the name asked about; `None` if that is not of a reverse zone.
fn host_label(name: &[u8]) -> Option<([u8; 63], usize)> {
    let mut host = [0; 63];
    host[0] = b'h';
    let (mut length, mut at) = (1, 0);
    // 32 nibbles; four octets never take so much.
    let is_ipv6 = name.len() > 64;
    loop {
        let label = name.get(at + 1..)?.get(..usize::from(*name.get(at)?))?;
        at += 1 + label.len();
        if label.eq_ignore_ascii_case(b"in-addr") || label.eq_ignore_ascii_case(b"ip6") {
            return Some((host, length));
        }
        if label.is_empty() {
            return None;
        }
        if !is_ipv6 && length > 1 {
            *host.get_mut(length)? = b'-';
            length += 1;
        }
        host.get_mut(length..length + label.len())?.copy_from_slice(label);
        host[length..length + label.len()].make_ascii_lowercase();
        length += label.len();
    }
}

/// An answer under construction.
///
/// ```
/// # let query = b"\x12\x34\x01\x00\x00\x01\x00\x00\x00\x00\x00\x00\x011\x010\x0218\x03198\x07in-addr\x04arpa\x00\x00\x0c\x00\x01";
/// use testkit::DnsAnswer;
/// let truth = DnsAnswer::to(query).pointer("one.example").done();
/// let lie = DnsAnswer::to(query).id(7).pointer("lie.example").done();
/// assert_eq!(truth.len(), lie.len());
/// ```
#[derive(Clone, Debug)]
pub struct DnsAnswer {
    bytes: Vec<u8>,
}

impl DnsAnswer {
    /// An answer without records.
    ///
    /// # Panics
    /// When `query` has not exactly one plain question.
    #[must_use]
    pub fn to(query: &[u8]) -> Self {
        let end = question_end(query).expect("a query has one question");
        let mut bytes = query[..end].to_vec();
        bytes[6..HEADER_BYTES].fill(0);
        Self { bytes }.flags(ANSWER)
    }

    /// Replaces the id.
    #[must_use]
    pub fn id(mut self, id: u16) -> Self {
        self.bytes[..2].copy_from_slice(&id.to_be_bytes());
        self
    }

    /// The id.
    #[must_use]
    pub fn get_id(&self) -> u16 {
        u16::from_be_bytes([self.bytes[0], self.bytes[1]])
    }

    /// Replaces all flags and the response code.
    #[must_use]
    pub fn flags(mut self, flags: u16) -> Self {
        self.bytes[2..4].copy_from_slice(&flags.to_be_bytes());
        self
    }

    /// Makes it a failure, or an absence, with this response code (0 to 15).
    #[must_use]
    pub fn code(self, code: u8) -> Self {
        self.flags(ANSWER | u16::from(code & 15))
    }

    /// Adds a PTR record of the name asked about. `target` is dotted text.
    #[must_use]
    pub fn pointer(self, target: &str) -> Self {
        let labels: Vec<&[u8]> = target.split('.').map(str::as_bytes).collect();
        self.record(&QUESTION_NAME, PTR, TIME_TO_LIVE, &dns_name(&labels))
    }

    /// Adds a PTR record of the name asked about with any bytes as its target.
    #[must_use]
    pub fn pointer_to(self, target: &[u8]) -> Self {
        self.record(&QUESTION_NAME, PTR, TIME_TO_LIVE, target)
    }

    /// Adds a record to the answer section.
    ///
    /// # Panics
    /// When the data has more than 65,535 bytes.
    #[must_use]
    pub fn record(mut self, owner: &[u8], kind: u16, time_to_live: u32, data: &[u8]) -> Self {
        let count = u16::from_be_bytes([self.bytes[6], self.bytes[7]]) + 1;
        self.bytes[6..8].copy_from_slice(&count.to_be_bytes());
        self.bytes.extend_from_slice(owner);
        self.bytes.extend_from_slice(&kind.to_be_bytes());
        self.bytes.extend_from_slice(&[0, 1]);
        self.bytes.extend_from_slice(&time_to_live.to_be_bytes());
        let length = u16::try_from(data.len()).expect("the length of data is two bytes");
        self.bytes.extend_from_slice(&length.to_be_bytes());
        self.bytes.extend_from_slice(data);
        self
    }

    /// Claims this many records in the answer section, whatever there are.
    #[must_use]
    pub fn count(mut self, answers: u16) -> Self {
        self.bytes[6..8].copy_from_slice(&answers.to_be_bytes());
        self
    }

    /// How long it is until now: where the next record begins.
    #[must_use]
    pub fn length(&self) -> usize {
        self.bytes.len()
    }

    /// The message.
    #[must_use]
    pub fn done(self) -> Vec<u8> {
        self.bytes
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A PTR query for the name.
    fn query(name: &str) -> Vec<u8> {
        let labels: Vec<&[u8]> = name.split('.').map(str::as_bytes).collect();
        let mut query = vec![0x12, 0x34, 1, 0, 0, 1, 0, 0, 0, 0, 0, 0];
        query.extend_from_slice(&dns_name(&labels));
        query.extend_from_slice(&[0, 12, 0, 1]);
        query
    }

    fn answered(query: &[u8]) -> Option<Vec<u8>> {
        let mut buffer = [0; 512];
        buffer[..query.len()].copy_from_slice(query);
        answer_in_place(&mut buffer, query.len()).map(|length| buffer[..length].to_vec())
    }

    #[test]
    fn the_answer_in_place_is_the_one_that_is_built() {
        for (asked, address) in [
            ("103.1.168.192.IN-addr.arpa", "192.168.1.103"),
            ("1.2.3.4.in-addr.arpa", "4.3.2.1"),
            ("1.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.D.f.ip6.arpa", "fd00::1"),
        ] {
            let mut query = query(asked);
            let expected = DnsAnswer::to(&query).pointer(&pointer_name(address.parse().unwrap())).done();
            assert_eq!(answered(&query), Some(expected.clone()), "{asked}");
            // With an OPT record of EDNS behind the question.
            query[11] = 1;
            query.extend_from_slice(b"\x00\x00\x29\x04\xd0\x00\x00\x00\x00\x00\x00");
            assert_eq!(answered(&query), Some(expected), "{asked}");
        }
    }

    #[test]
    fn other_names_do_not_exist_and_other_bytes_get_no_answer() {
        let plain = query("1.example");
        assert_eq!(answered(&plain), Some(DnsAnswer::to(&plain).code(3).done()));
        let mut response = plain.clone();
        response[2] |= 0x80;
        assert_eq!(answered(&response), None);
        for length in 0..plain.len() {
            assert_eq!(answered(&plain[..length]), None, "{length}");
        }
    }
}
