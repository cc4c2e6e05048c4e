//! What keeps forgeries out, what does not fit a datagram, and servers that cannot do the one or the other.

use std::io;
use std::num::NonZeroU32;

use super::network::*;
use crate::testing::{ANSWER, Response};
use crate::{Discard, Outcome, ServerFault, Transmit, Transport};

/// Flags of an answer that does not fit.
const TRUNCATED: u16 = 0x8380;

fn is_tcp(transmit: &Transmit) -> bool {
    transmit.transport == Transport::Tcp
}

/// One answer, a millisecond later.
fn soon(bytes: Vec<u8>) -> Vec<(std::time::Duration, Effect)> {
    vec![(MILLISECOND, Effect::Reply(bytes))]
}

fn refused() -> Vec<(std::time::Duration, Effect)> {
    vec![(MILLISECOND, Effect::Error(io::ErrorKind::ConnectionRefused))]
}

/// An answer in small letters, as some servers write it.
fn lower(query: &[u8]) -> Vec<u8> {
    let mut answer = honest_answer(query);
    answer.make_ascii_lowercase();
    // The header is no text, though some of its bytes may look so.
    answer[..12].copy_from_slice(&honest_answer(query)[..12]);
    answer
}

fn has_opt(query: &[u8]) -> bool {
    query[11] == 1
}

/// The cookies of a query: 8 bytes of ours, and what the server gave.
fn cookie(query: &[u8]) -> Option<Vec<u8>> {
    let at = query.windows(2).rposition(|pair| pair == [0, 10]).filter(|_| has_opt(query))?;
    Some(query[at + 4..].to_vec())
}

/// Adds an OPT record with these cookies and this upper part of the response code.
fn with_cookie(mut answer: Vec<u8>, cookie: &[u8], code: u8) -> Vec<u8> {
    answer[11] = 1;
    answer.extend_from_slice(b"\0\0\x29\x04\xd0");
    answer.extend_from_slice(&[code, 0, 0, 0, 0, u8::try_from(cookie.len() + 4).unwrap(), 0, 10, 0]);
    answer.push(u8::try_from(cookie.len()).unwrap());
    answer.extend_from_slice(cookie);
    answer
}

#[test]
fn d09_what_does_not_fit_a_datagram_is_asked_for_by_tcp() {
    let mut network = Network::new(vec![Box::new(|_, transmit| {
        let query = &transmit.bytes;
        soon(if is_tcp(transmit) {
            honest_answer(query)
        } else {
            Response::to(query).flags(TRUNCATED).done()
        })
    })]);
    network.sweep(30);
    assert_eq!(network.right_names(), 30);
    assert_eq!(network.streams.len(), 1, "all by one connection");
    // Five windows' worth of round trips at most.
    assert!(network.elapsed() <= 10 * MILLISECOND, "{:?}", network.elapsed());
}

#[test]
fn d09_where_tcp_is_refused_the_part_that_fitted_is_the_answer() {
    let with = |records: bool| {
        let mut network = Network::new(vec![Box::new(move |_, transmit| {
            let answer = Response::to(&transmit.bytes);
            let answer = if records { answer.ptr("part.test") } else { answer };
            if is_tcp(transmit) { refused() } else { soon(answer.flags(TRUNCATED).done()) }
        })]);
        network.ask(1);
        network.run();
        (network.outcome().clone(), network.sent.len())
    };
    let (outcome, sent) = with(true);
    assert_eq!((outcome.to_string().as_str(), sent), ("part.test", 2));
    assert_eq!(with(false), (Outcome::ServerFailure(ServerFault::Truncated), 2));
}

#[test]
fn a_connection_that_the_server_closes_is_opened_again() {
    let mut asked = 0;
    let mut network = Network::new(vec![Box::new(move |_, transmit| {
        let query = &transmit.bytes;
        if !is_tcp(transmit) {
            return soon(Response::to(query).flags(TRUNCATED).done());
        }
        asked += 1;
        let is_closed = asked <= 2;
        let end = vec![(MILLISECOND, Effect::Error(io::ErrorKind::UnexpectedEof))];
        if is_closed { end } else { soon(honest_answer(query)) }
    })]);
    network.sweep(5);
    assert_eq!(network.right_names(), 5);
    assert_eq!(network.streams.len(), 2);
}

#[test]
fn a_server_of_tcp_alone_is_asked_by_tcp_alone() {
    let server = || answering(MILLISECOND, honest_answer);
    let mut network = Network::with(vec![server()], |config| config.by_tcp.extend([server_address(0)]));
    network.sweep(100);
    assert_eq!(network.right_names(), 100);
    assert!(network.sent.iter().all(|(_, transmit)| transmit.bytes.len() < 46 && is_tcp(transmit)));
    let closed = Network::with(vec![closed_port()], |config| config.by_tcp.extend([server_address(0)]));
    let mut network = closed;
    network.sweep(100);
    assert_eq!(network.count(|outcome| matches!(outcome, Outcome::Unreachable(_))), 100);
    assert!(network.elapsed() < 50 * MILLISECOND, "{:?}", network.elapsed());
}

#[test]
fn letters_that_a_server_does_not_keep_are_confirmed_by_tcp_twice_and_then_let_be() {
    let mut network = Network::new(vec![answering(MILLISECOND, lower)]);
    for index in 0..50 {
        network.ask(index);
        network.run();
    }
    assert_eq!(network.right_names(), 50);
    // The first query is in small letters anyway.
    assert_eq!(network.sent.iter().filter(|(_, transmit)| is_tcp(transmit)).count(), 2);
    assert!(network.discards.iter().all(|&why| why == Discard::OtherLetters));
    assert!(network.elapsed() < SECOND, "{:?}", network.elapsed());
}

#[test]
fn letters_that_a_server_does_not_keep_cost_no_name_where_there_is_no_tcp() {
    let mut network =
        Network::new(vec![Box::new(
            |_, transmit| {
                if is_tcp(transmit) { refused() } else { soon(lower(&transmit.bytes)) }
            },
        )]);
    network.sweep(50);
    assert_eq!(network.right_names(), 50);
    assert!(network.elapsed() < SECOND, "{:?}", network.elapsed());
}

#[test]
fn a_forgery_in_other_letters_is_not_believed_and_does_not_end_the_wait() {
    let mut network = Network::new(vec![Box::new(|_, transmit| {
        let query = &transmit.bytes;
        let mut forged = query.clone();
        forged[12..].make_ascii_lowercase();
        let forged = Response::to(&forged).ptr("evil.test").done();
        let is_known = forged[12..40] == query[12..40];
        let mut effects = soon(if is_known { honest_answer(query) } else { forged });
        effects.push((20 * MILLISECOND, Effect::Reply(honest_answer(query))));
        effects
    })]);
    for index in 0..20 {
        network.ask(index);
        network.run();
    }
    assert_eq!(network.right_names(), 20);
}

#[test]
fn cookies_are_learned_and_forgeries_without_them_are_thrown_away() {
    let server = *b"server's";
    let mut network = Network::new(vec![Box::new(move |_, transmit| {
        let query = &transmit.bytes;
        let Some(cookie) = cookie(query) else { return soon(honest_answer(query)) };
        if let Some(theirs) = cookie.get(8..).filter(|theirs| !theirs.is_empty()) {
            assert_eq!(theirs, server);
        }
        let ours = &cookie[..8];
        let evil = Response::to(query).ptr("evil.test").done();
        let wrong = [b"12345678", &server[..]].concat();
        vec![
            (MILLISECOND, Effect::Reply(with_cookie(evil, &wrong, 0))),
            (2 * MILLISECOND, Effect::Reply(with_cookie(honest_answer(query), &[ours, &server].concat(), 0))),
        ]
    })]);
    for index in 0..30 {
        network.ask(index);
        network.run();
    }
    assert_eq!(network.right_names(), 30);
    // The first query is plain; all others have the cookie.
    assert_eq!(network.discards, vec![Discard::OtherCookie; 29]);
    assert_eq!(network.sent[0].1.bytes.len(), 41);
    assert_eq!(network.sent[29].1.bytes.len(), 42 + 11 + 4 + 16);
}

#[test]
fn a_server_that_gives_no_cookies_any_more_is_confirmed_by_tcp_and_believed() {
    let mut network = Network::new(vec![Box::new(|rng, transmit| {
        let query = &transmit.bytes;
        let answer = honest_answer(query);
        match cookie(query) {
            Some(cookie) if rng.u8(..4) == 0 => {
                soon(with_cookie(answer, &[&cookie[..8], b"server's"].concat(), 0))
            }
            _ => soon(answer),
        }
    })]);
    for index in 0..100 {
        network.ask(index);
        network.run();
    }
    assert_eq!(network.right_names(), 100);
    assert!(network.elapsed() < SECOND, "{:?}", network.elapsed());
}

#[test]
fn a_cookie_the_server_does_not_take_is_sent_anew_and_then_the_name_by_tcp() {
    let mut network = Network::new(vec![Box::new(|_, transmit| {
        let query = &transmit.bytes;
        match cookie(query) {
            Some(cookie) => {
                let failure = Response::to(query).flags(ANSWER | 7).done();
                soon(with_cookie(failure, &[&cookie[..8], b"renewed!"].concat(), 1))
            }
            None => soon(honest_answer(query)),
        }
    })]);
    for index in 0..3 {
        network.ask(index);
        network.run();
    }
    assert_eq!(network.right_names(), 3);
    let by_tcp = network.sent.iter().filter(|(_, transmit)| is_tcp(transmit)).count();
    assert_eq!((by_tcp, network.sent.len()), (2, 1 + 3 + 3));
}

#[test]
fn edns_that_a_server_does_not_know_is_left_out_from_then_on() {
    type Complaint = fn(&[u8]) -> Vec<u8>;
    let complaints: [Complaint; 3] = [
        |query| Response::rcode(query, 1),
        |query| Response::rcode(query, 4),
        // A bare header, as old servers send it.
        |query| [&query[..2], b"\x81\x81\0\0\0\0\0\0\0\0"].concat(),
    ];
    for complain in complaints {
        let mut network = Network::new(vec![Box::new(move |_, transmit| {
            let query = &transmit.bytes;
            soon(if has_opt(query) { complain(query) } else { honest_answer(query) })
        })]);
        for index in 0..20 {
            network.ask(index);
            network.run();
        }
        assert_eq!((network.right_names(), network.sent.len()), (20, 21));
    }
}

#[test]
fn edns_that_the_way_swallows_costs_three_time_outs_and_no_name() {
    let mut network = Network::new(vec![Box::new(|_, transmit| {
        if has_opt(&transmit.bytes) { Vec::new() } else { soon(honest_answer(&transmit.bytes)) }
    })]);
    for index in 0..20 {
        network.ask(index);
        network.run();
    }
    assert_eq!((network.right_names(), network.sent.len()), (20, 23));
}

#[test]
fn eight_bad_datagrams_for_a_name_have_it_asked_for_by_tcp() {
    let mut network = Network::new(vec![Box::new(|_, transmit| {
        let query = &transmit.bytes;
        if is_tcp(transmit) {
            return soon(honest_answer(query));
        }
        let mut other = Response::to(query).ptr("evil.test").done();
        other[13] ^= 1;
        (0..8).flat_map(|_| soon(other.clone())).collect()
    })]);
    network.ask(1);
    network.run();
    assert_eq!((network.right_names(), network.elapsed()), (1, 2 * MILLISECOND));
    assert_eq!(network.discards, [Discard::OtherQuestion; 8]);
}

#[test]
fn an_off_path_attacker_with_ten_thousand_guesses_per_query_never_gets_in() {
    // Ports that Linux gives out; a guess that misses the port never gets to a socket.
    const PORTS: std::ops::Range<u16> = 32_768..61_000;
    let mut ports = std::collections::HashMap::new();
    let mut dice = fastrand::Rng::with_seed(1);
    let mut network = Network::new(vec![Box::new(move |_, transmit| {
        let port = *ports.entry(transmit.socket).or_insert_with(|| dice.u16(PORTS));
        let mut effects = Vec::new();
        for _ in 0..10_000 {
            if dice.u16(PORTS) != port {
                continue;
            }
            // The question is known; the id and the letters are guessed.
            let mut forged = Response::to(&transmit.bytes).done();
            forged[..2].copy_from_slice(&dice.u16(..).to_be_bytes());
            let end = forged.len() - 4;
            for byte in &mut forged[12..end] {
                *byte = if dice.bool() { byte.to_ascii_uppercase() } else { byte.to_ascii_lowercase() };
            }
            let forged = Response::to(&forged).ptr("evil.test").done();
            effects.push((MILLISECOND, Effect::Reply(forged)));
        }
        effects.push((2 * MILLISECOND, Effect::Reply(honest_answer(&transmit.bytes))));
        effects
    })]);
    network.sweep(10_000);
    assert_eq!(network.right_names(), 10_000);
    assert!(network.discards.len() > 1_000, "{} guesses met an open port", network.discards.len());
}

#[test]
fn a_rate_is_never_exceeded_in_any_second_and_costs_no_name() {
    let mut network = Network::with(vec![honest(20 * MILLISECOND), honest(MILLISECOND)], |config| {
        config.rate_max = NonZeroU32::new(100);
    });
    network.sweep(1_000);
    assert_eq!(network.right_names(), 1_000);
    let times: Vec<_> = network.sent.iter().map(|&(at, _)| at).collect();
    assert!(times.windows(101).all(|window| window[100] - window[0] >= SECOND));
    assert!(network.elapsed() < 11 * SECOND, "{:?}", network.elapsed());
}

#[test]
fn a_window_that_was_asked_for_is_never_exceeded() {
    for window in [1, 4, 16] {
        let mut network = Network::with(vec![honest(20 * MILLISECOND)], |config| config.window_max = window);
        network.sweep(64);
        assert_eq!(network.right_names(), 64);
        let rounds = 64 / window;
        assert!(network.elapsed() >= 20 * MILLISECOND * rounds, "{window}: {:?}", network.elapsed());
    }
}
