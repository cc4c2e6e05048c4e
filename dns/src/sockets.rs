//! Which socket a query leaves by: one while little is going on, more when much is, a fresh one for every retry.
//!
//! A socket here is a promise: the driver opens it when it is first named and closes it when it is told to.

use std::collections::{BTreeMap, VecDeque};
use std::fmt;
use std::time::{Duration, Instant};

use crate::capability::Dress;
use crate::query::{QueryKey, Transport};
use crate::server::ServerId;
use crate::stream::Inbox;

/// Queries in flight per socket before another one is opened: a single look-up shows one socket (`spec/dns.md` 4.3).
pub const IN_FLIGHT_PER_SOCKET: u32 = 16;

/// Sockets of one server that take new queries (`spec/dns.md` 5.1).
const ACTIVE_MAX: usize = 8;

/// Sockets of one server in all: active ones and those that only wait for late answers. Beyond it a retry shares the
/// youngest socket, for descriptors are scarce in a scan.
pub const SOCKETS_PER_SERVER_MAX: usize = 32;

/// Queries sent by one socket before it takes no more (`spec/dns.md` 5.1). Far below 65,536, so a free id is found.
const QUERIES_MAX: u32 = 512;

/// Age at which a socket takes no more queries (`spec/dns.md` 5.1).
const AGE_MAX: Duration = Duration::from_secs(10);

/// Queries in a burst: as many as one system call sends.
const BURST_MAX: u32 = 64;

/// Names one socket of one resolver. Never used twice.
#[derive(Clone, Copy, Debug, Eq, Hash, Ord, PartialEq, PartialOrd)]
pub struct SocketId(u64);

impl fmt::Display for SocketId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

/// Names one datagram sent: its socket and its id on the wire.
#[derive(Clone, Copy, Debug, Eq, Hash, Ord, PartialEq, PartialOrd)]
pub struct TransmitId {
    pub(crate) socket: SocketId,
    pub(crate) id: u16,
}

/// One query that may still be answered.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Open {
    pub(crate) query: QueryKey,
    pub(crate) sent_at: Instant,
    pub(crate) dress: Dress,
}

/// The sockets of all servers.
#[derive(Debug)]
pub(crate) struct Sockets {
    live: BTreeMap<SocketId, Socket>,
    /// UDP sockets per server, oldest first.
    by_server: Vec<Vec<SocketId>>,
    /// The connection of each server, if there is one: all its questions go by it (RFC 7766 6.2.2).
    streams: Vec<Option<SocketId>>,
    /// To be closed by the driver.
    closing: VecDeque<SocketId>,
    opened: u64,
    /// The socket that the queries of this moment leave by.
    burst: Option<Burst>,
}

/// Queries that leave together leave by one socket, so that one system call takes them.
#[derive(Clone, Copy, Debug)]
struct Burst {
    at: Instant,
    socket: SocketId,
    server: ServerId,
    left: u32,
}

#[derive(Debug)]
struct Socket {
    server: ServerId,
    opened_at: Instant,
    sent: u32,
    is_retired: bool,
    open: BTreeMap<u16, Open>,
    /// Of a connection, what has arrived and is no message yet.
    inbox: Option<Inbox>,
}

impl Sockets {
    pub(crate) fn new(servers: usize) -> Self {
        Self {
            live: BTreeMap::new(),
            by_server: vec![Vec::new(); servers],
            streams: vec![None; servers],
            closing: VecDeque::new(),
            opened: 0,
            burst: None,
        }
    }

    pub(crate) fn server_of(&self, socket: SocketId) -> Option<ServerId> {
        self.live.get(&socket).map(|socket| socket.server)
    }

    /// How a socket carries messages.
    pub(crate) fn transport_of(&self, socket: SocketId) -> Transport {
        let is_stream = self.live.get(&socket).is_some_and(|socket| socket.inbox.is_some());
        if is_stream { Transport::Tcp } else { Transport::Udp }
    }

    /// Queries that wait at a socket.
    pub(crate) fn waiting_at(&self, socket: SocketId) -> usize {
        self.live.get(&socket).map_or(0, |socket| socket.open.len())
    }

    /// Takes bytes of a connection and gives the messages that are whole now.
    pub(crate) fn received(&mut self, socket: SocketId, bytes: &[u8]) -> Vec<Vec<u8>> {
        let Some(inbox) = self.live.get_mut(&socket).and_then(|socket| socket.inbox.as_mut()) else {
            return Vec::new();
        };
        inbox.push(bytes);
        std::iter::from_fn(|| inbox.next_message()).collect()
    }

    /// The query that waits under an id.
    pub(crate) fn open(&self, at: TransmitId) -> Option<Open> {
        self.live.get(&at.socket)?.open.get(&at.id).copied()
    }

    /// Enters a query under an unpredictable id that is free on the socket.
    ///
    /// `asked_by` are the sockets the same question went to this server by; none of them is used again if that can be
    /// helped.
    pub(crate) fn enter(
        &mut self,
        server: ServerId,
        transport: Transport,
        in_flight: u32,
        asked_by: &[TransmitId],
        open: Open,
        ids: &mut dyn FnMut() -> u16,
    ) -> TransmitId {
        let socket = match transport {
            Transport::Udp => match self.burst(server, asked_by, open.sent_at) {
                Some(socket) => socket,
                None => self.choose(server, in_flight, asked_by, open.sent_at, ids),
            },
            Transport::Tcp => self.stream(server, open.sent_at),
        };
        let mut id = ids();
        if let Some(found) = self.live.get_mut(&socket) {
            // At most 512 of 65,536 ids are taken, so this ends soon, whatever the generator.
            while found.open.contains_key(&id) {
                id = id.wrapping_add(1);
            }
            found.open.insert(id, open);
            found.sent += 1;
        }
        TransmitId { socket, id }
    }

    /// Takes a query out; a socket that only waited for it is closed.
    pub(crate) fn leave(&mut self, at: TransmitId) {
        if let Some(socket) = self.live.get_mut(&at.socket) {
            socket.open.remove(&at.id);
            if socket.is_retired && socket.open.is_empty() {
                self.close(at.socket);
            }
        }
    }

    /// Closes a socket and says who waited at it, by id.
    pub(crate) fn close(&mut self, id: SocketId) -> Vec<(TransmitId, Open)> {
        let Some(socket) = self.live.remove(&id) else { return Vec::new() };
        self.by_server[socket.server.index()].retain(|&other| other != id);
        self.streams[socket.server.index()].take_if(|other| *other == id);
        self.closing.push_back(id);
        socket.open.into_iter().map(|(wire, open)| (TransmitId { socket: id, id: wire }, open)).collect()
    }

    /// Closes all: nothing is waited for.
    pub(crate) fn close_all(&mut self) {
        while let Some((id, _)) = self.live.pop_first() {
            self.closing.push_back(id);
        }
        self.by_server.iter_mut().for_each(Vec::clear);
        self.streams.fill(None);
    }

    pub(crate) fn poll_close(&mut self) -> Option<SocketId> {
        self.closing.pop_front()
    }

    /// The socket of the burst that is leaving, for a question that has not been asked before.
    fn burst(&mut self, server: ServerId, asked_by: &[TransmitId], now: Instant) -> Option<SocketId> {
        let burst = self.burst.as_mut()?;
        let fits = burst.left > 0 && burst.server == server && burst.at == now && asked_by.is_empty();
        let socket = burst.socket;
        if !fits || self.live.get(&socket).is_none_or(|socket| socket.sent >= QUERIES_MAX) {
            return None;
        }
        burst.left -= 1;
        Some(socket)
    }

    fn choose(
        &mut self,
        server: ServerId,
        in_flight: u32,
        asked_by: &[TransmitId],
        now: Instant,
        ids: &mut dyn FnMut() -> u16,
    ) -> SocketId {
        self.retire(server, now);
        let mine = &self.by_server[server.index()];
        let is_used = |id: SocketId| asked_by.iter().any(|at| at.socket == id);
        let active: Vec<SocketId> = mine.iter().copied().filter(|id| !self.live[id].is_retired).collect();
        let is_retry = mine.iter().any(|&id| is_used(id));
        let chosen = if is_retry {
            // Opened after the last try of the question: nobody who watched that one knows its port.
            let last = asked_by.iter().map(|at| at.socket).max();
            active.iter().copied().rev().find(|&id| Some(id) > last)
        } else {
            let wanted =
                (in_flight / IN_FLIGHT_PER_SOCKET + 1).min(u32::try_from(ACTIVE_MAX).unwrap_or(u32::MAX));
            let enough = u32::try_from(active.len()).is_ok_and(|active| active >= wanted);
            match active.len() {
                // No draw where there is no choice.
                1 if enough => active.first().copied(),
                count if enough => {
                    let drawn = active.get(usize::from(ids()) % count).copied();
                    self.burst = drawn.map(|socket| Burst { at: now, socket, server, left: BURST_MAX - 1 });
                    drawn
                }
                _ => None,
            }
        };
        let youngest = mine.last().copied().filter(|_| mine.len() >= SOCKETS_PER_SERVER_MAX);
        chosen.or(youngest).unwrap_or_else(|| {
            let id = self.promise(server, now, None);
            self.by_server[server.index()].push(id);
            id
        })
    }

    /// The connection of a server; a new one where there is none, or where all ids are close to being taken.
    fn stream(&mut self, server: ServerId, now: Instant) -> SocketId {
        if let Some(id) = self.streams[server.index()]
            && let Some(socket) = self.live.get_mut(&id)
        {
            if socket.open.len() < QUERIES_MAX as usize {
                return id;
            }
            socket.is_retired = true;
        }
        let id = self.promise(server, now, Some(Inbox::default()));
        self.streams[server.index()] = Some(id);
        id
    }

    fn promise(&mut self, server: ServerId, now: Instant, inbox: Option<Inbox>) -> SocketId {
        self.opened += 1;
        let id = SocketId(self.opened);
        let open = BTreeMap::new();
        self.live.insert(id, Socket { server, opened_at: now, sent: 0, is_retired: false, open, inbox });
        id
    }

    /// Takes sockets of a server out of use that are old, worn, or too many; closes those nobody waits at.
    fn retire(&mut self, server: ServerId, now: Instant) {
        let mine = self.by_server[server.index()].clone();
        let mut active = 0;
        for id in mine.into_iter().rev() {
            let Some(socket) = self.live.get_mut(&id) else { continue };
            let is_worn =
                socket.sent >= QUERIES_MAX || now.saturating_duration_since(socket.opened_at) >= AGE_MAX;
            socket.is_retired |= is_worn || active >= ACTIVE_MAX;
            active += usize::from(!socket.is_retired);
            if socket.is_retired && socket.open.is_empty() {
                self.close(id);
            }
        }
    }
}
