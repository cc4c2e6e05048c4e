//! The last records, for a look back when something has gone wrong.

use std::collections::VecDeque;
use std::io::{self, Write};
use std::time::Instant;

use super::{Record, write_json};

/// A bounded memory of records, without their payloads; the oldest goes when a new one needs its place.
///
/// Each record takes about 200 bytes and some tens of nanoseconds.
#[derive(Debug)]
pub struct Ring {
    records: VecDeque<Record<'static>>,
    capacity: usize,
    dropped: u64,
}

impl Ring {
    pub(crate) fn new(capacity: usize) -> Self {
        let capacity = capacity.max(1);
        Self { records: VecDeque::with_capacity(capacity), capacity, dropped: 0 }
    }

    pub(crate) fn record(&mut self, record: &Record<'_>) {
        if self.records.len() == self.capacity {
            self.records.pop_front();
            self.dropped += 1;
        }
        self.records.push_back(record.without_payload());
    }

    /// The records, oldest first.
    pub fn iter(&self) -> impl Iterator<Item = &Record<'static>> {
        self.records.iter()
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
        self.records.iter().try_for_each(|record| write_json(&mut writer, record, start))
    }
}
