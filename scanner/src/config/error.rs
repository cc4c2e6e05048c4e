//! Why a run cannot start.

use std::io;

use thiserror::Error;

use crate::escape::Escaped;
use crate::exit::Exit;
use crate::ports::{PortListError, Protocol};
use crate::target::TargetProblem;

/// Why a run cannot start: one line that says what is wrong and where. Nothing was scanned or written.
#[derive(Debug, Error)]
#[non_exhaustive]
pub enum ConfigError {
    /// A port list that cannot be understood.
    #[error("{option}: {error}")]
    Ports {
        /// The option it belongs to.
        option: &'static str,
        /// What is wrong with it.
        error: PortListError,
    },
    /// The port list names no port of a protocol that is scanned.
    #[error(
        "-p: a {} scan type was requested, but no {protocol} ports were specified; add some, such as {}:1-1024",
        .protocol.name().to_uppercase(), .protocol.letter()
    )]
    NoPortsOf {
        /// The protocol.
        protocol: Protocol,
    },
    /// Everything is excluded.
    #[error(
        "No ports are left to scan: --exclude-ports takes all of them away, or the brackets of -p hold no known one"
    )]
    NoPorts,
    /// Something to leave out that cannot be understood.
    #[error(transparent)]
    Excluded(#[from] TargetProblem),
    /// A file that cannot be read.
    #[error("Failed to open input file {name} for reading: {}", reason(.cause))]
    Unreadable {
        /// The file, made printable.
        name: String,
        /// What the system said.
        cause: io::Error,
    },
    /// Two options read standard input.
    #[error("-iL and --excludefile cannot both read stdin")]
    StdinTwice,
    /// No target, or none that is one.
    #[error("{}No targets were specified, so 0 hosts scanned.", first(.problems))]
    NoTargets {
        /// The bad targets, if there are any.
        problems: Vec<TargetProblem>,
    },
    /// Something that is no name server.
    #[error("--dns-servers: \"{}\" is no address, address:port or host name", Escaped::new(&**.word))]
    DnsServer {
        /// The word as typed.
        word: Box<str>,
    },
    /// A name no file should have.
    #[error("{option}: \"{}\" starts with a dash or is empty; is the file name missing?", Escaped::new(.name))]
    OutputName {
        /// The option it belongs to.
        option: &'static str,
        /// The name as typed.
        name: String,
    },
    /// Something that would go around the proxies.
    #[error(
        "--proxies: {what} would go around the proxies; only connects (-sT) to addresses go through them"
    )]
    AroundProxies {
        /// What it is.
        what: String,
    },
    /// Two outputs would overwrite each other.
    #[error("two outputs cannot write to the same place; give each its own name, and - to one at most")]
    SameOutput,
}

impl ConfigError {
    /// Returns the code the process ends with.
    pub const fn exit(&self) -> Exit {
        match self {
            Self::Unreadable { .. } => Exit::Failed,
            _ => Exit::Usage,
        }
    }
}

/// Says what the system said in the manner of C programs: `No such file or directory (2)`.
fn reason(cause: &io::Error) -> String {
    let text = cause.to_string();
    match cause.raw_os_error() {
        Some(code) => format!("{} ({code})", text.trim_end_matches(&format!(" (os error {code})"))),
        None => text,
    }
}

/// Shows the first bad target, and that there are more.
fn first(problems: &[TargetProblem]) -> String {
    match problems {
        [] => String::new(),
        [only] => format!("{only}. "),
        [first, rest @ ..] => format!("{first} (and {} more). ", rest.len()),
    }
}
