//! The resolver on real sockets, beside its caller on one loop.

use std::cell::RefCell;
use std::net::{IpAddr, SocketAddr};
use std::rc::Rc;
use std::time::Duration;

use dns::{Answer, Driver, Outcome, Request, Resolver};
use nsock::trace::{ClassicText, Level, Record};
use nsock::{Io, Pool, Stop};
use testkit::{UdpServer, closed_port};

const LIMIT: Option<Duration> = Some(Duration::from_secs(20));

struct Names {
    dns: Driver<Self>,
    found: Vec<Answer>,
    scopes: Vec<u64>,
}

impl Names {
    fn answered(&mut self, io: &mut Io<Self>, answer: Answer) {
        self.found.push(answer);
        // The caller's own scope, whatever the resolver has been doing.
        let timer = io.timer_create(Duration::ZERO, |_, _, _| {});
        self.scopes.push(timer.serial());
    }
}

fn attach(pool: &mut Pool<Names>, servers: Vec<SocketAddr>) -> Names {
    let resolver =
        Resolver::new(dns::config_with_servers(servers), dns::unpredictable_ids().unwrap()).unwrap();
    let dns = Driver::attach(pool, resolver, |names| &mut names.dns, Names::answered);
    Names { dns, found: Vec::new(), scopes: Vec::new() }
}

/// An answer to a PTR query with one name of two labels.
fn answer(query: &[u8]) -> Vec<u8> {
    // Without what stands behind the question.
    let mut answer = query[..testkit::question_end(query).unwrap()].to_vec();
    (answer[2], answer[3], answer[7], answer[11]) = (0x81, 0x80, 1, 0);
    answer.extend_from_slice(b"\xc0\x0c\x00\x0c\x00\x01\x00\x00\x00\x3c\x00\x0e\x04host\x07example\x00");
    answer
}

#[test]
fn one_look_up_traces_the_ten_lines_of_the_transcripts() {
    let server = UdpServer::start(|query, _| {
        assert_eq!(query.len(), 44);
        vec![answer(query)]
    })
    .unwrap();
    let mut pool = Pool::<Names>::new().unwrap();
    let lines = Rc::new(RefCell::new(Vec::new()));
    let (sink, start) = (Rc::clone(&lines), pool.now());
    pool.trace_to(Level::Info, move |record: &Record<'_>| {
        if record.scope == dns::SCOPE && record.level() <= Level::Info {
            let line = ClassicText::new(record, start).unwrap().to_string();
            sink.borrow_mut().push(line.split_once("s] ").unwrap().1.to_owned());
        }
    });
    let mut names = attach(&mut pool, vec![server.address()]);
    names.dns.start(&mut pool, Request::Reverse("192.168.1.103".parse().unwrap())).unwrap();
    assert_eq!(pool.run(&mut names, LIMIT).unwrap(), Stop::NoEvents);
    assert_eq!(names.found[0].outcome.to_string(), "host.example");
    let peer = server.address();
    let lines = lines.borrow();
    let received =
        format!("nsock_trace_handler_callback(): Callback: READ SUCCESS for EID 18 [{peer}] (70 bytes): ");
    // The payload begins with the id of the query, which is different every time.
    let payload = lines[6].strip_prefix(&received).unwrap_or_else(|| panic!("{}", lines[6]));
    assert_eq!(&payload[12..], ".103.1.168.192.in-addr.arpa..............<...host.example.");
    let expected = [
        "nsock_iod_new2(): nsock_iod_new (IOD #1)".to_owned(),
        format!("nsock_connect_udp(): UDP connection requested to {peer} (IOD #1) EID 8"),
        format!("nsock_read(): Read request from IOD #1 [{peer}] (timeout: -1ms) EID 18"),
        format!("nsock_write(): Write request for 44 bytes to IOD #1 EID 27 [{peer}]"),
        format!("nsock_trace_handler_callback(): Callback: CONNECT SUCCESS for EID 8 [{peer}]"),
        format!("nsock_trace_handler_callback(): Callback: WRITE SUCCESS for EID 27 [{peer}]"),
        lines[6].clone(),
        format!("nsock_read(): Read request from IOD #1 [{peer}] (timeout: -1ms) EID 34"),
        "nsock_iod_delete(): nsock_iod_delete (IOD #1)".to_owned(),
        "nevent_delete(): nevent_delete on event #34 (type READ)".to_owned(),
    ];
    assert_eq!(*lines, expected);
}

#[test]
fn a_thousand_names_come_back_each_once_and_the_caller_keeps_its_scope() {
    let server = UdpServer::start(|query, _| vec![answer(query)]).unwrap();
    let mut pool = Pool::<Names>::new().unwrap();
    let mut names = attach(&mut pool, vec![server.address()]);
    for index in 0..1000u32 {
        let address = IpAddr::from((0xc612_0000 + index).to_be_bytes());
        names.dns.start(&mut pool, Request::Reverse(address)).unwrap();
    }
    assert_eq!(pool.run(&mut names, LIMIT).unwrap(), Stop::NoEvents);
    assert_eq!(names.found.len(), 1000);
    assert!(names.found.iter().all(|answer| answer.outcome.to_string() == "host.example"));
    assert_eq!(names.scopes, (1..=1000).collect::<Vec<u64>>());
    assert_eq!(pool.report().iods.len(), 0, "every socket is closed");
}

#[test]
fn a_server_that_is_not_there_costs_no_time_out() {
    let closed = closed_port().unwrap();
    let mut pool = Pool::<Names>::new().unwrap();
    let mut names = attach(&mut pool, vec![closed.address()]);
    for last in 1..=50u8 {
        names.dns.start(&mut pool, Request::Reverse(IpAddr::from([198, 18, 0, last]))).unwrap();
    }
    assert_eq!(pool.run(&mut names, LIMIT).unwrap(), Stop::NoEvents);
    assert_eq!(names.found.len(), 50);
    for answer in &names.found {
        assert!(matches!(answer.outcome, Outcome::Unreachable(_)), "{answer:?}");
    }
}

#[test]
fn what_is_known_is_answered_from_the_loop_and_not_from_the_request() {
    let mut pool = Pool::<Names>::new().unwrap();
    let mut names = attach(&mut pool, vec![]);
    names.dns.start(&mut pool, Request::Reverse("127.0.0.1".parse().unwrap())).unwrap();
    assert!(names.found.is_empty());
    pool.run(&mut names, LIMIT).unwrap();
    assert_eq!(names.found[0].outcome.to_string(), "localhost");
    names.dns.start(&mut pool, Request::Reverse("198.18.0.1".parse().unwrap())).unwrap();
    pool.run(&mut names, LIMIT).unwrap();
    assert_eq!(names.found[1].outcome, Outcome::NoServers);
}
