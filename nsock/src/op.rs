//! What one request still needs, and how bytes move it on. Pure: no socket is seen here.

use std::mem;
use std::net::SocketAddr;
use std::panic::Location;

use crate::error::Failure;
use crate::event::{End, EventId, IodId, Kind, Output, Received, Sent};
use crate::packet::{Datagram, Destination};

/// The most bytes one read gathers before it is delivered, unless it asked for more: 72 times 8 KiB, nsock's own
/// bound. A peer that never sends the newline cannot fill the memory, and one busy IOD cannot hold up the others.
pub const READ_BYTES_MAX: usize = 589_824;

/// When a read is satisfied.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum Until {
    /// At least one byte, or one datagram.
    Any,
    /// At least so many bytes.
    Bytes(usize),
    /// At least so many newlines.
    Lines(usize),
}

/// No link in an IOD's queue.
pub(crate) const NONE: u32 = u32::MAX;

/// One event.
#[derive(Debug)]
pub(crate) struct Op {
    pub(crate) id: EventId,
    pub(crate) kind: Kind,
    pub(crate) scope: u16,
    /// Its deadline passed while an earlier read of the IOD was still to be delivered.
    pub(crate) overdue: bool,
    pub(crate) iod: Option<IodId>,
    /// Neighbors in the IOD's queue of this kind.
    pub(crate) prev: u32,
    pub(crate) next: u32,
    /// The EID in whose handler it was requested; 0 for none.
    pub(crate) parent: u64,
    /// Nanoseconds since the engine was made.
    pub(crate) since: u64,
    pub(crate) deadline: Option<u64>,
    pub(crate) place: &'static Location<'static>,
    pub(crate) stage: Stage,
}

#[derive(Debug)]
pub(crate) enum Stage {
    Waiting(Task),
    Done(Result<Output, Failure>),
}

#[derive(Debug)]
pub(crate) enum Task {
    Connect,
    Read(Reading),
    Write(Writing),
    Packet,
    ReadBatch,
    Accept,
    Shutdown,
    SendBatch(Box<Batch>),
    Timer,
    Wake,
}

/// A read under way.
#[derive(Debug)]
pub(crate) struct Reading {
    pub(crate) until: Until,
    pub(crate) bytes: Vec<u8>,
    pub(crate) from: Option<SocketAddr>,
    /// Newlines in `bytes`, so that none is counted twice.
    lines: usize,
}

impl Reading {
    pub(crate) fn new(until: Until) -> Self {
        Self { until, bytes: Vec::new(), from: None, lines: 0 }
    }

    /// Adds what came; true if that satisfies the request.
    pub(crate) fn add(&mut self, bytes: &[u8], from: Option<SocketAddr>) -> bool {
        if let Until::Lines(_) = self.until {
            self.lines += bytes.iter().filter(|&&byte| byte == b'\n').count();
        }
        if self.bytes.is_empty() {
            self.bytes = bytes.to_vec();
        } else {
            self.bytes.extend_from_slice(bytes);
        }
        if from.is_some() {
            self.from = from;
        }
        self.satisfied()
    }

    fn satisfied(&self) -> bool {
        match self.until {
            Until::Any => true,
            Until::Bytes(wanted) => self.bytes.len() >= wanted,
            Until::Lines(wanted) => self.lines >= wanted,
        }
    }

    /// The number of bytes beyond which this read takes no more.
    pub(crate) fn cap(&self) -> usize {
        match self.until {
            Until::Any | Until::Lines(_) => READ_BYTES_MAX,
            Until::Bytes(wanted) => READ_BYTES_MAX.max(wanted),
        }
    }

    pub(crate) fn is_full(&self) -> bool {
        self.bytes.len() >= self.cap()
    }

    /// Ends the read with what it has, whatever that is.
    pub(crate) fn take(&mut self, end: End) -> Received {
        Received { bytes: mem::take(&mut self.bytes), from: self.from, end }
    }

    /// Ends the read early: with what it has if it has anything, else with the failure.
    pub(crate) fn cut_short(&mut self, end: End, failure: Failure) -> Result<Output, Failure> {
        if self.bytes.is_empty() { Err(failure) } else { Ok(Output::Received(self.take(end))) }
    }
}

/// A write under way.
#[derive(Debug)]
pub(crate) struct Writing {
    /// What is left to send, and how much of that has been sent.
    pub(crate) data: Vec<u8>,
    pub(crate) sent: usize,
    /// Bytes that were sent before anything had to be kept.
    pub(crate) before: usize,
    pub(crate) to: Option<SocketAddr>,
}

impl Writing {
    pub(crate) fn new(to: Option<SocketAddr>) -> Self {
        Self { data: Vec::new(), sent: 0, before: 0, to }
    }
}

/// A batch under way: what could not be sent at once.
#[derive(Debug, Default)]
pub(crate) struct Batch {
    pub(crate) data: Vec<u8>,
    /// Where each datagram goes, and where in `data` it ends.
    pub(crate) ends: Vec<(Destination, usize)>,
    /// The first one not sent.
    pub(crate) next: usize,
    /// What was sent so far, before anything had to be kept too.
    pub(crate) sent: Sent,
}

impl Batch {
    /// Copies what is left to send.
    pub(crate) fn of(left: &[Datagram<'_>], sent: Sent) -> Self {
        let mut data = Vec::with_capacity(left.iter().map(|datagram| datagram.data.len()).sum());
        let mut ends = Vec::with_capacity(left.len());
        for datagram in left {
            data.extend_from_slice(datagram.data);
            ends.push((datagram.to, data.len()));
        }
        Self { data, ends, next: 0, sent }
    }
}

impl Op {
    pub(crate) fn is_done(&self) -> bool {
        matches!(self.stage, Stage::Done(_))
    }

    pub(crate) fn reading(&mut self) -> Option<&mut Reading> {
        if let Stage::Waiting(Task::Read(reading)) = &mut self.stage { Some(reading) } else { None }
    }

    pub(crate) fn writing(&mut self) -> Option<&mut Writing> {
        if let Stage::Waiting(Task::Write(writing)) = &mut self.stage { Some(writing) } else { None }
    }

    pub(crate) fn batch(&mut self) -> Option<&mut Batch> {
        if let Stage::Waiting(Task::SendBatch(batch)) = &mut self.stage { Some(batch) } else { None }
    }

    /// How it ends when its deadline passes.
    pub(crate) fn timed_out(&mut self) -> Result<Output, Failure> {
        match &mut self.stage {
            Stage::Waiting(Task::Timer) => Ok(Output::Alarm),
            Stage::Waiting(Task::Read(reading)) => reading.cut_short(End::TimedOut, Failure::TimedOut),
            _ => Err(Failure::TimedOut),
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn partial_data_at_the_timeout_is_success() {
        let mut reading = Reading::new(Until::Lines(3));
        assert!(!reading.add(b"220 hi\r\n", None));
        let outcome = reading.cut_short(End::TimedOut, Failure::TimedOut);
        let Ok(Output::Received(received)) = outcome else { panic!("{outcome:?}") };
        assert_eq!((received.bytes.as_slice(), received.end), (&b"220 hi\r\n"[..], End::TimedOut));
        assert_eq!(reading.cut_short(End::TimedOut, Failure::TimedOut), Err(Failure::TimedOut));
    }

    #[test]
    fn a_request_for_more_than_the_cap_gets_it() {
        assert_eq!(Reading::new(Until::Bytes(5_000_000)).cap(), 5_000_000);
        assert_eq!(Reading::new(Until::Lines(1)).cap(), READ_BYTES_MAX);
    }

    proptest! {
        #[test]
        fn is_satisfied_exactly_when_enough_has_come(
            pieces in proptest::collection::vec(proptest::collection::vec(prop_oneof![Just(b'\n'), any::<u8>()], 0..20), 1..20),
            wanted in 0..40usize,
        ) {
            let mut bytes = Reading::new(Until::Bytes(wanted));
            let mut lines = Reading::new(Until::Lines(wanted));
            let mut all = Vec::new();
            for piece in &pieces {
                all.extend_from_slice(piece);
                prop_assert_eq!(bytes.add(piece, None), all.len() >= wanted);
                prop_assert_eq!(lines.add(piece, None), all.iter().filter(|&&byte| byte == b'\n').count() >= wanted);
                prop_assert_eq!(&lines.bytes, &all);
            }
        }
    }
}
