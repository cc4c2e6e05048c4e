//! The state machine: requests and datagrams in, datagrams and answers out. It never sees a socket or a clock.
//!
//! Four kinds of methods, as in other sans-IO libraries: `start` and `cancel` are the caller's wishes, `handle_*` tells
//! what happened outside, `poll_*` says what to do outside, the rest are questions. After any wish and any `handle_*`
//! drain [`poll_transmit`](Resolver::poll_transmit), [`poll_close`](Resolver::poll_close) and
//! [`poll_answer`](Resolver::poll_answer), in this order, then set the timer to
//! [`poll_timeout`](Resolver::poll_timeout).

mod dispatch;
mod doubt;
mod settle;

use std::collections::{BTreeSet, HashMap, VecDeque};
use std::fmt;
use std::io;
use std::net::SocketAddr;
use std::time::{Duration, Instant};

use slab::Slab;

use crate::accept::{Accepted, Discard, Expected, accept};
use crate::cache::Cache;
use crate::config::{Config, ConfigError, Counters};
use crate::hosts::Found;
use crate::outcome::{Answer, Outcome, Source, SystemError};
use crate::query::{InLine, Query, QueryKey, Transport, Trouble, Waiter};
use crate::request::{Question, Request, RequestId};
use crate::server::{Server, ServerId};
use crate::sockets::{Open, SocketId, Sockets, TransmitId};

/// Requests that a resolver holds at once, answers not yet fetched included: two /16. Whoever has more streams them.
pub const REQUESTS_MAX: usize = 1 << 17;

/// Time a request may wait for its first datagram, for each question ahead of it: a hundred names a second is slower
/// than any server worth asking.
const QUEUEING_PER_QUESTION: Duration = Duration::from_millis(10);

/// Questions that stand ready to be sent. The requests behind them wait in a line that costs less memory.
const READY_MAX: usize = 256;

/// Looks up names in bulk. See the [crate] for an example, and the module's methods for what each promises.
///
/// Each request that [`start`](Self::start) takes is settled by exactly one [`Answer`], in bounded time whatever the
/// servers, the network and the system do: the budget of the configuration from its first datagram on, and before that
/// the budget and 10 ms for each question ahead of it.
pub struct Resolver {
    config: Config,
    servers: Vec<Server>,
    sockets: Sockets,
    /// Requests not looked at yet, by id, which is the order of asking.
    line: VecDeque<InLine>,
    queries: Slab<Query>,
    by_question: HashMap<Question, QueryKey>,
    by_request: HashMap<RequestId, QueryKey>,
    /// Never sent, oldest first.
    fresh: BTreeSet<QueryKey>,
    /// To be sent again, nearest end first. These go before fresh ones.
    retries: BTreeSet<(Instant, QueryKey)>,
    /// One entry per query.
    alarms: BTreeSet<(Instant, QueryKey)>,
    answers: VecDeque<Answer>,
    cache: Cache,
    local: LocalTrouble,
    /// What last took a server away; the outcome of those that never got to one.
    last_loss: Trouble,
    /// A server was parked, or a probe of a parked one failed, since this was last looked at.
    is_loss_news: bool,
    /// With a rate, nothing is sent before.
    rate_until: Option<Instant>,
    /// Where [`Rotation::Spread`](crate::Rotation::Spread) goes on.
    turn: usize,
    requests: u64,
    serial: u64,
    /// The last `now` that time-outs were handled for.
    now: Option<Instant>,
    ids: Box<dyn FnMut() -> u16 + Send>,
    counters: Counters,
}

/// A datagram to be sent.
#[derive(Clone, Debug, Eq, PartialEq)]
#[non_exhaustive]
pub struct Transmit {
    /// Names it, should sending fail.
    pub id: TransmitId,
    /// The socket to send it by: one of its own port, connected to `address`. One not seen before is to be opened now;
    /// [`Resolver::poll_close`] says when to close it.
    pub socket: SocketId,
    /// What kind of socket that is. What comes by TCP goes to [`Resolver::handle_stream`].
    pub transport: Transport,
    /// The server it is for.
    pub server: ServerId,
    /// Its address.
    pub address: SocketAddr,
    /// The DNS message; for TCP with its length in front.
    pub bytes: Vec<u8>,
}

/// The resolver holds [`REQUESTS_MAX`] requests; ask again after the next answer. Gives the request back.
#[derive(Clone, Debug, Eq, PartialEq, thiserror::Error)]
#[error("{REQUESTS_MAX} look-ups are under way already; go on after the next answer")]
#[expect(clippy::exhaustive_structs, reason = "it is the request and nothing else")]
pub struct Full(pub Request);

/// Back-off while this machine cannot send: every server would be hit, so none is blamed.
#[derive(Debug, Default)]
struct LocalTrouble {
    /// Nothing is sent before.
    hold_until: Option<Instant>,
    /// Pauses since the last response.
    rounds: u32,
}

impl Resolver {
    /// Makes a resolver.
    ///
    /// `ids` gives the ids of the queries and has to be unpredictable: they are part of what keeps forged answers out.
    /// Take a generator of the system or one keyed by it; a seeded one is for tests.
    ///
    /// # Errors
    ///
    /// Fails if the configuration has too many servers.
    pub fn new(config: Config, ids: impl FnMut() -> u16 + Send + 'static) -> Result<Self, ConfigError> {
        let config = config.checked()?;
        Ok(Self {
            servers: config.servers.iter().map(|&address| server(&config, address)).collect(),
            sockets: Sockets::new(config.servers.len()),
            line: VecDeque::new(),
            queries: Slab::new(),
            by_question: HashMap::new(),
            by_request: HashMap::new(),
            fresh: BTreeSet::new(),
            retries: BTreeSet::new(),
            alarms: BTreeSet::new(),
            answers: VecDeque::new(),
            cache: Cache::new(config.cache_entries_max),
            local: LocalTrouble::default(),
            last_loss: Trouble::Silence,
            is_loss_news: false,
            rate_until: None,
            turn: 0,
            requests: 0,
            serial: 0,
            now: None,
            ids: Box::new(ids),
            counters: Counters::default(),
            config,
        })
    }

    /// Takes a request. What the hosts file or the cache knows, and what cannot be asked, is answered at once; a
    /// question that is already under way is shared.
    ///
    /// # Errors
    ///
    /// Gives the request back while [`REQUESTS_MAX`] are held.
    pub fn start(&mut self, now: Instant, request: Request) -> Result<RequestId, Full> {
        if self.outstanding() + self.answers.len() >= REQUESTS_MAX {
            return Err(Full(request));
        }
        self.requests += 1;
        let waiter = Waiter { id: RequestId(self.requests), started: now };
        let id = waiter.id;
        let question = match Question::try_from(&request) {
            Ok(question) => question,
            Err(why) => {
                self.answer(now, &waiter, request, Outcome::BadInput(why), Source::Resolver, None, 0);
                return Ok(id);
            }
        };
        let ahead =
            u32::try_from(self.line.len() + self.fresh.len() + self.retries.len()).unwrap_or(u32::MAX);
        let interval = self.interval().unwrap_or_default().max(QUEUEING_PER_QUESTION);
        let expires = now + self.config.budget + interval * ahead;
        let expires = self.line.back().map_or(expires, |last| expires.max(last.expires));
        let request = InLine { waiter, question, expires };
        if self.line.is_empty() && self.fresh.len() < READY_MAX {
            self.look_at(now, request);
        } else {
            self.line.push_back(request);
        }
        Ok(id)
    }

    /// Answers a request from memory, or has it wait for an answer that is under way, or puts its question into the
    /// queue.
    fn look_at(&mut self, now: Instant, request: InLine) {
        let InLine { waiter, question, expires } = request;
        if let Some((outcome, source, time)) = self.remembered(now, &question) {
            self.answer(now, &waiter, Request::from(&question), outcome, source, time, 0);
        } else if let Some(&key) = self.by_question.get(&question) {
            self.by_request.insert(waiter.id, key);
            self.queries[key.slot].waiters.push(waiter);
        } else {
            self.enter(question, waiter, expires);
        }
    }

    /// Has the next requests in line looked at, while there is room.
    fn call_up(&mut self, now: Instant) {
        while self.fresh.len() < READY_MAX
            && let Some(request) = self.line.pop_front()
        {
            self.look_at(now, request);
        }
        self.rest_if_idle();
    }

    /// Settles a request as cancelled. Returns false if it is settled already.
    pub fn cancel(&mut self, now: Instant, id: RequestId) -> bool {
        if let Some(key) = self.by_request.get(&id).copied() {
            self.cancel_waiter(now, key, id);
            return true;
        }
        let place = self.line.binary_search_by_key(&id, |request| request.waiter.id);
        let Some(request) = place.ok().and_then(|place| self.line.remove(place)) else { return false };
        self.turn_away(now, &request, Outcome::Cancelled);
        self.rest_if_idle();
        true
    }

    /// Settles all requests as cancelled and closes all sockets.
    pub fn cancel_all(&mut self, now: Instant) {
        while let Some(&(_, key)) = self.alarms.first() {
            self.settle(now, key, Outcome::Cancelled, Source::Resolver, None);
        }
        self.turn_all_away(now, &Outcome::Cancelled);
    }

    /// Takes in a datagram that came to `socket` from `from`.
    ///
    /// # Errors
    ///
    /// Says why the datagram was thrown away; that is news for a log, and changes nothing.
    pub fn handle_datagram(
        &mut self,
        now: Instant,
        socket: SocketId,
        from: SocketAddr,
        bytes: &[u8],
    ) -> Result<(), Discard> {
        match self.accept(socket, from, bytes) {
            Ok(accepted) => {
                let (at, open) = accepted.question;
                self.replied(now, at, open, accepted.reply, accepted.cookies);
                Ok(())
            }
            Err(why) => {
                self.counters.discarded += 1;
                self.doubted(now, socket, bytes, why);
                Err(why)
            }
        }
    }

    /// Takes in bytes of a connection: any part of any number of messages. What is wrong with one is counted, and
    /// changes nothing.
    pub fn handle_stream(&mut self, now: Instant, socket: SocketId, bytes: &[u8]) {
        let Some(server) = self.sockets.server_of(socket) else { return };
        let from = self.servers[server.index()].address;
        for message in self.sockets.received(socket, bytes) {
            // Why one is thrown away is in the counters; the connection itself vouches for its sender.
            let _ = self.handle_datagram(now, socket, from, &message);
        }
    }

    /// Takes in that a datagram could not be sent. Trouble of this machine is not held against the server: the query
    /// is sent again a little later.
    pub fn handle_send_failure(&mut self, now: Instant, id: TransmitId, error: &io::Error) {
        let error = SystemError::from(error);
        if error.is_about_the_way() {
            // The system reports an ICMP error at the next call on the socket, whatever it is.
            self.lose_socket(now, id.socket, error);
        } else if let Some(open) = self.sockets.open(id) {
            self.fail_locally(now, id, open, error);
        }
        self.settle_if_nobody_is_left(now);
    }

    /// Takes in that a socket could not be opened or connected, or that reading from it failed, be it for an ICMP
    /// error. The socket is given up: [`poll_close`](Self::poll_close) names it.
    pub fn handle_socket_failure(&mut self, now: Instant, socket: SocketId, error: &io::Error) {
        self.lose_socket(now, socket, error.into());
        self.settle_if_nobody_is_left(now);
    }

    /// Takes in that time has passed. Call it at [`poll_timeout`](Self::poll_timeout), or at any other time.
    pub fn handle_timeout(&mut self, now: Instant) {
        self.now = Some(now);
        while let Some(&(alarm, key)) = self.alarms.first()
            && alarm <= now
        {
            self.ring(now, key);
        }
        while self.line.front().is_some_and(|request| request.expires <= now)
            && let Some(request) = self.line.pop_front()
        {
            self.turn_away(now, &request, Outcome::TimedOut);
        }
        self.rest_if_idle();
        self.settle_if_nobody_is_left(now);
    }

    /// The next datagram to send, if one may go now.
    pub fn poll_transmit(&mut self, now: Instant) -> Option<Transmit> {
        self.call_up(now);
        let (key, server) = self.next_to_send(now)?;
        Some(self.send(now, key, server))
    }

    /// The next socket to close. It is not named again.
    pub fn poll_close(&mut self) -> Option<SocketId> {
        self.sockets.poll_close()
    }

    /// The next answer.
    pub fn poll_answer(&mut self) -> Option<Answer> {
        self.answers.pop_front()
    }

    /// Whether an answer is there to be fetched.
    #[must_use]
    pub fn has_answers(&self) -> bool {
        !self.answers.is_empty()
    }

    /// When [`handle_timeout`](Self::handle_timeout) is due; `None` if nothing is waited for. After that call it is
    /// later than its `now`.
    #[must_use]
    pub fn poll_timeout(&self) -> Option<Instant> {
        let alarm = self.alarms.first().map(|&(alarm, _)| alarm);
        let alarm = alarm.into_iter().chain(self.line.front().map(|request| request.expires)).min();
        if self.fresh.is_empty() && self.retries.is_empty() {
            return alarm;
        }
        let probes = self.servers.iter().filter_map(Server::probe_at);
        let holds = self.local.hold_until.into_iter().chain(self.rate_until);
        let wakes = probes.chain(holds).filter(|&wake| self.now.is_none_or(|now| wake > now));
        wakes.chain(alarm).min()
    }

    /// Returns true if no request waits; answers may still have to be fetched.
    #[must_use]
    pub fn is_idle(&self) -> bool {
        self.queries.is_empty() && self.line.is_empty()
    }

    /// Requests that wait for an outcome.
    #[must_use]
    pub fn outstanding(&self) -> usize {
        self.by_request.len() + self.line.len()
    }

    /// Queries sent by a socket that may still be answered.
    #[must_use]
    pub fn waiting_at(&self, socket: SocketId) -> usize {
        self.sockets.waiting_at(socket)
    }

    /// The servers, in the order of their ids.
    pub fn servers(&self) -> impl ExactSizeIterator<Item = SocketAddr> {
        self.servers.iter().map(|server| server.address)
    }

    /// What has been done so far.
    #[must_use]
    pub const fn counters(&self) -> &Counters {
        &self.counters
    }

    /// What can be said without asking anybody.
    fn remembered(
        &mut self,
        now: Instant,
        question: &Question,
    ) -> Option<(Outcome, Source, Option<Duration>)> {
        if let Some(found) = self.config.hosts.lookup(question) {
            let outcome = match found {
                Found::Address(address) => Outcome::Addresses(vec![address]),
                Found::Name(name) => Outcome::Names(vec![name.clone()]),
            };
            return Some((outcome, Source::Hosts, None));
        }
        if let Some((outcome, time)) = self.cache.lookup(now, question) {
            return Some((outcome, Source::Cache, Some(time)));
        }
        self.servers.is_empty().then_some((Outcome::NoServers, Source::Resolver, None))
    }

    /// Puts a new question into the queue.
    fn enter(&mut self, question: Question, waiter: Waiter, expires: Instant) {
        self.serial += 1;
        let slot = self.queries.vacant_key();
        let key = QueryKey { serial: self.serial, slot };
        self.by_request.insert(waiter.id, key);
        self.by_question.insert(question.clone(), key);
        let query = Query::new(self.serial, question, waiter, expires);
        self.alarms.insert((query.alarm, key));
        self.fresh.insert(key);
        self.queries.insert(query);
    }

    /// Answers a request that is still in line.
    fn turn_away(&mut self, now: Instant, request: &InLine, outcome: Outcome) {
        let asked = Request::from(&request.question);
        self.answer(now, &request.waiter, asked, outcome, Source::Resolver, None, 0);
    }

    /// Answers all that are still in line.
    fn turn_all_away(&mut self, now: Instant, outcome: &Outcome) {
        for request in std::mem::take(&mut self.line) {
            self.turn_away(now, &request, outcome.clone());
        }
        self.rest_if_idle();
    }

    /// Runs the checks on a datagram.
    fn accept(
        &self,
        socket: SocketId,
        from: SocketAddr,
        bytes: &[u8],
    ) -> Result<Accepted<(TransmitId, Open)>, Discard> {
        let server = self.sockets.server_of(socket).ok_or(Discard::UnknownSocket)?;
        accept(self.servers[server.index()].address, from, bytes, |id| {
            let at = TransmitId { socket, id };
            let open = self.sockets.open(at)?;
            let capability = &self.servers[server.index()].capability;
            let expected = Expected {
                asked: &self.query(open.query)?.asked,
                dress: open.dress,
                cookies: capability.cookies(),
                is_cookie_due: capability.has_cookies(),
                is_letter_true: capability.is_letter_true(),
            };
            Some(((at, open), expected))
        })
    }

    /// The query of a key, unless it is settled.
    fn query(&self, key: QueryKey) -> Option<&Query> {
        self.queries.get(key.slot).filter(|query| query.serial == key.serial)
    }
}

/// A server as the configuration wants it asked.
fn server(config: &Config, address: SocketAddr) -> Server {
    Server::new(address, config.window_max, config.by_tcp.contains(&address))
}

impl fmt::Debug for Resolver {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Resolver")
            .field("servers", &self.servers)
            .field("outstanding", &self.outstanding())
            .field("fresh", &self.fresh.len())
            .field("retries", &self.retries.len())
            .field("counters", &self.counters)
            .finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests;
