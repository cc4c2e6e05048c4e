//! IODs: making and deleting them, and what can be asked about them.

use std::net::SocketAddr;
use std::os::fd::{AsFd, BorrowedFd};
use std::path::Path;
use std::time::Duration;

use super::Io;
use crate::engine::Notice;
use crate::error::{Error, Failure};
use crate::event::{IcmpError, IodId};
use crate::socket::SocketOptions;

/// # IODs
impl<S: 'static> Io<S> {
    /// Makes an IOD, for one connection or one datagram socket.
    #[track_caller]
    pub fn iod_new(&mut self) -> IodId {
        self.engine.iod_new()
    }

    /// Makes an IOD from a duplicate of a descriptor: a socket, which may listen, a pipe, a terminal or a file.
    ///
    /// The caller keeps the original; it is never closed, and its flags stay as they are.
    ///
    /// # Errors
    /// [`Error::Adopt`] if the descriptor cannot be duplicated or watched.
    #[track_caller]
    pub fn iod_adopt(&mut self, fd: impl AsFd) -> Result<IodId, Error> {
        self.engine.iod_adopt(fd.as_fd())
    }

    /// Makes an IOD for the standard input, whether it is a terminal, a pipe or a file. It is never closed.
    ///
    /// # Errors
    /// [`Error::Adopt`], for instance if the program was started with its standard input closed.
    #[track_caller]
    pub fn iod_stdin(&mut self) -> Result<IodId, Error> {
        self.engine.iod_adopt(rustix::stdio::stdin())
    }

    /// Deletes an IOD: closes its descriptor and ends its pending events silently; their handlers never run.
    /// False if it was deleted before.
    pub fn iod_delete(&mut self, iod: IodId) -> bool {
        let handlers = &mut self.handlers;
        self.engine.iod_delete_with(iod, Notice::Silent, |event| drop(handlers.take(event.slot)))
    }

    /// Deletes an IOD; the handlers of its pending events run from the loop, with [`Failure::Cancelled`].
    /// False if it was deleted before.
    pub fn iod_delete_notify(&mut self, iod: IodId) -> bool {
        self.engine.iod_delete(iod, Notice::Given)
    }

    /// Deletes an IOD that nothing is pending on.
    ///
    /// # Errors
    /// The number of pending events if there are any; nothing is changed then.
    pub fn iod_delete_idle(&mut self, iod: IodId) -> Result<bool, usize> {
        match self.engine.events_of(iod).len() {
            0 => Ok(self.iod_delete(iod)),
            pending => Err(pending),
        }
    }

    /// Options for the sockets made from now on, where the IOD has none of its own.
    pub fn set_options(&mut self, options: SocketOptions) {
        self.engine.set_options(options);
    }

    /// Options for the socket that this IOD will get; false if the IOD is gone.
    pub fn iod_set_options(&mut self, iod: IodId, options: SocketOptions) -> bool {
        self.engine.iod_set_options(iod, options)
    }

    /// The IOD's descriptor, to set or ask what this library does not; `None` if it has none.
    #[must_use]
    pub fn iod_fd(&self, iod: IodId) -> Option<BorrowedFd<'_>> {
        self.engine.iod_fd(iod)
    }

    /// The address last connected to, sent to, or received from.
    #[must_use]
    pub fn iod_peer(&self, iod: IodId) -> Option<SocketAddr> {
        self.engine.iod_peer(iod)
    }

    /// The local address of the IOD's socket.
    #[must_use]
    pub fn iod_local(&self, iod: IodId) -> Option<SocketAddr> {
        self.engine.iod_local(iod)
    }

    /// The ICMP message that ended the IOD's connect, if [`SocketOptions::icmp_errors`] was set and there was one.
    #[must_use]
    pub fn iod_icmp_error(&self, iod: IodId) -> Option<IcmpError> {
        self.engine.iod_icmp_error(iod)
    }

    /// The path of the Unix socket that the IOD was connected to.
    #[must_use]
    pub fn iod_path(&self, iod: IodId) -> Option<&Path> {
        self.engine.iod_path(iod)
    }

    /// Sets how long closing the IOD's open socket waits for unsent data; zero resets the connection.
    ///
    /// # Errors
    /// The system's, or a misuse of an IOD without a socket.
    pub fn iod_set_linger(&mut self, iod: IodId, linger: Duration) -> Result<(), Failure> {
        self.engine.iod_set_linger(iod, linger)
    }

    /// Bytes received and bytes sent so far, those of requests that failed included.
    #[must_use]
    pub fn iod_bytes(&self, iod: IodId) -> Option<(u64, u64)> {
        self.engine.iod_bytes(iod)
    }
}
