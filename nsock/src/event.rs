//! What a user of the library sees of an event: its ids, its results and the ways it can fail. Plain data.

use std::fmt;
use std::net::{IpAddr, SocketAddr};

use crate::error::{Failure, Misuse};
use crate::packet::{Datagrams, Packet};

/// The kind of an event; the number is the low three bits of its EID (spec nsock 1.2).
///
/// `Display` writes nsock's word for it, as in `Callback: CONNECT SUCCESS for EID 8`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
#[non_exhaustive]
#[repr(u8)]
pub enum Kind {
    /// A TCP, UDP or Unix socket connect.
    Connect = 0,
    /// A TLS connect or reconnect: the connect, if any, and the handshake.
    ConnectSsl = 1,
    /// Any of the read requests.
    Read = 2,
    /// A write, a `printf` or a `sendto`.
    Write = 3,
    /// A timer.
    Timer = 4,
    /// A read of one packet.
    PcapRead = 5,
    /// Waiting for [`Waker::wake`](crate::Waker::wake); nsock has no such event, the number was free.
    Wake = 6,
    /// Waiting for a connection to a listening IOD; nsock has no such event, the number was free.
    Accept = 7,
}

impl Kind {
    /// Every kind, in the order of the numbers.
    pub const ALL: [Self; 8] = [
        Self::Connect,
        Self::ConnectSsl,
        Self::Read,
        Self::Write,
        Self::Timer,
        Self::PcapRead,
        Self::Wake,
        Self::Accept,
    ];

    pub(crate) fn is_connect(self) -> bool {
        matches!(self, Self::Connect | Self::ConnectSsl)
    }

    /// Whether it waits in its IOD's queue of reads. No IOD takes reads of both kinds.
    pub(crate) fn is_read(self) -> bool {
        matches!(self, Self::Read | Self::PcapRead | Self::Accept)
    }
}

impl fmt::Display for Kind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Connect => "CONNECT",
            Self::ConnectSsl => "SSL-CONNECT",
            Self::Read => "READ",
            Self::Write => "WRITE",
            Self::Timer => "TIMER",
            Self::PcapRead => "READ-PCAP",
            Self::Wake => "WAKE",
            Self::Accept => "ACCEPT",
        })
    }
}

/// Names one event of one pool, for as long as the pool lives.
///
/// An id is never given to a second event; using it after its event has ended is a harmless no-op that says so.
/// `Display` and [`number`](Self::number) give nsock's EID: `serial << 3 | kind`, where each scope counts its
/// serials from 1. Two scopes of a pool may print the same number; the ids still differ.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct EventId {
    pub(crate) slot: u32,
    /// The scope that its number counts in, for the trace of what is done with it after its end.
    pub(crate) scope: u16,
    pub(crate) made: u64,
    pub(crate) number: u64,
}

impl EventId {
    /// The id of a request that was not accepted, because the pool is shutting down. No event ever has it.
    pub const REFUSED: Self = Self { slot: u32::MAX, scope: 0, made: 0, number: 0 };

    pub(crate) fn number_of(serial: u64, kind: Kind) -> u64 {
        serial << 3 | kind as u64
    }

    /// The EID that traces show: `serial << 3 | kind`.
    #[must_use]
    pub fn number(self) -> u64 {
        self.number
    }

    /// The event's place in its scope's sequence of requests, from 1.
    #[must_use]
    pub fn serial(self) -> u64 {
        self.number >> 3
    }
}

impl fmt::Display for EventId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.number.fmt(f)
    }
}

/// Names one I/O descriptor (IOD) of one pool, for as long as the pool lives; never given to a second one.
///
/// `Display` and [`number`](Self::number) give nsock's IOD number, counted from 1 in each scope.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct IodId {
    pub(crate) slot: u32,
    pub(crate) made: u64,
    pub(crate) number: u64,
}

impl IodId {
    /// The number that traces show after `IOD #`.
    #[must_use]
    pub fn number(self) -> u64 {
        self.number
    }
}

impl fmt::Display for IodId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.number.fmt(f)
    }
}

/// Names one user of a pool, with serials, a label and a trace switch of its own.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct ScopeId(pub(crate) u16);

impl ScopeId {
    /// The scope of whoever made the pool.
    pub const DEFAULT: Self = Self(0);
}

/// A request on an IOD has ended; handed to its handler.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct Event<T> {
    /// Which request this was. The event is over: the id is already stale.
    pub id: EventId,
    /// The IOD the request was made on.
    pub iod: IodId,
    /// What came of it.
    pub outcome: Result<T, Failure>,
}

/// A request without an IOD, a timer or a wait for a wake-up, has ended; handed to its handler.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct Alarm {
    /// Which request this was.
    pub id: EventId,
    /// `Ok` when the timer fired or the wake-up came.
    pub outcome: Result<(), Failure>,
}

/// A connect succeeded.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub struct Connected {
    /// The address that was connected to.
    pub peer: SocketAddr,
}

/// Somebody has connected to a listening IOD.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub struct Accepted {
    /// The connection, an IOD of its own. Whoever gets it deletes it.
    pub iod: IodId,
    /// Who it is from; `None` for a Unix socket.
    pub peer: Option<SocketAddr>,
}

/// The ICMP or ICMPv6 message behind a failed connect; see [`SocketOptions::icmp_errors`](crate::SocketOptions).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub struct IcmpError {
    /// The ICMP type (RFC 792, RFC 4443).
    pub kind: u8,
    /// The ICMP code.
    pub code: u8,
    /// Who sent it: the target itself or a router on the way.
    pub from: Option<IpAddr>,
}

/// A write, `printf`, `sendto` or batch succeeded: the system has taken every byte.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct Sent {
    /// How many bytes that were.
    pub bytes: usize,
    /// How many datagrams; 0 where the IOD is not of datagrams.
    pub datagrams: usize,
}

/// A read succeeded.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct Received {
    /// Everything gathered for this request; it may be more than was asked for. Empty only for an empty datagram.
    pub bytes: Vec<u8>,
    /// The sender, where the socket is a datagram socket.
    pub from: Option<SocketAddr>,
    /// Why the read ended where it did.
    pub end: End,
}

/// Why a successful read ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum End {
    /// What was asked for is here.
    Enough,
    /// The peer sent no more: the next read of this IOD ends with [`Failure::Eof`].
    Eof,
    /// The connection broke after these bytes: the next read of this IOD ends with the error.
    Error,
    /// [`READ_BYTES_MAX`](crate::READ_BYTES_MAX) came without the lines that were asked for.
    Full,
    /// Time ran out after these bytes.
    TimedOut,
}

/// What a finished request gave.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum Output {
    /// Of an accept.
    Accepted(Accepted),
    /// Of a connect to an internet address, with or without TLS.
    Connected(Connected),
    /// Of a connect to a Unix or vsock socket.
    ConnectedUnix,
    /// Of a batch of reads.
    Datagrams(Datagrams),
    /// Of a packet read.
    Packet(Packet),
    /// Of a read.
    Received(Received),
    /// Of a write.
    Sent(Sent),
    /// Of a timer or of a wait for a wake-up.
    Alarm,
}

/// A finished request as [`Engine::next_done`](crate::Engine::next_done) returns it, before it is given a type.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct Completion {
    /// Which request.
    pub id: EventId,
    /// Of which kind.
    pub kind: Kind,
    /// On which IOD; `None` for timers and wake-ups.
    pub iod: Option<IodId>,
    /// What came of it.
    pub outcome: Result<Output, Failure>,
}

impl Completion {
    /// Narrows to the event of an IOD request. `pick` is chosen where the request is made, so it fits the kind.
    pub(crate) fn event<T>(self, pick: fn(Output) -> Option<T>) -> Event<T> {
        let misfit = Failure::Misuse(Misuse::StaleIod);
        Event {
            id: self.id,
            iod: self.iod.unwrap_or(IodId { slot: u32::MAX, made: 0, number: 0 }),
            outcome: self.outcome.and_then(|output| pick(output).ok_or(misfit)),
        }
    }

    pub(crate) fn alarm(self) -> Alarm {
        Alarm { id: self.id, outcome: self.outcome.map(|_| ()) }
    }
}

impl Output {
    pub(crate) fn accepted(self) -> Option<Accepted> {
        if let Self::Accepted(accepted) = self { Some(accepted) } else { None }
    }

    pub(crate) fn connected(self) -> Option<Connected> {
        if let Self::Connected(connected) = self { Some(connected) } else { None }
    }

    pub(crate) fn connected_unix(self) -> Option<()> {
        if let Self::ConnectedUnix = self { Some(()) } else { None }
    }

    pub(crate) fn received(self) -> Option<Received> {
        if let Self::Received(received) = self { Some(received) } else { None }
    }

    pub(crate) fn datagrams(self) -> Option<Datagrams> {
        if let Self::Datagrams(datagrams) = self { Some(datagrams) } else { None }
    }

    pub(crate) fn packet(self) -> Option<Packet> {
        if let Self::Packet(packet) = self { Some(packet) } else { None }
    }

    pub(crate) fn sent(self) -> Option<Sent> {
        if let Self::Sent(sent) = self { Some(sent) } else { None }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn eid_is_serial_shifted_by_three_plus_kind() {
        let numbers: Vec<u64> =
            (1..=2).flat_map(|serial| Kind::ALL.map(|kind| EventId::number_of(serial, kind))).collect();
        assert_eq!(numbers, [8, 9, 10, 11, 12, 13, 14, 15, 16, 17, 18, 19, 20, 21, 22, 23]);
        let id = EventId { slot: 0, scope: 0, made: 1, number: 27 };
        assert_eq!((id.serial(), id.to_string().as_str()), (3, "27"));
    }
}
