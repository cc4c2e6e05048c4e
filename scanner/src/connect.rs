//! Connects to ports, a bounded number at a time, and says what each attempt showed.

use std::collections::BTreeMap;
use std::fmt;
use std::io::Write;
use std::net::{IpAddr, SocketAddr};
use std::time::{Duration, Instant};

use nsock::{Connected, Event, Failure, Fault, Io, Pool};

/// Attempts under way at a time.
const IN_FLIGHT_MAX: usize = 128;

/// An attempt without an answer for so long is over.
const CONNECT_LIMIT: Duration = Duration::from_secs(1);

/// How often a port is tried that did not answer.
const TRIES_MAX: u8 = 2;

/// What a port is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum PortState {
    /// The connect succeeded.
    Open,
    /// The connect was refused.
    Closed,
    /// No answer, or an error message from the network.
    Filtered,
    /// This machine could not even try; with its error number.
    Unknown(i32),
}

impl fmt::Display for PortState {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Open => f.pad("open"),
            Self::Closed => f.pad("closed"),
            Self::Filtered => f.pad("filtered"),
            Self::Unknown(errno) => f.pad(&format!("unknown (local error {errno})")),
        }
    }
}

/// A connect scan under way: the state that the handlers work on.
pub struct ConnectScan<W> {
    waiting: std::vec::IntoIter<SocketAddr>,
    again: Vec<(SocketAddr, u8)>,
    results: BTreeMap<IpAddr, BTreeMap<u16, PortState>>,
    /// Gets the `CONN` lines, if there are to be any.
    trace: Option<W>,
    start: Instant,
}

impl<W: Write + 'static> ConnectScan<W> {
    /// Plans to try these addresses; `CONN` lines go to `trace`, their times count from `start`.
    #[must_use]
    pub fn new(targets: Vec<SocketAddr>, trace: Option<W>, start: Instant) -> Self {
        Self { waiting: targets.into_iter(), again: Vec::new(), results: BTreeMap::new(), trace, start }
    }

    /// Runs the scan to its end.
    ///
    /// # Errors
    /// The event loop's, which are local.
    pub fn run(&mut self, pool: &mut Pool<Self>) -> Result<(), nsock::Error> {
        for _ in 0..IN_FLIGHT_MAX {
            self.next(pool);
        }
        pool.run(self, None)?;
        Ok(())
    }

    /// The states found, by address and port.
    pub fn results(&self) -> &BTreeMap<IpAddr, BTreeMap<u16, PortState>> {
        &self.results
    }

    fn next(&mut self, io: &mut Io<Self>) {
        let fresh = self.waiting.next().map(|target| (target, 1));
        let Some((target, tries)) = fresh.or_else(|| self.again.pop()) else { return };
        let iod = io.iod_new();
        let id = io.connect_tcp(iod, target, Some(CONNECT_LIMIT), move |scan, io, event| {
            scan.answered(io, target, tries, &event);
        });
        match io.failure(id) {
            None => self.conn(io, target, "Operation now in progress"),
            Some(failure) => self.conn(io, target, &text(failure)),
        }
    }

    fn answered(&mut self, io: &mut Io<Self>, target: SocketAddr, tries: u8, event: &Event<Connected>) {
        io.iod_delete(event.iod);
        let state = match event.outcome {
            Ok(_) => {
                self.conn(io, target, "Connected");
                PortState::Open
            }
            Err(Failure::TimedOut) if tries < TRIES_MAX => {
                self.again.push((target, tries + 1));
                return self.next(io);
            }
            Err(Failure::TimedOut) => PortState::Filtered,
            Err(failure) => {
                self.conn(io, target, &text(failure));
                match (failure.fault(), failure) {
                    (Fault::Peer, Failure::Io { errno: libc::ECONNREFUSED, .. }) => PortState::Closed,
                    (Fault::Peer, _) => PortState::Filtered,
                    (_, failure) => PortState::Unknown(failure.errno().unwrap_or(libc::EIO)),
                }
            }
        };
        self.results.entry(target.ip()).or_default().insert(target.port(), state);
        self.next(io);
    }

    fn conn(&mut self, io: &mut Io<Self>, target: SocketAddr, what: &str) {
        if let Some(trace) = &mut self.trace {
            let time = io.now().saturating_duration_since(self.start).as_secs_f64();
            // A trace that cannot be written must not stop the scan.
            let _ = writeln!(
                trace,
                "CONN ({time:.4}s) TCP localhost > {}:{} => {what}",
                target.ip(),
                target.port()
            );
        }
    }
}

impl<W> fmt::Debug for ConnectScan<W> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ConnectScan").field("results", &self.results).finish_non_exhaustive()
    }
}

/// The system's words for a failure, as Nmap's `CONN` lines have them.
fn text(failure: Failure) -> String {
    match failure.errno() {
        Some(errno) => {
            let text = std::io::Error::from_raw_os_error(errno).to_string();
            text.split(" (os error").next().unwrap_or_default().to_owned()
        }
        None => failure.to_string(),
    }
}
