//! One random step.

use std::time::Duration;

use nsock::{Event, EventId, Io, IodId, Kind, Received, ScopeId, Sent, Until};

use super::ends::Sending;
use super::ledger::Guard;
use super::peers::Peer;
use super::state::{Asked, Connection, Model};
use super::streams::{self, DATAGRAM_HEAD_BYTES, Echo, Incoming};

const CONNECTIONS_MAX: usize = 40;
const PENDING_MAX: usize = 300;
/// One write in so many is larger than the socket buffers.
const LARGE_ONE_IN: usize = 300;
const LARGE_BYTES: usize = 6_000_000;
/// A send buffer that a longer write does not fit in.
const SMALL_BUFFER_BYTES: usize = 4_096;
const LONG_BYTES: usize = 40_000;

impl Model {
    /// Takes one random step, if any are left. Too much of anything is taken away first, so every run is bounded.
    pub(super) fn act(&mut self, io: &mut Io<Self>) {
        if self.steps == 0 {
            return;
        }
        self.steps -= 1;
        if self.asked.len() > PENDING_MAX || self.connections.len() > CONNECTIONS_MAX {
            return self.delete(io);
        }
        match self.rng.usize(0..100) {
            0..=6 => self.connect(io),
            7..=11 => self.delete(io),
            12..=41 => self.read(io),
            42..=64 => self.write(io),
            65..=71 => self.timer(io),
            72..=75 => self.door(io),
            76 => self.end_writes(io),
            77..=78 => self.wake(io),
            79..=86 => self.cancel(io),
            87..=92 => self.forget(io),
            93..=95 => self.use_stale_ids(io),
            96 => {
                self.seen.quits += 1;
                self.quit_asked = true;
                io.loop_quit();
            }
            _ => self.look(io),
        }
    }

    // ---- IODs -------------------------------------------------------------------------------------------------

    fn connect(&mut self, io: &mut Io<Self>) {
        let peer = self.rng.choice(Peer::ALL).unwrap_or(Peer::TcpEcho);
        self.connect_to(io, peer);
    }

    pub(super) fn connect_to(&mut self, io: &mut Io<Self>, peer: Peer) {
        let scope = self.any_scope();
        let iod = io.with_scope(scope, Io::iod_new);
        let incoming = match peer {
            Peer::TcpEcho => Incoming::Echo(Echo::default()),
            _ if peer.is_udp() => Incoming::Datagrams(0),
            _ => Incoming::Pattern(0),
        };
        self.connections.push(Connection::new(iod, scope, peer, incoming));
        if peer == Peer::Door {
            return io.listen_tcp(iod, testkit::LOOPBACK_V4).expect("a port is free");
        }
        if peer == Peer::UdpEcho && self.rng.bool() {
            let local = testkit::LOOPBACK_V4;
            return io.setup_udp(iod, local).expect("a socket can be made");
        }
        self.connect_again(io, iod, peer);
        if let Some(fd) = io.iod_fd(iod).filter(|_| peer == Peer::TcpEcho) {
            // Else nothing is ever sent in part: on loopback, buffers grow to megabytes.
            let small = socket2::SockRef::from(&fd).set_send_buffer_size(SMALL_BUFFER_BYTES);
            small.expect("every socket has a send buffer");
        }
    }

    /// Asks for a connect; the second one on an IOD is a misuse.
    pub(super) fn connect_again(&mut self, io: &mut Io<Self>, iod: IodId, peer: Peer) {
        let to = self.peers.address(peer);
        let limit = if peer.is_udp() { None } else { self.any_limit() };
        let guard = self.ledger.guard();
        let asked = self.asked_for(io, Kind::Connect, Some(iod), limit);
        self.submit(io, guard, asked, |io, guard| {
            if peer.is_udp() {
                io.connect_udp(iod, to, move |model, io, event| model.connected(io, &guard, event))
            } else {
                io.connect_tcp(iod, to, limit, move |model, io, event| model.connected(io, &guard, event))
            }
        });
    }

    fn delete(&mut self, io: &mut Io<Self>) {
        let over = self.connections.iter().position(|connection| connection.over);
        let Some(at) = over.or_else(|| self.any_connection()) else { return self.forget(io) };
        let iod = self.connections[at].iod;
        // What was cancelled has left its IOD and only waits for its notice.
        let mut pending: Vec<u64> = self
            .asked
            .iter()
            .filter(|(_, asked)| asked.iod == Some(iod) && !asked.cancelled)
            .map(|(token, _)| *token)
            .collect();
        pending.sort_unstable();
        self.asking = true;
        match self.rng.usize(0..3) {
            0 => {
                for token in &pending {
                    self.ledger.silence(*token);
                }
                assert!(io.iod_delete(iod));
                self.dropped(&pending);
            }
            1 => {
                for token in &pending {
                    if let Some(asked) = self.asked.get_mut(token) {
                        asked.cancelled = true;
                    }
                }
                assert!(io.iod_delete_notify(iod));
            }
            _ => {
                let deleted = io.iod_delete_idle(iod);
                self.asking = false;
                if !pending.is_empty() {
                    assert_eq!(deleted, Err(pending.len()));
                    return;
                }
                assert_eq!(deleted, Ok(true));
            }
        }
        self.asking = false;
        self.retire_iod(iod);
        assert!(io.iod_bytes(iod).is_none() && !io.iod_delete(iod) && !io.iod_delete_notify(iod));
    }

    /// These handlers must have been dropped, and not called.
    pub(super) fn dropped(&mut self, tokens: &[u64]) {
        for token in tokens {
            assert!(!self.ledger.holds(*token), "the handler is kept");
            let asked = self.asked.remove(token).expect("it is pending");
            self.retire_event(asked.id);
            self.seen.silent += 1;
            if let Some((_, place)) = asked.write {
                self.cut(asked.iod, place);
            }
        }
    }

    // ---- Requests ---------------------------------------------------------------------------------------------

    fn read(&mut self, io: &mut Io<Self>) {
        let Some(at) = self.any_connection() else { return self.connect(io) };
        let iod = self.connections[at].iod;
        let limit = self.any_limit();
        let until = match self.rng.usize(0..4) {
            0 | 1 => Until::Any,
            2 => Until::Bytes(self.rng.choice([0, 1, 10, 200, 5_000, 200_000, 700_000]).unwrap_or(0)),
            _ => Until::Lines(self.rng.usize(0..8)),
        };
        self.read_until(io, iod, until, limit);
    }

    pub(super) fn read_until(
        &mut self,
        io: &mut Io<Self>,
        iod: IodId,
        until: Until,
        limit: Option<Duration>,
    ) {
        let guard = self.ledger.guard();
        let mut asked = self.asked_for(io, Kind::Read, Some(iod), limit);
        asked.until = Some(until);
        self.submit(io, guard, asked, |io, guard| {
            let handler = move |model: &mut Self, io: &mut Io<Self>, event: Event<Received>| {
                model.received(io, &guard, event)
            };
            match until {
                Until::Bytes(bytes) => io.readbytes(iod, bytes, limit, handler),
                Until::Lines(lines) => io.readlines(iod, lines, limit, handler),
                _ => io.read(iod, limit, handler),
            }
        });
    }

    fn write(&mut self, io: &mut Io<Self>) {
        let Some(at) = self.any_connection() else { return self.connect(io) };
        let iod = self.connections[at].iod;
        self.write_to(io, iod);
    }

    pub(super) fn write_to(&mut self, io: &mut Io<Self>, iod: IodId) {
        let limit = self.any_limit();
        self.written += 1;
        let number = self.written;
        let large = self.rng.usize(0..LARGE_ONE_IN) == 0;
        let length = match self.rng.usize(0..12) {
            0 => 0,
            1 => 9_000,
            _ => self.rng.usize(DATAGRAM_HEAD_BYTES..300),
        };
        let (mut data, mut place, mut udp) = (streams::text(number, length), 0, false);
        match self.connection(iod).map(|connection| (&mut connection.incoming, connection.peer)) {
            Some((Incoming::Echo(echo), _)) => {
                if length == 9_000 {
                    data = streams::text(number, LONG_BYTES);
                }
                place = echo.write(number, data.len());
            }
            Some((Incoming::Datagrams(_), _)) => {
                udp = true;
                if length > 0 {
                    data = streams::datagram(number, length);
                }
            }
            // Nobody compares what these get.
            Some((Incoming::Pattern(_), Peer::Stall)) if large => data = vec![b'x'; LARGE_BYTES],
            _ => {}
        }
        let to = self.connection(iod).map(|connection| connection.peer).map(|peer| self.peers.address(peer));
        let to = to.filter(|_| udp && self.rng.bool());
        let text = String::from_utf8(data.clone()).ok().filter(|_| !udp && self.rng.bool());
        let guard = self.ledger.guard();
        let mut asked = self.asked_for(io, Kind::Write, Some(iod), limit);
        asked.write = Some((data.len(), place));
        asked.late = self.connection(iod).is_some_and(|connection| connection.sending == Sending::Ended);
        self.submit(io, guard, asked, |io, guard| {
            let handler =
                move |model: &mut Self, io: &mut Io<Self>, event: Event<Sent>| model.sent(io, &guard, event);
            match (to, text) {
                (Some(to), _) => io.sendto(iod, to, &data, limit, handler),
                (None, Some(text)) => io.printf(iod, limit, format_args!("{text}"), handler),
                (None, None) => io.write(iod, &data, limit, handler),
            }
        });
    }

    fn timer(&mut self, io: &mut Io<Self>) {
        let after =
            Duration::from_micros(self.rng.choice([0, 0, 1, 500, 1_000, 3_000, 9_000_000]).unwrap_or(0));
        let scope = self.any_scope();
        let guard = self.ledger.guard();
        let asked = self.asked_for(io, Kind::Timer, None, Some(after));
        self.submit(io, guard, asked, |io, guard| {
            io.with_scope(scope, |io| {
                io.timer_create(after, move |model, io, alarm| model.alarm(io, &guard, alarm))
            })
        });
    }

    fn wake(&mut self, io: &mut Io<Self>) {
        if self.rng.bool() {
            return io.waker().wake().expect("the wake-up descriptor works");
        }
        let limit = self.any_limit();
        let guard = self.ledger.guard();
        let asked = self.asked_for(io, Kind::Wake, None, limit);
        self.submit(io, guard, asked, |io, guard| {
            io.wake_wait(limit, move |model, io, alarm| model.alarm(io, &guard, alarm))
        });
    }

    pub(super) fn asked_for(
        &self,
        io: &mut Io<Self>,
        kind: Kind,
        iod: Option<IodId>,
        limit: Option<Duration>,
    ) -> Asked {
        let stale = iod.is_some_and(|iod| !self.connections.iter().any(|connection| connection.iod == iod));
        // A moment before the request, outside a turn: what is checked against it comes out no earlier.
        let at = io.now();
        Asked {
            id: EventId::REFUSED,
            kind,
            iod,
            until: None,
            write: None,
            at,
            limit,
            cancelled: false,
            stale,
            late: false,
        }
    }

    /// Makes a request, in the scope of its IOD.
    pub(super) fn submit(
        &mut self,
        io: &mut Io<Self>,
        guard: Guard,
        mut asked: Asked,
        request: impl FnOnce(&mut Io<Self>, Guard) -> EventId,
    ) {
        let token = guard.token;
        let scope = asked.iod.and_then(|iod| self.scope_of(iod));
        self.asking = true;
        if self.shutting_down {
            self.ledger.silence(token);
        }
        asked.id = match scope {
            Some(scope) => io.with_scope(scope, |io| request(io, guard)),
            None => request(io, guard),
        };
        self.asking = false;
        assert_eq!(asked.id == EventId::REFUSED, self.shutting_down);
        if self.shutting_down {
            assert!(!self.ledger.holds(token), "the handler of a refused request is kept");
            return;
        }
        assert!(io.is_pending(asked.id), "not delivered yet, whatever came of it");
        assert_eq!(asked.id.number() & 7, asked.kind as u64);
        self.asked.insert(token, asked);
        assert_eq!(io.pending(), self.asked.len());
    }

    // ---- Looking ----------------------------------------------------------------------------------------------

    fn look(&mut self, io: &mut Io<Self>) {
        match self.any_connection() {
            Some(at) if self.rng.bool() => {
                let Connection { iod, peer, .. } = self.connections[at];
                self.connect_again(io, iod, peer);
            }
            _ => self.check_report(io),
        }
    }

    // ---- Choices ----------------------------------------------------------------------------------------------

    fn scope_of(&mut self, iod: IodId) -> Option<ScopeId> {
        let open = self.connection(iod).map(|connection| connection.scope);
        open.or_else(|| self.stale_iods.iter().find(|(stale, _)| *stale == iod).map(|(_, scope)| *scope))
    }

    fn any_scope(&mut self) -> ScopeId {
        self.scopes[self.rng.usize(0..self.scopes.len())]
    }

    pub(super) fn any_connection(&mut self) -> Option<usize> {
        (!self.connections.is_empty()).then(|| self.rng.usize(0..self.connections.len()))
    }

    pub(super) fn any_request(&mut self) -> Option<u64> {
        // The order of a hash map is not ours to repeat.
        let mut tokens: Vec<u64> = self.asked.keys().copied().collect();
        tokens.sort_unstable();
        self.rng.choice(tokens)
    }

    pub(super) fn any_limit(&mut self) -> Option<Duration> {
        let millis =
            self.rng.choice([None, None, Some(0), Some(1), Some(3), Some(10), Some(5_000)]).flatten();
        millis.map(Duration::from_millis)
    }
}
