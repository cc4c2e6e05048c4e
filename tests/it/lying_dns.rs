//! The resolver on real sockets against a server that lies, stammers and dawdles.

use std::net::IpAddr;
use std::time::Duration;

use dns::{Answer, Config, Driver, Outcome, Request, Resolver};
use nsock::{Io, Pool, Stop};
use testkit::{DnsAnswer, DnsQuestion, DnsTransport, LyingDns, Say, closed_port};

const LIMIT: Option<Duration> = Some(Duration::from_secs(20));

struct Names {
    dns: Driver<Self>,
    found: Vec<Answer>,
}

impl Names {
    fn answered(&mut self, _: &mut Io<Self>, answer: Answer) {
        self.found.push(answer);
    }
}

/// Looks up that many addresses at a server of this script, and gives what came of them and what the server heard.
fn look_up(count: u8, server: &LyingDns) -> Vec<Answer> {
    let mut pool = Pool::<Names>::new().unwrap();
    let config = Config::new(vec![server.address()]);
    let resolver = Resolver::new(config, dns::unpredictable_ids().unwrap()).unwrap();
    let dns = Driver::attach(&mut pool, resolver, |names| &mut names.dns, Names::answered);
    let mut names = Names { dns, found: Vec::new() };
    for last in 1..=count {
        names.dns.start(&mut pool, Request::Reverse(IpAddr::from([198, 18, 0, last]))).unwrap();
    }
    assert_eq!(pool.run(&mut names, LIMIT).unwrap(), Stop::NoEvents);
    assert_eq!(names.found.len(), usize::from(count), "each is settled once");
    assert_eq!(pool.report().iods.len(), 0, "every socket is closed");
    names.found
}

fn truth(question: &DnsQuestion) -> DnsAnswer {
    DnsAnswer::to(&question.bytes).pointer("true.example")
}

#[track_caller]
fn expect_the_truth(answers: &[Answer]) {
    for answer in answers {
        assert_eq!(answer.outcome.to_string(), "true.example", "{answer:?}");
    }
}

#[test]
fn the_truth_is_found_behind_every_kind_of_lie() {
    type Lie = fn(&DnsQuestion) -> Say;
    let lies: [(&str, Lie); 9] = [
        ("another id", |question| Say::now(false_one(question).id(question.id() ^ 1).done())),
        ("another question", |question| {
            let mut other = question.bytes.clone();
            other[13] ^= 1;
            Say::now(DnsAnswer::to(&other).pointer("false.example").done())
        }),
        ("another port", |question| Say::now(false_one(question).done()).by_other_port()),
        ("another host", |question| Say::now(false_one(question).done()).by_other_host()),
        ("a query", |question| Say::now(question.bytes.clone())),
        ("garbage", |question| Say::now([&question.id().to_be_bytes()[..], &[0xff; 90]].concat())),
        ("half a header", |question| Say::now(question.bytes[..7].to_vec())),
        ("a name that points to itself", |question| {
            let answer = DnsAnswer::to(&question.bytes);
            let at = u16::try_from(answer.length() + 12).unwrap() | 0xc000;
            Say::now(answer.pointer_to(&at.to_be_bytes()).done())
        }),
        ("records of somebody else", |question| {
            let name = b"\x05other\x07example\0";
            Say::now(DnsAnswer::to(&question.bytes).record(name, 12, 60, name).done())
        }),
    ];
    for (what, lie) in lies {
        let server =
            LyingDns::start(move |question| vec![lie(question), Say::now(truth(question).done())]).unwrap();
        let answers = look_up(20, &server);
        expect_the_truth(&answers);
        assert!(answers.iter().all(|answer| answer.tries == 1), "{what}: {answers:?}");
    }
}

fn false_one(question: &DnsQuestion) -> DnsAnswer {
    DnsAnswer::to(&question.bytes).pointer("false.example")
}

#[test]
fn an_answer_twice_and_one_too_late_settle_a_name_once() {
    let server = LyingDns::start(|question| {
        let answer = Say::now(truth(question).done());
        // The first try of all is answered after the second.
        let pause = if question.number == 0 { Duration::from_millis(600) } else { Duration::ZERO };
        vec![answer.clone().after(pause), answer.after(pause)]
    })
    .unwrap();
    expect_the_truth(&look_up(3, &server));
}

#[test]
fn d03_the_bit_for_validated_answers_is_no_reason_to_lose_one() {
    let server = LyingDns::start(|question| vec![Say::now(truth(question).flags(0x81a0).done())]).unwrap();
    expect_the_truth(&look_up(3, &server));
}

#[test]
fn d09_answers_of_64_kib_come_by_tcp_however_they_are_cut() {
    let server = LyingDns::start(|question| match question.transport {
        DnsTransport::Udp => vec![Say::now(DnsAnswer::to(&question.bytes).flags(0x8380).done())],
        DnsTransport::Tcp => {
            let mut answer = truth(question);
            while answer.length() < 65_000 {
                answer = answer.record(&[0xc0, 12], 16, 60, &[b'x'; 250]);
            }
            vec![Say::now(answer.done())]
        }
    })
    .unwrap();
    expect_the_truth(&look_up(3, &server));
    let bytewise = LyingDns::start(|question| match question.transport {
        DnsTransport::Udp => vec![Say::now(DnsAnswer::to(&question.bytes).flags(0x8380).done())],
        DnsTransport::Tcp => vec![Say::now(truth(question).done()).bytewise(Duration::from_millis(1))],
    })
    .unwrap();
    expect_the_truth(&look_up(3, &bytewise));
}

#[test]
fn a_connection_that_is_closed_in_the_middle_of_an_answer_is_opened_again() {
    let server = LyingDns::start(|question| match question.transport {
        DnsTransport::Udp => vec![Say::now(DnsAnswer::to(&question.bytes).flags(0x8380).done())],
        DnsTransport::Tcp if question.number < 2 => vec![Say::now(truth(question).done()).cut(20)],
        DnsTransport::Tcp => vec![Say::now(truth(question).done())],
    })
    .unwrap();
    expect_the_truth(&look_up(1, &server));
}

#[test]
fn a_server_that_drips_by_tcp_costs_no_more_than_the_time_a_name_has() {
    let server = LyingDns::start(|question| match question.transport {
        DnsTransport::Udp => vec![Say::now(DnsAnswer::to(&question.bytes).flags(0x8380).done())],
        DnsTransport::Tcp => vec![Say::now(truth(question).done()).bytewise(Duration::from_secs(1))],
    })
    .unwrap();
    let answers = look_up(2, &server);
    assert!(answers.iter().all(|answer| matches!(answer.outcome, Outcome::ServerFailure(_))), "{answers:?}");
}

#[test]
fn without_tcp_what_fitted_a_datagram_is_the_answer() {
    let server =
        LyingDns::start_without_tcp(|question| vec![Say::now(truth(question).flags(0x8380).done())]).unwrap();
    expect_the_truth(&look_up(5, &server));
}

#[test]
fn letters_that_come_back_small_cost_no_name() {
    let lower = |question: &DnsQuestion| {
        let mut small = question.bytes.clone();
        let end = testkit::question_end(&small).unwrap();
        small[12..end].make_ascii_lowercase();
        vec![Say::now(DnsAnswer::to(&small).pointer("true.example").done())]
    };
    expect_the_truth(&look_up(50, &LyingDns::start(lower).unwrap()));
    expect_the_truth(&look_up(50, &LyingDns::start_without_tcp(lower).unwrap()));
}

#[test]
fn d01_d29_a_port_that_is_closed_costs_no_time_and_no_processor() {
    let closed = closed_port().unwrap();
    let server = LyingDns::start(|question| vec![Say::now(truth(question).done())]).unwrap();
    let mut pool = Pool::<Names>::new().unwrap();
    let config = Config::new(vec![closed.address(), server.address()]);
    let resolver = Resolver::new(config, dns::unpredictable_ids().unwrap()).unwrap();
    let dns = Driver::attach(&mut pool, resolver, |names| &mut names.dns, Names::answered);
    let mut names = Names { dns, found: Vec::new() };
    names.dns.start(&mut pool, Request::Reverse(IpAddr::from([198, 18, 0, 1]))).unwrap();
    pool.run(&mut names, LIMIT).unwrap();
    expect_the_truth(&names.found);
    assert!((1..=2).contains(&names.found[0].tries), "{:?}", names.found);
}
