//! The other side of connects: listening, accepting, and ending one direction of a connection.

use std::io;
use std::net::{Shutdown, SocketAddr};
use std::os::fd::{AsFd, OwnedFd};
use std::path::Path;

use super::Engine;
use crate::backend::Ready;
use crate::error::{During, Failure, Misuse};
use crate::event::{Accepted, EventId, IodId, Output, Sent};
use crate::iod::{Iod, Link};
use crate::op::{Op, Stage, Task};
use crate::socket::{self, SetupError};
use crate::trace::Step;
use crate::transport::{Listener, Transport};

impl Engine {
    /// Gives an IOD without a descriptor a TCP socket that listens at `local`; port 0 leaves the choice to the system,
    /// and [`iod_local`](Self::iod_local) tells it. Then [`Accept`](crate::Request::Accept) works on the IOD.
    ///
    /// # Errors
    /// The failure of making, binding or listening, or [`Misuse`] of the IOD.
    pub fn listen_tcp(&mut self, id: IodId, local: SocketAddr) -> Result<(), Failure> {
        self.listen(id, |engine| {
            let options = engine.options_of(id);
            socket::listen(local, &options)
        })
    }

    /// As [`listen_tcp`](Self::listen_tcp), for a stream socket in the file system. The path must be free, and is left
    /// there when the IOD is deleted.
    ///
    /// # Errors
    /// As of [`listen_tcp`](Self::listen_tcp); `EADDRINUSE` if there is something at the path.
    pub fn listen_unix(&mut self, id: IodId, path: &Path) -> Result<(), Failure> {
        self.listen(id, |_| socket::listen_unix(path))
    }

    fn listen(
        &mut self,
        id: IodId,
        open: impl FnOnce(&mut Self) -> Result<socket2::Socket, SetupError>,
    ) -> Result<(), Failure> {
        self.read_clock();
        self.idle_iod(id).map_err(Failure::Misuse)?;
        let socket = open(self).map_err(|SetupError { during, error }| Failure::io(&error, during))?;
        self.note_iod(id, Step::Listening);
        let listener = Listener { fd: socket.into(), unclaimed: None };
        self.watch(id, Transport::Listener(Box::new(listener)), Link::Open)
    }

    pub(super) fn start_accept(&mut self, id: EventId, iod_id: IodId) -> Option<Result<Output, Failure>> {
        let Some(iod) = self.iods.get(iod_id.slot, iod_id.made) else {
            return Some(Err(Failure::Misuse(Misuse::StaleIod)));
        };
        if !matches!(iod.transport, Some(Transport::Listener(_))) {
            return Some(Err(Failure::Misuse(Misuse::NotListening)));
        }
        let look = iod.may_read();
        self.enqueue(id, iod_id);
        if look {
            self.schedule(iod_id);
        }
        None
    }

    /// Takes the next connection for the accept at the head of the queue.
    pub(super) fn try_accept(&mut self, listening: IodId, slot: u32) {
        let Some(iod) = self.iods.get_mut(listening.slot, listening.made) else { return };
        let Some(outcome) = take_connection(iod) else { return };
        let outcome = outcome.and_then(|(fd, peer)| {
            let Some((scope, place)) = self.ops.at(slot).map(|(_, op)| (op.scope, op.place)) else {
                return Err(Failure::Misuse(Misuse::StaleIod));
            };
            let outer = std::mem::replace(&mut self.scope, scope);
            let id = self.add_iod(place);
            self.scope = outer;
            self.note_iod(id, Step::IodNew);
            if let Some(iod) = self.iods.get_mut(id.slot, id.made) {
                iod.peer = peer;
            }
            self.watch(id, Transport::Stream(fd), Link::Open)?;
            Ok(Output::Accepted(Accepted { iod: id, peer }))
        });
        self.finish(slot, outcome);
    }

    /// A finished accept is not wanted: its connection goes to the next one.
    pub(super) fn give_back_connection(&mut self, event: EventId) {
        let Some(Op { stage: Stage::Done(Ok(Output::Accepted(accepted))), iod: Some(listening), .. }) =
            self.ops.get(event.slot, event.made)
        else {
            return;
        };
        let (accepted, listening) = (*accepted, *listening);
        let Some(iod) = self.iods.remove(accepted.iod.slot, accepted.iod.made) else { return };
        let Some(Transport::Stream(fd)) = iod.transport else { return };
        // It gets another number with the next IOD; a report for this one finds nothing.
        let _ = self.backend.deregister(fd.as_fd());
        let listener = self.iods.get_mut(listening.slot, listening.made);
        if let Some(Transport::Listener(listener)) = listener.and_then(|iod| iod.transport.as_mut()) {
            listener.unclaimed = Some((fd, accepted.peer));
        }
    }

    pub(super) fn start_shutdown(&mut self, id: EventId, iod_id: IodId) -> Option<Result<Output, Failure>> {
        let Some(iod) = self.iods.get(iod_id.slot, iod_id.made) else {
            return Some(Err(Failure::Misuse(Misuse::StaleIod)));
        };
        match (iod.link, &iod.transport) {
            (Link::Idle, _) => return Some(Err(Failure::Misuse(Misuse::NotConnected))),
            (_, Some(Transport::Stream(_) | Transport::Sequenced(_)) | None) => {}
            (_, Some(_)) => return Some(Err(Failure::Misuse(Misuse::NotStream))),
        }
        let look = iod.may_write();
        self.enqueue(id, iod_id);
        if look {
            self.schedule(iod_id);
        }
        None
    }
}

/// The next connection of a listening socket; `None` while there is none.
fn take_connection(iod: &mut Iod) -> Option<Result<(OwnedFd, Option<SocketAddr>), Failure>> {
    let Some(Transport::Listener(listener)) = &mut iod.transport else {
        return Some(Err(Failure::Misuse(Misuse::NotListening)));
    };
    if let Some(unclaimed) = listener.unclaimed.take() {
        return Some(Ok(unclaimed));
    }
    loop {
        match listener.accept() {
            Ok(connection) => return Some(Ok(connection)),
            // It was there, and is gone again (accept(2)): the next one is as good.
            Err(error)
                if matches!(error.kind(), io::ErrorKind::Interrupted | io::ErrorKind::ConnectionAborted) => {}
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => {
                iod.ready.remove(Ready::READABLE);
                iod.ready.remove(Ready::ERROR);
                return None;
            }
            // What is wrong is wrong here, out of descriptors mostly. The connection stays where it is.
            Err(error) => return Some(Err(Failure::io(&error, During::Accept))),
        }
    }
}

/// Ends the sending direction, with what TLS says at the end before it; `None` while there is no room for that.
pub(super) fn shut_down(iod: &mut Iod) -> Option<Result<Output, Failure>> {
    if let Some(tls) = &mut iod.tls {
        tls.close();
        match super::secure::flush(iod) {
            Ok(()) => {}
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => return None,
            Err(error) => return Some(Err(Failure::io(&error, During::Write))),
        }
    }
    let fd = iod.transport.as_ref()?.as_fd();
    let shut = socket2::SockRef::from(&fd).shutdown(Shutdown::Write);
    Some(match shut {
        Ok(()) => Ok(Output::Sent(Sent::default())),
        Err(error) => Err(Failure::io(&error, During::Write)),
    })
}

/// Whether an event waits to end the sending direction.
pub(super) fn is_shutdown(op: &Op) -> bool {
    matches!(op.stage, Stage::Waiting(Task::Shutdown))
}
