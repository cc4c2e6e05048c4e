//! DNS over TCP: messages behind a length of two bytes (RFC 1035 4.2.2, RFC 7766 8).

/// Bytes of the length.
const LENGTH_BYTES: usize = 2;

/// The messages of one connection, put together from what arrives. It never holds more than one message and what came
/// with one read.
#[derive(Debug, Default)]
pub(crate) struct Inbox {
    bytes: Vec<u8>,
}

impl Inbox {
    /// Takes what has arrived.
    pub(crate) fn push(&mut self, bytes: &[u8]) {
        self.bytes.extend_from_slice(bytes);
    }

    /// The next whole message.
    pub(crate) fn next_message(&mut self) -> Option<Vec<u8>> {
        let &[high, low] = self.bytes.first_chunk::<LENGTH_BYTES>()?;
        let end = LENGTH_BYTES + usize::from(u16::from_be_bytes([high, low]));
        if self.bytes.len() < end {
            return None;
        }
        let rest = self.bytes.split_off(end);
        let mut message = std::mem::replace(&mut self.bytes, rest);
        message.drain(..LENGTH_BYTES);
        Some(message)
    }
}

/// Puts the length in front of a message.
pub(crate) fn frame(message: &[u8]) -> Vec<u8> {
    let length = u16::try_from(message.len()).expect("a query has a few hundred bytes");
    [&length.to_be_bytes(), message].concat()
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn messages_come_whole_however_they_are_cut(
            messages in proptest::collection::vec(proptest::collection::vec(any::<u8>(), 0..300), 0..6),
            cut in 1..400usize,
        ) {
            let bytes: Vec<u8> = messages.iter().flat_map(|message| frame(message)).collect();
            let (mut inbox, mut found) = (Inbox::default(), Vec::new());
            for part in bytes.chunks(cut) {
                inbox.push(part);
                while let Some(message) = inbox.next_message() {
                    found.push(message);
                }
            }
            prop_assert_eq!(found, messages);
        }
    }
}
