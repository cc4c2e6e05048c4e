//! Moving bytes through a descriptor, whatever it is, without ever blocking and without touching its flags.

use std::io;
use std::net::SocketAddr;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};

use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::io::Errno;
use rustix::net::sockopt::socket_acceptconn;
use rustix::net::{
    RecvFlags, SendFlags, SocketAddrAny, SocketFlags, SocketType, acceptfrom_with, recv, recvfrom, send,
    sendto,
};
use socket2::Socket;

use crate::capture::Capture;
use crate::socket::Flavor;

/// Written to a pipe or terminal in one call: what POSIX lets a writable pipe take without blocking.
const DESCRIPTOR_WRITE_MAX: usize = 512;

/// The descriptor of an IOD.
#[derive(Debug)]
pub(crate) enum Transport {
    /// A connected socket, or one on its way there.
    Stream(OwnedFd),
    /// A socket that keeps message boundaries.
    Datagram(OwnedFd),
    /// One with a connection besides (`SOCK_SEQPACKET`): no bytes are its end.
    Sequenced(OwnedFd),
    /// A pipe or a terminal. It may be in blocking mode, and that is the caller's business: the system is asked
    /// before every call.
    Descriptor(OwnedFd),
    /// A socket that others connect to.
    Listener(Box<Listener>),
    /// A capture of packets, which has calls of its own.
    Packets(Box<Capture>),
    /// A file, which no readiness queue takes because it is always ready.
    File(OwnedFd),
}

/// A listening socket.
#[derive(Debug)]
pub(crate) struct Listener {
    pub(crate) fd: OwnedFd,
    /// It is of somebody else's making, whose mode it has.
    pub(crate) may_block: bool,
    /// A connection that was taken for an accept which is still to be delivered, or was cancelled.
    pub(crate) unclaimed: Option<(OwnedFd, Option<SocketAddr>)>,
}

impl Listener {
    /// Takes a connection; `WouldBlock` when there is none.
    pub(crate) fn accept(&self) -> io::Result<(OwnedFd, Option<SocketAddr>)> {
        if self.may_block {
            ready_now(self.fd.as_fd(), PollFlags::IN)?;
        }
        let flags = SocketFlags::CLOEXEC | SocketFlags::NONBLOCK;
        let (connection, from) = acceptfrom_with(&self.fd, flags)?;
        Ok((connection, from.and_then(|from| SocketAddr::try_from(from).ok())))
    }
}

impl Transport {
    pub(crate) fn from_socket(socket: Socket, flavor: Flavor) -> Self {
        match flavor {
            Flavor::Stream => Self::Stream(socket.into()),
            Flavor::Datagram => Self::Datagram(socket.into()),
        }
    }

    /// Recognizes a descriptor of somebody else's making.
    pub(crate) fn adopt(fd: OwnedFd) -> Self {
        match rustix::net::sockopt::socket_type(&fd) {
            Ok(SocketType::STREAM) if socket_acceptconn(&fd).unwrap_or(false) => {
                Self::Listener(Box::new(Listener { fd, may_block: true, unclaimed: None }))
            }
            Ok(SocketType::STREAM) => Self::Stream(fd),
            Ok(SocketType::SEQPACKET) => Self::Sequenced(fd),
            Ok(_) => Self::Datagram(fd),
            Err(_) => Self::Descriptor(fd),
        }
    }

    /// The same descriptor, now known to be one that cannot be watched.
    pub(crate) fn into_file(self) -> Self {
        match self {
            Self::Stream(fd)
            | Self::Datagram(fd)
            | Self::Sequenced(fd)
            | Self::Descriptor(fd)
            | Self::File(fd) => Self::File(fd),
            Self::Packets(_) | Self::Listener(_) => self,
        }
    }

    pub(crate) fn is_datagram(&self) -> bool {
        matches!(self, Self::Datagram(_) | Self::Sequenced(_))
    }

    /// Whether a connection may be waiting that needs no system call.
    pub(crate) fn has_connection(&self) -> bool {
        matches!(self, Self::Listener(listener) if listener.unclaimed.is_some())
    }

    /// Whether receiving no bytes is an empty datagram and not the end.
    pub(crate) fn keeps_empty(&self) -> bool {
        matches!(self, Self::Datagram(_))
    }

    /// The capture, if that is what it is.
    pub(crate) fn capture(&self) -> Option<&Capture> {
        if let Self::Packets(capture) = self { Some(capture) } else { None }
    }

    /// As [`capture`](Self::capture), to take from it.
    pub(crate) fn capture_mut(&mut self) -> Option<&mut Capture> {
        if let Self::Packets(capture) = self { Some(capture) } else { None }
    }

    /// Whether it has packets that need no system call.
    pub(crate) fn has_packets(&self) -> bool {
        matches!(self, Self::Packets(capture) if capture.has_packets())
    }

    pub(crate) fn is_file(&self) -> bool {
        matches!(self, Self::File(_))
    }

    /// Receives once: the number of bytes, and who sent them if that is news. `WouldBlock` when there is nothing.
    pub(crate) fn receive(&self, buffer: &mut [u8]) -> io::Result<(usize, Option<SocketAddr>)> {
        match self {
            Self::Stream(fd) => Ok((recv(fd, buffer, RecvFlags::DONTWAIT)?.0, None)),
            Self::Datagram(fd) | Self::Sequenced(fd) => {
                let (length, _, from) = recvfrom(fd, buffer, RecvFlags::DONTWAIT)?;
                Ok((length, from.and_then(|from: SocketAddrAny| SocketAddr::try_from(from).ok())))
            }
            Self::Descriptor(fd) => {
                ready_now(fd.as_fd(), PollFlags::IN)?;
                Ok((rustix::io::read(fd, buffer)?, None))
            }
            Self::File(fd) => Ok((rustix::io::read(fd, buffer)?, None)),
            Self::Packets(_) | Self::Listener(_) => Err(Errno::OPNOTSUPP.into()),
        }
    }

    /// Sends once: the number of bytes taken. `WouldBlock` when there is no room.
    pub(crate) fn send(&self, data: &[u8], to: Option<SocketAddr>) -> io::Result<usize> {
        let flags = SendFlags::DONTWAIT | SendFlags::NOSIGNAL;
        Ok(match (self, to) {
            (Self::Stream(fd) | Self::Datagram(fd) | Self::Sequenced(fd), None) => send(fd, data, flags)?,
            (Self::Stream(fd) | Self::Datagram(fd) | Self::Sequenced(fd), Some(to)) => {
                sendto(fd, data, flags, &to)?
            }
            (Self::Descriptor(fd), _) => {
                ready_now(fd.as_fd(), PollFlags::OUT)?;
                rustix::io::write(fd, &data[..data.len().min(DESCRIPTOR_WRITE_MAX)])?
            }
            (Self::File(fd), _) => rustix::io::write(fd, data)?,
            (Self::Packets(_) | Self::Listener(_), _) => return Err(Errno::OPNOTSUPP.into()),
        })
    }
}

impl AsFd for Transport {
    fn as_fd(&self) -> BorrowedFd<'_> {
        match self {
            Self::Stream(fd)
            | Self::Datagram(fd)
            | Self::Sequenced(fd)
            | Self::Descriptor(fd)
            | Self::File(fd) => fd.as_fd(),
            Self::Listener(listener) => listener.fd.as_fd(),
            Self::Packets(capture) => capture.as_fd(),
        }
    }
}

/// `WouldBlock` unless one call in this direction is sure to return at once.
fn ready_now(fd: BorrowedFd<'_>, direction: PollFlags) -> io::Result<()> {
    let mut watched = [PollFd::from_borrowed_fd(fd, direction)];
    let now = Timespec { tv_sec: 0, tv_nsec: 0 };
    match poll(&mut watched, Some(&now)) {
        Ok(0) => Err(Errno::WOULDBLOCK.into()),
        Ok(_) => Ok(()),
        Err(error) => Err(error.into()),
    }
}
