//! Everything a handler may do: the requests of nsock, typed.

mod iods;
mod listen;
mod packets;
mod proxied;
#[cfg(feature = "tls")]
mod tls;

use std::fmt;
use std::net::SocketAddr;
use std::path::Path;
use std::time::{Duration, Instant};

use crate::backend::Waker;
use crate::engine::{Engine, Notice};
use crate::error::{During, Failure};
use crate::event::{
    Alarm, Completion, Connected, Event, EventId, IodId, Kind, Output, Received, ScopeId, Sent,
};
use crate::observe::Report;
use crate::op::Until;
use crate::pool::Handlers;
use crate::request::{Request, SocketKind};
use crate::trace::{Level, Ring, Sink};

/// The requests that a pool takes, from its owner before [`run`](crate::Pool::run) and from handlers during it.
///
/// Every request returns at once with the id of its event, and its handler runs exactly once, later, from the loop:
/// with the result, or with the [`Failure`], even if that was known at once. A limit of `None` means no limit.
/// Handlers are closures or, simpler, methods of the state.
pub struct Io<S> {
    pub(crate) engine: Engine,
    pub(crate) handlers: Handlers<S>,
    pub(crate) quit: bool,
}

/// # Requests
impl<S: 'static> Io<S> {
    /// Connects an IOD to a TCP server, by IPv4 or IPv6.
    #[track_caller]
    pub fn connect_tcp(
        &mut self,
        iod: IodId,
        to: SocketAddr,
        limit: Option<Duration>,
        handler: impl FnOnce(&mut S, &mut Self, Event<Connected>) + 'static,
    ) -> EventId {
        self.ask(Request::ConnectTcp { iod, to }, limit, Output::connected, handler)
    }

    /// Fixes the UDP peer of an IOD. No packet is sent; the handler runs in the next turn.
    #[track_caller]
    pub fn connect_udp(
        &mut self,
        iod: IodId,
        to: SocketAddr,
        handler: impl FnOnce(&mut S, &mut Self, Event<Connected>) + 'static,
    ) -> EventId {
        self.ask(Request::ConnectUdp { iod, to }, None, Output::connected, handler)
    }

    /// Gives an IOD an unconnected UDP socket bound to `local`, at once; port 0 and the unspecified address leave
    /// the choice to the system. [`sendto`](Self::sendto) and the reads work on it.
    ///
    /// # Errors
    /// The failure of making or binding the socket.
    pub fn setup_udp(&mut self, iod: IodId, local: SocketAddr) -> Result<(), Failure> {
        self.engine.setup_udp(iod, local)
    }

    /// Connects an IOD to a Unix stream socket. That succeeds or fails at once, so the limit is only shown in the
    /// trace: a listener whose backlog is full is a failure (`EAGAIN`).
    #[track_caller]
    pub fn connect_unixsock_stream(
        &mut self,
        iod: IodId,
        path: impl AsRef<Path>,
        limit: Option<Duration>,
        handler: impl FnOnce(&mut S, &mut Self, Event<()>) + 'static,
    ) -> EventId {
        let request = Request::ConnectUnix { iod, path: path.as_ref(), kind: SocketKind::Stream };
        self.ask(request, limit, Output::connected_unix, handler)
    }

    /// Fixes the peer of an IOD to a Unix datagram socket; it has to exist. The IOD's own socket has no name, so the
    /// peer cannot answer.
    #[track_caller]
    pub fn connect_unixsock_datagram(
        &mut self,
        iod: IodId,
        path: impl AsRef<Path>,
        handler: impl FnOnce(&mut S, &mut Self, Event<()>) + 'static,
    ) -> EventId {
        let request = Request::ConnectUnix { iod, path: path.as_ref(), kind: SocketKind::Datagram };
        self.ask(request, None, Output::connected_unix, handler)
    }

    /// Connects an IOD to a stream socket across the border of a virtual machine (vsock(7)).
    #[cfg(feature = "vsock")]
    #[track_caller]
    pub fn connect_vsock_stream(
        &mut self,
        iod: IodId,
        cid: u32,
        port: u32,
        limit: Option<Duration>,
        handler: impl FnOnce(&mut S, &mut Self, Event<()>) + 'static,
    ) -> EventId {
        self.ask(
            Request::ConnectVsock { iod, cid, port, kind: SocketKind::Stream },
            limit,
            Output::connected_unix,
            handler,
        )
    }

    /// Fixes the peer of an IOD to a datagram socket across the border of a virtual machine, where the system has any.
    #[cfg(feature = "vsock")]
    #[track_caller]
    pub fn connect_vsock_datagram(
        &mut self,
        iod: IodId,
        cid: u32,
        port: u32,
        handler: impl FnOnce(&mut S, &mut Self, Event<()>) + 'static,
    ) -> EventId {
        self.ask(
            Request::ConnectVsock { iod, cid, port, kind: SocketKind::Datagram },
            None,
            Output::connected_unix,
            handler,
        )
    }

    /// Reads whatever comes first: at least a byte of a stream, or one whole datagram, which may be empty.
    #[track_caller]
    pub fn read(
        &mut self,
        iod: IodId,
        limit: Option<Duration>,
        handler: impl FnOnce(&mut S, &mut Self, Event<Received>) + 'static,
    ) -> EventId {
        self.ask(Request::Read { iod, until: Until::Any }, limit, Output::received, handler)
    }

    /// Reads at least `bytes` bytes; more if more has come. What has come when time runs out, or when the peer
    /// closes, is a success too: [`Received::end`] tells.
    #[track_caller]
    pub fn readbytes(
        &mut self,
        iod: IodId,
        bytes: usize,
        limit: Option<Duration>,
        handler: impl FnOnce(&mut S, &mut Self, Event<Received>) + 'static,
    ) -> EventId {
        self.ask(Request::Read { iod, until: Until::Bytes(bytes) }, limit, Output::received, handler)
    }

    /// Reads at least `lines` newlines and what is around them; otherwise as [`readbytes`](Self::readbytes).
    #[track_caller]
    pub fn readlines(
        &mut self,
        iod: IodId,
        lines: usize,
        limit: Option<Duration>,
        handler: impl FnOnce(&mut S, &mut Self, Event<Received>) + 'static,
    ) -> EventId {
        self.ask(Request::Read { iod, until: Until::Lines(lines) }, limit, Output::received, handler)
    }

    /// Writes all of `data`. The bytes go out in the order of the requests; what the system cannot take at once is
    /// copied.
    #[track_caller]
    pub fn write(
        &mut self,
        iod: IodId,
        data: &[u8],
        limit: Option<Duration>,
        handler: impl FnOnce(&mut S, &mut Self, Event<Sent>) + 'static,
    ) -> EventId {
        self.ask(Request::Write { iod, data }, limit, Output::sent, handler)
    }

    /// Writes a text made with `format_args!`.
    #[track_caller]
    pub fn printf(
        &mut self,
        iod: IodId,
        limit: Option<Duration>,
        text: fmt::Arguments<'_>,
        handler: impl FnOnce(&mut S, &mut Self, Event<Sent>) + 'static,
    ) -> EventId {
        let mut line = String::new();
        let id = match fmt::write(&mut line, text) {
            Ok(()) => self.engine.submit(Request::Printf { iod, data: line.as_bytes() }, limit),
            Err(fmt::Error) => {
                let failure = Failure::Io { errno: libc::EMSGSIZE, during: During::Format };
                self.engine.submit_failed(Request::Printf { iod, data: &[] }, limit, failure)
            }
        };
        self.keep(id, Output::sent, handler)
    }

    /// Sends one datagram to an address, from an IOD that has a UDP socket.
    #[track_caller]
    pub fn sendto(
        &mut self,
        iod: IodId,
        to: SocketAddr,
        data: &[u8],
        limit: Option<Duration>,
        handler: impl FnOnce(&mut S, &mut Self, Event<Sent>) + 'static,
    ) -> EventId {
        self.ask(Request::Sendto { iod, to, data }, limit, Output::sent, handler)
    }

    /// Runs the handler when so much time has passed; never earlier.
    #[track_caller]
    pub fn timer_create(
        &mut self,
        after: Duration,
        handler: impl FnOnce(&mut S, &mut Self, Alarm) + 'static,
    ) -> EventId {
        let id = self.engine.submit(Request::Timer, Some(after));
        self.keep_alarm(id, handler)
    }

    /// Runs the handler when a [`waker`](Self::waker) of this pool is used, or has been since the last such event.
    #[track_caller]
    pub fn wake_wait(
        &mut self,
        limit: Option<Duration>,
        handler: impl FnOnce(&mut S, &mut Self, Alarm) + 'static,
    ) -> EventId {
        let id = self.engine.submit(Request::Wake, limit);
        self.keep_alarm(id, handler)
    }

    /// Ends an event before its time; its handler runs from the loop, with [`Failure::Cancelled`].
    ///
    /// True if it was pending, even if it had finished and only its handler was still to run. False for a stale
    /// id: the event whose handler is running, one that has ended, one that was cancelled before.
    pub fn event_cancel(&mut self, event: EventId) -> bool {
        self.engine.cancel(event, Notice::Given)
    }

    /// Ends an event before its time; its handler never runs and is dropped. False for a stale id.
    pub fn forget(&mut self, event: EventId) -> bool {
        // Looked up first, so that the two tables are fetched from memory at the same time.
        let handler = if self.engine.is_pending(event) { self.handlers.take(event.slot) } else { None };
        let found = self.engine.cancel(event, Notice::Silent);
        drop(handler);
        found
    }

    #[track_caller]
    fn ask<T: 'static>(
        &mut self,
        request: Request<'_>,
        limit: Option<Duration>,
        pick: fn(Output) -> Option<T>,
        handler: impl FnOnce(&mut S, &mut Self, Event<T>) + 'static,
    ) -> EventId {
        let id = self.engine.submit(request, limit);
        self.keep(id, pick, handler)
    }

    fn keep<T: 'static>(
        &mut self,
        id: EventId,
        pick: fn(Output) -> Option<T>,
        handler: impl FnOnce(&mut S, &mut Self, Event<T>) + 'static,
    ) -> EventId {
        if id != EventId::REFUSED {
            let narrow =
                move |state: &mut S, io: &mut Self, done: Completion| handler(state, io, done.event(pick));
            self.handlers.put(id.slot, Box::new(narrow));
        }
        id
    }

    fn keep_alarm(
        &mut self,
        id: EventId,
        handler: impl FnOnce(&mut S, &mut Self, Alarm) + 'static,
    ) -> EventId {
        if id != EventId::REFUSED {
            let narrow =
                move |state: &mut S, io: &mut Self, done: Completion| handler(state, io, done.alarm());
            self.handlers.put(id.slot, Box::new(narrow));
        }
        id
    }
}

/// # The loop
impl<S: 'static> Io<S> {
    /// Makes [`run`](crate::Pool::run) return [`Stop::Quit`](crate::Stop::Quit) after this turn, or at once when it
    /// is called next.
    pub fn loop_quit(&mut self) {
        self.quit = true;
    }

    /// The time of this turn on the monotonic clock, from which limits count; outside the loop, the time now.
    pub fn now(&mut self) -> Instant {
        self.engine.now()
    }

    /// A handle that wakes this pool's loop from any thread.
    #[must_use]
    pub fn waker(&self) -> Waker {
        self.engine.waker()
    }

    /// The scope with this label, made with serials from 1 if it is new.
    pub fn scope(&mut self, label: &'static str) -> ScopeId {
        self.engine.scope(label)
    }

    /// Calls `work`, making what it requests and its IODs in this scope. Handlers enter the scope of their event by
    /// themselves.
    pub fn with_scope<R>(&mut self, scope: ScopeId, work: impl FnOnce(&mut Self) -> R) -> R {
        let before = self.engine.enter_scope(scope);
        let result = work(self);
        self.engine.enter_scope(before);
        result
    }
}

/// # Introspection
impl<S: 'static> Io<S> {
    /// How many events are pending.
    #[must_use]
    pub fn pending(&self) -> usize {
        self.engine.pending()
    }

    /// How many events of this kind are pending.
    #[must_use]
    pub fn pending_of(&self, kind: Kind) -> usize {
        self.engine.pending_of(kind)
    }

    /// Whether this event has not ended.
    #[must_use]
    pub fn is_pending(&self, event: EventId) -> bool {
        self.engine.is_pending(event)
    }

    /// How a pending event has failed, if it has and only its handler is still to run.
    #[must_use]
    pub fn failure(&self, event: EventId) -> Option<Failure> {
        self.engine.failure(event)
    }

    /// The open IODs and pending events, as a value that can be printed.
    pub fn report(&mut self) -> Report {
        self.engine.report()
    }

    /// Sends every step from now on, up to this level of detail, to one more sink.
    pub fn trace_to(&mut self, level: Level, sink: impl Sink + 'static) {
        self.engine.trace_to(level, sink);
    }

    /// Keeps the last records in memory from now on, at full detail but without payloads.
    pub fn trace_ring(&mut self, records: usize) {
        self.engine.trace_ring(records);
    }

    /// The last records, if they are kept.
    #[must_use]
    pub fn ring(&self) -> Option<&Ring> {
        self.engine.ring()
    }

    /// Removes all sinks and the ring.
    pub fn trace_off(&mut self) {
        self.engine.trace_off();
    }

    /// Traces or hides one scope; all are traced by default.
    pub fn set_scope_trace(&mut self, scope: ScopeId, on: bool) {
        self.engine.set_scope_trace(scope, on);
    }
}

impl<S> fmt::Debug for Io<S> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Io").field("engine", &self.engine).field("quit", &self.quit).finish_non_exhaustive()
    }
}
