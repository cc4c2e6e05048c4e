//! Whatever the network does: one result per port, never too much in flight, always an end.

use std::collections::{HashMap, HashSet};

use proptest::prelude::*;

use super::*;
use crate::pacer::Rate;
use crate::plan::{HALF_OPEN_PER_HOST_MAX, HostId, Next, PlanEvent, ProbeId};
use crate::verdict::{Errno, IcmpError, IcmpVersion, Verdict, judge_icmp};

/// What the schedule does with a probe.
#[derive(Clone, Copy, Debug)]
enum Outcome {
    Open,
    Closed,
    Rejected,
    Silent,
    Trouble(Errno),
    /// Answered, and answered again later.
    Twice,
}

fn outcome() -> impl Strategy<Value = Outcome> {
    prop_oneof![
        3 => Just(Outcome::Open),
        3 => Just(Outcome::Closed),
        2 => Just(Outcome::Rejected),
        4 => Just(Outcome::Silent),
        1 => Just(Outcome::Trouble(Errno::EPERM)),
        1 => Just(Outcome::Trouble(Errno::EMFILE)),
        1 => Just(Outcome::Twice),
    ]
}

fn template() -> impl Strategy<Value = Template> {
    prop_oneof![
        Just(Template::Polite),
        Just(Template::Normal),
        Just(Template::Aggressive),
        Just(Template::Insane)
    ]
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 96, ..ProptestConfig::default() })]

    #[test]
    fn any_schedule_ends_with_one_result_per_port(
        template in template(),
        late_replies: bool,
        in_flight_max in 1usize..60,
        hosts in 0u32..5,
        ports in 0u16..40,
        discover: bool,
        min_rate in proptest::option::of(1.0f64..2000.0),
        max_rate in proptest::option::of(1.0f64..2000.0),
        max_retries in 0u8..4,
        outcomes in proptest::collection::vec((outcome(), 0u64..400), 1..60),
        seed: u64,
    ) {
        let now = start();
        let mut settings = settings(template, 1..=ports, seed);
        settings.timing.retries_max = max_retries;
        settings.hosts_max = Some(2);
        settings.min_rate = min_rate.and_then(Rate::per_second);
        settings.max_rate = max_rate.and_then(Rate::per_second);
        let driver = if late_replies { Driver::raw(in_flight_max) } else { Driver::connect(in_flight_max) };
        let mut plan = Plan::new(settings, driver, now);
        let found = run(&mut plan, now, late_replies, hosts, discover, &outcomes, in_flight_max)?;
        prop_assert_eq!(found.finished.len(), hosts as usize);
        let indexes: Vec<u32> = found.finished.iter().map(|id| id.index()).collect();
        prop_assert!(indexes.iter().copied().eq(0..hosts), "order {:?}", indexes);
        for id in &found.finished {
            let up = found.up.contains(id);
            let count = found.ports.get(id).map_or(0, HashSet::len);
            prop_assert_eq!(count, if up { usize::from(ports) } else { 0 });
        }
    }
}

#[derive(Default)]
struct Found {
    finished: Vec<HostId>,
    up: HashSet<HostId>,
    ports: HashMap<HostId, HashSet<u16>>,
}

/// Drives a plan through a schedule of outcomes, used in turn.
fn run(
    plan: &mut Plan,
    origin: Instant,
    late_replies: bool,
    hosts: u32,
    discover: bool,
    outcomes: &[(Outcome, u64)],
    in_flight_max: usize,
) -> Result<Found, TestCaseError> {
    let mut now = origin;
    let mut pending: Vec<(Instant, ProbeId, Option<Verdict>)> = Vec::new();
    let mut found = Found::default();
    let mut added = 0;
    let mut turn = 0;
    for _step in 0..100_000 {
        while plan.wants_hosts() {
            if added == hosts {
                plan.end_of_hosts();
                continue;
            }
            let start = if discover { HostStart::Discover } else { GIVEN_UP };
            plan.add_host(now, IpAddr::V4(Ipv4Addr::from(0xc612_0000 + added)), start);
            added += 1;
        }
        let next = plan.next(now);
        collect(plan, &mut found)?;
        match next {
            Next::Finished => return Ok(found),
            Next::Abandon(id) => pending.retain(|&(_, pending, _)| pending != id),
            Next::Probe(probe) => {
                let (outcome, delay) = outcomes[turn % outcomes.len()];
                turn += 1;
                let at = now + ms(delay);
                let verdict = match outcome {
                    Outcome::Trouble(errno) => {
                        plan.handle_local_trouble(now, probe.id, errno);
                        continue;
                    }
                    Outcome::Silent => None,
                    Outcome::Open => Some(Verdict::new(PortState::Open, Reason::SynAck)),
                    Outcome::Closed | Outcome::Twice => Some(Verdict::new(PortState::Closed, Reason::Reset)),
                    Outcome::Rejected => judge_icmp(IcmpError::new(IcmpVersion::V4, 3, 1, Some(ROUTER))),
                };
                if matches!(outcome, Outcome::Twice) {
                    pending.push((at + ms(50), probe.id, verdict));
                }
                match verdict {
                    Some(_) => pending.push((at, probe.id, verdict)),
                    None if late_replies => {}
                    None => pending.push((now + probe.timeout, probe.id, None)),
                }
            }
            Next::Wait(_) if plan.wants_hosts() => {}
            Next::Wait(until) => {
                let coming = pending.iter().map(|&(at, ..)| at).min();
                let next = until.into_iter().chain(coming).min();
                prop_assert!(next.is_some(), "stalled");
                now = next.unwrap_or(now).max(now + Duration::from_nanos(1));
                while let Some(index) = pending.iter().position(|&(at, ..)| at <= now) {
                    let (_, id, verdict) = pending.remove(index);
                    match verdict {
                        Some(verdict) => plan.handle_reply(now, id, verdict),
                        None => plan.handle_timeout(now, id),
                    }
                    collect(plan, &mut found)?;
                }
            }
        }
        prop_assert!(plan.in_flight() <= in_flight_max.min(HALF_OPEN_PER_HOST_MAX as usize * hosts as usize));
    }
    Err(TestCaseError::fail("the plan does not end"))
}

fn collect(plan: &mut Plan, found: &mut Found) -> Result<(), TestCaseError> {
    while let Some(event) = plan.poll_event() {
        match event {
            PlanEvent::HostStatus { host, status, .. } => {
                if status == HostStatus::Up {
                    prop_assert!(found.up.insert(host), "two statuses");
                }
            }
            PlanEvent::Port { host, port, .. } => {
                prop_assert!(!found.finished.contains(&host), "a result after the end");
                prop_assert!(found.ports.entry(host).or_default().insert(port), "two results for {}", port);
            }
            PlanEvent::HostFinished { host, .. } => found.finished.push(host),
            PlanEvent::LocalTrouble { .. } => {}
        }
    }
    Ok(())
}
