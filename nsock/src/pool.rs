//! A pool with handlers: the thin shell around the engine.

use std::fmt;
use std::ops::{Deref, DerefMut};
use std::time::Duration;

use crate::engine::Engine;
use crate::error::Error;
use crate::event::Completion;
use crate::io::Io;

/// Keeps the handler of each pending event, by the event's slot.
pub(crate) struct Handlers<S>(Vec<Option<Handler<S>>>);

pub(crate) type Handler<S> = Box<dyn FnOnce(&mut S, &mut Io<S>, Completion)>;

/// Slots up to this are kept after a burst.
const KEPT_MIN: usize = 1024;

impl<S> Handlers<S> {
    pub(crate) fn put(&mut self, slot: u32, handler: Handler<S>) {
        let index = slot as usize;
        if self.0.len() <= index {
            self.0.resize_with(index + 1, || None);
        }
        self.0[index] = Some(handler);
    }

    pub(crate) fn take(&mut self, slot: u32) -> Option<Handler<S>> {
        self.0.get_mut(slot as usize)?.take()
    }

    fn shrink(&mut self, pending: usize) {
        if self.0.capacity() > KEPT_MIN && pending < self.0.capacity() / 8 {
            let used = self.0.iter().rposition(Option::is_some).map_or(0, |last| last + 1);
            self.0.truncate(used);
            self.0.shrink_to(used.max(KEPT_MIN));
        }
    }
}

/// Why [`Pool::run`] returned.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Stop {
    /// Nothing is pending any more.
    NoEvents,
    /// [`Io::loop_quit`] was called.
    Quit,
    /// The limit has passed.
    TimedOut,
}

/// IODs, pending events and their handlers, and the loop that runs them.
///
/// The state `S` that handlers work on is lent to [`run`](Self::run), so a handler can be a plain method of it:
/// `fn connected(&mut self, io: &mut Io<Self>, event: Event<Connected>)`. Everything that handlers may do is in
/// [`Io`], which a pool derefs to.
///
/// Dropping a pool drops its handlers without running them; debug builds report through `log` what was pending.
/// [`shutdown`](Self::shutdown) tells the handlers.
pub struct Pool<S> {
    io: Io<S>,
}

impl<S: 'static> Pool<S> {
    /// Makes a pool. Pools share nothing; each thread may have its own.
    ///
    /// # Errors
    /// [`Error::Create`] if the system has no descriptors or memory left for it.
    pub fn new() -> Result<Self, Error> {
        Ok(Self { io: Io { engine: Engine::new()?, handlers: Handlers(Vec::new()), quit: false } })
    }

    /// Runs handlers until a handler quits, nothing is pending, or the limit has passed; in that order of
    /// precedence. A limit of zero makes one turn without waiting. It may be called again.
    ///
    /// This and [`shutdown`](Self::shutdown) are the only places where handlers run. If one panics, the panic
    /// passes through, its event is over, and the pool can be run again.
    ///
    /// # Errors
    /// [`Error::Wait`] if the system cannot wait for events; errors of single sockets go to their handlers.
    pub fn run(&mut self, state: &mut S, limit: Option<Duration>) -> Result<Stop, Error> {
        self.io.engine.note_loop(limit);
        let end = limit.and_then(|limit| self.io.engine.now().checked_add(limit));
        let mut turned = false;
        loop {
            if std::mem::take(&mut self.io.quit) {
                return Ok(Stop::Quit);
            }
            if self.io.engine.pending() == 0 {
                return Ok(Stop::NoEvents);
            }
            if turned && end.is_some_and(|end| end <= self.io.engine.turn_time()) {
                return Ok(Stop::TimedOut);
            }
            self.io.engine.turn_until(end)?;
            self.deliver(state);
            turned = true;
        }
    }

    fn deliver(&mut self, state: &mut S) {
        let delivery = Delivery(&mut self.io);
        while let Some(done) = delivery.0.engine.next_done() {
            if let Some(handler) = delivery.0.handlers.take(done.id.slot) {
                handler(state, delivery.0, done);
            }
            if delivery.0.quit {
                delivery.0.engine.finish_turn();
            }
        }
        drop(delivery);
        self.io.handlers.shrink(self.io.engine.pending());
    }

    /// Ends the pool: each pending handler runs once, with [`Failure::Killed`](crate::Failure::Killed) unless its
    /// request had finished before, and each IOD is closed. Requests that these handlers make are refused.
    pub fn shutdown(mut self, state: &mut S) {
        self.io.engine.kill();
        self.deliver(state);
        self.io.engine.delete_iods();
    }
}

/// Leaves the turn in whichever way its deliveries end: after a panic in a handler, what is asked for outside the loop
/// must have the time of then and the scope of outside.
struct Delivery<'a, S>(&'a mut Io<S>);

impl<S> Drop for Delivery<'_, S> {
    fn drop(&mut self) {
        self.0.engine.leave_turn();
    }
}

impl<S> Deref for Pool<S> {
    type Target = Io<S>;

    fn deref(&self) -> &Io<S> {
        &self.io
    }
}

impl<S> DerefMut for Pool<S> {
    fn deref_mut(&mut self) -> &mut Io<S> {
        &mut self.io
    }
}

impl<S> fmt::Debug for Pool<S> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Pool").field("io", &self.io).finish()
    }
}

#[cfg(debug_assertions)]
impl<S> Drop for Pool<S> {
    fn drop(&mut self) {
        if self.io.engine.pending() > 0 {
            crate::trace::warn_dropped_pending(&self.io.engine.report());
        }
    }
}
