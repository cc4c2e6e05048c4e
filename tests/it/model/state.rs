//! The state that is lent to the loop: what was asked for, and the handlers that judge what comes of it.

use std::collections::{HashMap, VecDeque};
use std::net::{SocketAddr, TcpStream};
use std::panic::resume_unwind;
use std::rc::Rc;
use std::time::{Duration, Instant};

use fastrand::Rng;
use nsock::{
    Alarm, Connected, End, Event, EventId, Failure, Io, IodId, Kind, Misuse, READ_BYTES_MAX, Received,
    ScopeId, Sent, Until,
};

use super::ends::Sending;
use super::ledger::{Guard, Ledger};
use super::peers::{Peer, Peers};
use super::streams::Incoming;

/// Stale ids remembered, to be used again.
const STALE_MAX: usize = 64;
/// One handler in so many panics.
const PANIC_ONE_IN: usize = 2_000;

/// What a handler panics with when it is meant to.
#[derive(Debug)]
pub(super) struct OnPurpose;

/// One IOD.
#[derive(Debug)]
pub(super) struct Connection {
    pub(super) iod: IodId,
    pub(super) scope: ScopeId,
    pub(super) peer: Peer,
    pub(super) incoming: Incoming,
    pub(super) connected: bool,
    /// Its connect failed, or its peer has ended it.
    pub(super) over: bool,
    pub(super) sending: Sending,
    /// Who waits at it, if it is a door.
    pub(super) visitors: VecDeque<SocketAddr>,
}

/// A request whose handler is still to be called.
#[derive(Debug)]
pub(super) struct Asked {
    pub(super) id: EventId,
    pub(super) kind: Kind,
    pub(super) iod: Option<IodId>,
    pub(super) until: Option<Until>,
    /// Bytes to write, and the place of the write in its IOD's order.
    pub(super) write: Option<(usize, usize)>,
    pub(super) at: Instant,
    pub(super) limit: Option<Duration>,
    pub(super) cancelled: bool,
    /// Its IOD had been deleted before.
    pub(super) stale: bool,
    /// The end of its connection's sending direction had been told before.
    pub(super) late: bool,
}

/// How often what was seen, so that a model which has stopped meeting anything fails.
#[derive(Debug, Default, Clone)]
pub(super) struct Seen {
    pub(super) connected: u64,
    pub(super) connects_failed: u64,
    pub(super) received: u64,
    pub(super) ends: u64,
    pub(super) datagrams: u64,
    pub(super) errors: u64,
    pub(super) sent: u64,
    pub(super) alarms: u64,
    pub(super) timed_out: u64,
    pub(super) cancelled: u64,
    pub(super) killed: u64,
    pub(super) misused: u64,
    pub(super) silent: u64,
    pub(super) panics: u64,
    pub(super) quits: u64,
    pub(super) settled: u64,
    pub(super) accepted: u64,
    pub(super) ended: u64,
    pub(super) late: u64,
}

/// What handlers work on.
#[derive(Debug)]
pub(super) struct Model {
    pub(super) rng: Rng,
    pub(super) ledger: Rc<Ledger>,
    pub(super) peers: Rc<Peers>,
    pub(super) steps: usize,
    pub(super) scopes: Vec<ScopeId>,
    pub(super) connections: Vec<Connection>,
    pub(super) asked: HashMap<u64, Asked>,
    /// Those who came to a door: they stay as they are, whatever becomes of the connection.
    pub(super) visits: Vec<TcpStream>,
    /// The numbers given to writes and datagrams.
    pub(super) written: u64,
    pub(super) stale_events: VecDeque<EventId>,
    /// With the scope of each: its number counts there.
    pub(super) stale_iods: VecDeque<(IodId, ScopeId)>,
    pub(super) quit_asked: bool,
    pub(super) shutting_down: bool,
    pub(super) settling: bool,
    /// A request, cancel or delete is being made: no handler may run.
    pub(super) asking: bool,
    pub(super) seen: Seen,
}

impl Model {
    pub(super) fn new(rng: Rng, peers: Rc<Peers>, steps: usize) -> Self {
        Self {
            rng,
            ledger: Rc::default(),
            peers,
            steps,
            scopes: Vec::new(),
            connections: Vec::new(),
            asked: HashMap::new(),
            visits: Vec::new(),
            written: 0,
            stale_events: VecDeque::new(),
            stale_iods: VecDeque::new(),
            quit_asked: false,
            shutting_down: false,
            settling: false,
            asking: false,
            seen: Seen::default(),
        }
    }

    /// Meets a new pool.
    pub(super) fn enter(&mut self, io: &mut Io<Self>) {
        self.scopes = vec![ScopeId::DEFAULT, io.scope("other")];
    }

    pub(super) fn connection(&mut self, iod: IodId) -> Option<&mut Connection> {
        self.connections.iter_mut().find(|connection| connection.iod == iod)
    }

    // ---- The handlers -----------------------------------------------------------------------------------------

    pub(super) fn connected(&mut self, io: &mut Io<Self>, guard: &Guard, event: Event<Connected>) {
        self.called(io, guard, event.id, event.outcome.as_ref().err().copied());
        let address = self.connection(event.iod).map(|connection| connection.peer);
        let address = address.map(|peer| self.peers.address(peer));
        match event.outcome {
            Ok(connected) => {
                assert_eq!(Some(connected.peer), address);
                self.seen.connected += 1;
                if let Some(connection) = self.connection(event.iod) {
                    assert!(!matches!(connection.peer, Peer::Refuse | Peer::Silent), "{:?}", connection.peer);
                    connection.connected = true;
                }
            }
            Err(_) => self.seen.connects_failed += 1,
        }
        self.follow_up(io);
    }

    pub(super) fn received(&mut self, io: &mut Io<Self>, guard: &Guard, event: Event<Received>) {
        let asked = self.called(io, guard, event.id, event.outcome.as_ref().err().copied());
        let connection = self.connections.iter_mut().find(|connection| connection.iod == event.iod);
        match (event.outcome, connection) {
            (Ok(received), Some(connection)) => {
                let datagrams = connection.incoming.take(&received.bytes);
                check_received(io.now(), &asked, &received, connection.peer, &datagrams);
                if connection.peer.is_udp() && !received.bytes.is_empty() {
                    assert_eq!(received.from, Some(self.peers.address(connection.peer)));
                }
                self.seen.received += 1;
                self.seen.datagrams += datagrams.len() as u64;
            }
            (Ok(_), None) => panic!("data from an IOD that was deleted"),
            (Err(Failure::Eof), Some(connection)) => {
                self.seen.ends += 1;
                assert!(!connection.peer.is_udp(), "a datagram socket has no end");
                if let Incoming::Pattern(count) = connection.incoming
                    && connection.peer.ends_in_order()
                {
                    assert_eq!(count, connection.peer.sends(), "the end came early");
                }
            }
            (Err(_), _) => {}
        }
        if self.settling {
            self.settle_more(io, event.iod);
        }
        self.follow_up(io);
    }

    pub(super) fn sent(&mut self, io: &mut Io<Self>, guard: &Guard, event: Event<Sent>) {
        let asked = self.called(io, guard, event.id, event.outcome.as_ref().err().copied());
        let (length, place) = asked.write.expect("it is a write");
        match event.outcome {
            Ok(sent) => {
                assert_eq!(sent.bytes, length);
                assert!(!asked.late, "a write goes out behind the end");
                self.seen.sent += 1;
            }
            Err(failure) => {
                if failure == Failure::Misuse(Misuse::WriteShut) {
                    let connection = self.connection(event.iod).expect("its end was asked for");
                    assert!(connection.sending > Sending::Open, "nobody has ended it");
                    self.seen.late += 1;
                }
                self.cut(asked.iod, place);
            }
        }
        self.follow_up(io);
    }

    pub(super) fn alarm(&mut self, io: &mut Io<Self>, guard: &Guard, alarm: Alarm) {
        let asked = self.called(io, guard, alarm.id, alarm.outcome.err());
        if alarm.outcome.is_ok() {
            self.seen.alarms += 1;
            if asked.kind == Kind::Timer {
                assert!(io.now() >= asked.at + asked.limit.expect("a timer has one"), "a timer fires early");
            }
        }
        self.follow_up(io);
    }

    /// What holds for every handler.
    pub(super) fn called(
        &mut self,
        io: &mut Io<Self>,
        guard: &Guard,
        id: EventId,
        failure: Option<Failure>,
    ) -> Asked {
        assert!(!self.asking, "a handler runs inside a request");
        self.ledger.call(guard);
        let asked = self.asked.remove(&guard.token).expect("it was asked for");
        assert_eq!(asked.id, id);
        assert!(!io.is_pending(id) && !io.event_cancel(id), "the id is stale while its handler runs");
        assert_eq!(io.pending(), self.asked.len());
        let cancelled = failure == Some(Failure::Cancelled);
        assert_eq!(cancelled, asked.cancelled, "{asked:?} ended with {failure:?}");
        let lost = failure.is_some_and(|failure| failure != Failure::Eof);
        assert!(!self.settling || !lost, "bytes are lost: {asked:?} ended with {failure:?}");
        let stale = failure == Some(Failure::Misuse(Misuse::StaleIod));
        assert!(cancelled || stale == asked.stale, "{asked:?} ended with {failure:?}");
        match failure {
            None | Some(Failure::Eof) => {}
            Some(Failure::Cancelled) => self.seen.cancelled += 1,
            Some(Failure::Killed) => {
                assert!(self.shutting_down, "killed, and the pool lives on");
                self.seen.killed += 1;
            }
            Some(Failure::Misuse(_)) => self.seen.misused += 1,
            Some(Failure::TimedOut) => {
                let limit = asked.limit.expect("what has no limit does not time out");
                assert!(io.now() >= asked.at + limit, "{asked:?} timed out early");
                self.seen.timed_out += 1;
            }
            Some(_) => self.seen.errors += 1,
        }
        if matches!(failure, Some(Failure::Eof | Failure::Io { .. }))
            && let Some(connection) = asked.iod.and_then(|iod| self.connection(iod))
        {
            connection.over = !connection.peer.is_udp();
        }
        self.retire_event(id);
        asked
    }

    pub(super) fn follow_up(&mut self, io: &mut Io<Self>) {
        if self.settling {
            return;
        }
        for _ in 0..self.rng.choice([0, 0, 1, 1, 2]).unwrap_or(0) {
            self.act(io);
        }
        if !self.shutting_down && self.rng.usize(0..PANIC_ONE_IN) == 0 {
            self.seen.panics += 1;
            // No message: the hook is not run.
            resume_unwind(Box::new(OnPurpose));
        }
    }

    // ---- Bookkeeping ------------------------------------------------------------------------------------------

    /// A write ended early.
    pub(super) fn cut(&mut self, iod: Option<IodId>, place: usize) {
        let connection = iod.and_then(|iod| self.connection(iod));
        if let Some(Connection { incoming: Incoming::Echo(echo), .. }) = connection {
            echo.cut(place);
        }
    }

    pub(super) fn retire_event(&mut self, id: EventId) {
        self.stale_events.push_back(id);
        if self.stale_events.len() > STALE_MAX {
            self.stale_events.pop_front();
        }
    }

    pub(super) fn retire_iod(&mut self, iod: IodId) {
        let scope = self.connection(iod).expect("it was open").scope;
        self.connections.retain(|connection| connection.iod != iod);
        self.stale_iods.push_back((iod, scope));
        if self.stale_iods.len() > STALE_MAX {
            self.stale_iods.pop_front();
        }
    }

    /// The pool says of itself what we know of it.
    pub(super) fn check_report(&self, io: &mut Io<Self>) {
        assert_eq!((io.pending(), self.ledger.uncalled()), (self.asked.len(), self.asked.len()));
        if self.rng.clone().usize(0..16) == 0 {
            let report = io.report();
            let iods: Vec<_> = report.iods.iter().map(|iod| iod.id).collect();
            let ours: Vec<_> = self.connections.iter().map(|connection| connection.iod).collect();
            assert_eq!(iods, ours, "oldest first");
            let mut events: Vec<_> = report.events.iter().map(|event| event.id).collect();
            let mut pending: Vec<_> = self.asked.values().map(|asked| asked.id).collect();
            events.sort_unstable_by_key(|id| format!("{id:?}"));
            pending.sort_unstable_by_key(|id| format!("{id:?}"));
            assert_eq!(events, pending);
        }
    }

    /// The pool is gone: so are all handlers.
    pub(super) fn check_ended(&self) {
        self.ledger.check();
        assert_eq!(self.ledger.len(), 0, "handlers are kept");
    }
}

/// A read that succeeded got what it asked for, or says why not.
fn check_received(now: Instant, asked: &Asked, received: &Received, peer: Peer, datagrams: &[usize]) {
    let length = received.bytes.len();
    let enough = |bytes: &[u8]| match asked.until.expect("it is a read") {
        Until::Bytes(wanted) => bytes.len() >= wanted,
        Until::Lines(wanted) => bytes.iter().filter(|&&byte| byte == b'\n').count() >= wanted,
        _ => peer.is_udp() || !bytes.is_empty(),
    };
    assert!(length > 0 || peer.is_udp(), "success with nothing");
    match received.end {
        End::Enough => assert!(enough(&received.bytes), "{asked:?} has too little"),
        End::Full => assert!(length >= READ_BYTES_MAX),
        End::TimedOut => {
            assert!(asked.limit.is_some_and(|limit| now >= asked.at + limit), "{asked:?} ends early")
        }
        _ => {}
    }
    if let Some(last) = datagrams.last() {
        let most = if asked.until == Some(Until::Any) { 1 } else { usize::MAX };
        assert!(datagrams.len() <= most, "datagrams run together: {datagrams:?}");
        let before = &received.bytes[..length - last];
        assert!(before.is_empty() || !enough(before), "a datagram is taken that was not needed");
    }
}

impl Seen {
    pub(super) fn add(&mut self, other: &Self) {
        for (sum, count) in self.counts_mut().into_iter().zip(other.clone().counts_mut()) {
            *sum += *count;
        }
    }

    fn counts_mut(&mut self) -> [&mut u64; 19] {
        let Self { connected, connects_failed, received, ends, datagrams, errors, sent, alarms, .. } = self;
        let Self { timed_out, cancelled, killed, misused, silent, panics, quits, settled, .. } = self;
        let Self { accepted, ended, late, .. } = self;
        [
            connected,
            connects_failed,
            received,
            ends,
            datagrams,
            errors,
            sent,
            alarms,
            timed_out,
            cancelled,
            killed,
            misused,
            silent,
            panics,
            quits,
            settled,
            accepted,
            ended,
            late,
        ]
    }

    /// A full run meets everything.
    pub(super) fn assert_all_seen(&self) {
        let counts = self.clone().counts_mut().map(|count| *count);
        assert!(counts.iter().all(|&count| count > 0), "{self:?}");
    }
}
