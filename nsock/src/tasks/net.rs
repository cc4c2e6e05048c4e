//! The requests, and the futures they give.

use std::cell::{Ref, RefCell, RefMut};
use std::collections::HashMap;
use std::fmt;
use std::net::SocketAddr;
use std::ops::Deref;
use std::pin::Pin;
use std::rc::Rc;
use std::task::{Context, Poll, Waker};
use std::time::Duration;

use futures_core::Stream;

use super::{Boxed, Join, Joined};
use crate::engine::{Engine, Notice};
use crate::error::{Failure, Misuse};
use crate::event::{Accepted, Completion, Connected, EventId, IodId, Output, Received, Sent};
use crate::op::Until;
use crate::packet::Packet;
use crate::request::Request;

/// What the handles and futures of one executor share.
pub(super) struct Shared {
    engine: RefCell<Engine>,
    waits: RefCell<HashMap<EventId, State>>,
    spawned: RefCell<Vec<Boxed>>,
}

impl Shared {
    pub(super) fn new(engine: Engine) -> Self {
        Self { engine: RefCell::new(engine), waits: RefCell::default(), spawned: RefCell::default() }
    }
}

/// How far a request has come.
enum State {
    /// Under way, and who is to be told.
    Waiting(Option<Waker>),
    Ended(Result<Output, Failure>),
}

/// A handle of an executor: makes IODs, requests and tasks. Clones are the same executor's.
#[derive(Clone)]
pub struct Net {
    shared: Rc<Shared>,
}

/// # The executor's side
impl Net {
    pub(super) fn new(shared: Shared) -> Self {
        Self { shared: Rc::new(shared) }
    }

    pub(super) fn engine<T>(&self, work: impl FnOnce(&mut Engine) -> T) -> T {
        work(&mut self.shared.engine.borrow_mut())
    }

    /// Takes in that an event has ended.
    pub(super) fn settle(&self, done: Completion) {
        let mut waits = self.shared.waits.borrow_mut();
        let Some(state) = waits.get_mut(&done.id) else { return };
        if let State::Waiting(Some(waker)) = std::mem::replace(state, State::Ended(done.outcome)) {
            waker.wake();
        }
    }

    pub(super) fn take_spawned(&self) -> Vec<Boxed> {
        self.shared.spawned.take()
    }
}

/// # Tasks and IODs
impl Net {
    /// Runs a future beside the others. What it gives, the returned future gives on.
    pub fn spawn<T: 'static>(&self, future: impl Future<Output = T> + 'static) -> Join<T> {
        let (join, joined) = Join::new();
        self.shared.spawned.borrow_mut().push(Box::pin(async move {
            let result = future.await;
            Joined::end(&joined, result);
        }));
        join
    }

    /// Makes an IOD that is deleted when the value is dropped.
    #[track_caller]
    #[must_use]
    pub fn iod(&self) -> OwnedIod {
        let id = self.engine(|engine| engine.iod_new());
        self.own(id)
    }

    /// Has an IOD deleted when the returned value is dropped: one that was [accepted](Self::accept), say.
    #[must_use]
    pub fn own(&self, id: IodId) -> OwnedIod {
        OwnedIod { id, net: self.clone() }
    }

    /// The engine, for everything that takes no time: options, addresses, listening, captures, traces.
    ///
    /// # Panics
    /// When the engine is borrowed already. Do not keep the borrow across an `await`.
    #[must_use]
    pub fn engine_mut(&self) -> RefMut<'_, Engine> {
        self.shared.engine.borrow_mut()
    }

    /// The engine, to be asked.
    ///
    /// # Panics
    /// When the engine is borrowed by [`engine_mut`](Self::engine_mut).
    #[must_use]
    pub fn engine_ref(&self) -> Ref<'_, Engine> {
        self.shared.engine.borrow()
    }
}

/// # Requests
///
/// The request is made when the method is called; awaiting the future is only waiting.
impl Net {
    /// Connects an IOD to a TCP server.
    #[track_caller]
    pub fn connect_tcp(&self, iod: IodId, to: SocketAddr, limit: Option<Duration>) -> Wait<Connected> {
        self.ask(Request::ConnectTcp { iod, to }, limit, Output::connected)
    }

    /// Connects an IOD to a TCP server and agrees on TLS.
    #[cfg(feature = "tls")]
    #[track_caller]
    pub fn connect_ssl(&self, iod: IodId, to: SocketAddr, limit: Option<Duration>) -> Wait<Connected> {
        self.ask(Request::ConnectSsl { iod, to }, limit, Output::connected)
    }

    /// Fixes the UDP peer of an IOD.
    #[track_caller]
    pub fn connect_udp(&self, iod: IodId, to: SocketAddr) -> Wait<Connected> {
        self.ask(Request::ConnectUdp { iod, to }, None, Output::connected)
    }

    /// Reads whatever comes first.
    #[track_caller]
    pub fn read(&self, iod: IodId, limit: Option<Duration>) -> Wait<Received> {
        self.ask(Request::Read { iod, until: Until::Any }, limit, Output::received)
    }

    /// Reads at least so many bytes.
    #[track_caller]
    pub fn readbytes(&self, iod: IodId, bytes: usize, limit: Option<Duration>) -> Wait<Received> {
        self.ask(Request::Read { iod, until: Until::Bytes(bytes) }, limit, Output::received)
    }

    /// Reads at least so many lines.
    #[track_caller]
    pub fn readlines(&self, iod: IodId, lines: usize, limit: Option<Duration>) -> Wait<Received> {
        self.ask(Request::Read { iod, until: Until::Lines(lines) }, limit, Output::received)
    }

    /// Writes all of `data`.
    #[track_caller]
    pub fn write(&self, iod: IodId, data: &[u8], limit: Option<Duration>) -> Wait<Sent> {
        self.ask(Request::Write { iod, data }, limit, Output::sent)
    }

    /// Ends the sending direction, after the writes.
    #[track_caller]
    pub fn shutdown_write(&self, iod: IodId, limit: Option<Duration>) -> Wait<Sent> {
        self.ask(Request::Shutdown { iod }, limit, Output::sent)
    }

    /// Takes the next connection of a listening IOD.
    #[track_caller]
    pub fn accept(&self, iod: IodId, limit: Option<Duration>) -> Wait<Accepted> {
        self.ask(Request::Accept { iod }, limit, Output::accepted)
    }

    /// Waits so long.
    #[track_caller]
    pub fn sleep(&self, time: Duration) -> Wait<()> {
        self.ask(Request::Timer, Some(time), |_| Some(()))
    }

    /// Takes the next packet of a capture.
    #[track_caller]
    pub fn pcap_read_packet(&self, iod: IodId, limit: Option<Duration>) -> Wait<Packet> {
        self.ask(Request::PcapRead { iod }, limit, Output::packet)
    }

    /// Everything that comes, read after read, each with this limit; it ends with the end of the stream, or after a
    /// failure.
    pub fn reads(&self, iod: IodId, limit: Option<Duration>) -> Repeat<Received> {
        Repeat::new(self, iod, limit, Self::read)
    }

    /// Every packet of a capture, each with this limit; it ends after a failure.
    pub fn packets(&self, iod: IodId, limit: Option<Duration>) -> Repeat<Packet> {
        Repeat::new(self, iod, limit, Self::pcap_read_packet)
    }

    /// Every connection of a listening IOD, each with this limit; it ends after a failure.
    pub fn accepts(&self, iod: IodId, limit: Option<Duration>) -> Repeat<Accepted> {
        Repeat::new(self, iod, limit, Self::accept)
    }

    /// Makes any request, and a future of what it gives; `pick` takes its kind of output.
    #[track_caller]
    pub fn ask<T>(
        &self,
        request: Request<'_>,
        limit: Option<Duration>,
        pick: fn(Output) -> Option<T>,
    ) -> Wait<T> {
        let id = self.engine_mut().submit(request, limit);
        self.shared.waits.borrow_mut().insert(id, State::Waiting(None));
        Wait { id, net: self.clone(), pick }
    }
}

impl fmt::Debug for Net {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Net").field("waits", &self.shared.waits.borrow().len()).finish_non_exhaustive()
    }
}

/// A request under way. Dropping it cancels the event silently; bytes that a read had gathered are kept for the next.
#[must_use = "dropping it cancels the request"]
pub struct Wait<T> {
    id: EventId,
    net: Net,
    pick: fn(Output) -> Option<T>,
}

impl<T> Wait<T> {
    /// The id of the event.
    #[must_use]
    pub fn id(&self) -> EventId {
        self.id
    }
}

impl<T> Future for Wait<T> {
    type Output = Result<T, Failure>;

    fn poll(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Self::Output> {
        let mut waits = self.net.shared.waits.borrow_mut();
        match waits.get_mut(&self.id) {
            Some(State::Waiting(waker)) => {
                *waker = Some(context.waker().clone());
                return Poll::Pending;
            }
            Some(State::Ended(_)) => {}
            // It has been taken: a future that has ended is not to be polled again.
            None => return Poll::Pending,
        }
        let misfit = Failure::Misuse(Misuse::StaleIod);
        Poll::Ready(match waits.remove(&self.id) {
            Some(State::Ended(outcome)) => outcome.and_then(|output| (self.pick)(output).ok_or(misfit)),
            _ => Err(misfit),
        })
    }
}

impl<T> Drop for Wait<T> {
    fn drop(&mut self) {
        let state = self.net.shared.waits.borrow_mut().remove(&self.id);
        match state {
            Some(State::Waiting(_)) => {
                self.net.engine_mut().cancel(self.id, Notice::Silent);
            }
            // Nobody else knows of the connection.
            Some(State::Ended(Ok(Output::Accepted(accepted)))) => {
                self.net.engine_mut().iod_delete(accepted.iod, Notice::Silent);
            }
            Some(State::Ended(_)) | None => {}
        }
    }
}

impl<T> fmt::Debug for Wait<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Wait").field("id", &self.id).finish_non_exhaustive()
    }
}

/// The same request again and again, as a stream of what it gives.
#[must_use = "a stream does nothing by itself"]
pub struct Repeat<T> {
    net: Net,
    iod: IodId,
    limit: Option<Duration>,
    ask: fn(&Net, IodId, Option<Duration>) -> Wait<T>,
    wait: Option<Wait<T>>,
    has_ended: bool,
}

impl<T> Repeat<T> {
    fn new(
        net: &Net,
        iod: IodId,
        limit: Option<Duration>,
        ask: fn(&Net, IodId, Option<Duration>) -> Wait<T>,
    ) -> Self {
        Self { net: net.clone(), iod, limit, ask, wait: None, has_ended: false }
    }

    /// The next one; `None` after the end. The same as `next` of the extension traits for streams.
    #[expect(clippy::should_implement_trait, reason = "the name that everybody knows it by")]
    pub fn next(&mut self) -> impl Future<Output = Option<Result<T, Failure>>> {
        std::future::poll_fn(|context| Pin::new(&mut *self).poll_next(context))
    }
}

impl<T> Stream for Repeat<T> {
    type Item = Result<T, Failure>;

    fn poll_next(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        if self.has_ended {
            return Poll::Ready(None);
        }
        let mut wait = match self.wait.take() {
            Some(wait) => wait,
            None => (self.ask)(&self.net, self.iod, self.limit),
        };
        let outcome = Pin::new(&mut wait).poll(context);
        match outcome {
            Poll::Pending => {
                self.wait = Some(wait);
                Poll::Pending
            }
            Poll::Ready(Err(Failure::Eof)) => {
                self.has_ended = true;
                Poll::Ready(None)
            }
            Poll::Ready(outcome) => {
                self.has_ended = outcome.is_err();
                Poll::Ready(Some(outcome))
            }
        }
    }
}

impl<T> fmt::Debug for Repeat<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Repeat").field("iod", &self.iod).finish_non_exhaustive()
    }
}

/// An IOD that is deleted when this is dropped.
pub struct OwnedIod {
    id: IodId,
    net: Net,
}

impl Deref for OwnedIod {
    type Target = IodId;

    fn deref(&self) -> &IodId {
        &self.id
    }
}

impl Drop for OwnedIod {
    fn drop(&mut self) {
        self.net.engine_mut().iod_delete(self.id, Notice::Silent);
    }
}

impl fmt::Debug for OwnedIod {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("OwnedIod").field(&self.id).finish()
    }
}
