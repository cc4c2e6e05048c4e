//! Finished events on their way to whoever asked.

use super::note::Subject;
use super::submit::{push_back, unlink};
use super::{Current, Engine, MOVED_BYTES_PER_TURN_MAX};
use crate::error::Failure;
use crate::event::{Completion, End, IodId, Kind, Output};
use crate::op::{Op, Stage};
use crate::trace::{Callback, Level, Step};

impl Engine {
    /// An event has its outcome: it waits for its delivery among its IOD's finished ones.
    pub(super) fn finish(&mut self, slot: u32, outcome: Result<Output, Failure>) {
        self.deadlines.remove(slot);
        self.dequeue(slot);
        let Self { ops, iods, .. } = self;
        let Some(op) = ops.at_mut(slot) else { return };
        op.stage = Stage::Done(outcome);
        let (id, kind, iod) = (op.id, op.kind, op.iod);
        if let Some(iod) = iod.and_then(|id| iods.get_mut(id.slot, id.made)) {
            if kind.is_read() {
                iod.read_undelivered = true;
            }
            push_back(ops, &mut iod.finished, slot);
        }
        self.done.push_back((slot, id.made));
    }

    /// The next finished request, in the order they finished; `None` when it is time for another
    /// [`turn`](Self::turn).
    ///
    /// What is submitted until the next call counts as asked for by this completion's handler: it inherits the
    /// scope, and the trace names it as the parent.
    pub fn next_done(&mut self) -> Option<Completion> {
        self.end_delivery();
        loop {
            while self.budget > 0 {
                let Some((slot, made)) = self.done.pop_front() else { break };
                if let Some(op) = self.take_finished(slot, made) {
                    self.budget -= 1;
                    return Some(self.deliver(op));
                }
            }
            let spent = self.budget == 0 || self.moved >= MOVED_BYTES_PER_TURN_MAX;
            if spent || self.work.is_empty() {
                self.in_turn = false;
                return None;
            }
            self.look_at_work();
        }
    }

    /// Delivers what is finished by now, but follows up on nothing more in this turn.
    pub(crate) fn finish_turn(&mut self) {
        self.budget = self.budget.min(self.done.len());
    }

    /// The turn is over, whatever is left of it.
    pub(crate) fn leave_turn(&mut self) {
        self.end_delivery();
        self.in_turn = false;
    }

    fn take_finished(&mut self, slot: u32, made: u64) -> Option<Op> {
        let op = self.ops.get(slot, made)?;
        let (kind, iod_id, cancelled) =
            (op.kind, op.iod, matches!(op.stage, Stage::Done(Err(Failure::Cancelled))));
        self.pending[kind as usize] -= 1;
        if !cancelled {
            self.leave_finished(slot, kind, iod_id);
        }
        self.ops.remove(slot, made)
    }

    /// Takes a finished event from its IOD's list; if it was a read, the next one may begin.
    pub(super) fn leave_finished(&mut self, slot: u32, kind: Kind, iod_id: Option<IodId>) {
        let Some(id) = iod_id else { return };
        let Self { ops, iods, .. } = self;
        let Some(iod) = iods.get_mut(id.slot, id.made) else { return };
        unlink(ops, &mut iod.finished, slot);
        if kind.is_read() {
            iod.read_undelivered = false;
            if !iod.queue(Kind::Read).is_empty() && (iod.may_read() || iod.overdue) {
                self.schedule(id);
            }
        }
    }

    fn deliver(&mut self, op: Op) -> Completion {
        let mut subject = self.wants(Level::Info).then(|| self.subject_of(&op));
        if let (Some(subject), Stage::Done(Ok(Output::Accepted(accepted)))) = (&mut subject, &op.stage) {
            subject.peer = accepted.peer;
        }
        let outcome = match op.stage {
            Stage::Done(outcome) => outcome,
            Stage::Waiting(_) => Err(Failure::Cancelled),
        };
        self.current = Some(Current { event: op.id.number, subject, outer_scope: self.scope });
        self.scope = op.scope;
        let outcome = match (outcome, op.iod) {
            (Ok(Output::Accepted(_)), Some(listening)) => self.claim_connection(listening, op.place),
            (outcome, _) => outcome,
        };
        if let Some(subject) = subject {
            let (payload, callback): (&[u8], _) = match &outcome {
                Ok(Output::Received(got)) => {
                    (&got.bytes, Callback::Received { bytes: got.bytes.len(), end: got.end })
                }
                Ok(Output::Datagrams(got)) => {
                    (&got.bytes, Callback::Received { bytes: got.bytes.len(), end: End::Enough })
                }
                Ok(Output::Packet(packet)) => (&[], Callback::Success { bytes: packet.bytes.len() }),
                Ok(Output::Sent(sent)) => (&[], Callback::Success { bytes: sent.bytes }),
                Ok(Output::Accepted(_) | Output::Connected(_) | Output::ConnectedUnix | Output::Alarm) => {
                    (&[], Callback::Success { bytes: 0 })
                }
                Err(failure) => (&[], Callback::Failed(*failure)),
            };
            self.note(subject, payload, Step::Callback(callback));
            if let Ok(Output::Accepted(accepted)) = &outcome {
                self.note_iod(accepted.iod, Step::IodNew);
            }
        }
        Completion { id: op.id, kind: op.kind, iod: op.iod, outcome }
    }

    /// The handler of the last completion has returned.
    pub(super) fn end_delivery(&mut self) {
        if let Some(current) = self.current.take() {
            self.scope = current.outer_scope;
            if let Some(subject) = current.subject
                && self.wants(Level::Debug)
            {
                self.note(Subject { parent: 0, ..subject }, &[], Step::Released);
            }
        }
    }
}
