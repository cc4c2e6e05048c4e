//! The original's own test cases (spec nsock 8), by their numbers. Its lists and heaps, 7 to 9, are `queues` of the model
//! test and the properties of `nsock/src/deadlines.rs`; 10, the grammar of proxies, is in `nsock/src/proxy/spec/tests.rs`.

use std::time::Duration;

use nsock::trace::{Level, Record};
use nsock::{Alarm, EventId, Failure, Io, Pool, Stop};
use testkit::{TcpEcho, TlsServer, TlsSetup, UdpEcho, closed_port};

use crate::support::{LIMIT, Saw, Seen, finish, ms};

#[test]
fn suite_01_the_state_is_the_one_that_was_lent() {
    let mut pool = Pool::<Vec<u32>>::new().unwrap();
    for number in 0..3 {
        pool.timer_create(Duration::ZERO, move |state: &mut Vec<u32>, _, _| state.push(number));
    }
    let (mut one, mut other) = (Vec::new(), Vec::new());
    pool.run(&mut one, LIMIT).unwrap();
    pool.timer_create(Duration::ZERO, |state: &mut Vec<u32>, _, _| state.push(7));
    pool.run(&mut other, LIMIT).unwrap();
    assert_eq!((one, other), (vec![0, 1, 2], vec![7]));
}

struct Torture {
    dice: fastrand::Rng,
    made: Vec<EventId>,
    ended: Vec<EventId>,
}

impl Torture {
    fn make(&mut self, io: &mut Io<Self>) {
        let after = ms(self.dice.u64(0..300));
        let id = io.timer_create(after, Self::fired);
        self.made.push(id);
    }

    fn fired(&mut self, io: &mut Io<Self>, alarm: Alarm) {
        self.ended.push(alarm.id);
        match self.dice.u8(0..3) {
            0 if self.made.len() < 2_000 => (0..2).for_each(|_| self.make(io)),
            1 => {
                let victim = self.made[self.dice.usize(0..self.made.len())];
                let known = !self.ended.contains(&victim);
                let found = if self.dice.bool() {
                    io.event_cancel(victim)
                } else {
                    let found = io.forget(victim);
                    if found {
                        self.ended.push(victim);
                    }
                    found
                };
                // An id that has ended is never found.
                assert!(known || !found);
            }
            _ if self.made.len() < 2_000 => self.make(io),
            _ => {}
        }
    }
}

#[test]
fn suite_02_timers_that_make_and_cancel_timers_at_random() {
    let mut pool = Pool::<Torture>::new().unwrap();
    let mut torture = Torture { dice: fastrand::Rng::with_seed(2), made: Vec::new(), ended: Vec::new() };
    for after in [180, 80, 130, 0, 10] {
        let id = pool.timer_create(ms(after), Torture::fired);
        torture.made.push(id);
    }
    for _ in 0..5 {
        let stop = pool.run(&mut torture, Some(ms(150))).unwrap();
        assert!(matches!(stop, Stop::NoEvents | Stop::TimedOut), "{stop:?}");
    }
    assert_eq!(
        torture.made.len() - torture.ended.len(),
        pool.pending(),
        "each has ended once, or is pending"
    );
    let mut once = torture.ended.clone();
    once.sort_unstable_by_key(|id| id.number());
    once.dedup();
    assert_eq!(once.len(), torture.ended.len());
}

fn records_at(level: Level) -> usize {
    let mut pool = Pool::<Seen>::new().unwrap();
    let count = std::rc::Rc::new(std::cell::Cell::new(0));
    let counted = std::rc::Rc::clone(&count);
    pool.trace_to(level, move |record: &Record<'_>| {
        assert!(record.level() <= level, "{record:?}");
        counted.set(counted.get() + 1);
    });
    let timer = pool.timer_create(ms(200), Seen::alarm);
    pool.forget(timer);
    count.get()
}

#[test]
fn suite_03_at_each_level_of_detail_something_is_traced() {
    for level in [Level::Full, Level::Debug, Level::Info] {
        assert!(records_at(level) > 0, "{level:?}");
    }
}

#[test]
fn suite_04_at_the_error_level_nothing_is_traced_where_nothing_is_wrong() {
    assert_eq!(records_at(Level::Error), 0);
}

#[test]
fn suite_05_a_tcp_connection() {
    let server = TcpEcho::start().unwrap();
    let (mut pool, mut seen) = (Pool::new().unwrap(), Seen::default());
    let iod = pool.iod_new();
    pool.connect_tcp(iod, server.address(), LIMIT, Seen::connected);
    assert_eq!(finish(&mut pool, &mut seen), [Saw::Connected(server.address())]);
}

#[test]
fn suite_06_a_tcp_connection_that_fails() {
    // An address of no length cannot be written here; one that refuses is as much of a failure.
    let closed = closed_port().unwrap();
    let (mut pool, mut seen) = (Pool::new().unwrap(), Seen::default());
    let iod = pool.iod_new();
    pool.connect_tcp(iod, closed.address(), LIMIT, Seen::connected);
    let seen = finish(&mut pool, &mut seen);
    assert!(matches!(seen[..], [Saw::Failed(Failure::Io { errno: libc::ECONNREFUSED, .. })]), "{seen:?}");
}

/// Schedules, cancels at once, and gives what was seen; the IOD is deleted while nothing has run.
fn cancelled_at_once(ask: impl FnOnce(&mut Pool<Seen>) -> (nsock::IodId, EventId)) -> Vec<Saw> {
    let (mut pool, mut seen) = (Pool::<Seen>::new().unwrap(), Seen::default());
    let (iod, event) = ask(&mut pool);
    assert!(pool.event_cancel(event));
    assert!(seen.log.is_empty(), "no handler runs inside a request");
    let seen = finish(&mut pool, &mut seen);
    assert!(pool.iod_delete(iod));
    seen
}

#[test]
fn suite_11_a_tcp_connect_cancelled_at_once() {
    let server = TcpEcho::start().unwrap();
    let seen = cancelled_at_once(|pool| {
        let iod = pool.iod_new();
        (iod, pool.connect_tcp(iod, server.address(), LIMIT, Seen::connected))
    });
    assert_eq!(seen, [Saw::Failed(Failure::Cancelled)]);
}

#[test]
fn suite_12_a_udp_connect_cancelled_at_once() {
    let server = UdpEcho::start().unwrap();
    let seen = cancelled_at_once(|pool| {
        let iod = pool.iod_new();
        (iod, pool.connect_udp(iod, server.address(), Seen::connected))
    });
    assert_eq!(seen, [Saw::Failed(Failure::Cancelled)]);
}

#[test]
fn suite_13_a_tls_connect_cancelled_at_once() {
    let server = TlsServer::echo(TlsSetup::new().unwrap()).unwrap();
    let seen = cancelled_at_once(|pool| {
        let iod = pool.iod_new();
        (iod, pool.connect_ssl(iod, server.address(), LIMIT, Seen::connected))
    });
    assert_eq!(seen, [Saw::Failed(Failure::Cancelled)]);
}
