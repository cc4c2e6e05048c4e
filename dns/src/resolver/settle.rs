//! What happens to a question after it was sent: replies, time-outs, faults, and the end.

use std::time::{Duration, Instant};

use super::doubt::SUSPICION_OF_A_BAD_COOKIE;
use super::{LocalTrouble, Resolver};
use crate::capability::Cookies;
use crate::message::{ALIASES_MAX, Records, Reply};
use crate::name::HostName;
use crate::outcome::{Answer, Outcome, ServerFault, Source, SystemError};
use crate::query::{LOCAL_FAILURES_MAX, QueryKey, Queue, ServerSet, State, Transport, Trouble, Waiter};
use crate::request::{Request, RequestId};
use crate::server::{ServerId, Timeliness};
use crate::sockets::{Open, SocketId, TransmitId};

/// First pause after a local failure; it doubles with each further one.
const PAUSE_MIN: Duration = Duration::from_millis(10);

/// Doublings of the pause: 320 ms at most.
const PAUSE_DOUBLINGS_MAX: u32 = 5;

/// Pauses in a row, about 1.3 s in all, after which everything that waits ends as a local error.
const PAUSES_MAX: u32 = 8;

impl Resolver {
    /// Acts on a response that has passed all checks.
    pub(super) fn replied(
        &mut self,
        now: Instant,
        at: TransmitId,
        open: Open,
        reply: Reply,
        cookies: Option<Cookies>,
    ) {
        let key = open.query;
        let Some(server) = self.sockets.server_of(at.socket) else { return };
        let is_current = self.queries[key.slot].flight().is_some_and(|flight| flight.at == at);
        let timeliness = if is_current { Timeliness::InTime } else { Timeliness::Late };
        let round_trip = now.saturating_duration_since(open.sent_at);
        let transport = self.sockets.transport_of(at.socket);
        let about = &mut self.servers[server.index()];
        about.answered(
            Some(round_trip).filter(|_| transport == Transport::Udp || about.is_by_tcp),
            timeliness,
        );
        about.capability.answered(open.dress, cookies.and_then(|cookies| cookies.server));
        self.queries[key.slot].round_trip = Some(round_trip);
        self.local = LocalTrouble::default();
        self.confirmed(key, server, transport);
        self.forget_try(key, at);
        if is_current {
            self.queries[key.slot].state = State::Waiting(Queue::Retry);
        }
        let source = Source::Server(server);
        match reply {
            Reply::Found(Records::Addresses(list), time) => {
                self.conclude(now, key, Outcome::Addresses(list), source, Some(time));
            }
            Reply::Found(Records::Names(list), time) => {
                self.conclude(now, key, Outcome::Names(list), source, Some(time));
            }
            Reply::NoData(time) => self.conclude(now, key, Outcome::NoData, source, time),
            Reply::NoSuchName(time) => self.conclude(now, key, Outcome::NoSuchName, source, time),
            Reply::Alias(name) if usize::from(self.queries[key.slot].aliases) < ALIASES_MAX => {
                self.follow(key, name);
            }
            Reply::Alias(_) => self.failed_at(now, key, server, ServerFault::EndlessAlias),
            Reply::Truncated(_) if transport == Transport::Tcp => {
                self.failed_at(now, key, server, ServerFault::Truncated);
            }
            Reply::Truncated(records) => self.truncated(now, key, server, records),
            Reply::BadCookie => self.suspect(now, key, server, SUSPICION_OF_A_BAD_COOKIE),
            Reply::Unextended => {
                self.servers[server.index()].capability.edns_refused();
                self.ask_again(now, key, server);
            }
            Reply::Failure(fault) => self.failed_at(now, key, server, fault),
        }
        self.settle_if_nobody_is_left(now);
    }

    /// Acts on the end of a wait: of a try, or of the whole question.
    pub(super) fn ring(&mut self, now: Instant, key: QueryKey) {
        let query = &mut self.queries[key.slot];
        if let Some(flight) = query.flight() {
            query.state = State::Waiting(Queue::Retry);
            query.troubled(Trouble::Silence);
            let others = self.others(flight.server);
            let server = &mut self.servers[flight.server.index()];
            server.capability.lost(flight.dress);
            server.timed_out(now, flight.sent_at, others);
            if server.is_parked() {
                self.is_loss_news = true;
                self.last_loss = Trouble::Silence;
            }
        }
        let query = &mut self.queries[key.slot];
        if query.expires <= now {
            let outcome = query.last_word();
            self.settle(now, key, outcome, Source::Resolver, None);
        } else {
            self.retry_or_settle(now, key);
        }
    }

    /// Gives up a socket, with all that waits at it.
    pub(super) fn lose_socket(&mut self, now: Instant, socket: SocketId, error: SystemError) {
        let Some(id) = self.sockets.server_of(socket) else { return };
        let transport = self.sockets.transport_of(socket);
        let lost = self.sockets.close(socket);
        if transport == Transport::Tcp && (error.is_about_the_way() || error.is_end_of_stream()) {
            self.lose_stream(now, id, &lost, error);
            return;
        }
        if !error.is_about_the_way() {
            for (at, open) in lost {
                self.fail_locally(now, at, open, error);
            }
            return;
        }
        let mut stranded = Vec::new();
        for (at, open) in lost {
            let query = &mut self.queries[open.query.slot];
            query.open.retain(|&other| other != at);
            if query.flight().is_some_and(|flight| flight.at == at) {
                query.state = State::Waiting(Queue::Retry);
                query.troubled(Trouble::Unreachable(error));
                self.servers[id.index()].withdrawn();
                stranded.push(open.query);
            }
        }
        // One error, however many queries it hits: it may be a forgery, or one late ICMP message.
        let server = &mut self.servers[id.index()];
        server.unreachable(now);
        if server.is_parked() {
            self.is_loss_news = true;
            self.last_loss = Trouble::Unreachable(error);
        }
        for key in stranded {
            self.retry_or_settle(now, key);
        }
    }

    /// Takes back a try that this machine could not send, and pauses.
    pub(super) fn fail_locally(&mut self, now: Instant, at: TransmitId, open: Open, error: SystemError) {
        let key = open.query;
        if self.query(key).is_none() {
            // Settled by the failure of another try of this socket.
            return;
        }
        self.forget_try(key, at);
        let is_new_pause = self.local.hold_until.is_none_or(|until| until <= now);
        if is_new_pause {
            let doublings = self.local.rounds.min(PAUSE_DOUBLINGS_MAX);
            self.local.rounds += 1;
            self.local.hold_until = Some(now + PAUSE_MIN * (1 << doublings));
        }
        let query = &mut self.queries[key.slot];
        if let Some(flight) = query.flight().filter(|flight| flight.at == at) {
            query.state = State::Waiting(Queue::Retry);
            query.troubled(Trouble::Local(error));
            query.tries -= 1;
            query.sent -= 1;
            query.local_failures += 1;
            let is_enough = query.local_failures >= LOCAL_FAILURES_MAX;
            self.servers[flight.server.index()].withdrawn();
            if is_enough {
                self.settle(now, key, Outcome::LocalError(error), Source::Resolver, None);
            } else {
                self.retry_or_settle(now, key);
            }
        }
        if self.local.rounds > PAUSES_MAX {
            self.local = LocalTrouble::default();
            self.settle_all_waiting(now, Trouble::Local(error));
        }
    }

    /// Ends what waits if every server is parked and that is news. Later requests wait for the next probe.
    pub(super) fn settle_if_nobody_is_left(&mut self, now: Instant) {
        let is_news = std::mem::take(&mut self.is_loss_news);
        if is_news && self.ids().all(|id| self.servers[id.index()].is_parked()) {
            self.settle_all_waiting(now, self.last_loss);
        }
    }

    /// Withdraws one request; the question goes on if others wait for it.
    pub(super) fn cancel_waiter(&mut self, now: Instant, key: QueryKey, id: RequestId) {
        self.by_request.remove(&id);
        let query = &mut self.queries[key.slot];
        let Some(place) = query.waiters.iter().position(|waiter| waiter.id == id) else { return };
        let waiter = query.waiters.remove(place);
        let (sent, is_unwanted) = (query.sent, query.waiters.is_empty());
        let request = Request::from(&query.question);
        self.answer(now, &waiter, request, Outcome::Cancelled, Source::Resolver, None, sent);
        if is_unwanted {
            self.settle(now, key, Outcome::Cancelled, Source::Resolver, None);
        }
    }

    /// Adds an answer for the caller to fetch.
    #[expect(clippy::too_many_arguments, reason = "it fills the fields of one struct")]
    pub(super) fn answer(
        &mut self,
        now: Instant,
        waiter: &Waiter,
        request: Request,
        outcome: Outcome,
        source: Source,
        time_to_live: Option<Duration>,
        tries: u8,
    ) {
        self.counters.settle(&outcome);
        let elapsed = now.saturating_duration_since(waiter.started);
        self.answers.push_back(Answer {
            id: waiter.id,
            request,
            outcome,
            source,
            tries,
            elapsed,
            round_trip: None,
            time_to_live,
        });
    }

    /// Settles with something worth remembering.
    fn conclude(
        &mut self,
        now: Instant,
        key: QueryKey,
        outcome: Outcome,
        source: Source,
        time: Option<Duration>,
    ) {
        self.cache.insert(now, &self.queries[key.slot].question, &outcome, time);
        self.settle(now, key, outcome, source, time);
    }

    /// Asks on for the name an alias leads to.
    fn follow(&mut self, key: QueryKey, name: HostName) {
        self.withdraw(key);
        let query = &mut self.queries[key.slot];
        query.aliases += 1;
        query.asked.name = name;
        query.tries = 0;
        (query.transport, query.stick_to, query.partial) = (Transport::Udp, None, None);
        query.failed_at = ServerSet::default();
        query.last_server = None;
        query.trouble = Trouble::Silence;
        self.enqueue_retry(key);
    }

    /// Notes that a server cannot answer. The next one is asked at once, unless it is being asked already.
    pub(super) fn failed_at(&mut self, now: Instant, key: QueryKey, server: ServerId, fault: ServerFault) {
        let query = &mut self.queries[key.slot];
        query.transport = Transport::Udp;
        query.failed_at.insert(server);
        query.troubled(Trouble::Failure(fault));
        if query.flight().is_none() {
            self.dequeue(key);
            self.retry_or_settle(now, key);
        }
    }

    /// Queues a question that is in no queue and not in flight, or ends it if there is nobody left to ask.
    pub(super) fn retry_or_settle(&mut self, now: Instant, key: QueryKey) {
        let query = &self.queries[key.slot];
        let has_verdict = matches!(query.trouble, Trouble::Failure(_));
        let is_hopeful = self.ids().any(|id| {
            !query.failed_at.contains(id) && (!has_verdict || !self.servers[id.index()].is_parked())
        });
        if is_hopeful && query.tries < self.config.tries_max {
            self.enqueue_retry(key);
        } else {
            let outcome = self.queries[key.slot].last_word();
            self.settle(now, key, outcome, Source::Resolver, None);
        }
    }

    /// Ends everything that is not in flight; `trouble` is why, but for those to which a server has said something.
    fn settle_all_waiting(&mut self, now: Instant, trouble: Trouble) {
        loop {
            let retry = self.retries.first().map(|&(_, key)| key);
            let Some(key) = retry.or_else(|| self.fresh.first().copied()) else { break };
            let query = &mut self.queries[key.slot];
            query.troubled(trouble);
            let outcome = query.last_word();
            self.settle(now, key, outcome, Source::Resolver, None);
        }
        self.turn_all_away(now, &trouble.outcome());
    }

    /// Ends a question: every request that waits for it gets the outcome. The last one closes the sockets.
    pub(super) fn settle(
        &mut self,
        now: Instant,
        key: QueryKey,
        outcome: Outcome,
        source: Source,
        time: Option<Duration>,
    ) {
        self.withdraw(key);
        let query = self.queries.remove(key.slot);
        self.alarms.remove(&(query.alarm, key));
        self.by_question.remove(&query.question);
        for waiter in &query.waiters {
            self.by_request.remove(&waiter.id);
            let request = Request::from(&query.question);
            self.answer(now, waiter, request, outcome.clone(), source, time, query.sent);
            if let (Some(answer), Source::Server(_)) = (self.answers.back_mut(), source) {
                answer.round_trip = query.round_trip;
            }
        }
        self.rest_if_idle();
    }

    /// Closes the sockets and gives memory back when nothing waits any more.
    pub(super) fn rest_if_idle(&mut self) {
        if self.is_idle() {
            self.sockets.close_all();
            self.queries.shrink_to_fit();
            self.by_question.shrink_to_fit();
            self.by_request.shrink_to_fit();
            self.line.shrink_to_fit();
        }
    }

    /// Takes a question out of its queue, and back from wherever it was sent.
    fn withdraw(&mut self, key: QueryKey) {
        self.dequeue(key);
        let query = &mut self.queries[key.slot];
        if let Some(flight) = query.flight() {
            self.servers[flight.server.index()].withdrawn();
            query.state = State::Waiting(Queue::Retry);
        }
        for at in std::mem::take(&mut query.open) {
            self.sockets.leave(at);
        }
    }

    /// Stops waiting for an answer to one try.
    fn forget_try(&mut self, key: QueryKey, at: TransmitId) {
        self.sockets.leave(at);
        self.queries[key.slot].open.retain(|&other| other != at);
    }
}
