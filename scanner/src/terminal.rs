//! The terminal that the program was started from: keys are read from it one by one while it is ours, and it is given
//! back as it was found, however the program ends.

use std::io::Write;
use std::os::fd::OwnedFd;
use std::os::unix::net::UnixStream;
use std::sync::{Arc, Mutex, PoisonError};
use std::thread;
use std::time::Duration;

use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::fs::{Mode, OFlags, open};
use rustix::termios::{LocalModes, OptionalActions, Termios, isatty, tcgetattr, tcgetpgrp, tcsetattr};

/// So often it is looked whether the terminal is ours: a shell gives it to one program at a time.
const LOOK_EVERY: Duration = Duration::from_millis(200);

/// The terminal, shared with the thread that reads it and the one that hears signals.
#[derive(Debug, Clone)]
pub struct Terminal(Arc<Mutex<State>>);

#[derive(Debug)]
struct State {
    tty: OwnedFd,
    /// How it was found, while it is changed.
    found: Option<Termios>,
    /// It is left alone: the program is suspended, or about to end.
    left_alone: bool,
}

impl Terminal {
    /// Opens the terminal, if there is one and somebody sits at it: a program whose report goes into a pipe may have the
    /// reader of that pipe beside it, which wants the keys for itself.
    #[must_use]
    pub fn open() -> Option<Self> {
        let stdout = rustix::stdio::stdout();
        let into_pipe = rustix::fs::fstat(stdout)
            .is_ok_and(|data| rustix::fs::FileType::from_raw_mode(data.st_mode).is_fifo());
        if into_pipe || !(isatty(stdout) || isatty(rustix::stdio::stderr())) {
            return None;
        }
        let flags = OFlags::RDWR | OFlags::NOCTTY | OFlags::NONBLOCK | OFlags::CLOEXEC;
        let tty = open("/dev/tty", flags, Mode::empty()).ok()?;
        Some(Self(Arc::new(Mutex::new(State { tty, found: None, left_alone: false }))))
    }

    fn with<R>(&self, work: impl FnOnce(&mut State) -> R) -> R {
        work(&mut self.0.lock().unwrap_or_else(PoisonError::into_inner))
    }

    /// Sends each key into `keys`, from a thread that ends with the terminal or with the reader of the keys.
    pub fn read_keys(&self, mut keys: UnixStream) {
        let terminal = self.clone();
        thread::spawn(move || {
            while let Some(typed) = terminal.wait_for_keys() {
                // A zero byte means something else to the reader, and no key sends one.
                let typed: Vec<u8> = typed.into_iter().filter(|byte| *byte != 0).collect();
                if keys.write_all(&typed).is_err() {
                    break;
                }
            }
        });
    }

    /// Waits a moment for keys; `None` once the terminal is gone.
    fn wait_for_keys(&self) -> Option<Vec<u8>> {
        // A second descriptor, so that nobody waits for the lock as long as for a key.
        let tty = self.with(|state| {
            state.make_raw();
            state.tty.try_clone()
        });
        let tty = tty.ok()?;
        if !self.with(|state| state.found.is_some()) {
            thread::sleep(LOOK_EVERY);
            return Some(Vec::new());
        }
        let limit = Timespec::try_from(LOOK_EVERY).ok();
        let mut ready = [PollFd::new(&tty, PollFlags::IN)];
        if poll(&mut ready, limit.as_ref()) == Ok(0) {
            return Some(Vec::new());
        }
        let mut buffer = [0; 64];
        // Reading the terminal of another program would stop this one.
        let read = self.with(|state| state.is_ours().then(|| rustix::io::read(&tty, &mut buffer)));
        match read {
            None | Some(Err(rustix::io::Errno::AGAIN | rustix::io::Errno::INTR)) => Some(Vec::new()),
            Some(Ok(0) | Err(_)) => None,
            Some(Ok(count)) => Some(buffer[..count].to_vec()),
        }
    }

    /// Gives the terminal back as it was found, until [`take_back`](Self::take_back).
    pub fn give_back(&self) {
        self.with(|state| {
            state.left_alone = true;
            if let Some(found) = state.found.take().filter(|_| state.is_in_foreground()) {
                let _ = tcsetattr(&state.tty, OptionalActions::Now, &found);
            }
        });
    }

    /// Takes it again, once it is ours.
    pub fn take_back(&self) {
        self.with(|state| state.left_alone = false);
    }
}

impl State {
    fn is_in_foreground(&self) -> bool {
        tcgetpgrp(&self.tty).is_ok_and(|group| group == rustix::process::getpgrp())
    }

    fn is_ours(&self) -> bool {
        !self.left_alone && self.is_in_foreground()
    }

    /// Lets keys come one by one and unseen. A shell sets its own modes whenever it stops or starts a program, so what is
    /// there is looked at each time.
    fn make_raw(&mut self) {
        if !self.is_ours() {
            return;
        }
        let Ok(modes) = tcgetattr(&self.tty) else { return };
        if !modes.local_modes.contains(LocalModes::ICANON) && self.found.is_some() {
            return;
        }
        let mut raw = modes.clone();
        // Ctrl-C and Ctrl-Z stay signals, and output stays as it is.
        raw.local_modes.remove(LocalModes::ICANON | LocalModes::ECHO);
        if tcsetattr(&self.tty, OptionalActions::Now, &raw).is_ok() {
            self.found = Some(modes);
        }
    }
}
