//! Takes requests and returns what is finished. Calls nobody.

mod batch;
mod cancel;
mod deliver;
mod iods;
mod listen;
mod local;
mod note;
mod packets;
mod progress;
mod proxied;
mod secure;
mod submit;
mod transfer;

use std::collections::VecDeque;
use std::fmt;
use std::time::Instant;

use crate::backend::{Backend, Waker};
use crate::deadlines::Deadlines;
use crate::error::{Error, Failure};
use crate::event::{EventId, Kind, ScopeId};
use crate::iod::{Iod, Queue};
use crate::observe::Report;
use crate::op::{Op, Stage};
use crate::proxy::ProxyChain;
use crate::slots::Slots;
use crate::socket::SocketOptions;
use crate::trace::{Level, Ring, Sink, Tracer};

pub use cancel::Notice;
use note::Subject;
pub(crate) use proxied::Proxied;

/// Completions delivered before the system is asked for news again. Following up at once on what a handler started
/// halves the waits of a single connection; the bound keeps a busy one from starving the others.
const DELIVERIES_PER_TURN_MAX: usize = 4096;

/// Bytes moved before the system is asked for news again: a few milliseconds' worth. A peer that is always ready would
/// otherwise get [`DELIVERIES_PER_TURN_MAX`] times as much as one read takes, or all of a read that asked for more.
const MOVED_BYTES_PER_TURN_MAX: u64 = 16 << 20;

/// Receive buffer: no UDP datagram is larger.
const RECEIVE_BYTES_MAX: usize = 65_536;

/// The event core: descriptors, pending events, deadlines and one funnel for the trace.
///
/// It has no callbacks, so it can serve handlers ([`Pool`](crate::Pool)), a foreign interface or tests alike. Drive
/// it by submitting requests, then alternating [`turn`](Self::turn) with [`next_done`](Self::next_done) until that
/// gives `None`:
///
/// ```
/// use std::time::Duration;
/// use nsock::{Engine, Request};
///
/// let mut engine = Engine::new()?;
/// let id = engine.submit(Request::Timer, Some(Duration::from_millis(5)));
/// while engine.pending() > 0 {
///     engine.turn(None)?;
///     while let Some(done) = engine.next_done() {
///         assert_eq!((done.id, done.outcome.is_ok()), (id, true));
///     }
/// }
/// # Ok::<(), nsock::Error>(())
/// ```
pub struct Engine {
    backend: Backend,
    pub(crate) iods: Slots<Iod>,
    pub(crate) ops: Slots<Op>,
    deadlines: Deadlines,
    /// Finished and not delivered, by slot and generation; an entry whose event is gone is skipped.
    done: VecDeque<(u32, u64)>,
    /// IODs to look at, by generation (so by age) and slot.
    work: Vec<(u64, u32)>,
    wakes: Queue,
    /// A wake-up came and nobody was waiting.
    woken: bool,
    scopes: Vec<Serials>,
    scope: u16,
    /// Generations handed out.
    made: u64,
    epoch: Instant,
    now: Instant,
    /// `now` was read in this turn and stays.
    in_turn: bool,
    /// Deliveries left in this turn.
    budget: usize,
    /// Bytes received and sent in this turn.
    moved: u64,
    current: Option<Current>,
    pending: [usize; 8],
    scratch: Vec<u8>,
    /// As `scratch`, for many datagrams; empty until somebody reads a batch.
    batch_scratch: Vec<u8>,
    retries: batch::Retries,
    defaults: SocketOptions,
    proxychain: ProxyChain,
    closed: bool,
    pub(crate) trace: Tracer,
}

/// What a scope has handed out so far.
#[derive(Debug, Clone, Copy, Default)]
struct Serials {
    iods: u64,
    events: u64,
}

/// The event whose completion was returned last: what is asked for until the next one is asked for by its handler.
#[derive(Debug, Clone, Copy)]
struct Current {
    /// Its EID.
    event: u64,
    /// What the trace says about it; only known while something traces.
    subject: Option<Subject>,
    /// The scope to return to.
    outer_scope: u16,
}

impl Engine {
    /// Makes an engine; it holds two descriptors until it is dropped.
    ///
    /// # Errors
    /// [`Error::Create`] if the system has no descriptors or memory left for it.
    #[expect(clippy::disallowed_methods, reason = "the engine is where the clock is read")]
    pub fn new() -> Result<Self, Error> {
        let now = Instant::now();
        Ok(Self {
            backend: Backend::new().map_err(Error::Create)?,
            iods: Slots::new(),
            ops: Slots::new(),
            deadlines: Deadlines::default(),
            done: VecDeque::new(),
            work: Vec::new(),
            wakes: Queue::EMPTY,
            woken: false,
            scopes: vec![Serials::default()],
            scope: 0,
            made: 0,
            epoch: now,
            now,
            in_turn: false,
            budget: 0,
            moved: 0,
            current: None,
            pending: [0; 8],
            scratch: vec![0; RECEIVE_BYTES_MAX],
            batch_scratch: Vec::new(),
            retries: VecDeque::new(),
            defaults: SocketOptions::default(),
            proxychain: ProxyChain::default(),
            closed: false,
            trace: Tracer::new(),
        })
    }

    /// The time of this turn on the monotonic clock; outside a turn, the time now.
    pub fn now(&mut self) -> Instant {
        self.read_clock();
        self.now
    }

    #[expect(clippy::disallowed_methods, reason = "the engine is where the clock is read")]
    fn read_clock(&mut self) {
        if !self.in_turn {
            self.now = Instant::now();
        }
    }

    /// Nanoseconds since the engine was made; good for 584 years.
    pub(crate) fn nanos(&self, at: Instant) -> u64 {
        u64::try_from(at.saturating_duration_since(self.epoch).as_nanos()).unwrap_or(u64::MAX)
    }

    /// The time of the last turn.
    pub(crate) fn turn_time(&self) -> Instant {
        self.now
    }

    /// How many requests have been accepted and not yet ended.
    #[must_use]
    pub fn pending(&self) -> usize {
        self.ops.len()
    }

    /// How many of these are of one kind.
    #[must_use]
    pub fn pending_of(&self, kind: Kind) -> usize {
        self.pending[kind as usize]
    }

    /// Whether this event has not yet ended.
    #[must_use]
    pub fn is_pending(&self, id: EventId) -> bool {
        self.ops.get(id.slot, id.made).is_some()
    }

    /// How an event has ended whose completion is still to be delivered, if it failed.
    ///
    /// A request that fails at once is known to have failed when the call returns, though its handler runs later.
    #[must_use]
    pub fn failure(&self, id: EventId) -> Option<Failure> {
        match &self.ops.get(id.slot, id.made)?.stage {
            Stage::Done(Err(failure)) => Some(*failure),
            _ => None,
        }
    }

    /// A handle that wakes this engine from any thread.
    #[must_use]
    pub fn waker(&self) -> Waker {
        self.backend.waker()
    }

    /// The open IODs and pending events, as a value that can be printed.
    pub fn report(&mut self) -> Report {
        Report::of(self)
    }

    // ---- Scopes -----------------------------------------------------------------------------------------------

    /// The scope with this label, made with serials from 1 if it is new; the empty label is the default scope.
    pub fn scope(&mut self, label: &'static str) -> ScopeId {
        let scope = self.trace.scope(label);
        let index = usize::from(scope.0);
        if self.scopes.len() <= index {
            self.scopes.resize(index + 1, Serials::default());
        }
        scope
    }

    /// Makes requests and IODs from now on in this scope; gives the one before.
    ///
    /// The scope of a delivered completion is entered by itself, and left when the next one is asked for.
    pub fn enter_scope(&mut self, scope: ScopeId) -> ScopeId {
        let before = ScopeId(self.scope);
        if usize::from(scope.0) < self.scopes.len() {
            self.scope = scope.0;
        }
        before
    }

    // ---- The trace --------------------------------------------------------------------------------------------

    /// Sends every step from now on, up to this level of detail, to one more sink.
    pub fn trace_to(&mut self, level: Level, sink: impl Sink + 'static) {
        self.trace.add(level, Box::new(sink));
    }

    /// Keeps the last records in memory from now on.
    pub fn trace_ring(&mut self, records: usize) {
        self.trace.keep_last(records);
    }

    /// The last records, if they are kept.
    #[must_use]
    pub fn ring(&self) -> Option<&Ring> {
        self.trace.ring()
    }

    /// Removes all sinks and the ring.
    pub fn trace_off(&mut self) {
        self.trace.clear();
    }

    /// Traces or hides one scope; all are traced by default.
    pub fn set_scope_trace(&mut self, scope: ScopeId, on: bool) {
        self.trace.switch(scope, on);
    }
}

impl fmt::Debug for Engine {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Engine")
            .field("iods", &self.iods.len())
            .field("pending", &self.ops.len())
            .finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests;
