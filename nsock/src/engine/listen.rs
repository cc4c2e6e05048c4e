//! The other side of connects: listening, accepting, and ending one direction of a connection.

use std::io;
use std::net::{Shutdown, SocketAddr};
use std::os::fd::AsFd;
use std::panic::Location;
use std::path::Path;

use super::Engine;
use crate::backend::Ready;
use crate::error::{During, Failure, Misuse};
use crate::event::{Accepted, EventId, IodId, Output, Sent};
use crate::iod::{Iod, Link};
use crate::op::{Op, Stage, Task};
use crate::socket::{self, SetupError, SocketOptions};
use crate::trace::Step;
use crate::transport::{Listener, Transport};

/// The IOD of a connection that has been taken and not delivered.
const NOT_YET_MADE: IodId = IodId { slot: u32::MAX, made: 0, number: 0 };

impl Engine {
    /// Gives an IOD without a descriptor a TCP socket that listens at `local`; port 0 leaves the choice to the system,
    /// and [`iod_local`](Self::iod_local) tells it. Then [`Accept`](crate::Request::Accept) works on the IOD.
    ///
    /// # Errors
    /// The failure of making, binding or listening, or [`Misuse`] of the IOD.
    pub fn listen_tcp(&mut self, id: IodId, local: SocketAddr) -> Result<(), Failure> {
        self.listen(id, Some(local), |options| socket::listen(local, options))
    }

    /// As [`listen_tcp`](Self::listen_tcp), for a stream socket in the file system. The path must be free, and is left
    /// there when the IOD is deleted.
    ///
    /// # Errors
    /// As of [`listen_tcp`](Self::listen_tcp); `EADDRINUSE` if there is something at the path.
    pub fn listen_unix(&mut self, id: IodId, path: &Path) -> Result<(), Failure> {
        self.listen(id, None, |_| socket::listen_unix(path))
    }

    fn listen(
        &mut self,
        id: IodId,
        local: Option<SocketAddr>,
        open: impl FnOnce(&SocketOptions) -> Result<socket2::Socket, SetupError>,
    ) -> Result<(), Failure> {
        self.read_clock();
        self.idle_iod(id).map_err(Failure::Misuse)?;
        if let Some(local) = local {
            self.note_iod(id, Step::Binding { local });
        }
        let socket = open(&self.options_of(id)).map_err(|SetupError { during, error }| {
            let errno = error.raw_os_error().unwrap_or(libc::EIO);
            self.note_iod(id, Step::SetupFailed { during, local, errno });
            Failure::Io { errno, during }
        })?;
        self.note_iod(id, Step::Listening);
        let listener = Listener { fd: socket.into(), may_block: false, unclaimed: None };
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

    /// Takes the next connection for the accept at the head of the queue. It stays with the listener until it is
    /// delivered, so a cancel has nothing to give back.
    pub(super) fn try_accept(&mut self, listening: IodId, slot: u32) {
        let Some(iod) = self.iods.get_mut(listening.slot, listening.made) else { return };
        let Some(outcome) = take_connection(iod) else { return };
        self.finish(slot, outcome.map(|peer| Output::Accepted(Accepted { iod: NOT_YET_MADE, peer })));
    }

    /// Makes the IOD of a connection whose accept is being delivered.
    pub(super) fn claim_connection(
        &mut self,
        listening: IodId,
        place: &'static Location<'static>,
    ) -> Result<Output, Failure> {
        let listener =
            self.iods.get_mut(listening.slot, listening.made).and_then(|iod| iod.transport.as_mut());
        let Some(Transport::Listener(listener)) = listener else {
            return Err(Failure::Misuse(Misuse::StaleIod));
        };
        let Some((fd, peer)) = listener.unclaimed.take() else {
            return Err(Failure::Misuse(Misuse::NotListening));
        };
        let id = self.add_iod(place);
        if let Some(iod) = self.iods.get_mut(id.slot, id.made) {
            iod.peer = peer;
        }
        if let Err(failure) = self.watch(id, Transport::Stream(fd), Link::Open) {
            // Nobody has heard of it: it uses up no number.
            self.iods.remove(id.slot, id.made);
            self.scopes[usize::from(self.scope)].iods -= 1;
            return Err(failure);
        }
        Ok(Output::Accepted(Accepted { iod: id, peer }))
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

/// Has the next connection ready, and tells whose it is; `None` while there is none.
fn take_connection(iod: &mut Iod) -> Option<Result<Option<SocketAddr>, Failure>> {
    let Some(Transport::Listener(listener)) = &mut iod.transport else {
        return Some(Err(Failure::Misuse(Misuse::NotListening)));
    };
    if let Some((_, peer)) = &listener.unclaimed {
        return Some(Ok(*peer));
    }
    loop {
        match listener.accept() {
            Ok((fd, peer)) => {
                listener.unclaimed = Some((fd, peer));
                return Some(Ok(peer));
            }
            Err(error) if error.kind() == io::ErrorKind::Interrupted || is_of_the_visitor(&error) => {}
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

/// Whether an error is that of a connection which was there and is gone again: the next one is as good (accept(2)).
fn is_of_the_visitor(error: &io::Error) -> bool {
    matches!(
        error.raw_os_error(),
        Some(
            libc::ECONNABORTED
                | libc::EHOSTDOWN
                | libc::EHOSTUNREACH
                | libc::ENETDOWN
                | libc::ENETUNREACH
                | libc::ENONET
                | libc::ENOPROTOOPT
                | libc::EOPNOTSUPP
                | libc::EPROTO
        )
    )
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
        Ok(()) => {
            iod.write_shut = true;
            Ok(Output::Sent(Sent::default()))
        }
        Err(error) => Err(Failure::io(&error, During::Write)),
    })
}

/// Whether an event waits to end the sending direction.
pub(super) fn is_shutdown(op: &Op) -> bool {
    matches!(op.stage, Stage::Waiting(Task::Shutdown))
}
