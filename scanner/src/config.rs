//! The checked configuration of a run, made from the [`Arguments`] of the command line.
//!
//! Everything that can be wrong with a command line is found here, before anything is sent or written: a run either
//! starts with a sound configuration or does not start. Only single bad targets among good ones are carried along, to be
//! reported while the others are scanned.

mod dns_server;
mod error;
mod identity;
mod probing;
mod proxied;
#[cfg(test)]
mod tests;

use std::hash::Hasher;
use std::io;
use std::net::IpAddr;
use std::num::NonZeroU32;
use std::path::{Path, PathBuf};
use std::time::Duration;

use nsock::ProxyChain;
use siphasher::sip::SipHasher13;

pub use dns_server::{DNS_PORT, DnsHost, DnsServer};
pub use error::ConfigError;
pub use identity::changed;
pub use probing::Methods;

use crate::cli::{Arguments, Color, Discovery, LEVEL_MAX, Level, NameLookup, PacketTrace, Timing, Work};
use crate::escape::Escaped;
use crate::pace::Pace;
use crate::packet::line::Format;
use crate::plan::PortOrder;
use crate::ports::{PortList, PortListWarning, Ports, Protocol};
use crate::privilege::Privileges;
use crate::raw_options::RawOptions;
use crate::target::{AddressesOfAName, Families, Origin, Shard, TargetList};
use crate::technique::Technique;
use crate::top_ports;
use crate::verdict::ResetEvidence;

/// Everything a run needs to know.
#[derive(Debug, Clone)]
#[non_exhaustive]
pub struct Config {
    /// What to scan. Names are still to be looked up; bad targets are among its problems.
    pub targets: TargetList,
    /// The ports to scan, at least one.
    pub ports: Ports,
    /// Ports that are left alone, also by host discovery.
    pub excluded: Ports,
    /// What is to be done with the hosts.
    pub work: Work,
    /// How hosts are to be found; [`methods`](Self::methods) tells by what.
    pub discovery: Discovery,
    /// Whether hosts on the local link are asked by ARP and neighbor solicitations.
    pub neighbors: bool,
    /// Whether a reset proves a host up.
    pub resets: ResetEvidence,
    /// The address to come from, if the user says so.
    pub source: Option<IpAddr>,
    /// The name of the interface to leave by, if the user says so.
    pub interface: Option<String>,
    /// What raw packets are to look like.
    pub raw: RawOptions,
    /// What the user says about privileges.
    pub privileges: Privileges,
    /// The form of the packet trace.
    pub trace_format: Format,
    techniques: Vec<Technique>,
    /// Whose names are looked up.
    pub name_lookup: NameLookup,
    /// Who is asked for names.
    pub name_source: NameSource,
    /// Queries for names in a second, if they are limited.
    pub dns_rate_max: Option<NonZeroU32>,
    /// The proxies that connects go through, if any.
    pub proxies: ProxyChain,
    /// Whether all addresses of a name are scanned, or the first.
    pub addresses: AddressesOfAName,
    /// The timing template.
    pub timing: Timing,
    /// The pace asked for over that of the template.
    pub pace: Pace,
    /// The order of a host's ports.
    pub port_order: PortOrder,
    /// Whether the order of hosts is shuffled.
    pub randomize_hosts: bool,
    /// Which hosts are ours, where several machines share a scan.
    pub shard: Shard,
    /// The seed of the probe order, if the user has set it.
    pub seed: Option<u64>,
    /// Whether only open ports are reported, and hosts that have some.
    pub open_only: bool,
    /// Whether the report tells the reason of each state (`--reason`, from `-vv`, or any `-d`).
    pub reason: bool,
    /// The level of `-v`, which each `-d` raises too.
    pub verbosity: u8,
    /// The level of `-d`.
    pub debug: u8,
    /// Whether nothing is written to stdout (`-v0`).
    pub silent: bool,
    /// What is traced; from `-d3` on at least the classic trace.
    pub packet_trace: PacketTrace,
    /// Where the trace records go as lines of JSON.
    pub trace_out: Option<Output>,
    /// Where the report goes besides stdout.
    pub output_normal: Option<Output>,
    /// Where the XML goes.
    pub output_xml: Option<Output>,
    /// Where the grepable form goes.
    pub output_grepable: Option<Output>,
    /// Where the events go as NDJSON.
    pub output_json: Option<Output>,
    /// Where the page goes.
    pub output_html: Option<Output>,
    /// Whether files are added to instead of written afresh.
    pub append: bool,
    /// How often the state of the scan is told, if it is.
    pub stats_every: Option<Duration>,
    /// Whether the terminal is left alone: no keys, no status line.
    pub noninteractive: bool,
    /// When the report on the screen has colors.
    pub color: Color,
    /// How many threads are to share the scan, if the user says so.
    pub workers: Option<NonZeroU32>,
    /// Which addresses of names are scanned.
    pub families: Families,
    /// A number of the words of the targets and of the lists they were read from.
    pub targets_fingerprint: u64,
    /// What the user may not have meant, a line each.
    pub warnings: Vec<String>,
}

/// Who is asked for the names of addresses.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
#[non_exhaustive]
pub enum NameSource {
    /// The name servers the system is configured with.
    #[default]
    ConfiguredServers,
    /// These name servers (`--dns-servers`).
    Servers(Vec<DnsServer>),
    /// The system's own resolver (`--system-dns`).
    SystemResolver,
}

/// Where targets are read from.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum Input<'a> {
    /// Standard input, named `-`.
    Stdin,
    /// A file.
    File(&'a Path),
}

/// Where something is written.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
#[non_exhaustive]
pub enum Output {
    /// Standard output, named `-`.
    Stdout,
    /// A file.
    File(PathBuf),
}

impl Config {
    /// Checks `arguments`; `read` returns the whole content of a file of targets.
    ///
    /// ```
    /// use scanner::cli::{Request, parse};
    /// use scanner::config::Config;
    ///
    /// let Ok(Request::Scan(arguments)) = parse(["-p", "22,80", "198.18.0.1"].map(Into::into).to_vec()) else {
    ///     panic!("this is a scan");
    /// };
    /// let config = Config::build(&arguments, &mut |_| Ok(Vec::new()))?;
    /// assert_eq!(config.ports.to_string(), "T:22,80");
    /// # Ok::<(), scanner::config::ConfigError>(())
    /// ```
    ///
    /// # Errors
    /// The first thing that makes the run impossible: a bad port list or none left, an unreadable file, a bad exclusion,
    /// no good target, an impossible output.
    pub fn build(
        arguments: &Arguments,
        read: &mut dyn FnMut(Input<'_>) -> io::Result<Vec<u8>>,
    ) -> Result<Self, ConfigError> {
        let mut warnings = arguments.pace.warnings();
        let (ports, excluded) = ports(arguments, &mut warnings)?;
        let output_normal = output("-oN", arguments.output_normal.as_deref())?;
        let trace_out = output("--trace-out", arguments.trace_out.as_deref())?;
        let output_xml = output("-oX", arguments.output_xml.as_deref())?;
        let output_grepable = output("-oG", arguments.output_grepable.as_deref())?;
        let output_json = output("-oJ", arguments.output_json.as_deref())?;
        let output_html = output("-oH", arguments.output_html.as_deref())?;
        let all = [&output_normal, &output_xml, &output_grepable, &output_json, &output_html, &trace_out];
        let mut given: Vec<_> = all.into_iter().flatten().collect();
        given.sort_unstable();
        if given.windows(2).any(|pair| pair[0] == pair[1]) {
            return Err(ConfigError::SameOutput);
        }
        let name_source = name_source(arguments)?;
        let (targets, targets_fingerprint) = targets(arguments, read)?;
        let (verbosity, debug) = levels(arguments);
        let packet_trace = match arguments.packet_trace {
            PacketTrace::Off if debug >= 3 => PacketTrace::Classic,
            asked => asked,
        };
        let config = Self {
            targets,
            ports,
            excluded,
            work: arguments.work,
            discovery: arguments.discovery.clone(),
            neighbors: arguments.neighbors,
            resets: arguments.resets,
            source: arguments.source,
            interface: arguments.interface.clone(),
            raw: arguments.raw.clone(),
            privileges: arguments.privileges,
            trace_format: arguments.trace_format,
            techniques: arguments.techniques.clone(),
            name_lookup: arguments.name_lookup,
            name_source,
            dns_rate_max: arguments.dns_rate_max,
            proxies: arguments.proxies.clone(),
            addresses: if arguments.resolve_all { AddressesOfAName::All } else { AddressesOfAName::First },
            timing: arguments.timing,
            pace: arguments.pace,
            port_order: if arguments.ascending { PortOrder::Ascending } else { PortOrder::Seeded },
            randomize_hosts: arguments.randomize_hosts,
            shard: arguments.shard.unwrap_or(Shard::WHOLE),
            seed: arguments.seed,
            open_only: arguments.open,
            reason: arguments.reason || verbosity >= 2 || debug >= 1,
            verbosity,
            debug,
            silent: arguments.verbose.last() == Some(&Level::Set(0)) && debug == 0,
            packet_trace,
            trace_out,
            output_normal,
            output_xml,
            output_grepable,
            output_json,
            output_html,
            append: arguments.append,
            stats_every: arguments.stats_every.filter(|time| !time.is_zero()),
            noninteractive: arguments.noninteractive,
            color: arguments.color,
            workers: arguments.workers,
            families: arguments.families,
            targets_fingerprint,
            warnings,
        };
        config.through_proxies()
    }
}

impl Config {
    /// Where results are written besides the screen.
    pub fn outputs(&self) -> impl Iterator<Item = &Output> {
        let readable = [&self.output_normal, &self.output_html];
        let all = [&self.output_xml, &self.output_grepable, &self.output_json].into_iter().chain(readable);
        all.flatten()
    }
}

/// Works out the ports to scan, and those that are to be left alone whatever the purpose.
fn ports(arguments: &Arguments, warnings: &mut Vec<String>) -> Result<(Ports, Ports), ConfigError> {
    let scanned = &scanned_protocols(&arguments.techniques)[..];
    let parse = |option, text: &str, protocols| {
        PortList::parse(text, protocols).map_err(|error| ConfigError::Ports { option, error })
    };
    let excluded = match arguments.exclude_ports.as_deref() {
        Some(text) => parse("--exclude-ports", text, &Protocol::ALL)?.ports,
        None => Ports::new(),
    };
    let listed = arguments.ports.as_deref().map(|text| parse("-p", text, scanned)).transpose()?;
    let not_excluded = |protocol, port| !excluded.of(protocol).contains(port);
    let mut not_scanned = false;
    let ports = match listed {
        Some(list) => {
            not_scanned =
                list.warnings.iter().any(|warning| matches!(warning, PortListWarning::NotScanned(_)));
            warnings.extend(list.warnings.iter().map(|warning| format!("WARNING: {warning}")));
            let mut ports = list.ports;
            ports.remove_all(&excluded);
            match arguments.top_ports {
                Some(count) => Ports::likeliest(count.into(), scanned, |protocol, port| {
                    ports.of(protocol).contains(port)
                }),
                None => ports,
            }
        }
        None => {
            let default = if arguments.fast { top_ports::FAST_COUNT } else { top_ports::DEFAULT_COUNT };
            Ports::likeliest(arguments.top_ports.map_or(default, usize::from), scanned, not_excluded)
        }
    };
    match scanned.iter().find(|protocol| ports.of(**protocol).is_empty()) {
        None => Ok((ports, excluded)),
        Some(protocol) if not_scanned || !ports.is_empty() => {
            Err(ConfigError::NoPortsOf { protocol: *protocol })
        }
        Some(_) => Err(ConfigError::NoPorts),
    }
}

fn scanned_protocols(techniques: &[Technique]) -> Vec<Protocol> {
    let mut protocols: Vec<_> = techniques.iter().map(|technique| technique.protocol()).collect();
    protocols.sort_unstable();
    protocols.dedup();
    if protocols.is_empty() { vec![Protocol::Tcp] } else { protocols }
}

fn name_source(arguments: &Arguments) -> Result<NameSource, ConfigError> {
    if arguments.system_dns {
        return Ok(NameSource::SystemResolver);
    }
    if arguments.dns_servers.is_empty() {
        return Ok(NameSource::ConfiguredServers);
    }
    let words =
        arguments.dns_servers.iter().flat_map(|list| list.split([',', ' '])).filter(|word| !word.is_empty());
    let servers =
        words.map(|word| DnsServer::parse(word).ok_or_else(|| ConfigError::DnsServer { word: word.into() }));
    let servers: Vec<DnsServer> = servers.collect::<Result<_, _>>()?;
    if servers.is_empty() {
        // Asking the configured servers instead would tell them what the user meant to ask others.
        return Err(ConfigError::DnsServer { word: "".into() });
    }
    Ok(NameSource::Servers(servers))
}

fn targets(
    arguments: &Arguments,
    read: &mut dyn FnMut(Input<'_>) -> io::Result<Vec<u8>>,
) -> Result<(TargetList, u64), ConfigError> {
    let stdin = Some(Path::new("-"));
    if arguments.input_list.as_deref() == stdin && arguments.exclude_file.as_deref() == stdin {
        return Err(ConfigError::StdinTwice);
    }
    let mut load = |path: &Path| {
        let input = if path == Path::new("-") { Input::Stdin } else { Input::File(path) };
        let name = Escaped::new(path.as_os_str().as_encoded_bytes()).to_string();
        let shown = if input == Input::Stdin { "stdin".to_owned() } else { name };
        read(input)
            .map(|text| (shown.clone(), text))
            .map_err(|cause| ConfigError::Unreadable { name: shown, cause })
    };
    let mut list = TargetList::new(arguments.families);
    let mut read_so_far = SipHasher13::new();
    let mut note = |kind: u8, text: &[u8]| {
        read_so_far.write_u8(kind);
        read_so_far.write_usize(text.len());
        read_so_far.write(text);
    };
    for word in &arguments.exclude {
        note(b'x', word.as_encoded_bytes());
        list.exclude(word.as_encoded_bytes(), &Origin::Option("--exclude"))?;
    }
    if let Some(path) = &arguments.exclude_file {
        let (name, text) = load(path)?;
        note(b'X', &text);
        list.exclude_file(&name, &text)?;
    }
    for word in &arguments.targets {
        note(b't', word.as_encoded_bytes());
        list.include(word.as_encoded_bytes(), &Origin::CommandLine);
    }
    if let Some(path) = &arguments.input_list {
        let (name, text) = load(path)?;
        note(b'T', &text);
        list.include_file(&name, &text);
    }
    if list.is_empty() {
        return Err(ConfigError::NoTargets { problems: list.problems().to_vec() });
    }
    Ok((list, read_so_far.finish()))
}

fn output(option: &'static str, path: Option<&Path>) -> Result<Option<Output>, ConfigError> {
    let Some(path) = path else { return Ok(None) };
    match path.as_os_str().as_encoded_bytes() {
        b"-" => Ok(Some(Output::Stdout)),
        [] | [b'-', ..] => Err(ConfigError::OutputName { option, name: path.to_string_lossy().into_owned() }),
        _ => Ok(Some(Output::File(path.to_owned()))),
    }
}

/// Returns the levels of `-v` and `-d`. Each `-d` raises the verbosity as well.
fn levels(arguments: &Arguments) -> (u8, u8) {
    let raised = |level: u8| level.saturating_add(1).min(LEVEL_MAX);
    let (mut verbosity, mut debug) = (0, 0);
    for level in &arguments.verbose {
        verbosity = match level {
            Level::Raise => raised(verbosity),
            Level::Set(set) => *set,
        };
    }
    for level in &arguments.debug {
        (verbosity, debug) = match level {
            Level::Raise => (raised(verbosity), raised(debug)),
            Level::Set(set) => (verbosity.max(*set), *set),
        };
    }
    (verbosity, debug)
}
