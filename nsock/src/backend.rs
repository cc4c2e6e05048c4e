//! Readiness from the system. The only file that knows mio: a second back end replaces this one.

use std::io;
use std::os::fd::{AsRawFd, BorrowedFd};
use std::sync::Arc;
use std::time::Duration;

use mio::unix::SourceFd;
use mio::{Events, Interest, Poll, Token};

/// Readiness reports taken per wait; more are taken by the next one. Few enough that what is read is still in the cache
/// when its handler looks at it.
const EVENTS_MAX: usize = 1024;

/// Mio's token of the wake-up descriptor. An IOD's token has the slot in its upper half, and no slot is that high.
const WAKE: Token = Token(usize::MAX);

/// What the system said about a descriptor, as bits that are remembered until a call proves them wrong.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(crate) struct Ready(u8);

impl Ready {
    pub(crate) const READABLE: Self = Self(1);
    pub(crate) const WRITABLE: Self = Self(2);
    /// An error is pending, or both directions are shut.
    pub(crate) const ERROR: Self = Self(4);
    /// A short read does not mean that nothing is left: the stream's end is behind it, or an urgent byte, at which the
    /// system stops a read (tcp(7)).
    pub(crate) const SHORT_READS: Self = Self(8);

    pub(crate) fn insert(&mut self, other: Self) {
        self.0 |= other.0;
    }

    pub(crate) fn remove(&mut self, other: Self) {
        self.0 &= !other.0;
    }

    pub(crate) fn has(self, other: Self) -> bool {
        self.0 & other.0 != 0
    }

    /// nsock's mask of a turn: read 1, write 2, exception 4.
    pub(crate) fn mask(self) -> u8 {
        self.0 & 7
    }
}

/// What a readiness report is about: the slot and the low half of the generation of an IOD.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Source {
    pub(crate) slot: u32,
    pub(crate) generation: u32,
}

impl Source {
    fn token(self) -> Token {
        Token((self.slot as usize) << 32 | self.generation as usize)
    }

    fn of(token: Token) -> Self {
        Self { slot: low_half(token.0 >> 32), generation: low_half(token.0) }
    }
}

fn low_half(token: usize) -> u32 {
    #[expect(clippy::cast_possible_truncation, reason = "the upper half is meant to go")]
    let half = token as u32;
    half
}

/// Wakes the loop of a pool from any thread; see [`Io::wake_wait`](crate::Io::wake_wait).
#[derive(Debug, Clone)]
pub struct Waker(Arc<mio::Waker>);

impl Waker {
    /// Completes every pending [`wake_wait`](crate::Io::wake_wait) of the pool, or the next one made.
    ///
    /// Several calls before the loop looks count as one. Waking a pool that is gone does nothing.
    ///
    /// # Errors
    /// The system's, from writing to the wake-up descriptor.
    pub fn wake(&self) -> io::Result<()> {
        self.0.wake()
    }
}

/// What a wait came to.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct Waited {
    /// A [`Waker`] was used.
    pub(crate) woken: bool,
    /// There may be more reports than were taken.
    pub(crate) is_full: bool,
}

pub(crate) struct Backend {
    poll: Poll,
    events: Events,
    waker: Waker,
}

impl Backend {
    pub(crate) fn new() -> io::Result<Self> {
        let poll = Poll::new()?;
        let waker = Waker(Arc::new(mio::Waker::new(poll.registry(), WAKE)?));
        Ok(Self { poll, events: Events::with_capacity(EVENTS_MAX), waker })
    }

    pub(crate) fn waker(&self) -> Waker {
        self.waker.clone()
    }

    /// Watches a descriptor in both directions until it is closed; changes are reported once each.
    pub(crate) fn register(&self, fd: BorrowedFd<'_>, source: Source) -> io::Result<()> {
        let interest = Interest::READABLE | Interest::WRITABLE;
        #[cfg(any(target_os = "android", target_os = "linux"))]
        let interest = interest | Interest::PRIORITY;
        self.poll.registry().register(&mut SourceFd(&fd.as_raw_fd()), source.token(), interest)
    }

    /// Stops watching. Only needed where closing does not do it: the descriptor's file is open elsewhere too.
    pub(crate) fn deregister(&self, fd: BorrowedFd<'_>) -> io::Result<()> {
        self.poll.registry().deregister(&mut SourceFd(&fd.as_raw_fd()))
    }

    /// Waits until something is ready or the limit has passed (rounded up to what the system counts in), and
    /// tells what is ready. A signal ends the wait early.
    pub(crate) fn wait(
        &mut self,
        limit: Option<Duration>,
        mut tell: impl FnMut(Source, Ready),
    ) -> io::Result<Waited> {
        match self.poll.poll(&mut self.events, limit) {
            Ok(()) => {}
            Err(error) if error.kind() == io::ErrorKind::Interrupted => return Ok(Waited::default()),
            Err(error) => return Err(error),
        }
        let (mut woken, mut reports) = (false, 0);
        for event in &self.events {
            reports += 1;
            if event.token() == WAKE {
                woken = true;
                continue;
            }
            let mut ready = Ready::default();
            if event.is_readable() {
                ready.insert(Ready::READABLE);
            }
            if event.is_read_closed() {
                ready.insert(Ready::READABLE);
            }
            if event.is_read_closed() || event.is_priority() {
                ready.insert(Ready::SHORT_READS);
            }
            if event.is_writable() || event.is_write_closed() {
                ready.insert(Ready::WRITABLE);
            }
            if event.is_error() {
                ready.insert(Ready::ERROR);
            }
            tell(Source::of(event.token()), ready);
        }
        Ok(Waited { woken, is_full: reports == EVENTS_MAX })
    }
}
