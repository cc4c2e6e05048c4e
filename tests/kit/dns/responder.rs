//! A DNS server that is faster than whoever asks, or as slow, lossy and limited as a test wants it.

use std::collections::VecDeque;
use std::io;
use std::net::{SocketAddr, UdpSocket};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use fastrand::Rng;
use rustix::event::PollFlags;

use super::message::answer_in_place;
use crate::datagrams::DatagramBatch;
use crate::measure::pin_to_core;
use crate::udp;
use crate::worker::{Stop, Wake, Worker};

/// Batches taken before the stop signal and what is due are looked at again.
const BATCHES_PER_TURN_MAX: usize = 16;
/// Batches kept for reuse, 40 KB each.
const SPARE_BATCHES_MAX: usize = 64;

/// How a [`DnsResponder`] answers. The default: at once, always, without limit, on any core.
#[derive(Clone, Copy, Debug, Default)]
pub struct DnsConditions {
    delay: Duration,
    loss_percent: u8,
    seed: u64,
    answers_per_second: Option<u32>,
    core: Option<usize>,
}

impl DnsConditions {
    /// Answers so long after the query.
    #[must_use]
    pub fn with_delay(mut self, delay: Duration) -> Self {
        self.delay = delay;
        self
    }

    /// Loses so many of a hundred queries. Which ones, `seed` says, and the order in which they come.
    #[must_use]
    pub fn with_loss(mut self, percent: u8, seed: u64) -> Self {
        (self.loss_percent, self.seed) = (percent, seed);
        self
    }

    /// Gives no answer to queries above this rate, as a home router's limit does; a hundredth of a second's worth may
    /// come at once.
    #[must_use]
    pub fn with_rate(mut self, answers_per_second: u32) -> Self {
        self.answers_per_second = Some(answers_per_second);
        self
    }

    /// Runs on this CPU core.
    #[must_use]
    pub fn on_core(mut self, core: usize) -> Self {
        self.core = Some(core);
        self
    }
}

/// Queries in, answers out.
#[derive(Debug, Default)]
struct Counts {
    received: AtomicU64,
    answered: AtomicU64,
}

/// Gives every address a name, by [`answer_in_place`]; on one thread, with 64 datagrams to a system call.
///
/// ```
/// use testkit::{DnsConditions, DnsResponder, LOOPBACK_V4};
///
/// let server = DnsResponder::start_at(LOOPBACK_V4, DnsConditions::default())?;
/// let client = std::net::UdpSocket::bind("127.0.0.1:0")?;
/// let query = b"\x12\x34\x01\x00\x00\x01\x00\x00\x00\x00\x00\x00\x011\x010\x0218\x03198\x07in-addr\x04arpa\x00\x00\x0c\x00\x01";
/// client.send_to(query, server.address())?;
/// let mut buffer = [0; 512];
/// let length = client.recv(&mut buffer)?;
/// assert!(buffer[..length].ends_with(b"\x0bh1-0-18-198\x07example\x00"));
/// assert_eq!(server.received(), 1);
/// # Ok::<(), std::io::Error>(())
/// ```
#[derive(Debug)]
pub struct DnsResponder {
    address: SocketAddr,
    counts: Arc<Counts>,
    _worker: Worker,
}

impl DnsResponder {
    /// Starts a server at an address, in the network namespace of the calling thread.
    ///
    /// # Errors
    /// When the address is taken or not of this host, or the system has no socket or thread to give.
    pub fn start_at(address: SocketAddr, conditions: DnsConditions) -> io::Result<Self> {
        let socket = udp::bind(address)?;
        let address = socket.local_addr()?;
        let counts = Arc::new(Counts::default());
        let theirs = Arc::clone(&counts);
        let worker = Worker::start("dns-responder", move |stop| {
            if let Some(core) = conditions.core {
                // On another core it is only slower.
                let _pinned = pin_to_core(core);
            }
            Serving::new(&socket, stop, &theirs, conditions).run();
        })?;
        Ok(Self { address, counts, _worker: worker })
    }

    /// Where it listens.
    #[must_use]
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// Datagrams received until now.
    #[must_use]
    pub fn received(&self) -> u64 {
        self.counts.received.load(Ordering::Relaxed)
    }

    /// Answers sent until now.
    #[must_use]
    pub fn answered(&self) -> u64 {
        self.counts.answered.load(Ordering::Relaxed)
    }
}

/// The server's thread.
struct Serving<'a> {
    socket: &'a UdpSocket,
    stop: &'a Stop,
    counts: &'a Counts,
    conditions: DnsConditions,
    luck: Rng,
    allowance: Option<Allowance>,
    /// Answers by when they are due; the delay is the same for all, so these are in order.
    waiting: VecDeque<(Instant, DatagramBatch)>,
    spare: Vec<DatagramBatch>,
}

impl<'a> Serving<'a> {
    #[expect(clippy::disallowed_methods, reason = "a driver: a server lives in real time")]
    fn new(socket: &'a UdpSocket, stop: &'a Stop, counts: &'a Counts, conditions: DnsConditions) -> Self {
        Self {
            socket,
            stop,
            counts,
            conditions,
            luck: Rng::with_seed(conditions.seed),
            allowance: conditions.answers_per_second.map(|rate| Allowance::new(rate, Instant::now())),
            waiting: VecDeque::new(),
            spare: Vec::new(),
        }
    }

    #[expect(clippy::disallowed_methods, reason = "a driver: a server lives in real time")]
    fn run(mut self) {
        loop {
            let due = self.waiting.front().map(|(due, _)| *due);
            let wake = self.stop.wait_until(self.socket, PollFlags::IN, due);
            if wake == Wake::Stopped {
                return;
            }
            let now = Instant::now();
            while self.waiting.front().is_some_and(|(due, _)| *due <= now) {
                if let Some((_, batch)) = self.waiting.pop_front() {
                    self.send(batch);
                }
            }
            if wake == Wake::Ready {
                self.take(now);
            }
        }
    }

    /// Takes the queries there are.
    fn take(&mut self, now: Instant) {
        for _ in 0..BATCHES_PER_TURN_MAX {
            let mut batch = self.spare.pop().unwrap_or_default();
            // An error is an empty queue, or a past answer's fault: the next wait tells which.
            let Ok(count) = batch.receive(self.socket) else {
                self.spare.push(batch);
                return;
            };
            self.counts.received.fetch_add(count as u64, Ordering::Relaxed);
            let (luck, loss) = (&mut self.luck, self.conditions.loss_percent);
            let allowance = &mut self.allowance;
            batch.rewrite(|slot, length| {
                let is_lost = loss > 0 && luck.u8(..100) < loss;
                let is_allowed = allowance.as_mut().is_none_or(|allowance| allowance.take(now));
                if is_lost || !is_allowed { None } else { answer_in_place(slot, length) }
            });
            if self.conditions.delay.is_zero() {
                self.send(batch);
            } else {
                self.waiting.push_back((now + self.conditions.delay, batch));
            }
        }
    }

    /// Sends answers, waiting while the send buffer is full.
    fn send(&mut self, batch: DatagramBatch) {
        let mut sent = 0;
        while sent < batch.len() {
            match batch.send(self.socket, sent) {
                Ok(count) => {
                    sent += count;
                    self.counts.answered.fetch_add(count as u64, Ordering::Relaxed);
                }
                Err(why) if why.kind() == io::ErrorKind::WouldBlock => {
                    if self.stop.wait(self.socket, PollFlags::OUT) != Wake::Ready {
                        break;
                    }
                }
                // A peer that is gone already: the others still want theirs.
                Err(_) => sent += 1,
            }
        }
        if self.spare.len() < SPARE_BATCHES_MAX {
            self.spare.push(batch);
        }
    }
}

/// A token bucket.
struct Allowance {
    per_second: f64,
    most: f64,
    left: f64,
    since: Instant,
}

impl Allowance {
    fn new(per_second: u32, now: Instant) -> Self {
        let per_second = f64::from(per_second);
        let most = (per_second / 100.0).max(1.0);
        Self { per_second, most, left: most, since: now }
    }

    fn take(&mut self, now: Instant) -> bool {
        let passed = now.saturating_duration_since(self.since).as_secs_f64();
        self.left = (self.left + passed * self.per_second).min(self.most);
        self.since = now;
        let is_left = self.left >= 1.0;
        self.left -= f64::from(u8::from(is_left));
        is_left
    }
}

#[cfg(test)]
#[expect(clippy::disallowed_methods, reason = "the delay of a real server")]
mod tests {
    use super::*;
    use crate::LOOPBACK_V4;

    const QUERY: &[u8] = b"\x12\x34\x01\x00\x00\x01\x00\x00\x00\x00\x00\x00\
        \x011\x010\x0218\x03198\x07in-addr\x04arpa\x00\x00\x0c\x00\x01";

    /// Asks so often, all at once, and counts the answers that come until none has come for a while.
    fn answers(conditions: DnsConditions, count: usize) -> (usize, DnsResponder) {
        let server = DnsResponder::start_at(LOOPBACK_V4, conditions).unwrap();
        let client = udp::bind(LOOPBACK_V4).unwrap();
        client.connect(server.address()).unwrap();
        client.set_nonblocking(false).unwrap();
        for _ in 0..count {
            client.send(QUERY).unwrap();
        }
        client.set_read_timeout(Some(Duration::from_millis(300))).unwrap();
        let mut got = 0;
        while client.recv(&mut [0; 512]).is_ok() {
            got += 1;
        }
        (got, server)
    }

    #[test]
    fn a_burst_is_answered_completely() {
        let (got, server) = answers(DnsConditions::default(), 1_000);
        assert_eq!((got, server.received(), server.answered()), (1_000, 1_000, 1_000));
    }

    #[test]
    fn the_same_seed_loses_as_many_again() {
        let conditions = DnsConditions::default().with_loss(10, 7);
        let (first, _) = answers(conditions, 1_000);
        assert!((850..=950).contains(&first), "{first}");
        assert_eq!(answers(conditions, 1_000).0, first);
    }

    #[test]
    fn no_answer_comes_before_its_delay() {
        let conditions = DnsConditions::default().with_delay(Duration::from_millis(50));
        let before = Instant::now();
        let (got, _) = answers(conditions, 100);
        assert_eq!(got, 100);
        assert!(before.elapsed() >= Duration::from_millis(50));
    }

    #[test]
    fn above_its_rate_it_is_silent() {
        let now = Instant::now();
        let mut allowance = Allowance::new(1_000, now);
        let mut taken = |at| (0..100).filter(|_| allowance.take(at)).count();
        assert_eq!(taken(now), 10);
        assert_eq!(taken(now + Duration::from_millis(5)), 5);
        assert_eq!(taken(now + Duration::from_secs(60)), 10);
        let (got, server) = answers(DnsConditions::default().with_rate(1), 100);
        // One a second and a few seconds at most, on a machine as busy as it likes.
        assert!((1..50).contains(&got) && server.received() == 100, "{got}");
    }
}
