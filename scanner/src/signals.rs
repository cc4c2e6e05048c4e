//! Ctrl-C and termination: the first ends the scan with what is known, a second one ends the program at once.

use std::io;
use std::os::unix::net::UnixStream;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};

use signal_hook::consts::{SIGINT, SIGTERM};
use signal_hook::{flag, low_level};

use nsock::{Io, IodId};

use crate::exit::Exit;
use crate::report::Cut;
use crate::scan::Scan;
use crate::tracing::SIGNALS;

/// Which signal came, if one did.
#[derive(Debug, Clone, Default)]
struct Interrupted(Arc<AtomicUsize>);

impl Interrupted {
    /// How the program is to end because of it.
    fn exit(&self) -> Option<Exit> {
        match self.0.load(Ordering::SeqCst) {
            0 => None,
            code if code == usize::from(Exit::Terminated.code()) => Some(Exit::Terminated),
            _ => Some(Exit::Interrupted),
        }
    }
}

/// The wait for a signal, to be taken back when the scan is over.
#[derive(Debug)]
pub struct Watch {
    interrupted: Interrupted,
    iod: IodId,
}

impl Watch {
    /// Stops watching, and tells how the program is to end if a signal came.
    pub fn end(self, io: &mut Io<Scan>) -> Option<Exit> {
        io.iod_delete(self.iod);
        self.interrupted.exit()
    }
}

/// Makes the first signal stop the scan from within its loop.
///
/// # Errors
/// The system's.
pub fn stop_on_signals(io: &mut Io<Scan>) -> io::Result<Watch> {
    let interrupted = Interrupted::default();
    let (reader, writer) = UnixStream::pair()?;
    for signal in [SIGINT, SIGTERM] {
        let code = if signal == SIGINT { Exit::Interrupted } else { Exit::Terminated };
        let seen = Arc::new(AtomicBool::new(false));
        // In this order: the first signal finds the flag unset, and sets it.
        flag::register_conditional_shutdown(signal, i32::from(code.code()), Arc::clone(&seen))?;
        flag::register(signal, seen)?;
        flag::register_usize(signal, Arc::clone(&interrupted.0), usize::from(code.code()))?;
        low_level::pipe::register(signal, writer.try_clone()?)?;
    }
    let scope = io.scope(SIGNALS);
    let iod = io.with_scope(scope, |io| -> io::Result<IodId> {
        let iod = io.iod_adopt(&reader).map_err(io::Error::other)?;
        io.read(iod, None, |scan: &mut Scan, io, event| {
            if event.outcome.is_ok() {
                scan.stop(io, Cut::Interrupted);
            }
        });
        Ok(iod)
    })?;
    Ok(Watch { interrupted, iod })
}
