//! The thread behind a server, and the signal that ends it.
//!
//! The signal is an eventfd that is written once and never read: every thread that polls it, at any time after,
//! sees it readable. So each wait of a server is a poll of two descriptors, and no wait outlives the signal.

use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::sync::Arc;
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant};
use std::{io, panic};

use rustix::event::{EventfdFlags, PollFd, PollFlags, Timespec, eventfd, poll};
use rustix::io::Errno;

/// Why a wait ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Wake {
    /// The descriptor is ready, or has an error or hang-up to report.
    Ready,
    /// The server is being dropped, or the wait itself failed: leave.
    Stopped,
    /// The time is over.
    TimedOut,
}

/// Told to a server's threads when the server is dropped.
#[derive(Debug)]
pub(crate) struct Stop {
    event: OwnedFd,
}

impl Stop {
    fn new() -> io::Result<Self> {
        Ok(Self { event: eventfd(0, EventfdFlags::CLOEXEC | EventfdFlags::NONBLOCK)? })
    }

    fn raise(&self) {
        // An eventfd refuses a write only when its 64-bit counter is full, and then it is readable already.
        let _counted = rustix::io::write(&self.event, &1_u64.to_ne_bytes());
    }

    /// The descriptor that turns readable, for a server with a selector of its own.
    pub(crate) fn as_fd(&self) -> BorrowedFd<'_> {
        self.event.as_fd()
    }

    /// Whether the server is being dropped.
    pub(crate) fn is_raised(&self) -> bool {
        self.sleep(Duration::ZERO) == Wake::Stopped
    }

    /// Waits until `fd` has one of `events` (or an error or a hang-up), without limit but the signal.
    pub(crate) fn wait(&self, fd: impl AsFd, events: PollFlags) -> Wake {
        self.wait_until(fd, events, None)
    }

    /// As [`Self::wait`], until `deadline` at the latest if there is one.
    pub(crate) fn wait_until(&self, fd: impl AsFd, events: PollFlags, deadline: Option<Instant>) -> Wake {
        let mut fds = [PollFd::new(&self.event, PollFlags::IN), PollFd::from_borrowed_fd(fd.as_fd(), events)];
        poll_until(&mut fds, deadline)
    }

    /// Waits for `time` to pass.
    #[expect(clippy::disallowed_methods, reason = "a driver: the deadline starts when the wait does")]
    pub(crate) fn sleep(&self, time: Duration) -> Wake {
        poll_until(&mut [PollFd::new(&self.event, PollFlags::IN)], Some(Instant::now() + time))
    }
}

/// Polls until something is ready or the deadline is over; the first of `fds` is the stop signal.
#[expect(
    clippy::disallowed_methods,
    reason = "a driver: an interrupted poll goes on with the time that is left"
)]
fn poll_until(fds: &mut [PollFd<'_>], deadline: Option<Instant>) -> Wake {
    loop {
        let left = deadline.map(|at| at.saturating_duration_since(Instant::now()));
        let timeout = left.and_then(|time| Timespec::try_from(time).ok());
        match poll(fds, timeout.as_ref()) {
            Err(Errno::INTR) => {}
            Err(_) => return Wake::Stopped,
            Ok(0) => return Wake::TimedOut,
            Ok(_) if !fds[0].revents().is_empty() => return Wake::Stopped,
            Ok(_) => return Wake::Ready,
        }
    }
}

/// A thread that is told to stop, and joined, when this is dropped.
///
/// A panic of the thread (an assertion in a test's closure, say) is raised again by the drop.
#[derive(Debug)]
pub(crate) struct Worker {
    stop: Arc<Stop>,
    thread: Option<JoinHandle<()>>,
}

impl Worker {
    /// Starts `run` on a thread with this name (shown by `ps -L`; at most 15 bytes of it).
    pub(crate) fn start(name: &str, run: impl FnOnce(&Arc<Stop>) + Send + 'static) -> io::Result<Self> {
        let stop = Arc::new(Stop::new()?);
        let theirs = Arc::clone(&stop);
        let thread = thread::Builder::new().name(name.to_owned()).spawn(move || run(&theirs))?;
        Ok(Self { stop, thread: Some(thread) })
    }
}

impl Drop for Worker {
    fn drop(&mut self) {
        self.stop.raise();
        let Some(thread) = self.thread.take() else { return };
        if let Err(cause) = thread.join()
            && !thread::panicking()
        {
            panic::resume_unwind(cause);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::sync::mpsc;

    #[test]
    #[expect(clippy::disallowed_methods, reason = "measures that the drop does not wait for the sleep")]
    fn drop_interrupts_a_long_sleep() {
        let (say, heard) = mpsc::channel();
        let worker = Worker::start("sleeper", move |stop| {
            say.send(stop.sleep(Duration::from_secs(600))).unwrap();
        })
        .unwrap();
        let before = Instant::now();
        drop(worker);
        assert_eq!(heard.recv().unwrap(), Wake::Stopped);
        assert!(before.elapsed() < Duration::from_secs(5));
    }

    #[test]
    fn sleep_without_a_signal_times_out() {
        let stop = Stop::new().unwrap();
        assert_eq!(stop.sleep(Duration::from_millis(5)), Wake::TimedOut);
        assert!(!stop.is_raised());
        stop.raise();
        assert!(stop.is_raised());
    }

    #[test]
    #[should_panic(expected = "an assertion of the closure")]
    fn a_panic_of_the_thread_reaches_the_owner() {
        drop(Worker::start("panics", |_| panic!("an assertion of the closure")).unwrap());
    }
}
