//! Ending requests before their time: cancel, deletion of an IOD, the end of the pool.

use std::os::fd::AsFd;

use super::Engine;
use super::note::Subject;
use super::secure::flush;
use crate::error::Failure;
use crate::event::{EventId, IodId, Kind};
use crate::iod::{Iod, Link};
use crate::op::{NONE, Stage};
use crate::trace::{Level, Step};

/// Whether a handler is told that its event was ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum Notice {
    /// It gets [`Failure::Cancelled`], from the loop.
    Given,
    /// It never runs.
    Silent,
}

impl Engine {
    /// Ends an event before its time. True if it was pending; a stale id, an event whose handler is running and one
    /// cancelled before are left alone, and the answer is false.
    ///
    /// Bytes that a cancelled read had gathered are kept for the IOD's next read. A connect that is cancelled under
    /// way closes its socket; a write may have been sent in part, or whole if it was finished.
    pub fn cancel(&mut self, id: EventId, notice: Notice) -> bool {
        self.read_clock();
        let told = notice == Notice::Given;
        let found = match self.ops.get(id.slot, id.made) {
            Some(op) => !told || !matches!(op.stage, Stage::Done(Err(Failure::Cancelled))),
            None => false,
        };
        if self.wants(Level::Info) {
            let mut subject = match self.ops.get(id.slot, id.made) {
                Some(op) => self.subject_of(op),
                None => Subject { scope: id.scope, ..self.subject_of_loop() },
            };
            subject.event = Some(id.number);
            subject.kind = Kind::ALL.into_iter().find(|&kind| kind as u64 == id.number & 7);
            self.note(subject, &[], Step::Cancel { found, notice: told });
        }
        if found {
            self.end_early(id, notice);
        }
        found
    }

    /// Takes an event out of wherever it waits and either drops it or marks it cancelled.
    fn end_early(&mut self, id: EventId, notice: Notice) {
        self.note_op(id, &[], Step::Removed { notice: notice == Notice::Given }, Level::Info);
        self.deadlines.remove(id.slot);
        let Some(op) = self.ops.get(id.slot, id.made) else { return };
        let (kind, iod_id) = (op.kind, op.iod);
        let finished = op.is_done();
        let cancelled_before = matches!(op.stage, Stage::Done(Err(Failure::Cancelled)));
        if let Some(iod) = iod_id.filter(|_| kind.is_read()) {
            let Self { ops, iods, .. } = self;
            if let (Some(iod), Some(op)) = (iods.get_mut(iod.slot, iod.made), ops.get_mut(id.slot, id.made)) {
                Self::give_back(iod, op);
            }
        }
        if !finished {
            self.dequeue(id.slot);
            if let Some(iod) = iod_id.filter(|_| kind.is_connect()) {
                self.give_up_connect(iod, libc::ECANCELED);
            }
            if let Some(iod) = iod_id.filter(|_| kind.is_read()) {
                // The one behind may be able to use what this one gave back.
                self.schedule(iod);
            }
        } else if !cancelled_before {
            self.leave_finished(id.slot, kind, iod_id);
        }
        match notice {
            Notice::Given => {
                if let Some(op) = self.ops.get_mut(id.slot, id.made) {
                    op.stage = Stage::Done(Err(Failure::Cancelled));
                    if !finished {
                        self.done.push_back((id.slot, id.made));
                    }
                }
            }
            Notice::Silent => {
                self.note_op(id, &[], Step::Released, Level::Debug);
                if self.ops.remove(id.slot, id.made).is_some() {
                    self.pending[kind as usize] -= 1;
                }
            }
        }
    }

    /// Deletes an IOD: ends its pending events, in the order connect, read, write, and closes its descriptor.
    ///
    /// `ended` is called with the slot of each event that ended silently. False if the IOD was deleted before.
    pub(crate) fn iod_delete_with(
        &mut self,
        id: IodId,
        notice: Notice,
        mut ended: impl FnMut(EventId),
    ) -> bool {
        self.read_clock();
        if self.iods.get(id.slot, id.made).is_none() {
            return false;
        }
        self.note_iod(id, Step::IodDelete);
        for event in self.events_of(id) {
            self.end_early(event, notice);
            if notice == Notice::Silent {
                ended(event);
            }
        }
        if let Some(iod) = self.iods.remove(id.slot, id.made) {
            self.close(iod);
        }
        true
    }

    /// Deletes an IOD; its pending events end as `notice` says. False if it was deleted before.
    pub fn iod_delete(&mut self, id: IodId, notice: Notice) -> bool {
        self.iod_delete_with(id, notice, |_| {})
    }

    fn close(&self, mut iod: Iod) {
        if iod.link == Link::Open
            && let Some(tls) = &mut iod.tls
        {
            tls.close();
            // Once, without waiting: whoever deletes an IOD does not ask what becomes of the last record.
            let _ = flush(&mut iod);
        }
        if let Some(transport) = &iod.transport
            && iod.adopted
            && !transport.is_file()
        {
            // Closing our duplicate does not end the watch while the original is open; if the system
            // cannot end it, a report for this IOD is for a stale generation, and ignored.
            let _ = self.backend.deregister(transport.as_fd());
        }
    }

    /// The pending events of an IOD by kind, oldest first.
    pub(crate) fn events_of(&self, id: IodId) -> Vec<EventId> {
        let Some(iod) = self.iods.get(id.slot, id.made) else { return Vec::new() };
        let heads = [
            iod.queue(Kind::Connect).head,
            iod.queue(Kind::Read).head,
            iod.queue(Kind::Write).head,
            iod.finished.head,
        ];
        let mut events: Vec<(Kind, EventId)> = Vec::new();
        for head in heads.into_iter().filter(|&head| head != NONE) {
            let mut slot = head;
            while let Some((_, op)) = self.ops.at(slot) {
                events.push((op.kind, op.id));
                slot = op.next;
            }
        }
        events.sort_unstable_by_key(|(kind, event)| (*kind, event.made));
        events.into_iter().map(|(_, event)| event).collect()
    }

    /// Accepts nothing more and ends everything that is pending with [`Failure::Killed`], in the order connect,
    /// read, write, wake-up, then timers by deadline. What had finished keeps its outcome.
    pub(crate) fn kill(&mut self) {
        self.end_delivery();
        self.read_clock();
        self.closed = true;
        let mut waiting: Vec<_> = self
            .ops
            .iter()
            .filter(|(_, _, op)| !op.is_done())
            .map(|(slot, made, op)| {
                (op.kind == Kind::Timer, op.kind, op.deadline.filter(|_| op.kind == Kind::Timer), made, slot)
            })
            .collect();
        waiting.sort_unstable();
        for (.., slot) in waiting {
            self.finish(slot, Err(Failure::Killed));
        }
        self.budget = usize::MAX;
        self.work = Vec::new();
    }

    /// Deletes every IOD, oldest first.
    pub(crate) fn delete_iods(&mut self) {
        self.end_delivery();
        let mut ids: Vec<_> = self.iods.iter().map(|(_, _, iod)| iod.id).collect();
        ids.sort_unstable_by_key(|id| id.made);
        for id in ids {
            self.iod_delete(id, Notice::Silent);
        }
    }
}
