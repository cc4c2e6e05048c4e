//! Each test doctors one good trace so that it breaks one line of the contract.

use std::io::Cursor;
use std::time::Duration;

use nsock::trace::{Level, Ndjson};
use serde_json::{Map, Value};

use super::*;

/// A run with a bit of everything: microseconds, step, and what else the record says.
const GOOD: &str = "
0    iod_new   iod=1
0    event_new iod=1 eid=8 kind=CONNECT
0    request   iod=1 eid=8 kind=CONNECT limit=5
0    armed     iod=1 eid=8 kind=CONNECT
10   loop
10   turn
100  ready     iod=1
100  callback  iod=1 eid=8 kind=CONNECT status=SUCCESS
100  event_new iod=1 eid=19 kind=WRITE
100  request   iod=1 eid=19 kind=WRITE
100  event_new iod=1 eid=26 kind=READ
100  request   iod=1 eid=26 kind=READ limit=1
100  event_new iod=1 eid=34 kind=READ
100  request   iod=1 eid=34 kind=READ limit=0.001
100  released  iod=1 eid=8 kind=CONNECT
100  callback  iod=1 eid=19 kind=WRITE status=SUCCESS
100  released  iod=1 eid=19 kind=WRITE
100  turn
900  ready     iod=1
900  callback  iod=1 eid=26 kind=READ status=SUCCESS end=enough
900  event_new eid=44 kind=TIMER
900  request   eid=44 kind=TIMER limit=0.001
900  released  iod=1 eid=26 kind=READ
900  turn
1100 callback  iod=1 eid=34 kind=READ status=TIMEOUT
1100 event_new iod=1 eid=50 kind=READ
1100 request   iod=1 eid=50 kind=READ
1100 event_new iod=1 eid=58 kind=READ
1100 request   iod=1 eid=58 kind=READ
1100 cancel    iod=1 eid=58 kind=READ found=true notice=true
1100 removed   iod=1 eid=58 kind=READ notice=true
1100 released  iod=1 eid=34 kind=READ
1100 callback  iod=1 eid=58 kind=READ status=CANCELLED
1100 released  iod=1 eid=58 kind=READ
1100 turn
1900 timer     eid=44 kind=TIMER
1900 callback  eid=44 kind=TIMER status=SUCCESS
1900 cancel    eid=44 kind=TIMER found=false notice=true
1900 iod_delete iod=1
1900 removed   iod=1 eid=50 kind=READ notice=false
1900 released  iod=1 eid=50 kind=READ
1900 iod_new   iod=2
1900 event_new iod=2 eid=67 kind=WRITE
1900 request   iod=2 eid=67 kind=WRITE
1900 released  eid=44 kind=TIMER
1950 callback  iod=2 eid=67 kind=WRITE status=KILL
1950 released  iod=2 eid=67 kind=WRITE
1960 iod_delete iod=2
";

fn json(line: &str) -> String {
    let mut words = line.split_whitespace();
    let mut object = Map::new();
    let micros: f64 = words.next().unwrap().parse().unwrap();
    object.insert("t".into(), (micros / 1e6).into());
    object.insert("step".into(), words.next().unwrap().into());
    for (name, value) in words.map(|word| word.split_once('=').unwrap()) {
        object.insert(name.into(), serde_json::from_str(value).unwrap_or_else(|_| value.into()));
    }
    Value::from(object).to_string() + "\n"
}

fn judge(trace: &str, end: TraceEnd) -> Vec<Violation> {
    let lines: String = trace.lines().filter(|line| !line.is_empty()).map(json).collect();
    Oracle::check_ndjson(Cursor::new(lines), end).unwrap()
}

/// What the good trace breaks when one piece of its text (columns collapsed) is replaced.
#[track_caller]
fn doctored(from: &str, to: &str) -> Vec<Contract> {
    let good: Vec<String> =
        GOOD.lines().map(|line| line.split_whitespace().collect::<Vec<_>>().join(" ")).collect();
    let good = good.join("\n");
    assert_eq!(good.matches(from).count(), 1, "{from:?} is there once");
    let broken = judge(&good.replace(from, to), TraceEnd::Complete);
    assert!(!broken.is_empty(), "not noticed");
    broken.into_iter().map(|violation| violation.contract).collect()
}

#[test]
fn a_good_trace_passes() {
    assert_eq!(judge(GOOD, TraceEnd::Complete), []);
}

#[test]
fn a_violation_names_the_record_and_what_was_seen() {
    let trace = "0 iod_new iod=1\n0 iod_new iod=3\n";
    let broken = judge(trace, TraceEnd::Complete);
    assert_eq!(broken.len(), 1);
    assert_eq!(broken[0].to_string(), "record 2: Numbers: IOD #3 is made where #2 is next");
}

#[test]
fn a_handler_inside_a_request() {
    let from = "100 event_new iod=1 eid=26 kind=READ\n";
    let to = format!("{from}100 callback iod=1 eid=26 kind=READ status=EOF\n100 released iod=1 eid=26\n");
    assert_eq!(doctored(from, &to)[0], Contract::OnlyInTheLoop);
}

#[test]
fn a_handler_inside_a_request_outside_the_loop() {
    let from = "0 armed iod=1 eid=8 kind=CONNECT\n";
    let to = "0 callback iod=1 eid=8 kind=CONNECT status=ERROR\n0 released iod=1 eid=8\n";
    assert!(doctored(from, to).contains(&Contract::OnlyInTheLoop));
}

#[test]
fn a_handler_inside_a_cancel() {
    let from = "1100 released iod=1 eid=34 kind=READ\n1100 callback iod=1 eid=58 kind=READ status=CANCELLED\n1100 released iod=1 eid=58 kind=READ\n";
    let to = "1100 callback iod=1 eid=58 kind=READ status=CANCELLED\n1100 released iod=1 eid=58 kind=READ\n1100 released iod=1 eid=34 kind=READ\n";
    assert_eq!(doctored(from, to), [Contract::OnlyInTheLoop]);
}

#[test]
fn the_loop_inside_a_handler() {
    assert_eq!(
        doctored("1100 event_new iod=1 eid=50", "1100 turn\n1100 event_new iod=1 eid=50"),
        [Contract::OnlyInTheLoop]
    );
}

#[test]
fn a_second_call() {
    let from = "900 turn\n";
    let to =
        "900 callback iod=1 eid=26 kind=READ status=EOF\n900 released iod=1 eid=26 kind=READ\n900 turn\n";
    assert_eq!(doctored(from, to), [Contract::EndsOnce]);
}

#[test]
fn a_call_after_a_silent_end() {
    let from = "1950 callback iod=2";
    let to = "1900 callback iod=1 eid=50 kind=READ status=CANCELLED\n1900 released iod=1 eid=50 kind=READ\n1950 callback iod=2";
    assert_eq!(doctored(from, to), [Contract::EndsOnce]);
}

#[test]
fn a_request_that_never_ends() {
    let from = "100 callback iod=1 eid=19 kind=WRITE status=SUCCESS\n100 released iod=1 eid=19 kind=WRITE\n";
    assert!(doctored(from, "").contains(&Contract::EndsOnce));
    let loose = "0 event_new eid=12 kind=TIMER\n0 request eid=12 kind=TIMER limit=1\n";
    assert_eq!(judge(loose, TraceEnd::Complete).len(), 1);
    assert_eq!(judge(loose, TraceEnd::Pending), []);
}

#[test]
fn a_request_left_on_a_deleted_iod() {
    let from = "1900 removed iod=1 eid=50 kind=READ notice=false\n1900 released iod=1 eid=50 kind=READ\n";
    assert_eq!(
        doctored(from, ""),
        [Contract::EndsOnce, Contract::EndsOnce],
        "at the deletion and at the end"
    );
}

#[test]
fn a_result_on_a_deleted_iod() {
    let from = "1900 event_new iod=2 eid=67 kind=WRITE\n1900 request iod=2 eid=67 kind=WRITE\n";
    let broken = doctored(
        &format!(
            "{from}1900 released eid=44 kind=TIMER\n1950 callback iod=2 eid=67 kind=WRITE status=KILL\n1950 released iod=2 eid=67 kind=WRITE\n1960 iod_delete iod=2"
        ),
        &format!(
            "1900 iod_delete iod=2\n{from}1900 released eid=44 kind=TIMER\n1900 callback iod=2 eid=67 kind=WRITE status=SUCCESS\n1900 released iod=2 eid=67 kind=WRITE\n"
        ),
    );
    assert_eq!(broken, [Contract::EndsOnce]);
}

#[test]
fn a_removal_that_nobody_asked_for() {
    assert_eq!(
        doctored("1100 cancel iod=1 eid=58 kind=READ found=true notice=true\n", ""),
        [Contract::EndsOnce]
    );
}

#[test]
fn killed_while_the_pool_lives() {
    let killed = doctored("eid=26 kind=READ status=SUCCESS end=enough", "eid=26 kind=READ status=KILL");
    assert_eq!(killed, [Contract::EndsOnce]);
}

#[test]
fn another_result_after_a_cancel() {
    let seen = doctored("eid=58 kind=READ status=CANCELLED", "eid=58 kind=READ status=SUCCESS");
    assert!(seen.contains(&Contract::CancelWins));
    assert_eq!(
        doctored("eid=19 kind=WRITE status=SUCCESS", "eid=19 kind=WRITE status=CANCELLED"),
        [Contract::CancelWins]
    );
}

#[test]
fn a_later_read_that_succeeds_first() {
    let from = "900 callback iod=1 eid=26 kind=READ status=SUCCESS end=enough";
    let to = "900 callback iod=1 eid=34 kind=READ status=SUCCESS end=enough";
    assert_eq!(doctored(from, to)[0], Contract::Fifo);
}

#[test]
fn a_later_read_may_time_out_first() {
    let good = GOOD.replace(
        "900  callback  iod=1 eid=26 kind=READ status=SUCCESS end=enough",
        "900  callback  iod=1 eid=34 kind=READ status=TIMEOUT",
    );
    let good = good.replace("900  released  iod=1 eid=26 ", "900  released  iod=1 eid=34 ");
    let good = good.replace("eid=34 kind=READ limit=0.001", "eid=34 kind=READ limit=0.0008");
    let good = good.replace(
        "1100 callback  iod=1 eid=34 kind=READ status=TIMEOUT",
        "1100 callback  iod=1 eid=26 kind=READ status=SUCCESS",
    );
    let good = good.replace("1100 released  iod=1 eid=34 ", "1100 released  iod=1 eid=26 ");
    assert_eq!(judge(&good, TraceEnd::Complete), []);
}

#[test]
fn a_result_behind_a_time_out() {
    let late = "
0 iod_new iod=1
0 event_new iod=1 eid=8 kind=CONNECT
0 request iod=1 eid=8 kind=CONNECT
0 event_new eid=20 kind=TIMER
0 request eid=20 kind=TIMER limit=0
0 turn
5 timer eid=20 kind=TIMER
5 callback eid=20 kind=TIMER status=SUCCESS
5 released eid=20 kind=TIMER
5 callback iod=1 eid=8 kind=CONNECT status=SUCCESS
5 released iod=1 eid=8 kind=CONNECT
";
    let broken: Vec<_> = judge(late, TraceEnd::Complete).iter().map(|broken| broken.contract).collect();
    assert_eq!(broken, [Contract::ResultsFirst]);
}

#[test]
fn a_cancel_that_misses_or_finds_too_much() {
    let missed = doctored(
        "eid=58 kind=READ found=true notice=true\n1100 removed iod=1 eid=58 kind=READ notice=true\n1100 released iod=1 eid=34 kind=READ\n1100 callback iod=1 eid=58 kind=READ status=CANCELLED",
        "eid=58 kind=READ found=false notice=true\n1100 released iod=1 eid=34 kind=READ\n1100 callback iod=1 eid=58 kind=READ status=ERROR",
    );
    assert_eq!(missed, [Contract::StaleIds]);
    let found = doctored("eid=44 kind=TIMER found=false", "eid=44 kind=TIMER found=true");
    assert!(found.contains(&Contract::StaleIds));
}

#[test]
fn an_iod_deleted_twice() {
    let from = "1960 iod_delete iod=2";
    assert_eq!(doctored(from, "1960 iod_delete iod=2\n1960 iod_delete iod=2"), [Contract::StaleIds]);
}

#[test]
fn a_turn_without_bound() {
    let turn = |timers: u64| {
        let mut trace = String::new();
        for serial in 1..=timers {
            let eid = serial << 3 | 4;
            trace += &format!("0 event_new eid={eid} kind=TIMER\n0 request eid={eid} kind=TIMER limit=0\n");
        }
        trace += "0 turn\n";
        for serial in 1..=timers {
            let eid = serial << 3 | 4;
            trace += &format!("9 callback eid={eid} kind=TIMER status=SUCCESS\n9 released eid={eid}\n");
        }
        judge(&trace, TraceEnd::Complete).iter().map(|broken| broken.contract).collect::<Vec<_>>()
    };
    assert_eq!((turn(4096), turn(4097)), (vec![], vec![Contract::BoundedTurn]));
}

#[test]
fn a_time_that_goes_back_or_passes_within_a_turn() {
    assert!(doctored("10 loop", "0 loop\n20 loop").contains(&Contract::OneTimePerTurn));
    assert_eq!(
        doctored("900 released iod=1 eid=26", "901 released iod=1 eid=26")[0],
        Contract::OneTimePerTurn
    );
    let between = doctored("100 callback iod=1 eid=19", "101 callback iod=1 eid=19");
    assert!(between.contains(&Contract::OneTimePerTurn));
}

#[test]
fn out_of_time_before_its_time() {
    for (from, to) in [
        ("eid=34 kind=READ limit=0.001", "eid=34 kind=READ limit=0.002"),
        ("eid=34 kind=READ limit=0.001", "eid=34 kind=READ"),
        ("eid=44 kind=TIMER limit=0.001", "eid=44 kind=TIMER limit=0.5"),
        ("eid=26 kind=READ status=SUCCESS end=enough", "eid=26 kind=READ status=SUCCESS end=timedout"),
    ] {
        assert_eq!(doctored(from, to)[0], Contract::NeverEarly, "{to}");
    }
}

#[test]
fn a_serial_or_a_number_out_of_sequence() {
    assert!(doctored("1900 iod_new iod=2", "1900 iod_new iod=1").contains(&Contract::Numbers), "used again");
    assert!(doctored("1900 iod_new iod=2\n", "").contains(&Contract::Numbers), "never made");
    let skipped = GOOD.replace("eid=67 ", "eid=75 ");
    let broken = judge(&skipped, TraceEnd::Complete);
    assert_eq!(broken.iter().map(|broken| broken.contract).collect::<Vec<_>>(), [Contract::Numbers]);
    let kind = GOOD.replace("eid=67 ", "eid=66 ");
    assert!(judge(&kind, TraceEnd::Complete).iter().any(|broken| broken.contract == Contract::Numbers));
}

#[test]
fn scopes_count_for_themselves() {
    let trace = "
0 iod_new iod=1
0 iod_new iod=1 scope=dns
0 event_new eid=12 kind=TIMER scope=dns
0 request eid=12 kind=TIMER scope=dns limit=0
";
    assert_eq!(judge(trace, TraceEnd::Pending), []);
}

#[test]
fn what_is_no_record_is_refused_with_its_line() {
    for (line, why) in [
        ("{\"t\":1}", "line 2: no step"),
        ("{\"t\":1,\"step\":\"jump\"}", "line 2: unknown step jump"),
        ("[]", "line 2: no time t"),
        ("{", "line 2: EOF while parsing an object at line 1 column 1"),
    ] {
        let text = json("0 turn") + line;
        let error = Oracle::check_ndjson(Cursor::new(text), TraceEnd::Complete).unwrap_err();
        assert_eq!(error.to_string(), why);
    }
}

#[test]
fn a_real_trace_passes_live_and_from_its_file() {
    let oracle = Oracle::new();
    let file = Rc::new(RefCell::new(Vec::new()));
    let mut pool = nsock::Pool::<u32>::new().unwrap();
    let start = pool.now();
    let sink = Rc::clone(&file);
    pool.trace_to(Level::Full, oracle.clone());
    pool.trace_to(Level::Full, move |record: &Record<'_>| {
        Ndjson::new(&mut *sink.borrow_mut(), start).record(record);
    });
    for millis in 0..4 {
        pool.timer_create(Duration::from_millis(millis), |fired, io, _| {
            *fired += 1;
            let late = io.timer_create(Duration::from_secs(9), |_, _, _| ());
            io.event_cancel(late);
        });
    }
    let mut fired = 0;
    pool.run(&mut fired, None).unwrap();
    pool.timer_create(Duration::from_secs(9), |_, _, _| ());
    pool.shutdown(&mut fired);
    assert_eq!((fired, oracle.finish(TraceEnd::Complete)), (4, vec![]));
    assert!(oracle.records() > 40 && oracle.violations().is_empty());
    let lines = file.borrow();
    assert_eq!(Oracle::check_ndjson(lines.as_slice(), TraceEnd::Complete).unwrap(), []);
}
