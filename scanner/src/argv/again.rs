//! A command line put before that of an earlier run, where what is typed now goes before what was typed then.

use std::ffi::{OsStr, OsString};
use std::os::unix::ffi::OsStrExt;

use super::options::{self, Value};
use super::{Normalized, split_value};

/// Options that are no part of what a scan is, or that are compared with the earlier run's afterwards. Those of a line
/// say the same thing in different ways, so that one of them displaces the others.
const DISPLACING: &[&[&str]] = &[
    &["-T"],
    &["--min-rate"],
    &["--max-rate"],
    &["--scan-delay"],
    &["--max-scan-delay"],
    &["--initial-rtt-timeout"],
    &["--min-rtt-timeout"],
    &["--max-rtt-timeout"],
    &["--max-retries"],
    &["--host-timeout"],
    &["--max-runtime"],
    &["--min-parallelism"],
    &["--max-parallelism"],
    &["--min-hostgroup"],
    &["--max-hostgroup"],
    &["-n", "-R"],
    &["--dns-servers", "--system-dns"],
    &["--dns-max-rate"],
    // The journal has no passwords: they have to be typed again.
    &["--proxies"],
    &["--privileged", "--unprivileged"],
    &["--verbose"],
    &["--debug"],
    &["--packet-trace"],
    &["--trace-format"],
    &["--trace-out"],
    &["--stats-every"],
    &["--color"],
    &["--output-html"],
    &["--output-all", "--output-normal"],
    &["--output-all", "--output-xml"],
    &["--output-all", "--output-grepable"],
    &["--output-all", "--output-json"],
];

/// The files that `-oA` stands for, with their endings.
const ALL: &[(&str, &str)] = &[
    ("--output-normal", ".nmap"),
    ("--output-xml", ".xml"),
    ("--output-grepable", ".gnmap"),
    ("--output-json", ".ndjson"),
];

/// An option of a normalized command line with its value, or a target.
struct Word {
    /// Its spelling; empty for a target.
    option: &'static str,
    arguments: Vec<OsString>,
}

impl Normalized {
    /// Puts this command line, which names no targets, before that of an earlier run. What both have stays there twice,
    /// unless it may differ from run to run: then the earlier run's is left out.
    #[must_use]
    pub fn before(self, earlier: Self) -> Self {
        let typed = words(&self.arguments);
        let is_typed = |option: &str| typed.iter().any(|word| word.option == option);
        let is_displaced = |option: &str| {
            DISPLACING
                .iter()
                .any(|group| group.contains(&option) && group.iter().any(|other| is_typed(other)))
        };
        let mut arguments: Vec<OsString> =
            self.arguments.iter().take_while(|argument| *argument != "--").cloned().collect();
        for word in words(&earlier.arguments) {
            if word.option == "--output-all" && !is_typed("--output-all") {
                let files = ALL.iter().filter(|(option, _)| !is_typed(option));
                arguments.extend(files.filter_map(|(option, ending)| file_of_all(&word, option, ending)));
            } else if !is_displaced(word.option) {
                arguments.extend(word.arguments);
            }
        }
        let names = self.typed.iter().chain(&earlier.typed).cloned().collect();
        Self { arguments, refusal: self.refusal.or(earlier.refusal), typed: names }
    }
}

/// One of the files of `-oA`, as if it had been named by itself.
fn file_of_all(all: &Word, option: &str, ending: &str) -> Option<OsString> {
    let base = all.arguments.first()?.as_bytes().strip_prefix(b"--output-all=")?;
    let mut argument = OsString::from(format!("{option}="));
    argument.push(OsStr::from_bytes(base));
    argument.push(ending);
    Some(argument)
}

/// Takes normalized arguments apart. What follows `--` is one word: it is never left out.
fn words(arguments: &[OsString]) -> Vec<Word> {
    let mut words = Vec::new();
    let mut rest = arguments;
    while let [first, after @ ..] = rest {
        let (option, length) = match first.as_bytes() {
            b"--" => ("", rest.len()),
            [b'-', b'-', name @ ..] => {
                let (name, value) = split_value(name);
                match options::long(name) {
                    Ok(Some(long)) => {
                        let apart = long.value == Value::Required && value.is_none() && !after.is_empty();
                        (long.spelling, 1 + usize::from(apart))
                    }
                    _ => ("", 1),
                }
            }
            // Both have their value apart only where it would read as another option.
            b"-T" => ("-T", rest.len().min(2)),
            b"-p" => ("", rest.len().min(2)),
            [b'-', b'T', ..] => ("-T", 1),
            b"-n" => ("-n", 1),
            b"-R" => ("-R", 1),
            _ => ("", 1),
        };
        let (word, after) = rest.split_at(length);
        words.push(Word { option, arguments: word.to_vec() });
        rest = after;
    }
    words
}
