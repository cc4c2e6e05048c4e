//! What a scan is told before it starts.

use std::time::{Duration, Instant};

use crate::packet::line::Format;
use crate::plan::Settings;
use crate::ports::Ports;
use crate::technique::Technique;

/// Hosts of a group, where the scan goes group by group.
pub const GROUP_MAX: usize = 4096;

/// Which hosts count as up without being asked.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum Presumed {
    /// None.
    Nobody,
    /// Addresses of this machine: there is nothing to find out. Only a privileged scan says so, as Nmap does.
    Ourselves,
    /// Everybody (`-Pn`).
    Everybody,
}

/// How the scan goes about its parts.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum Course {
    /// Group by group, one part after the other.
    Phased,
    /// Everything as soon as it can be.
    Overlapped,
}

/// Whose names are looked up.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum Lookup {
    /// Nobody's (`-n`).
    Nobody,
    /// Those of hosts that are up.
    HostsUp,
    /// Everybody's (`-R`).
    Everybody,
}

/// What a scan is told before it starts.
#[derive(Debug, Clone)]
#[non_exhaustive]
pub struct Options {
    /// How fast to scan, and how to find hosts; ports and what silence means follow from the technique at hand.
    pub settings: Settings,
    /// The techniques of the port scan, one after the other; none: hosts are only looked for.
    pub techniques: Vec<Technique>,
    /// The ports, by protocol.
    pub ports: Ports,
    /// Whether hosts are only listed (`-sL`).
    pub list_only: bool,
    /// Descriptors that probes may use.
    pub descriptors: usize,
    /// Which hosts are not asked whether they are there.
    pub presumed: Presumed,
    /// Group by group, or not.
    pub course: Course,
    /// Whose names are looked up.
    pub lookup: Lookup,
    /// Whether consumers are told that time passes.
    pub ticks: bool,
    /// The form of the packet trace, if one is asked for by a key.
    pub trace_format: Format,
    /// Whether `CONN` lines are wanted.
    pub trace_connects: bool,
    /// Whether somebody wants to know of each port at once, and not only with its host; of open ones everybody is told.
    pub tell_ports: bool,
    /// Whether local trouble is told even if all of it was overcome.
    pub tell_overcome_trouble: bool,
    /// Whether connects go through proxies.
    pub is_proxied: bool,
    /// Hosts of a group, where the scan goes group by group.
    pub group_max: usize,
    /// When the scan ends by itself, with what is known by then.
    pub runtime_max: Option<Duration>,
    /// When the program was started.
    pub started: Instant,
}

impl Options {
    /// The defaults for these settings.
    #[must_use]
    pub fn new(settings: Settings, descriptors: usize, started: Instant) -> Self {
        Self {
            settings,
            techniques: vec![Technique::Connect],
            ports: Ports::new(),
            list_only: false,
            descriptors,
            presumed: Presumed::Nobody,
            course: Course::Overlapped,
            lookup: Lookup::Nobody,
            ticks: false,
            trace_format: Format::Classic,
            trace_connects: false,
            tell_ports: false,
            tell_overcome_trouble: false,
            is_proxied: false,
            group_max: GROUP_MAX,
            runtime_max: None,
            started,
        }
    }
}
