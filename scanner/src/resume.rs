//! `--resume`: an earlier run's journal is read, and its scan goes on where it ended.

use std::ffi::OsString;
use std::fs::{File, OpenOptions};
use std::io::Read;
use std::path::{Path, PathBuf};

use thiserror::Error;

use crate::cli::{self, Arguments, Request};
use crate::config::changed;
use crate::counted::counted;
use crate::escape::Escaped;
use crate::journal::Record;
use crate::outputs::{Role, Sink, tell};
use crate::ports::{Ports, Protocol};
use crate::report::{PortResults, ScanEvent};
use crate::scan::{Earlier, EarlierHost};
use crate::verdict::PortState;

/// Why a run cannot go on.
#[derive(Debug, Error)]
#[error("--resume: {name}: {why}")]
pub struct CannotResume {
    name: String,
    why: String,
}

/// The journal of an earlier run.
#[derive(Debug)]
pub struct Resumed {
    path: PathBuf,
    bytes: Vec<u8>,
}

impl Resumed {
    /// Reads a journal.
    ///
    /// # Errors
    /// If it cannot be read, or is none.
    pub fn load(path: &Path) -> Result<Self, CannotResume> {
        let mut resumed = Self { path: path.to_owned(), bytes: Vec::new() };
        let read = File::open(path).and_then(|mut file| file.read_to_end(&mut resumed.bytes));
        read.map_err(|error| resumed.cannot(&error.to_string()))?;
        resumed.record()?;
        Ok(resumed)
    }

    fn cannot(&self, why: &str) -> CannotResume {
        let name = Escaped::new(self.path.as_os_str().as_encoded_bytes()).to_string();
        CannotResume { name, why: why.to_owned() }
    }

    /// The file.
    #[must_use]
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// What it says.
    ///
    /// # Errors
    /// If it does not begin as a journal does.
    pub fn record(&self) -> Result<Record<'_>, CannotResume> {
        Record::read(&self.bytes).map_err(|why| self.cannot(&why.to_string()))
    }

    /// The arguments of the earlier run, to which those of this one are added. Pace, reports and the like may be other
    /// ones now.
    ///
    /// # Errors
    /// If they are not those of a scan.
    pub fn arguments(&self, typed: Vec<OsString>) -> Result<Arguments, CannotResume> {
        match cli::parse_again(typed, self.record()?.start.arguments) {
            Ok(Request::Scan(arguments)) => Ok(*arguments),
            Ok(_) => Err(self.cannot("its command line is not that of a scan")),
            Err(error) => Err(self.cannot(&error.to_string())),
        }
    }

    /// What the scan need not do again.
    ///
    /// # Errors
    /// If the options of this run make it another scan.
    pub fn earlier(&self, options: &[(String, String)]) -> Result<Earlier, CannotResume> {
        let record = self.record()?;
        let changed = changed(&record.start.options, options);
        if !changed.is_empty() {
            let names = changed.join(", ");
            return Err(self.cannot(&format!("this would be another scan, as these have changed: {names}")));
        }
        let mut earlier = Earlier::default();
        for report in record.finished() {
            earlier.hosts += 1;
            earlier.hosts_up += u64::from(report.is_up());
            earlier.finished.insert(report.address);
        }
        for (address, partial) in &record.partial {
            let mut host =
                EarlierHost { up: partial.up, known: Ports::new(), results: PortResults::default() };
            for protocol in Protocol::ALL {
                *host.known.of_mut(protocol) = record.known_ports(*address, protocol);
            }
            // What this machine could not send then is tried again.
            for (&(protocol, port), &verdict) in
                partial.ports.iter().filter(|(_, verdict)| verdict.state != PortState::Unknown)
            {
                host.results.add(protocol, port, verdict);
            }
            earlier.partial.insert(*address, host);
        }
        Ok(earlier)
    }

    /// One line that says what is skipped.
    #[must_use]
    pub fn note(&self, earlier: &Earlier) -> String {
        let name = Escaped::new(self.path.as_os_str().as_encoded_bytes());
        let (done, open) = (earlier.finished.len(), earlier.partial.len());
        let ports: usize = earlier.partial.values().map(|host| host.known.len()).sum();
        let done = counted(done, "host is done and skipped", "hosts are done and skipped");
        let begun = counted(open, "was begun", "were begun");
        let whose = if open == 1 { "its" } else { "their" };
        let known = if ports == 1 { "is" } else { "are" };
        format!("{name}: {done}; {begun}, and {ports} of {whose} ports {known} known")
    }

    /// Cuts off the torn line that a killed run leaves, so that the next one begins a line.
    ///
    /// # Errors
    /// If the file cannot be written.
    pub fn mend(&self) -> Result<(), CannotResume> {
        let whole = self.record()?.whole as u64;
        let file = OpenOptions::new().write(true).open(&self.path);
        file.and_then(|file| file.set_len(whole)).map_err(|error| self.cannot(&error.to_string()))
    }

    /// Tells the finished hosts to the outputs that are written afresh.
    ///
    /// # Errors
    /// If one of them cannot be written.
    pub fn replay(&self, sinks: &mut Vec<Sink>) -> std::io::Result<()> {
        let Ok(record) = self.record() else { return Ok(()) };
        record
            .finished()
            .map(|report| tell(sinks, &[Role::Whole], ScanEvent::Host(&report)))
            .fold(Ok(()), Result::and)
    }
}
