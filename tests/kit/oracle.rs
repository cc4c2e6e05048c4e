//! Whether a pool has kept its contract, judged from its trace alone.
//!
//! The records come from a pool under test ([`Oracle`] is a sink) or from a file that
//! [`Ndjson`](nsock::trace::Ndjson) wrote ([`Oracle::check_ndjson`]). Either way all of them are needed, at
//! [`Level::Full`](nsock::trace::Level::Full) and of every scope; and an IOD must be used in its own scope, since a
//! record numbers the IOD there.
//!
//! What is not judged here, because records do not show it: the bytes, the order of IODs within a turn, and whether
//! memory returns.

mod check;
mod step;

use std::cell::RefCell;
use std::fmt;
use std::io::{self, BufRead};
use std::rc::Rc;
use std::time::Instant;

use nsock::trace::{Record, Sink};

use check::Check;
use step::Step;

/// The lines of nsock's contract that its trace can break.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Contract {
    /// No handler runs inside a request, a cancel, a delete or another handler; only inside `run` or `shutdown`.
    OnlyInTheLoop,
    /// Every request that was accepted ends exactly once: one call, or silently.
    EndsOnce,
    /// After a cancel that returned true, the handler sees only `Cancelled`.
    CancelWins,
    /// Requests of one kind on one IOD complete in the order made. A time-out may overtake: each request has its own.
    Fifo,
    /// Within a turn, results come before time-outs.
    ResultsFirst,
    /// Ids are never used again; a stale id is a no-op that says so.
    StaleIds,
    /// Work per turn is bounded.
    BoundedTurn,
    /// The time is monotonic and constant within a turn.
    OneTimePerTurn,
    /// Nothing is out of time before its time.
    NeverEarly,
    /// `EID = serial << 3 | kind`; serials and IOD numbers count from 1 in each scope.
    Numbers,
}

/// A record that the contract does not allow.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct Violation {
    /// Which record, counted from 1; one beyond the last for what is missing at the end.
    pub record: u64,
    /// The line it breaks.
    pub contract: Contract,
    /// What was seen, and what it contradicts.
    pub seen: String,
}

impl fmt::Display for Violation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "record {}: {:?}: {}", self.record, self.contract, self.seen)
    }
}

/// How a trace ends.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum TraceEnd {
    /// Everything requested should have ended: the loop said so, or the pool was shut down.
    Complete,
    /// The pool was dropped, or the trace broke off, with requests pending.
    Pending,
}

/// Reads a trace as it happens. Clones share what they have seen: one goes into the pool as a sink, one stays.
///
/// ```
/// use std::time::Duration;
/// use nsock::trace::Level;
/// use testkit::{Oracle, TraceEnd};
///
/// let oracle = Oracle::new();
/// let mut pool = nsock::Pool::<()>::new()?;
/// pool.trace_to(Level::Full, oracle.clone());
/// pool.timer_create(Duration::from_millis(1), |_, _, _| ());
/// pool.run(&mut (), None)?;
/// assert_eq!(oracle.finish(TraceEnd::Complete), []);
/// # Ok::<(), nsock::Error>(())
/// ```
#[derive(Debug, Clone, Default)]
pub struct Oracle {
    shared: Rc<RefCell<Live>>,
}

#[derive(Debug, Default)]
struct Live {
    check: Check,
    /// The time of the first record.
    epoch: Option<Instant>,
}

impl Oracle {
    /// An oracle that has seen nothing.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// The first violations seen so far.
    #[must_use]
    pub fn violations(&self) -> Vec<Violation> {
        self.shared.borrow().check.violations.clone()
    }

    /// Records seen so far.
    #[must_use]
    pub fn records(&self) -> u64 {
        self.shared.borrow().check.records
    }

    /// The first violations of the whole trace, those of its end included. Ask once.
    #[must_use]
    pub fn finish(&self, end: TraceEnd) -> Vec<Violation> {
        let check = &mut self.shared.borrow_mut().check;
        check.finish(end);
        check.violations.clone()
    }

    /// The first violations of a trace in the format of [`Ndjson`](nsock::trace::Ndjson).
    ///
    /// # Errors
    /// The reader's; and [`InvalidData`](io::ErrorKind::InvalidData) for a line that is no record, by its number.
    pub fn check_ndjson(reader: impl BufRead, end: TraceEnd) -> io::Result<Vec<Violation>> {
        let mut check = Check::rounded_to_microseconds();
        for (index, line) in reader.lines().enumerate() {
            let bad = |why: String| {
                io::Error::new(io::ErrorKind::InvalidData, format!("line {}: {why}", index + 1))
            };
            let value = serde_json::from_str(&line?).map_err(|why| bad(why.to_string()))?;
            check.step(&Step::of_json(&value).map_err(bad)?);
        }
        check.finish(end);
        Ok(check.violations)
    }
}

impl Sink for Oracle {
    fn record(&mut self, record: &Record<'_>) {
        let live = &mut *self.shared.borrow_mut();
        let epoch = *live.epoch.get_or_insert(record.at);
        live.check.step(&Step::of_record(record, epoch));
    }
}

#[cfg(test)]
mod tests;
