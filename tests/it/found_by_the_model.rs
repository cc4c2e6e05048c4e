//! What the model test has found, each as the shortest run that shows it.

use std::cell::RefCell;
use std::io::Write;
use std::os::unix::net::UnixStream;
use std::panic::{AssertUnwindSafe, catch_unwind, resume_unwind};
use std::rc::Rc;
use std::thread::sleep;
use std::time::Duration;

use nsock::trace::{Level, Record, Step};
use nsock::{Engine, EventId, IodId, Notice, Output, Pool, Request, Until};
use testkit::measure::raise_descriptor_limit;
use testkit::{Oracle, TraceEnd, UdpEcho, in_own_process, need_descriptors};

use crate::support::{Saw, Seen, finish, ms};

/// Turns waited for something that loopback does in one or two.
const TURNS_MAX: usize = 200;
const TURN: Option<Duration> = Some(Duration::from_millis(100));

/// An engine with an IOD to which these datagrams have been sent, and a read of so many bytes that has taken them all.
fn gathering(datagrams: &[&[u8]], wanted: usize) -> (Engine, IodId, EventId) {
    let echo = UdpEcho::start().unwrap();
    let mut engine = Engine::new().unwrap();
    let iod = engine.iod_new();
    engine.submit(Request::ConnectUdp { iod, to: echo.address() }, None);
    for data in datagrams {
        engine.submit(Request::Write { iod, data }, None);
    }
    engine.turn(TURN).unwrap();
    while engine.next_done().is_some() {}
    let read = engine.submit(Request::Read { iod, until: Until::Bytes(wanted) }, None);
    let total: u64 = datagrams.iter().map(|data| data.len() as u64).sum();
    for _ in 0..TURNS_MAX {
        if engine.iod_bytes(iod).unwrap().0 == total {
            break;
        }
        // Nothing is delivered, so a read that is satisfied stays where it can still be cancelled.
        engine.turn(TURN).unwrap();
    }
    assert_eq!(engine.iod_bytes(iod).unwrap().0, total);
    (engine, iod, read)
}

fn read_each(engine: &mut Engine, iod: IodId, reads: usize) -> Vec<Vec<u8>> {
    for _ in 0..reads {
        engine.submit(Request::Read { iod, until: Until::Any }, TURN);
    }
    let mut got = Vec::new();
    while engine.pending() > 0 {
        engine.turn(TURN).unwrap();
        while let Some(done) = engine.next_done() {
            if let Ok(Output::Received(received)) = done.outcome {
                got.push(received.bytes);
            }
        }
    }
    got
}

#[test]
fn a_read_cancelled_under_way_gives_its_datagrams_back_one_by_one() {
    let sent: [&[u8]; 4] = [b"one", b"", b"three", b"four"];
    let (mut engine, iod, read) = gathering(&sent, 1000);
    assert!(engine.cancel(read, Notice::Silent));
    assert_eq!(read_each(&mut engine, iod, 4), sent);
}

#[test]
fn a_read_cancelled_when_it_had_finished_gives_its_datagrams_back_one_by_one() {
    let sent: [&[u8]; 3] = [b"one", b"", b"three"];
    let (mut engine, iod, read) = gathering(&sent, 8);
    assert!(engine.cancel(read, Notice::Given));
    assert_eq!(read_each(&mut engine, iod, 3), sent);
}

#[test]
fn after_a_panic_of_a_handler_its_owner_is_outside_the_loop() {
    let oracle = Oracle::new();
    let mut pool = Pool::<()>::new().unwrap();
    pool.trace_to(Level::Full, oracle.clone());
    pool.timer_create(Duration::ZERO, |(), _, _| resume_unwind(Box::new("on purpose")));
    assert!(catch_unwind(AssertUnwindSafe(|| pool.run(&mut (), None))).is_err());
    let then = pool.now();
    sleep(Duration::from_millis(2));
    assert!(pool.now() > then, "the time stands still");
    pool.timer_create(Duration::ZERO, |(), _, _| ());
    assert_eq!(pool.report().events[0].parent, None, "nobody's handler asked for it");
    pool.run(&mut (), None).unwrap();
    assert_eq!(oracle.finish(TraceEnd::Complete), []);
}

#[test]
fn a_late_cancel_is_traced_in_the_scope_of_its_event() {
    let cancels = Rc::new(RefCell::new(Vec::new()));
    let sink = Rc::clone(&cancels);
    let mut engine = Engine::new().unwrap();
    engine.trace_to(Level::Full, move |record: &Record<'_>| {
        if let Step::Cancel { found, .. } = record.step {
            sink.borrow_mut().push((record.scope, record.event, found));
        }
    });
    let dns = engine.scope("dns");
    let outer = engine.enter_scope(dns);
    let id = engine.submit(Request::Timer, None);
    engine.enter_scope(outer);
    assert!(engine.cancel(id, Notice::Silent) && !engine.cancel(id, Notice::Silent));
    assert_eq!(*cancels.borrow(), [("dns", Some(12), true), ("dns", Some(12), false)]);
}

/// Not by the model, but by scans of loopback: with more descriptors ready than one wait reports, those left over lost
/// against their deadlines.
#[test]
fn what_has_come_beats_its_deadline_however_many_descriptors_it_has_come_to() {
    const PAIRS: usize = 1_500;
    in_own_process(
        "found_by_the_model::what_has_come_beats_its_deadline_however_many_descriptors_it_has_come_to",
        || {
            raise_descriptor_limit(2 * PAIRS as u64 + 100);
            if !need_descriptors(3 * PAIRS + 100) {
                return;
            }
            let (mut pool, mut seen) = (Pool::<Seen>::new().unwrap(), Seen::default());
            let mut peers = Vec::new();
            for _ in 0..PAIRS {
                let (ours, theirs) = UnixStream::pair().unwrap();
                let iod = pool.iod_adopt(&ours).unwrap();
                pool.read(iod, Some(ms(1_000)), Seen::received);
                peers.push(theirs);
            }
            // Everything comes, and every deadline passes, while a handler is busy.
            pool.timer_create(Duration::ZERO, move |_, _, _| {
                for peer in &mut peers {
                    peer.write_all(b"in time").unwrap();
                }
                sleep(ms(1_100));
            });
            let all = finish(&mut pool, &mut seen);
            assert_eq!(all.iter().filter(|saw| matches!(saw, Saw::Got { .. })).count(), PAIRS);
        },
    );
}
