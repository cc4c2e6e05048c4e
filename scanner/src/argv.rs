//! Rewrites a command line in Nmap's spelling into one that an ordinary option parser understands.
//!
//! Nmap reads its options as `getopt_long_only` does: long options with one dash (`-packet-trace`), abbreviated
//! (`--top 10`) or with underscores, clusters of short ones (`-nvv`), values that must be glued (`-d3`) beside values
//! that may be apart (`-p 22`), and two-letter names that are long options in disguise (`-oN FILE`). After
//! [`normalize`] every option stands alone in one spelling. Options of Nmap's that this scanner does not have are
//! refused here, by name and with what to use instead.

mod again;
mod options;
mod refused;
#[cfg(test)]
mod tests;

use std::ffi::{OsStr, OsString};
use std::os::unix::ffi::OsStrExt;

use thiserror::Error;

use crate::escape::Escaped;
use options::{Rejected, Value};

/// A command line in canonical spelling, without the name of the program.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct Normalized {
    /// The arguments for the option parser. If there is a refusal, those after it are as they were typed.
    pub arguments: Vec<OsString>,
    /// Why the command line cannot be accepted, if it cannot.
    pub refusal: Option<Refusal>,
    typed: Vec<(&'static str, String)>,
}

impl Normalized {
    /// Returns how the user spelled an option, given its canonical spelling: `-oN` for `--output-normal`.
    pub fn typed<'a>(&'a self, canonical: &'a str) -> &'a str {
        self.typed.iter().find(|(known, _)| *known == canonical).map_or(canonical, |(_, typed)| typed)
    }

    fn push<T: AsRef<OsStr>>(&mut self, argument: T) {
        self.arguments.push(argument.as_ref().to_owned());
    }

    fn push_joined(&mut self, option: &str, value: &OsStr) {
        let mut argument = OsString::from(option);
        argument.push(value);
        self.arguments.push(argument);
    }

    fn remember(&mut self, canonical: &'static str, typed: &[u8]) {
        let typed = Escaped::new(typed).to_string();
        if typed != canonical && self.typed(canonical) == canonical {
            self.typed.push((canonical, typed));
        }
    }
}

/// Why a command line is refused before it is parsed.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
#[non_exhaustive]
pub enum Refusal {
    /// An option of Nmap's that is not supported.
    #[error("{typed} is not supported: {instead}")]
    NotSupported {
        /// The option as typed.
        typed: String,
        /// What to do without it.
        instead: &'static str,
    },
    /// An abbreviation of several options.
    #[error("option '{typed}' is ambiguous; possibilities: {possibilities}")]
    Ambiguous {
        /// The abbreviation as typed.
        typed: String,
        /// The options it may stand for.
        possibilities: String,
    },
    /// An argument that starts with a dash from a word processor.
    #[error("Unparseable option (dash, not '-') in argument {position}: \"{typed}\"")]
    UnicodeDash {
        /// The place of the argument, counted from 1.
        position: usize,
        /// The argument as typed.
        typed: String,
    },
    /// A letter after `-s` that is no kind of scan.
    #[error("-s{0}: Scantype {0} not supported; use -sS, -sT or -sU")]
    ScanType(String),
    /// `-s` alone.
    #[error("option requires an argument -- 's'; use -sS, -sT or -sU")]
    ScanTypeMissing,
    /// Something after `-P` that is no kind of host discovery.
    #[error("-P{0}: Illegal Argument to -P, use -Pn, -PE, -PS, -PA, -PP, -PM or -PU")]
    PingType(String),
}

/// Rewrites `arguments`, which do not include the program's name.
///
/// The result is a fixed point: normalizing it again changes nothing. Arguments after `--` and values of options are
/// left alone.
///
/// ```
/// use scanner::argv::normalize;
///
/// let typed = ["-nvv", "-oN", "out.txt", "-p", "22", "-packet-trace", "-d", "127.0.0.1"];
/// let normalized = normalize(typed.map(Into::into).to_vec());
/// assert_eq!(
///     normalized.arguments,
///     ["-n", "--verbose", "--verbose", "--output-normal=out.txt", "-p22", "--packet-trace", "--debug", "127.0.0.1"]
/// );
/// assert_eq!(normalized.typed("--output-normal"), "-oN");
/// ```
pub fn normalize(arguments: Vec<OsString>) -> Normalized {
    let mut normalizer = Normalizer { typed: arguments, at: 0, result: Normalized::default() };
    if let Err((unread, refusal)) = normalizer.run() {
        normalizer.result.arguments.push(unread);
        normalizer.result.arguments.extend_from_slice(&normalizer.typed[normalizer.at..]);
        normalizer.result.refusal = Some(refusal);
    }
    normalizer.result
}

/// The part of an argument that could not be read, and why.
type Stop = (OsString, Refusal);

struct Normalizer {
    typed: Vec<OsString>,
    /// How many arguments have been taken.
    at: usize,
    result: Normalized,
}

impl Normalizer {
    fn run(&mut self) -> Result<(), Stop> {
        while let Some(argument) = self.take() {
            let bytes = argument.as_bytes();
            if bytes == b"--" {
                self.result.push(&argument);
                self.result.arguments.extend_from_slice(&self.typed[self.at..]);
                return Ok(());
            }
            if starts_with_unicode_dash(bytes) {
                let refusal =
                    Refusal::UnicodeDash { position: self.at, typed: Escaped::new(bytes).to_string() };
                return Err((argument, refusal));
            }
            match bytes {
                [b'-', b'-', name @ ..] => self.double_dash(&argument, name)?,
                [b'-', body @ ..] if !body.is_empty() => self.single_dash(&argument, body)?,
                _ => self.result.push(&argument),
            }
        }
        Ok(())
    }

    fn take(&mut self) -> Option<OsString> {
        let argument = self.typed.get(self.at).cloned();
        self.at += usize::from(argument.is_some());
        argument
    }

    fn double_dash(&mut self, argument: &OsStr, body: &[u8]) -> Result<(), Stop> {
        let (name, value) = split_value(body);
        match options::long(name) {
            Ok(Some(option)) => {
                if option.spelling.as_bytes() != [b"--", name].concat() {
                    self.result.remember(option.spelling, &[b"--", name].concat());
                }
                self.long(option, value);
                Ok(())
            }
            Ok(None) => {
                self.result.push(argument);
                Ok(())
            }
            Err(rejected) => Err((argument.to_owned(), refusal(&rejected, &[b"--", name].concat()))),
        }
    }

    fn single_dash(&mut self, argument: &OsStr, body: &[u8]) -> Result<(), Stop> {
        let (name, value) = split_value(body);
        match options::single_dash(name) {
            Ok(Some(option)) => {
                self.result.remember(option.spelling, &[b"-", name].concat());
                self.long(option, value);
                Ok(())
            }
            Ok(None) => {
                let before = self.result.arguments.len();
                match self.cluster(body) {
                    Ok(()) => Ok(()),
                    // The whole stays as it was typed: a part of a cluster might read as another option.
                    Err(Some(refusal)) => {
                        self.result.arguments.truncate(before);
                        Err((argument.to_owned(), refusal))
                    }
                    Err(None) => {
                        self.result.arguments.truncate(before);
                        self.result.push(argument);
                        Ok(())
                    }
                }
            }
            Err(rejected) => Err((argument.to_owned(), refusal(&rejected, &[b"-", name].concat()))),
        }
    }

    /// Writes a long option. A value that came as the next argument stays one, unless it could be taken for an option or
    /// the option was in disguise, where it has to be joined.
    fn long(&mut self, option: &options::Long, value: Option<&[u8]>) {
        let joined = |value: &OsStr| {
            let mut whole = OsString::from(option.spelling);
            whole.push("=");
            whole.push(value);
            whole
        };
        if let Some(value) = value {
            return self.result.push(joined(OsStr::from_bytes(value)));
        }
        if option.value != Value::Required {
            return self.result.push(option.spelling);
        }
        match self.take() {
            None => self.result.push(option.spelling),
            Some(value) if option.disguised || value.as_bytes().starts_with(b"-") => {
                self.result.push(joined(&value));
            }
            Some(value) => {
                self.result.push(option.spelling);
                self.result.push(value);
            }
        }
    }

    /// Takes a cluster of short options apart; fails with the refusal, or with nothing at an unknown letter.
    fn cluster(&mut self, body: &[u8]) -> Result<(), Option<Refusal>> {
        let mut rest = body;
        while let [letter, after @ ..] = rest {
            rest = after;
            match letter {
                b's' => return self.scan_types(after).map_err(Some),
                b'P' => return self.ping_type(after).map_err(Some),
                // Their long names are ours, or, with -M and -g, the reference's.
                b'M' | b'S' | b'e' | b'g' | b'D' => {
                    let canonical = match letter {
                        b'M' => "--max-parallelism",
                        b'S' => "--source",
                        b'e' => "--interface",
                        b'g' => "--source-port",
                        _ => "--decoys",
                    };
                    self.remember_value(canonical, *letter, after);
                    return Ok(());
                }
                b'p' | b'T' => {
                    self.short_value(*letter, after);
                    return Ok(());
                }
                b'v' => rest = self.level("--verbose", b'v', after),
                b'd' => rest = self.level("--debug", b'd', after),
                b'f' | b'F' | b'n' | b'R' | b'r' | b'4' | b'6' | b'h' | b'V' => {
                    self.result.push_joined("-", OsStr::from_bytes(&[*letter]));
                }
                _ => {
                    let typed = || format!("-{}", char::from(*letter));
                    let refusal = |instead| Refusal::NotSupported { typed: typed(), instead };
                    return Err(refused::short(*letter).map(refusal));
                }
            }
        }
        Ok(())
    }

    fn scan_types(&mut self, kinds: &[u8]) -> Result<(), Refusal> {
        if kinds.is_empty() {
            return Err(Refusal::ScanTypeMissing);
        }
        for (index, kind) in kinds.iter().enumerate() {
            if !b"TSAWFNXMUnPL".contains(kind) {
                return Err(refused::scan(*kind).map_or_else(
                    || Refusal::ScanType(first_character(&kinds[index..])),
                    |instead| Refusal::NotSupported { typed: format!("-s{}", char::from(*kind)), instead },
                ));
            }
            self.result.push_joined("-s", OsStr::from_bytes(&[*kind]));
        }
        Ok(())
    }

    fn ping_type(&mut self, kind: &[u8]) -> Result<(), Refusal> {
        // The other three are older spellings of the first.
        if matches!(kind, b"n" | b"0" | b"N" | b"D") {
            self.result.remember("-Pn", &[b"-P", kind].concat());
            self.result.push("-Pn");
            return Ok(());
        }
        if let Some(letter @ (b'E' | b'P' | b'M' | b'S' | b'A' | b'U' | b'R' | b'T' | b'B' | b'I')) =
            kind.first()
        {
            let rest = OsStr::from_bytes(&kind[1..]);
            self.result.push_joined(&format!("-P{}", char::from(*letter)), rest);
            return Ok(());
        }
        Err(kind.first().and_then(|letter| refused::ping(*letter)).map_or_else(
            || Refusal::PingType(Escaped::new(kind).to_string()),
            |instead| Refusal::NotSupported { typed: format!("-P{}", char::from(kind[0])), instead },
        ))
    }

    /// Writes a short option that is a long one in disguise, with its value.
    fn remember_value(&mut self, canonical: &'static str, letter: u8, glued: &[u8]) {
        self.result.remember(canonical, &[b'-', letter]);
        let value = if glued.is_empty() { self.take() } else { Some(OsStr::from_bytes(glued).to_owned()) };
        match value {
            Some(value) => self.result.push_joined(&format!("{canonical}="), &value),
            None => self.result.push(canonical),
        }
    }

    /// Writes a short option with its value, glued unless that would read as another option (`-p acket-trace`).
    fn short_value(&mut self, letter: u8, glued: &[u8]) {
        let option = format!("-{}", char::from(letter));
        if !glued.is_empty() {
            return self.result.push_joined(&option, OsStr::from_bytes(glued));
        }
        let Some(value) = self.take() else { return self.result.push(option) };
        let whole = [&option.as_bytes()[1..], value.as_bytes()].concat();
        let is_other = options::single_dash(split_value(&whole).0) != Ok(None);
        if value.is_empty() || is_other {
            self.result.push(option);
            self.result.push(value);
        } else {
            self.result.push_joined(&option, &value);
        }
    }

    /// Writes the occurrences of a letter that counts (`vv`) or carries a number (`v3`), and returns what follows.
    fn level<'a>(&mut self, canonical: &'static str, letter: u8, after: &'a [u8]) -> &'a [u8] {
        let digits = after.iter().take_while(|byte| byte.is_ascii_digit()).count();
        let (number, rest) = after.split_at(digits);
        self.result.remember(canonical, &[b"-", [letter].as_slice(), number].concat());
        self.result.push(canonical);
        if digits > 0
            && let Some(argument) = self.result.arguments.last_mut()
        {
            argument.push("=");
            argument.push(OsStr::from_bytes(number));
        }
        rest
    }
}

fn refusal(rejected: &Rejected, typed: &[u8]) -> Refusal {
    let typed = Escaped::new(typed).to_string();
    match rejected {
        Rejected::Refused(instead) => Refusal::NotSupported { typed, instead },
        Rejected::Ambiguous(names) => {
            let possibilities: Vec<String> = names.iter().map(|name| format!("'--{name}'")).collect();
            Refusal::Ambiguous { typed, possibilities: possibilities.join(" ") }
        }
    }
}

/// Splits `name=value`.
fn split_value(body: &[u8]) -> (&[u8], Option<&[u8]>) {
    match body.iter().position(|byte| *byte == b'=') {
        Some(at) => (&body[..at], Some(&body[at + 1..])),
        None => (body, None),
    }
}

/// Tells whether a text starts with a dash that is not the one of the keyboard: U+2010 to U+2015 or the minus sign.
fn starts_with_unicode_dash(bytes: &[u8]) -> bool {
    matches!(bytes, [0xe2, 0x80, 0x90..=0x95, ..] | [0xe2, 0x88, 0x92, ..])
}

fn first_character(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes)
        .chars()
        .next()
        .map_or_else(String::new, |character| Escaped::new(character.encode_utf8(&mut [0; 4])).to_string())
}
