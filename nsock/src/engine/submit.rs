//! Accepting requests, and the queues they wait in.

use std::net::SocketAddr;
use std::panic::Location;
use std::time::Duration;

use super::batch::check_datagrams;
use super::{Engine, MOVED_BYTES_PER_TURN_MAX, transfer};
use crate::error::{During, Failure, Misuse};
use crate::event::{Connected, EventId, IodId, Kind, Output, Sent};
use crate::iod::{Link, Queue};
use crate::op::{NONE, Op, Reading, Stage, Task, Writing};
use crate::request::Request;
use crate::slots::Slots;
use crate::socket::Flavor;
use crate::trace::{Level, Step};
use crate::transport::Transport;

impl Engine {
    /// Accepts a request. Whatever comes of it, even a failure at once, is told by [`next_done`](Self::next_done).
    ///
    /// The limit counts from [`now`](Self::now). After [`shutdown`](crate::Pool::shutdown) began, nothing is
    /// accepted and the id is [`EventId::REFUSED`].
    #[track_caller]
    pub fn submit(&mut self, request: Request<'_>, limit: Option<Duration>) -> EventId {
        let Some(id) = self.admit(&request, limit, Location::caller()) else { return EventId::REFUSED };
        let started = match request {
            Request::ConnectTcp { iod, to } => self.start_connect(id, iod, to, Flavor::Stream),
            Request::ConnectUdp { iod, to } => self.start_connect(id, iod, to, Flavor::Datagram),
            #[cfg(feature = "tls")]
            Request::ConnectSsl { iod, to } => self.start_connect(id, iod, to, Flavor::Stream),
            #[cfg(feature = "tls")]
            Request::ReconnectSsl { iod } => self.start_reconnect(id, iod),
            Request::ConnectHost { iod, host, port } => self.start_connect_host(id, iod, host, port),
            #[cfg(feature = "tls")]
            Request::ConnectSslHost { iod, host, port } => self.start_connect_host(id, iod, host, port),
            Request::ConnectUnix { iod, path, kind } => Some(self.start_connect_unix(iod, path, kind)),
            #[cfg(feature = "vsock")]
            Request::ConnectVsock { iod, cid, port, kind } => {
                self.start_connect_vsock(id, iod, cid, port, kind)
            }
            Request::Read { iod, .. } => self.start_read(id, iod),
            Request::Write { iod, data } | Request::Printf { iod, data } => {
                self.start_write(id, iod, data, None)
            }
            Request::Sendto { iod, to, data } => self.start_write(id, iod, data, Some(to)),
            Request::PcapRead { iod } => self.start_pcap_read(id, iod),
            Request::ReadBatch { iod } => match check_datagrams(&self.iods, iod) {
                Ok(()) => self.start_read(id, iod),
                Err(misuse) => Some(Err(Failure::Misuse(misuse))),
            },
            Request::SendBatch { iod, batch } => self.start_send_batch(id, iod, batch),
            Request::Accept { iod } => self.start_accept(id, iod),
            Request::Shutdown { iod } => self.start_shutdown(id, iod),
            Request::Timer => None,
            Request::Wake => self.start_wake(id),
        };
        match started {
            Some(outcome) => self.finish(id.slot, outcome),
            None => self.arm(id),
        }
        self.note_op(id, &[], Step::Armed { limit }, Level::Debug);
        id
    }

    /// Accepts a request that has failed already, before anything could be tried.
    #[track_caller]
    pub(crate) fn submit_failed(
        &mut self,
        request: Request<'_>,
        limit: Option<Duration>,
        failure: Failure,
    ) -> EventId {
        let Some(id) = self.admit(&request, limit, Location::caller()) else { return EventId::REFUSED };
        self.finish(id.slot, Err(failure));
        id
    }

    /// Makes the event of a request and tells the trace.
    fn admit(
        &mut self,
        request: &Request<'_>,
        limit: Option<Duration>,
        place: &'static Location<'static>,
    ) -> Option<EventId> {
        if self.closed {
            return None;
        }
        self.read_clock();
        let id = self.add_event(request, limit, place);
        if self.wants(Level::Info)
            && let Some(subject) = self.ops.get(id.slot, id.made).map(|op| self.subject_of(op))
        {
            if self.wants(Level::Debug) {
                self.note(subject, &[], Step::EventNew);
            }
            self.note(subject, request.data(), Step::Request { asked: request.asked(), limit });
        }
        Some(id)
    }

    fn add_event(
        &mut self,
        request: &Request<'_>,
        limit: Option<Duration>,
        place: &'static Location<'static>,
    ) -> EventId {
        let kind = request.kind();
        let task = match *request {
            #[cfg(feature = "vsock")]
            Request::ConnectVsock { .. } => Task::Connect,
            Request::ConnectTcp { .. }
            | Request::ConnectUdp { .. }
            | Request::ConnectHost { .. }
            | Request::ConnectUnix { .. } => Task::Connect,
            #[cfg(feature = "tls")]
            Request::ConnectSsl { .. } | Request::ConnectSslHost { .. } | Request::ReconnectSsl { .. } => {
                Task::Connect
            }
            Request::Read { until, .. } => Task::Read(Reading::new(until)),
            Request::Write { .. } | Request::Printf { .. } => Task::Write(Writing::new(None)),
            Request::Sendto { to, .. } => Task::Write(Writing::new(Some(to))),
            Request::PcapRead { .. } => Task::Packet,
            Request::Accept { .. } => Task::Accept,
            Request::Shutdown { .. } => Task::Shutdown,
            Request::ReadBatch { .. } => Task::ReadBatch,
            Request::SendBatch { .. } => Task::SendBatch(Box::default()),
            Request::Timer => Task::Timer,
            Request::Wake => Task::Wake,
        };
        let serials = &mut self.scopes[usize::from(self.scope)];
        serials.events += 1;
        self.made += 1;
        let number = EventId::number_of(serials.events, kind);
        let mut id = EventId { slot: 0, scope: self.scope, made: self.made, number };
        let since = self.nanos(self.now);
        let op = Op {
            id,
            kind,
            scope: self.scope,
            overdue: false,
            iod: request.iod(),
            prev: NONE,
            next: NONE,
            parent: self.current.map_or(0, |current| current.event),
            since,
            deadline: limit.and_then(|limit| since.checked_add(u64::try_from(limit.as_nanos()).ok()?)),
            place,
            stage: Stage::Waiting(task),
        };
        id.slot = self.ops.insert(self.made, op);
        if let Some(op) = self.ops.get_mut(id.slot, id.made) {
            op.id = id;
        }
        self.pending[kind as usize] += 1;
        id
    }

    fn arm(&mut self, id: EventId) {
        if let Some(deadline) = self.ops.get(id.slot, id.made).and_then(|op| op.deadline) {
            self.deadlines.insert(id.slot, deadline, id.made);
        }
    }

    fn start_connect(
        &mut self,
        id: EventId,
        iod_id: IodId,
        to: SocketAddr,
        flavor: Flavor,
    ) -> Option<Result<Output, Failure>> {
        if let Err(misuse) = self.idle_iod(iod_id) {
            return Some(Err(Failure::Misuse(misuse)));
        }
        match self.first_stop(id, iod_id, to, flavor) {
            Ok(to) => self.connect_socket(id, iod_id, to, flavor),
            Err(failure) => Some(Err(failure)),
        }
    }

    /// Makes the socket of a connect and begins to connect it.
    pub(super) fn connect_socket(
        &mut self,
        id: EventId,
        iod_id: IodId,
        to: SocketAddr,
        flavor: Flavor,
    ) -> Option<Result<Output, Failure>> {
        if let Some(iod) = self.iods.get_mut(iod_id.slot, iod_id.made) {
            iod.peer = Some(to);
        }
        let connected = self.open_socket(iod_id, &to, flavor, None).and_then(|socket| {
            let link = match socket.connect(&to.into()) {
                Ok(()) => Link::Open,
                Err(error) if error.raw_os_error() == Some(libc::EINPROGRESS) => Link::Connecting,
                Err(error) => return Err(Failure::io(&error, During::Connect)),
            };
            self.watch(iod_id, Transport::from_socket(socket, flavor), link)?;
            Ok(link)
        });
        let connected = match connected {
            Ok(Link::Open) => self.open_link(iod_id, id),
            connected => connected,
        };
        match connected {
            Ok(Link::Open) => Some(Ok(Output::Connected(Connected { peer: to }))),
            Ok(link) => {
                self.enqueue(id, iod_id);
                if link != Link::Connecting {
                    self.schedule(iod_id);
                }
                None
            }
            Err(failure) => {
                let failure = self.blame_proxy(iod_id, id, failure);
                if let Some(iod) = self.iods.get_mut(iod_id.slot, iod_id.made) {
                    let errno = failure.errno().unwrap_or(libc::ENOTCONN);
                    let behind = match failure {
                        Failure::Proxy(_) => failure,
                        _ => Failure::Io { errno, during: During::Handshake },
                    };
                    iod.link = Link::Failed { failure: behind };
                    iod.transport = None;
                }
                Some(Err(failure))
            }
        }
    }

    fn start_read(&mut self, id: EventId, iod_id: IodId) -> Option<Result<Output, Failure>> {
        let Some(iod) = self.iods.get(iod_id.slot, iod_id.made) else {
            return Some(Err(Failure::Misuse(Misuse::StaleIod)));
        };
        if iod.link == Link::Idle {
            return Some(Err(Failure::Misuse(Misuse::NotConnected)));
        }
        match iod.transport {
            Some(Transport::Packets(_)) => return Some(Err(Failure::Misuse(Misuse::Packets))),
            Some(Transport::Listener(_)) => return Some(Err(Failure::Misuse(Misuse::Listening))),
            _ => {}
        }
        let look = iod.may_read();
        self.enqueue(id, iod_id);
        if look {
            self.schedule(iod_id);
        }
        None
    }

    fn start_write(
        &mut self,
        id: EventId,
        iod_id: IodId,
        data: &[u8],
        to: Option<SocketAddr>,
    ) -> Option<Result<Output, Failure>> {
        let Self { iods, moved, .. } = self;
        let Some(iod) = iods.get_mut(iod_id.slot, iod_id.made) else {
            return Some(Err(Failure::Misuse(Misuse::StaleIod)));
        };
        match (iod.link, &iod.transport) {
            (Link::Idle, _) => return Some(Err(Failure::Misuse(Misuse::NotConnected))),
            (_, Some(Transport::Packets(_))) => return Some(Err(Failure::Misuse(Misuse::Packets))),
            (_, Some(Transport::Listener(_))) => return Some(Err(Failure::Misuse(Misuse::Listening))),
            (_, Some(transport)) if to.is_some() && !transport.is_datagram() => {
                return Some(Err(Failure::Misuse(Misuse::NotDatagram)));
            }
            _ => {}
        }
        if to.is_some() {
            iod.peer = to;
        }
        let mut sent = 0;
        // At once if nobody is before us: no copy, no deadline. The completion still comes later.
        let first = iod.link == Link::Open && iod.queue(Kind::Write).is_empty() && iod.may_write();
        if first && *moved < MOVED_BYTES_PER_TURN_MAX {
            let outcome = transfer::send(iod, data, &mut sent, to);
            *moved += sent as u64;
            match outcome {
                Some(Ok(())) => {
                    let datagrams = usize::from(iod.transport.as_ref().is_some_and(Transport::is_datagram));
                    return Some(Ok(Output::Sent(Sent { bytes: data.len(), datagrams })));
                }
                Some(Err(failure)) => return Some(Err(failure)),
                None => {}
            }
        }
        let look = iod.may_write();
        if let Some(writing) = self.ops.get_mut(id.slot, id.made).and_then(Op::writing) {
            writing.data = data[sent..].to_vec();
            writing.before = sent;
        }
        self.enqueue(id, iod_id);
        if look {
            self.schedule(iod_id);
        }
        None
    }

    fn start_wake(&mut self, id: EventId) -> Option<Result<Output, Failure>> {
        if self.woken {
            self.woken = false;
            return Some(Ok(Output::Alarm));
        }
        push_back(&mut self.ops, &mut self.wakes, id.slot);
        None
    }

    pub(super) fn enqueue(&mut self, id: EventId, iod: IodId) {
        let Self { ops, iods, .. } = self;
        let Some(kind) = ops.get(id.slot, id.made).map(|op| op.kind) else { return };
        if let Some(queue) = iods.get_mut(iod.slot, iod.made).and_then(|iod| iod.queue_mut(kind)) {
            push_back(ops, queue, id.slot);
        }
    }

    /// Takes a waiting event out of the queue it is in.
    pub(super) fn dequeue(&mut self, slot: u32) {
        let Self { ops, iods, wakes, .. } = self;
        let Some((_, op)) = ops.at(slot) else { return };
        let (kind, iod) = (op.kind, op.iod);
        if kind == Kind::Wake {
            unlink(ops, wakes, slot);
        } else if let Some(iod) = iod.and_then(|id| iods.get_mut(id.slot, id.made))
            && let Some(queue) = iod.queue_mut(kind)
        {
            unlink(ops, queue, slot);
        }
    }

    /// Puts an IOD on the list of those to look at.
    pub(super) fn schedule(&mut self, id: IodId) {
        if let Some(iod) = self.iods.get_mut(id.slot, id.made)
            && !iod.queued
        {
            iod.queued = true;
            self.work.push((id.made, id.slot));
        }
    }
}

/// Appends an event to a queue.
pub(super) fn push_back(ops: &mut Slots<Op>, queue: &mut Queue, slot: u32) {
    if let Some(op) = ops.at_mut(slot) {
        op.prev = queue.tail;
        op.next = NONE;
    }
    match ops.at_mut(queue.tail) {
        Some(last) => last.next = slot,
        None => queue.head = slot,
    }
    queue.tail = slot;
}

/// Takes an event out of the queue it is in.
pub(super) fn unlink(ops: &mut Slots<Op>, queue: &mut Queue, slot: u32) {
    let Some(op) = ops.at_mut(slot) else { return };
    let (prev, next) = (op.prev, op.next);
    if prev == NONE && queue.head != slot {
        return;
    }
    (op.prev, op.next) = (NONE, NONE);
    match ops.at_mut(prev) {
        Some(before) => before.next = next,
        None => queue.head = next,
    }
    match ops.at_mut(next) {
        Some(after) => after.prev = prev,
        None => queue.tail = prev,
    }
}
