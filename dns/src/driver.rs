//! The resolver on an event pool: the only file that knows `nsock`.

use std::collections::{BTreeMap, HashMap};
use std::fmt;
use std::io;
use std::time::Instant;

use nsock::{
    Connected, Datagram, Datagrams, Destination, Event, EventId, Failure, Io, IodId, Received, ScopeId, Sent,
    SocketOptions,
};

use crate::{Answer, Full, Request, RequestId, Resolver, SocketId, Transmit, TransmitId, Transport};

/// The label of the scope that the IODs and events of look-ups are made in.
pub const SCOPE: &str = "dns";

/// The label of the scope of the one timer, so that look-ups look as in the transcripts: nsock's resolver has none.
pub const TIMER_SCOPE: &str = "dns-timer";

/// Queries due at once on one socket from which on they leave by one system call, and answers are taken by one. A few
/// names look as in the transcripts: one line for each datagram.
const BATCH_MIN: usize = 8;

/// A [`Resolver`] attached to its caller's pool.
///
/// It finds itself in the caller's state through a projection, and hands answers back through a second function, from
/// the loop and in the caller's own scope:
///
/// ```
/// use dns::{Answer, Config, Driver, Request, Resolver};
/// use nsock::{Io, Pool};
///
/// struct Names { dns: Driver<Self>, found: Vec<Answer> }
///
/// impl Names {
///     fn answered(&mut self, _: &mut Io<Self>, answer: Answer) {
///         self.found.push(answer);
///     }
/// }
///
/// let mut pool = Pool::<Names>::new()?;
/// let resolver = Resolver::new(Config::new(vec![]), dns::unpredictable_ids()?)?;
/// let dns = Driver::attach(&mut pool, resolver, |names| &mut names.dns, Names::answered);
/// let mut names = Names { dns, found: Vec::new() };
/// names.dns.start(&mut pool, Request::Reverse("127.0.0.1".parse()?))?;
/// pool.run(&mut names, None)?;
/// assert_eq!(names.found[0].outcome.to_string(), "localhost");
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
pub struct Driver<S> {
    resolver: Resolver,
    sockets: HashMap<SocketId, IodId>,
    options: SocketOptions,
    timer: Option<(EventId, Instant)>,
    scope: ScopeId,
    timer_scope: ScopeId,
    home: ScopeId,
    pick: Pick<S>,
    answer: fn(&mut S, &mut Io<S>, Answer),
}

type Pick<S> = fn(&mut S) -> &mut Driver<S>;

impl<S: 'static> Driver<S> {
    /// Attaches a resolver to a pool. `pick` finds the driver in the state; `answer` gets each answer, once, from the
    /// loop.
    pub fn attach(
        io: &mut Io<S>,
        resolver: Resolver,
        pick: fn(&mut S) -> &mut Self,
        answer: fn(&mut S, &mut Io<S>, Answer),
    ) -> Self {
        let (scope, timer_scope) = (io.scope(SCOPE), io.scope(TIMER_SCOPE));
        Self {
            resolver,
            sockets: HashMap::new(),
            options: SocketOptions::default(),
            timer: None,
            scope,
            timer_scope,
            home: ScopeId::DEFAULT,
            pick,
            answer,
        }
    }

    /// Options for the sockets that queries leave by, such as the interface.
    #[must_use]
    pub fn with_options(mut self, options: SocketOptions) -> Self {
        self.options = options;
        self
    }

    /// Makes the IODs and events of look-ups, and the timer, in scopes of other names than [`SCOPE`] and
    /// [`TIMER_SCOPE`].
    #[must_use]
    pub fn in_scopes(mut self, io: &mut Io<S>, label: &'static str, timer_label: &'static str) -> Self {
        (self.scope, self.timer_scope) = (io.scope(label), io.scope(timer_label));
        self
    }

    /// The resolver itself, for its counters and servers.
    #[must_use]
    pub fn resolver(&self) -> &Resolver {
        &self.resolver
    }

    /// Starts a look-up; its answer comes from the loop, even if it is known already.
    ///
    /// # Errors
    /// Gives the request back while too many are under way.
    pub fn start(&mut self, io: &mut Io<S>, request: Request) -> Result<RequestId, Full> {
        let id = self.resolver.start(io.now(), request)?;
        self.pump(io);
        if self.resolver.has_answers() {
            let now = io.now();
            self.set_timer(io, now);
        }
        Ok(id)
    }

    /// Settles all look-ups as cancelled; the answers come from the loop.
    pub fn cancel_all(&mut self, io: &mut Io<S>) {
        self.resolver.cancel_all(io.now());
        self.pump(io);
        let now = io.now();
        self.set_timer(io, now);
    }

    /// Closes every socket and forgets the timer; look-ups under way are not answered any more.
    pub fn detach(&mut self, io: &mut Io<S>) {
        for (_, iod) in self.sockets.drain() {
            io.iod_delete(iod);
        }
        if let Some((timer, _)) = self.timer.take() {
            io.forget(timer);
        }
    }

    /// Does what the resolver wants done, answers apart.
    fn pump(&mut self, io: &mut Io<S>) {
        let now = io.now();
        let scope = self.scope;
        io.with_scope(scope, |io| {
            // By socket, each in its order.
            let mut due: BTreeMap<SocketId, Vec<Transmit>> = BTreeMap::new();
            while let Some(transmit) = self.resolver.poll_transmit(now) {
                due.entry(transmit.socket).or_default().push(transmit);
            }
            for transmits in due.values() {
                self.send(io, transmits);
            }
            while let Some(socket) = self.resolver.poll_close() {
                if let Some(iod) = self.sockets.remove(&socket) {
                    io.iod_delete(iod);
                }
            }
        });
        if let Some(due) = self.resolver.poll_timeout() {
            self.set_timer(io, due);
        } else if let Some((timer, _)) = self.timer.take() {
            io.forget(timer);
        }
    }

    /// Sends what is due on one socket.
    fn send(&mut self, io: &mut Io<S>, transmits: &[Transmit]) {
        let Some(first) = transmits.first() else { return };
        let pick = self.pick;
        let iod = match self.sockets.get(&first.socket) {
            Some(&iod) => iod,
            None => self.open(io, first),
        };
        if first.transport == Transport::Udp && transmits.len() >= BATCH_MIN {
            let datagrams: Vec<_> =
                transmits.iter().map(|transmit| Datagram::new(Destination::Peer, &transmit.bytes)).collect();
            let ids: Vec<_> = transmits.iter().map(|transmit| transmit.id).collect();
            io.send_batch(iod, &datagrams, None, move |state: &mut S, io, event| {
                pick(state).sent(io, &ids, event);
                deliver(state, io, pick);
            });
            return;
        }
        for transmit in transmits {
            let id = transmit.id;
            io.write(iod, &transmit.bytes, None, move |state, io, event| {
                pick(state).sent(io, &[id], event);
                deliver(state, io, pick);
            });
        }
    }

    /// Opens a socket that the resolver has promised itself.
    fn open(&mut self, io: &mut Io<S>, transmit: &Transmit) -> IodId {
        let pick = self.pick;
        let socket = transmit.socket;
        let iod = io.iod_new();
        self.sockets.insert(socket, iod);
        io.iod_set_options(iod, self.options.clone());
        let connected = move |state: &mut S, io: &mut Io<S>, event| {
            pick(state).connected(io, socket, event);
            deliver(state, io, pick);
        };
        match transmit.transport {
            Transport::Udp => {
                io.connect_udp(iod, transmit.address, connected);
                io.read(iod, None, move |state, io, event| received(state, io, pick, socket, event));
            }
            Transport::Tcp => {
                io.connect_tcp(iod, transmit.address, None, connected);
                io.read(iod, None, move |state, io, event| streamed(state, io, pick, socket, event));
            }
        }
        iod
    }

    fn connected(&mut self, io: &mut Io<S>, socket: SocketId, event: Event<Connected>) {
        if let Err(failure) = event.outcome {
            self.resolver.handle_socket_failure(io.now(), socket, &system_error(failure));
            self.pump(io);
        }
    }

    fn sent(&mut self, io: &mut Io<S>, ids: &[TransmitId], event: Event<Sent>) {
        if let Err(failure) = event.outcome {
            let error = system_error(failure);
            for &id in ids {
                self.resolver.handle_send_failure(io.now(), id, &error);
            }
            self.pump(io);
        }
    }

    /// Waits for the next datagram of a socket, or for many where many are due.
    fn read_on(&self, io: &mut Io<S>, iod: IodId, socket: SocketId) {
        let pick = self.pick;
        if self.resolver.waiting_at(socket) >= BATCH_MIN {
            io.read_batch(iod, None, move |state, io, event| received_many(state, io, pick, socket, event));
        } else {
            io.read(iod, None, move |state, io, event| received(state, io, pick, socket, event));
        }
    }

    /// Sets the timer, unless one is set that goes off no later: that one will set the next.
    fn set_timer(&mut self, io: &mut Io<S>, due: Instant) {
        if let Some((timer, at)) = self.timer {
            if at <= due {
                return;
            }
            io.forget(timer);
        }
        let pick = self.pick;
        let after = due.saturating_duration_since(io.now());
        let timer = io.with_scope(self.timer_scope, |io| {
            io.timer_create(after, move |state: &mut S, io, _| {
                let driver = pick(state);
                driver.timer = None;
                driver.resolver.handle_timeout(io.now());
                driver.pump(io);
                deliver(state, io, pick);
            })
        });
        self.timer = Some((timer, due));
    }
}

/// A datagram has come. The next read is asked for first, as nsock's resolver does: nothing is missed.
fn received<S: 'static>(
    state: &mut S,
    io: &mut Io<S>,
    pick: Pick<S>,
    socket: SocketId,
    event: Event<Received>,
) {
    let iod = event.iod;
    let driver = pick(state);
    match event.outcome {
        Ok(got) => {
            driver.read_on(io, iod, socket);
            if let Some(from) = got.from.or_else(|| io.iod_peer(iod)) {
                // What is discarded is counted by the resolver; nothing else is to be done about it.
                let _ = driver.resolver.handle_datagram(io.now(), socket, from, &got.bytes);
            }
        }
        Err(failure) => driver.resolver.handle_socket_failure(io.now(), socket, &system_error(failure)),
    }
    driver.pump(io);
    deliver(state, io, pick);
}

/// Many datagrams have come.
fn received_many<S: 'static>(
    state: &mut S,
    io: &mut Io<S>,
    pick: Pick<S>,
    socket: SocketId,
    event: Event<Datagrams>,
) {
    let iod = event.iod;
    let driver = pick(state);
    match event.outcome {
        Ok(got) => {
            driver.read_on(io, iod, socket);
            let (now, peer) = (io.now(), io.iod_peer(iod));
            for (from, bytes) in got.iter() {
                if let Some(from) = from.or(peer) {
                    let _ = driver.resolver.handle_datagram(now, socket, from, bytes);
                }
            }
        }
        Err(failure) => driver.resolver.handle_socket_failure(io.now(), socket, &system_error(failure)),
    }
    driver.pump(io);
    deliver(state, io, pick);
}

/// Bytes of a connection have come.
fn streamed<S: 'static>(
    state: &mut S,
    io: &mut Io<S>,
    pick: Pick<S>,
    socket: SocketId,
    event: Event<Received>,
) {
    let iod = event.iod;
    let driver = pick(state);
    match event.outcome {
        Ok(got) => {
            io.read(iod, None, move |state, io, event| streamed(state, io, pick, socket, event));
            driver.resolver.handle_stream(io.now(), socket, &got.bytes);
        }
        Err(failure) => driver.resolver.handle_socket_failure(io.now(), socket, &system_error(failure)),
    }
    driver.pump(io);
    deliver(state, io, pick);
}

/// Hands out the answers there are, in the scope of whoever asked.
fn deliver<S: 'static>(state: &mut S, io: &mut Io<S>, pick: Pick<S>) {
    loop {
        let driver = pick(state);
        let (answer, home) = (driver.answer, driver.home);
        let Some(answered) = driver.resolver.poll_answer() else { return };
        io.with_scope(home, |io| answer(state, io, answered));
    }
}

/// The system's error behind a failure of an event.
fn system_error(failure: Failure) -> io::Error {
    match (failure, failure.errno()) {
        (_, Some(errno)) => io::Error::from_raw_os_error(errno),
        (Failure::Eof, _) => io::ErrorKind::UnexpectedEof.into(),
        _ => io::Error::other(failure),
    }
}

impl<S> fmt::Debug for Driver<S> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Driver").field("sockets", &self.sockets.len()).finish_non_exhaustive()
    }
}
