//! Sending: who is next, whom to ask, by which socket.

use std::time::{Duration, Instant};

use super::{Resolver, Transmit};
use crate::capability::Dress;
use crate::config::Rotation;
use crate::message::build_query;
use crate::query::{Flight, Query, QueryKey, Queue, State, Transport};
use crate::server::{Others, ServerId};
use crate::sockets::Open;
use crate::stream::frame;

/// Retries looked at for one that a server with room can be asked. More than one is needed when some servers have
/// already said that they cannot answer; a bound keeps a full window cheap.
const CANDIDATES_MAX: usize = 16;

impl Resolver {
    /// The question to send now and the server for it.
    pub(super) fn next_to_send(&self, now: Instant) -> Option<(QueryKey, ServerId)> {
        if self.local.hold_until.into_iter().chain(self.rate_until).any(|until| until > now) {
            return None;
        }
        if !self.servers.iter().any(|server| server.has_room(now)) {
            return None;
        }
        let retries = self.retries.iter().map(|&(_, key)| key).take(CANDIDATES_MAX);
        let mut candidates = retries.chain(self.fresh.first().copied());
        candidates.find_map(|key| Some((key, self.choose_server(now, self.query(key)?)?)))
    }

    /// Sends a question that waits.
    pub(super) fn send(&mut self, now: Instant, key: QueryKey, id: ServerId) -> Transmit {
        self.dequeue(key);
        let others = self.others(id);
        let query = &mut self.queries[key.slot];
        let server = &mut self.servers[id.index()];
        let timeout_max = self.config.try_timeout_max;
        let transport = if server.is_by_tcp { Transport::Tcp } else { query.transport };
        let timeout = if transport == Transport::Tcp || query.tries + 1 >= self.config.tries_max {
            // Nothing follows, or a handshake comes before, so there is no hurry.
            timeout_max
        } else {
            server.try_timeout(query.tries, timeout_max, others)
        };
        let dress = match transport {
            Transport::Udp => server.capability.dress(query.tries, &mut *self.ids),
            // The connection itself keeps strangers out.
            Transport::Tcp => Dress::default(),
        };
        let open = Open { query: key, sent_at: now, dress };
        let at = self.sockets.enter(id, transport, server.in_flight(), &query.open, open, &mut *self.ids);
        server.sent(now);
        self.counters.transmitted += 1;
        self.counters.retried += u64::from(query.tries > 0);
        query.sent(
            Flight { at, server: id, sent_at: now, deadline: now + timeout, dress },
            self.config.budget,
        );
        let cookies = server.capability.cookies().filter(|_| dress.has_opt);
        let message = build_query(at.id, &query.asked, dress.letters, cookies);
        let bytes = if transport == Transport::Tcp { frame(&message) } else { message };
        let address = server.address;
        self.rate_until = self.interval().map(|interval| now + interval);
        self.turn = self.turn.wrapping_add(1);
        self.reset_alarm(key);
        Transmit { id: at, socket: at.socket, transport, server: id, address, bytes }
    }

    /// Time from one query to the next, if there is a rate.
    pub(super) fn interval(&self) -> Option<Duration> {
        self.config.rate_max.map(|rate| Duration::from_secs(1) / rate.get())
    }

    /// Takes a question out of the queue it stands in.
    pub(super) fn dequeue(&mut self, key: QueryKey) {
        let query = &self.queries[key.slot];
        match query.state {
            State::InFlight(_) => {}
            State::Waiting(Queue::Fresh) => {
                self.fresh.remove(&key);
            }
            State::Waiting(Queue::Retry) => {
                self.retries.remove(&(query.expires, key));
            }
        }
    }

    /// Puts a question that was sent before into the queue again.
    pub(super) fn enqueue_retry(&mut self, key: QueryKey) {
        let query = &mut self.queries[key.slot];
        query.state = State::Waiting(Queue::Retry);
        self.retries.insert((query.expires, key));
        self.reset_alarm(key);
    }

    /// Whether a server other than this one is live.
    pub(super) fn others(&self, id: ServerId) -> Others {
        let is_other = |index| index != id.index();
        let mut servers = self.servers.iter().enumerate();
        if servers.any(|(index, server)| is_other(index) && !server.is_parked()) {
            Others::Live
        } else {
            Others::None
        }
    }

    /// The server to ask, of those that have room and have not said that they cannot answer.
    ///
    /// A parked one is asked if no live one is left, or as a probe while others are busy: then one name of many waits
    /// a little longer, and a single look-up never pays for it.
    fn choose_server(&self, now: Instant, query: &Query) -> Option<ServerId> {
        let eligible = || self.ids().filter(|&id| !query.failed_at.contains(id));
        let is_parked = |id: ServerId| self.servers[id.index()].is_parked();
        if let Some(id) = query.stick_to.filter(|&id| !query.failed_at.contains(id) && !is_parked(id)) {
            return Some(id).filter(|_| self.servers[id.index()].has_room(now));
        }
        let is_live_left = eligible().any(|id| !is_parked(id));
        let is_busy = self.servers.iter().any(|server| !server.is_parked() && server.in_flight() > 0);
        eligible()
            .filter(|&id| self.servers[id.index()].has_room(now))
            .filter(|&id| !is_parked(id) || !is_live_left || is_busy)
            .min_by_key(|&id| (!is_parked(id), self.distance(query, id)))
    }

    /// How far down the list a server is for a query: from the one after the last asked, or from where the rotation
    /// stands.
    fn distance(&self, query: &Query, id: ServerId) -> usize {
        let count = self.servers.len();
        let first = match (query.last_server, self.config.rotation) {
            (Some(last), _) => last.index() + 1,
            (None, Rotation::InOrder) => 0,
            (None, Rotation::Spread) => self.turn,
        };
        (id.index() + count - first % count) % count
    }

    /// All servers.
    pub(super) fn ids(&self) -> impl Iterator<Item = ServerId> + use<> {
        let count = u8::try_from(self.servers.len()).unwrap_or(u8::MAX);
        (0..count).map(ServerId)
    }

    /// Moves the entry of a query in the table of deadlines.
    fn reset_alarm(&mut self, key: QueryKey) {
        let query = &mut self.queries[key.slot];
        self.alarms.remove(&(query.alarm, key));
        query.alarm = query.next_alarm();
        self.alarms.insert((query.alarm, key));
    }
}
