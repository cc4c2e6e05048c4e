//! Many datagrams in one request: sending them in as few system calls as may be, and receiving what is there.

use std::collections::VecDeque;
use std::io;
use std::os::fd::AsFd;
use std::time::Duration;

use super::{Engine, MOVED_BYTES_PER_TURN_MAX, RECEIVE_BYTES_MAX};
use crate::backend::Ready;
use crate::error::{During, Failure, Misuse};
use crate::event::{EventId, IodId, Output, Sent};
use crate::iod::{Iod, Link};
use crate::op::{Batch, Op, Stage, Task};
use crate::packet::{Datagram, Datagrams, Destination, READ_BATCH_MAX};
use crate::slots::Slots;
use crate::sys;

/// System calls for one batch before others get their turn.
const CALLS_PER_LOOK_MAX: usize = 64;

/// How long a full queue of the device is left alone: the kernel tells nobody when it has room again. At 10 Gbit/s a
/// queue of 1,000 packets empties in about this time.
const RETRY_AFTER: Duration = Duration::from_millis(1);

/// IODs whose device had no room, with the time to try again; in the order of that time.
pub(super) type Retries = VecDeque<(u64, IodId)>;

impl Engine {
    pub(super) fn start_send_batch(
        &mut self,
        id: EventId,
        iod_id: IodId,
        batch: &[Datagram<'_>],
    ) -> Option<Result<Output, Failure>> {
        let Self { iods, moved, .. } = self;
        let Some(iod) = iods.get_mut(iod_id.slot, iod_id.made) else {
            return Some(Err(Failure::Misuse(Misuse::StaleIod)));
        };
        match (iod.link, &iod.transport) {
            (Link::Idle, _) => return Some(Err(Failure::Misuse(Misuse::NotConnected))),
            (_, Some(transport)) if !transport.is_datagram() => {
                return Some(Err(Failure::Misuse(Misuse::NotDatagram)));
            }
            _ => {}
        }
        let mut sent = Sent { bytes: 0, datagrams: 0 };
        let first =
            iod.link == Link::Open && iod.queue(crate::event::Kind::Write).is_empty() && iod.may_write();
        if first && *moved < MOVED_BYTES_PER_TURN_MAX {
            let outcome =
                send_datagrams(iod, batch.len(), &mut sent, |index| (batch[index].to, batch[index].data));
            *moved += sent.bytes as u64;
            if let Some(outcome) = outcome {
                return Some(outcome.map(|()| Output::Sent(sent)));
            }
        }
        let look = iod.may_write();
        if let Some(waiting) = self.ops.get_mut(id.slot, id.made).and_then(Op::batch) {
            *waiting = Batch::of(&batch[sent.datagrams..], sent);
        }
        self.enqueue(id, iod_id);
        if look {
            self.schedule(iod_id);
        }
        self.retry_later(iod_id);
        None
    }

    /// Puts an IOD whose device has no room on the list of those to try again.
    pub(super) fn retry_later(&mut self, id: IodId) {
        let Some(iod) = self.iods.get_mut(id.slot, id.made).filter(|iod| iod.stalled) else { return };
        iod.stalled = false;
        let after = u64::try_from(RETRY_AFTER.as_nanos()).unwrap_or(u64::MAX);
        self.retries.push_back((self.nanos(self.now).saturating_add(after), id));
    }

    /// Lets the IODs try again whose time has come.
    pub(super) fn end_stalls(&mut self) {
        let now = self.nanos(self.now);
        while let Some(&(_, id)) = self.retries.front().filter(|(at, _)| *at <= now) {
            self.retries.pop_front();
            if let Some(iod) = self.iods.get_mut(id.slot, id.made) {
                iod.ready.insert(Ready::WRITABLE);
                self.schedule(id);
            }
        }
    }
}

/// Sends what is left of a batch; the outcome if that ends it.
///
/// `part` gives each of the `count` datagrams not sent before this call.
pub(super) fn send_datagrams<'a>(
    iod: &mut Iod,
    count: usize,
    sent: &mut Sent,
    part: impl Fn(usize) -> (Destination, &'a [u8]),
) -> Option<Result<(), Failure>> {
    let transport = iod.transport.as_ref()?;
    let mut next = 0;
    for _ in 0..CALLS_PER_LOOK_MAX {
        if next == count {
            return Some(Ok(()));
        }
        match sys::batch::send(transport.as_fd(), (next..count).map(&part)) {
            Ok(taken) => {
                let bytes: usize = (next..next + taken).map(|index| part(index).1.len()).sum();
                iod.bytes_written += bytes as u64;
                sent.bytes += bytes;
                sent.datagrams += taken;
                next += taken;
            }
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => {
                iod.ready.remove(Ready::WRITABLE);
                iod.ready.remove(Ready::ERROR);
                return None;
            }
            Err(error) if error.raw_os_error() == Some(libc::ENOBUFS) => {
                iod.ready.remove(Ready::WRITABLE);
                iod.ready.remove(Ready::ERROR);
                iod.stalled = true;
                return None;
            }
            Err(error) => return Some(Err(Failure::io(&error, During::Write))),
        }
    }
    (next == count).then_some(Ok(()))
}

/// Sends what is left of a batch that had to wait.
pub(super) fn send_waiting(iod: &mut Iod, batch: &mut Batch) -> Option<Result<(), Failure>> {
    let Batch { data, ends, next, sent } = batch;
    let (data, ends) = (&*data, &*ends);
    let start = *next;
    let before = sent.datagrams;
    let outcome = send_datagrams(iod, ends.len() - start, sent, |index| {
        let place = start + index;
        let from = place.checked_sub(1).map_or(0, |before| ends[before].1);
        (ends[place].0, &data[from..ends[place].1])
    });
    *next += sent.datagrams - before;
    outcome
}

/// Receives the datagrams that are there, up to [`READ_BATCH_MAX`]; `None` while there is none.
pub(super) fn receive_datagrams(iod: &mut Iod, buffer: &mut Vec<u8>) -> Option<Result<Output, Failure>> {
    if !iod.unread.is_empty() {
        let mut datagrams = Datagrams::default();
        let count = iod.unread.len().min(READ_BATCH_MAX);
        for unread in iod.unread.drain(..count) {
            datagrams.push(&unread.bytes, unread.from);
        }
        return Some(Ok(Output::Datagrams(datagrams)));
    }
    if let Some(failure) = iod.read_failure.take() {
        return Some(Err(failure));
    }
    if buffer.is_empty() {
        // Pages that were never written take no memory.
        *buffer = vec![0; RECEIVE_BYTES_MAX * READ_BATCH_MAX];
    }
    let transport = iod.transport.as_ref()?;
    loop {
        match sys::batch::receive(transport.as_fd(), buffer, RECEIVE_BYTES_MAX) {
            Ok(datagrams) => {
                iod.bytes_read += datagrams.bytes.len() as u64;
                if let Some((_, Some(from))) = datagrams.ends.last() {
                    iod.peer = Some(*from);
                }
                return Some(Ok(Output::Datagrams(datagrams)));
            }
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => {
                iod.ready.remove(Ready::READABLE);
                iod.ready.remove(Ready::ERROR);
                return None;
            }
            Err(error) => {
                iod.ready.remove(Ready::ERROR);
                return Some(Err(Failure::io(&error, During::Read)));
            }
        }
    }
}

/// Whether the IOD of a `ReadBatch` keeps the boundaries of what it receives.
pub(super) fn check_datagrams(iods: &Slots<Iod>, id: IodId) -> Result<(), Misuse> {
    match iods.get(id.slot, id.made).and_then(|iod| iod.transport.as_ref()) {
        Some(transport) if !transport.is_datagram() => Err(Misuse::NotDatagram),
        _ => Ok(()),
    }
}

/// What the head of a queue of reads is waiting for, other than bytes.
pub(super) fn receive_other(
    iod: &mut Iod,
    stage: &Stage,
    buffer: &mut Vec<u8>,
) -> Option<Result<Output, Failure>> {
    match stage {
        Stage::Waiting(Task::Packet) => super::packets::take_packet(iod),
        Stage::Waiting(Task::ReadBatch) => receive_datagrams(iod, buffer),
        _ => None,
    }
}
