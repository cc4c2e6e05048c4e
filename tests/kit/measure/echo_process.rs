//! An echo server with a process of its own, so that a bench's client has its descriptor table and its memory to itself.

use std::io::{self, BufRead, BufReader, Read, Write};
use std::net::{Ipv4Addr, SocketAddr};
use std::process::{Child, Command, Stdio};

use super::raise_descriptor_limit;
use crate::TcpEcho;

/// The argument that makes a program the server.
const ROLE: &str = "--serve-echo";

/// Loopback addresses it can listen on: each gives its client another 28,000 ports.
const ADDRESSES_MAX: u8 = 16;

/// This program, started a second time to run [`TcpEcho`] servers until this value is dropped.
///
/// The program's `main` must begin with [`serve_if_asked`](Self::serve_if_asked).
#[derive(Debug)]
pub struct EchoProcess {
    child: Child,
    addresses: Vec<SocketAddr>,
}

impl EchoProcess {
    /// In the second process, serves until the first one closes the standard input, then gives true: leave `main`.
    /// In the first process it does nothing and gives false.
    ///
    /// # Errors
    /// As [`TcpEcho::start_at`]; and when the arguments are not those of [`start`](Self::start).
    pub fn serve_if_asked() -> io::Result<bool> {
        let mut arguments = std::env::args().skip(1);
        if arguments.next().as_deref() != Some(ROLE) {
            return Ok(false);
        }
        let mut number = || arguments.next().and_then(|text| text.parse().ok());
        let (Some(core), Some(addresses)) = (number(), number()) else {
            return Err(io::Error::other(format!("{ROLE} needs a core and a number of addresses")));
        };
        raise_descriptor_limit(u64::MAX >> 1);
        let servers = (1..=addresses)
            .map(|host| {
                let host = u8::try_from(host).map_err(io::Error::other)?;
                TcpEcho::start_at(SocketAddr::new(Ipv4Addr::new(127, 0, 0, host).into(), 0), Some(core))
            })
            .collect::<io::Result<Vec<_>>>()?;
        let list: Vec<String> = servers.iter().map(|server| server.address().to_string()).collect();
        writeln!(io::stdout(), "{}", list.join(" "))?;
        io::stdin().read_to_end(&mut Vec::new())?;
        Ok(true)
    }

    /// Starts the process: servers on `addresses` loopback addresses, at most 16, all on this CPU core.
    ///
    /// # Errors
    /// When the process cannot be started, or its servers cannot.
    pub fn start(core: usize, addresses: u8) -> io::Result<Self> {
        let addresses = addresses.clamp(1, ADDRESSES_MAX);
        let mut child = Command::new(std::env::current_exe()?)
            .args([ROLE, &core.to_string(), &addresses.to_string()])
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()?;
        let mut line = String::new();
        if let Some(output) = child.stdout.take() {
            BufReader::new(output).read_line(&mut line)?;
        }
        let listed = line.split_whitespace().map(str::parse).collect::<Result<Vec<_>, _>>();
        let started = Self { child, addresses: listed.map_err(io::Error::other)? };
        if started.addresses.is_empty() {
            return Err(io::Error::other("the echo server's process did not start; it says why above"));
        }
        Ok(started)
    }

    /// Where it listens.
    #[must_use]
    pub fn addresses(&self) -> &[SocketAddr] {
        &self.addresses
    }

    /// Where it listens first.
    #[must_use]
    pub fn address(&self) -> SocketAddr {
        self.addresses[0]
    }
}

impl Drop for EchoProcess {
    fn drop(&mut self) {
        drop(self.child.stdin.take());
        // It leaves at the end of its input; if it is gone already there is nobody to wait for.
        let _ = self.child.wait();
    }
}
