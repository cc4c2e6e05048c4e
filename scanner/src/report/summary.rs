//! What is said at the end of a scan.

use std::ops::{Add, AddAssign};
use std::time::Duration;

use crate::counted::counted;
use crate::verdict::Errno;

/// What is said at the end.
#[derive(Debug, Clone, Default)]
#[non_exhaustive]
pub struct Summary {
    /// Hosts scanned.
    pub hosts: u64,
    /// Those of them that are up.
    pub hosts_up: u64,
    /// How long the scan took.
    pub elapsed: Duration,
    /// Wall-clock time, as files show it.
    pub file_time: String,
    /// The same, in seconds since 1970.
    pub epoch: u64,
    /// How often each error of this machine kept a probe from being sent.
    pub local_troubles: Vec<(Errno, u64)>,
    /// Ports and hosts left unknown because of them.
    pub unknown: u64,
    /// What went over the wire, if the scan made packets of its own.
    pub packets: Option<PacketCounts>,
    /// Whether a host that answered no probe may only be hiding.
    pub may_be_hiding: bool,
    /// Whether the scan was cut short, and by what.
    pub cut: Cut,
    /// Probes sent, retransmissions included.
    pub probes_sent: u64,
    /// Whether the words for local trouble are to be shown even though all of it was overcome.
    pub tell_overcome_trouble: bool,
    /// Whether connects went through proxies, whose trouble is then told as this machine's would be.
    pub is_proxied: bool,
}

impl Summary {
    /// The line that tells of local trouble; `here` is where the scan was made.
    pub(super) fn trouble(&self, here: &str) -> String {
        let how_often = |(errno, count): &(Errno, u64)| match count {
            1 => format!("{errno} once"),
            _ => format!("{errno} {count} times"),
        };
        format!(
            "Trouble {}: {}; {} unknown because of it.",
            if self.is_proxied { "on the way to the target" } else { here },
            self.local_troubles.iter().map(how_often).collect::<Vec<_>>().join(", "),
            counted(self.unknown, "port or host is", "ports or hosts are")
        )
    }
}

/// What cut a scan short.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
#[non_exhaustive]
pub enum Cut {
    /// Nothing: it went to its end.
    #[default]
    Not,
    /// The user, by a signal.
    Interrupted,
    /// The time it was given (`--max-runtime`).
    OutOfTime,
}

impl AddAssign for PacketCounts {
    fn add_assign(&mut self, more: Self) {
        self.sent += more.sent;
        self.sent_bytes += more.sent_bytes;
        self.received += more.received;
        self.received_bytes += more.received_bytes;
        self.dropped += more.dropped;
    }
}

impl Add for PacketCounts {
    type Output = Self;

    fn add(mut self, more: Self) -> Self {
        self += more;
        self
    }
}

/// Packets of the scan's own making and the answers to them; bytes from the IP or ARP header on.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct PacketCounts {
    /// Packets sent.
    pub sent: u64,
    /// Bytes sent.
    pub sent_bytes: u64,
    /// Packets received.
    pub received: u64,
    /// Bytes received.
    pub received_bytes: u64,
    /// Packets that the kernel had no room to keep for us.
    pub dropped: u64,
}
