//! The sinks beside the classic text, and scopes.

use std::collections::BTreeSet;
use std::sync::Mutex;

use nsock::trace::{Level, Log, Ndjson, Record, Step};
use nsock::{Connected, Event, Io, Pool, Received, ScopeId, SocketOptions, Stop};
use serde_json::Value;
use testkit::{TcpEcho, UdpEcho, in_own_process};

use crate::support::{LIMIT, Saw, Seen, Transcript, connect_udp, finish, ms};

/// Connects, writes from the handler of that, reads from the handler of the write, deletes; cancels a timer; fails a
/// bind.
fn work(pool: &mut Pool<Seen>, server: &TcpEcho) {
    let mut seen = Seen::default();
    let iod = pool.iod_new();
    pool.connect_tcp(iod, server.address(), LIMIT, |_: &mut Seen, io, ev: Event<Connected>| {
        io.write(ev.iod, b"secret\n", LIMIT, |_: &mut Seen, io, ev| {
            io.readlines(ev.iod, 1, LIMIT, |_: &mut Seen, io, ev: Event<Received>| {
                io.iod_delete(ev.iod);
            });
        });
    });
    let timer = pool.timer_create(ms(10_000), Seen::alarm);
    pool.event_cancel(timer);
    pool.timer_create(ms(0), Seen::alarm);
    let failing = pool.iod_new();
    let mut options = SocketOptions::default();
    options.local = Some("192.0.2.1:0".parse().unwrap());
    assert!(pool.iod_set_options(failing, options));
    pool.connect_udp(failing, server.address(), Seen::connected);
    assert_eq!(pool.run(&mut seen, LIMIT).unwrap(), Stop::NoEvents);
}

fn parse(text: &str) -> Vec<Value> {
    text.lines().map(|line| serde_json::from_str(line).unwrap()).collect()
}

/// The records of one step.
fn of<'a>(records: &'a [Value], step: &str) -> Vec<&'a Value> {
    records.iter().filter(|record| record["step"] == step).collect()
}

#[test]
fn every_ndjson_line_is_an_object_with_the_documented_keys() {
    let server = TcpEcho::start().unwrap();
    let (mut pool, text) = (Pool::new().unwrap(), Transcript::default());
    let start = pool.now();
    pool.trace_to(Level::Full, Ndjson::new(text.clone(), start));
    work(&mut pool, &server);
    let records = parse(&text.text());
    let times: Vec<f64> = records.iter().map(|record| record["t"].as_f64().unwrap()).collect();
    assert!(times.is_sorted() && times[0] >= 0.0);
    for record in &records {
        let keys: Vec<&String> = record.as_object().unwrap().keys().collect();
        assert_eq!(keys[..2], ["t", "step"], "{record}");
        assert!(record.get("scope").is_none(), "the default scope has no label: {record}");
        if let Some(eid) = record.get("eid") {
            let kinds = ["CONNECT", "", "READ", "WRITE", "TIMER"];
            let kind = usize::try_from(eid.as_u64().unwrap() % 8).unwrap();
            assert_eq!(record["kind"], kinds[kind], "{record}");
        }
    }
    let steps: BTreeSet<&str> = records.iter().map(|record| record["step"].as_str().unwrap()).collect();
    let all = [
        "armed",
        "binding",
        "callback",
        "cancel",
        "event_new",
        "iod_delete",
        "iod_new",
        "loop",
        "ready",
        "released",
        "removed",
        "request",
        "setup_failed",
        "timer",
        "turn",
    ];
    assert!(all.iter().all(|step| steps.contains(step)), "{steps:?}");
    assert!(!text.text().contains("secret"), "payloads are given by their length");
}

#[test]
fn ndjson_tells_who_asked_for_what_where_and_how_it_ended() {
    let server = TcpEcho::start().unwrap();
    let (mut pool, text) = (Pool::new().unwrap(), Transcript::default());
    let start = pool.now();
    pool.trace_to(Level::Full, Ndjson::new(text.clone(), start));
    work(&mut pool, &server);
    let records = parse(&text.text());
    let peer = server.address().to_string();

    let requests = of(&records, "request");
    let calls: Vec<&str> = requests.iter().map(|request| request["call"].as_str().unwrap()).collect();
    assert_eq!(calls, ["connect_tcp", "timer_create", "timer_create", "connect_udp", "write", "readlines"]);
    assert_eq!((&requests[0]["to"], &requests[0]["limit"]), (&Value::from(peer.clone()), &Value::from(5.0)));
    assert!(requests[0].get("parent").is_none());
    assert_eq!((&requests[4]["parent"], &requests[4]["bytes"]), (&Value::from(8), &Value::from(7)));
    assert_eq!(requests[5]["parent"], requests[4]["eid"], "the chain of handlers can be followed");
    assert_eq!((&requests[5]["wanted"], &requests[5]["peer"]), (&Value::from(1), &Value::from(peer)));
    for request in &requests {
        assert!(request["place"].as_str().unwrap().starts_with("tests/it/traces.rs:"), "{request}");
    }

    let callbacks = of(&records, "callback");
    let read = callbacks.iter().find(|callback| callback["kind"] == "READ").unwrap();
    assert_eq!(
        (&read["status"], &read["bytes"], &read["end"]),
        (&"SUCCESS".into(), &7.into(), &"enough".into())
    );
    assert!(read["fd"].as_i64().unwrap() > 2);
    let failed = callbacks.iter().find(|callback| callback["status"] == "ERROR").unwrap();
    assert_eq!((&failed["errno"], &failed["error"]), (&99.into(), &"Cannot assign requested address".into()));
    assert!(callbacks.iter().any(|callback| callback["status"] == "CANCELLED"));
    let setup = of(&records, "setup_failed")[0];
    let during = "binding the local address";
    assert_eq!((&setup["during"], &setup["local"]), (&during.into(), &"192.0.2.1:0".into()));
    let cancel = of(&records, "cancel")[0];
    assert_eq!((&cancel["found"], &cancel["notice"]), (&true.into(), &true.into()));
    // Every event that was made is over.
    let eids =
        |step: &str| of(&records, step).iter().map(|made| made["eid"].as_u64()).collect::<BTreeSet<_>>();
    assert_eq!(eids("event_new"), eids("released"));
}

#[test]
fn the_ring_keeps_the_last_records_without_payloads_and_counts_the_lost() {
    let server = TcpEcho::start().unwrap();
    let mut pool = Pool::new().unwrap();
    let start = pool.now();
    let all = std::rc::Rc::new(std::cell::RefCell::new(Vec::new()));
    let copy = all.clone();
    pool.trace_to(Level::Full, move |record: &Record<'_>| copy.borrow_mut().push(record.step));
    pool.trace_ring(10);
    work(&mut pool, &server);
    let all = all.borrow();
    let ring = pool.ring().unwrap();
    let kept: Vec<Step> = ring.iter().map(|record| record.step).collect();
    assert_eq!(kept, all[all.len() - 10..]);
    assert_eq!(ring.dropped(), all.len() as u64 - 10);
    assert!(ring.iter().all(|record| record.payload.is_empty()));
    let mut dump = Vec::new();
    ring.dump(&mut dump, start).unwrap();
    assert_eq!(parse(&String::from_utf8(dump).unwrap()).len(), 10);
}

#[test]
fn a_sink_gets_no_more_than_its_level_and_nothing_after_the_trace_is_off() {
    let server = TcpEcho::start().unwrap();
    let mut pool = Pool::new().unwrap();
    let levels = [Level::Error, Level::Info, Level::Debug, Level::Full];
    let sinks = levels.map(|level| {
        let most = std::rc::Rc::new(std::cell::Cell::new((None, 0)));
        let copy = most.clone();
        pool.trace_to(level, move |record: &Record<'_>| {
            let (level, count) = copy.get();
            copy.set((level.max(Some(record.level())), count + 1));
        });
        most
    });
    work(&mut pool, &server);
    let seen = sinks.each_ref().map(|sink| sink.get());
    assert_eq!(seen.map(|(level, _)| level), levels.map(Some));
    assert!(seen.is_sorted_by_key(|(_, count)| *count), "each level includes those before it: {seen:?}");
    pool.trace_off();
    work(&mut pool, &server);
    assert_eq!(sinks.each_ref().map(|sink| sink.get()), seen);
}

/// What a logger was given: level, target, text.
static LOGGED: Mutex<Vec<(log::Level, String, String)>> = Mutex::new(Vec::new());

struct Logger;

impl log::Log for Logger {
    fn enabled(&self, metadata: &log::Metadata<'_>) -> bool {
        metadata.target().starts_with("nsock::") && metadata.target() != "nsock::timer"
    }

    fn log(&self, record: &log::Record<'_>) {
        // The back end logs too, without asking first.
        if self.enabled(record.metadata()) {
            let (target, text) = (record.target().to_owned(), record.args().to_string());
            LOGGED.lock().unwrap().push((record.level(), target, text));
        }
    }

    fn flush(&self) {}
}

#[test]
fn the_log_sink_has_a_target_for_each_kind_of_step() {
    in_own_process("traces::the_log_sink_has_a_target_for_each_kind_of_step", || {
        log::set_logger(&Logger).unwrap();
        log::set_max_level(log::LevelFilter::Trace);
        let server = TcpEcho::start().unwrap();
        let mut pool = Pool::new().unwrap();
        let start = pool.now();
        pool.trace_to(Level::Full, Log::new(start));
        work(&mut pool, &server);
        let logged = std::mem::take(&mut *LOGGED.lock().unwrap());
        let targets: BTreeSet<&str> = logged.iter().map(|(_, target, _)| target.as_str()).collect();
        let all = ["callback", "cancel", "connect", "iod", "read", "turn", "write"];
        assert_eq!(targets, all.map(|kind| format!("nsock::{kind}")).iter().map(String::as_str).collect());
        for (target, level, text) in [
            ("nsock::iod", log::Level::Info, "nsock_iod_new2(): nsock_iod_new (IOD #1)"),
            ("nsock::connect", log::Level::Debug, "NSE #8: Adding event (timeout in 5000ms)"),
            ("nsock::callback", log::Level::Info, "Callback: CONNECT SUCCESS for EID 8 ["),
            ("nsock::cancel", log::Level::Info, "Event #20 (type TIMER) cancelled"),
            ("nsock::turn", log::Level::Trace, "epoll_loop(): wait for events"),
            ("nsock::iod", log::Level::Error, "mksock_bind_addr(): Bind to 192.0.2.1:0 failed (IOD #2)"),
        ] {
            let found =
                logged.iter().any(|line| line.0 == level && line.1 == target && line.2.contains(text));
            assert!(found, "{target} {level} {text}\n{logged:#?}");
        }
        assert!(logged.iter().all(|(.., text)| text.starts_with("NSOCK ")));

        pool.trace_off();
        pool.timer_create(ms(10_000), Seen::alarm);
        drop(pool);
        let logged = LOGGED.lock().unwrap();
        if cfg!(debug_assertions) {
            let (level, target, text) = &logged[0];
            assert_eq!((*level, target.as_str()), (log::Level::Warn, "nsock::pool"));
            assert!(text.contains("1 event pending") && text.contains("tests/it/traces.rs:"), "{text}");
        } else {
            assert!(logged.is_empty());
        }
    });
}

#[test]
fn each_scope_counts_for_itself_and_ids_differ_all_the_same() {
    let (mut pool, mut seen) = (Pool::<Seen>::new().unwrap(), Seen::default());
    let dns = pool.scope("dns");
    assert_eq!((pool.scope("dns"), pool.scope("")), (dns, ScopeId::DEFAULT));
    let ours = (pool.iod_new(), pool.timer_create(ms(0), Seen::alarm));
    let theirs = pool.with_scope(dns, |io| (io.iod_new(), io.timer_create(ms(0), Seen::alarm)));
    let next = (pool.iod_new(), pool.timer_create(ms(0), Seen::alarm));
    let numbers = |(iod, event): (nsock::IodId, nsock::EventId)| (iod.number(), event.number());
    assert_eq!([ours, theirs, next].map(numbers), [(1, 12), (1, 12), (2, 20)]);
    assert!(ours.0 != theirs.0 && ours.1 != theirs.1);
    assert!(pool.forget(theirs.1) && pool.is_pending(ours.1));
    assert_eq!(finish(&mut pool, &mut seen), [Saw::Alarm, Saw::Alarm]);
}

#[test]
fn a_handler_runs_in_the_scope_of_its_event_and_what_it_asks_for_inherits_that() {
    let echo = UdpEcho::start().unwrap();
    let (mut pool, mut seen) = (Pool::<Seen>::new().unwrap(), Seen::default());
    let scopes = std::rc::Rc::new(std::cell::RefCell::new(Vec::new()));
    let copy = scopes.clone();
    pool.trace_to(Level::Info, move |record: &Record<'_>| {
        if let Step::Request { .. } = record.step {
            copy.borrow_mut().push((record.scope, record.event));
        }
    });
    let dns = pool.scope("dns");
    let iod = connect_udp(&mut pool, &mut seen, echo.address());
    let echoed = echo.address();
    pool.with_scope(dns, |io| {
        io.timer_create(ms(0), move |_: &mut Seen, io: &mut Io<Seen>, _| {
            let inner = io.iod_new();
            io.connect_udp(inner, echoed, |_: &mut Seen, io, ev| {
                io.write(ev.iod, b"x", LIMIT, Seen::sent);
            });
        });
    });
    // Not in the scope of the handlers that ran meanwhile.
    finish(&mut pool, &mut seen);
    pool.write(iod, b"y", LIMIT, Seen::sent);
    finish(&mut pool, &mut seen);
    let numbers = [("", 8), ("dns", 12), ("dns", 16), ("dns", 27), ("", 19)];
    assert_eq!(*scopes.borrow(), numbers.map(|(scope, number)| (scope, Some(number))));
    let report = pool.report();
    assert_eq!(report.iods.iter().map(|iod| iod.scope).collect::<Vec<_>>(), ["", "dns"]);
    assert!(report.to_string().contains("[dns] IOD #1"), "{report}");
}

#[test]
fn a_scope_is_traced_or_hidden_by_its_switch() {
    let (mut pool, mut seen) = (Pool::<Seen>::new().unwrap(), Seen::default());
    let transcript = Transcript::of(&mut pool, Level::Info);
    pool.trace_ring(100);
    let (dns, other) = (pool.scope("dns"), pool.scope("other"));
    pool.set_scope_trace(dns, false);
    for scope in [dns, other, ScopeId::DEFAULT] {
        pool.with_scope(scope, |io| io.timer_create(ms(0), Seen::alarm));
    }
    finish(&mut pool, &mut seen);
    assert_eq!(transcript.messages().len(), 4, "two timers made, two fired");
    assert!(pool.ring().unwrap().iter().all(|record| record.scope != "dns"));
    pool.set_scope_trace(dns, true);
    pool.with_scope(dns, |io| io.timer_create(ms(0), Seen::alarm));
    finish(&mut pool, &mut seen);
    assert_eq!(transcript.messages().len(), 6);
}
