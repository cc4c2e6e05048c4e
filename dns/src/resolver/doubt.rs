//! Asking again: by TCP what does not fit a datagram or may be forged, without EDNS what is not understood.

use std::time::Instant;

use super::Resolver;
use crate::accept::Discard;
use crate::message::Records;
use crate::outcome::{Outcome, ServerFault, SystemError};
use crate::query::{QueryKey, Queue, State, Transport, Trouble};
use crate::server::ServerId;
use crate::sockets::{Open, SocketId, TransmitId};

/// Suspicious datagrams for one name after which it is asked for by TCP (`spec/dns.md` 5.1).
const SUSPICIONS_MAX: u8 = 8;

/// Weight of a server that does not take the cookie it gave: the second time is by TCP (RFC 7873 5.3).
pub(super) const SUSPICION_OF_A_BAD_COOKIE: u8 = SUSPICIONS_MAX / 2;

impl Resolver {
    /// Notes a datagram that failed a check. It never ends a wait; but what would have been an answer except for its
    /// letters or its cookie, and the last of many others, has the name asked for by TCP besides.
    pub(super) fn doubted(&mut self, now: Instant, socket: SocketId, bytes: &[u8], why: Discard) {
        // Whoever sent it, the server did not: that says nothing about what the server sends.
        let Some(&[high, low]) = bytes.first_chunk::<2>().filter(|_| why != Discard::OtherSender) else {
            return;
        };
        let at = TransmitId { socket, id: u16::from_be_bytes([high, low]) };
        let Some((open, server)) = self.sockets.open(at).zip(self.sockets.server_of(socket)) else { return };
        let key = open.query;
        if self.query(key).is_none() || self.sockets.transport_of(socket) == Transport::Tcp {
            return;
        }
        let is_cookie_missing = why == Discard::OtherCookie && crate::message::is_without_cookie(bytes);
        if why == Discard::OtherLetters || is_cookie_missing {
            self.queries[key.slot].doubt = Some(why);
            self.suspect(now, key, server, SUSPICIONS_MAX);
        } else {
            self.suspect(now, key, server, 1);
        }
    }

    /// Adds to what speaks against the datagrams for a name. From eight on it is asked for by TCP; a try that is under
    /// way is still waited for.
    pub(super) fn suspect(&mut self, now: Instant, key: QueryKey, server: ServerId, weight: u8) {
        let query = &mut self.queries[key.slot];
        let was = query.suspicions;
        query.suspicions = was.saturating_add(weight);
        let is_new = was < SUSPICIONS_MAX && query.suspicions >= SUSPICIONS_MAX;
        if is_new {
            query.transport = Transport::Tcp;
        }
        if is_new || query.flight().is_none() {
            self.ask_again(now, key, server);
        }
    }

    /// Asks a server once more, now.
    pub(super) fn ask_again(&mut self, now: Instant, key: QueryKey, server: ServerId) {
        self.dequeue(key);
        let query = &mut self.queries[key.slot];
        if let Some(flight) = query.flight() {
            self.servers[flight.server.index()].withdrawn();
            query.state = State::Waiting(Queue::Retry);
        }
        query.stick_to = Some(server);
        self.retry_or_settle(now, key);
    }

    /// Asks by TCP for what did not fit; `records` are what did.
    pub(super) fn truncated(
        &mut self,
        now: Instant,
        key: QueryKey,
        server: ServerId,
        records: Option<Records>,
    ) {
        let query = &mut self.queries[key.slot];
        if let Some(records) = records {
            query.partial = Some(Box::new(match records {
                Records::Addresses(list) => Outcome::Addresses(list),
                Records::Names(list) => Outcome::Names(list),
            }));
        }
        query.troubled(Trouble::Failure(ServerFault::Truncated));
        query.transport = Transport::Tcp;
        self.ask_again(now, key, server);
    }

    /// Learns from an answer by TCP what was wrong with the one by UDP.
    pub(super) fn confirmed(&mut self, key: QueryKey, server: ServerId, transport: Transport) {
        if transport == Transport::Tcp
            && let Some(doubt) = self.queries[key.slot].doubt.take()
        {
            self.believe(server, doubt);
        }
    }

    /// A server changes letters, or gives no cookies any more: it is not a forger.
    fn believe(&mut self, server: ServerId, doubt: Discard) {
        let capability = &mut self.servers[server.index()].capability;
        match doubt {
            Discard::OtherLetters => capability.letters_changed(),
            Discard::OtherCookie => capability.cookies_gone(),
            _ => {}
        }
    }

    /// Gives up a connection, with all that waits at it. A server that does not answer by TCP has failed for what does
    /// not fit a datagram; what was only doubted goes by UDP again.
    pub(super) fn lose_stream(
        &mut self,
        now: Instant,
        id: ServerId,
        lost: &[(TransmitId, Open)],
        error: SystemError,
    ) {
        let is_by_tcp = self.servers[id.index()].is_by_tcp;
        let mut stranded = Vec::new();
        for &(at, open) in lost {
            let query = &mut self.queries[open.query.slot];
            query.open.retain(|&other| other != at);
            if query.flight().is_none_or(|flight| flight.at != at) {
                continue;
            }
            query.state = State::Waiting(Queue::Retry);
            self.servers[id.index()].withdrawn();
            stranded.push(open.query);
            if is_by_tcp {
                query.troubled(Trouble::Unreachable(error));
            } else if let Some(doubt) = query.doubt.take() {
                (query.transport, query.suspicions, query.stick_to) = (Transport::Udp, 0, Some(id));
                self.believe(id, doubt);
            } else if error.is_end_of_stream() {
                // Servers close connections that have had their share; the next one may carry the answer.
                query.stick_to = Some(id);
            } else if query.suspicions >= SUSPICIONS_MAX {
                (query.transport, query.suspicions) = (Transport::Udp, 0);
            } else {
                query.transport = Transport::Udp;
                query.failed_at.insert(id);
                query.troubled(Trouble::Failure(ServerFault::Truncated));
            }
        }
        if is_by_tcp && error.is_about_the_way() {
            let server = &mut self.servers[id.index()];
            server.unreachable(now);
            if server.is_parked() {
                self.is_loss_news = true;
                self.last_loss = Trouble::Unreachable(error);
            }
        }
        for key in stranded {
            self.retry_or_settle(now, key);
        }
    }
}
