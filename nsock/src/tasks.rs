//! Probes as straight-line code: futures over the same engine, for whoever prefers `await` to handlers.
//!
//! With the feature `async`. [`Tasks`] is an executor for one thread and an engine in one; its requests are those of
//! [`Io`](crate::Io), and each gives a future. A future that is dropped cancels its event, an [`OwnedIod`] that is
//! dropped deletes its IOD; so a time limit around anything, or a task that is given up, leaves nothing behind.
//!
//! ```
//! use std::io::Write;
//! use std::time::Duration;
//! use nsock::tasks::Tasks;
//!
//! let server = std::net::TcpListener::bind("127.0.0.1:0")?;
//! let address = server.local_addr()?;
//! std::thread::spawn(move || server.accept().and_then(|(mut peer, _)| peer.write_all(b"220 ready\r\n")));
//!
//! let limit = Some(Duration::from_secs(5));
//! let mut tasks = Tasks::new()?;
//! let net = tasks.net();
//! let greeting = tasks.run(async move {
//!     let iod = net.iod();
//!     net.connect_tcp(*iod, address, limit).await?;
//!     net.readlines(*iod, 1, limit).await
//! })??;
//! assert_eq!(greeting.bytes, b"220 ready\r\n");
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```

mod net;
mod wake;

use std::cell::RefCell;
use std::collections::BTreeMap;
use std::fmt;
use std::pin::Pin;
use std::rc::Rc;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Duration;

use crate::engine::Engine;
use crate::error::Error;

use net::Shared;
pub use net::{Net, OwnedIod, Repeat, Wait};
use wake::{Ready, TaskWaker};

type Boxed = Pin<Box<dyn Future<Output = ()>>>;

/// The number of the future that [`Tasks::run`] was given.
const MAIN: u64 = 0;

/// Runs futures on an engine, on one thread.
///
/// Tasks are polled in the order in which what they wait for comes. What a task asks for belongs to the event that it
/// was woken by: it inherits the event's scope, and traces name the event as the parent.
pub struct Tasks {
    net: Net,
    tasks: BTreeMap<u64, Boxed>,
    ready: Arc<Ready>,
    made: u64,
}

impl Tasks {
    /// Makes an executor with an engine of its own.
    ///
    /// # Errors
    /// [`Error::Create`] if the system has no descriptors or memory left for it.
    pub fn new() -> Result<Self, Error> {
        Ok(Self::of(Engine::new()?))
    }

    /// Makes an executor of an engine that has been set up already.
    #[must_use]
    pub fn of(engine: Engine) -> Self {
        let ready = Arc::new(Ready::new(engine.waker()));
        Self { net: Net::new(Shared::new(engine)), tasks: BTreeMap::new(), ready, made: MAIN }
    }

    /// A handle for making requests and tasks, as many as are wanted.
    #[must_use]
    pub fn net(&self) -> Net {
        self.net.clone()
    }

    /// Runs a future to its end, and beside it all tasks there are. Tasks that have not ended by then go on in the next
    /// run, and end with `self`.
    ///
    /// # Errors
    /// [`Error::Wait`]; the future is lost by it.
    pub fn run<T>(&mut self, future: impl Future<Output = T>) -> Result<T, Error> {
        let mut future = std::pin::pin!(future);
        self.ready.push(MAIN);
        loop {
            // Those that are ready now, and not those that get ready meanwhile: a task that is always ready starves nobody.
            for _ in 0..self.ready.len() {
                if let Some(number) = self.ready.pop()
                    && let Some(result) = self.poll(number, future.as_mut())
                {
                    return Ok(result);
                }
            }
            // The engine is not borrowed while a task runs: requests are made from there.
            let done = self.net.engine(Engine::next_done);
            match done {
                Some(done) => self.net.settle(done),
                None => {
                    let limit = if self.ready.len() > 0 { Some(Duration::ZERO) } else { None };
                    self.net.engine(|engine| engine.turn(limit))?;
                }
            }
        }
    }

    /// Polls the future of [`run`](Self::run), or a task; the result if it was the former, and has ended.
    fn poll<T>(&mut self, number: u64, main: Pin<&mut impl Future<Output = T>>) -> Option<T> {
        let waker = TaskWaker::of(number, &self.ready);
        let mut context = Context::from_waker(&waker);
        let result = match number {
            MAIN => main.poll(&mut context),
            task => {
                // Taken out, so that a task that panics is gone.
                if let Some(mut task_future) = self.tasks.remove(&task)
                    && task_future.as_mut().poll(&mut context).is_pending()
                {
                    self.tasks.insert(task, task_future);
                }
                Poll::Pending
            }
        };
        for spawned in self.net.take_spawned() {
            self.made += 1;
            self.tasks.insert(self.made, spawned);
            self.ready.push(self.made);
        }
        match result {
            Poll::Ready(result) => Some(result),
            Poll::Pending => None,
        }
    }
}

impl Drop for Tasks {
    fn drop(&mut self) {
        // They hold handles; what they wait for is cancelled while there is an engine to cancel it.
        self.tasks.clear();
        drop(self.net.take_spawned());
    }
}

impl fmt::Debug for Tasks {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Tasks").field("tasks", &self.tasks.len()).field("net", &self.net).finish()
    }
}

/// A task that was spawned, as a future of its result. Dropping it leaves the task to itself.
pub struct Join<T>(Rc<RefCell<Joined<T>>>);

struct Joined<T> {
    result: Option<T>,
    waker: Option<std::task::Waker>,
}

impl<T> Join<T> {
    fn new() -> (Self, Rc<RefCell<Joined<T>>>) {
        let joined = Rc::new(RefCell::new(Joined { result: None, waker: None }));
        (Self(Rc::clone(&joined)), joined)
    }
}

impl<T> Joined<T> {
    fn end(joined: &RefCell<Self>, result: T) {
        let mut joined = joined.borrow_mut();
        joined.result = Some(result);
        if let Some(waker) = joined.waker.take() {
            waker.wake();
        }
    }
}

impl<T> Future for Join<T> {
    type Output = T;

    /// A task that has panicked never ends.
    fn poll(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<T> {
        let mut joined = self.0.borrow_mut();
        match joined.result.take() {
            Some(result) => Poll::Ready(result),
            None => {
                joined.waker = Some(context.waker().clone());
                Poll::Pending
            }
        }
    }
}

impl<T> fmt::Debug for Join<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Join").finish_non_exhaustive()
    }
}
