//! Whether a run probes by packets, and what has to be opened for that.

use std::env;
use std::time::Instant;

use nsock::Pool;

use crate::cli::Work;
use crate::config::Config;
use crate::exit::Exit;
use crate::packet::line::Detail;
use crate::privilege::{Missing, Privileges};
use crate::route::Wish;
use crate::scan::{Raw, RawSetup, Scan};
use crate::target::TargetSet;
use crate::technique::Technique;

/// How a run probes.
#[derive(Debug)]
#[non_exhaustive]
pub struct RawSide {
    /// The opened sockets; without them every probe is a connect.
    pub raw: Option<Raw>,
    /// Whether packets may be used, which decides what is usual.
    pub permitted: bool,
    /// Lines for the user.
    pub notes: Vec<String>,
}

/// Why the run cannot start: what was asked for is not permitted, or cannot be opened.
#[derive(Debug)]
#[non_exhaustive]
pub struct Refused {
    /// How the program ends.
    pub exit: Exit,
    /// One line that says why.
    pub line: String,
}

/// What decides besides the command line and the privileges of the process: variables of the environment, as the
/// reference has them.
#[must_use]
pub fn privileges(config: &Config) -> Privileges {
    let set = |name| env::var_os(name).is_some();
    match config.privileges {
        Privileges::Detect if set("NMAP_UNPRIVILEGED") => Privileges::Renounce,
        Privileges::Detect if set("NMAP_PRIVILEGED") => Privileges::Assume,
        said => said,
    }
}

/// Opens what probes by packet need, if there are to be any to `targets`.
///
/// # Errors
/// If the user asked for packets by name and they are not permitted, or if they are permitted and cannot be had.
pub fn open(
    config: &Config,
    targets: &TargetSet,
    pool: &mut Pool<Scan>,
    packets_shown: bool,
    seed: u64,
    worker: (u16, u16),
    started: Instant,
) -> Result<RawSide, Refused> {
    let permitted = privileges(config).allow_raw_packets();
    if !permitted {
        return without(config);
    }
    if !sends_packets(config, targets) {
        return Ok(RawSide { raw: None, permitted, notes: Vec::new() });
    }
    let key = key()?;
    let mut setup = RawSetup::new(key, seed);
    setup.options = config.raw.clone();
    setup.neighbors = config.neighbors;
    setup.trace = packets_shown.then(|| (Detail::of_debug_level(config.debug), config.trace_format));
    setup.worker = worker;
    setup.wish = wish(config);
    match Raw::open(pool, setup, started) {
        Ok(raw) => Ok(RawSide { raw: Some(raw), permitted, notes: Vec::new() }),
        Err(why) => {
            Err(Refused { exit: Exit::Failed, line: format!("{why}; -sT --unprivileged scans without") })
        }
    }
}

/// Whether a run that may probe by packets does so.
fn sends_packets(config: &Config, targets: &TargetSet) -> bool {
    let by_scan = config.techniques(true).iter().any(|technique| technique.is_raw());
    // Nobody asks a loopback address whether it is there.
    let anybody_is_asked = !config.methods(true).methods.is_empty() && !targets.is_loopback();
    by_scan || (config.work != Work::List && anybody_is_asked)
}

/// What is left without permission for packets.
fn without(config: &Config) -> Result<RawSide, Refused> {
    let path = env::current_exe().map_or_else(|_| "scanner".to_owned(), |path| path.display().to_string());
    let missing = Missing::new(&path);
    if let Some(option) = config.needs_raw_packets() {
        let line = match config.privileges {
            Privileges::Renounce => format!("{option} needs raw packets, which --unprivileged renounces"),
            _ => format!("{option} needs raw packets: {missing}"),
        };
        return Err(Refused { exit: Exit::Privileges, line });
    }
    let mut notes = Vec::new();
    let falls_back = config.techniques(true) != config.techniques(false);
    if falls_back && config.privileges != Privileges::Renounce {
        notes.push(format!("scanning by TCP connect ({}): {missing}", Technique::Connect.option()));
    }
    Ok(RawSide { raw: None, permitted: false, notes })
}

fn wish(config: &Config) -> Wish {
    Wish {
        source: config.source,
        interface: config.interface.as_deref().and_then(|name| nsock::Io::<Scan>::interface_index(name).ok()),
    }
}

fn key() -> Result<[u64; 2], Refused> {
    let number = || getrandom::u64();
    match (number(), number()) {
        (Ok(first), Ok(second)) => Ok([first, second]),
        (Err(why), _) | (_, Err(why)) => {
            Err(Refused { exit: Exit::Failed, line: format!("the system gives no random numbers: {why}") })
        }
    }
}
