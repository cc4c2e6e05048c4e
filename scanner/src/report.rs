//! What a scan finds, as one stream of typed events, and the consumers of that stream.

mod document;
mod grepable;
mod harmless;
mod html;
mod ndjson;
mod normal;
mod palette;
mod phases;
mod results;
mod status_line;
mod summary;
mod table;
mod xml;

use std::ffi::OsString;
use std::io;
use std::net::IpAddr;
use std::time::Duration;

pub use document::{Document, Forward, Seekable};
pub use grepable::Grepable;
pub use harmless::Harmless;
pub use html::Html;
pub use ndjson::{FORM, Ndjson, fingerprint};
pub use normal::{Destination, Normal, Style};
pub use palette::Palette;
pub use phases::phase_name;
pub use results::{PortResult, PortResults};
pub use status_line::StatusLine;
pub use summary::{Cut, PacketCounts, Summary};
pub use table::{Fold, align, port_table};
pub use xml::Xml;

use crate::mac::MacAddress;
use crate::pacer::Rate;
use crate::plan::{Ending, HostStatus};
use crate::ports::{PortSet, Protocol};
use crate::progress::Progress;
use crate::target::Address;
use crate::technique::Technique;
use crate::vendors;
use crate::verdict::Verdict;

/// Something that happened in a scan, as its consumers get to see it.
#[derive(Debug, Clone, Copy)]
#[non_exhaustive]
pub enum ScanEvent<'a> {
    /// The scan begins.
    Started(&'a Start),
    /// A connect was started, or its result is known.
    Connect {
        /// Since the program was started.
        at: Duration,
        /// The address that is connected to.
        to: Address,
        /// The port.
        port: u16,
        /// The system's words for what happened.
        result: &'a str,
    },
    /// A packet was sent or received.
    Packet {
        /// Its trace line, without the line's end.
        line: &'a str,
    },
    /// A phase of the scan begins.
    PhaseStarted {
        /// Which.
        phase: Phase,
        /// The hosts it is about; the first one stands for a single host.
        hosts: usize,
        /// The only host, if there is one.
        only: Option<&'a HostReport>,
        /// Probes for each host.
        probes_per_host: usize,
    },
    /// A phase of the scan has ended.
    PhaseCompleted {
        /// Which.
        phase: Phase,
        /// How long it took.
        elapsed: Duration,
        /// What it was about: hosts, names or ports.
        total: usize,
    },
    /// A port was found open.
    OpenPort {
        /// The host's address.
        address: Address,
        /// The port's protocol.
        protocol: Protocol,
        /// The port.
        port: u16,
    },
    /// A host was found up; what its ports are is still to come.
    Up(&'a HostReport),
    /// The result of a port is known.
    Port {
        /// The host's address.
        address: Address,
        /// The port's protocol.
        protocol: Protocol,
        /// The port.
        port: u16,
        /// Its state, and what proves it.
        proof: PortProof,
    },
    /// Everything about a host is known.
    Host(&'a HostReport),
    /// How far the scan has come, for those who watch.
    Progress(&'a Progress, Telling),
    /// Somebody pressed a key.
    Key {
        /// How much is to be told from now on.
        levels: Levels,
        /// The answer.
        text: &'a str,
    },
    /// A moment passed: what waits to be written is to wait no longer.
    Tick,
    /// Something the user should know about.
    Warning(&'a str),
    /// How something came about, for `-d`: a line without its end.
    Detail(&'a str),
    /// The scan has ended.
    Finished(&'a Summary),
}

/// How much is told.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
#[expect(clippy::exhaustive_structs, reason = "the two levels there are")]
pub struct Levels {
    /// The level of `-v`.
    pub verbosity: u8,
    /// The level of `-d`.
    pub debug: u8,
}

/// How progress is told.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum Telling {
    /// In full, as it was asked for.
    Stats,
    /// By itself, as a long part goes on.
    Timing,
    /// At the bottom of a terminal.
    Line,
}

/// The state of a port, and how it was found out.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[expect(clippy::exhaustive_structs, reason = "made by whoever finds out about a port")]
pub struct PortProof {
    /// The state, and what proves it.
    pub verdict: Verdict,
    /// Probes sent for it up to the one that brought the answer, or all of them if none did.
    pub tries: u8,
    /// How long the answer took, if that is known.
    pub round_trip: Option<Duration>,
}

/// A part of a scan, where it is done in parts.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum Phase {
    /// Which hosts are there?
    Discovery(Sweep),
    /// What are they called?
    Names,
    /// Which of their ports are open?
    Ports(Technique),
}

/// How hosts are looked for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum Sweep {
    /// By probes that any host understands, near or far.
    Ping,
    /// By ARP, on the local link (RFC 826).
    Arp,
    /// By neighbor solicitations, on the local link (RFC 4861).
    NeighborDiscovery,
}

impl Sweep {
    /// The name in progress lines.
    #[must_use]
    pub const fn title(self) -> &'static str {
        match self {
            Self::Ping => "Ping Scan",
            Self::Arp => "ARP Ping Scan",
            Self::NeighborDiscovery => "ND Ping Scan",
        }
    }
}

/// What is said at the beginning.
#[derive(Debug, Clone)]
#[non_exhaustive]
pub struct Start {
    /// The command line, as it was typed, in one line for people.
    pub command: String,
    /// The arguments, without the name of the program.
    pub arguments: Vec<OsString>,
    /// The options that decide what the results are, by name: a run with others is another scan.
    pub options: Vec<(String, String)>,
    /// Wall-clock time, as the banner shows it.
    pub banner_time: String,
    /// Wall-clock time, as files show it.
    pub file_time: String,
    /// The same, in seconds since 1970.
    pub epoch: u64,
    /// The seed of the probe order.
    pub seed: u64,
    /// The techniques, each with its ports.
    pub scans: Vec<(Technique, PortSet)>,
}

impl Start {
    /// Puts the parts together.
    #[must_use]
    pub fn new(command: String, banner_time: String, file_time: String, seed: u64) -> Self {
        Self {
            command,
            arguments: Vec::new(),
            options: Vec::new(),
            banner_time,
            file_time,
            epoch: epoch(),
            seed,
            scans: Vec::new(),
        }
    }
}

impl Start {
    /// The same run, gone on with at another time.
    #[must_use]
    pub fn begun_again(self, banner_time: String) -> Self {
        Self { banner_time, ..self }
    }
}

/// What is known about a host.
#[derive(Debug, Clone)]
#[non_exhaustive]
pub struct HostReport {
    /// Its address.
    pub address: Address,
    /// The name that the user gave.
    pub given_name: Option<String>,
    /// The name that its address has in the DNS, made harmless.
    pub dns_name: Option<String>,
    /// Further names of that kind, in a stable order.
    pub other_dns_names: Vec<String>,
    /// Other addresses of the given name, which were not scanned.
    pub other_addresses: Vec<Address>,
    /// Whether it is there, and what proves it.
    pub status: Option<(HostStatus, Verdict)>,
    /// Round-trip time.
    pub latency: Option<Duration>,
    /// Its hardware address, if it is on the local link.
    pub mac: Option<MacAddress>,
    /// Who made its network interface, by the hardware address.
    pub vendor: Option<&'static str>,
    /// Its ports.
    pub ports: PortResults,
    /// How its scan ended.
    pub ending: Ending,
    /// The host limits the rate of its answers to about this.
    pub answers_limited: Option<Rate>,
    /// Ports without a result, because the scan of it was cut short.
    pub ports_unfinished: u32,
    /// Wall-clock time at which its scan began, for `-vv` and `-d`.
    pub scanned_at: String,
    /// The same, in seconds since 1970.
    pub epoch: u64,
    /// How long its scan took.
    pub elapsed: Duration,
    /// By how much round-trip times differ.
    pub variation: Duration,
    /// How long an answer was waited for at the end.
    pub timeout: Duration,
}

impl HostReport {
    /// A host of which only the address is known.
    #[must_use]
    pub fn new(address: Address) -> Self {
        Self {
            address,
            given_name: None,
            dns_name: None,
            other_dns_names: Vec::new(),
            other_addresses: Vec::new(),
            status: None,
            latency: None,
            mac: None,
            vendor: None,
            ports: PortResults::default(),
            ending: Ending::Complete,
            answers_limited: None,
            ports_unfinished: 0,
            scanned_at: String::new(),
            epoch: 0,
            variation: Duration::ZERO,
            timeout: Duration::ZERO,
            elapsed: Duration::ZERO,
        }
    }

    /// Takes note of its hardware address, if there is one to note, and of who made it.
    pub fn learn_mac(&mut self, mac: Option<MacAddress>) {
        if mac.is_some() {
            self.mac = mac;
            self.vendor = mac.and_then(vendors::name);
        }
    }

    /// Whether it is known to be up.
    #[must_use]
    pub fn is_up(&self) -> bool {
        matches!(self.status, Some((HostStatus::Up, _)))
    }

    /// The name and address that a report calls it by.
    #[must_use]
    pub fn title(&self) -> String {
        match self.given_name.as_ref().or(self.dns_name.as_ref()) {
            Some(name) => format!("{name} ({})", self.address),
            None => self.address.to_string(),
        }
    }

    /// The host's own IP address.
    #[must_use]
    pub fn ip(&self) -> IpAddr {
        self.address.ip()
    }
}

/// Takes events in the order they happen.
pub trait Consumer {
    /// Takes one event.
    ///
    /// # Errors
    /// The writer's.
    fn event(&mut self, event: ScanEvent<'_>) -> io::Result<()>;
}

/// Now, in seconds since 1970.
#[must_use]
pub fn epoch() -> u64 {
    u64::try_from(jiff::Timestamp::now().as_second()).unwrap_or(0)
}
