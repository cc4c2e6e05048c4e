//! The language of `-p`: `22,80-90,-100,60000-,T:443,U:53,http*,[1-1024]`.

mod mask;
#[cfg(test)]
mod tests;

use std::fmt;

use thiserror::Error;

use super::{PortSet, Ports, Protocol};
use crate::escape::Escaped;
use crate::{services, top_ports};

/// What a port list says.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct PortList {
    /// The ports, of the scanned protocols only.
    pub ports: Ports,
    /// What the user may not have meant; each kind at most once for each protocol.
    pub warnings: Vec<PortListWarning>,
}

impl PortList {
    /// Parses a port list.
    ///
    /// Items are separated by commas; blanks around them are ignored. An item is a port, a range whose missing ends
    /// stand for 1 and 65535, or a service name with the wild cards `*` and `?`. `T:`, `U:`, `S:` and `P:` say which
    /// protocol the rest of the list is about; before the first of them an item means each of `scanned`. Items in
    /// brackets stand for those of their ports only that have a name or a place in the top list. Port 0 is in the
    /// result only if it was written.
    ///
    /// ```
    /// use scanner::ports::{PortList, Protocol};
    ///
    /// let list = PortList::parse("T:-3,ssh,U:53", &[Protocol::Tcp, Protocol::Udp])?;
    /// assert_eq!(list.ports.to_string(), "T:1-3,22,U:53");
    /// # Ok::<(), scanner::ports::PortListError>(())
    /// ```
    ///
    /// # Errors
    /// The first item that is no port, range or known name, with its place.
    pub fn parse(text: &str, scanned: &[Protocol]) -> Result<Self, PortListError> {
        let mut reader = Reader {
            text,
            at: 0,
            scanned,
            subject: Subject::All,
            bracket: None,
            known: None,
            list: Self::default(),
        };
        match reader.items() {
            Ok(()) => Ok(reader.list),
            Err((at, fault)) => Err(PortListError { text: text.to_owned(), at, fault }),
        }
    }

    fn warn(&mut self, warning: PortListWarning) {
        if !self.warnings.iter().any(|known| known.is_like(&warning)) {
            self.warnings.push(warning);
        }
    }
}

/// Something in a port list that is allowed and yet unlikely to be meant.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum PortListWarning {
    /// A port was named more than once; the first such port is told.
    Duplicate(Protocol, u16),
    /// Ports of a protocol that is not scanned, told by its letter.
    NotScanned(char),
}

impl PortListWarning {
    fn is_like(&self, other: &Self) -> bool {
        match (self, other) {
            (Self::Duplicate(one, _), Self::Duplicate(another, _)) => one == another,
            (Self::NotScanned(one), Self::NotScanned(another)) => one == another,
            _ => false,
        }
    }
}

impl fmt::Display for PortListWarning {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Duplicate(protocol, port) => {
                write!(out, "Duplicate port number(s) specified: {port}/{protocol} is scanned once")
            }
            Self::NotScanned(letter) => {
                let scan = match letter {
                    'T' => "a TCP scan with -sT",
                    'U' => "UDP scan with -sU",
                    'S' => "SCTP scan with -sY",
                    _ => "IP protocol scan with -sO",
                };
                write!(out, "Your ports include \"{letter}:\" but you haven't specified {scan}.")
            }
        }
    }
}

/// Why a port list is refused, and where.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
#[error("{fault} (character {} of \"{}\")", .at + 1, Escaped::new(.text))]
pub struct PortListError {
    text: String,
    at: usize,
    fault: PortListFault,
}

impl PortListError {
    /// Returns the place of the offending item: how many characters stand before it.
    pub const fn at(&self) -> usize {
        self.at
    }

    /// Returns what is wrong.
    pub const fn fault(&self) -> &PortListFault {
        &self.fault
    }
}

/// What is wrong with an item of a port list.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
#[non_exhaustive]
pub enum PortListFault {
    /// Nothing where a port should be.
    #[error("A port, a range or a service name is missing")]
    Empty,
    /// A number above 65535 (255 after `P:`).
    #[error("Ports specified must be between 0 and {max} inclusive, which {number} is not")]
    TooHigh {
        /// The number as written.
        number: String,
        /// The highest number allowed.
        max: u16,
    },
    /// A range whose end is below its start.
    #[error("Your port range {first}-{last} is backwards. Did you mean {last}-{first}?")]
    Backwards {
        /// The start as understood.
        first: u16,
        /// The end as understood.
        last: u16,
    },
    /// Characters after a number or a range.
    #[error("Unexpected \"{}\" after the port. Example of proper form: \"-100,200-1024,T:3000-4000,U:60000-\"",
        Escaped::new(.0))]
    Junk(String),
    /// A mask that no service name matches.
    #[error("Found no matches for the service mask '{}' and your specified protocols", Escaped::new(.0))]
    NoSuchService(String),
    /// A prefix other than `T:`, `U:`, `S:`, `P:`.
    #[error("Unknown protocol specifier '{}'; use T:, U:, S: or P:", Escaped::new(.0))]
    UnknownProtocol(String),
    /// A bracket that does not pair up.
    #[error("Unexpected {0} character in port/protocol specification")]
    Bracket(char),
    /// A bracket that is never closed.
    #[error("The bracket [ is never closed")]
    OpenBracket,
}

/// What the items being read are about.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Subject {
    All,
    One(Protocol),
    IpProtocols,
}

type Fault = (usize, PortListFault);

/// Reads a list from left to right. Places are counted in characters for the user's sake.
#[derive(Debug)]
struct Reader<'a> {
    text: &'a str,
    at: usize,
    scanned: &'a [Protocol],
    subject: Subject,
    /// Where the open bracket stands.
    bracket: Option<usize>,
    /// The ports a bracket lets through; made when the first one is met.
    known: Option<Box<Ports>>,
    list: PortList,
}

impl Reader<'_> {
    fn items(&mut self) -> Result<(), Fault> {
        for item in self.text.split(',') {
            let length = item.chars().count();
            self.item(item)?;
            self.at += length + 1;
        }
        self.bracket.map_or(Ok(()), |at| Err((at, PortListFault::OpenBracket)))
    }

    fn item(&mut self, item: &str) -> Result<(), Fault> {
        let mut body = Piece { text: item, at: self.at }.trim();
        loop {
            if body.text.starts_with('[') {
                if self.bracket.is_some() {
                    return Err((body.at, PortListFault::Bracket('[')));
                }
                self.bracket = Some(body.at);
                self.known.get_or_insert_with(|| Box::new(known_ports()));
                body = body.skip(1).trim();
            } else if let Some((prefix, _)) = body.text.split_once(':') {
                self.subject = subject(prefix).ok_or_else(|| (body.at, unknown_protocol(prefix)))?;
                body = body.skip(prefix.len() + 1).trim();
            } else {
                break;
            }
        }
        let (inner, tail) =
            body.text.split_once(']').map_or((body.text, None), |(inner, tail)| (inner, Some(tail)));
        if tail.is_some() && self.bracket.is_none() {
            return Err((body.at + inner.chars().count(), PortListFault::Bracket(']')));
        }
        if let Some(tail) = tail.filter(|tail| !tail.trim().is_empty()) {
            return Err((body.at + inner.chars().count() + 1, PortListFault::Junk(tail.to_owned())));
        }
        self.body(Piece { text: inner, at: body.at }.trim())?;
        if tail.is_some() {
            self.bracket = None;
        }
        Ok(())
    }

    /// Reads what is left of an item without its prefixes and brackets.
    fn body(&mut self, body: Piece<'_>) -> Result<(), Fault> {
        match body.text.chars().next() {
            None => Err((body.at, PortListFault::Empty)),
            Some('0'..='9' | '-') => {
                let max = if self.subject == Subject::IpProtocols { 255 } else { u16::MAX };
                let (first, last) = range(body, max)?;
                self.add_range(first, last);
                Ok(())
            }
            Some(_) => {
                if self.add_services(body.text) {
                    return Ok(());
                }
                Err((body.at, PortListFault::NoSuchService(body.text.to_owned())))
            }
        }
    }

    fn add_range(&mut self, first: u16, last: u16) {
        for protocol in self.protocols() {
            let filter = self.bracket.and(self.known.as_deref()).map(|known| known.of(protocol));
            let mut duplicate = None;
            for port in (first..=last).filter(|port| filter.is_none_or(|filter| filter.contains(*port))) {
                if !self.list.ports.of_mut(protocol).insert(port) {
                    duplicate = duplicate.or(Some(port));
                }
            }
            if let Some(port) = duplicate {
                self.list.warn(PortListWarning::Duplicate(protocol, port));
            }
        }
    }

    /// Adds the ports whose service matches; tells whether there was one, scanned or not.
    fn add_services(&mut self, mask: &str) -> bool {
        let mut found = false;
        let (wanted, scanned) = match self.subject {
            Subject::All => (self.scanned.to_vec(), self.scanned),
            Subject::One(protocol) => (vec![protocol], self.scanned),
            Subject::IpProtocols => return false,
        };
        for protocol in wanted {
            for (port, _) in services::all(protocol).filter(|(_, name)| mask::matches(mask, name)) {
                found = true;
                if scanned.contains(&protocol) {
                    self.list.ports.of_mut(protocol).insert(port);
                }
            }
        }
        self.protocols();
        found
    }

    /// Returns the scanned protocols an item is about, and warns if there is none.
    fn protocols(&mut self) -> Vec<Protocol> {
        match self.subject {
            Subject::All => self.scanned.to_vec(),
            Subject::One(protocol) if self.scanned.contains(&protocol) => vec![protocol],
            Subject::One(protocol) => {
                self.list.warn(PortListWarning::NotScanned(protocol.letter()));
                Vec::new()
            }
            Subject::IpProtocols => {
                self.list.warn(PortListWarning::NotScanned('P'));
                Vec::new()
            }
        }
    }
}

/// A part of the list and where it starts.
#[derive(Debug, Clone, Copy)]
struct Piece<'a> {
    text: &'a str,
    at: usize,
}

impl Piece<'_> {
    fn trim(self) -> Self {
        let trimmed = self.text.trim_start();
        let blanks = self.text.chars().count() - trimmed.chars().count();
        Self { text: trimmed.trim_end(), at: self.at + blanks }
    }

    /// Skips `bytes` bytes, which end at a character.
    fn skip(self, bytes: usize) -> Self {
        let (skipped, rest) = self.text.split_at(bytes);
        Self { text: rest, at: self.at + skipped.chars().count() }
    }
}

/// Reads `N`, `A-B`, `-B`, `A-` or `-`.
fn range(body: Piece<'_>, max: u16) -> Result<(u16, u16), Fault> {
    let (first, rest) = number(body, max)?;
    let Some(after_dash) = rest.text.strip_prefix('-') else {
        return match (first, rest.text) {
            (Some(port), "") => Ok((port, port)),
            _ => Err((rest.at, PortListFault::Junk(rest.text.to_owned()))),
        };
    };
    let (last, rest) = number(Piece { text: after_dash, at: rest.at + 1 }.trim(), max)?;
    if !rest.text.is_empty() {
        return Err((rest.at, PortListFault::Junk(rest.text.to_owned())));
    }
    let (first, last) = (first.unwrap_or(1), last.unwrap_or(max));
    if last < first {
        return Err((body.at, PortListFault::Backwards { first, last }));
    }
    Ok((first, last))
}

/// Reads the digits `piece` starts with, if any, and returns what follows them and any blanks.
fn number(piece: Piece<'_>, max: u16) -> Result<(Option<u16>, Piece<'_>), Fault> {
    let end = piece.text.find(|character: char| !character.is_ascii_digit()).unwrap_or(piece.text.len());
    let (digits, rest) = (&piece.text[..end], piece.skip(end).trim());
    if digits.is_empty() {
        return Ok((None, rest));
    }
    match digits.parse() {
        Ok(number) if number <= max => Ok((Some(number), rest)),
        _ => Err((piece.at, PortListFault::TooHigh { number: digits.to_owned(), max })),
    }
}

fn subject(prefix: &str) -> Option<Subject> {
    match prefix {
        "T" => Some(Subject::One(Protocol::Tcp)),
        "U" => Some(Subject::One(Protocol::Udp)),
        "S" => Some(Subject::One(Protocol::Sctp)),
        "P" => Some(Subject::IpProtocols),
        _ => None,
    }
}

fn unknown_protocol(prefix: &str) -> PortListFault {
    PortListFault::UnknownProtocol(prefix.to_owned())
}

/// Collects what brackets let through.
fn known_ports() -> Ports {
    let mut known = Ports::new();
    for protocol in Protocol::ALL {
        let set: &mut PortSet = known.of_mut(protocol);
        set.extend(services::all(protocol).map(|(port, _)| port));
        set.extend(top_ports::listed(protocol).iter().copied());
    }
    known
}
