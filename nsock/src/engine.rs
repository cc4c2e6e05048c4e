//! Takes requests and returns what is finished. Calls nobody.

mod cancel;
mod deliver;
mod note;
mod progress;
mod submit;

use std::collections::VecDeque;
use std::fmt;
use std::net::SocketAddr;
use std::os::fd::{AsFd, BorrowedFd};
use std::panic::Location;
use std::time::{Duration, Instant};

use crate::backend::{Backend, Ready, Source, Waker};
use crate::deadlines::Deadlines;
use crate::error::{During, Error, Failure, Misuse, SocketOption};
use crate::event::{EventId, IcmpError, IodId, Kind, ScopeId};
use crate::iod::{Iod, Link, Queue};
use crate::observe::Report;
use crate::op::{Op, Stage};
use crate::slots::Slots;
use crate::socket::{self, Flavor, SetupError, SocketOptions};
use crate::trace::{Level, Ring, Sink, Step, Tracer};
use crate::transport::Transport;

pub use cancel::Notice;
use note::Subject;

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
    defaults: SocketOptions,
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
            defaults: SocketOptions::default(),
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

    // ---- IODs -------------------------------------------------------------------------------------------------

    /// Makes an IOD without a descriptor.
    #[track_caller]
    pub fn iod_new(&mut self) -> IodId {
        let id = self.add_iod(Location::caller());
        self.note_iod(id, Step::IodNew);
        id
    }

    fn add_iod(&mut self, place: &'static Location<'static>) -> IodId {
        self.read_clock();
        let since = self.nanos(self.now);
        let serials = &mut self.scopes[usize::from(self.scope)];
        serials.iods += 1;
        self.made += 1;
        let mut id = IodId { slot: 0, made: self.made, number: serials.iods };
        id.slot = self.iods.insert(self.made, Iod::new(id, self.scope, since, place));
        if let Some(iod) = self.iods.get_mut(id.slot, id.made) {
            iod.id = id;
        }
        id
    }

    /// Makes an IOD from a duplicate of a descriptor: a socket, a pipe, a terminal or a file.
    ///
    /// The caller keeps the original, and its flags (`O_NONBLOCK` among them) are left as they are. Deleting the
    /// IOD closes the duplicate only.
    ///
    /// # Errors
    /// [`Error::Adopt`] if the descriptor cannot be duplicated or watched; no IOD number is used then.
    #[track_caller]
    pub fn iod_adopt(&mut self, fd: BorrowedFd<'_>) -> Result<IodId, Error> {
        let owned = fd.try_clone_to_owned().map_err(Error::Adopt)?;
        let mut transport = Transport::adopt(owned);
        let source = Source { slot: u32::MAX - 1, generation: 0 };
        // A trial registration, so that a descriptor that cannot be watched uses up no number.
        match self.backend.register(transport.as_fd(), source) {
            Ok(()) => self.backend.deregister(transport.as_fd()).map_err(Error::Adopt)?,
            Err(error) if error.raw_os_error() == Some(libc::EPERM) => transport = transport.into_file(),
            Err(error) => return Err(Error::Adopt(error)),
        }
        let peer = rustix::net::getpeername(&transport)
            .ok()
            .flatten()
            .and_then(|peer| SocketAddr::try_from(peer).ok());
        let id = self.add_iod(Location::caller());
        if let Some(iod) = self.iods.get_mut(id.slot, id.made) {
            iod.adopted = true;
            iod.peer = peer;
            iod.link = Link::Open;
            iod.ready.insert(Ready::WRITABLE);
            if transport.is_file() {
                iod.ready.insert(Ready::READABLE);
            } else {
                self.backend.register(transport.as_fd(), iod.source()).map_err(Error::Adopt)?;
            }
            iod.transport = Some(transport);
        }
        self.note_iod(id, Step::IodNew);
        Ok(id)
    }

    /// Gives an IOD without a descriptor an unconnected UDP socket of the family of `local`, bound to it.
    ///
    /// Port 0 and the unspecified address leave the choice to the system. Then [`Request::Sendto`](crate::Request::Sendto) and
    /// [`Request::Read`](crate::Request::Read) work on the IOD.
    ///
    /// # Errors
    /// The failure of making or binding the socket, or [`Misuse`] of the IOD.
    pub fn setup_udp(&mut self, id: IodId, local: SocketAddr) -> Result<(), Failure> {
        self.read_clock();
        match self.iods.get(id.slot, id.made) {
            None => return Err(Failure::Misuse(Misuse::StaleIod)),
            Some(iod) if iod.link != Link::Idle => return Err(Failure::Misuse(Misuse::AlreadyConnected)),
            Some(_) => {}
        }
        self.note_iod(id, Step::SetupUdp);
        let binding = Some(local).filter(|local| !local.ip().is_unspecified() || local.port() != 0);
        let socket = self.open_socket(id, &local, Flavor::Datagram, binding)?;
        self.watch(id, Transport::from_socket(socket, Flavor::Datagram), Link::Open)
    }

    /// Options for the sockets made from now on, where the IOD has none of its own.
    pub fn set_options(&mut self, options: SocketOptions) {
        self.defaults = options;
    }

    /// Options for the socket this IOD will get; false if the IOD is gone.
    pub fn iod_set_options(&mut self, id: IodId, options: SocketOptions) -> bool {
        let Some(iod) = self.iods.get_mut(id.slot, id.made) else { return false };
        iod.options = Some(Box::new(options));
        true
    }

    /// The IOD's descriptor, to set or ask what this library does not; `None` if it has none.
    #[must_use]
    pub fn iod_fd(&self, id: IodId) -> Option<BorrowedFd<'_>> {
        Some(self.iods.get(id.slot, id.made)?.transport.as_ref()?.as_fd())
    }

    /// The address last connected to, sent to, or received from.
    #[must_use]
    pub fn iod_peer(&self, id: IodId) -> Option<SocketAddr> {
        self.iods.get(id.slot, id.made)?.peer
    }

    /// The local address of the IOD's socket.
    #[must_use]
    pub fn iod_local(&self, id: IodId) -> Option<SocketAddr> {
        let address = rustix::net::getsockname(self.iod_fd(id)?).ok()?;
        SocketAddr::try_from(address).ok()
    }

    /// The ICMP message that ended the IOD's connect, if [`SocketOptions::icmp_errors`] was set and there was one.
    #[must_use]
    pub fn iod_icmp_error(&self, id: IodId) -> Option<IcmpError> {
        self.iods.get(id.slot, id.made)?.icmp_error
    }

    /// Sets how long closing an open socket waits for unsent data; zero resets the connection.
    ///
    /// # Errors
    /// The system's, or [`Misuse`] of an IOD without a socket.
    pub fn iod_set_linger(&mut self, id: IodId, linger: Duration) -> Result<(), Failure> {
        let fd = self.iod_fd(id).ok_or(Failure::Misuse(Misuse::NotConnected))?;
        rustix::net::sockopt::set_socket_linger(fd, Some(linger)).map_err(|errno| Failure::Io {
            errno: errno.raw_os_error(),
            during: During::Option(SocketOption::Linger),
        })
    }

    /// Bytes received and bytes sent so far, those of requests that failed later included.
    #[must_use]
    pub fn iod_bytes(&self, id: IodId) -> Option<(u64, u64)> {
        let iod = self.iods.get(id.slot, id.made)?;
        Some((iod.bytes_read, iod.bytes_written))
    }

    /// Makes a socket with the IOD's options, or the pool's if it has none; `local` goes before theirs.
    fn open_socket(
        &mut self,
        id: IodId,
        address: &SocketAddr,
        flavor: Flavor,
        local: Option<SocketAddr>,
    ) -> Result<socket2::Socket, Failure> {
        let mut iod = self.iods.get_mut(id.slot, id.made);
        // Borrowed and not cloned: a scan comes here for every probe.
        let own = iod.as_deref().and_then(|iod| iod.options.as_deref());
        let options = own.unwrap_or(&self.defaults);
        let (local, icmp_errors) = (local.or(options.local), options.icmp_errors);
        let mut binding = None;
        let opened = socket::open(address, flavor, options, local, |local| binding = Some(local));
        if let Some(iod) = &mut iod {
            iod.icmp_errors = icmp_errors;
        }
        if let Some(local) = binding {
            self.note_iod(id, Step::Binding { local });
        }
        opened.map_err(|SetupError { during, error }| {
            let errno = error.raw_os_error().unwrap_or(libc::EIO);
            self.note_iod(id, Step::SetupFailed { during, local, errno });
            Failure::Io { errno, during }
        })
    }

    /// Gives an IOD its descriptor and puts that under watch.
    fn watch(&mut self, id: IodId, transport: Transport, link: Link) -> Result<(), Failure> {
        let Some(iod) = self.iods.get_mut(id.slot, id.made) else {
            return Err(Failure::Misuse(Misuse::StaleIod));
        };
        if let Err(error) = self.backend.register(transport.as_fd(), iod.source()) {
            let failure = Failure::io(&error, During::Register);
            iod.link = Link::Failed { errno: failure.errno().unwrap_or(libc::EIO) };
            return Err(failure);
        }
        iod.transport = Some(transport);
        iod.link = link;
        if link == Link::Open {
            iod.ready.insert(Ready::WRITABLE);
        }
        Ok(())
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
