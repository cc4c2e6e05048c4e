//! One I/O descriptor: its socket, what is known of its readiness, and who is waiting for it.

use std::collections::VecDeque;
use std::net::SocketAddr;
use std::os::fd::{AsFd, AsRawFd};
use std::panic::Location;
use std::path::PathBuf;

use crate::backend::{Ready, Source};
use crate::engine::Proxied;
use crate::error::Failure;
use crate::event::{IcmpError, IodId, Kind};
use crate::op::NONE;
use crate::socket::SocketOptions;
use crate::tls::Channel;
#[cfg(feature = "tls")]
use crate::tls::TlsOptions;
use crate::transport::Transport;

/// How far an IOD has come.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Link {
    /// No descriptor yet.
    Idle,
    Connecting,
    /// Connected to the first proxy; the way through the others is being made.
    Tunneling,
    /// Connected; TLS is being agreed on.
    Handshaking,
    Open,
    /// The connect came to nothing; requests behind it end the same way.
    Failed {
        failure: Failure,
    },
}

/// The ends of a queue of events, linked through the events themselves.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Queue {
    pub(crate) head: u32,
    pub(crate) tail: u32,
}

impl Queue {
    pub(crate) const EMPTY: Self = Self { head: NONE, tail: NONE };

    pub(crate) fn is_empty(self) -> bool {
        self.head == NONE
    }
}

/// Bytes that came for a read which was cancelled, or one datagram.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Unread {
    pub(crate) bytes: Vec<u8>,
    pub(crate) from: Option<SocketAddr>,
}

/// Where the datagrams end that one read has gathered, so that they can be given back as they came.
#[derive(Debug)]
pub(crate) struct Gathered {
    /// The generation of the read.
    pub(crate) by: u64,
    pub(crate) ends: Vec<(usize, Option<SocketAddr>)>,
}

#[derive(Debug)]
pub(crate) struct Iod {
    pub(crate) id: IodId,
    pub(crate) scope: u16,
    pub(crate) link: Link,
    pub(crate) ready: Ready,
    /// On the engine's list of IODs to look at.
    pub(crate) queued: bool,
    /// The peer has sent its last byte, for good.
    pub(crate) eof: bool,
    /// So have we.
    pub(crate) write_shut: bool,
    /// A finished read is waiting to be delivered; the next one starts after that, so that a cancel can give back
    /// what the first one got without disturbing the order.
    pub(crate) read_undelivered: bool,
    /// An event in a queue had its deadline pass while it could not be tried.
    pub(crate) overdue: bool,
    /// The error queue of its socket is worth asking.
    pub(crate) icmp_errors: bool,
    /// The queue of its device was full at the last try.
    pub(crate) stalled: bool,
    /// Somebody else has the same file open: closing does not end the watch.
    pub(crate) adopted: bool,
    /// A receive error that came behind data, for the next read; one of TLS stays.
    pub(crate) read_failure: Option<Failure>,
    /// The ICMP message that ended its connect, if that was asked for.
    pub(crate) icmp_error: Option<IcmpError>,
    pub(crate) transport: Option<Transport>,
    pub(crate) tls: Option<Box<Channel>>,
    pub(crate) peer: Option<SocketAddr>,
    connects: Queue,
    reads: Queue,
    writes: Queue,
    /// Events that have ended and are waiting to be delivered.
    pub(crate) finished: Queue,
    pub(crate) bytes_read: u64,
    pub(crate) bytes_written: u64,
    pub(crate) unread: VecDeque<Unread>,
    /// Of the last read that gathered several datagrams; few IODs have one.
    pub(crate) gathered: Option<Box<Gathered>>,
    pub(crate) options: Option<Box<SocketOptions>>,
    pub(crate) proxied: Option<Box<Proxied>>,
    #[cfg(feature = "tls")]
    pub(crate) tls_options: Option<Box<TlsOptions>>,
    /// The path of a Unix socket's peer.
    pub(crate) path: Option<Box<PathBuf>>,
    pub(crate) since: u64,
    pub(crate) place: &'static Location<'static>,
}

impl Iod {
    pub(crate) fn new(id: IodId, scope: u16, since: u64, place: &'static Location<'static>) -> Self {
        Self {
            id,
            scope,
            link: Link::Idle,
            ready: Ready::default(),
            queued: false,
            eof: false,
            write_shut: false,
            read_undelivered: false,
            overdue: false,
            icmp_errors: false,
            stalled: false,
            adopted: false,
            read_failure: None,
            icmp_error: None,
            transport: None,
            tls: None,
            peer: None,
            connects: Queue::EMPTY,
            reads: Queue::EMPTY,
            writes: Queue::EMPTY,
            finished: Queue::EMPTY,
            bytes_read: 0,
            bytes_written: 0,
            unread: VecDeque::new(),
            gathered: None,
            options: None,
            proxied: None,
            #[cfg(feature = "tls")]
            tls_options: None,
            path: None,
            since,
            place,
        }
    }

    pub(crate) fn fd(&self) -> Option<i32> {
        Some(self.transport.as_ref()?.as_fd().as_raw_fd())
    }

    pub(crate) fn source(&self) -> Source {
        Source::of_iod(self.id)
    }

    /// The queue of a kind that has one.
    pub(crate) fn queue(&self, kind: Kind) -> Queue {
        match kind {
            Kind::Connect | Kind::ConnectSsl => self.connects,
            Kind::Read | Kind::PcapRead | Kind::Accept => self.reads,
            Kind::Write => self.writes,
            Kind::Timer | Kind::Wake => Queue::EMPTY,
        }
    }

    pub(crate) fn queue_mut(&mut self, kind: Kind) -> Option<&mut Queue> {
        match kind {
            Kind::Connect | Kind::ConnectSsl => Some(&mut self.connects),
            Kind::Read | Kind::PcapRead | Kind::Accept => Some(&mut self.reads),
            Kind::Write => Some(&mut self.writes),
            Kind::Timer | Kind::Wake => None,
        }
    }

    /// Whether trying a read now could get somewhere.
    pub(crate) fn may_read(&self) -> bool {
        !self.read_undelivered
            && match self.link {
                Link::Open => {
                    self.ready.has(Ready::READABLE)
                        || self.ready.has(Ready::ERROR)
                        || self.eof
                        || self.read_failure.is_some()
                        || !self.unread.is_empty()
                        || self.transport.as_ref().is_some_and(Transport::has_packets)
                        || self.transport.as_ref().is_some_and(Transport::has_connection)
                }
                Link::Failed { .. } => true,
                Link::Idle | Link::Connecting | Link::Tunneling | Link::Handshaking => false,
            }
    }

    /// Whether trying a write now could get somewhere.
    pub(crate) fn may_write(&self) -> bool {
        match self.link {
            Link::Open => self.ready.has(Ready::WRITABLE) || self.ready.has(Ready::ERROR),
            Link::Failed { .. } => true,
            Link::Idle | Link::Connecting | Link::Tunneling | Link::Handshaking => false,
        }
    }

    /// How requests end that were queued behind a connect that came to nothing.
    pub(crate) fn failure_behind_connect(&self) -> Option<Failure> {
        match self.link {
            Link::Failed { failure } => Some(failure),
            _ => None,
        }
    }
}

impl Source {
    fn of_iod(id: IodId) -> Self {
        #[expect(clippy::cast_possible_truncation, reason = "the low half tells neighbors in time apart")]
        let generation = id.made as u32;
        Self { slot: id.slot, generation }
    }
}
