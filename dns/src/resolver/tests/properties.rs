//! Whatever happens, in whatever order: each request is settled once, in bounded time, and the books balance.

use std::io;

use proptest::prelude::*;

use super::network::*;
use crate::testing::{CNAME, Response, wire};
use crate::{Outcome, TransmitId};

/// A server that does whatever the dice say, of everything a server, a line and a kernel can do.
fn chaotic(calm: u32) -> Behavior {
    Box::new(move |rng, transmit| {
        let query = &transmit.bytes;
        let count = rng.usize(0..3);
        (0..count)
            .map(|_| {
                let effect = match rng.u32(0..14 + calm) {
                    0 => Effect::Error(io::ErrorKind::ConnectionRefused),
                    1 => Effect::Error(io::ErrorKind::OutOfMemory),
                    2 => Effect::Reply(Response::rcode(query, rng.u16(0..16))),
                    3 => Effect::Reply(Response::to(query).flags(rng.u16(..)).ptr("x.test").done()),
                    4 => Effect::Reply(
                        Response::to(query)
                            .record(&[0xc0, 12], CNAME, 5, &wire(&format!("c{}.test", rng.u8(0..4))))
                            .done(),
                    ),
                    5 => {
                        let mut bytes = honest_answer(query);
                        let at = rng.usize(0..bytes.len());
                        bytes[at] = rng.u8(..);
                        Effect::Reply(bytes)
                    }
                    6 => {
                        let mut bytes = honest_answer(query);
                        bytes.truncate(rng.usize(0..bytes.len()));
                        Effect::Reply(bytes)
                    }
                    7 => Effect::Forgery(server_address(200), honest_answer(query)),
                    8 => Effect::Reply(Response::to(query).soa(5, 5).done()),
                    9 => Effect::Reply((0..rng.usize(0..80)).map(|_| rng.u8(..)).collect()),
                    _ => Effect::Reply(honest_answer(query)),
                };
                (rng.u32(0..3000) * MILLISECOND, effect)
            })
            .collect()
    })
}

#[derive(Clone, Debug)]
enum Step {
    Ask(u32),
    Cancel(usize),
    CancelAll,
    Wait(u32),
    FailSend(usize),
}

fn steps() -> impl Strategy<Value = Vec<Step>> {
    let step = prop_oneof![
        6 => (0_u32..60).prop_map(Step::Ask),
        2 => (0_u32..2500).prop_map(Step::Wait),
        1 => (0_usize..50).prop_map(Step::Cancel),
        1 => (0_usize..50).prop_map(Step::FailSend),
    ];
    let all = prop_oneof![40 => step, 1 => Just(Step::CancelAll)];
    proptest::collection::vec(all, 1..60)
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(150))]

    #[test]
    fn each_request_is_settled_once(
        steps in steps(), seed in any::<u64>(), servers in 0_usize..4, calm in 0_u32..30, faults in 0_u64..3
    ) {
        let mut network = Network::new((0..servers).map(|_| chaotic(calm)).collect());
        network.reseed(seed);
        let mut dice = fastrand::Rng::with_seed(seed);
        network.send_fault = Box::new(move |_| {
            let kinds = [io::ErrorKind::PermissionDenied, io::ErrorKind::ConnectionRefused];
            (dice.u64(0..20) < faults).then(|| kinds[dice.usize(0..2)])
        });
        let mut asked = Vec::new();
        for step in steps {
            match step {
                Step::Ask(index) => asked.push(network.ask(index)),
                Step::Cancel(index) => {
                    if let Some(&id) = asked.get(index) {
                        network.resolver.cancel(network.now, id);
                    }
                }
                Step::CancelAll => network.resolver.cancel_all(network.now),
                Step::Wait(time) => network.run_for(time * MILLISECOND),
                Step::FailSend(index) => {
                    let id: Option<TransmitId> = network.sent.get(index).map(|(_, transmit)| transmit.id);
                    if let Some(id) = id {
                        network.resolver.handle_send_failure(network.now, id, &io::ErrorKind::Other.into());
                    }
                }
            }
            network.drain();
        }
        let end = network.now;
        network.run();
        let mut settled: Vec<_> = network.answers.iter().map(|(_, answer)| answer.id).collect();
        settled.sort();
        prop_assert_eq!(settled, asked);
        // The queueing time of 60 names, the budget twice.
        let last = network.answers.last().map_or(end, |&(at, _)| at);
        prop_assert!(last <= end + 11 * SECOND);
        prop_assert_eq!(network.resolver.counters().settled(), network.answers.len() as u64);
    }

    #[test]
    fn an_honest_server_on_a_bad_line_names_everything(seed in any::<u64>(), lost in 0_u32..100, count in 1_u32..60) {
        let mut network = Network::new(vec![Box::new(move |rng, transmit| {
            let copies = if rng.u32(0..1000) < lost { 0 } else { rng.usize(1..3) };
            let answer = honest_answer(&transmit.bytes);
            (0..copies).map(|_| (rng.u32(1..80) * MILLISECOND, Effect::Reply(answer.clone()))).collect()
        })]);
        network.reseed(seed);
        network.sweep(count);
        // Eight tries at a loss of a tenth: one name in a hundred million is missed.
        prop_assert_eq!(network.right_names(), count as usize);
    }

    #[test]
    fn garbage_alone_never_makes_a_name(seed in any::<u64>(), length in 0_usize..600) {
        let mut network = Network::new(vec![Box::new(move |rng, transmit| {
            let mut bytes: Vec<u8> = (0..length).map(|_| rng.u8(..)).collect();
            // The id may be right; the question is not.
            for (byte, id) in bytes.iter_mut().zip(&transmit.bytes[..2]) {
                *byte = *id;
            }
            vec![(MILLISECOND, Effect::Reply(bytes))]
        })]);
        network.reseed(seed);
        network.ask(1);
        network.run();
        prop_assert_eq!(network.outcome(), &Outcome::TimedOut);
    }
}
