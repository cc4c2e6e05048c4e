//! A program of the system that runs beside a test.

use std::io::{self, BufRead, BufReader};
use std::net::{SocketAddr, TcpStream};
use std::os::unix::process::CommandExt;
use std::process::{Child, Command, Stdio};
use std::thread;
use std::time::Duration;

use rustix::process::{Pid, Signal, kill_process_group};

/// How often, and how many times, a program is asked whether it is ready.
const CONNECT_AGAIN: Duration = Duration::from_millis(20);
const CONNECTS_MAX: usize = 500;

/// A running program; dropping it kills it.
#[derive(Debug)]
pub struct Service {
    child: Child,
}

impl Service {
    /// Starts a program that says on standard error when it is ready, in a line that has `ready` in it.
    ///
    /// ```
    /// use std::process::Command;
    /// let mut command = Command::new("sh");
    /// command.args(["-c", "echo warming up >&2; echo ready >&2; exec sleep 600"]);
    /// let service = testkit::Service::start(command, "ready")?;
    /// drop(service);
    /// # Ok::<(), std::io::Error>(())
    /// ```
    ///
    /// # Errors
    /// When it cannot be started, or ends before it says so; the error has what it said.
    pub fn start(mut command: Command, ready: &str) -> io::Result<Self> {
        let mut child = command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::piped()).spawn()?;
        let stderr = child.stderr.take();
        let service = Self { child };
        let mut lines = BufReader::new(stderr.ok_or_else(|| io::Error::other("no standard error"))?).lines();
        let mut said = String::new();
        for line in &mut lines {
            let line = line?;
            if line.contains(ready) {
                // What is said later is read as well, so that the program never waits for a reader.
                thread::spawn(move || lines.for_each(drop));
                return Ok(service);
            }
            said.push_str(&line);
            said.push('\n');
        }
        Err(io::Error::other(format!("{command:?} ended before it was ready: {}", said.trim())))
    }

    /// Starts a program that is ready when it accepts connections at `address`.
    ///
    /// # Errors
    /// When it cannot be started, ends, or does not accept connections within some seconds.
    pub fn start_at(mut command: Command, address: SocketAddr) -> io::Result<Self> {
        command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null()).process_group(0);
        let mut service = Self { child: command.spawn()? };
        for _ in 0..CONNECTS_MAX {
            if let Some(status) = service.child.try_wait()? {
                return Err(io::Error::other(format!("{command:?} ended before it was ready: {status}")));
            }
            if TcpStream::connect(address).is_ok() {
                return Ok(service);
            }
            thread::sleep(CONNECT_AGAIN);
        }
        Err(io::Error::other(format!("{command:?} does not accept connections at {address}")))
    }
}

impl Drop for Service {
    fn drop(&mut self) {
        // What it has started goes with it. Fails only when it has ended by itself, or is in our own group.
        if let Some(group) = i32::try_from(self.child.id()).ok().and_then(Pid::from_raw) {
            let _ended = kill_process_group(group, Signal::KILL);
        }
        let _ended = self.child.kill();
        let _status = self.child.wait();
    }
}
