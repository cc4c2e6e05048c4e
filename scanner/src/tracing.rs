//! Which steps of the event library are shown, and where they go.

use std::cell::RefCell;
use std::fs::File;
use std::io::{self, BufWriter, LineWriter, Write};
use std::rc::Rc;
use std::time::Instant;

use nsock::Io;
use nsock::trace::{Classic, Level, Record, Sink, write_json};

use crate::cli::PacketTrace;
use crate::lookup;

/// The label of the scope that waiting for signals is in; nobody wants to see that on the screen.
pub const SIGNALS: &str = "signals";

/// What is traced, for every pool of the program.
#[derive(Debug, Clone)]
pub struct Tracing {
    mode: PacketTrace,
    level: Level,
    started: Instant,
    file: Option<TraceFile>,
}

/// The file of `--trace-out`; it remembers the first error that writing met.
#[derive(Debug, Clone)]
pub struct TraceFile(Rc<RefCell<Lines>>);

#[derive(Debug)]
struct Lines {
    writer: BufWriter<File>,
    error: Option<io::Error>,
}

impl TraceFile {
    /// Writes to this file.
    #[must_use]
    pub fn new(file: File) -> Self {
        Self(Rc::new(RefCell::new(Lines { writer: BufWriter::new(file), error: None })))
    }

    /// Writes out what is still in memory.
    ///
    /// # Errors
    /// The first error that any of the lines met.
    pub fn finish(&self) -> io::Result<()> {
        let lines = &mut *self.0.borrow_mut();
        let flushed = lines.writer.flush();
        lines.error.take().map_or(flushed, Err)
    }
}

impl Tracing {
    /// Traces as `mode` says, with more detail from `-d4` and `-d7` on; times count from `started`.
    #[must_use]
    pub fn new(mode: PacketTrace, debug: u8, started: Instant, file: Option<TraceFile>) -> Self {
        let level = match debug {
            0..4 => Level::Info,
            4..7 => Level::Debug,
            _ => Level::Full,
        };
        Self { mode, level, started, file }
    }

    /// Whether `CONN` lines are shown.
    #[must_use]
    pub fn shows_connects(&self) -> bool {
        matches!(self.mode, PacketTrace::Classic | PacketTrace::Network | PacketTrace::All)
    }

    /// Whether anything is shown while the scan runs.
    #[must_use]
    pub fn is_on(&self) -> bool {
        self.mode != PacketTrace::Off
    }

    /// The file, to finish it.
    #[must_use]
    pub fn file(&self) -> Option<&TraceFile> {
        self.file.as_ref()
    }

    /// Installs the sinks in a pool: the classic text on stderr, and every record in the file.
    pub fn install<S: 'static>(&self, io: &mut Io<S>) {
        let shown: Option<fn(&str) -> bool> = match self.mode {
            PacketTrace::Classic => Some(|scope| scope == dns::SCOPE || scope == lookup::SCOPE),
            PacketTrace::Nsock | PacketTrace::All => Some(|scope| scope != SIGNALS),
            _ => None,
        };
        if let Some(shown) = shown {
            let mut classic = Classic::new(LineWriter::new(io::stderr()), self.started, self.level);
            io.trace_to(self.level, move |record: &Record<'_>| {
                if shown(record.scope) {
                    classic.record(record);
                }
            });
        }
        if let Some(TraceFile(lines)) = &self.file {
            let (lines, started) = (Rc::clone(lines), self.started);
            io.trace_to(Level::Full, move |record: &Record<'_>| {
                let lines = &mut *lines.borrow_mut();
                if lines.error.is_none() {
                    lines.error = write_json(&mut lines.writer, record, started).err();
                }
            });
        }
    }
}
