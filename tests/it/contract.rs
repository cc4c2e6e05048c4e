//! The contract of `nsock`, line by line; the lines stand in the crate documentation under these names.

use std::collections::HashSet;
use std::io::Write;
use std::net::{SocketAddr, UdpSocket};
use std::os::fd::AsFd;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::time::{Duration, Instant};

use nsock::trace::{Callback, Level, Record, Step};
use nsock::{
    Engine, Event, EventId, Failure, Fault, Io, IodId, Kind, Misuse, Notice, Pool, Received, Request, Stop,
    Until,
};
use testkit::{TcpEcho, TcpScript, UdpEcho, closed_port};

const LIMIT: Option<Duration> = Some(Duration::from_secs(5));
const SOON: Option<Duration> = Some(Duration::from_millis(30));

/// State for tests that only need to write down what happened.
type Notes = Vec<String>;

/// A pool with an IOD that is connected to this address.
fn connected(to: SocketAddr) -> (Pool<Notes>, IodId) {
    let mut pool = Pool::<Notes>::new().unwrap();
    let iod = pool.iod_new();
    pool.connect_tcp(iod, to, LIMIT, |notes, _, event| {
        notes.push(format!("connect {:?}", event.outcome.is_ok()))
    });
    let mut notes = Notes::new();
    assert_eq!(pool.run(&mut notes, LIMIT).unwrap(), Stop::NoEvents);
    assert_eq!(notes, ["connect true"]);
    (pool, iod)
}

/// A handler that writes down the outcome of a read under a name.
fn note_read(name: &'static str) -> impl FnOnce(&mut Notes, &mut Io<Notes>, Event<Received>) {
    move |notes, _, event| {
        notes.push(match event.outcome {
            Ok(got) => format!("{name} {} {:?}", String::from_utf8_lossy(&got.bytes), got.end),
            Err(failure) => format!("{name} {failure:?}"),
        });
    }
}

#[test]
fn contract_01_no_handler_runs_inside_a_request_a_cancel_or_a_delete() {
    let closed = closed_port().unwrap();
    let server = TcpEcho::start().unwrap();
    let (mut pool, iod) = connected(server.address());
    // Each of these is over at once, and nsock would call back from inside.
    let unconnected = pool.iod_new();
    pool.read(unconnected, LIMIT, note_read("not connected"));
    pool.connect_tcp(iod, closed.address(), LIMIT, |notes, _, _| notes.push("second connect".into()));
    pool.printf(iod, LIMIT, format_args!(""), |notes, _, _| notes.push("empty printf".into()));
    let pending = pool.read(iod, LIMIT, note_read("cancelled"));
    assert!(pool.event_cancel(pending));
    pool.read(iod, LIMIT, note_read("deleted"));
    assert!(pool.iod_delete_notify(iod));
    // No handler has run so far: they would have needed the state, which is lent here and nowhere else.
    let mut notes = Notes::new();
    assert_eq!(pool.run(&mut notes, LIMIT).unwrap(), Stop::NoEvents);
    let told = [
        "not connected Misuse(NotConnected)",
        "second connect",
        "empty printf",
        "cancelled Cancelled",
        "deleted Cancelled",
    ];
    assert_eq!(notes, told);
}

#[test]
fn contract_02_every_accepted_request_ends_exactly_once() {
    let server = TcpEcho::start().unwrap();
    let (mut pool, iod) = connected(server.address());
    let mut notes = Notes::new();
    let forgotten = pool.read(iod, LIMIT, note_read("forgotten"));
    assert!(pool.forget(forgotten));
    pool.write(iod, b"a", LIMIT, |notes, _, event| notes.push(format!("sent {:?}", event.outcome.is_ok())));
    pool.read(iod, LIMIT, note_read("read"));
    pool.timer_create(Duration::ZERO, |notes, _, alarm| notes.push(format!("timer {:?}", alarm.outcome)));
    assert_eq!(pool.pending(), 3);
    pool.run(&mut notes, LIMIT).unwrap();
    notes.sort();
    assert_eq!(notes, ["read a Enough", "sent true", "timer Ok(())"]);

    notes.clear();
    pool.read(iod, LIMIT, note_read("deleted silently"));
    assert!(pool.iod_delete(iod));
    pool.timer_create(Duration::from_secs(60), |notes, io, alarm| {
        notes.push(format!("timer {:?}", alarm.outcome));
        let refused = io.timer_create(Duration::ZERO, |notes, _, _| notes.push("never".into()));
        assert_eq!(refused, EventId::REFUSED);
    });
    pool.shutdown(&mut notes);
    assert_eq!(notes, ["timer Err(Killed)"]);
}

#[test]
fn contract_03_after_a_cancel_only_cancelled_is_seen_and_bytes_are_kept_for_the_next_read() {
    let server =
        TcpScript::start(vec![testkit::Step::Send(b"abcdef".to_vec()), testkit::Step::Stall]).unwrap();
    let (mut pool, iod) = connected(server.address());
    let mut notes = Notes::new();
    // Under way, with data gathered but not enough.
    let unfinished = pool.readbytes(iod, 100, LIMIT, note_read("unfinished"));
    pool.run(&mut notes, SOON).unwrap();
    assert!(pool.event_cancel(unfinished) && !pool.event_cancel(unfinished));
    pool.readbytes(iod, 6, LIMIT, move |notes, io, event| {
        note_read("next")(notes, io, event);
    });
    pool.run(&mut notes, LIMIT).unwrap();
    assert_eq!(notes, ["unfinished Cancelled", "next abcdef Enough"]);
}

#[test]
fn contract_03_a_result_that_is_queued_already_turns_into_cancelled_too() {
    let server = UdpEcho::start().unwrap();
    let mut pool = Pool::<Notes>::new().unwrap();
    let iod = pool.iod_new();
    let mut notes = Notes::new();
    pool.connect_udp(iod, server.address(), |_, _, _| {});
    pool.write(iod, b"datagram", LIMIT, |_, _, _| {});
    pool.run(&mut notes, LIMIT).unwrap();
    let raw = pool.iod_fd(iod).unwrap().try_clone_to_owned().unwrap();
    let raw = UdpSocket::from(raw);
    raw.set_read_timeout(LIMIT).unwrap();
    // The echo is in the kernel's queue, so the next turn finishes the read.
    while raw.peek(&mut [0; 16]).is_err() {}
    let (mut seen, mut engine) = (Vec::new(), Engine::new().unwrap());
    let copy = engine.iod_adopt(raw.as_fd()).unwrap();
    let read = engine.submit(Request::Read { iod: copy, until: Until::Any }, LIMIT);
    engine.turn(LIMIT).unwrap();
    assert!(engine.cancel(read, Notice::Given), "finished, not delivered: still to cancel");
    engine.submit(Request::Read { iod: copy, until: Until::Any }, LIMIT);
    while engine.pending() > 0 {
        while let Some(done) = engine.next_done() {
            seen.push(format!("{:?}", done.outcome));
        }
        engine.turn(SOON).unwrap();
    }
    assert_eq!(seen[0], "Err(Cancelled)");
    assert!(seen[1].contains("[100, 97, 116, 97, 103, 114, 97, 109]"), "{seen:?}");
}

#[test]
fn contract_04_requests_of_one_kind_on_one_iod_complete_in_the_order_made() {
    let server = TcpEcho::start().unwrap();
    let (mut pool, iod) = connected(server.address());
    let mut notes = Notes::new();
    for index in 0..5 {
        pool.write(iod, format!("W{index}").as_bytes(), LIMIT, move |notes, _, _| {
            notes.push(format!("sent {index}"))
        });
    }
    for name in ["r0", "r1", "r2", "r3", "r4"] {
        pool.readbytes(iod, 2, LIMIT, note_read(name));
        pool.run(&mut notes, SOON).unwrap();
        pool.write(iod, b"xy", LIMIT, |_, _, _| {});
    }
    pool.run(&mut notes, LIMIT).unwrap();
    let sent: Vec<_> = notes.iter().filter(|note| note.starts_with("sent")).collect();
    assert_eq!(sent, ["sent 0", "sent 1", "sent 2", "sent 3", "sent 4"]);
    let read: String =
        notes.iter().filter(|note| note.starts_with('r')).map(|note| &note[3..note.len() - 7]).collect();
    assert!(read.starts_with("W0W1W2W3W4"), "{read}");
    let order: Vec<_> = notes.iter().filter(|note| note.starts_with('r')).map(|note| &note[..2]).collect();
    assert_eq!(order, ["r0", "r1", "r2", "r3", "r4"]);
}

#[test]
fn contract_05_in_a_turn_connect_read_write_timer_oldest_iod_first_and_data_beats_its_deadline() {
    let servers: Vec<_> = (0..4).map(|_| UdpSocket::bind("127.0.0.1:0").unwrap()).collect();
    let mut pool = Pool::<Notes>::new().unwrap();
    let mut notes = Notes::new();
    let iods: Vec<_> = servers.iter().map(|_| pool.iod_new()).collect();
    for (iod, server) in iods.iter().zip(&servers) {
        pool.connect_udp(*iod, server.local_addr().unwrap(), |_, _, _| {});
    }
    pool.run(&mut notes, LIMIT).unwrap();
    // Reads with a deadline that passes while the loop is not looking, requested and answered youngest first.
    for (index, iod) in iods.iter().enumerate().rev() {
        pool.read(*iod, Some(Duration::from_millis(1)), move |notes, _, event| {
            notes.push(format!("read {index} {}", event.outcome.is_ok()));
        });
        servers[index].send_to(b"x", pool.iod_local(*iod).unwrap()).unwrap();
    }
    pool.timer_create(Duration::from_millis(1), |notes, _, _| notes.push("timer".into()));
    std::thread::sleep(Duration::from_millis(20));
    pool.run(&mut notes, LIMIT).unwrap();
    assert_eq!(notes, ["read 0 true", "read 1 true", "read 2 true", "read 3 true", "timer"]);
}

#[test]
fn contract_06_ids_are_never_reused_and_a_stale_id_is_a_harmless_no_op_that_says_so() {
    let mut pool = Pool::<Notes>::new().unwrap();
    let mut notes = Notes::new();
    let (mut events, mut iods) = (HashSet::new(), HashSet::new());
    for _ in 0..1000 {
        let timer = pool.timer_create(Duration::from_secs(60), |_, _, _| {});
        let iod = pool.iod_new();
        assert!(events.insert(timer) && iods.insert(iod));
        assert!(pool.forget(timer) && pool.iod_delete(iod));
        // Their places are taken by now; the old ids still name nobody.
        let (other, other_iod) = (pool.timer_create(Duration::ZERO, |_, _, _| {}), pool.iod_new());
        assert!(!pool.forget(timer) && !pool.event_cancel(timer) && !pool.is_pending(timer));
        assert!(!pool.iod_delete(iod) && !pool.iod_delete_notify(iod) && pool.iod_fd(iod).is_none());
        assert!(pool.is_pending(other) && pool.iod_delete(other_iod));
        assert!(events.insert(other) && iods.insert(other_iod));
    }
    let stale = *iods.iter().next().unwrap();
    pool.write(stale, b"x", LIMIT, |notes, _, event| notes.push(format!("{:?}", event.outcome)));
    pool.run(&mut notes, LIMIT).unwrap();
    assert_eq!(notes, [format!("Err({:?})", Failure::Misuse(Misuse::StaleIod))]);
}

#[derive(Default)]
struct Busy {
    timers: u32,
    reads: u32,
}

impl Busy {
    fn again(&mut self, io: &mut Io<Self>, _: nsock::Alarm) {
        self.timers += 1;
        io.timer_create(Duration::ZERO, Self::again);
    }

    fn read(&mut self, io: &mut Io<Self>, event: Event<Received>) {
        self.reads += 1;
        io.write(event.iod, b"ping", LIMIT, |_, _, _| {});
        io.read(event.iod, LIMIT, Self::read);
    }
}

#[test]
fn contract_07_work_per_turn_is_bounded_and_nobody_starves() {
    let server = TcpEcho::start().unwrap();
    let mut pool = Pool::<Busy>::new().unwrap();
    let mut busy = Busy::default();
    pool.timer_create(Duration::ZERO, Busy::again);
    assert_eq!(pool.run(&mut busy, Some(Duration::ZERO)).unwrap(), Stop::TimedOut);
    assert_eq!(busy.timers, 1, "one generation of a timer that always comes again is one turn");
    let iod = pool.iod_new();
    pool.connect_tcp(iod, server.address(), LIMIT, |_, io, event| {
        io.write(event.iod, b"ping", LIMIT, |_, _, _| {});
        io.read(event.iod, LIMIT, Busy::read);
    });
    assert_eq!(pool.run(&mut busy, Some(Duration::from_millis(200))).unwrap(), Stop::TimedOut);
    assert!(busy.timers > 10 && busy.reads > 10, "{} timers, {} reads", busy.timers, busy.reads);
}

#[test]
fn contract_07_a_handler_that_always_asks_again_does_not_keep_its_turn() {
    // Requests on a deleted IOD fail at once, so this handler could go round for ever without the system.
    struct Endless(u32);
    impl Endless {
        fn again(&mut self, io: &mut Io<Self>, event: Event<Received>) {
            self.0 += 1;
            io.read(event.iod, LIMIT, Self::again);
        }
    }
    let mut pool = Pool::<Endless>::new().unwrap();
    let iod = pool.iod_new();
    pool.iod_delete(iod);
    pool.read(iod, LIMIT, Endless::again);
    let mut endless = Endless(0);
    assert_eq!(pool.run(&mut endless, Some(Duration::ZERO)).unwrap(), Stop::TimedOut);
    assert!((1..=4096).contains(&endless.0), "{}", endless.0);
}

#[test]
fn contract_08_now_is_monotonic_and_constant_within_a_turn() {
    #[derive(Default)]
    struct Times(Vec<(Instant, Instant)>);
    impl Times {
        fn fired(&mut self, io: &mut Io<Self>, _: nsock::Alarm) {
            let before = io.now();
            std::thread::sleep(Duration::from_millis(2));
            self.0.push((before, io.now()));
            if self.0.len() < 10 {
                io.timer_create(Duration::from_millis(1), Self::fired);
            }
        }
    }
    let mut pool = Pool::<Times>::new().unwrap();
    let mut times = Times::default();
    let start = pool.now();
    pool.timer_create(Duration::from_millis(5), Times::fired);
    pool.run(&mut times, LIMIT).unwrap();
    assert!(times.0[0].0 >= start + Duration::from_millis(5), "never early");
    for (before, after) in &times.0 {
        assert_eq!(before, after);
    }
    assert!(times.0.windows(2).all(|pair| pair[0].0 + Duration::from_millis(1) <= pair[1].0));
}

#[test]
fn contract_10_a_panic_in_a_handler_leaves_the_pool_usable() {
    let mut pool = Pool::<Notes>::new().unwrap();
    let mut notes = Notes::new();
    pool.timer_create(Duration::ZERO, |_, _, _| panic!("a handler's own bug"));
    pool.timer_create(Duration::ZERO, |notes, _, _| notes.push("the other timer".into()));
    let hook = std::panic::take_hook();
    std::panic::set_hook(Box::new(|_| {}));
    let unwound = catch_unwind(AssertUnwindSafe(|| pool.run(&mut notes, LIMIT)));
    std::panic::set_hook(hook);
    assert!(unwound.is_err());
    assert_eq!(pool.pending(), 1, "the event of the panic is over");
    assert_eq!(pool.run(&mut notes, LIMIT).unwrap(), Stop::NoEvents);
    assert_eq!(notes, ["the other timer"]);
}

#[test]
fn contract_11_eids_and_iods_count_from_one_in_each_scope() {
    let mut pool = Pool::<Notes>::new().unwrap();
    let dns = pool.scope("dns");
    assert_eq!(dns, pool.scope("dns"));
    let closed = closed_port().unwrap();
    let make = |io: &mut Io<Notes>| {
        let iod = io.iod_new();
        let connect = io.connect_tcp(iod, closed.address(), LIMIT, |_, io, event| {
            // Inherits the scope of its event.
            let timer = io.timer_create(Duration::ZERO, |_, _, _| {});
            assert_eq!((event.id.number(), timer.number()), (8, 4 << 3 | 4));
        });
        let read = io.read(iod, LIMIT, |_, _, _| {});
        let write = io.write(iod, b"", LIMIT, |_, _, _| {});
        [iod.number(), connect.number(), read.number(), write.number()]
    };
    assert_eq!(make(&mut pool), [1, 8, 18, 27]);
    assert_eq!(pool.with_scope(dns, make), [1, 8, 18, 27]);
    let mut notes = Notes::new();
    pool.run(&mut notes, LIMIT).unwrap();
    assert_eq!(pool.timer_create(Duration::ZERO, |_, _, _| {}).serial(), 5);
}

#[test]
fn contract_12_nothing_anyone_does_exits_aborts_or_panics() {
    let server = TcpEcho::start().unwrap();
    let (mut pool, iod) = connected(server.address());
    let mut notes = Notes::new();
    let end_of_time = Some(Duration::MAX);
    let fail = |notes: &mut Notes, failure: Option<Failure>| {
        notes.push(failure.map_or_else(|| "ok".into(), |failure| format!("{:?}", failure.fault())));
    };
    let idle = pool.iod_new();
    pool.write(idle, b"x", end_of_time, move |notes, _, event| fail(notes, event.outcome.err()));
    pool.sendto(iod, "127.0.0.1:9".parse().unwrap(), b"x", LIMIT, move |notes, _, event| {
        fail(notes, event.outcome.err())
    });
    pool.connect_tcp(idle, "0.0.0.0:0".parse().unwrap(), LIMIT, move |notes, _, event| {
        fail(notes, event.outcome.err())
    });
    let v6 = pool.iod_new();
    // A scope id that names no interface.
    pool.connect_tcp(v6, "[fe80::1%4000000]:1".parse().unwrap(), SOON, move |notes, _, event| {
        fail(notes, event.outcome.err())
    });
    let forever = pool.timer_create(Duration::MAX, |_, _, _| {});
    pool.readbytes(iod, usize::MAX, SOON, move |notes, _, event| fail(notes, event.outcome.err()));
    assert_eq!(
        pool.setup_udp(iod, "127.0.0.1:0".parse().unwrap()),
        Err(Failure::Misuse(Misuse::AlreadyConnected))
    );
    assert_eq!(pool.iod_delete_idle(iod), Err(2));
    pool.run(&mut notes, Some(Duration::from_millis(300))).unwrap();
    assert!(pool.is_pending(forever) && pool.forget(forever));
    notes.sort();
    assert_eq!(notes.iter().filter(|note| *note == "Caller").count(), 2, "{notes:?}");
    assert_eq!(pool.pending_of(Kind::Timer), 0);
    assert!(notes.contains(&format!("{:?}", Fault::Local)), "{notes:?}");
}

#[test]
fn trace_tells_the_handler_that_asked_and_where() {
    let server = TcpEcho::start().unwrap();
    let (mut pool, iod) = connected(server.address());
    let (sender, receiver) = std::sync::mpsc::channel();
    pool.trace_to(Level::Full, move |record: &Record<'_>| {
        let _ = sender.send((record.step, record.event, record.parent, record.place));
    });
    let mut notes = Notes::new();
    let write = pool.write(iod, b"x", LIMIT, |_, io, event| {
        io.read(event.iod, LIMIT, note_read("read"));
    });
    pool.run(&mut notes, LIMIT).unwrap();
    std::io::stderr().flush().unwrap();
    let records: Vec<_> = receiver.try_iter().collect();
    let read = records
        .iter()
        .find(|(step, ..)| matches!(step, Step::Callback(Callback::Received { bytes: 1, .. })))
        .unwrap();
    assert_eq!(read.2, Some(write.number()));
    assert!(read.3.unwrap().file().ends_with("contract.rs"));
}
