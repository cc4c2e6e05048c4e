//! The TCP server that does as it is told.

use std::io::{self, ErrorKind, Read, Write};
use std::net::{Shutdown, SocketAddr, TcpListener, TcpStream};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::thread::{self, JoinHandle};
use std::time::Duration;

use rustix::event::PollFlags;
use socket2::SockRef;

use crate::LOOPBACK_V4;
use crate::worker::{Stop, Wake, Worker};

/// Connections with a thread at one time; later ones wait in the backlog. More is [`TcpEcho`](crate::TcpEcho)'s work.
const CONNECTIONS_MAX: usize = 1024;
/// How long to wait when [`CONNECTIONS_MAX`] are busy, or the process is out of descriptors or threads.
const ACCEPT_RETRY: Duration = Duration::from_millis(10);
/// A conversation needs little stack, and there may be a thousand.
const STACK_BYTES: usize = 128 * 1024;

/// What a [`TcpScript`] does next on a connection. After the last step it closes, as with [`Step::Close`].
///
/// A step that cannot be done, because the peer has closed or reset, ends the script.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Step {
    /// Reads what has arrived, so that the kernel ends with FIN instead of RST, and closes.
    Close,
    /// Sends one byte at a time, with a pause before each but the first.
    Dribble {
        /// What to send.
        bytes: Vec<u8>,
        /// The pause.
        every: Duration,
    },
    /// Shuts down the sending side: the peer reads an end of stream, and may still send.
    HalfClose,
    /// Waits for this many further bytes.
    Receive(usize),
    /// Waits for a line, to and with its `\n`.
    ReceiveLine,
    /// Waits for the peer's end of stream, reading all before it.
    ReceiveToEnd,
    /// Closes with RST: a peer that reads or writes then gets `ECONNRESET` (or, for a later write, `EPIPE`).
    Reset,
    /// Sends all of this.
    Send(Vec<u8>),
    /// Does nothing for this long.
    Sleep(Duration),
    /// Keeps the connection open without reading, until the peer closes (or half-closes) or the server is dropped.
    /// What the peer sends meanwhile fills the kernel's buffers, and then the peer's own.
    Stall,
}

/// Runs the same list of [`Step`]s on each connection, and records what it receives.
///
/// ```
/// use std::io::Read;
/// use testkit::{Step, TcpScript};
///
/// let server = TcpScript::start(vec![Step::Send(b"220 ready\r\n".to_vec()), Step::Reset])?;
/// let mut client = std::net::TcpStream::connect(server.address())?;
/// let mut banner = [0; 11];
/// client.read_exact(&mut banner)?;
/// assert_eq!(&banner, b"220 ready\r\n");
/// assert_eq!(client.read(&mut banner).unwrap_err().kind(), std::io::ErrorKind::ConnectionReset);
/// # Ok::<(), std::io::Error>(())
/// ```
#[derive(Debug)]
pub struct TcpScript {
    address: SocketAddr,
    ledger: Arc<Ledger>,
    _worker: Worker,
}

impl TcpScript {
    /// Starts a server on IPv4 loopback.
    ///
    /// # Errors
    /// When the local system has no socket, descriptor or thread to give.
    pub fn start(steps: Vec<Step>) -> io::Result<Self> {
        Self::start_at(LOOPBACK_V4, steps)
    }

    /// Starts a server at an address, in the network namespace of the calling thread.
    ///
    /// # Errors
    /// As [`Self::start`]; also when the address is taken or not of this host.
    pub fn start_at(address: SocketAddr, steps: Vec<Step>) -> io::Result<Self> {
        let listener = super::listen(address)?;
        let address = listener.local_addr()?;
        let ledger = Arc::new(Ledger::default());
        let theirs = Arc::clone(&ledger);
        let steps: Arc<[Step]> = steps.into();
        let worker = Worker::start("tcp-script", move |stop| accept(&listener, stop, &steps, &theirs))?;
        Ok(Self { address, ledger, _worker: worker })
    }

    /// Where it listens.
    #[must_use]
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// What each connection sent and the script read, in the order of acceptance.
    ///
    /// A step may read beyond what it asked for; this has it all. To see what a client sent before it closed, ask
    /// [`Self::wait_finished`] first.
    #[must_use]
    pub fn received(&self) -> Vec<Vec<u8>> {
        self.ledger.lock().received.clone()
    }

    /// Waits until this many connections have run their script to its end. `false`: not within `limit`.
    #[must_use]
    pub fn wait_finished(&self, connections: usize, limit: Duration) -> bool {
        let books = self.ledger.lock();
        let (books, _) = self
            .ledger
            .changed
            .wait_timeout_while(books, limit, |books| books.finished < connections)
            .unwrap_or_else(PoisonError::into_inner);
        books.finished >= connections
    }
}

/// What all connections of a server write down.
#[derive(Debug, Default)]
struct Ledger {
    books: Mutex<Books>,
    changed: Condvar,
}

#[derive(Debug, Default)]
struct Books {
    received: Vec<Vec<u8>>,
    finished: usize,
}

impl Ledger {
    fn lock(&self) -> MutexGuard<'_, Books> {
        self.books.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Accepts until the stop signal, then joins the conversations (which got the same signal).
fn accept(listener: &TcpListener, stop: &Arc<Stop>, steps: &Arc<[Step]>, ledger: &Arc<Ledger>) {
    let mut threads: Vec<JoinHandle<()>> = Vec::new();
    while stop.wait(listener, PollFlags::IN) == Wake::Ready {
        threads.retain(|thread| !thread.is_finished());
        let room = threads.len() < CONNECTIONS_MAX;
        match room.then(|| listener.accept()) {
            Some(Ok((stream, _))) => threads.extend(converse(stream, stop, steps, ledger)),
            Some(Err(why)) if why.kind() == ErrorKind::WouldBlock => {}
            _ => {
                stop.sleep(ACCEPT_RETRY);
            }
        }
    }
    for thread in threads {
        // A conversation has no code of the test's that could panic; its end is all that matters here.
        let _ended = thread.join();
    }
}

/// Starts a conversation on its own thread. `None`: there was no thread, and the connection is closed.
fn converse(
    stream: TcpStream,
    stop: &Arc<Stop>,
    steps: &Arc<[Step]>,
    ledger: &Arc<Ledger>,
) -> Option<JoinHandle<()>> {
    stream.set_nonblocking(true).ok()?;
    stream.set_nodelay(true).ok()?;
    let (stop, steps, ledger) = (Arc::clone(stop), Arc::clone(steps), Arc::clone(ledger));
    let index = {
        let mut books = ledger.lock();
        books.received.push(Vec::new());
        books.received.len() - 1
    };
    let run = move || {
        Conversation { stream, stop: &stop, ledger: &ledger, index, consumed: 0 }.run(&steps);
        ledger.lock().finished += 1;
        ledger.changed.notify_all();
    };
    thread::Builder::new().name("tcp-script".to_owned()).stack_size(STACK_BYTES).spawn(run).ok()
}

/// Why a script ends before its last step.
struct Ended;

/// One connection and how far it is.
struct Conversation<'a> {
    stream: TcpStream,
    stop: &'a Stop,
    ledger: &'a Ledger,
    index: usize,
    /// Bytes of the record that steps have taken.
    consumed: usize,
}

impl Conversation<'_> {
    fn run(mut self, steps: &[Step]) {
        for step in steps {
            if matches!(step, Step::Close) || self.step(step).is_err() {
                break;
            }
        }
        while self.read().is_ok_and(|count| count > 0) {}
    }

    fn step(&mut self, step: &Step) -> Result<(), Ended> {
        match step {
            Step::Dribble { bytes, every } => self.dribble(bytes, *every),
            Step::HalfClose => self.stream.shutdown(Shutdown::Write).map_err(|_| Ended),
            Step::Receive(count) => self.receive(|fresh| (fresh.len() >= *count).then_some(*count)),
            Step::ReceiveLine => {
                self.receive(|fresh| fresh.iter().position(|byte| *byte == b'\n').map(|at| at + 1))
            }
            Step::ReceiveToEnd => {
                // Asks for what never comes, so only the end of stream ends it.
                let _end = self.receive(|_| None);
                if self.stop.is_raised() { Err(Ended) } else { Ok(()) }
            }
            Step::Close => Err(Ended),
            Step::Reset => {
                // With a linger time of zero the close, which follows, sends RST: socket(7).
                let _reset = SockRef::from(&self.stream).set_linger(Some(Duration::ZERO));
                Err(Ended)
            }
            Step::Send(bytes) => self.send(bytes),
            Step::Sleep(time) => self.sleep(*time),
            Step::Stall => self.wait(PollFlags::RDHUP),
        }
    }

    fn dribble(&mut self, bytes: &[u8], every: Duration) -> Result<(), Ended> {
        for (at, byte) in bytes.iter().enumerate() {
            if at > 0 {
                self.sleep(every)?;
            }
            self.send(&[*byte])?;
        }
        Ok(())
    }

    fn send(&mut self, mut bytes: &[u8]) -> Result<(), Ended> {
        while !bytes.is_empty() {
            match self.stream.write(bytes) {
                Ok(count) => bytes = &bytes[count..],
                Err(why) if why.kind() == ErrorKind::WouldBlock => self.wait(PollFlags::OUT)?,
                Err(why) if why.kind() == ErrorKind::Interrupted => {}
                Err(_) => return Err(Ended),
            }
        }
        Ok(())
    }

    /// Reads until `enough` says how many of the bytes not yet taken by a step this one takes.
    fn receive(&mut self, enough: impl Fn(&[u8]) -> Option<usize>) -> Result<(), Ended> {
        loop {
            let taken = enough(&self.ledger.lock().received[self.index][self.consumed..]);
            if let Some(count) = taken {
                self.consumed += count;
                return Ok(());
            }
            match self.read() {
                Ok(0) => return Err(Ended),
                Ok(_) => {}
                Err(why) if why.kind() == ErrorKind::WouldBlock => self.wait(PollFlags::IN)?,
                Err(why) if why.kind() == ErrorKind::Interrupted => {}
                Err(_) => return Err(Ended),
            }
        }
    }

    /// Reads once, without waiting, into the record.
    fn read(&mut self) -> io::Result<usize> {
        let mut buffer = [0; 16 * 1024];
        let count = self.stream.read(&mut buffer)?;
        self.ledger.lock().received[self.index].extend_from_slice(&buffer[..count]);
        Ok(count)
    }

    fn wait(&self, events: PollFlags) -> Result<(), Ended> {
        if self.stop.wait(&self.stream, events) == Wake::Ready { Ok(()) } else { Err(Ended) }
    }

    fn sleep(&self, time: Duration) -> Result<(), Ended> {
        if self.stop.sleep(time) == Wake::TimedOut { Ok(()) } else { Err(Ended) }
    }
}

#[cfg(test)]
mod tests;
