//! The command line: what was typed, as typed values. Nothing is checked against anything else yet; that is the work of
//! [`config`](crate::config).

mod definition;
pub mod help;
mod pace;
mod packets;
mod values;

use std::ffi::OsString;
use std::net::IpAddr;
use std::num::NonZeroU32;
use std::path::PathBuf;
use std::time::Duration;

use nsock::ProxyChain;
use thiserror::Error;

use crate::argv::{Normalized, normalize};
use crate::file_name::expand;
use crate::pace::Pace;
use crate::packet::line::Format;
use crate::plan::Method;
use crate::privilege::Privileges;
use crate::raw_options::RawOptions;
use crate::target::{Families, Shard};
use crate::technique::Technique;
use crate::verdict::ResetEvidence;

/// What a command line asks for.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum Request {
    /// A scan.
    Scan(Box<Arguments>),
    /// The text of `-h` on stdout.
    ShortHelp,
    /// The text of `--help` on stdout.
    LongHelp,
    /// Name and version on stdout.
    Version,
    /// `--iflist`.
    InterfaceList,
    /// There were no arguments at all: the text of `-h` on stderr, as a usage error.
    Nothing,
}

/// The arguments of a scan. Paths and targets may be any bytes; what must be text is text.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct Arguments {
    /// The targets, in the order typed.
    pub targets: Vec<OsString>,
    /// `-iL`: a file of targets, `-` for stdin.
    pub input_list: Option<PathBuf>,
    /// `--exclude`, each time it was given.
    pub exclude: Vec<OsString>,
    /// `--excludefile`.
    pub exclude_file: Option<PathBuf>,
    /// `-4`, `-6`.
    pub families: Families,
    /// What is to be done with the hosts.
    pub work: Work,
    /// The kinds of port scan, in the order given; none if the user named none.
    pub techniques: Vec<Technique>,
    /// How hosts are to be found.
    pub discovery: Discovery,
    /// Whether hosts on the local link are asked by ARP and neighbor solicitations.
    pub neighbors: bool,
    /// Whether a reset proves a host up.
    pub resets: ResetEvidence,
    /// `-S`: the address to come from.
    pub source: Option<IpAddr>,
    /// `-e`: the interface to leave by.
    pub interface: Option<String>,
    /// What raw packets are to look like.
    pub raw: RawOptions,
    /// What the user says about privileges.
    pub privileges: Privileges,
    /// The form of the packet trace.
    pub trace_format: Format,
    /// `-n`, `-R`.
    pub name_lookup: NameLookup,
    /// `--dns-servers`, each time it was given.
    pub dns_servers: Vec<String>,
    /// `--system-dns`.
    pub system_dns: bool,
    /// `--dns-max-rate`: queries a second.
    pub dns_rate_max: Option<NonZeroU32>,
    /// `--proxies`.
    pub proxies: ProxyChain,
    /// `--resolve-all`.
    pub resolve_all: bool,
    /// `-p`.
    pub ports: Option<String>,
    /// `-F`.
    pub fast: bool,
    /// `--top-ports`.
    pub top_ports: Option<u16>,
    /// `--exclude-ports`.
    pub exclude_ports: Option<String>,
    /// `-T`.
    pub timing: Timing,
    /// The pace asked for over that of the template.
    pub pace: Pace,
    /// `-r`: ports by number.
    pub ascending: bool,
    /// `--randomize-hosts`.
    pub randomize_hosts: bool,
    /// `--shard`: which of several machines' hosts.
    pub shard: Option<Shard>,
    /// `--seed`.
    pub seed: Option<u64>,
    /// `--open`.
    pub open: bool,
    /// `--reason`.
    pub reason: bool,
    /// `-v`, in the order typed.
    pub verbose: Vec<Level>,
    /// `-d`, in the order typed.
    pub debug: Vec<Level>,
    /// `--packet-trace`.
    pub packet_trace: PacketTrace,
    /// `--trace-out`.
    pub trace_out: Option<PathBuf>,
    /// `-oN`.
    pub output_normal: Option<PathBuf>,
    /// `-oX`.
    pub output_xml: Option<PathBuf>,
    /// `-oG`.
    pub output_grepable: Option<PathBuf>,
    /// `-oJ`.
    pub output_json: Option<PathBuf>,
    /// `-oH`.
    pub output_html: Option<PathBuf>,
    /// `--append-output`: files are added to.
    pub append: bool,
    /// `--resume`: the journal of the run that is to be gone on with.
    pub resume: Option<PathBuf>,
    /// `--stats-every`.
    pub stats_every: Option<Duration>,
    /// `--noninteractive`: the terminal is left alone.
    pub noninteractive: bool,
    /// `--color`.
    pub color: Color,
    /// `--workers`.
    pub workers: Option<NonZeroU32>,
}

/// When the report on the screen has colors.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
#[non_exhaustive]
pub enum Color {
    /// On a terminal that knows them, unless the environment has `NO_COLOR`.
    #[default]
    Auto,
    /// Always.
    Always,
    /// Never.
    Never,
}

/// How hosts are to be found.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
#[non_exhaustive]
pub enum Discovery {
    /// By what is usual for the privileges at hand.
    #[default]
    Usual,
    /// By these methods, in the order in which a host is asked.
    By(Vec<Method>),
    /// Not at all: every target counts as up (`-Pn`).
    Skip,
}

/// What is to be done with the hosts.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
#[non_exhaustive]
pub enum Work {
    /// Their ports are scanned.
    #[default]
    Ports,
    /// They are only looked for (`-sn`).
    Discovery,
    /// They are only listed, with their names (`-sL`).
    List,
}

/// Which addresses' names are looked up.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
#[non_exhaustive]
pub enum NameLookup {
    /// Those of hosts that are up.
    #[default]
    HostsUp,
    /// None (`-n`).
    Never,
    /// All (`-R`).
    Always,
}

/// The timing template.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[non_exhaustive]
pub enum Timing {
    /// `-T0`
    Paranoid,
    /// `-T1`
    Sneaky,
    /// `-T2`
    Polite,
    /// `-T3`
    #[default]
    Normal,
    /// `-T4`
    Aggressive,
    /// `-T5`
    Insane,
}

/// One occurrence of `-v` or `-d`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum Level {
    /// One more (`-v`).
    Raise,
    /// This level (`-v3`), at most [`LEVEL_MAX`].
    Set(u8),
}

/// The highest level of `-v` and `-d`.
pub const LEVEL_MAX: u8 = 10;

/// What `--packet-trace` shows.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
#[non_exhaustive]
pub enum PacketTrace {
    /// Nothing.
    #[default]
    Off,
    /// Packets, connects and the event steps of the resolver (`--packet-trace`).
    Classic,
    /// Packets and connects (`--packet-trace=net`).
    Network,
    /// The event steps of every scope (`--packet-trace=nsock`).
    Nsock,
    /// Everything (`--packet-trace=all`).
    All,
}

impl Arguments {
    /// Puts the time into the names of the files that results are written to.
    pub fn expand_file_names(&mut self, now: jiff::civil::DateTime) {
        let names = [
            &mut self.output_normal,
            &mut self.output_xml,
            &mut self.output_grepable,
            &mut self.output_json,
            &mut self.output_html,
        ];
        for name in names.into_iter().flatten() {
            *name = expand(name.as_os_str(), now).into();
        }
    }
}

/// Why a command line cannot be understood: one line, naming options as they were typed.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
#[error("{message}")]
pub struct UsageError {
    message: String,
}

impl UsageError {
    pub(crate) fn new<M: Into<String>>(message: M) -> Self {
        Self { message: message.into() }
    }
}

/// Understands a command line, given without the name of the program.
///
/// ```
/// use scanner::cli::{Request, parse};
///
/// let Ok(Request::Scan(arguments)) = parse(["-Pn", "-p", "22", "127.0.0.1"].map(Into::into).to_vec()) else {
///     panic!("this is a scan");
/// };
/// assert_eq!(arguments.ports.as_deref(), Some("22"));
/// assert!(parse(vec!["-sQ".into()]).is_err());
/// ```
///
/// # Errors
/// An unknown or unsupported option, one without its value or with a senseless one, and options that exclude each other.
pub fn parse(arguments: Vec<OsString>) -> Result<Request, UsageError> {
    if arguments.is_empty() {
        return Ok(Request::Nothing);
    }
    understand(&normalize(arguments))
}

/// Understands a command line without targets together with that of an earlier run, which it goes on with: pace, reports
/// and whatever else is no part of what a scan is are as `typed`, where that says something about them.
///
/// # Errors
/// Those of [`parse`], of both together.
pub fn parse_again(typed: Vec<OsString>, earlier: Vec<OsString>) -> Result<Request, UsageError> {
    understand(&normalize(typed).before(normalize(earlier)))
}

fn understand(normalized: &Normalized) -> Result<Request, UsageError> {
    if let Some(refusal) = &normalized.refusal {
        return Err(UsageError::new(refusal.to_string()));
    }
    let matches = definition::command().try_get_matches_from(&normalized.arguments);
    let matches = matches.map_err(|why| definition::explain(&why, normalized))?;
    values::request(&matches, normalized)
}

/// Returns the line that `-V` prints.
pub const fn version() -> &'static str {
    concat!("scanner ", env!("CARGO_PKG_VERSION"))
}

/// Names an option as the user did, for messages.
fn name_of(normalized: &Normalized, canonical: &str) -> String {
    match normalized.typed(canonical) {
        "--output-normal" => "-oN".to_owned(),
        "--output-xml" => "-oX".to_owned(),
        "--output-grepable" => "-oG".to_owned(),
        "--output-json" => "-oJ".to_owned(),
        "--output-html" => "-oH".to_owned(),
        "--output-all" => "-oA".to_owned(),
        "--input-list" => "-iL".to_owned(),
        "--source" => "-S".to_owned(),
        "--interface" => "-e".to_owned(),
        "--decoys" => "-D".to_owned(),
        typed => typed.to_owned(),
    }
}

#[cfg(test)]
mod tests;
