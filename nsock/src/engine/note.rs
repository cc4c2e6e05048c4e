//! What the engine tells the trace.

use std::net::SocketAddr;
use std::panic::Location;
use std::time::Duration;

use super::Engine;
use crate::event::{EventId, IodId, Kind};
use crate::iod::Iod;
use crate::op::Op;
use crate::trace::{Level, Record, Step};

/// Whom a record is about.
#[derive(Debug, Clone, Copy)]
pub(super) struct Subject {
    pub(super) scope: u16,
    pub(super) iod: Option<IodId>,
    pub(super) fd: Option<i32>,
    pub(super) peer: Option<SocketAddr>,
    pub(super) event: Option<u64>,
    pub(super) kind: Option<Kind>,
    pub(super) parent: u64,
    pub(super) place: Option<&'static Location<'static>>,
}

impl Engine {
    pub(super) fn wants(&self, level: Level) -> bool {
        // The bench of the trace measures against a build in which this is known to be false.
        !cfg!(nsock_no_trace) && self.trace.wanted.is_some_and(|wanted| level <= wanted)
    }

    #[cold]
    pub(super) fn note(&mut self, subject: Subject, payload: &[u8], step: Step) {
        let iod = subject.iod.and_then(|id| self.iods.get(id.slot, id.made));
        let path = iod.and_then(|iod| iod.path.as_ref());
        let record = Record {
            at: self.now,
            scope: self.trace.label(subject.scope),
            iod: subject.iod.map(IodId::number),
            fd: subject.fd,
            peer: subject.peer,
            path: path.map(|path| path.as_path()),
            event: subject.event,
            kind: subject.kind,
            parent: Some(subject.parent).filter(|&parent| parent != 0),
            place: subject.place,
            payload,
            step,
        };
        self.trace.record(subject.scope, &record);
    }

    pub(super) fn note_op(&mut self, id: EventId, payload: &[u8], step: Step, level: Level) {
        if !self.wants(level) {
            return;
        }
        if let Some(subject) = self.ops.get(id.slot, id.made).map(|op| self.subject_of(op)) {
            self.note(subject, payload, step);
        }
    }

    pub(super) fn note_iod(&mut self, id: IodId, step: Step) {
        if self.wants(Level::Error) {
            self.note(self.subject_of_iod(id), &[], step);
        }
    }

    pub(super) fn subject_of(&self, op: &Op) -> Subject {
        let iod = op.iod.and_then(|id| self.iods.get(id.slot, id.made));
        Subject {
            scope: op.scope,
            iod: op.iod,
            fd: iod.and_then(Iod::fd),
            peer: iod.and_then(|iod| iod.peer),
            event: Some(op.id.number),
            kind: Some(op.kind),
            parent: op.parent,
            place: Some(op.place),
        }
    }

    pub(super) fn subject_of_iod(&self, id: IodId) -> Subject {
        let iod = self.iods.get(id.slot, id.made);
        Subject {
            scope: iod.map_or(self.scope, |iod| iod.scope),
            iod: Some(id),
            fd: iod.and_then(Iod::fd),
            peer: iod.and_then(|iod| iod.peer),
            event: None,
            kind: None,
            parent: self.current.map_or(0, |current| current.event),
            place: iod.map(|iod| iod.place),
        }
    }

    pub(super) fn subject_of_loop(&self) -> Subject {
        Subject {
            scope: self.scope,
            iod: None,
            fd: None,
            peer: None,
            event: None,
            kind: None,
            parent: 0,
            place: None,
        }
    }

    pub(crate) fn note_loop(&mut self, limit: Option<Duration>) {
        self.read_clock();
        if self.wants(Level::Debug) {
            let pending = self.pending();
            self.note(self.subject_of_loop(), &[], Step::LoopStarted { limit, pending });
        }
    }
}
