//! What a program took from its start to its end: on the clock, of the processor, of memory.

use std::error::Error;
use std::io::Read;
use std::process::{Command, Stdio};
use std::time::Instant;

use testkit::measure::Cost;

use super::sys;

/// A program that has ended well.
#[derive(Debug)]
pub(crate) struct Ended {
    pub(crate) cost: Cost,
    /// The most memory it had at a time.
    pub(crate) peak_bytes: u64,
    pub(crate) stdout: String,
}

/// Runs a program, in the network namespace of the calling thread. What it writes must fit into a pipe, 64 KB.
#[expect(clippy::disallowed_methods, reason = "a driver: this is the stopwatch")]
pub(crate) fn run(command: &mut Command) -> Result<Ended, Box<dyn Error + Send + Sync>> {
    let start = Instant::now();
    let mut child = command.stdin(Stdio::null()).stdout(Stdio::piped()).spawn()?;
    let usage = sys::wait(child.id())?;
    let wall = start.elapsed();
    let mut stdout = String::new();
    if let Some(mut pipe) = child.stdout.take() {
        pipe.read_to_string(&mut stdout)?;
    }
    if usage.status != 0 {
        return Err(format!("{command:?} failed (wait status {}): {stdout}", usage.status).into());
    }
    Ok(Ended { cost: Cost::new(wall, usage.cpu), peak_bytes: usage.peak_bytes, stdout })
}
