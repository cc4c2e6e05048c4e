//! Where a stream of TLS records stands: at the end of one, or within. Pure.

/// Type, version and length (RFC 8446 5.1).
const HEADER_BYTES: usize = 5;

/// Follows the records of one direction by their headers.
#[derive(Debug, Default)]
pub(crate) struct Records {
    header: [u8; HEADER_BYTES],
    /// Bytes of the header that have come.
    have: usize,
    /// Bytes of the record's body still to come, once the header is whole.
    left: usize,
}

impl Records {
    /// Follows the stream over these bytes.
    pub(crate) fn pass(&mut self, mut bytes: &[u8]) {
        while let Some(&first) = bytes.first() {
            if self.have < HEADER_BYTES {
                self.header[self.have] = first;
                self.have += 1;
                bytes = &bytes[1..];
                if self.have == HEADER_BYTES {
                    self.left = usize::from(u16::from_be_bytes([self.header[3], self.header[4]]));
                }
            } else {
                let taken = self.left.min(bytes.len());
                self.left -= taken;
                bytes = &bytes[taken..];
            }
            if self.have == HEADER_BYTES && self.left == 0 {
                self.have = 0;
            }
        }
    }

    /// Whether the bytes so far end within a record.
    pub(crate) fn within(&self) -> bool {
        self.have > 0
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn only_whole_records_end_outside_one(
            bodies in proptest::collection::vec(0..700u16, 1..6),
            cuts in proptest::collection::vec(any::<prop::sample::Index>(), 0..6),
        ) {
            let (mut stream, mut ends) = (Vec::new(), vec![0]);
            for length in bodies {
                stream.extend_from_slice(&[23, 3, 3]);
                stream.extend_from_slice(&length.to_be_bytes());
                stream.resize(stream.len() + usize::from(length), 0);
                ends.push(stream.len());
            }
            let mut cuts: Vec<usize> = cuts.iter().map(|cut| cut.index(stream.len() + 1)).collect();
            cuts.push(stream.len());
            cuts.sort_unstable();
            let (mut records, mut at) = (Records::default(), 0);
            for cut in cuts {
                records.pass(&stream[at..cut]);
                at = cut;
                prop_assert_eq!(records.within(), !ends.contains(&cut));
            }
        }
    }
}
