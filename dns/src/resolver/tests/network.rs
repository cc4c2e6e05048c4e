//! A simulated network: a driver for the resolver whose clock jumps from event to event.

use std::collections::{BTreeMap, BTreeSet};
use std::io;
use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::time::{Duration, Instant};

use crate::testing::{Response, start_of_time};
use crate::{Answer, Config, Discard, Outcome, Request, RequestId, Resolver, SocketId, Transmit, Transport};

pub(super) const MILLISECOND: Duration = Duration::from_millis(1);
pub(super) const SECOND: Duration = Duration::from_secs(1);

/// Turns of the loop without an end in sight: nothing in the tests needs as many.
const TURNS_MAX: usize = 3_000_000;

/// What comes back for a datagram.
#[derive(Clone, Debug)]
pub(super) enum Effect {
    /// A datagram from the server that was asked.
    Reply(Vec<u8>),
    /// A datagram from somewhere else, if that were possible.
    Forgery(SocketAddr, Vec<u8>),
    /// An error on the socket.
    Error(io::ErrorKind),
}

/// How a server behaves: what comes back for a datagram, and how much later.
pub(super) type Behavior = Box<dyn FnMut(&mut fastrand::Rng, &Transmit) -> Vec<(Duration, Effect)>>;

/// Whether the system takes a datagram, by the number of those given out so far.
pub(super) type SendFault = Box<dyn FnMut(usize) -> Option<io::ErrorKind>>;

pub(super) struct Network {
    pub(super) resolver: Resolver,
    pub(super) now: Instant,
    pub(super) start: Instant,
    pub(super) answers: Vec<(Instant, Answer)>,
    pub(super) sent: Vec<(Instant, Transmit)>,
    pub(super) discards: Vec<Discard>,
    pub(super) opened: Vec<SocketId>,
    pub(super) open: BTreeSet<SocketId>,
    /// Those of them that are connections.
    pub(super) streams: BTreeSet<SocketId>,
    /// Most sockets open at once.
    pub(super) open_max: usize,
    pub(super) send_fault: SendFault,
    servers: Vec<Behavior>,
    events: BTreeMap<(Instant, usize), (SocketId, SocketAddr, Effect)>,
    event_count: usize,
    rng: fastrand::Rng,
    check_every: usize,
    turns: usize,
}

pub(super) fn server_address(index: usize) -> SocketAddr {
    (Ipv4Addr::new(198, 18, 53, u8::try_from(index).unwrap()), 53).into()
}

/// The `index`th address to look up.
pub(super) fn host(index: u32) -> IpAddr {
    Ipv4Addr::from_bits(0xc612_0000 + index).into()
}

impl Network {
    pub(super) fn new(servers: Vec<Behavior>) -> Self {
        Self::with(servers, |_| {})
    }

    pub(super) fn with(servers: Vec<Behavior>, configure: impl FnOnce(&mut Config)) -> Self {
        let mut config = Config::new((0..servers.len()).map(server_address).collect());
        configure(&mut config);
        let mut ids = fastrand::Rng::with_seed(7);
        let start = start_of_time();
        Self {
            resolver: Resolver::new(config, move || ids.u16(..)).unwrap(),
            now: start,
            start,
            answers: Vec::new(),
            sent: Vec::new(),
            discards: Vec::new(),
            opened: Vec::new(),
            open: BTreeSet::new(),
            streams: BTreeSet::new(),
            open_max: 0,
            send_fault: Box::new(|_| None),
            servers,
            events: BTreeMap::new(),
            event_count: 0,
            rng: fastrand::Rng::with_seed(11),
            check_every: 1,
            turns: 0,
        }
    }

    pub(super) fn reseed(&mut self, seed: u64) {
        self.rng.seed(seed);
    }

    pub(super) fn ask(&mut self, index: u32) -> RequestId {
        self.start(Request::Reverse(host(index)))
    }

    pub(super) fn start(&mut self, request: Request) -> RequestId {
        self.resolver.start(self.now, request).unwrap()
    }

    /// Asks for that many addresses and runs to the end.
    pub(super) fn sweep(&mut self, count: u32) {
        // The recount of the tables is slow; the small tests do it at every step.
        self.check_every = if count > 64 { 997 } else { 1 };
        for index in 0..count {
            self.ask(index);
        }
        self.run();
    }

    /// Runs until nothing waits any more.
    pub(super) fn run(&mut self) {
        self.run_until(None);
        assert!(self.resolver.is_idle() && self.resolver.outstanding() == 0);
        assert!(self.open.is_empty(), "sockets left open: {:?}", self.open);
    }

    pub(super) fn run_for(&mut self, time: Duration) {
        self.run_until(Some(self.now + time));
    }

    fn run_until(&mut self, end: Option<Instant>) {
        loop {
            self.drain();
            let event = self.events.first_key_value().map(|(&(at, _), _)| at);
            let timeout = self.resolver.poll_timeout();
            // Late datagrams for a resolver that has nothing to do any more are still delivered.
            let Some(next) = event.into_iter().chain(timeout).min() else { break };
            if end.is_some_and(|end| next > end) {
                break;
            }
            self.turns += 1;
            assert!(self.turns < TURNS_MAX, "it does not end");
            self.now = self.now.max(next);
            self.deliver();
            if timeout.is_some_and(|timeout| timeout <= self.now) {
                self.resolver.handle_timeout(self.now);
                let later = self.resolver.poll_timeout().is_none_or(|timeout| timeout > self.now);
                assert!(later, "a driver would spin");
            }
        }
        self.now = end.map_or(self.now, |end| end.max(self.now));
    }

    fn deliver(&mut self) {
        while let Some(entry) = self.events.first_entry().filter(|entry| entry.key().0 <= self.now) {
            let (socket, server, effect) = entry.remove();
            if !self.open.contains(&socket) {
                // The port is closed: the kernel throws it away.
                continue;
            }
            let result = match effect {
                Effect::Reply(bytes) if self.streams.contains(&socket) => {
                    for part in crate::stream::frame(&bytes).chunks(100) {
                        self.resolver.handle_stream(self.now, socket, part);
                        self.drain();
                    }
                    Ok(())
                }
                Effect::Reply(bytes) => self.resolver.handle_datagram(self.now, socket, server, &bytes),
                Effect::Forgery(from, bytes) => self.resolver.handle_datagram(self.now, socket, from, &bytes),
                Effect::Error(kind) => {
                    self.resolver.handle_socket_failure(self.now, socket, &kind.into());
                    Ok(())
                }
            };
            self.discards.extend(result.err());
            self.drain();
        }
    }

    /// What a driver does after each call.
    pub(super) fn drain(&mut self) {
        while let Some(transmit) = self.resolver.poll_transmit(self.now) {
            self.transmit(transmit);
        }
        while let Some(socket) = self.resolver.poll_close() {
            assert!(self.open.remove(&socket), "{socket} closed twice, or never opened");
        }
        while let Some(answer) = self.resolver.poll_answer() {
            assert!(
                self.answers.len() > 10_000 || self.answers.iter().all(|(_, other)| other.id != answer.id)
            );
            self.answers.push((self.now, answer));
        }
        if self.turns.is_multiple_of(self.check_every) {
            self.resolver.check();
        }
    }

    fn transmit(&mut self, mut transmit: Transmit) {
        if transmit.transport == Transport::Tcp {
            self.streams.insert(transmit.socket);
            let length = transmit.bytes.drain(..2).fold(0, |length, byte| length << 8 | usize::from(byte));
            assert_eq!(length, transmit.bytes.len());
        }
        if self.open.insert(transmit.socket) {
            assert!(!self.opened.contains(&transmit.socket), "{} opened twice", transmit.socket);
            self.opened.push(transmit.socket);
            self.open_max = self.open_max.max(self.open.len());
        }
        assert_eq!(transmit.address, server_address(transmit.server.index()));
        if let Some(kind) = (self.send_fault)(self.sent.len()) {
            self.sent.push((self.now, transmit.clone()));
            self.resolver.handle_send_failure(self.now, transmit.id, &kind.into());
            return;
        }
        let effects = (self.servers[transmit.server.index()])(&mut self.rng, &transmit);
        for (delay, effect) in effects {
            self.event_count += 1;
            self.events
                .insert((self.now + delay, self.event_count), (transmit.socket, transmit.address, effect));
        }
        self.sent.push((self.now, transmit));
    }

    /// Time from the start to the last answer.
    pub(super) fn elapsed(&self) -> Duration {
        self.answers.last().map_or(Duration::ZERO, |&(at, _)| at - self.start)
    }

    /// The only outcome there is.
    pub(super) fn outcome(&self) -> &Outcome {
        assert_eq!(self.answers.len(), 1);
        &self.answers[0].1.outcome
    }

    pub(super) fn count(&self, wanted: impl Fn(&Outcome) -> bool) -> usize {
        self.answers.iter().filter(|(_, answer)| wanted(&answer.outcome)).count()
    }

    /// Answers that have the name which belongs to the address.
    pub(super) fn right_names(&self) -> usize {
        let is_right = |answer: &Answer| match (&answer.request, &answer.outcome) {
            (Request::Reverse(IpAddr::V4(address)), Outcome::Names(names)) => {
                let [_, _, c, d] = address.octets();
                names.len() == 1 && names[0].to_string() == format!("h{d}-{c}.test")
            }
            _ => false,
        };
        self.answers.iter().filter(|(_, answer)| is_right(answer)).count()
    }
}

/// The name a query asks about, on the wire, in small letters.
pub(super) fn question(query: &[u8]) -> Vec<u8> {
    let mut name = Response::to(query).done().split_off(12);
    name.truncate(name.len() - 4);
    name.make_ascii_lowercase();
    name
}

/// The answer of an honest server: `h103-1.test` for 192.168.1.103, whatever is asked.
pub(super) fn honest_answer(query: &[u8]) -> Vec<u8> {
    let label =
        |at: usize| String::from_utf8_lossy(&query[at + 1..=at + usize::from(query[at])]).into_owned();
    let first = label(12);
    let second = label(13 + first.len());
    Response::to(query).ptr(&format!("h{first}-{second}.test")).done()
}

/// An honest server at that distance.
pub(super) fn honest(round_trip: Duration) -> Behavior {
    Box::new(move |_, transmit| vec![(round_trip, Effect::Reply(honest_answer(&transmit.bytes)))])
}

/// An honest server behind a line that loses that many of a thousand datagrams.
pub(super) fn lossy(round_trip: Duration, lost_of_1000: u32) -> Behavior {
    Box::new(move |rng, transmit| {
        let is_lost = rng.u32(0..1000) < lost_of_1000;
        if is_lost { Vec::new() } else { vec![(round_trip, Effect::Reply(honest_answer(&transmit.bytes)))] }
    })
}

/// No server at all, and nobody who says so.
pub(super) fn silent() -> Behavior {
    Box::new(|_, _| Vec::new())
}

/// No service on the port, which the host says.
pub(super) fn closed_port() -> Behavior {
    erring(MILLISECOND / 10, io::ErrorKind::ConnectionRefused)
}

/// An error on the socket for each datagram.
pub(super) fn erring(delay: Duration, kind: io::ErrorKind) -> Behavior {
    Box::new(move |_, _| vec![(delay, Effect::Error(kind))])
}

/// A server that answers everything with that.
pub(super) fn answering(round_trip: Duration, answer: impl Fn(&[u8]) -> Vec<u8> + 'static) -> Behavior {
    Box::new(move |_, transmit| vec![(round_trip, Effect::Reply(answer(&transmit.bytes)))])
}

impl Resolver {
    /// Recounts what the tables say about each other.
    pub(super) fn check(&self) {
        let mut in_flight = vec![0; self.servers.len()];
        let mut waiters = 0;
        for (slot, query) in &self.queries {
            let key = crate::query::QueryKey { serial: query.serial, slot };
            waiters += query.waiters.len();
            assert!(!query.waiters.is_empty());
            assert!(self.alarms.contains(&(query.alarm, key)) && query.alarm == query.next_alarm());
            assert_eq!(self.by_question.get(&query.question), Some(&key));
            if let Some(flight) = query.flight() {
                in_flight[flight.server.index()] += 1;
                assert!(query.open.contains(&flight.at));
            }
            let is_queued = self.fresh.contains(&key) || self.retries.contains(&(query.expires, key));
            assert_ne!(is_queued, query.flight().is_some());
            for &at in &query.open {
                assert_eq!(self.sockets.open(at).map(|open| open.query), Some(key));
            }
        }
        assert_eq!(in_flight, self.servers.iter().map(|server| server.in_flight()).collect::<Vec<_>>());
        assert!(in_flight.iter().all(|&count| count <= crate::WINDOW_MAX));
        assert_eq!(waiters, self.by_request.len());
        assert_eq!(self.alarms.len(), self.queries.len());
        assert_eq!(self.by_question.len(), self.queries.len());
    }
}
