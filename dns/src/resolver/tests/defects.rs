//! The defects listed in `spec/dns.md` 6 that a core can have, by their numbers.

use std::collections::BTreeMap;
use std::io;

use super::network::*;
use crate::testing::{CNAME, DNAME, PTR, Response, wire};
use crate::{Family, InvalidName, Outcome, Request, ServerFault, SystemError};

fn refused() -> Outcome {
    Outcome::Unreachable(SystemError::from(&io::ErrorKind::ConnectionRefused.into()))
}

#[test]
fn d01_a_closed_port_ends_the_batch_at_once() {
    for count in [1, 4096] {
        let mut network = Network::new(vec![closed_port()]);
        network.sweep(count);
        assert_eq!(network.count(|outcome| *outcome == refused()), count as usize);
        assert!(network.elapsed() < 50 * MILLISECOND, "{:?}", network.elapsed());
        assert!(network.sent.len() <= 30);
    }
}

#[test]
fn d02_a_server_that_cannot_be_connected_ends_the_batch_at_once() {
    for kind in [io::ErrorKind::NetworkUnreachable, io::ErrorKind::InvalidInput] {
        let mut network = Network::new(vec![erring(Default::default(), kind)]);
        network.sweep(100);
        let unreachable = Outcome::Unreachable(SystemError::from(&kind.into()));
        assert_eq!(network.count(|outcome| *outcome == unreachable), 100);
        assert!(network.elapsed() < 50 * MILLISECOND);
    }
}

#[test]
fn d03_answers_with_ad_or_cd_are_used() {
    let mut network = Network::new(vec![answering(MILLISECOND, |query| {
        Response::to(query).ptr("a.test").flags(0x81b0).done()
    })]);
    network.ask(1);
    network.run();
    assert_eq!((network.outcome().to_string().as_str(), network.sent.len()), ("a.test", 1));
}

#[test]
fn d04_servfail_fails_over_at_once() {
    let failing = answering(20 * MILLISECOND, |query| Response::rcode(query, 2));
    let mut network = Network::new(vec![failing, honest(20 * MILLISECOND)]);
    network.ask(1);
    network.run();
    assert_eq!((network.right_names(), network.elapsed()), (1, 40 * MILLISECOND));
}

#[test]
fn d04_servfail_is_the_verdict_only_after_all_said_so() {
    let failing = || answering(20 * MILLISECOND, |query| Response::rcode(query, 2));
    let mut network = Network::new(vec![failing(), failing(), failing()]);
    network.ask(1);
    network.run();
    assert_eq!(*network.outcome(), Outcome::ServerFailure(ServerFault::Rcode(2)));
    assert_eq!((network.sent.len(), network.elapsed()), (3, 60 * MILLISECOND));
}

#[test]
fn d05_refused_notimp_and_formerr_fail_over_at_once() {
    for (rcode, verdict) in [
        (1, Outcome::ServerFailure(ServerFault::Rcode(1))),
        (4, Outcome::ServerFailure(ServerFault::Rcode(4))),
        (5, Outcome::Refused),
    ] {
        let failing = || answering(20 * MILLISECOND, move |query| Response::rcode(query, rcode));
        let mut network = Network::new(vec![failing(), honest(20 * MILLISECOND)]);
        network.ask(1);
        network.run();
        assert_eq!((network.right_names(), network.elapsed()), (1, 40 * MILLISECOND));
        let mut network = Network::new(vec![failing()]);
        network.ask(1);
        network.run();
        assert_eq!((network.outcome(), network.elapsed()), (&verdict, 20 * MILLISECOND));
    }
}

#[test]
fn d06_response_code_11_is_not_no_such_name() {
    let mut network = Network::new(vec![answering(MILLISECOND, |query| Response::rcode(query, 11))]);
    network.ask(1);
    network.run();
    assert_eq!(*network.outcome(), Outcome::ServerFailure(ServerFault::Rcode(11)));
}

#[test]
fn d07_an_unknown_record_type_does_not_void_the_answer() {
    let mut network = Network::new(vec![answering(MILLISECOND, |query| {
        Response::to(query)
            .record(&wire("18.198.in-addr.arpa"), DNAME, 9, &wire("r.test"))
            .ptr("a.test")
            .done()
    })]);
    network.ask(1);
    network.run();
    assert_eq!((network.outcome().to_string().as_str(), network.sent.len()), ("a.test", 1));
}

#[test]
fn a_truncated_answer_fails_over_and_is_no_absence() {
    let truncated = || answering(MILLISECOND, |query| Response::to(query).flags(0x8380).done());
    let mut network = Network::new(vec![truncated(), honest(MILLISECOND)]);
    network.ask(1);
    network.run();
    assert_eq!(network.right_names(), 1);
    let mut network = Network::new(vec![truncated()]);
    network.ask(1);
    network.run();
    assert_eq!(*network.outcome(), Outcome::ServerFailure(ServerFault::Truncated));
}

#[test]
fn d08_a_name_that_does_not_exist_is_asked_for_once_and_nobody_else_is() {
    let denying = || answering(MILLISECOND, |query| Response::rcode(query, 3));
    let mut network = Network::new(vec![denying(), honest(MILLISECOND)]);
    network.start(Request::Forward("nx.test".to_owned(), Family::V4));
    network.run();
    assert_eq!((network.outcome(), network.sent.len()), (&Outcome::NoSuchName, 1));
}

#[test]
fn d12_bad_names_cost_no_datagram_and_no_time() {
    let mut network = Network::new(vec![honest(MILLISECOND)]);
    let label = "a".repeat(64);
    for name in [label.as_str(), "a..b", ".b", ""] {
        network.start(Request::Forward(name.to_owned(), Family::V4));
    }
    network.run();
    let bad =
        [InvalidName::LongLabel(64), InvalidName::EmptyLabel, InvalidName::EmptyLabel, InvalidName::Empty];
    let outcomes: Vec<_> = network.answers.iter().map(|(_, answer)| answer.outcome.clone()).collect();
    assert_eq!(outcomes, bad.map(Outcome::BadInput));
    assert!(network.sent.is_empty() && network.elapsed().is_zero());
}

#[test]
fn d13_each_try_has_an_id_and_a_port_of_its_own() {
    let mut count = 0;
    let mut network = Network::new(vec![Box::new(move |_, transmit| {
        count += 1;
        let answer = vec![(MILLISECOND, Effect::Reply(honest_answer(&transmit.bytes)))];
        if count <= 2 { Vec::new() } else { answer }
    })]);
    network.ask(1);
    network.run();
    assert_eq!((network.right_names(), network.sent.len()), (1, 3));
    let ids: std::collections::BTreeSet<_> =
        network.sent.iter().map(|(_, it)| it.bytes[..2].to_vec()).collect();
    let sockets: std::collections::BTreeSet<_> = network.sent.iter().map(|(_, it)| it.socket).collect();
    assert_eq!((ids.len(), sockets.len()), (3, 3));
}

#[test]
fn d14_a_negative_last_answer_costs_nothing_more() {
    let mut network = Network::new(vec![answering(20 * MILLISECOND, |query| Response::rcode(query, 3))]);
    network.ask(1);
    network.run();
    assert_eq!((network.outcome(), network.elapsed()), (&Outcome::NoSuchName, 20 * MILLISECOND));
}

#[test]
fn d15_retries_do_not_wait_behind_fresh_names() {
    let mut network = Network::new(vec![lossy(20 * MILLISECOND, 10)]);
    network.sweep(16_384);
    let mut first = BTreeMap::new();
    for (at, transmit) in &network.sent {
        first.entry(question(&transmit.bytes)).or_insert(*at);
    }
    let mut latencies: Vec<_> = Vec::new();
    for (at, answer) in &network.answers {
        let Request::Reverse(address) = answer.request else { continue };
        let name = wire(&crate::HostName::reverse(address).to_string());
        latencies.push(*at - first[&name]);
    }
    latencies.sort();
    let percentile = latencies[latencies.len() * 999 / 1000];
    assert!(percentile < 400 * MILLISECOND, "{percentile:?}");
}

#[test]
fn d16_loss_of_one_percent_costs_little() {
    let mut network = Network::new(vec![lossy(20 * MILLISECOND, 10)]);
    network.sweep(4096);
    assert_eq!(network.right_names(), 4096);
    assert!(network.elapsed() <= 800 * MILLISECOND, "{:?}", network.elapsed());
}

#[test]
fn d17_black_holes_cost_five_seconds_whatever_the_batch() {
    for (servers, count) in [(1, 1), (1, 100), (1, 4096), (3, 4096), (16, 1000)] {
        let mut network = Network::new((0..servers).map(|_| silent()).collect());
        network.sweep(count);
        assert_eq!(network.count(|outcome| *outcome == Outcome::TimedOut), count as usize);
        assert!(network.elapsed() <= 5 * SECOND, "{servers} servers, {count} names: {:?}", network.elapsed());
    }
}

#[test]
fn d21_an_alias_behind_its_target_is_followed() {
    let mut network = Network::new(vec![answering(MILLISECOND, |query| {
        let alias = wire("1.sub.test");
        Response::to(query)
            .record(&alias, PTR, 9, &wire("a.test"))
            .record(&[0xc0, 12], CNAME, 9, &alias)
            .done()
    })]);
    network.ask(1);
    network.run();
    assert_eq!((network.outcome().to_string().as_str(), network.sent.len()), ("a.test", 1));
}

#[test]
fn d24_more_names_than_ids_are_all_answered() {
    let mut network = Network::new(vec![honest(2 * MILLISECOND)]);
    network.sweep(70_000);
    assert_eq!((network.right_names(), network.discards.len()), (70_000, 0));
}

#[test]
fn d25_an_old_answer_is_asked_for_again() {
    let mut network = Network::new(vec![answering(MILLISECOND, |query| {
        Response::to(query).record(&[0xc0, 12], PTR, 1, &wire("a.test")).done()
    })]);
    for (after, sent) in [(0, 300), (0, 300), (2, 600)] {
        network.now += after * SECOND;
        network.sweep(300);
        assert_eq!(network.sent.len(), sent);
    }
}

#[test]
fn d28_several_names_are_all_kept_in_a_stable_order() {
    let mut count = 0;
    let mut network = Network::with(
        vec![Box::new(move |_, transmit| {
            count += 1;
            let [one, two] = if count == 1 { ["a.test", "b.test"] } else { ["b.test", "a.test"] };
            vec![(MILLISECOND, Effect::Reply(Response::to(&transmit.bytes).ptr(one).ptr(two).done()))]
        })],
        |config| config.cache_entries_max = 0,
    );
    for _ in 0..2 {
        network.ask(1);
        network.run();
    }
    let outcomes: Vec<_> = network.answers.iter().map(|(_, answer)| answer.outcome.to_string()).collect();
    assert_eq!(outcomes, ["a.test b.test", "a.test b.test"]);
}

#[test]
fn d29_a_refusing_first_server_costs_no_time() {
    let mut network = Network::new(vec![closed_port(), honest(20 * MILLISECOND)]);
    network.ask(1);
    network.run();
    assert_eq!(network.right_names(), 1);
    assert!(network.elapsed() < 25 * MILLISECOND);
}

#[test]
fn d31_late_answers_leave_the_count_of_those_in_flight_right() {
    // Each answer comes after its time-out; `check` recounts at every step.
    let mut network = Network::new(vec![Box::new(|rng, transmit| {
        let delay = rng.u32(300..1300) * MILLISECOND;
        vec![(delay, Effect::Reply(honest_answer(&transmit.bytes)))]
    })]);
    for round in 0..3 {
        for index in 0..40 {
            network.ask(100 * round + index);
        }
        network.run();
    }
    assert_eq!(network.right_names(), 120);
}
