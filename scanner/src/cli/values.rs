//! From matched words to typed values.

use std::ffi::{OsStr, OsString};
use std::num::NonZeroU32;
use std::path::PathBuf;

use clap::ArgMatches;
use nsock::ProxyChain;

use super::definition::{BARE, all};
use super::{
    Arguments, Color, LEVEL_MAX, Level, NameLookup, PacketTrace, Request, Timing, UsageError, name_of,
};
use crate::argv::Normalized;
use crate::escape::Escaped;
use crate::target::{Families, Shard};

/// Most queries a second that can be asked for; more is as good as no limit.
const DNS_RATE_MAX: u64 = 1_000_000;
/// Most threads that can be asked for.
const WORKERS_MAX: u64 = 64;

pub(super) fn request(matches: &ArgMatches, normalized: &Normalized) -> Result<Request, UsageError> {
    if matches.get_flag("help") {
        return Ok(Request::LongHelp);
    }
    if matches.get_flag("summary") {
        return Ok(Request::ShortHelp);
    }
    if matches.get_flag("version") {
        return Ok(Request::Version);
    }
    if matches.get_flag("iflist") {
        return Ok(Request::InterfaceList);
    }
    let values = Values { matches, normalized };
    let arguments = values.targets(Arguments::default())?;
    let arguments = values.ports(arguments)?;
    let arguments = values.work(arguments)?;
    let arguments = values.discovery(arguments)?;
    let arguments = values.packets(arguments)?;
    let arguments = values.manner(arguments)?;
    Ok(Request::Scan(Box::new(values.report(arguments)?)))
}

pub(super) struct Values<'a> {
    pub(super) matches: &'a ArgMatches,
    normalized: &'a Normalized,
}

impl Values<'_> {
    fn targets(&self, arguments: Arguments) -> Result<Arguments, UsageError> {
        Ok(Arguments {
            targets: all(self.matches, "targets"),
            input_list: self.once("input-list", "--input-list")?.map(PathBuf::from),
            exclude: all(self.matches, "exclude"),
            exclude_file: self.once("excludefile", "--excludefile")?.map(PathBuf::from),
            families: match self.either(("v4", "-4"), ("v6", "-6"))? {
                Some("v4") => Families::V4,
                Some(_) => Families::V6,
                None => Families::Any,
            },
            ..arguments
        })
    }

    fn ports(&self, arguments: Arguments) -> Result<Arguments, UsageError> {
        let ports = all(self.matches, "ports");
        if ports.len() > 1 {
            return Err(UsageError::new("Only 1 -p option allowed, separate multiple ranges with commas."));
        }
        let top_ports = self.once("top-ports", "--top-ports")?;
        let top_ports = top_ports.map(|value| self.number("--top-ports", &value, 1, u64::from(u16::MAX)));
        let arguments = Arguments {
            ports: ports.first().map(|value| self.text("-p", value)).transpose()?,
            fast: self.matches.get_flag("fast"),
            top_ports: top_ports.transpose()?.and_then(|count| u16::try_from(count).ok()),
            exclude_ports: self
                .once("exclude-ports", "--exclude-ports")?
                .map(|value| self.text("--exclude-ports", &value))
                .transpose()?,
            ..arguments
        };
        if arguments.fast && arguments.ports.is_some() {
            return Err(UsageError::new(
                "You cannot use -F (fast scan) with -p (explicit port selection); --top-ports N takes the likeliest of -p",
            ));
        }
        if arguments.fast && arguments.top_ports.is_some() {
            return Err(UsageError::new("-F means --top-ports 100; use one of them"));
        }
        Ok(arguments)
    }

    fn manner(&self, arguments: Arguments) -> Result<Arguments, UsageError> {
        let dns_servers = all(self.matches, "dns-servers");
        let dns_servers = dns_servers.iter().map(|value| self.text("--dns-servers", value));
        let seed = self.once("seed", "--seed")?;
        let arguments = Arguments {
            name_lookup: match self.either(("never", "-n"), ("always", "-R"))? {
                Some("never") => NameLookup::Never,
                Some(_) => NameLookup::Always,
                None => NameLookup::HostsUp,
            },
            dns_servers: dns_servers.collect::<Result<_, _>>()?,
            system_dns: self.matches.get_flag("system-dns"),
            dns_rate_max: self.count("--dns-max-rate", 1, DNS_RATE_MAX)?.and_then(NonZeroU32::new),
            proxies: self.proxies()?,
            resolve_all: self.matches.get_flag("resolve-all"),
            timing: self.timing()?,
            pace: self.pace()?,
            ascending: self.matches.get_flag("ascending"),
            randomize_hosts: self.matches.get_flag("randomize-hosts"),
            shard: self.shard()?,
            seed: seed.map(|value| self.number("--seed", &value, 0, u64::MAX)).transpose()?,
            ..arguments
        };
        if arguments.system_dns && !arguments.dns_servers.is_empty() {
            return Err(UsageError::new(
                "--system-dns and --dns-servers exclude each other: the system chooses its own servers",
            ));
        }
        Ok(arguments)
    }

    fn report(&self, arguments: Arguments) -> Result<Arguments, UsageError> {
        Ok(Arguments {
            open: self.matches.get_flag("open"),
            reason: self.matches.get_flag("reason"),
            verbose: self.levels("verbose", "--verbose")?,
            debug: self.levels("debug", "--debug")?,
            packet_trace: self.packet_trace()?,
            trace_out: self.once("trace-out", "--trace-out")?.map(PathBuf::from),
            output_normal: self.output("output-normal", "--output-normal", ".nmap")?,
            output_xml: self.output("output-xml", "--output-xml", ".xml")?,
            output_grepable: self.output("output-grepable", "--output-grepable", ".gnmap")?,
            output_json: self.output("output-json", "--output-json", ".ndjson")?,
            output_html: self.once("output-html", "--output-html")?.map(PathBuf::from),
            append: self.matches.get_flag("append-output"),
            resume: self.once("resume", "--resume")?.map(PathBuf::from),
            stats_every: self.time("--stats-every", 1e5)?,
            noninteractive: self.matches.get_flag("noninteractive"),
            color: self.color()?,
            workers: self.count("--workers", 1, WORKERS_MAX)?.and_then(NonZeroU32::new),
            ..arguments
        })
    }

    fn color(&self) -> Result<Color, UsageError> {
        let Some(value) = self.once("color", "--color")? else { return Ok(Color::Auto) };
        match value.to_str() {
            Some("auto") => Ok(Color::Auto),
            Some("always") => Ok(Color::Always),
            Some("never") => Ok(Color::Never),
            _ => Err(self.refuse("--color", &value, "auto, always or never")),
        }
    }

    /// A file of results: named by itself, or by `-oA` and the ending of its form.
    fn output(
        &self,
        name: &'static str,
        canonical: &'static str,
        ending: &str,
    ) -> Result<Option<PathBuf>, UsageError> {
        let own = self.once(name, canonical)?;
        match (own, self.once("output-all", "--output-all")?) {
            (Some(_), Some(_)) => {
                let option = name_of(self.normalized, canonical);
                Err(UsageError::new(format!("-oA writes the file of {option} too; use one of them")))
            }
            (Some(own), None) => Ok(Some(own.into())),
            (None, Some(mut base)) => {
                base.push(ending);
                Ok(Some(base.into()))
            }
            (None, None) => Ok(None),
        }
    }

    fn proxies(&self) -> Result<ProxyChain, UsageError> {
        let Some(value) = self.once("proxies", "--proxies")? else { return Ok(ProxyChain::default()) };
        self.text("--proxies", &value)?.parse().map_err(|why| UsageError::new(format!("--proxies: {why}")))
    }

    fn timing(&self) -> Result<Timing, UsageError> {
        let Some(value) = all(self.matches, "timing").pop() else { return Ok(Timing::default()) };
        let word = self.text("-T", &value)?.to_ascii_lowercase();
        match word.as_str() {
            "0" | "paranoid" => Ok(Timing::Paranoid),
            "1" | "sneaky" => Ok(Timing::Sneaky),
            "2" | "polite" => Ok(Timing::Polite),
            "3" | "normal" => Ok(Timing::Normal),
            "4" | "aggressive" => Ok(Timing::Aggressive),
            "5" | "insane" => Ok(Timing::Insane),
            _ => Err(UsageError::new(format!(
                "Unknown timing mode (-T argument) \"{}\".  Use either \"Paranoid\", \"Sneaky\", \"Polite\", \"Normal\", \
                 \"Aggressive\", \"Insane\" or a number from 0 (Paranoid) to 5 (Insane)",
                Escaped::new(&word)
            ))),
        }
    }

    fn shard(&self) -> Result<Option<Shard>, UsageError> {
        let Some(value) = self.once("shard", "--shard")? else { return Ok(None) };
        let shard = value.to_str().and_then(|text| text.parse().ok());
        shard.map(Some).ok_or_else(|| self.refuse("--shard", &value, "a shard, such as 1/4 to 4/4"))
    }

    fn packet_trace(&self) -> Result<PacketTrace, UsageError> {
        let Some(value) = all(self.matches, "packet-trace").pop() else { return Ok(PacketTrace::Off) };
        match value.to_str() {
            Some(BARE) => Ok(PacketTrace::Classic),
            Some("net") => Ok(PacketTrace::Network),
            Some("nsock") => Ok(PacketTrace::Nsock),
            Some("all") => Ok(PacketTrace::All),
            _ => Err(self.refuse("--packet-trace", &value, "net, nsock or all, or no value at all")),
        }
    }

    fn levels(&self, name: &str, canonical: &str) -> Result<Vec<Level>, UsageError> {
        let level = |value: &OsString| match value.to_str() {
            Some(BARE) => Ok(Level::Raise),
            _ => {
                let number = self.number(canonical, value, 0, u64::from(LEVEL_MAX))?;
                Ok(Level::Set(u8::try_from(number).unwrap_or(LEVEL_MAX)))
            }
        };
        all(self.matches, name).iter().map(level).collect()
    }

    /// Returns the value of an option that may be given once.
    pub(super) fn once(&self, name: &str, canonical: &str) -> Result<Option<OsString>, UsageError> {
        let mut values = all(self.matches, name);
        if values.len() > 1 {
            return Err(UsageError::new(format!(
                "{} can be given only once",
                name_of(self.normalized, canonical)
            )));
        }
        Ok(values.pop())
    }

    /// Returns which of two flags was given, and refuses both.
    pub(super) fn either<'b>(
        &self,
        one: (&'b str, &'static str),
        other: (&'b str, &'static str),
    ) -> Result<Option<&'b str>, UsageError> {
        match (self.matches.get_flag(one.0), self.matches.get_flag(other.0)) {
            (true, true) => {
                Err(UsageError::new(format!("{} and {} exclude each other; use one or none", one.1, other.1)))
            }
            (true, false) => Ok(Some(one.0)),
            (false, true) => Ok(Some(other.0)),
            (false, false) => Ok(None),
        }
    }

    pub(super) fn text(&self, canonical: &str, value: &OsStr) -> Result<String, UsageError> {
        value.to_str().map(str::to_owned).ok_or_else(|| self.refuse(canonical, value, "UTF-8 text"))
    }

    /// Reads a decimal number, or a hexadecimal one after `0x`.
    pub(super) fn number(
        &self,
        canonical: &str,
        value: &OsStr,
        min: u64,
        max: u64,
    ) -> Result<u64, UsageError> {
        let number = value.to_str().and_then(|text| match text.strip_prefix("0x") {
            Some(digits) if !digits.starts_with('+') => u64::from_str_radix(digits, 16).ok(),
            _ => text.parse().ok().filter(|_| !text.starts_with('+')),
        });
        let number = number.filter(|number| (min..=max).contains(number));
        number.ok_or_else(|| self.refuse(canonical, value, &format!("a number from {min} to {max}")))
    }

    pub(super) fn refuse(&self, canonical: &str, value: &OsStr, wanted: &str) -> UsageError {
        let name = name_of(self.normalized, canonical);
        UsageError::new(format!("{name}: \"{}\" is not {wanted}", Escaped::new(value.as_encoded_bytes())))
    }
}
