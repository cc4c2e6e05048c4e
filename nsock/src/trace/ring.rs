//! The last records, for a look back when something has gone wrong.

use std::io::{self, Write};
use std::time::Instant;

use super::{Record, write_json};

/// A bounded memory of records, without their payloads; the oldest goes when a new one needs its place.
///
/// Each record takes about 200 bytes and some tens of nanoseconds.
#[derive(Debug)]
pub struct Ring {
    records: Vec<Record<'static>>,
    capacity: usize,
    /// Where the oldest record is, once all places are taken.
    oldest: usize,
    dropped: u64,
}

impl Ring {
    pub(crate) fn new(capacity: usize) -> Self {
        let capacity = capacity.max(1);
        Self { records: Vec::with_capacity(capacity), capacity, oldest: 0, dropped: 0 }
    }

    pub(crate) fn record(&mut self, record: &Record<'_>) {
        if self.records.len() < self.capacity {
            self.records.push(record.without_payload());
            return;
        }
        self.records[self.oldest] = record.without_payload();
        self.oldest = (self.oldest + 1) % self.capacity;
        self.dropped += 1;
    }

    /// The records, oldest first.
    pub fn iter(&self) -> impl Iterator<Item = &Record<'static>> {
        let (newer, older) = self.records.split_at(self.oldest);
        older.iter().chain(newer)
    }

    /// How many records had to go.
    #[must_use]
    pub fn dropped(&self) -> u64 {
        self.dropped
    }

    /// Writes the records as NDJSON, times counted from `start`.
    ///
    /// # Errors
    /// The writer's.
    pub fn dump(&self, mut writer: impl Write, start: Instant) -> io::Result<()> {
        self.iter().try_for_each(|record| write_json(&mut writer, record, start))
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;
    use crate::trace::Step;

    #[test]
    #[expect(clippy::disallowed_methods, reason = "a record has a time; any will do")]
    fn the_oldest_records_go_and_the_rest_stay_in_order() {
        let start = Instant::now();
        for (count, kept) in [(2, 0..2), (3, 0..3), (8, 5..8)] {
            let mut ring = Ring::new(3);
            for event in 0..count {
                ring.record(&Record {
                    at: start + Duration::from_nanos(event),
                    scope: "",
                    iod: None,
                    fd: None,
                    peer: None,
                    path: None,
                    event: Some(event),
                    kind: None,
                    parent: None,
                    place: None,
                    payload: b"gone",
                    step: Step::Turn,
                });
            }
            let events: Vec<u64> = ring.iter().filter_map(|record| record.event).collect();
            assert_eq!(events, kept.clone().collect::<Vec<_>>());
            assert_eq!(ring.dropped(), kept.start);
            assert!(ring.iter().all(|record| record.payload.is_empty()));
        }
    }
}
