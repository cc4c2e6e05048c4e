//! What a pool holds, as a value: which IODs are open, which events are pending, since when, for what, made where.

use std::fmt;
use std::net::SocketAddr;
use std::panic::Location;
use std::path::PathBuf;
use std::time::Duration;

use crate::engine::Engine;
use crate::event::{EventId, IodId, Kind};
use crate::iod::Link;
use crate::op::{Op, Stage, Task, Until};

/// Everything a pool holds at one moment. `Display` writes it for a person.
#[derive(Debug, Clone)]
#[non_exhaustive]
pub struct Report {
    /// The IODs that were not deleted, oldest first.
    pub iods: Vec<IodReport>,
    /// The events that have not ended, oldest first.
    pub events: Vec<EventReport>,
}

/// One IOD.
#[derive(Debug, Clone)]
#[non_exhaustive]
pub struct IodReport {
    /// Its id.
    pub id: IodId,
    /// The label of its scope; empty for the default one.
    pub scope: &'static str,
    /// Its descriptor, if it has one.
    pub fd: Option<i32>,
    /// How far it has come.
    pub state: IodState,
    /// Its peer, where that is known.
    pub peer: Option<SocketAddr>,
    /// The path of its peer, if that is a Unix socket.
    pub path: Option<PathBuf>,
    /// Bytes received.
    pub bytes_read: u64,
    /// Bytes sent.
    pub bytes_written: u64,
    /// How long ago it was made.
    pub age: Duration,
    /// Where in the program it was made.
    pub place: &'static Location<'static>,
    /// How many events are pending on it.
    pub pending: usize,
}

/// How far an IOD has come.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum IodState {
    /// It has no descriptor yet.
    Idle,
    /// A connect is under way.
    Connecting,
    /// It is connected to the first proxy; the way through the others is being made.
    Tunneling,
    /// It is connected; a TLS handshake is under way.
    Handshaking,
    /// It can be used.
    Open,
    /// The peer has sent its last byte.
    Eof,
    /// Its connect came to nothing.
    Failed,
}

/// One pending event.
#[derive(Debug, Clone)]
#[non_exhaustive]
pub struct EventReport {
    /// Its id.
    pub id: EventId,
    /// Its kind.
    pub kind: Kind,
    /// The label of its scope; empty for the default one.
    pub scope: &'static str,
    /// Its IOD, if it has one.
    pub iod: Option<IodId>,
    /// How long ago it was requested.
    pub age: Duration,
    /// How long until it times out or fires; `None` for never.
    pub left: Option<Duration>,
    /// Where in the program it was requested.
    pub place: &'static Location<'static>,
    /// The EID in whose handler it was requested.
    pub parent: Option<u64>,
    /// What it is waiting for.
    pub waiting: Waiting,
}

/// What an event is waiting for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum Waiting {
    /// The answer to a connect.
    Answer,
    /// Somebody to connect.
    Connection,
    /// Data from the peer.
    Data {
        /// What would satisfy it.
        until: Until,
        /// Bytes gathered so far.
        gathered: usize,
    },
    /// The loop: it has ended and its handler is next.
    Delivery,
    /// An earlier request of the same kind on the same IOD.
    Earlier,
    /// A packet that passes the capture's filter.
    Packet,
    /// Room to send.
    Room {
        /// Bytes still to send.
        left: usize,
    },
    /// Its time.
    Time,
    /// A wake-up.
    Wake,
}

impl Report {
    pub(crate) fn of(engine: &mut Engine) -> Self {
        let now = engine.now();
        let now = engine.nanos(now);
        let since = |then: u64| Duration::from_nanos(now.saturating_sub(then));
        let mut events: Vec<_> = engine
            .ops
            .iter()
            .map(|(.., op)| EventReport {
                id: op.id,
                kind: op.kind,
                scope: engine.trace.label(op.scope),
                iod: op.iod,
                age: since(op.since),
                left: op.deadline.map(|at| Duration::from_nanos(at.saturating_sub(now))),
                place: op.place,
                parent: Some(op.parent).filter(|&parent| parent != 0),
                waiting: waiting(op),
            })
            .collect();
        events.sort_unstable_by_key(|event| event.id.made);
        let mut iods: Vec<_> = engine
            .iods
            .iter()
            .map(|(.., iod)| IodReport {
                id: iod.id,
                scope: engine.trace.label(iod.scope),
                fd: iod.fd(),
                state: match iod.link {
                    Link::Idle => IodState::Idle,
                    Link::Connecting => IodState::Connecting,
                    Link::Tunneling => IodState::Tunneling,
                    Link::Handshaking => IodState::Handshaking,
                    Link::Open if iod.eof => IodState::Eof,
                    Link::Open => IodState::Open,
                    Link::Failed { .. } => IodState::Failed,
                },
                peer: iod.peer,
                path: iod.path.as_deref().cloned(),
                bytes_read: iod.bytes_read,
                bytes_written: iod.bytes_written,
                age: since(iod.since),
                place: iod.place,
                pending: engine.events_of(iod.id).len(),
            })
            .collect();
        iods.sort_unstable_by_key(|iod| iod.id.made);
        Self { iods, events }
    }

    /// Whether there is nothing to report.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.iods.is_empty() && self.events.is_empty()
    }
}

fn waiting(op: &Op) -> Waiting {
    match &op.stage {
        Stage::Done(_) => Waiting::Delivery,
        Stage::Waiting(_) if op.prev != crate::op::NONE => Waiting::Earlier,
        Stage::Waiting(Task::Connect) => Waiting::Answer,
        Stage::Waiting(Task::Read(reading)) => {
            Waiting::Data { until: reading.until, gathered: reading.bytes.len() }
        }
        Stage::Waiting(Task::Write(writing)) => Waiting::Room { left: writing.data.len() - writing.sent },
        Stage::Waiting(Task::Packet) => Waiting::Packet,
        Stage::Waiting(Task::ReadBatch) => Waiting::Data { until: Until::Any, gathered: 0 },
        Stage::Waiting(Task::SendBatch(batch)) => {
            let sent = batch.next.checked_sub(1).map_or(0, |last| batch.ends[last].1);
            Waiting::Room { left: batch.data.len() - sent }
        }
        Stage::Waiting(Task::Accept) => Waiting::Connection,
        Stage::Waiting(Task::Shutdown) => Waiting::Room { left: 0 },
        Stage::Waiting(Task::Timer) => Waiting::Time,
        Stage::Waiting(Task::Wake) => Waiting::Wake,
    }
}

impl fmt::Display for Report {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (iods, events) = (self.iods.len(), self.events.len());
        writeln!(f, "{iods} IOD{} open, {events} event{} pending", s(iods), s(events))?;
        for iod in &self.iods {
            writeln!(f, "  {iod}")?;
            for event in self.events.iter().filter(|event| event.iod == Some(iod.id)) {
                writeln!(f, "    {event}")?;
            }
        }
        let loose = |event: &&EventReport| !self.iods.iter().any(|iod| Some(iod.id) == event.iod);
        for event in self.events.iter().filter(loose) {
            writeln!(f, "  {event}")?;
        }
        Ok(())
    }
}

impl fmt::Display for IodReport {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { id, state, bytes_read, bytes_written, place, age, .. } = self;
        scope_prefix(f, self.scope)?;
        write!(f, "IOD #{id}")?;
        if let Some(fd) = self.fd {
            write!(f, " fd {fd}")?;
        }
        match (self.peer, &self.path) {
            (Some(peer), _) => write!(f, " {peer}")?,
            (None, Some(path)) => write!(f, " {}", path.display())?,
            (None, None) => f.write_str(" peer unspecified")?,
        }
        write!(
            f,
            " {state}, {bytes_read} byte{} read, {bytes_written} written, made {:.3}s ago at ",
            s(*bytes_read),
            age.as_secs_f64()
        )?;
        write!(f, "{}:{}", place.file(), place.line())
    }
}

impl fmt::Display for IodState {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Idle => "idle",
            Self::Connecting => "connecting",
            Self::Handshaking => "in the TLS handshake",
            Self::Open => "open",
            Self::Eof => "at end of file",
            Self::Failed => "failed",
            Self::Tunneling => "asking proxies",
        })
    }
}

impl fmt::Display for EventReport {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { id, kind, waiting, place, age, .. } = self;
        scope_prefix(f, self.scope)?;
        write!(f, "EID {id} {kind} waiting for {waiting}, requested {:.3}s ago at ", age.as_secs_f64())?;
        write!(f, "{}:{}", place.file(), place.line())?;
        if let Some(parent) = self.parent {
            write!(f, " by EID {parent}")?;
        }
        match self.left {
            Some(left) => write!(f, ", {:.3}s left", left.as_secs_f64()),
            None => f.write_str(", no time limit"),
        }
    }
}

/// The ending of what is counted.
fn s<N: PartialEq + From<u8>>(count: N) -> &'static str {
    if count == N::from(1) { "" } else { "s" }
}

fn scope_prefix(f: &mut fmt::Formatter<'_>, scope: &str) -> fmt::Result {
    if scope.is_empty() { Ok(()) } else { write!(f, "[{scope}] ") }
}

impl fmt::Display for Waiting {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Answer => f.write_str("the peer's answer"),
            Self::Connection => f.write_str("a connection"),
            Self::Data { until, gathered } => write!(f, "{until}, {gathered} byte{} so far", s(*gathered)),
            Self::Delivery => f.write_str("its handler to be called"),
            Self::Packet => f.write_str("a packet"),
            Self::Earlier => f.write_str("an earlier request on the IOD"),
            Self::Room { left } => write!(f, "room to send {left} byte{}", s(*left)),
            Self::Time => f.write_str("its time"),
            Self::Wake => f.write_str("a wake-up"),
        }
    }
}

impl fmt::Display for Until {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Any => f.write_str("data"),
            Self::Bytes(wanted) => write!(f, "{wanted} byte{}", s(*wanted)),
            Self::Lines(wanted) => write!(f, "{wanted} line{}", s(*wanted)),
        }
    }
}
