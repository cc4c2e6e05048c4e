//! The options as clap sees them, after normalization, and clap's errors in our words.

use std::ffi::OsString;

use clap::builder::ValueParser;
use clap::error::{ContextKind, ContextValue, ErrorKind};
use clap::{Arg, ArgAction, Command};

use super::{UsageError, name_of};
use crate::argv::Normalized;
use crate::escape::Escaped;

/// Stands for a missing value of `--verbose`, `--debug` and `--packet-trace`.
pub(super) const BARE: &str = "+";

/// Builds the parser. Every value is taken as it is; `values` makes sense of it.
pub(super) fn command() -> Command {
    Command::new("scanner")
        .no_binary_name(true)
        .disable_help_flag(true)
        .disable_version_flag(true)
        .args_override_self(true)
        .args([
            valued("scan").short('s'),
            valued("ping").short('P'),
            valued("ports").short('p'),
            valued("timing").short('T'),
        ])
        .args([
            flag("fast").short('F'),
            flag("never").short('n'),
            flag("always").short('R'),
            flag("ascending").short('r'),
        ])
        .arg(Arg::new("fragment").short('f').action(ArgAction::Count))
        .args([flag("v4").short('4'), flag("v6").short('6')])
        .args(
            [
                "append-output",
                "noninteractive",
                "open",
                "reason",
                "system-dns",
                "resolve-all",
                "defeat-rst-ratelimit",
                "randomize-hosts",
                "send-ip",
                "send-eth",
                "privileged",
                "unprivileged",
                "badsum",
                "disable-arp-ping",
                "discovery-ignore-rst",
                "iflist",
            ]
            .map(|name| flag(name).long(name)),
        )
        .args(
            [
                "top-ports",
                "exclude-ports",
                "exclude",
                "excludefile",
                "dns-servers",
                "dns-max-rate",
                "proxies",
                "max-retries",
                "min-rate",
                "max-rate",
                "scan-delay",
                "max-scan-delay",
                "initial-rtt-timeout",
                "min-rtt-timeout",
                "max-rtt-timeout",
                "host-timeout",
                "min-parallelism",
                "max-parallelism",
                "min-hostgroup",
                "max-hostgroup",
                "max-runtime",
                "shard",
                "source",
                "interface",
                "source-port",
                "ttl",
                "spoof-mac",
                "data",
                "data-string",
                "data-length",
                "ip-options",
                "mtu",
                "decoys",
                "scanflags",
                "trace-format",
                "color",
                "workers",
                "seed",
                "trace-out",
                "stats-every",
                "resume",
            ]
            .map(|name| valued(name).long(name)),
        )
        .args(
            [
                "output-normal",
                "output-xml",
                "output-grepable",
                "output-json",
                "output-html",
                "output-all",
                "input-list",
            ]
            .map(|name| valued(name).long(name)),
        )
        .args(["verbose", "debug", "packet-trace"].map(|name| optional(name).long(name)))
        .args([
            flag("summary").short('h'),
            flag("help").long("help"),
            flag("version").short('V').long("version"),
        ])
        .arg(
            Arg::new("targets")
                .num_args(0..)
                .action(ArgAction::Append)
                .value_parser(ValueParser::os_string()),
        )
}

fn flag(name: &'static str) -> Arg {
    Arg::new(name).action(ArgAction::SetTrue)
}

/// An option with a value; every occurrence is kept.
fn valued(name: &'static str) -> Arg {
    Arg::new(name).action(ArgAction::Append).value_parser(ValueParser::os_string())
}

/// An option whose value, if it has one, follows `=`.
fn optional(name: &'static str) -> Arg {
    valued(name).num_args(0..=1).require_equals(true).default_missing_value(BARE)
}

/// Says in one line what clap found wrong, by the names the user typed.
pub(super) fn explain(why: &clap::Error, normalized: &Normalized) -> UsageError {
    let text = |kind| match why.get(kind) {
        Some(ContextValue::String(text)) => text.clone(),
        Some(ContextValue::Strings(texts)) => texts.first().cloned().unwrap_or_default(),
        _ => String::new(),
    };
    let argument = text(ContextKind::InvalidArg);
    // clap shows the placeholder of the value as well: `-p <ports>`.
    let canonical = argument.split([' ', '=', '[']).next().unwrap_or_default();
    let name = name_of(normalized, canonical);
    let name = Escaped::new(&name);
    let message = match why.kind() {
        ErrorKind::UnknownArgument => {
            let suggested = text(ContextKind::SuggestedArg);
            let hint = match suggested.as_str() {
                similar if is_typo(canonical, similar) => {
                    format!("did you mean '{}'?", name_of(normalized, similar))
                }
                _ => "see scanner -h for a summary of options".to_owned(),
            };
            format!("unrecognized option '{name}'; {hint}")
        }
        ErrorKind::InvalidValue => format!("option requires an argument -- '{name}'; see scanner -h"),
        ErrorKind::TooManyValues => format!("option '{name}' takes no value"),
        _ => {
            let line = why.to_string();
            let line = line.lines().next().unwrap_or_default().trim_start_matches("error: ");
            format!("{}; see scanner -h", Escaped::new(line))
        }
    };
    UsageError::new(message)
}

/// Whether a word can be a slip of the finger in `option`; clap also suggests what only looks alike.
fn is_typo(word: &str, option: &str) -> bool {
    !option.is_empty() && strsim::osa_distance(word, option) <= 2.max(option.len() / 4)
}

/// Takes every value of an option.
pub(super) fn all(matches: &clap::ArgMatches, name: &str) -> Vec<OsString> {
    matches.get_many(name).map(|values| values.cloned().collect()).unwrap_or_default()
}
