//! One record, cut down to what the contract speaks of.

use std::time::{Duration, Instant};

use nsock::trace::{Callback, Record, Step as Full};
use nsock::{End, Failure, Kind};
use serde_json::Value;

/// One record, of whatever origin.
#[derive(Debug, Clone, Copy)]
pub(super) struct Step<'a> {
    /// Nanoseconds since some start; may be negative.
    pub(super) at: i128,
    pub(super) scope: &'a str,
    pub(super) iod: Option<u64>,
    pub(super) event: Option<u64>,
    /// The number of the kind that the record names.
    pub(super) kind: Option<u64>,
    pub(super) what: What,
}

/// What happened.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum What {
    Callback(Outcome),
    Cancel {
        found: bool,
        notice: bool,
    },
    EventNew,
    IodDelete,
    IodNew,
    LoopStarted,
    /// The loop moves something on: an IOD is looked at, part of a request is done.
    Moved,
    Released,
    Removed {
        notice: bool,
    },
    Request {
        limit: Option<Duration>,
    },
    /// Some part of a request, or of setting up an IOD.
    Setup,
    TimerFired,
    Turn,
    WaitFailed,
}

/// How a request ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Outcome {
    Cancelled,
    Eof,
    Error,
    Killed,
    Success,
    /// A read that ran out of time with something in hand.
    SuccessOutOfTime,
    TimedOut,
}

impl Outcome {
    /// What only the request at the head of its queue can have.
    pub(super) fn is_in_turn(self) -> bool {
        matches!(self, Self::Success | Self::SuccessOutOfTime | Self::Eof)
    }
}

impl<'a> Step<'a> {
    pub(super) fn of_record(record: &Record<'a>, epoch: Instant) -> Self {
        let nanos = |span: Duration| i128::try_from(span.as_nanos()).unwrap_or(i128::MAX);
        Self {
            at: match record.at.checked_duration_since(epoch) {
                Some(after) => nanos(after),
                None => -nanos(epoch.saturating_duration_since(record.at)),
            },
            scope: record.scope,
            iod: record.iod,
            event: record.event,
            kind: record.kind.map(number),
            what: what_of(record.step),
        }
    }

    /// Reads the object that [`write_json`](nsock::trace::write_json) makes of a record.
    pub(super) fn of_json(value: &'a Value) -> Result<Self, String> {
        let time = value["t"].as_f64().ok_or("no time t")?;
        #[expect(clippy::cast_possible_truncation, reason = "a trace lasts less than 292 million years")]
        let micros = (time * 1e6).round() as i64;
        let kind = match value["kind"].as_str() {
            None => None,
            Some(word) => {
                let kind = Kind::ALL.into_iter().find(|kind| kind.to_string() == word);
                Some(number(kind.ok_or_else(|| format!("unknown kind {word}"))?))
            }
        };
        Ok(Self {
            at: i128::from(micros) * 1000,
            scope: value["scope"].as_str().unwrap_or_default(),
            iod: value["iod"].as_u64(),
            event: value["eid"].as_u64(),
            kind,
            what: what_of_json(value)?,
        })
    }
}

fn number(kind: Kind) -> u64 {
    kind as u64
}

fn what_of(step: Full) -> What {
    match step {
        Full::Callback(callback) => What::Callback(outcome_of(callback)),
        Full::Cancel { found, notice } => What::Cancel { found, notice },
        Full::EventNew => What::EventNew,
        Full::IodDelete => What::IodDelete,
        Full::IodNew => What::IodNew,
        Full::LoopStarted { .. } => What::LoopStarted,
        Full::Partial { .. } | Full::Ready { .. } | Full::TlsFailed { .. } => What::Moved,
        Full::Released => What::Released,
        Full::Removed { notice } => What::Removed { notice },
        Full::Request { limit, .. } => What::Request { limit },
        Full::TimerFired => What::TimerFired,
        Full::Turn => What::Turn,
        Full::WaitFailed { .. } => What::WaitFailed,
        _ => What::Setup,
    }
}

fn outcome_of(callback: Callback) -> Outcome {
    match callback {
        Callback::Received { end: End::TimedOut, .. } => Outcome::SuccessOutOfTime,
        Callback::Received { .. } | Callback::Success { .. } => Outcome::Success,
        Callback::Failed(Failure::Cancelled) => Outcome::Cancelled,
        Callback::Failed(Failure::Eof) => Outcome::Eof,
        Callback::Failed(Failure::Killed) => Outcome::Killed,
        Callback::Failed(Failure::TimedOut) => Outcome::TimedOut,
        _ => Outcome::Error,
    }
}

fn what_of_json(value: &Value) -> Result<What, String> {
    let flag = |name: &str| value[name].as_bool().ok_or_else(|| format!("no flag {name}"));
    Ok(match value["step"].as_str().ok_or("no step")? {
        "armed" | "binding" | "setup_failed" | "setup_udp" => What::Setup,
        "callback" => What::Callback(outcome_of_json(value)?),
        "cancel" => What::Cancel { found: flag("found")?, notice: flag("notice")? },
        "event_new" => What::EventNew,
        "iod_delete" => What::IodDelete,
        "iod_new" => What::IodNew,
        "loop" => What::LoopStarted,
        "partial" | "ready" | "tls_failed" => What::Moved,
        "released" => What::Released,
        "removed" => What::Removed { notice: flag("notice")? },
        "request" => What::Request {
            limit: value["limit"].as_f64().and_then(|seconds| Duration::try_from_secs_f64(seconds).ok()),
        },
        "timer" => What::TimerFired,
        "turn" => What::Turn,
        "wait_failed" => What::WaitFailed,
        other => return Err(format!("unknown step {other}")),
    })
}

fn outcome_of_json(value: &Value) -> Result<Outcome, String> {
    Ok(match value["status"].as_str().ok_or("no status")? {
        "CANCELLED" => Outcome::Cancelled,
        "EOF" => Outcome::Eof,
        "ERROR" => Outcome::Error,
        "KILL" => Outcome::Killed,
        "SUCCESS" if value["end"] == "timedout" => Outcome::SuccessOutOfTime,
        "SUCCESS" => Outcome::Success,
        "TIMEOUT" => Outcome::TimedOut,
        other => return Err(format!("unknown status {other}")),
    })
}
