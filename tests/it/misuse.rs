//! What handlers and callers may do at odd moments: to their own event and IOD, to others, to what is gone.

use std::cell::Cell;
use std::fs::OpenOptions;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::rc::Rc;
use std::thread;

use nsock::trace::{Level, Record, Step};
use nsock::{Alarm, End, Event, EventId, Failure, Io, IodId, Misuse, Pool, Received, Sent, Stop};
use testkit::{TcpEcho, UdpEcho};

use crate::support::{LIMIT, Saw, Seen, connect, connect_udp, finish, got, ms, read, run_for};

const CANCELLED: Saw = Saw::Failed(Failure::Cancelled);

/// The three ways to delete an IOD.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Way {
    Silently,
    WithNotice,
    OnlyIfIdle,
}

const WAYS: [Way; 3] = [Way::Silently, Way::WithNotice, Way::OnlyIfIdle];

impl Way {
    /// Deletes, and tells whether the IOD was there and deleted.
    fn delete(self, io: &mut Io<Seen>, iod: IodId) -> bool {
        match self {
            Self::Silently => io.iod_delete(iod),
            Self::WithNotice => io.iod_delete_notify(iod),
            Self::OnlyIfIdle => io.iod_delete_idle(iod).unwrap_or(false),
        }
    }
}

fn pool() -> (TcpEcho, Pool<Seen>, Seen) {
    (TcpEcho::start().unwrap(), Pool::new().unwrap(), Seen::default())
}

#[test]
fn a_handler_that_panics_ends_its_event_and_no_other() {
    let (server, mut pool, mut seen) = pool();
    let iod = connect(&mut pool, &mut seen, server.address());
    pool.write(iod, b"x", LIMIT, |_: &mut Seen, _, _: Event<Sent>| panic!("on purpose"));
    let after = [pool.write(iod, b"y", LIMIT, Seen::sent), pool.timer_create(ms(0), Seen::alarm)];
    let panic = catch_unwind(AssertUnwindSafe(|| pool.run(&mut seen, LIMIT)));
    assert_eq!(panic.unwrap_err().downcast_ref(), Some(&"on purpose"));
    assert_eq!((pool.pending(), seen.log.len()), (2, 0));
    assert_eq!(pool.run(&mut seen, LIMIT).unwrap(), Stop::NoEvents);
    assert_eq!(after.map(|id| seen.of(id).cloned()), [Some(Saw::Sent(1)), Some(Saw::Alarm)]);
    seen.take();
    pool.readbytes(iod, 2, LIMIT, Seen::received);
    assert_eq!(finish(&mut pool, &mut seen), [got("xy", End::Enough)]);
}

#[test]
fn after_a_handler_panicked_time_goes_on() {
    let (_server, mut pool, mut seen) = pool();
    let label = pool.scope("other");
    pool.with_scope(label, |io| {
        io.timer_create(ms(0), |_: &mut Seen, _, _: Alarm| panic!("on purpose"));
    });
    assert!(catch_unwind(AssertUnwindSafe(|| pool.run(&mut seen, LIMIT))).is_err());
    let then = pool.now();
    thread::sleep(ms(30));
    assert!(pool.now() - then >= ms(30), "outside the loop the clock is read anew");
    let start = pool.now();
    let timer = pool.timer_create(ms(25), Seen::alarm);
    assert_eq!(timer.serial(), 1, "what is asked for now is in the scope outside the handler");
    finish(&mut pool, &mut seen);
    assert!(pool.now() - start >= ms(25));
    pool.timer_create(ms(1000), Seen::alarm);
    assert_eq!(pool.run(&mut seen, Some(ms(20))).unwrap(), Stop::TimedOut);
}

#[test]
fn a_handler_deletes_its_own_iod_in_each_way() {
    for way in WAYS {
        let (server, mut pool, mut seen) = pool();
        let iod = connect(&mut pool, &mut seen, server.address());
        pool.write(iod, b"x", LIMIT, Seen::sent);
        pool.read(iod, LIMIT, move |seen: &mut Seen, io, ev: Event<Received>| {
            assert!(way.delete(io, ev.iod), "{way:?}");
            assert!(!way.delete(io, ev.iod), "{way:?}");
            assert_eq!(io.iod_fd(ev.iod).map(|_| ()), None);
            seen.received(io, ev);
        });
        assert_eq!(finish(&mut pool, &mut seen), [Saw::Sent(1), got("x", End::Enough)], "{way:?}");
        assert!(pool.report().is_empty());
    }
}

#[test]
fn a_handler_deletes_its_own_iod_with_more_pending_on_it() {
    for (way, told) in [(Way::Silently, vec![]), (Way::WithNotice, vec![CANCELLED; 2])] {
        let (server, mut pool, mut seen) = pool();
        let iod = connect(&mut pool, &mut seen, server.address());
        pool.write(iod, b"x", LIMIT, move |_: &mut Seen, io, ev: Event<Sent>| {
            assert_eq!(io.iod_delete_idle(ev.iod), Err(2));
            assert!(way.delete(io, ev.iod));
        });
        pool.read(iod, None, Seen::received);
        pool.read(iod, None, Seen::received);
        assert_eq!(finish(&mut pool, &mut seen), told, "{way:?}");
    }
}

#[test]
fn a_handler_deletes_another_iod_whose_events_wait_or_have_finished() {
    for way in [Way::Silently, Way::WithNotice] {
        let (server, mut pool, mut seen) = pool();
        let first = connect(&mut pool, &mut seen, server.address());
        let second = connect(&mut pool, &mut seen, server.address());
        pool.write(first, b"x", LIMIT, move |_: &mut Seen, io, _: Event<Sent>| {
            assert_eq!(io.iod_delete_idle(second), Err(2));
            assert!(way.delete(io, second));
        });
        // Both writes have finished when the first handler runs; the read waits.
        pool.write(second, b"y", LIMIT, Seen::sent);
        pool.read(second, None, Seen::received);
        let told = if way == Way::WithNotice { vec![CANCELLED; 2] } else { vec![] };
        assert_eq!(finish(&mut pool, &mut seen), told, "{way:?}");
        assert_eq!(read(&mut pool, &mut seen, first), got("x", End::Enough));
        assert_eq!(pool.report().iods.len(), 1);
    }
}

#[test]
fn an_iod_with_something_pending_is_not_deleted_as_idle() {
    let (server, mut pool, mut seen) = pool();
    let iod = connect(&mut pool, &mut seen, server.address());
    let reading = pool.read(iod, None, Seen::received);
    assert_eq!(pool.iod_delete_idle(iod), Err(1));
    assert!(pool.is_pending(reading) && pool.forget(reading));
    assert_eq!(pool.iod_delete_idle(iod), Ok(true));
    assert_eq!(pool.iod_delete_idle(iod), Ok(false));
}

#[test]
fn an_event_whose_handler_runs_cannot_be_cancelled() {
    let (_server, mut pool, mut seen) = pool();
    pool.timer_create(ms(0), |seen: &mut Seen, io, ev: Alarm| {
        assert!(!io.event_cancel(ev.id));
        assert!(!io.forget(ev.id));
        assert!(!io.is_pending(ev.id));
        assert_eq!(io.pending(), 0);
        seen.alarm(io, ev);
    });
    assert_eq!(finish(&mut pool, &mut seen), [Saw::Alarm]);
}

#[test]
fn a_finished_event_that_is_cancelled_before_its_handler_sees_only_that() {
    for forget in [false, true] {
        let echo = UdpEcho::start().unwrap();
        let (mut pool, mut seen) = (Pool::new().unwrap(), Seen::default());
        let iods = [0, 1].map(|_| connect_udp(&mut pool, &mut seen, echo.address()));
        for iod in iods {
            pool.write(iod, b"kept", LIMIT, Seen::sent);
        }
        finish(&mut pool, &mut seen);
        thread::sleep(ms(30));
        // Both datagrams are there, so both reads finish in one turn.
        let cancel = |other: EventId| {
            move |_: &mut Seen, io: &mut Io<Seen>, _: Event<Received>| {
                assert!(if forget { io.forget(other) } else { io.event_cancel(other) });
                assert!(!io.event_cancel(other), "a second time");
            }
        };
        let second = pool.read(iods[1], LIMIT, Seen::received);
        pool.read(iods[0], LIMIT, cancel(second));
        let saw = finish(&mut pool, &mut seen);
        assert_eq!(saw, if forget { vec![] } else { vec![CANCELLED] });
        let kept = read(&mut pool, &mut seen, iods[1]);
        assert_eq!(kept, crate::support::datagram("kept", echo.address()));
    }
}

#[test]
fn cancelling_the_first_of_two_reads_gives_its_bytes_to_the_second() {
    let (server, mut pool, mut seen) = pool();
    let iod = connect(&mut pool, &mut seen, server.address());
    pool.write(iod, b"no line yet", LIMIT, Seen::sent);
    finish(&mut pool, &mut seen);
    let first = pool.readlines(iod, 1, None, Seen::received);
    let second = pool.read(iod, None, Seen::received);
    run_for(&mut pool, &mut seen, ms(50));
    assert!(pool.is_pending(second), "it waits behind the first");
    assert!(pool.event_cancel(first));
    pool.run(&mut seen, LIMIT).unwrap();
    assert_eq!(seen.of(first), Some(&CANCELLED));
    assert_eq!(seen.of(second), Some(&got("no line yet", End::Enough)));
}

#[test]
fn a_cancelled_connect_ends_what_waits_behind_it() {
    let silent = testkit::full_backlog().unwrap();
    let (mut pool, mut seen) = (Pool::new().unwrap(), Seen::default());
    let iod = pool.iod_new();
    let connecting = pool.connect_tcp(iod, silent.address(), None, Seen::connected);
    let behind = pool.write(iod, b"x", None, Seen::sent);
    run_for(&mut pool, &mut seen, ms(10));
    assert!(pool.event_cancel(connecting));
    pool.run(&mut seen, LIMIT).unwrap();
    assert_eq!(seen.of(connecting), Some(&CANCELLED));
    let Some(Saw::Failed(Failure::Io { errno: libc::ECANCELED, .. })) = seen.of(behind) else {
        panic!("{seen:?}")
    };
}

#[test]
fn scheduled_and_cancelled_at_once_in_every_kind() {
    let (server, mut pool, mut seen) = pool();
    let (tcp, udp) = (pool.iod_new(), pool.iod_new());
    let ids = [
        pool.connect_tcp(tcp, server.address(), LIMIT, Seen::connected),
        pool.connect_udp(udp, server.address(), Seen::connected),
        pool.read(udp, LIMIT, Seen::received),
        pool.timer_create(ms(0), Seen::alarm),
        pool.wake_wait(LIMIT, Seen::alarm),
    ];
    for id in ids {
        assert!(pool.event_cancel(id));
        assert!(!pool.event_cancel(id));
    }
    assert!(seen.log.is_empty(), "no handler runs inside a cancel");
    assert_eq!(finish(&mut pool, &mut seen), vec![CANCELLED; 5]);
}

#[test]
fn requests_on_a_deleted_or_unconnected_iod_fail_from_the_loop() {
    for (misuse, deleted) in [(Misuse::StaleIod, true), (Misuse::NotConnected, false)] {
        let (server, mut pool, mut seen) = pool();
        let iod = pool.iod_new();
        if deleted {
            pool.iod_delete(iod);
            pool.connect_tcp(iod, server.address(), LIMIT, Seen::connected);
            pool.connect_udp(iod, server.address(), Seen::connected);
            assert_eq!(pool.setup_udp(iod, testkit::LOOPBACK_V4), Err(Failure::Misuse(misuse)));
            assert_eq!((pool.iod_peer(iod), pool.iod_bytes(iod)), (None, None));
        }
        pool.read(iod, LIMIT, Seen::received);
        pool.write(iod, b"x", LIMIT, Seen::sent);
        pool.sendto(iod, server.address(), b"x", LIMIT, Seen::sent);
        assert!(seen.log.is_empty());
        let count = pool.pending();
        assert_eq!(finish(&mut pool, &mut seen), vec![Saw::Failed(Failure::Misuse(misuse)); count]);
        assert_eq!(count, if deleted { 5 } else { 3 });
    }
}

#[test]
fn a_datagram_to_an_address_needs_a_datagram_socket() {
    let (server, mut pool, mut seen) = pool();
    let iod = connect(&mut pool, &mut seen, server.address());
    pool.sendto(iod, server.address(), b"x", LIMIT, Seen::sent);
    assert_eq!(finish(&mut pool, &mut seen), [Saw::Failed(Failure::Misuse(Misuse::NotDatagram))]);
}

#[test]
fn a_timer_that_always_rearms_leaves_room_for_sockets_limits_and_quitting() {
    fn again(_: &mut Seen, io: &mut Io<Seen>, _: Alarm) {
        io.timer_create(ms(0), again);
    }
    let (server, mut pool, mut seen) = pool();
    pool.timer_create(ms(0), again);
    let iod = pool.iod_new();
    pool.connect_tcp(iod, server.address(), LIMIT, |_: &mut Seen, io, ev| {
        io.write(ev.iod, b"x", LIMIT, Seen::sent);
        io.read(ev.iod, LIMIT, |seen: &mut Seen, io, ev| {
            seen.received(io, ev);
            io.loop_quit();
        });
    });
    assert_eq!(pool.run(&mut seen, LIMIT).unwrap(), Stop::Quit);
    assert_eq!(seen.take(), [Saw::Sent(1), got("x", End::Enough)]);
    let start = pool.now();
    assert_eq!(pool.run(&mut seen, Some(ms(50))).unwrap(), Stop::TimedOut);
    let took = pool.now() - start;
    assert!(took >= ms(50) && took < ms(500), "{took:?}");
}

/// Runs a pool in which a handler on this device always asks again, by `start`, until a timer quits; the most events
/// that were delivered in one turn.
fn most_in_a_turn(device: &str, start: fn(&mut Io<Seen>, IodId)) -> usize {
    let (mut pool, mut seen) = (Pool::new().unwrap(), Seen::default());
    let device = OpenOptions::new().read(true).write(true).open(device).unwrap();
    let iod = pool.iod_adopt(&device).unwrap();
    let counts = Rc::new(Cell::new((0, 0)));
    let counted = counts.clone();
    pool.trace_to(Level::Full, move |record: &Record<'_>| {
        let (now, most) = counted.get();
        match record.step {
            Step::Turn => counted.set((0, most)),
            Step::Callback(_) => counted.set((now + 1, most.max(now + 1))),
            _ => {}
        }
    });
    start(&mut pool, iod);
    pool.timer_create(ms(20), |_: &mut Seen, io, _: Alarm| io.loop_quit());
    assert_eq!(pool.run(&mut seen, LIMIT).unwrap(), Stop::Quit);
    counts.get().1
}

#[test]
fn a_read_that_always_asks_again_starves_nobody() {
    fn again(_: &mut Seen, io: &mut Io<Seen>, ev: Event<Received>) {
        assert!(ev.outcome.is_ok_and(|got| !got.bytes.is_empty()));
        io.read(ev.iod, None, again);
    }
    // What never ends: as much as one read may take, half a mebibyte, is there at once.
    let most = most_in_a_turn("/dev/zero", |io, iod| {
        io.read(iod, None, again);
    });
    assert!((2..100).contains(&most), "{most} reads in one turn");
}

#[test]
fn a_write_that_always_asks_again_starves_nobody() {
    fn again(_: &mut Seen, io: &mut Io<Seen>, ev: Event<Sent>) {
        assert_eq!(ev.outcome.map(|sent| sent.bytes), Ok(1 << 20));
        io.write(ev.iod, &[0; 1 << 20], None, again);
    }
    let most = most_in_a_turn("/dev/null", |io, iod| {
        io.write(iod, &[0; 1 << 20], None, again);
    });
    assert!((2..100).contains(&most), "{most} writes of a mebibyte in one turn");
}

#[test]
fn a_read_of_very_much_leaves_room_for_timers_and_limits() {
    let (mut pool, mut seen) = (Pool::new().unwrap(), Seen::default());
    let zeroes = std::fs::File::open("/dev/zero").unwrap();
    let iod = pool.iod_adopt(&zeroes).unwrap();
    pool.readbytes(iod, 1 << 30, None, Seen::received);
    let timer = pool.timer_create(ms(5), Seen::alarm);
    assert_eq!(pool.run(&mut seen, Some(ms(20))).unwrap(), Stop::TimedOut);
    assert_eq!(seen.of(timer), Some(&Saw::Alarm));
}

#[test]
fn a_write_of_very_much_to_a_pipe_leaves_room_for_timers_and_limits() {
    let (mut pool, mut seen) = (Pool::new().unwrap(), Seen::default());
    let (mut reader, writer) = std::io::pipe().unwrap();
    let drain = thread::spawn(move || std::io::copy(&mut reader, &mut std::io::sink()).unwrap());
    let iod = pool.iod_adopt(&writer).unwrap();
    drop(writer);
    let most = Rc::new(Cell::new(0));
    let counted = most.clone();
    pool.trace_to(Level::Full, move |record: &Record<'_>| {
        if let Step::Partial { bytes, .. } = record.step {
            counted.set(counted.get().max(bytes));
        }
    });
    let size = 4 << 20;
    pool.write(iod, &vec![0; size], LIMIT, Seen::sent);
    assert_eq!(finish(&mut pool, &mut seen), [Saw::Sent(size)]);
    assert!((1..=65_536).contains(&most.get()), "{} bytes at one look", most.get());
    pool.iod_delete(iod);
    assert_eq!(drain.join().unwrap(), size as u64);
}

#[test]
fn a_timer_months_away_makes_no_busy_loop() {
    let (mut pool, mut seen) = (Pool::new().unwrap(), Seen::default());
    // In milliseconds this is one more than 32 bits hold.
    let far = pool.timer_create(ms((1 << 32) + 1), Seen::alarm);
    pool.timer_create(std::time::Duration::MAX, Seen::alarm);
    pool.trace_ring(100);
    pool.wake_wait(None, |_: &mut Seen, io, _: Alarm| io.loop_quit());
    let waker = pool.waker();
    let thread = thread::spawn(move || {
        thread::sleep(ms(40));
        waker.wake()
    });
    assert_eq!(pool.run(&mut seen, None).unwrap(), Stop::Quit);
    thread.join().unwrap().unwrap();
    assert!(pool.is_pending(far));
    let turns = pool.ring().unwrap().iter().filter(|record| record.step == Step::Turn).count();
    assert!(turns <= 2, "{turns} turns");
}
