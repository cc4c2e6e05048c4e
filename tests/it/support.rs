//! What the tests share: a state that writes down what its handlers saw, and a trace that can be read back.

use std::cell::RefCell;
use std::io::{self, Write};
use std::net::SocketAddr;
use std::rc::Rc;
use std::time::Duration;

use nsock::trace::{Classic, Level};
use nsock::{Alarm, Connected, End, Event, EventId, Failure, Io, IodId, Pool, Received, Sent, Stop};

/// More than anything here takes.
pub(crate) const LIMIT: Option<Duration> = Some(Duration::from_secs(5));

pub(crate) fn ms(milliseconds: u64) -> Duration {
    Duration::from_millis(milliseconds)
}

/// What the handlers saw, in the order in which they ran.
#[derive(Debug, Default)]
pub(crate) struct Seen {
    pub(crate) log: Vec<(EventId, Saw)>,
}

/// What one handler saw.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Saw {
    Connected(SocketAddr),
    Got { bytes: Vec<u8>, end: End, from: Option<SocketAddr> },
    Sent(usize),
    Alarm,
    Failed(Failure),
}

impl Seen {
    pub(crate) fn connected(&mut self, _: &mut Io<Self>, ev: Event<Connected>) {
        self.saw(ev.id, ev.outcome.map(|connected| Saw::Connected(connected.peer)));
    }

    pub(crate) fn received(&mut self, _: &mut Io<Self>, ev: Event<Received>) {
        let saw = |got: Received| Saw::Got { bytes: got.bytes, end: got.end, from: got.from };
        self.saw(ev.id, ev.outcome.map(saw));
    }

    pub(crate) fn sent(&mut self, _: &mut Io<Self>, ev: Event<Sent>) {
        self.saw(ev.id, ev.outcome.map(|sent| Saw::Sent(sent.bytes)));
    }

    pub(crate) fn alarm(&mut self, _: &mut Io<Self>, ev: Alarm) {
        self.saw(ev.id, ev.outcome.map(|()| Saw::Alarm));
    }

    fn saw(&mut self, id: EventId, outcome: Result<Saw, Failure>) {
        self.log.push((id, outcome.unwrap_or_else(Saw::Failed)));
    }

    /// What was seen since the last call.
    pub(crate) fn take(&mut self) -> Vec<Saw> {
        self.log.drain(..).map(|(_, saw)| saw).collect()
    }

    /// What the handler of one event saw, if it has run.
    pub(crate) fn of(&self, id: EventId) -> Option<&Saw> {
        self.log.iter().find(|(seen, _)| *seen == id).map(|(_, saw)| saw)
    }
}

/// A successful read of a stream.
pub(crate) fn got(bytes: impl AsRef<[u8]>, end: End) -> Saw {
    Saw::Got { bytes: bytes.as_ref().to_vec(), end, from: None }
}

/// A datagram that was received.
pub(crate) fn datagram(bytes: impl AsRef<[u8]>, from: SocketAddr) -> Saw {
    Saw::Got { bytes: bytes.as_ref().to_vec(), end: End::Enough, from: Some(from) }
}

/// Runs a pool until nothing is pending, and gives what was seen.
pub(crate) fn finish(pool: &mut Pool<Seen>, seen: &mut Seen) -> Vec<Saw> {
    assert_eq!(pool.run(seen, LIMIT).unwrap(), Stop::NoEvents, "{}", pool.report());
    seen.take()
}

/// Runs a pool for so long.
pub(crate) fn run_for(pool: &mut Pool<Seen>, seen: &mut Seen, time: Duration) -> Vec<Saw> {
    pool.run(seen, Some(time)).unwrap();
    seen.take()
}

/// Makes an IOD and connects it by TCP.
pub(crate) fn connect(pool: &mut Pool<Seen>, seen: &mut Seen, to: SocketAddr) -> IodId {
    let iod = pool.iod_new();
    pool.connect_tcp(iod, to, LIMIT, Seen::connected);
    assert_eq!(finish(pool, seen), [Saw::Connected(to)]);
    iod
}

/// Makes an IOD with this UDP peer.
pub(crate) fn connect_udp(pool: &mut Pool<Seen>, seen: &mut Seen, to: SocketAddr) -> IodId {
    let iod = pool.iod_new();
    pool.connect_udp(iod, to, Seen::connected);
    assert_eq!(finish(pool, seen), [Saw::Connected(to)]);
    iod
}

/// One read, to its end.
pub(crate) fn read(pool: &mut Pool<Seen>, seen: &mut Seen, iod: IodId) -> Saw {
    pool.read(iod, LIMIT, Seen::received);
    finish(pool, seen).remove(0)
}

/// Text that a sink writes and the test reads.
#[derive(Debug, Clone, Default)]
pub(crate) struct Transcript(Rc<RefCell<Vec<u8>>>);

impl Transcript {
    /// Traces a pool in the classic text.
    pub(crate) fn of<S: 'static>(pool: &mut Pool<S>, level: Level) -> Self {
        let transcript = Self::default();
        let start = pool.now();
        pool.trace_to(level, Classic::new(transcript.clone(), start, level));
        transcript
    }

    pub(crate) fn text(&self) -> String {
        String::from_utf8(self.0.borrow().clone()).unwrap()
    }

    /// The lines, without the prefix that has level and time.
    pub(crate) fn messages(&self) -> Vec<String> {
        let message = |line: &str| match line.split_once("s] ") {
            Some((prefix, message)) if prefix.starts_with("NSOCK ") => message.to_owned(),
            _ => panic!("not a trace line: {line}"),
        };
        self.text().lines().map(message).collect()
    }
}

impl Write for Transcript {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.0.borrow_mut().write(bytes)
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}
