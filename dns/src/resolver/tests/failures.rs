//! Servers that come and go, and a machine that cannot send.

use std::cell::Cell;
use std::io;
use std::rc::Rc;

use super::network::*;
use crate::testing::Response;
use crate::{Outcome, Request, ServerFault, SystemError};

#[test]
fn a_silent_first_server_costs_one_time_out() {
    let mut network = Network::new(vec![silent(), honest(20 * MILLISECOND)]);
    network.ask(1);
    network.run();
    assert_eq!(network.right_names(), 1);
    assert!(network.elapsed() <= 450 * MILLISECOND);
}

#[test]
fn a_silent_first_server_is_parked_and_costs_a_batch_little() {
    let mut network = Network::new(vec![silent(), honest(20 * MILLISECOND)]);
    network.sweep(4096);
    assert_eq!(network.right_names(), 4096);
    assert!(network.elapsed() <= 1300 * MILLISECOND, "{:?}", network.elapsed());
    // It stays parked for the next one, however much later that comes.
    network.now += 10 * SECOND;
    let (start, sent) = (network.now, network.sent.len());
    network.ask(5000);
    network.run();
    assert_eq!((network.sent.len() - sent, network.now - start), (1, 20 * MILLISECOND));
}

#[test]
fn a_server_that_comes_back_is_found_by_a_probe() {
    let is_back = Rc::new(Cell::new(false));
    let mut network = Network::new(vec![Box::new({
        let is_back = Rc::clone(&is_back);
        move |_, transmit| {
            let answer = (MILLISECOND, Effect::Reply(honest_answer(&transmit.bytes)));
            if is_back.get() { vec![answer] } else { Vec::new() }
        }
    })]);
    network.sweep(20);
    assert_eq!(network.count(|outcome| *outcome == Outcome::TimedOut), 20);
    is_back.set(true);
    let start = network.now;
    network.sweep(20);
    assert_eq!(network.right_names(), 20);
    assert!(network.now - start <= SECOND + 10 * MILLISECOND, "{:?}", network.now - start);
}

#[test]
fn while_all_are_parked_a_batch_waits_for_one_probe_only() {
    let mut network = Network::new(vec![silent()]);
    network.sweep(20);
    let (start, sent) = (network.now, network.sent.len());
    network.sweep(1000);
    assert_eq!(network.sent.len() - sent, 1);
    assert!(network.now - start <= 3 * SECOND + 100 * MILLISECOND, "{:?}", network.now - start);
}

#[test]
fn a_verdict_weighs_more_than_silence() {
    let failing = answering(20 * MILLISECOND, |query| Response::rcode(query, 2));
    let mut network = Network::new(vec![failing, silent()]);
    network.ask(1);
    network.run();
    assert_eq!(*network.outcome(), Outcome::ServerFailure(ServerFault::Rcode(2)));
    assert!(network.elapsed() <= 5 * SECOND + 20 * MILLISECOND);
}

#[test]
fn one_forged_icmp_error_does_not_take_the_server_away() {
    let mut count = 0;
    let mut network = Network::new(vec![Box::new(move |_, transmit| {
        count += 1;
        let mut effects = vec![(5 * MILLISECOND, Effect::Reply(honest_answer(&transmit.bytes)))];
        if count == 5 {
            effects.push((MILLISECOND, Effect::Error(io::ErrorKind::ConnectionRefused)));
        }
        effects
    })]);
    network.sweep(200);
    assert_eq!(network.right_names(), 200);
}

#[test]
fn a_failed_send_is_tried_again_and_not_held_against_the_server() {
    let mut network = Network::new(vec![honest(20 * MILLISECOND), honest(20 * MILLISECOND)]);
    network.send_fault = Box::new(|sent| (sent < 3).then_some(io::ErrorKind::Other));
    network.ask(1);
    network.run();
    assert_eq!(network.right_names(), 1);
    // Pauses of 10, 20 and 40 ms, then one round trip; only the datagram that left counts.
    assert_eq!((network.elapsed(), network.answers[0].1.tries), (90 * MILLISECOND, 1));
    assert!(!format!("{:?}", network.resolver).contains("Parked"));
}

#[test]
fn a_machine_that_cannot_send_says_so_soon_whatever_the_batch() {
    for count in [1, 4096] {
        let mut network = Network::new(vec![honest(MILLISECOND)]);
        network.send_fault = Box::new(|_| Some(io::ErrorKind::PermissionDenied));
        network.sweep(count);
        let error = SystemError::from(&io::ErrorKind::PermissionDenied.into());
        assert_eq!(network.count(|outcome| *outcome == Outcome::LocalError(error)), count as usize);
        assert!(network.elapsed() <= 2 * SECOND, "{:?}", network.elapsed());
        assert_eq!(network.answers[0].1.tries, 0);
    }
}

#[test]
fn an_error_about_the_way_at_sending_closes_the_socket() {
    let mut network = Network::new(vec![honest(MILLISECOND), honest(MILLISECOND)]);
    network.send_fault = Box::new(|sent| (sent == 0).then_some(io::ErrorKind::ConnectionRefused));
    network.ask(1);
    network.run();
    assert_eq!(network.right_names(), 1);
    assert_eq!(network.sent[1].1.server.index(), 1);
}

#[test]
fn a_socket_that_fails_for_a_local_reason_takes_nobody_with_it() {
    let mut count = 0;
    let mut network = Network::new(vec![Box::new(move |_, transmit| {
        count += 1;
        let error = (MILLISECOND, Effect::Error(io::ErrorKind::OutOfMemory));
        if count <= 40 {
            vec![error]
        } else {
            vec![(MILLISECOND, Effect::Reply(honest_answer(&transmit.bytes)))]
        }
    })]);
    network.sweep(50);
    assert_eq!(network.right_names(), 50);
}

#[test]
fn a_socket_that_fails_when_all_give_up_finds_nobody() {
    let mut network = Network::new(vec![silent()]);
    network.send_fault = Box::new(|sent| (sent >= 3).then_some(io::ErrorKind::PermissionDenied));
    for index in 0..3 {
        network.ask(index);
    }
    // The first time-out comes after 400 ms, then eight pauses of 10 to 320 ms.
    network.run_for(1500 * MILLISECOND);
    assert_eq!(network.answers.len(), 1);
    network.now += 200 * MILLISECOND;
    let socket = network.sent[0].1.socket;
    network.resolver.handle_socket_failure(network.now, socket, &io::ErrorKind::OutOfMemory.into());
    network.run();
    assert_eq!(network.count(|outcome| matches!(outcome, Outcome::LocalError(_))), 3);
    assert_eq!(network.elapsed(), 1700 * MILLISECOND);
}

#[test]
fn a_slow_server_is_waited_for() {
    let mut network = Network::new(vec![honest(1500 * MILLISECOND)]);
    network.sweep(30);
    assert_eq!(network.right_names(), 30);
    assert!(network.elapsed() <= 6 * SECOND, "{:?}", network.elapsed());
}

#[test]
fn a_server_that_answers_one_name_in_a_hundred_does_not_hold_the_others_for_ever() {
    let mut network = Network::new(vec![lossy(20 * MILLISECOND, 990)]);
    network.sweep(1000);
    assert_eq!(network.answers.len(), 1000);
    assert!(network.elapsed() <= 20 * SECOND, "{:?}", network.elapsed());
}

#[test]
fn stale_ids_are_no_ones() {
    let mut network = Network::new(vec![honest(MILLISECOND)]);
    network.ask(1);
    network.run();
    let old = network.sent[0].1.clone();
    network.resolver.handle_send_failure(network.now, old.id, &io::ErrorKind::Other.into());
    network.resolver.handle_socket_failure(network.now, old.socket, &io::ErrorKind::Other.into());
    assert_eq!(network.resolver.poll_close(), None);
    let result = network.resolver.handle_datagram(network.now, old.socket, server_address(0), &[0; 12]);
    assert_eq!(result, Err(crate::Discard::UnknownSocket));
    network.start(Request::Reverse(host(2)));
    network.run();
    assert_eq!(network.right_names(), 2);
}
