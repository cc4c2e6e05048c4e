//! What can happen in a pool, as values.

use std::fmt;
use std::net::SocketAddr;
use std::time::Duration;

use super::Asked;
use crate::error::{During, Failure};
use crate::event::End;
use crate::op::Until;
use crate::proxy::ProxyFailure;
use crate::tls_error::TlsError;

/// What happened.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum Step {
    /// An IOD was made.
    IodNew,
    /// An IOD was deleted; its pending events follow.
    IodDelete,
    /// An unconnected UDP socket was made for an IOD.
    SetupUdp,
    /// An IOD listens.
    Listening,
    /// A capture is about to be opened; the payload is the text of its filter.
    PcapRequested {
        /// On this device.
        device: DeviceName,
        /// With what is for other machines too.
        promiscuous: bool,
        /// With so many bytes of each packet.
        snaplen: usize,
    },
    /// A capture was opened.
    PcapOpened {
        /// On this device.
        device: DeviceName,
        /// Where the network layer starts.
        l3_offset: usize,
    },
    /// A capture could not be opened; the payload says why.
    PcapFailed {
        /// On this device.
        device: DeviceName,
        /// It was its filter.
        filter: bool,
    },
    /// An event was made for a request that is about to be told.
    EventNew,
    /// A request was made.
    Request {
        /// Which.
        asked: Asked,
        /// Its time limit.
        limit: Option<Duration>,
    },
    /// The socket is about to be bound.
    Binding {
        /// To this local address.
        local: SocketAddr,
    },
    /// Setting up the socket failed at this step; the request fails too.
    SetupFailed {
        /// Which step.
        during: During,
        /// The local address, for a bind.
        local: Option<SocketAddr>,
        /// The system's error.
        errno: i32,
    },
    /// The request is under way.
    Armed {
        /// Its time limit.
        limit: Option<Duration>,
    },
    /// The loop was entered.
    LoopStarted {
        /// For at most so long.
        limit: Option<Duration>,
        /// With so many events pending.
        pending: usize,
    },
    /// The loop waits for the system.
    Turn,
    /// Waiting failed; the loop ends.
    WaitFailed {
        /// The system's error.
        errno: i32,
    },
    /// An IOD is looked at.
    Ready {
        /// nsock's mask: read 1, write 2, exception 4.
        mask: u8,
    },
    /// Some of what was asked for was moved.
    Partial {
        /// Bytes this time.
        bytes: usize,
        /// Bytes so far.
        total: usize,
    },
    /// TLS failed, in a handshake or in a read that is about to end.
    TlsFailed {
        /// How.
        error: TlsError,
    },
    /// A connect goes through proxies.
    Proxy(ProxyStep),
    /// A timer's time has come.
    TimerFired,
    /// The handler is about to run.
    Callback(Callback),
    /// The handler has returned, or will never run: the event is over.
    Released,
    /// A cancel was asked for.
    Cancel {
        /// Whether the event was still there to cancel.
        found: bool,
        /// Whether its handler will be told.
        notice: bool,
    },
    /// A pending event was ended by a cancel or with its IOD.
    Removed {
        /// Whether its handler will be told.
        notice: bool,
    },
}

/// A step on the way through proxies; all are of the connect that was asked for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum ProxyStep {
    /// The connect goes to the first proxy in place of the target.
    Redirected,
    /// A proxy is asked.
    Asked {
        /// The scheme of its URL.
        by: &'static str,
        /// In so many bytes, which are not shown: a password may be among them.
        bytes: usize,
    },
    /// Its answer is waited for.
    Awaited {
        /// How much of one is needed.
        until: Until,
        /// The time left.
        limit: Option<Duration>,
    },
    /// A proxy did not do as it was asked; the payload is its URL.
    Refused(ProxyFailure),
    /// There is a connection to the target.
    Through,
    /// There is none.
    Failed(ProxyFailure),
}

/// The name of a network device, as much of it as a device can have.
#[derive(Clone, Copy, PartialEq, Eq)]
pub struct DeviceName([u8; DEVICE_NAME_MAX]);

/// `IFNAMSIZ` without the end.
const DEVICE_NAME_MAX: usize = 15;

impl DeviceName {
    pub(crate) fn new(name: &str) -> Self {
        let mut bytes = [0; DEVICE_NAME_MAX];
        for (place, byte) in bytes.iter_mut().zip(name.bytes()) {
            *place = byte;
        }
        Self(bytes)
    }
}

impl fmt::Display for DeviceName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let name = self.0.split(|&byte| byte == 0).next().unwrap_or_default();
        f.write_str(&String::from_utf8_lossy(name))
    }
}

impl fmt::Debug for DeviceName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:?}", self.to_string())
    }
}

/// How an event ended, as its handler is about to see it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum Callback {
    /// It succeeded, and was not a read.
    Success {
        /// Bytes written, for a write.
        bytes: usize,
    },
    /// A read succeeded.
    Received {
        /// Bytes it gathered.
        bytes: usize,
        /// Why it ended.
        end: End,
    },
    /// It did not succeed.
    Failed(Failure),
}
