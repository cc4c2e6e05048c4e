//! Every step of a pool as one structured record, and the one place that all of them pass.
//!
//! Sinks are views of the same records: [`Classic`] writes nsock's text, [`Ndjson`] a line of JSON per record,
//! [`Ring`] keeps the last ones for later, [`Log`] hands the classic text to the `log` crate, and any closure that
//! takes a [`Record`] is a sink too. While no sink is installed, a step costs one branch.

mod asked;
mod classic;
mod ndjson;
mod ring;
mod step;

use std::fmt;
use std::net::SocketAddr;
use std::panic::Location;
use std::path::Path;
use std::time::Instant;

use crate::error::{During, SocketOption};
use crate::event::{Kind, ScopeId};

pub use asked::Asked;
pub use classic::{Classic, ClassicText};
pub use ndjson::{Ndjson, write_json};
pub use ring::Ring;
pub use step::{Callback, DeviceName, ProxyStep, Step};

/// How much detail a sink wants; each level includes those before it (nsock's log levels, spec nsock 1.3).
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[non_exhaustive]
pub enum Level {
    /// Only what went wrong on this machine.
    Error,
    /// Requests, callbacks, cancels, IODs coming and going.
    Info,
    /// And the life of every event between them.
    Debug,
    /// And every look at a descriptor; payloads of writes.
    Full,
}

/// One step: what happened, to which IOD and event, when, and who asked for it.
#[derive(Debug, Clone, Copy)]
#[non_exhaustive]
pub struct Record<'a> {
    /// On the monotonic clock; constant within a turn of the loop.
    pub at: Instant,
    /// The label of the scope; empty for the default one.
    pub scope: &'static str,
    /// The IOD's number in its scope.
    pub iod: Option<u64>,
    /// The IOD's descriptor, to join the trace with `strace`.
    pub fd: Option<i32>,
    /// The IOD's peer, where it is known.
    pub peer: Option<SocketAddr>,
    /// The path of a Unix socket's peer, in place of `peer`; not kept by a [`Ring`].
    pub path: Option<&'a Path>,
    /// The EID.
    pub event: Option<u64>,
    /// The kind of that event.
    pub kind: Option<Kind>,
    /// The EID in whose handler this was asked for.
    pub parent: Option<u64>,
    /// Where in the program it was asked for.
    pub place: Option<&'static Location<'static>>,
    /// The bytes of a write request or of a finished read, the path of a Unix connect, the text of some steps; empty in
    /// every other record.
    pub payload: &'a [u8],
    /// What happened.
    pub step: Step,
}

impl Record<'_> {
    /// The level at which sinks get to see this record.
    #[must_use]
    pub fn level(&self) -> Level {
        match self.step {
            // nsock tells missing privileges for a device only to those who look closely.
            Step::SetupFailed {
                during: During::Option(SocketOption::BindToDevice),
                errno: libc::EPERM,
                ..
            } => Level::Full,
            Step::SetupFailed { .. } | Step::WaitFailed { .. } | Step::PcapFailed { .. } => Level::Error,
            Step::IodNew
            | Step::IodDelete
            | Step::SetupUdp
            | Step::Listening
            | Step::PcapRequested { .. }
            | Step::PcapOpened { .. }
            | Step::Request { .. }
            | Step::Binding { .. }
            | Step::TlsFailed { .. }
            | Step::Proxy(
                ProxyStep::Asked { .. }
                | ProxyStep::Awaited { .. }
                | ProxyStep::Through
                | ProxyStep::Failed(_),
            )
            | Step::Callback(_)
            | Step::Cancel { .. }
            | Step::Removed { .. } => Level::Info,
            Step::EventNew
            | Step::Armed { .. }
            | Step::LoopStarted { .. }
            | Step::Proxy(ProxyStep::Refused(_))
            | Step::Released => Level::Debug,
            Step::Proxy(ProxyStep::Redirected)
            | Step::Turn
            | Step::Ready { .. }
            | Step::Partial { .. }
            | Step::TimerFired => Level::Full,
        }
    }

    /// The record without what it borrows: payload and path.
    #[must_use]
    pub fn without_payload(&self) -> Record<'static> {
        Record { payload: &[], path: None, ..*self }
    }
}

/// Takes records. Called in the middle of the loop: it should be quick, and it cannot reach the pool.
pub trait Sink {
    /// Takes one record.
    fn record(&mut self, record: &Record<'_>);
}

impl<F: FnMut(&Record<'_>)> Sink for F {
    fn record(&mut self, record: &Record<'_>) {
        self(record);
    }
}

/// Hands the classic text to the `log` crate: one target per kind of step (`nsock::iod`, `nsock::connect`,
/// `nsock::read`, `nsock::write`, `nsock::pcap`, `nsock::timer`, `nsock::cancel`, `nsock::callback`, `nsock::turn`), so that
/// `RUST_LOG=nsock::callback=info` shows callbacks only.
#[derive(Debug)]
pub struct Log {
    start: Instant,
}

impl Log {
    /// Times in the text count from `start`.
    #[must_use]
    pub fn new(start: Instant) -> Self {
        Self { start }
    }
}

impl Sink for Log {
    fn record(&mut self, record: &Record<'_>) {
        let level = match record.level() {
            Level::Error => log::Level::Error,
            Level::Info => log::Level::Info,
            Level::Debug => log::Level::Debug,
            Level::Full => log::Level::Trace,
        };
        let target = target(record);
        if !log::log_enabled!(target: target, level) {
            return;
        }
        if let Some(text) = ClassicText::new(record, self.start) {
            log::log!(target: target, level, "{text}");
        }
    }
}

fn target(record: &Record<'_>) -> &'static str {
    match (record.step, record.kind) {
        (Step::Callback(_), _) => "nsock::callback",
        (Step::Cancel { .. } | Step::Removed { .. }, _) => "nsock::cancel",
        (Step::LoopStarted { .. } | Step::Turn | Step::WaitFailed { .. } | Step::Ready { .. }, _) => {
            "nsock::turn"
        }
        (_, Some(Kind::Connect | Kind::ConnectSsl | Kind::Accept)) => "nsock::connect",
        (_, Some(Kind::Read)) => "nsock::read",
        (_, Some(Kind::PcapRead)) => "nsock::pcap",
        (Step::PcapRequested { .. } | Step::PcapOpened { .. } | Step::PcapFailed { .. }, _) => "nsock::pcap",
        (_, Some(Kind::Write)) => "nsock::write",
        (_, Some(Kind::Timer | Kind::Wake)) => "nsock::timer",
        (_, None) => "nsock::iod",
    }
}

/// The one funnel: knows the sinks and which scopes are traced.
pub(crate) struct Tracer {
    sinks: Vec<(Level, Box<dyn Sink>)>,
    ring: Option<Ring>,
    /// The most detail that anybody wants; `None` is the one branch when tracing is off.
    pub(crate) wanted: Option<Level>,
    scopes: Vec<ScopeTrace>,
}

struct ScopeTrace {
    label: &'static str,
    on: bool,
}

impl Tracer {
    pub(crate) fn new() -> Self {
        Self { sinks: Vec::new(), ring: None, wanted: None, scopes: vec![ScopeTrace { label: "", on: true }] }
    }

    pub(crate) fn add(&mut self, level: Level, sink: Box<dyn Sink>) {
        self.sinks.push((level, sink));
        self.wanted = self.wanted.max(Some(level));
    }

    pub(crate) fn keep_last(&mut self, records: usize) {
        self.ring = Some(Ring::new(records));
        self.wanted = Some(Level::Full);
    }

    pub(crate) fn ring(&self) -> Option<&Ring> {
        self.ring.as_ref()
    }

    pub(crate) fn clear(&mut self) {
        self.sinks.clear();
        self.ring = None;
        self.wanted = None;
    }

    /// The scope with this label, made if it is new.
    pub(crate) fn scope(&mut self, label: &'static str) -> ScopeId {
        let index = self.scopes.iter().position(|scope| scope.label == label).unwrap_or_else(|| {
            self.scopes.push(ScopeTrace { label, on: true });
            self.scopes.len() - 1
        });
        ScopeId(u16::try_from(index).unwrap_or(0))
    }

    pub(crate) fn switch(&mut self, scope: ScopeId, on: bool) {
        if let Some(scope) = self.scopes.get_mut(usize::from(scope.0)) {
            scope.on = on;
        }
    }

    pub(crate) fn label(&self, scope: u16) -> &'static str {
        self.scopes.get(usize::from(scope)).map_or("", |scope| scope.label)
    }

    #[cold]
    pub(crate) fn record(&mut self, scope: u16, record: &Record<'_>) {
        if !self.scopes.get(usize::from(scope)).is_none_or(|scope| scope.on) {
            return;
        }
        if let Some(ring) = &mut self.ring {
            ring.record(record);
        }
        if self.sinks.is_empty() {
            return;
        }
        let level = record.level();
        for (wanted, sink) in &mut self.sinks {
            if level <= *wanted {
                sink.record(record);
            }
        }
    }
}

impl fmt::Debug for Tracer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Tracer")
            .field("sinks", &self.sinks.len())
            .field("wanted", &self.wanted)
            .finish_non_exhaustive()
    }
}

/// Says through the `log` crate that a pool was dropped with something pending.
#[cfg(debug_assertions)]
pub(crate) fn warn_dropped_pending(report: &crate::observe::Report) {
    let pending = report.events.len();
    let s = if pending == 1 { "" } else { "s" };
    log::warn!(target: "nsock::pool", "a pool was dropped with {pending} event{s} pending\n{report}");
}
