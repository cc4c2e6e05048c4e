//! IODs: making, adopting, asking about them, and giving them their descriptors.

use std::net::SocketAddr;
use std::os::fd::{AsFd, BorrowedFd};
use std::panic::Location;
use std::path::Path;
use std::time::Duration;

use super::Engine;
use crate::backend::{Ready, Source};
use crate::error::{During, Error, Failure, Misuse, SocketOption};
use crate::event::{IcmpError, IodId};
use crate::iod::{Iod, Link};
use crate::socket::{self, Flavor, SetupError, SocketOptions};
use crate::trace::Step;
use crate::transport::Transport;

impl Engine {
    /// Makes an IOD without a descriptor.
    #[track_caller]
    pub fn iod_new(&mut self) -> IodId {
        let id = self.add_iod(Location::caller());
        self.note_iod(id, Step::IodNew);
        id
    }

    pub(super) fn add_iod(&mut self, place: &'static Location<'static>) -> IodId {
        self.read_clock();
        let since = self.nanos(self.now);
        let serials = &mut self.scopes[usize::from(self.scope)];
        serials.iods += 1;
        self.made += 1;
        let mut id = IodId { slot: 0, made: self.made, number: serials.iods };
        id.slot = self.iods.insert(self.made, Iod::new(id, self.scope, since, place));
        if let Some(iod) = self.iods.get_mut(id.slot, id.made) {
            iod.id = id;
        }
        id
    }

    /// Makes an IOD from a duplicate of a descriptor: a socket, which may listen, a pipe, a terminal or a file.
    ///
    /// The caller keeps the original, and its flags (`O_NONBLOCK` among them) are left as they are. Deleting the
    /// IOD closes the duplicate only.
    ///
    /// # Errors
    /// [`Error::Adopt`] if the descriptor cannot be duplicated or watched; no IOD number is used then.
    #[track_caller]
    pub fn iod_adopt(&mut self, fd: BorrowedFd<'_>) -> Result<IodId, Error> {
        let owned = fd.try_clone_to_owned().map_err(Error::Adopt)?;
        let mut transport = Transport::adopt(owned);
        let source = Source { slot: u32::MAX - 1, generation: 0 };
        // A trial registration, so that a descriptor that cannot be watched uses up no number.
        match self.backend.register(transport.as_fd(), source) {
            Ok(()) => self.backend.deregister(transport.as_fd()).map_err(Error::Adopt)?,
            Err(error) if error.raw_os_error() == Some(libc::EPERM) => transport = transport.into_file(),
            Err(error) => return Err(Error::Adopt(error)),
        }
        let peer = rustix::net::getpeername(&transport)
            .ok()
            .flatten()
            .and_then(|peer| SocketAddr::try_from(peer).ok());
        let id = self.add_iod(Location::caller());
        if let Some(iod) = self.iods.get_mut(id.slot, id.made) {
            iod.adopted = true;
            iod.peer = peer;
            iod.link = Link::Open;
            iod.ready.insert(Ready::WRITABLE);
            if transport.is_file() {
                iod.ready.insert(Ready::READABLE);
            } else {
                self.backend.register(transport.as_fd(), iod.source()).map_err(Error::Adopt)?;
            }
            iod.transport = Some(transport);
        }
        self.note_iod(id, Step::IodNew);
        Ok(id)
    }

    /// Gives an IOD without a descriptor an unconnected UDP socket of the family of `local`, bound to it.
    ///
    /// Port 0 and the unspecified address leave the choice to the system. Then [`Sendto`](crate::Request::Sendto) and
    /// [`Read`](crate::Request::Read) work on the IOD.
    ///
    /// # Errors
    /// The failure of making or binding the socket, or [`Misuse`] of the IOD.
    pub fn setup_udp(&mut self, id: IodId, local: SocketAddr) -> Result<(), Failure> {
        self.read_clock();
        self.idle_iod(id).map_err(Failure::Misuse)?;
        self.check_direct(id)?;
        self.note_iod(id, Step::SetupUdp);
        let binding = Some(local).filter(|local| !local.ip().is_unspecified() || local.port() != 0);
        let socket = self.open_socket(id, &local, Flavor::Datagram, binding)?;
        self.watch(id, Transport::from_socket(socket, Flavor::Datagram), Link::Open)
    }

    /// Options for the sockets made from now on, where the IOD has none of its own.
    pub fn set_options(&mut self, options: SocketOptions) {
        self.defaults = options;
    }

    /// Options for the socket this IOD will get; false if the IOD is gone.
    pub fn iod_set_options(&mut self, id: IodId, options: SocketOptions) -> bool {
        let Some(iod) = self.iods.get_mut(id.slot, id.made) else { return false };
        iod.options = Some(Box::new(options));
        true
    }

    /// The IOD's descriptor, to set or ask what this library does not; `None` if it has none.
    #[must_use]
    pub fn iod_fd(&self, id: IodId) -> Option<BorrowedFd<'_>> {
        Some(self.iods.get(id.slot, id.made)?.transport.as_ref()?.as_fd())
    }

    /// The address last connected to, sent to, or received from.
    #[must_use]
    pub fn iod_peer(&self, id: IodId) -> Option<SocketAddr> {
        self.iods.get(id.slot, id.made)?.peer
    }

    /// The path of the Unix socket that the IOD was connected to.
    #[must_use]
    pub fn iod_path(&self, id: IodId) -> Option<&Path> {
        self.iods.get(id.slot, id.made)?.path.as_ref().map(|path| path.as_path())
    }

    /// The local address of the IOD's socket.
    #[must_use]
    pub fn iod_local(&self, id: IodId) -> Option<SocketAddr> {
        let address = rustix::net::getsockname(self.iod_fd(id)?).ok()?;
        SocketAddr::try_from(address).ok()
    }

    /// The ICMP message that ended the IOD's connect, if [`SocketOptions::icmp_errors`] was set and there was one.
    #[must_use]
    pub fn iod_icmp_error(&self, id: IodId) -> Option<IcmpError> {
        self.iods.get(id.slot, id.made)?.icmp_error
    }

    /// Sets how long closing an open socket waits for unsent data; zero resets the connection.
    ///
    /// # Errors
    /// The system's, or [`Misuse`] of an IOD without a socket.
    pub fn iod_set_linger(&mut self, id: IodId, linger: Duration) -> Result<(), Failure> {
        let fd = self.iod_fd(id).ok_or(Failure::Misuse(Misuse::NotConnected))?;
        rustix::net::sockopt::set_socket_linger(fd, Some(linger)).map_err(|errno| Failure::Io {
            errno: errno.raw_os_error(),
            during: During::Option(SocketOption::Linger),
        })
    }

    /// Bytes received and bytes sent so far, those of requests that failed later included.
    #[must_use]
    pub fn iod_bytes(&self, id: IodId) -> Option<(u64, u64)> {
        let iod = self.iods.get(id.slot, id.made)?;
        Some((iod.bytes_read, iod.bytes_written))
    }

    pub(super) fn options_of(&self, id: IodId) -> SocketOptions {
        let own = self.iods.get(id.slot, id.made).and_then(|iod| iod.options.as_deref());
        own.unwrap_or(&self.defaults).clone()
    }

    /// Makes a socket with the IOD's options, or the pool's if it has none; `local` goes before theirs.
    pub(super) fn open_socket(
        &mut self,
        id: IodId,
        address: &SocketAddr,
        flavor: Flavor,
        local: Option<SocketAddr>,
    ) -> Result<socket2::Socket, Failure> {
        let mut iod = self.iods.get_mut(id.slot, id.made);
        // Borrowed and not cloned: a scan comes here for every probe.
        let own = iod.as_deref().and_then(|iod| iod.options.as_deref());
        let options = own.unwrap_or(&self.defaults);
        let (local, icmp_errors) = (local.or(options.local), options.icmp_errors);
        let mut binding = None;
        let opened = socket::open(address, flavor, options, local, |local| binding = Some(local));
        if let Some(iod) = &mut iod {
            iod.icmp_errors = icmp_errors;
        }
        if let Some(local) = binding {
            self.note_iod(id, Step::Binding { local });
        }
        opened.map_err(|SetupError { during, error }| {
            let errno = error.raw_os_error().unwrap_or(libc::EIO);
            self.note_iod(id, Step::SetupFailed { during, local, errno });
            Failure::Io { errno, during }
        })
    }

    /// Gives an IOD its descriptor and puts that under watch.
    pub(super) fn watch(&mut self, id: IodId, transport: Transport, link: Link) -> Result<(), Failure> {
        let Some(iod) = self.iods.get_mut(id.slot, id.made) else {
            return Err(Failure::Misuse(Misuse::StaleIod));
        };
        if let Err(error) = self.backend.register(transport.as_fd(), iod.source()) {
            let failure = Failure::io(&error, During::Register);
            iod.link = Link::Failed { failure };
            return Err(failure);
        }
        iod.transport = Some(transport);
        iod.link = link;
        if link == Link::Open {
            iod.ready.insert(Ready::WRITABLE);
        }
        Ok(())
    }
}
