//! Rates, delays and the ends a user asks for.

use super::*;
use crate::pacer::Rate;
use crate::plan::{Ending, Next, PlanEvent, PortOrder, ProbeKind};
use crate::verdict::{Errno, Verdict};

fn most_in_a_second(sends: &[Duration]) -> usize {
    let mut first = 0;
    let mut most = 0;
    for (last, &at) in sends.iter().enumerate() {
        while at - sends[first] >= Duration::from_secs(1) {
            first += 1;
        }
        most = most.max(last - first + 1);
    }
    most
}

#[test]
fn max_rate_is_never_exceeded_in_any_second() {
    for silent in [Behavior::Silent, Behavior::Closed] {
        let mut settings = settings(Template::Aggressive, 1..=300, 1);
        settings.max_rate = Rate::per_second(100.0);
        let report = scan(settings, CONNECT, one_host(1, SimulatedHost::new(silent)));
        assert!(most_in_a_second(&report.sends) <= 100);
        let seconds = report.sends.last().unwrap().as_secs_f64();
        assert!(report.sends.len() as f64 / seconds > 97.0, "{} in {seconds}", report.sends.len());
    }
}

#[test]
fn min_rate_goes_before_windows() {
    let mut settings = settings(Template::Normal, 1..=5000, 1);
    settings.min_rate = Rate::per_second(5000.0);
    let report = scan(settings, CONNECT, Network::new(1));
    assert!(report.elapsed < ms(4200), "{:?}", report.elapsed);
    assert_eq!(report.statistics.sent, 10_000);
}

#[test]
fn min_rate_waits_for_discovery_that_has_nothing_to_send() {
    let mut settings = settings(Template::Normal, 1..=50, 1);
    settings.min_rate = Rate::per_second(1000.0);
    let other: IpAddr = "198.18.0.11".parse().unwrap();
    let network = one_host(1, SimulatedHost::new(Behavior::Silent).with_port(80, Behavior::Open));
    let targets = [(TARGET, HostStart::Discover), (other, HostStart::Discover)];
    let report = scan_all(settings, CONNECT, network, targets);
    assert_eq!((report.statistics.hosts_up, report.statistics.hosts_down), (1, 1));
    assert!(report.elapsed < ms(1300), "{:?}", report.elapsed);
}

#[test]
fn the_scan_delay_keeps_probes_to_one_host_apart() {
    let mut settings = settings(Template::Normal, 1..=20, 1);
    settings.timing.scan_delay = ms(50);
    let report = scan(settings, CONNECT, one_host(1, SimulatedHost::new(Behavior::Closed)));
    assert!(report.sends.windows(2).all(|pair| pair[1] - pair[0] >= ms(50)));
    assert!(report.elapsed < ms(1000), "{:?}", report.elapsed);
}

#[test]
fn polite_sends_one_probe_at_a_time() {
    let report = scan(
        settings(Template::Polite, 1..=10, 1),
        CONNECT,
        one_host(1, SimulatedHost::new(Behavior::Closed)),
    );
    assert_eq!(report.in_flight_peak, 1);
    assert!(report.sends.windows(2).all(|pair| pair[1] - pair[0] >= ms(400)));
}

#[test]
fn max_parallelism_bounds_what_is_in_flight() {
    let mut settings = settings(Template::Normal, 1..=100, 1);
    settings.max_parallelism = Some(7);
    let report = scan(settings, CONNECT, Network::new(1));
    assert_eq!(report.in_flight_peak, 7);
}

#[test]
fn a_host_timeout_keeps_what_is_known() {
    let mut settings = settings(Template::Normal, 1..=1000, 1);
    settings.timing.host_timeout = Some(ms(500));
    let host = with_open(SimulatedHost::new(Behavior::Silent), &spread(1, 10, 100));
    let now = start();
    let plan = Plan::new(settings, CONNECT, now);
    let report = simulate(plan, &mut one_host(1, host), [(TARGET, GIVEN_UP)], now).unwrap();
    let host = only(&report);
    let summary = host.summary.unwrap();
    assert_eq!(summary.ending, Ending::TimedOut);
    assert!(!host.ports.is_empty() && host.ports.len() < 100);
    assert!(host.ports.values().all(|verdict| verdict.state == PortState::Open));
    assert_eq!(summary.ports_unfinished as usize, 1000 - host.ports.len());
    assert!(report.elapsed <= ms(501), "{:?}", report.elapsed);
}

#[test]
fn stopping_reports_what_is_known_and_sends_nothing_more() {
    let now = start();
    let mut plan = Plan::new(settings(Template::Normal, 1..=10, 1), CONNECT, now);
    plan.add_host(now, TARGET, GIVEN_UP);
    let Next::Probe(probe) = plan.next(now) else { panic!("a probe is due") };
    let Next::Probe(lost) = plan.next(now) else { panic!("a probe is due") };
    plan.handle_reply(now, probe.id, Verdict::new(PortState::Open, Reason::SynAck));
    plan.stop(now);
    assert_eq!(plan.next(now), Next::Finished);
    assert!(!plan.wants_hosts());
    let events: Vec<PlanEvent> = std::iter::from_fn(|| plan.poll_event()).collect();
    let ports = events.iter().filter(|event| matches!(event, PlanEvent::Port { .. })).count();
    assert_eq!(ports, 1);
    let Some(PlanEvent::HostFinished { summary, .. }) = events.last() else { panic!("{events:?}") };
    assert_eq!((summary.ending, summary.ports_unfinished), (Ending::Interrupted, 9));
    plan.handle_timeout(now, lost.id);
    assert_eq!(plan.in_flight(), 0);
}

#[test]
fn a_late_answer_still_counts() {
    let now = start();
    let mut plan = Plan::new(settings(Template::Normal, [80], 1), RAW, now);
    let host = plan.add_host(now, TARGET, GIVEN_UP);
    plan.end_of_hosts();
    let Next::Probe(first) = plan.next(now) else { panic!("a probe is due") };
    assert_eq!(plan.port_probe(host, 80, 0), Some(first.id));
    assert_eq!((plan.port_probe(host, 81, 0), plan.port_probe(host, 80, 11)), (None, None));
    let later = now + ms(1500);
    let Next::Probe(second) = plan.next(later) else { panic!("a retry is due") };
    assert_eq!((second.try_number, plan.statistics().timeouts), (1, 1));
    plan.handle_reply(later, first.id, Verdict::new(PortState::Open, Reason::SynAck));
    assert_eq!(plan.next(later), Next::Finished);
    let events: Vec<PlanEvent> = std::iter::from_fn(|| plan.poll_event()).collect();
    let Some(PlanEvent::HostFinished { summary, .. }) = events.last() else { panic!("{events:?}") };
    assert_eq!(summary.latency, Some(ms(1500)), "the late answer gave a sample");
    plan.handle_reply(later, second.id, Verdict::new(PortState::Open, Reason::SynAck));
    assert_eq!(plan.poll_event(), None);
    assert_eq!(plan.statistics().duplicates, 1);
}

#[test]
fn an_answer_of_the_port_improves_on_a_reject() {
    let now = start();
    let mut plan = Plan::new(settings(Template::Normal, [80, 81], 1), RAW, now);
    plan.add_host(now, TARGET, GIVEN_UP);
    plan.end_of_hosts();
    let Next::Probe(probe) = plan.next(now) else { panic!("a probe is due") };
    let Next::Probe(other) = plan.next(now) else { panic!("a probe is due") };
    let rejected = Verdict::new(PortState::Filtered, Reason::HostUnreach).from_sender(ROUTER);
    plan.handle_reply(now, probe.id, rejected);
    plan.handle_reply(now, probe.id, Verdict::new(PortState::Open, Reason::SynAck));
    plan.handle_reply(now, probe.id, rejected);
    plan.handle_reply(now, other.id, rejected);
    let events = std::iter::from_fn(|| plan.poll_event());
    let states: Vec<PortState> = events
        .filter_map(|event| match event {
            PlanEvent::Port { verdict, .. } => Some(verdict.state),
            _ => None,
        })
        .collect();
    assert_eq!(states, [PortState::Open, PortState::Filtered]);
}

#[test]
fn ascending_order_is_by_number() {
    let now = start();
    let mut settings = settings(Template::Normal, [443, 22, 80, 22], 1);
    settings.port_order = PortOrder::Ascending;
    let mut plan = Plan::new(settings, CONNECT, now);
    plan.add_host(now, TARGET, GIVEN_UP);
    let mut ports = Vec::new();
    while let Next::Probe(probe) = plan.next(now) {
        ports.push(probe.kind);
    }
    assert_eq!(ports, [22, 80, 443].map(ProbeKind::Port));
}

#[test]
fn the_deadline_of_a_refused_probe_does_not_end_its_next_sending() {
    let now = start();
    let mut plan = Plan::new(settings(Template::Insane, [80], 1), RAW, now);
    plan.add_host(now, TARGET, GIVEN_UP);
    let Next::Probe(probe) = plan.next(now) else { panic!("a probe is due") };
    assert_eq!(probe.timeout, ms(250));
    plan.handle_local_trouble(now, probe.id, Errno::EPERM);
    let again = now + ms(100);
    let Next::Probe(resent) = plan.next(again) else { panic!("it is sent again") };
    assert_eq!(resent.id, probe.id);
    assert_eq!(plan.next(now + ms(300)), Next::Wait(Some(again + ms(250))));
    assert_eq!(plan.statistics().timeouts, 0);
}

/// The most in flight with a driver whose turns take this long, and that in each takes in every answer to what was sent
/// in the last, and sends on after each.
fn in_flight_peak(driver: Driver, turn: impl Fn(u32) -> Duration) -> usize {
    let mut now = start();
    let mut plan = Plan::new(settings(Template::Normal, 1..=65_535, 1), driver, now);
    plan.add_host(now, TARGET, GIVEN_UP);
    plan.end_of_hosts();
    let (mut sent, mut peak) = (Vec::new(), 0);
    loop {
        while let Next::Probe(probe) = plan.next(now) {
            sent.push(probe.id);
        }
        if sent.is_empty() {
            return peak;
        }
        now += turn(u32::try_from(sent.len()).unwrap());
        for id in std::mem::take(&mut sent) {
            plan.handle_reply(now, id, Verdict::new(PortState::Closed, Reason::ConnRefused));
            while let Next::Probe(probe) = plan.next(now) {
                sent.push(probe.id);
            }
            peak = peak.max(plan.in_flight());
        }
    }
}

#[test]
fn a_window_of_connects_does_not_outgrow_the_driver_that_is_its_bottleneck() {
    let busy = |probes: u32| probes * Duration::from_micros(20);
    let peak = in_flight_peak(CONNECT, busy);
    assert!((64..=160).contains(&peak), "{peak}");
    assert!(in_flight_peak(RAW, busy) > 250, "batches of a packet driver tell nothing");
    assert!(in_flight_peak(CONNECT, |_| ms(30)) > 250, "the network is the bottleneck");
}

#[test]
fn ports_in_a_run_and_with_gaps_are_found_at_their_index() {
    for ports in [vec![65_534, 65_535], (1..=65_535).collect(), vec![1, 2, 4], vec![7], vec![]] {
        let settings = settings(Template::Normal, ports.clone(), 1);
        let found: Vec<_> = (0..ports.len() + 1).map_while(|index| settings.port_at(index)).collect();
        assert_eq!(found, ports);
    }
}
