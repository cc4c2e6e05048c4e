//! What a program took from its start to its end: on the clock, of the processor, of memory.
#![expect(unsafe_code, reason = "no crate of the workspace offers wait4, which is passed raw pointers")]

use std::error::Error;
use std::io;
use std::mem;
use std::path::PathBuf;
use std::process::{Command, Stdio};
use std::thread;
use std::time::{Duration, Instant};

use super::Cost;

/// A program that has ended well.
#[derive(Debug, Clone)]
#[non_exhaustive]
pub struct Ended {
    /// What it took, its own children included.
    pub cost: Cost,
    /// The most memory it had at a time.
    pub peak_bytes: u64,
    /// What it wrote to standard output.
    pub stdout: String,
}

impl Ended {
    /// Runs a program without input, in the network namespace of the calling thread.
    ///
    /// ```
    /// let ended = testkit::measure::Ended::run(std::process::Command::new("echo").arg("done"))?;
    /// assert_eq!(ended.stdout, "done\n");
    /// # Ok::<(), Box<dyn std::error::Error + Send + Sync>>(())
    /// ```
    ///
    /// # Errors
    /// When it cannot be started, or fails; the error has what it said.
    pub fn run(command: &mut Command) -> Result<Self, Box<dyn Error + Send + Sync>> {
        Self::measure(command.stdout(Stdio::piped()))
    }

    /// As [`run`](Self::run), with nobody to hear what it says. The peak of a program is never below what the one that starts
    /// it has at that moment (getrusage(2)), so long outputs had better not be kept where peaks are measured.
    ///
    /// # Errors
    /// As [`run`](Self::run).
    pub fn run_unheard(command: &mut Command) -> Result<Self, Box<dyn Error + Send + Sync>> {
        Self::measure(command.stdout(Stdio::null()))
    }

    #[expect(clippy::disallowed_methods, reason = "a driver: this is the stopwatch")]
    fn measure(command: &mut Command) -> Result<Self, Box<dyn Error + Send + Sync>> {
        let start = Instant::now();
        let mut child = command.stdin(Stdio::null()).spawn()?;
        // A pipe has little room, and a program that waits for more of it takes longer.
        let pipe = child.stdout.take();
        let reader = thread::spawn(move || pipe.map_or(Ok(String::new()), io::read_to_string));
        let usage = wait(child.id())?;
        let wall = start.elapsed();
        let stdout = reader.join().map_err(|_| "the reader of its output panicked")??;
        if usage.status != 0 {
            return Err(format!("{command:?} failed (wait status {}): {stdout}", usage.status).into());
        }
        Ok(Self { cost: Cost::new(wall, usage.cpu), peak_bytes: usage.peak_bytes, stdout })
    }
}

/// Builds a program of the workspace as users have it, and gives its path.
///
/// # Errors
/// When it does not build.
pub fn build_program(package: &str) -> Result<PathBuf, Box<dyn Error + Send + Sync>> {
    let output = Command::new(std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into()))
        .args(["build", "--release", "--locked", "--message-format", "json", "--package", package])
        .current_dir(env!("CARGO_MANIFEST_DIR"))
        .stderr(Stdio::inherit())
        .output()?;
    let messages = String::from_utf8(output.stdout)?;
    let mut program = messages.lines().filter_map(|line| {
        let message: serde_json::Value = serde_json::from_str(line).ok()?;
        let is_it = message["target"]["name"] == package && message["target"]["kind"][0] == "bin";
        message["executable"].as_str().filter(|_| is_it).map(PathBuf::from)
    });
    program.next_back().ok_or_else(|| format!("{package} does not build: {}", output.status).into())
}

/// What a process took.
struct Usage {
    /// As wait(2) has it; 0 is success.
    status: i32,
    cpu: Duration,
    peak_bytes: u64,
}

/// Waits for a child of this process to end.
fn wait(child: u32) -> io::Result<Usage> {
    let child = libc::pid_t::try_from(child).map_err(|_| io::ErrorKind::InvalidInput)?;
    let mut status = 0;
    // SAFETY: all-zero is a valid `rusage`: it has numbers only.
    let mut usage: libc::rusage = unsafe { mem::zeroed() };
    // SAFETY: both pointers are to live variables of the types that the kernel fills in.
    if unsafe { libc::wait4(child, &raw mut status, 0, &raw mut usage) } < 0 {
        return Err(io::Error::last_os_error());
    }
    let cpu = time(usage.ru_utime) + time(usage.ru_stime);
    // In kilobytes, getrusage(2).
    Ok(Usage { status, cpu, peak_bytes: u64::try_from(usage.ru_maxrss).unwrap_or(0) * 1024 })
}

fn time(time: libc::timeval) -> Duration {
    let part = |value| u64::try_from(value).unwrap_or(0);
    Duration::from_secs(part(time.tv_sec)) + Duration::from_micros(part(time.tv_usec))
}
