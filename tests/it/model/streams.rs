//! What a connection may deliver: a prefix of what its peer sent, in order, nothing lost and nothing twice.

use std::collections::VecDeque;
use std::ops::Range;

/// Length and number in front of every datagram that is not empty.
pub(super) const DATAGRAM_HEAD_BYTES: usize = 8;

/// A letter, or now and then a newline, that depends on its place.
fn letter(stream: u64, place: usize) -> u8 {
    let mixed = (stream << 32 ^ place as u64).wrapping_mul(0x9e37_79b9_7f4a_7c15) >> 56;
    match mixed % 16 {
        0 => b'\n',
        _ => b'a' + (mixed % 26) as u8,
    }
}

/// What a scripted peer sends.
pub(super) fn pattern(places: Range<usize>) -> Vec<u8> {
    places.map(|place| letter(0, place)).collect()
}

/// The text of one write.
pub(super) fn text(number: u64, length: usize) -> Vec<u8> {
    (0..length).map(|place| letter(number, place)).collect()
}

/// A datagram that can be told from all others.
pub(super) fn datagram(number: u64, length: usize) -> Vec<u8> {
    let mut bytes = u16::try_from(length).expect("a datagram is shorter").to_be_bytes().to_vec();
    bytes.extend_from_slice(&number.to_be_bytes()[2..]);
    bytes.extend(text(number, length.saturating_sub(DATAGRAM_HEAD_BYTES)));
    bytes
}

/// Checks what one IOD receives.
#[derive(Debug)]
pub(super) enum Incoming {
    /// From an echo.
    Echo(Echo),
    /// From a script: so far.
    Pattern(usize),
    /// Datagrams: the number of the last one.
    Datagrams(u64),
}

impl Incoming {
    /// Takes what a read gave; the lengths of the datagrams in it, if it is of datagrams.
    pub(super) fn take(&mut self, bytes: &[u8]) -> Vec<usize> {
        match self {
            Self::Echo(echo) => echo.take(bytes),
            Self::Pattern(count) => {
                assert!(bytes == pattern(*count..*count + bytes.len()), "not the pattern from {count} on");
                *count += bytes.len();
            }
            Self::Datagrams(last) => return take_datagrams(last, bytes),
        }
        Vec::new()
    }
}

fn take_datagrams(last: &mut u64, mut bytes: &[u8]) -> Vec<usize> {
    let mut lengths = Vec::new();
    while !bytes.is_empty() {
        assert!(bytes.len() >= DATAGRAM_HEAD_BYTES, "not a whole datagram");
        let length = usize::from(u16::from_be_bytes([bytes[0], bytes[1]]));
        let number = bytes[2..8].iter().fold(0, |number, &byte| number << 8 | u64::from(byte));
        assert!(bytes.len() >= length, "datagram {number} is cut");
        assert!(bytes[..length] == datagram(number, length), "datagram {number} is not as it was sent");
        assert!(number > *last, "datagram {number} comes behind {last}");
        *last = number;
        lengths.push(length);
        bytes = &bytes[length..];
    }
    lengths
}

/// What was written to an echo, and where in it the bytes that came back may stand.
///
/// A write that ended early may have been sent in part, so there may be several such places.
#[derive(Debug, Default)]
pub(super) struct Echo {
    writes: VecDeque<Write>,
    /// Writes before the first one kept.
    passed: usize,
    /// Write, and byte in it.
    places: Vec<(usize, usize)>,
    pub(super) received: u64,
}

#[derive(Debug)]
struct Write {
    number: u64,
    length: usize,
    /// It ended early.
    cut: bool,
}

impl Echo {
    /// A write was requested; its place in the order.
    pub(super) fn write(&mut self, number: u64, length: usize) -> usize {
        if self.places.is_empty() {
            self.places.push((0, 0));
        }
        self.writes.push_back(Write { number, length, cut: false });
        self.passed + self.writes.len() - 1
    }

    /// A write may not have been sent in full.
    pub(super) fn cut(&mut self, place: usize) {
        if let Some(write) = place.checked_sub(self.passed).and_then(|index| self.writes.get_mut(index)) {
            write.cut = true;
        }
    }

    fn take(&mut self, bytes: &[u8]) {
        self.received += bytes.len() as u64;
        for &byte in bytes {
            self.take_byte(byte);
        }
    }

    fn take_byte(&mut self, byte: u8) {
        let mut next = Vec::new();
        let mut at = 0;
        while let Some(&(write, offset)) = self.places.get(at) {
            at += 1;
            let Some(its) = self.writes.get(write - self.passed) else { continue };
            if (its.cut || offset == its.length) && !self.places.contains(&(write + 1, 0)) {
                self.places.push((write + 1, 0));
            }
            if offset < its.length && letter(its.number, offset) == byte {
                next.push((write, offset + 1));
            }
        }
        assert!(!next.is_empty(), "a byte comes back that was not written there: {:?}", self.places);
        self.places = next;
        let first = self.places.iter().map(|(write, _)| *write).min().unwrap_or_default();
        while self.passed < first {
            self.passed += 1;
            self.writes.pop_front();
        }
    }
}
