//! A turn: ask the system what is ready, move on what can move, end what is overdue.

use std::io;
use std::mem;
use std::os::fd::AsFd;
use std::time::{Duration, Instant};

use super::batch::{receive_other, send_waiting};
use super::listen::{is_shutdown, shut_down};
use super::proxied::end_tunnel;
use super::transfer::{gather, send};
use super::{DELIVERIES_PER_TURN_MAX, Engine};
use crate::backend::{Ready, Waited};
use crate::error::{During, Error, Failure};
use crate::event::{Connected, EventId, IodId, Kind, Output, Sent};
use crate::iod::Link;
use crate::trace::{Level, Step};
use crate::transport::Transport;
use crate::{extended_error, sys};

/// Queued writes of one IOD sent before others get their turn.
const WRITES_PER_LOOK_MAX: usize = 64;

/// Waits in a turn, where deadlines are due and more descriptors are ready than one wait tells of.
const REPORTS_MAX: usize = 64;

impl Engine {
    /// Waits for something to happen, at most for `limit` and no longer than to the next deadline, and takes in all
    /// that has: first what the descriptors gave, oldest IOD first and on each connect, read, write; then what is
    /// out of time, earliest first. [`next_done`](Self::next_done) hands it out.
    ///
    /// What this turn does and starts has one time, read after the wait. If something is waiting to be handed out, the turn does not wait.
    ///
    /// # Errors
    /// [`Error::Wait`]; nothing is lost by it, the turn may be tried again.
    pub fn turn(&mut self, limit: Option<Duration>) -> Result<(), Error> {
        self.in_turn = false;
        let end = limit.and_then(|limit| self.now().checked_add(limit));
        self.turn_until(end)
    }

    /// As [`turn`](Self::turn), waiting no longer than to `end`.
    pub(crate) fn turn_until(&mut self, end: Option<Instant>) -> Result<(), Error> {
        self.end_delivery();
        self.in_turn = false;
        let wait = self.wait_limit(end);
        if self.wants(Level::Full) {
            self.note(self.subject_of_loop(), &[], Step::Turn);
        }
        self.give_back_memory();
        let waited = self.take_reports(wait);
        self.read_clock();
        let mut waited = waited.map_err(|error| self.wait_failed(error))?;
        // What has come beats its deadline, and some of it may not have been told.
        for _ in 0..REPORTS_MAX {
            let is_due = self.deadlines.next().is_some_and(|next| next <= self.nanos(self.now));
            if !(waited.is_full && is_due) {
                break;
            }
            let more = self.take_reports(Some(Duration::ZERO)).map_err(|error| self.wait_failed(error))?;
            waited = Waited { woken: waited.woken || more.woken, is_full: more.is_full };
        }
        let woken = waited.woken;
        self.in_turn = true;
        self.budget = DELIVERIES_PER_TURN_MAX;
        self.moved = 0;
        self.end_stalls();
        self.look_at_work();
        if woken {
            self.wake();
        }
        self.end_overdue();
        Ok(())
    }

    /// Waits, and puts each IOD that something is told of on the list of those to look at.
    fn take_reports(&mut self, limit: Option<Duration>) -> io::Result<Waited> {
        let Self { backend, iods, work, .. } = self;
        backend.wait(limit, |source, ready| {
            // The low half of the generation tells a report for this tenant of the slot from one for an earlier one.
            let Some(iod) = iods.at_mut(source.slot).filter(|iod| iod.source() == source) else { return };
            iod.ready.insert(ready);
            if !iod.queued {
                iod.queued = true;
                work.push((iod.id.made, source.slot));
            }
        })
    }

    fn wait_failed(&mut self, error: io::Error) -> Error {
        let errno = error.raw_os_error().unwrap_or(libc::EIO);
        if self.wants(Level::Error) {
            self.note(self.subject_of_loop(), &[], Step::WaitFailed { errno });
        }
        Error::Wait(error)
    }

    /// How long to wait for the system; the clock is only asked if that has an end.
    fn wait_limit(&mut self, end: Option<Instant>) -> Option<Duration> {
        if !self.done.is_empty() || !self.work.is_empty() {
            return Some(Duration::ZERO);
        }
        let end = end.map(|end| self.nanos(end));
        let retry = self.retries.front().map(|(at, _)| *at);
        let first = [end, retry, self.deadlines.next()].into_iter().flatten().min()?;
        self.read_clock();
        Some(Duration::from_nanos(first.saturating_sub(self.nanos(self.now))))
    }

    fn give_back_memory(&mut self) {
        self.ops.shrink();
        self.iods.shrink();
        self.deadlines.shrink();
        if self.done.capacity() > DELIVERIES_PER_TURN_MAX && self.done.len() < self.done.capacity() / 8 {
            self.done.shrink_to(self.done.capacity() / 4);
        }
    }

    /// Looks at every IOD on the list, oldest first. IODs that get on the list meanwhile wait for the next round.
    pub(super) fn look_at_work(&mut self) {
        let mut work = mem::take(&mut self.work);
        work.sort_unstable();
        for &(made, slot) in &work {
            self.look_at(slot, made);
        }
        if self.work.is_empty() {
            // Keeps the allocation.
            work.clear();
            self.work = work;
        }
    }

    fn look_at(&mut self, slot: u32, made: u64) {
        let Some(iod) = self.iods.get_mut(slot, made) else { return };
        iod.queued = false;
        let (id, mask) = (iod.id, iod.ready.mask());
        let plain = iod.link == Link::Open && iod.tls.is_none();
        if self.wants(Level::Full) {
            self.note_iod(id, Step::Ready { mask });
        }
        if !plain {
            self.try_connect(id);
            self.try_tunnel(id);
            self.try_handshake(id);
            self.flush_channel(id);
        }
        self.try_read(id);
        for _ in 0..WRITES_PER_LOOK_MAX {
            if !self.try_write(id) {
                break;
            }
        }
        self.end_overdue_of(id);
        let Some(iod) = self.iods.get(slot, made) else { return };
        let more_to_read = !iod.queue(Kind::Read).is_empty() && iod.may_read();
        let more_to_write = !iod.queue(Kind::Write).is_empty() && iod.may_write();
        let more_to_agree = iod.link == Link::Handshaking && iod.ready.has(Ready::READABLE);
        if more_to_read || more_to_write || more_to_agree {
            self.schedule(id);
        }
    }

    fn try_connect(&mut self, id: IodId) {
        let Some(iod) = self.iods.get_mut(id.slot, id.made) else { return };
        if iod.link != Link::Connecting || iod.ready == Ready::default() {
            return;
        }
        let head = iod.queue(Kind::Connect).head;
        let Some(transport) = &iod.transport else { return };
        let Some(event) = self.ops.at(head).map(|(_, op)| op.id) else { return };
        let outcome = match socket_error(transport) {
            None if !iod.ready.has(Ready::WRITABLE) => return,
            None => {
                let peer = iod.peer;
                match self.open_link(id, event) {
                    Ok(Link::Open) => Ok(peer),
                    Ok(_) => return,
                    Err(failure) => {
                        self.fail_link(id, failure);
                        Err(failure)
                    }
                }
            }
            Some(errno) => {
                if iod.icmp_errors {
                    iod.icmp_error = sys::take_extended_error(transport.as_fd())
                        .and_then(|bytes| extended_error::parse(&bytes));
                }
                let failure = self.blame_proxy(id, event, Failure::Io { errno, during: During::Handshake });
                if let Some(iod) = self.iods.get_mut(id.slot, id.made) {
                    iod.link = Link::Failed { failure };
                    iod.transport = None;
                }
                Err(failure)
            }
        };
        let outcome = match outcome {
            Ok(Some(peer)) => Ok(Output::Connected(Connected { peer })),
            // Only a vsock connect is under way without an internet address.
            Ok(None) => Ok(Output::ConnectedUnix),
            Err(failure) => Err(failure),
        };
        self.finish(head, outcome);
    }

    /// Begins what is left to do on a connection before it can be used: a way through proxies, TLS, or nothing.
    pub(super) fn open_link(&mut self, id: IodId, event: EventId) -> Result<Link, Failure> {
        #[cfg(feature = "tls")]
        let secure = self.ops.get(event.slot, event.made).is_some_and(|op| op.kind == Kind::ConnectSsl);
        #[cfg(not(feature = "tls"))]
        let secure = false;
        let _ = event;
        let link = match self.tunnel_of(id) {
            Some(_) => Link::Tunneling,
            None if secure => Link::Handshaking,
            None => Link::Open,
        };
        #[cfg(feature = "tls")]
        if link == Link::Handshaking {
            self.begin_handshake(id)?;
        }
        if let Some(iod) = self.iods.get_mut(id.slot, id.made) {
            iod.link = link;
        }
        Ok(link)
    }

    fn try_read(&mut self, id: IodId) {
        let Self { iods, ops, scratch, batch_scratch, moved, .. } = self;
        let Some(iod) = iods.get_mut(id.slot, id.made).filter(|iod| iod.may_read()) else { return };
        let slot = iod.queue(Kind::Read).head;
        let Some(op) = ops.at_mut(slot) else { return };
        let event = op.id;
        if op.kind == Kind::Accept {
            return self.try_accept(id, slot);
        }
        if op.reading().is_none() {
            let bytes_read = iod.bytes_read;
            let outcome = match iod.failure_behind_connect() {
                Some(failure) => Some(Err(failure)),
                None => receive_other(iod, &op.stage, batch_scratch),
            };
            *moved += iod.bytes_read - bytes_read;
            if let Some(outcome) = outcome {
                self.finish(slot, outcome);
            }
            return;
        }
        let Some(reading) = op.reading() else { return };
        let (before, bytes_read) = (reading.bytes.len(), iod.bytes_read);
        let outcome = match iod.failure_behind_connect() {
            Some(failure) => Some(Err(failure)),
            None => gather(iod, event, reading, scratch),
        };
        *moved += iod.bytes_read - bytes_read;
        let total = reading.bytes.len();
        if let Some(Err(Failure::Tls(error))) = outcome {
            self.note_op(event, &[], Step::TlsFailed { error }, Level::Info);
        }
        match outcome {
            Some(outcome) => self.finish(slot, outcome),
            None if total > before => {
                self.note_op(event, &[], Step::Partial { bytes: total - before, total }, Level::Full);
            }
            None => {}
        }
    }

    /// Tries the first queued write; true if it ended, so that the next one may be tried.
    fn try_write(&mut self, id: IodId) -> bool {
        let Self { iods, ops, moved, .. } = self;
        let Some(iod) = iods.get_mut(id.slot, id.made).filter(|iod| iod.may_write()) else { return false };
        let slot = iod.queue(Kind::Write).head;
        let Some(op) = ops.at_mut(slot) else { return false };
        let event = op.id;
        if let Some(batch) = op.batch() {
            let before = batch.sent.bytes;
            let outcome = match iod.failure_behind_connect() {
                Some(failure) => Some(Err(failure)),
                None => send_waiting(iod, batch),
            };
            let sent = batch.sent;
            *moved += (sent.bytes - before) as u64;
            self.retry_later(id);
            return match outcome {
                Some(outcome) => {
                    self.finish(slot, outcome.map(|()| Output::Sent(sent)));
                    true
                }
                None => false,
            };
        }
        if is_shutdown(op) {
            let outcome = match iod.failure_behind_connect() {
                Some(failure) => Some(Err(failure)),
                None => shut_down(iod),
            };
            let ended = outcome.is_some();
            if let Some(outcome) = outcome {
                self.finish(slot, outcome);
            }
            return ended;
        }
        let datagrams = usize::from(iod.transport.as_ref().is_some_and(Transport::is_datagram));
        let Some(writing) = op.writing() else { return false };
        let before = writing.sent;
        let outcome = match iod.failure_behind_connect() {
            Some(failure) => Some(Err(failure)),
            None => send(iod, &writing.data, &mut writing.sent, writing.to),
        };
        let (sent, total) = (writing.sent - before, writing.before + writing.sent);
        *moved += sent as u64;
        match outcome {
            Some(outcome) => {
                self.finish(slot, outcome.map(|()| Output::Sent(Sent { bytes: total, datagrams })));
                true
            }
            None => {
                if sent > 0 {
                    self.note_op(event, &[], Step::Partial { bytes: sent, total }, Level::Full);
                }
                false
            }
        }
    }

    /// A wake-up came: everybody who waits for one has it, or the next one who does.
    fn wake(&mut self) {
        self.woken = self.wakes.is_empty();
        while !self.wakes.is_empty() {
            self.finish(self.wakes.head, Ok(Output::Alarm));
        }
    }

    /// Ends what was out of time when the turn began.
    fn end_overdue(&mut self) {
        let now = self.nanos(self.now);
        while let Some(slot) = self.deadlines.pop_due(now) {
            let Self { ops, iods, .. } = self;
            let Some(op) = ops.at_mut(slot) else { continue };
            let (kind, id) = (op.kind, op.iod);
            let iod = id.and_then(|id| iods.get_mut(id.slot, id.made));
            // What has come beats the deadline: a read that could not be tried yet is tried first.
            if let Some(iod) = iod.filter(|iod| iod.queued || kind.is_read() && iod.read_undelivered) {
                op.overdue = true;
                iod.overdue = true;
                continue;
            }
            self.time_out(slot);
        }
    }

    /// Ends what was out of time and has now been tried.
    fn end_overdue_of(&mut self, id: IodId) {
        let Some(iod) = self.iods.get_mut(id.slot, id.made) else { return };
        if !mem::take(&mut iod.overdue) {
            return;
        }
        let queues = [Kind::Connect, Kind::Read, Kind::Write].map(|kind| iod.queue(kind).head);
        for head in queues {
            let mut slot = head;
            while let Some((_, op)) = self.ops.at(slot) {
                let next = op.next;
                if op.overdue {
                    let undelivered = self.iods.get(id.slot, id.made).is_some_and(|iod| iod.read_undelivered);
                    if op.kind.is_read() && undelivered {
                        if let Some(iod) = self.iods.get_mut(id.slot, id.made) {
                            iod.overdue = true;
                        }
                    } else {
                        self.time_out(slot);
                    }
                }
                slot = next;
            }
        }
    }

    fn time_out(&mut self, slot: u32) {
        let Some(op) = self.ops.at_mut(slot) else { return };
        let (id, kind, iod) = (op.id, op.kind, op.iod);
        let mut outcome = op.timed_out();
        if kind == Kind::Timer {
            self.note_op(id, &[], Step::TimerFired, Level::Full);
        }
        if let Some(iod) = iod.filter(|_| kind.is_connect()) {
            match self.tunnel_timed_out(iod, id) {
                Some(failure) => {
                    self.fail_link(iod, failure);
                    outcome = Err(failure);
                }
                None => self.give_up_connect(iod, libc::ETIMEDOUT),
            }
        }
        self.finish(slot, outcome);
    }

    /// Closes the socket of a connect that is not wanted any more; what waits behind it fails.
    pub(super) fn give_up_connect(&mut self, id: IodId, errno: i32) {
        let Some(iod) = self.iods.get(id.slot, id.made) else { return };
        if matches!(iod.link, Link::Connecting | Link::Tunneling | Link::Handshaking) {
            self.fail_link(id, Failure::Io { errno, during: During::Handshake });
        }
    }

    /// Closes the socket of a connect that came to nothing; what waits behind it fails the same way.
    pub(super) fn fail_link(&mut self, id: IodId, failure: Failure) {
        if let Some(iod) = self.iods.get_mut(id.slot, id.made) {
            iod.link = Link::Failed { failure };
            iod.transport = None;
            end_tunnel(iod);
            self.schedule(id);
        }
    }
}

/// The pending error of a socket, which is cleared by asking.
fn socket_error(transport: &Transport) -> Option<i32> {
    match rustix::net::sockopt::socket_error(transport.as_fd()) {
        Ok(Ok(())) => None,
        Ok(Err(errno)) | Err(errno) => Some(errno.raw_os_error()),
    }
}
