//! The long options there are, and how a word finds one.

use super::refused;

/// What an option takes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Value {
    /// Nothing.
    None,
    /// A value only after `=`.
    Attached,
    /// A value after `=` or as the next argument.
    Required,
}

/// A long option.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Long {
    /// The canonical spelling, dashes included.
    pub(super) spelling: &'static str,
    pub(super) value: Value,
    /// Whether it stands for an option with one dash and two letters.
    pub(super) disguised: bool,
}

impl Long {
    fn name(&self) -> &'static str {
        &self.spelling[2..]
    }
}

const fn plain(spelling: &'static str, value: Value) -> Long {
    Long { spelling, value, disguised: false }
}

/// Every long option of the command line. Those in disguise are our own names for options of one dash.
pub(super) const LONGS: &[Long] = &[
    plain("--top-ports", Value::Required),
    plain("--exclude-ports", Value::Required),
    plain("--exclude", Value::Required),
    plain("--excludefile", Value::Required),
    plain("--dns-servers", Value::Required),
    plain("--system-dns", Value::None),
    plain("--resolve-all", Value::None),
    plain("--proxies", Value::Required),
    plain("--dns-max-rate", Value::Required),
    plain("--max-retries", Value::Required),
    plain("--min-rate", Value::Required),
    plain("--max-rate", Value::Required),
    plain("--scan-delay", Value::Required),
    plain("--max-scan-delay", Value::Required),
    plain("--initial-rtt-timeout", Value::Required),
    plain("--min-rtt-timeout", Value::Required),
    plain("--max-rtt-timeout", Value::Required),
    plain("--host-timeout", Value::Required),
    plain("--min-parallelism", Value::Required),
    plain("--max-parallelism", Value::Required),
    plain("--min-hostgroup", Value::Required),
    plain("--max-hostgroup", Value::Required),
    plain("--max-runtime", Value::Required),
    plain("--shard", Value::Required),
    plain("--source-port", Value::Required),
    plain("--ttl", Value::Required),
    plain("--spoof-mac", Value::Required),
    plain("--data", Value::Required),
    plain("--data-string", Value::Required),
    plain("--data-length", Value::Required),
    plain("--ip-options", Value::Required),
    plain("--mtu", Value::Required),
    plain("--scanflags", Value::Required),
    plain("--trace-format", Value::Required),
    plain("--color", Value::Required),
    plain("--workers", Value::Required),
    plain("--send-ip", Value::None),
    plain("--send-eth", Value::None),
    plain("--privileged", Value::None),
    plain("--unprivileged", Value::None),
    plain("--badsum", Value::None),
    plain("--disable-arp-ping", Value::None),
    plain("--discovery-ignore-rst", Value::None),
    plain("--iflist", Value::None),
    plain("--defeat-rst-ratelimit", Value::None),
    plain("--randomize-hosts", Value::None),
    plain("--append-output", Value::None),
    plain("--noninteractive", Value::None),
    plain("--stats-every", Value::Required),
    plain("--resume", Value::Required),
    plain("--open", Value::None),
    plain("--reason", Value::None),
    plain("--seed", Value::Required),
    plain("--packet-trace", Value::Attached),
    plain("--trace-out", Value::Required),
    plain("--verbose", Value::Attached),
    plain("--debug", Value::Attached),
    plain("--help", Value::None),
    plain("--version", Value::None),
    Long { spelling: "--source", value: Value::Required, disguised: true },
    Long { spelling: "--interface", value: Value::Required, disguised: true },
    Long { spelling: "--decoys", value: Value::Required, disguised: true },
    Long { spelling: "--output-xml", value: Value::Required, disguised: true },
    Long { spelling: "--output-grepable", value: Value::Required, disguised: true },
    Long { spelling: "--output-json", value: Value::Required, disguised: true },
    Long { spelling: "--output-html", value: Value::Required, disguised: true },
    Long { spelling: "--output-all", value: Value::Required, disguised: true },
    Long { spelling: "--output-normal", value: Value::Required, disguised: true },
    Long { spelling: "--input-list", value: Value::Required, disguised: true },
];

/// Options of one dash and two letters, by the long option they are.
const DISGUISES: &[(&str, &str)] = &[
    ("oN", "--output-normal"),
    ("oX", "--output-xml"),
    ("oG", "--output-grepable"),
    ("oJ", "--output-json"),
    ("oH", "--output-html"),
    ("oA", "--output-all"),
    ("iL", "--input-list"),
    ("rH", "--randomize-hosts"),
];

/// A prefix of this many characters with one dash is an abbreviation even where it could be a cluster of short options:
/// `-pack` is no list of ports.
const PREFIX_CHARACTERS_MIN: usize = 4;

/// Why a word that means an option is none of ours.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Rejected {
    /// An option of Nmap's that is not supported; what to use instead.
    Refused(&'static str),
    /// An abbreviation of several.
    Ambiguous(Vec<&'static str>),
}

/// The option a word means, or `None` if it means none.
pub(super) type Found = Result<Option<&'static Long>, Rejected>;

/// Finds an option by its name after two dashes; an unambiguous beginning will do, and `_` is as good as `-`.
pub(super) fn long(typed: &[u8]) -> Found {
    let Ok(typed) = str::from_utf8(typed) else { return Ok(None) };
    let name = typed.replace('_', "-");
    match by_name(&name) {
        Ok(None) if !name.is_empty() => by_prefix(&name),
        found => found,
    }
}

/// Finds an option by its name after one dash, where clusters of short options come first unless the name is exact or
/// long enough.
pub(super) fn single_dash(typed: &[u8]) -> Found {
    let Ok(typed) = str::from_utf8(typed) else { return Ok(None) };
    if let Some((_, spelling)) = DISGUISES.iter().find(|(short, _)| *short == typed) {
        return Ok(LONGS.iter().find(|option| option.spelling == *spelling));
    }
    if let Some(instead) = refused::disguised(typed) {
        return Err(Rejected::Refused(instead));
    }
    let name = typed.replace('_', "-");
    if name.chars().count() < 2 {
        return Ok(None);
    }
    match by_name(&name) {
        Ok(None) => {}
        found => return found,
    }
    if name.len() >= PREFIX_CHARACTERS_MIN || !starts_cluster(&name) { by_prefix(&name) } else { Ok(None) }
}

fn by_name(name: &str) -> Found {
    if let Some(option) = LONGS.iter().find(|option| option.name() == name) {
        return Ok(Some(option));
    }
    refused::long(name).map_or(Ok(None), |instead| Err(Rejected::Refused(instead)))
}

fn by_prefix(prefix: &str) -> Found {
    let ours = LONGS.iter().filter(|option| !option.disguised).map(Long::name);
    let names: Vec<&'static str> =
        ours.chain(refused::long_names()).filter(|name| name.starts_with(prefix)).collect();
    match names.as_slice() {
        [] => Ok(None),
        [only] => by_name(only),
        _ => Err(Rejected::Ambiguous(names)),
    }
}

/// Tells whether a word may be a cluster of short options, judged by its first letter.
fn starts_cluster(word: &str) -> bool {
    word.bytes()
        .next()
        .is_some_and(|letter| b"sPpTMSegDfvdFnRr46hV".contains(&letter) || refused::short(letter).is_some())
}
