//! Signals and keys, on their way into the scan's loop.
//!
//! The first Ctrl-C, termination or hang-up ends the scan with what is known; a second Ctrl-C or termination ends the
//! program at once. They are heard by a thread of their own, which works even where the loop does not.

use std::fs;
use std::io::{self, Write};
use std::os::unix::net::UnixStream;
use std::sync::Arc;
use std::sync::atomic::{AtomicU8, Ordering};
use std::thread;

use nsock::{Event, Io, IodId, Received};
use signal_hook::consts::{SIGHUP, SIGINT, SIGTERM, SIGTSTP};
use signal_hook::iterator::Signals;
use signal_hook::low_level;

use crate::exit::Exit;
use crate::report::Cut;
use crate::scan::Scan;
use crate::terminal::Terminal;
use crate::tracing::SIGNALS;

/// What tells the loop to stop, among the keys.
const STOP: u8 = 0;

/// The code of the first signal that came, or 0.
type Heard = Arc<AtomicU8>;

/// The wait for signals and keys, to be taken back when the scan is over.
#[derive(Debug)]
pub struct Watch {
    heard: Heard,
    iod: IodId,
    terminal: Option<Terminal>,
}

impl Watch {
    /// Stops watching, and tells how the program is to end if a signal came.
    pub fn end(self, io: &mut Io<Scan>) -> Option<Exit> {
        io.iod_delete(self.iod);
        let heard = self.heard.load(Ordering::SeqCst);
        [Exit::Interrupted, Exit::Terminated, Exit::HungUp].into_iter().find(|exit| exit.code() == heard)
    }
}

impl Drop for Watch {
    fn drop(&mut self) {
        if let Some(terminal) = &self.terminal {
            terminal.give_back();
        }
    }
}

/// Makes the first signal stop the scan from within its loop, and lets the keys of the terminal reach it.
///
/// # Errors
/// The system's.
pub fn watch(io: &mut Io<Scan>, terminal: Option<Terminal>) -> io::Result<Watch> {
    let heard = Heard::default();
    let (reader, writer) = UnixStream::pair()?;
    let ignored = ignored_signals();
    // Whoever started the program said that it is not to end by these (nohup, a shell's background).
    let wanted = [SIGINT, SIGTERM, SIGHUP, SIGTSTP].into_iter();
    let wanted = wanted.filter(|signal| *signal == SIGTERM || ignored >> (signal - 1) & 1 == 0);
    let signals = Signals::new(wanted)?;
    if let Some(terminal) = &terminal {
        terminal.read_keys(writer.try_clone()?);
    }
    let listener = Listener { heard: Arc::clone(&heard), terminal: terminal.clone(), writer };
    thread::spawn(move || listener.listen(signals));
    let scope = io.scope(SIGNALS);
    let iod = io.with_scope(scope, |io| -> io::Result<IodId> {
        let iod = io.iod_adopt(&reader).map_err(io::Error::other)?;
        read(io, iod);
        Ok(iod)
    })?;
    Ok(Watch { heard, iod, terminal })
}

fn read(io: &mut Io<Scan>, iod: IodId) {
    io.read(iod, None, |scan: &mut Scan, io, event: Event<Received>| {
        let Ok(received) = &event.outcome else { return };
        let bytes: Vec<u8> = received.bytes.to_vec();
        read(io, event.iod);
        for byte in bytes {
            match byte {
                STOP => scan.stop(io, Cut::Interrupted),
                key => scan.key(io, key),
            }
        }
    });
}

/// The signals that are ignored, the lowest bit for the first.
fn ignored_signals() -> u64 {
    let status = fs::read_to_string("/proc/self/status").unwrap_or_default();
    let digits = status.lines().find_map(|line| line.strip_prefix("SigIgn:"));
    digits.and_then(|digits| u64::from_str_radix(digits.trim(), 16).ok()).unwrap_or(0)
}

struct Listener {
    heard: Heard,
    terminal: Option<Terminal>,
    writer: UnixStream,
}

impl Listener {
    fn listen(mut self, mut signals: Signals) {
        for signal in signals.forever() {
            let exit = match signal {
                SIGTSTP => {
                    self.suspend();
                    continue;
                }
                SIGINT => Exit::Interrupted,
                SIGTERM => Exit::Terminated,
                _ => Exit::HungUp,
            };
            let first = self.heard.compare_exchange(0, exit.code(), Ordering::SeqCst, Ordering::SeqCst);
            match first {
                // Where the loop is over nobody reads it, and the program ends anyway.
                Ok(_) => drop(self.writer.write_all(&[STOP])),
                // A terminal that is closed may say so twice.
                Err(_) if exit == Exit::HungUp => {}
                Err(_) => {
                    self.give_back();
                    low_level::exit(exit.code().into());
                }
            }
        }
    }

    fn give_back(&self) {
        if let Some(terminal) = &self.terminal {
            terminal.give_back();
        }
    }

    /// Stops as Ctrl-Z usually does, with the terminal as it was, and takes it again afterwards.
    fn suspend(&self) {
        self.give_back();
        let _ = low_level::emulate_default_handler(SIGTSTP);
        if let Some(terminal) = &self.terminal {
            terminal.take_back();
        }
    }
}
