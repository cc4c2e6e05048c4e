//! All target specifications of a run, and how they become a set of addresses.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use std::sync::Arc;

use ipnet::{Ipv4Net, Ipv6Net};

use super::set::Purpose;
use super::words::{WORD_BYTES_MAX, words};
use super::{Address, Families, TargetError, TargetFault, TargetSet, TargetSpec};

/// Most bad targets that are kept to be reported; a file that is no target list would fill the screen with them.
pub const PROBLEMS_MAX: usize = 100;

/// What the list asks the system: names and interfaces. A driver implements it; tests answer from a table.
pub trait Directory {
    /// Returns every address of a host name, the preferred one first.
    ///
    /// # Errors
    /// The name cannot be resolved; the text says why and may be empty.
    fn addresses(&mut self, name: &str) -> Result<Vec<Address>, String>;

    /// Returns the index of the interface called `name`, if there is one.
    fn interface_index(&mut self, name: &str) -> Option<u32>;
}

/// Where a target was given.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum Origin {
    /// Among the arguments.
    CommandLine,
    /// As value of an option, such as `--exclude`.
    Option(&'static str),
    /// In a file.
    File {
        /// The name of the file, made printable.
        name: Arc<str>,
        /// The line, counted from 1.
        line: u32,
    },
}

/// Writes what precedes a message: nothing, `--exclude: ` or `targets.txt:3: `.
impl fmt::Display for Origin {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::CommandLine => Ok(()),
            Self::Option(option) => write!(out, "{option}: "),
            Self::File { name, line } => write!(out, "{name}:{line}: "),
        }
    }
}

/// A target that is not scanned, where it was given and why not; displays as one line.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct TargetProblem {
    /// Where it was given.
    pub origin: Origin,
    /// What is wrong with it.
    pub error: TargetError,
}

impl std::error::Error for TargetProblem {}

impl fmt::Display for TargetProblem {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(out, "{}{}", self.origin, self.error)
    }
}

/// The specifications to scan and to leave out, in the order given.
#[derive(Debug, Clone)]
pub struct TargetList {
    families: Families,
    included: Vec<(TargetSpec, Origin)>,
    excluded: Vec<(TargetSpec, Origin)>,
    problems: Vec<TargetProblem>,
    problems_dropped: usize,
}

/// How many addresses of a host name are scanned.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
#[non_exhaustive]
pub enum AddressesOfAName {
    /// The first of a wanted family.
    #[default]
    First,
    /// Every one of a wanted family (`--resolve-all`).
    All,
}

/// What a [`TargetList`] comes to.
#[derive(Debug, Clone)]
#[non_exhaustive]
pub struct Resolved {
    /// The addresses to scan.
    pub set: TargetSet,
    /// The targets that are no addresses after all: unknown names and interfaces, each told once.
    pub problems: Vec<TargetProblem>,
}

impl TargetList {
    /// Makes an empty list of targets of the given families.
    pub const fn new(families: Families) -> Self {
        Self {
            families,
            included: Vec::new(),
            excluded: Vec::new(),
            problems: Vec::new(),
            problems_dropped: 0,
        }
    }

    /// Adds a target, or a problem if `word` is none.
    pub fn include(&mut self, word: &[u8], origin: &Origin) {
        let spec = parse(word).and_then(|spec| match spec.check_family(self.families) {
            Ok(()) => Ok(spec),
            Err(fault) => Err(TargetError::new(&String::from_utf8_lossy(word), fault)),
        });
        match spec {
            Ok(spec) => self.included.push((spec, origin.clone())),
            Err(_) if self.problems.len() >= PROBLEMS_MAX => self.problems_dropped += 1,
            Err(error) => self.problems.push(TargetProblem { origin: origin.clone(), error }),
        }
    }

    /// Adds the targets of a file's text; `name` is what messages call the file.
    pub fn include_file(&mut self, name: &str, text: &[u8]) {
        let name: Arc<str> = name.into();
        for word in words(text) {
            self.include(word.bytes, &Origin::File { name: name.clone(), line: word.line });
        }
    }

    /// Adds what to leave out: specifications separated by commas. A part without a dot continues the octet list
    /// before it, as in `198.18.0.1,3-5`.
    ///
    /// # Errors
    /// The first that is none. Unlike a bad target it must end the run, or something would be scanned that should not be.
    pub fn exclude(&mut self, list: &[u8], origin: &Origin) -> Result<(), TargetProblem> {
        for word in comma_separated(list) {
            self.exclude_word(&word, origin)?;
        }
        Ok(())
    }

    /// Adds the words of a file's text to what is left out.
    ///
    /// # Errors
    /// The first word that is no target specification.
    pub fn exclude_file(&mut self, name: &str, text: &[u8]) -> Result<(), TargetProblem> {
        let name: Arc<str> = name.into();
        for word in words(text) {
            self.exclude_word(word.bytes, &Origin::File { name: name.clone(), line: word.line })?;
        }
        Ok(())
    }

    /// Tells whether there is no target; problems do not count.
    pub const fn is_empty(&self) -> bool {
        self.included.is_empty()
    }

    /// Returns the bad targets so far, [`PROBLEMS_MAX`] at most.
    pub fn problems(&self) -> &[TargetProblem] {
        &self.problems
    }

    /// Counts the bad targets beyond those that [`problems`](Self::problems) returns.
    pub const fn problems_dropped(&self) -> usize {
        self.problems_dropped
    }

    /// Yields the names to be looked up, each once, those to leave out first.
    pub fn names(&self) -> impl Iterator<Item = &str> {
        let mut seen = BTreeSet::new();
        let specs = self.excluded.iter().chain(&self.included);
        let names = specs.filter_map(|(spec, _)| match spec {
            TargetSpec::Name { host, .. } => Some(&**host),
            _ => None,
        });
        names.filter(move |name| seen.insert(*name))
    }

    /// Makes the set of addresses; `directory` is asked once for each name and zone met.
    ///
    /// Of a name's addresses of a wanted family the first is scanned, or each, as `addresses` says; all of them are left
    /// out if the name is to be left out.
    ///
    /// # Errors
    /// Something to leave out that cannot be resolved: going on would scan it.
    pub fn resolve(
        &self,
        directory: &mut dyn Directory,
        addresses: AddressesOfAName,
    ) -> Result<Resolved, TargetProblem> {
        let mut builder = Builder {
            families: self.families,
            addresses,
            directory,
            answers: BTreeMap::new(),
            set: TargetSet::default(),
        };
        for (spec, origin) in &self.excluded {
            builder.leave_out(spec).map_err(|fault| problem(spec, origin, fault))?;
        }
        let mut problems: Vec<TargetProblem> = Vec::new();
        let mut reported = BTreeSet::new();
        for (spec, origin) in &self.included {
            if let Err(fault) = builder.scan(spec)
                && problems.len() < PROBLEMS_MAX
                && reported.insert(spec.to_string())
            {
                problems.push(problem(spec, origin, fault));
            }
        }
        Ok(Resolved { set: builder.set, problems })
    }

    fn exclude_word(&mut self, word: &[u8], origin: &Origin) -> Result<(), TargetProblem> {
        let spec = parse(word).map_err(|error| TargetProblem { origin: origin.clone(), error })?;
        self.excluded.push((spec, origin.clone()));
        Ok(())
    }
}

fn parse(word: &[u8]) -> Result<TargetSpec, TargetError> {
    if word.len() > WORD_BYTES_MAX {
        return Err(TargetError::new(&String::from_utf8_lossy(&word[..64]), TargetFault::TooLong));
    }
    match str::from_utf8(word) {
        Ok(word) => TargetSpec::parse(word),
        Err(_) => Err(TargetError::new(&String::from_utf8_lossy(word), TargetFault::NotText)),
    }
}

fn problem(spec: &TargetSpec, origin: &Origin, fault: TargetFault) -> TargetProblem {
    let word = match spec {
        TargetSpec::Name { host, .. } => host.to_string(),
        _ => spec.to_string(),
    };
    TargetProblem { origin: origin.clone(), error: TargetError::new(&word, fault) }
}

fn comma_separated(list: &[u8]) -> Vec<Vec<u8>> {
    let mut words: Vec<Vec<u8>> = Vec::new();
    for part in list.split(|byte| *byte == b',') {
        let part = part.trim_ascii();
        let continues =
            !part.is_empty() && part.iter().all(|byte| byte.is_ascii_digit() || b"-*".contains(byte));
        match words.last_mut() {
            Some(word) if continues => {
                word.push(b',');
                word.extend(part);
            }
            _ => words.push(part.to_vec()),
        }
    }
    words
}

struct Builder<'a> {
    families: Families,
    addresses: AddressesOfAName,
    directory: &'a mut dyn Directory,
    answers: BTreeMap<Box<str>, Result<Vec<Address>, String>>,
    set: TargetSet,
}

impl Builder<'_> {
    fn leave_out(&mut self, spec: &TargetSpec) -> Result<(), TargetFault> {
        let TargetSpec::Name { host, prefix } = spec else { return self.add(spec, Purpose::LeaveOut) };
        for address in self.look_up(host)? {
            self.add_address(address, *prefix, Purpose::LeaveOut)?;
        }
        Ok(())
    }

    fn scan(&mut self, spec: &TargetSpec) -> Result<(), TargetFault> {
        let TargetSpec::Name { host, prefix } = spec else { return self.add(spec, Purpose::Scan) };
        let mut addresses = self.look_up(host)?;
        let wanted = addresses.iter().position(|address| self.families.admit(address.ip()));
        let wanted = wanted.ok_or(TargetFault::OtherFamily { wanted: self.families })?;
        if self.addresses == AddressesOfAName::All {
            let (wanted, others): (Vec<Address>, Vec<Address>) =
                addresses.into_iter().partition(|address| self.families.admit(address.ip()));
            for address in wanted {
                self.add_address(address, *prefix, Purpose::Scan)?;
                self.set.name(address, host, others.clone());
            }
            return Ok(());
        }
        let address = addresses.remove(wanted);
        self.add_address(address, *prefix, Purpose::Scan)?;
        self.set.name(address, host, addresses);
        Ok(())
    }

    fn look_up(&mut self, host: &str) -> Result<Vec<Address>, TargetFault> {
        let answer = match self.answers.get(host) {
            Some(known) => known.clone(),
            None => {
                let mut answer = self.directory.addresses(host);
                if answer.as_ref().is_ok_and(Vec::is_empty) {
                    answer = Err(String::new());
                }
                self.answers.insert(host.into(), answer.clone());
                answer
            }
        };
        answer.map_err(|why| TargetFault::Unresolved { why: why.into() })
    }

    fn add(&mut self, spec: &TargetSpec, purpose: Purpose) -> Result<(), TargetFault> {
        match spec {
            TargetSpec::V4Range { first, last } => self.set.add_v4(*first, *last, purpose),
            TargetSpec::V4Pattern(pattern) => {
                self.set.add_pattern(pattern, purpose).map_err(|_| TargetFault::TooManyPatterns)?;
            }
            TargetSpec::V6Range { first, last, zone } => {
                let scope_id = zone.as_deref().map_or(Ok(0), |zone| self.scope_id(zone))?;
                self.set.add_v6(*first, *last, scope_id, purpose);
            }
            TargetSpec::Name { .. } => {}
        }
        Ok(())
    }

    fn add_address(
        &mut self,
        address: Address,
        prefix: Option<u8>,
        purpose: Purpose,
    ) -> Result<(), TargetFault> {
        match address.ip() {
            IpAddr::V4(ip) => {
                let (first, last) = v4_around(ip, prefix.unwrap_or(32))?;
                self.set.add_v4(first, last, purpose);
            }
            IpAddr::V6(ip) => {
                let (first, last) = v6_around(ip, prefix.unwrap_or(128))?;
                self.set.add_v6(first, last, address.scope_id(), purpose);
            }
        }
        Ok(())
    }

    fn scope_id(&mut self, zone: &str) -> Result<u32, TargetFault> {
        let index = zone.parse().ok().filter(|index| *index != 0);
        let index = index.or_else(|| self.directory.interface_index(zone));
        index.ok_or_else(|| TargetFault::ZoneUnknown { zone: zone.into() })
    }
}

fn v4_around(ip: Ipv4Addr, prefix: u8) -> Result<(Ipv4Addr, Ipv4Addr), TargetFault> {
    let net = Ipv4Net::new(ip, prefix).map_err(|_| TargetFault::NetmaskTooLong { max: 32 })?;
    Ok((net.network(), net.broadcast()))
}

fn v6_around(ip: Ipv6Addr, prefix: u8) -> Result<(Ipv6Addr, Ipv6Addr), TargetFault> {
    let net = Ipv6Net::new(ip, prefix).map_err(|_| TargetFault::NetmaskTooLong { max: 128 })?;
    Ok((net.network(), net.broadcast()))
}

#[cfg(test)]
mod tests;
