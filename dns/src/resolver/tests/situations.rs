//! Everyday look-ups: one, many, shared, remembered, cancelled.

use std::net::IpAddr;

use super::network::*;
use crate::testing::{A, AAAA, CNAME, Response, wire};
use crate::{
    Config, ConfigError, Discard, Family, Full, HostName, Hosts, Outcome, REQUESTS_MAX, Request, ResolvConf,
    Resolver, Rotation, Source,
};

#[test]
fn one_look_up_is_one_socket_and_44_bytes() {
    let mut network = Network::new(vec![honest(20 * MILLISECOND)]);
    let id = network.start(Request::Reverse([192, 168, 1, 103].into()));
    network.drain();
    assert_eq!(network.sent[0].1.bytes.len(), 44);
    assert_eq!(network.sent[0].1.bytes[2..12], [1, 0, 0, 1, 0, 0, 0, 0, 0, 0]);
    network.run();
    assert_eq!((network.sent.len(), network.opened.len()), (1, 1));
    let (at, answer) = &network.answers[0];
    assert_eq!(*at - network.start, 20 * MILLISECOND);
    assert_eq!((answer.id, answer.tries, answer.elapsed), (id, 1, 20 * MILLISECOND));
    assert_eq!(answer.time_to_live, Some(60 * SECOND));
    assert_eq!(answer.outcome.to_string(), "h103-1.test");
    assert!(matches!(answer.source, Source::Server(server) if server.index() == 0));
    assert_eq!(network.resolver.poll_timeout(), None);
}

#[test]
fn up_to_sixteen_in_flight_share_a_socket_and_more_do_not() {
    let mut network = Network::new(vec![honest(MILLISECOND)]);
    network.sweep(10);
    assert_eq!(network.opened.len(), 1);
    let mut network = Network::new(vec![honest(20 * MILLISECOND)]);
    network.sweep(1000);
    assert_eq!(network.right_names(), 1000);
    assert_eq!(network.open_max, 8);
}

#[test]
fn a_sweep_at_twenty_milliseconds_takes_half_a_second() {
    let mut network = Network::new(vec![honest(20 * MILLISECOND)]);
    network.sweep(4096);
    assert_eq!((network.right_names(), network.sent.len()), (4096, 4096));
    assert!(network.elapsed() <= 500 * MILLISECOND, "{:?}", network.elapsed());
}

#[test]
fn names_survive_five_percent_of_loss() {
    let mut network = Network::new(vec![lossy(20 * MILLISECOND, 50)]);
    network.sweep(16_384);
    assert_eq!(network.right_names(), 16_384);
    assert!(network.elapsed() <= 2 * SECOND, "{:?}", network.elapsed());
}

#[test]
fn both_families_are_looked_up_backwards() {
    let mut network =
        Network::new(vec![answering(MILLISECOND, |query| Response::to(query).ptr("six.test").done())]);
    network.start(Request::Reverse("2001:db8::1".parse().unwrap()));
    network.run();
    assert_eq!(network.sent[0].1.bytes.len(), 90);
    assert_eq!(network.outcome().to_string(), "six.test");
}

#[test]
fn addresses_of_a_name_by_family() {
    let addresses: [IpAddr; 2] = ["198.18.0.7".parse().unwrap(), "fd00::7".parse().unwrap()];
    let mut network = Network::new(vec![answering(MILLISECOND, move |query| {
        let rtype = u16::from(query[query.len() - 3]);
        let address = if rtype == A { addresses[0] } else { addresses[1] };
        assert!(rtype == A || rtype == AAAA);
        Response::to(query).address(address).done()
    })]);
    network.start(Request::Forward("two.test.".to_owned(), Family::V4));
    network.start(Request::Forward("TWO.test".to_owned(), Family::V6));
    network.run();
    let outcomes: Vec<_> = network.answers.iter().map(|(_, answer)| &answer.outcome).collect();
    assert_eq!(
        outcomes,
        addresses.map(|address| Outcome::Addresses(vec![address])).iter().collect::<Vec<_>>()
    );
}

#[test]
fn a_delegated_zone_is_asked_for_its_alias() {
    // RFC 2317: the server of the parent zone knows the alias only.
    let alias = "7.0-127.0.18.198.in-addr.arpa";
    let mut network = Network::new(vec![answering(MILLISECOND, move |query| {
        if query.windows(5).any(|bytes| bytes == b"0-127") {
            Response::to(query).ptr("h7.test").done()
        } else {
            Response::to(query).record(&[0xc0, 12], CNAME, 60, &wire(alias)).done()
        }
    })]);
    network.ask(7);
    network.run();
    assert_eq!(network.outcome().to_string(), "h7.test");
    assert_eq!((network.answers[0].1.tries, network.elapsed()), (2, 2 * MILLISECOND));
}

#[test]
fn aliases_that_never_end_do() {
    let mut network = Network::new(vec![answering(MILLISECOND, |query| {
        let next = format!("a{}.test", query.len() + usize::from(query[0]));
        Response::to(query).record(&[0xc0, 12], CNAME, 60, &wire(&next)).done()
    })]);
    network.ask(1);
    network.run();
    assert_eq!(network.outcome().to_string(), "the DNS servers failed: aliases without an end");
    assert_eq!(network.sent.len(), 11);
}

#[test]
fn equal_questions_in_flight_are_asked_once() {
    let mut network = Network::new(vec![honest(20 * MILLISECOND)]);
    for _ in 0..100 {
        network.ask(7);
    }
    network.run();
    assert_eq!((network.sent.len(), network.right_names()), (1, 100));
}

#[test]
fn an_answer_is_remembered_and_so_is_absence() {
    let mut network = Network::new(vec![answering(MILLISECOND, |query| {
        if query[13] == b'7' {
            honest_answer(query)
        } else {
            Response::to(query).flags(0x8183).soa(60, 30).done()
        }
    })]);
    for _ in 0..2 {
        network.ask(7);
        network.ask(8);
        network.run();
    }
    assert_eq!(network.sent.len(), 2);
    let last = &network.answers[2..];
    assert!(last.iter().all(|(_, answer)| answer.source == Source::Cache && answer.tries == 0));
    network.now += 40 * SECOND;
    network.ask(7);
    network.ask(8);
    network.run();
    assert_eq!(network.sent.len(), 3);
}

#[test]
fn the_hosts_file_goes_first() {
    let hosts = Hosts::parse(b"198.18.0.7 Alpha.test\n");
    let mut network = Network::with(vec![], |config| config.hosts = hosts);
    network.ask(7);
    network.start(Request::Forward("alpha.TEST".to_owned(), Family::V4));
    network.start(Request::Reverse([127, 0, 0, 1].into()));
    network.start(Request::Forward("alpha.test".to_owned(), Family::V6));
    network.run();
    let outcomes: Vec<_> = network.answers.iter().map(|(_, answer)| answer.outcome.to_string()).collect();
    assert_eq!(outcomes[..3], ["Alpha.test", "198.18.0.7", "localhost"]);
    assert_eq!(network.answers[3].1.outcome, Outcome::NoServers);
    assert_eq!(network.answers[0].1.source, Source::Hosts);
}

#[test]
fn a_cancelled_request_ends_as_cancelled_and_only_that_one() {
    let mut network = Network::new(vec![honest(20 * MILLISECOND)]);
    let [first, second, third] = [network.ask(7), network.ask(7), network.ask(8)];
    network.run_for(5 * MILLISECOND);
    assert!(network.resolver.cancel(network.now, first));
    assert!(!network.resolver.cancel(network.now, first));
    assert!(network.resolver.cancel(network.now, third));
    network.run();
    let outcome = |id| &network.answers.iter().find(|(_, answer)| answer.id == id).unwrap().1.outcome;
    assert_eq!((outcome(first), outcome(third)), (&Outcome::Cancelled, &Outcome::Cancelled));
    assert_eq!(outcome(second).to_string(), "h7-0.test");
    assert!(!network.resolver.cancel(network.now, second));
}

#[test]
fn all_can_be_cancelled_at_once() {
    let mut network = Network::new(vec![silent(), silent()]);
    for index in 0..300 {
        network.ask(index % 200);
    }
    network.run_for(SECOND);
    network.resolver.cancel_all(network.now);
    network.run();
    assert_eq!(network.count(|outcome| *outcome == Outcome::Cancelled), 300);
    assert_eq!(network.elapsed(), SECOND);
}

#[test]
fn without_rotation_the_first_server_is_asked_and_with_it_each_in_turn() {
    for (rotation, at_first) in [(Rotation::InOrder, 10), (Rotation::Spread, 5)] {
        let servers = vec![honest(MILLISECOND), honest(MILLISECOND)];
        let mut network = Network::with(servers, |config| config.rotation = rotation);
        network.sweep(10);
        let first = network.sent.iter().filter(|(_, transmit)| transmit.server.index() == 0).count();
        assert_eq!(first, at_first, "{rotation:?}");
    }
}

#[test]
fn datagrams_are_accepted_only_after_sender_id_and_question() {
    let elsewhere = ([198, 18, 9, 9], 53).into();
    let other_port = (server_address(0).ip(), 5353).into();
    let mut network = Network::new(vec![Box::new(move |_, transmit| {
        let good = honest_answer(&transmit.bytes);
        let changed = |at: usize, value: u8| {
            let mut bytes = good.clone();
            bytes[at] ^= value;
            bytes
        };
        let mut effects: Vec<_> = [
            Effect::Forgery(elsewhere, good.clone()),
            Effect::Forgery(other_port, good.clone()),
            Effect::Forgery(elsewhere, Vec::new()),
            Effect::Reply(Vec::new()),
            Effect::Reply(good[..11].to_vec()),
            Effect::Reply(changed(0, 1)),
            Effect::Reply(changed(2, 0x80)),
            Effect::Reply(changed(2, 0x10)),
            Effect::Reply(changed(13, 1)),
            Effect::Reply(changed(5, 2)),
            Effect::Reply(Response::to(&transmit.bytes).count(1).done()),
            Effect::Reply(
                Response::to(&transmit.bytes).record(&wire("x.test"), 12, 1, &wire("x.test")).done(),
            ),
        ]
        .map(|effect| (MILLISECOND, effect))
        .into();
        effects.push((20 * MILLISECOND, Effect::Reply(good)));
        effects
    })]);
    network.ask(7);
    network.run();
    let expected = [
        Discard::OtherSender,
        Discard::OtherSender,
        Discard::OtherSender,
        Discard::Short,
        Discard::Short,
        Discard::UnknownId,
        Discard::NotAResponse,
        Discard::NotAResponse,
        Discard::OtherQuestion,
        Discard::OtherQuestion,
        Discard::Damaged,
        Discard::Unrelated,
    ];
    assert_eq!(network.discards, expected);
    assert_eq!(network.resolver.counters().discarded, 12);
    assert_eq!((network.outcome().to_string().as_str(), network.sent.len()), ("h7-0.test", 1));
}

#[test]
fn duplicates_are_thrown_away() {
    let mut network = Network::new(vec![Box::new(|_, transmit| {
        let good = honest_answer(&transmit.bytes);
        (1..=3).map(|delay| (delay * MILLISECOND, Effect::Reply(good.clone()))).collect()
    })]);
    network.sweep(3);
    assert_eq!(network.right_names(), 3);
    // The first answer of the last name closes the socket.
    assert!(network.discards.iter().all(|why| *why == Discard::UnknownId));
}

#[test]
fn more_than_the_most_requests_are_refused_and_given_back() {
    let mut network = Network::new(vec![silent()]);
    for _ in 0..REQUESTS_MAX {
        network.ask(1);
    }
    let request = Request::Reverse(host(2));
    assert_eq!(network.resolver.start(network.now, request.clone()), Err(Full(request.clone())));
    network.resolver.cancel_all(network.now);
    assert!(network.resolver.start(network.now, request.clone()).is_err());
    assert!(network.resolver.poll_answer().is_some());
    assert!(network.resolver.start(network.now, request).is_ok());
}

#[test]
fn settings_of_the_system_are_taken_over() {
    let conf = ResolvConf::parse(b"options timeout:1 attempts:2 rotate\n");
    let config = Config::new(vec![server_address(0), server_address(1)]).with_resolv_conf(&conf);
    assert_eq!((config.tries_max, config.try_timeout_max, config.rotation), (4, SECOND, Rotation::Spread));
    let plain = Config::new(vec![server_address(0)]).with_resolv_conf(&ResolvConf::default());
    assert_eq!((plain.tries_max, plain.rotation), (8, Rotation::InOrder));
}

#[test]
fn servers_are_used_once_and_not_without_number() {
    let twice = Config::new(vec![server_address(0), server_address(1), server_address(0)]);
    let resolver = Resolver::new(twice, || 0).unwrap();
    assert_eq!(resolver.servers().collect::<Vec<_>>(), [server_address(0), server_address(1)]);
    let many = Config::new((0..17).map(server_address).collect());
    assert_eq!(Resolver::new(many, || 0).unwrap_err(), ConfigError::TooManyServers(17));
}

#[test]
fn a_generator_that_repeats_itself_still_gives_free_ids() {
    let mut resolver = Resolver::new(Config::new(vec![server_address(0)]), || 7).unwrap();
    let now = crate::testing::start_of_time();
    for index in 0..10 {
        resolver.start(now, Request::Reverse(host(index))).unwrap();
    }
    let ids: Vec<_> =
        std::iter::from_fn(|| resolver.poll_transmit(now)).map(|transmit| transmit.bytes[1]).collect();
    assert_eq!(ids, (7..17).collect::<Vec<_>>());
}

#[test]
fn names_come_out_harmless() {
    let mut network = Network::new(vec![answering(MILLISECOND, |query| {
        Response::to(query)
            .record(&[0xc0, 12], 12, 9, &crate::testing::raw(&[b"\x1b]0;x\x07", b"test"]))
            .done()
    })]);
    network.ask(1);
    network.run();
    assert_eq!(network.outcome().to_string(), "**0*x*.test");
    let Outcome::Names(names) = network.outcome() else { panic!("no names") };
    assert_eq!(names[0].escaped().to_string(), r"\027\0930\059x\007.test");
    assert_ne!(names[0], HostName::parse("x.test").unwrap());
}
