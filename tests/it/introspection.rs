//! What a pool tells about itself, and pools that are shared or kept apart.

use std::panic::Location;
use std::thread;
use std::time::Duration;

use nsock::{
    Alarm, Connected, Event, EventId, Io, IodId, IodState, Kind, Pool, Received, Report, Stop, Until, Waiting,
};
use testkit::{LOOPBACK_V6, Step, TcpEcho, TcpScript, UdpEcho, closed_port, full_backlog};

use crate::support::{LIMIT, Saw, Seen, connect, finish, got, ms, read, run_for};

fn pool() -> (Pool<Seen>, Seen) {
    (Pool::new().unwrap(), Seen::default())
}

/// What an event waits for.
fn waiting(report: &Report, id: EventId) -> Waiting {
    report.events.iter().find(|event| event.id == id).unwrap().waiting
}

fn state(report: &Report, id: IodId) -> IodState {
    report.iods.iter().find(|iod| iod.id == id).unwrap().state
}

fn line(place: &Location<'_>) -> u32 {
    assert_eq!(place.file(), "tests/it/introspection.rs");
    place.line()
}

#[test]
fn the_report_says_where_and_by_whom_each_thing_was_asked_for_and_since_when() {
    let echo = UdpEcho::start().unwrap();
    let (mut pool, mut seen) = pool();
    let (iod, iod_line) = (pool.iod_new(), line!());
    let connecting = pool.connect_udp(iod, echo.address(), |_: &mut Seen, io, ev: Event<Connected>| {
        io.read(ev.iod, Some(ms(5000)), Seen::received);
    });
    let read_line = line!() - 2;
    let (timer, timer_line) = (pool.timer_create(ms(9000), Seen::alarm), line!());
    pool.run(&mut seen, Some(ms(0))).unwrap();
    thread::sleep(ms(20));

    let report = pool.report();
    let [opened] = &report.iods[..] else { panic!("{report}") };
    assert_eq!((opened.id, line(opened.place), opened.pending), (iod, iod_line, 1));
    assert!(opened.age >= ms(20) && opened.age < ms(5000));
    let [timed, reading] = &report.events[..] else { panic!("{report}") };
    assert_eq!((timed.id, timed.kind, timed.iod, timed.parent), (timer, Kind::Timer, None, None));
    assert_eq!((line(timed.place), line(reading.place)), (timer_line, read_line));
    assert_eq!((reading.kind, reading.iod), (Kind::Read, Some(iod)));
    assert_eq!(reading.parent, Some(connecting.number()));
    for (event, limit) in [(timed, 9000), (reading, 5000)] {
        let left = event.left.unwrap();
        assert!(event.age >= ms(20) && left <= ms(limit - 20) && left > ms(limit - 3000), "{event}");
    }
    let text = report.to_string();
    let place = format!("tests/it/introspection.rs:{read_line} by EID 8, 4.");
    for part in ["1 IOD open, 2 events pending\n", "EID 20 TIMER waiting for its time", &place] {
        assert!(text.contains(part), "{part} in\n{text}");
    }
    let at = |part: &str| text.find(part).unwrap_or_else(|| panic!("{part} in\n{text}"));
    assert!(at("IOD #1 fd ") < at("EID 26 READ") && at("EID 26 READ") < at("EID 20"), "{text}");
}

#[test]
fn the_report_says_what_each_event_waits_for() {
    let script = TcpScript::start(vec![Step::Send(b"two\nlines".to_vec()), Step::Stall]).unwrap();
    let silent = full_backlog().unwrap();
    let (mut pool, mut seen) = pool();
    let iod = connect(&mut pool, &mut seen, script.address());
    let lines = pool.readlines(iod, 3, None, Seen::received);
    let behind = pool.readbytes(iod, 5, None, Seen::received);
    let size = 64 << 20;
    let writing = pool.write(iod, &vec![0; size], None, Seen::sent);
    let answer = {
        let iod = pool.iod_new();
        pool.connect_tcp(iod, silent.address(), None, Seen::connected)
    };
    let (timer, wake) = (pool.timer_create(ms(9000), Seen::alarm), pool.wake_wait(None, Seen::alarm));
    run_for(&mut pool, &mut seen, ms(50));
    let idle = pool.iod_new();
    let deliver = pool.read(idle, None, Seen::received);

    let report = pool.report();
    assert_eq!(waiting(&report, lines), Waiting::Data { until: Until::Lines(3), gathered: 9 });
    assert_eq!(waiting(&report, behind), Waiting::Earlier);
    let sent = usize::try_from(pool.iod_bytes(iod).unwrap().1).unwrap();
    assert!(sent > 0);
    assert_eq!(waiting(&report, writing), Waiting::Room { left: size - sent });
    assert_eq!(waiting(&report, answer), Waiting::Answer);
    assert_eq!((waiting(&report, timer), waiting(&report, wake)), (Waiting::Time, Waiting::Wake));
    assert_eq!(waiting(&report, deliver), Waiting::Delivery);
    let text = report.to_string();
    for part in [
        "READ waiting for 3 lines, 9 bytes so far, requested 0.",
        "READ waiting for an earlier request on the IOD",
        "CONNECT waiting for the peer's answer",
        "WAKE waiting for a wake-up",
        "READ waiting for its handler to be called",
        "no time limit",
    ] {
        assert!(text.contains(part), "{part} in\n{text}");
    }
    pool.shutdown(&mut seen);
    assert_eq!(seen.take().len(), 7);
}

#[test]
fn the_report_follows_an_iod_through_its_states() {
    let script = TcpScript::start(vec![Step::ReceiveLine]).unwrap();
    let closed = closed_port().unwrap();
    let silent = full_backlog().unwrap();
    let (mut pool, mut seen) = pool();
    let iod = pool.iod_new();
    assert_eq!(state(&pool.report(), iod), IodState::Idle);
    assert!(pool.report().iods[0].fd.is_none());
    pool.connect_tcp(iod, script.address(), LIMIT, Seen::connected);
    finish(&mut pool, &mut seen);
    assert_eq!(state(&pool.report(), iod), IodState::Open);
    pool.write(iod, b"bye\n", LIMIT, Seen::sent);
    pool.read(iod, LIMIT, Seen::received);
    finish(&mut pool, &mut seen);
    assert_eq!(state(&pool.report(), iod), IodState::Eof);

    let (failed, connecting) = (pool.iod_new(), pool.iod_new());
    pool.connect_tcp(failed, closed.address(), LIMIT, Seen::connected);
    pool.connect_tcp(connecting, silent.address(), None, Seen::connected);
    run_for(&mut pool, &mut seen, ms(10));
    let report = pool.report();
    assert_eq!(
        (state(&report, failed), state(&report, connecting)),
        (IodState::Failed, IodState::Connecting)
    );
    assert!(report.to_string().contains("at end of file, 0 bytes read, 4 written"), "{report}");
    assert!(!report.is_empty());
    for iod in [iod, failed, connecting] {
        pool.iod_delete(iod);
    }
    assert!(pool.report().is_empty());
    assert_eq!(pool.report().to_string(), "0 IODs open, 0 events pending\n");
}

#[test]
fn bytes_and_pending_events_are_counted_by_iod_and_kind() {
    let echo = TcpEcho::start().unwrap();
    let (mut pool, mut seen) = pool();
    let iods = [0, 1].map(|_| connect(&mut pool, &mut seen, echo.address()));
    assert_eq!(pool.iod_bytes(iods[0]), Some((0, 0)));
    for (iod, size) in iods.into_iter().zip([1000, 3]) {
        pool.write(iod, &vec![b'c'; size], LIMIT, Seen::sent);
        pool.readbytes(iod, size, LIMIT, Seen::received);
    }
    pool.timer_create(ms(1), Seen::alarm);
    let counts = |pool: &Pool<Seen>| Kind::ALL.map(|kind| pool.pending_of(kind));
    assert_eq!((counts(&pool), pool.pending()), ([0, 0, 2, 2, 1, 0, 0, 0], 5));
    finish(&mut pool, &mut seen);
    assert_eq!((counts(&pool), pool.pending()), ([0; 8], 0));
    assert_eq!(iods.map(|iod| pool.iod_bytes(iod)), [Some((1000, 1000)), Some((3, 3))]);
}

#[test]
fn inside_the_last_handler_nothing_is_pending_any_more() {
    let (mut pool, mut seen) = pool();
    pool.timer_create(ms(0), |seen: &mut Seen, io, ev: Alarm| {
        assert_eq!((io.pending(), io.pending_of(Kind::Timer)), (0, 0));
        seen.alarm(io, ev);
    });
    assert_eq!(finish(&mut pool, &mut seen), [Saw::Alarm]);
}

#[test]
fn both_addresses_of_a_connection_are_known_on_both_families() {
    for echo in [TcpEcho::start().unwrap(), TcpEcho::start_at(LOOPBACK_V6, None).unwrap()] {
        let (mut pool, mut seen) = pool();
        let iod = pool.iod_new();
        assert_eq!((pool.iod_peer(iod), pool.iod_local(iod)), (None, None));
        pool.connect_tcp(iod, echo.address(), LIMIT, Seen::connected);
        finish(&mut pool, &mut seen);
        let local = pool.iod_local(iod).unwrap();
        assert_eq!(pool.iod_peer(iod), Some(echo.address()));
        assert!(local.ip() == echo.address().ip() && local.port() != 0, "{local}");
        pool.iod_delete(iod);
        assert_eq!((pool.iod_peer(iod), pool.iod_local(iod), pool.iod_bytes(iod)), (None, None, None));
    }
}

#[test]
fn a_waker_wakes_the_loop_from_another_thread() {
    let (mut pool, mut seen) = pool();
    let waiting = pool.wake_wait(None, Seen::alarm);
    let waker = pool.waker();
    let start = pool.now();
    let thread = thread::spawn(move || {
        thread::sleep(ms(30));
        waker.wake().unwrap();
        waker
    });
    assert_eq!(pool.run(&mut seen, LIMIT).unwrap(), Stop::NoEvents);
    assert!(pool.now() - start >= ms(30));
    assert_eq!(seen.of(waiting), Some(&Saw::Alarm));
    seen.take();

    // A wake-up that nobody waits for is kept for the next who does; several count as one.
    let waker = thread.join().unwrap();
    waker.wake().unwrap();
    waker.wake().unwrap();
    pool.wake_wait(LIMIT, Seen::alarm);
    assert_eq!(finish(&mut pool, &mut seen), [Saw::Alarm]);
    pool.wake_wait(Some(ms(10)), Seen::alarm);
    assert_eq!(finish(&mut pool, &mut seen), [Saw::Failed(nsock::Failure::TimedOut)]);
    drop(pool);
    waker.wake().unwrap();
}

#[test]
fn pools_in_two_threads_share_nothing() {
    let echo = TcpEcho::start().unwrap();
    let address = echo.address();
    let work = move || {
        let (mut pool, mut seen) = pool();
        let mut numbers = Vec::new();
        for _ in 0..20 {
            let iod = pool.iod_new();
            let id = pool.connect_tcp(iod, address, LIMIT, Seen::connected);
            numbers.push((iod.number(), id.number()));
            finish(&mut pool, &mut seen);
            pool.write(iod, b"hello", LIMIT, Seen::sent);
            finish(&mut pool, &mut seen);
            assert_eq!(read(&mut pool, &mut seen, iod), got("hello", nsock::End::Enough));
        }
        numbers
    };
    let threads = [0, 1].map(|_| thread::spawn(work));
    let numbers = threads.map(|thread| thread.join().unwrap());
    assert_eq!(numbers[0], numbers[1]);
    assert_eq!(numbers[0][..2], [(1, 8), (2, 32)]);
}

/// A library that works on a part of its caller's state: it asks an echo server and counts what comes back.
struct Asker {
    left: u32,
    answers: Vec<Vec<u8>>,
}

impl Asker {
    /// Has the asker that `pick` finds in the caller's state ask as often as it was told to.
    fn attach<S: 'static>(
        io: &mut Io<S>,
        to: std::net::SocketAddr,
        question: &'static [u8],
        pick: fn(&mut S) -> &mut Self,
    ) {
        let iod = io.iod_new();
        io.connect_udp(iod, to, move |state, io, ev| pick(state).ask(io, ev.iod, question, pick));
    }

    fn ask<S: 'static>(
        &mut self,
        io: &mut Io<S>,
        iod: IodId,
        question: &'static [u8],
        pick: fn(&mut S) -> &mut Self,
    ) {
        if self.left == 0 {
            io.iod_delete(iod);
            return;
        }
        self.left -= 1;
        io.write(iod, question, LIMIT, |_, _, ev| assert!(ev.outcome.is_ok()));
        io.read(iod, LIMIT, move |state, io, ev: Event<Received>| {
            let asker = pick(state);
            asker.answers.extend(ev.outcome.map(|got| got.bytes));
            asker.ask(io, iod, question, pick);
        });
    }
}

#[test]
fn two_libraries_share_one_loop_by_projection() {
    struct Program {
        first: Asker,
        second: Asker,
        ticks: usize,
    }
    let echo = UdpEcho::start().unwrap();
    let asker = |left| Asker { left, answers: Vec::new() };
    let mut program = Program { first: asker(3), second: asker(5), ticks: 0 };
    let mut pool = Pool::<Program>::new().unwrap();
    let dns = pool.scope("second");
    Asker::attach::<Program>(&mut pool, echo.address(), b"1", |program: &mut Program| &mut program.first);
    pool.with_scope(dns, |io| {
        Asker::attach(io, echo.address(), b"2", |program| &mut program.second);
    });
    pool.timer_create(ms(1), |program: &mut Program, _, _| program.ticks += 1);
    assert_eq!(pool.run(&mut program, LIMIT).unwrap(), Stop::NoEvents);
    assert_eq!(program.first.answers, vec![b"1"; 3]);
    assert_eq!(program.second.answers, vec![b"2"; 5]);
    assert_eq!(program.ticks, 1);
    assert!(pool.report().is_empty());
}

#[test]
fn quitting_beats_nothing_to_do_and_a_quit_before_the_loop_counts() {
    let (mut pool, mut seen) = pool();
    assert_eq!(pool.run(&mut seen, None).unwrap(), Stop::NoEvents);
    pool.timer_create(ms(0), Seen::alarm);
    pool.loop_quit();
    assert_eq!(pool.run(&mut seen, None).unwrap(), Stop::Quit);
    assert_eq!(seen.take(), [], "not even a turn is made");
    assert_eq!(pool.run(&mut seen, Some(Duration::ZERO)).unwrap(), Stop::NoEvents, "that beats the limit");
    assert_eq!(seen.take(), [Saw::Alarm]);
}
