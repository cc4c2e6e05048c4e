//! Silence must not cost minutes.

use super::*;
use crate::verdict::Verdict;

/// 1,000 ports that drop everything, one host.
fn silent(template: Template, driver: Driver) -> Report {
    let report = scan(settings(template, 1..=1000, 1), driver, Network::new(1));
    for verdict in only(&report).ports.values() {
        assert_eq!((verdict.state, verdict.reason), (PortState::Filtered, Reason::NoResponse));
    }
    assert_eq!(report.statistics.sent, 2000, "each port is tried twice");
    assert!(report.in_flight_peak <= crate::plan::HALF_OPEN_PER_HOST_MAX as usize);
    report
}

#[test]
fn a_thousand_silent_ports_take_seconds() {
    for driver in [CONNECT, RAW] {
        for (template, limit) in
            [(Template::Normal, ms(5000)), (Template::Aggressive, ms(3000)), (Template::Insane, ms(2000))]
        {
            let report = silent(template, driver);
            assert!(report.elapsed <= limit, "{template:?} {:?}", report.elapsed);
        }
    }
}

#[test]
fn a_silent_host_is_not_flooded() {
    let report = silent(Template::Normal, CONNECT);
    let mut first = 0;
    for (last, &at) in report.sends.iter().enumerate() {
        while at - report.sends[first] >= Duration::from_secs(1) {
            first += 1;
        }
        assert!(last - first < 1100, "{} probes within a second", last - first + 1);
    }
}

#[test]
fn a_few_open_ports_among_silent_ones_are_found_and_speed_it_up() {
    let host = with_open(SimulatedHost::new(Behavior::Silent), &[22, 80, 443]);
    let report = scan(settings(Template::Normal, 1..=1000, 1), CONNECT, one_host(1, host));
    assert_eq!(only(&report).ports_in(PortState::Open), [22, 80, 443]);
    assert_eq!(report.statistics.sent, 2 * 997 + 3);
    assert!(report.elapsed < ms(2300), "{:?}", report.elapsed);
}

#[test]
fn three_ports_one_filtered_take_two_timeouts() {
    let host =
        SimulatedHost::new(Behavior::Closed).with_port(1, Behavior::Silent).with_port(2, Behavior::Open);
    let report = scan(settings(Template::Normal, 1..=3, 1), CONNECT, one_host(1, host));
    assert_eq!(only(&report).ports_in(PortState::Filtered), [1]);
    assert_eq!(report.statistics.sent, 4);
    assert!(report.elapsed <= ms(301), "{:?}", report.elapsed);
}

#[test]
fn a_probe_sent_before_the_round_trip_was_known_is_abandoned_when_it_is() {
    let now = start();
    let mut plan = Plan::new(settings(Template::Normal, [1, 2], 1), CONNECT, now);
    plan.add_host(now, TARGET, GIVEN_UP);
    plan.end_of_hosts();
    let Next::Probe(silent) = plan.next(now) else { panic!("a probe is due") };
    let Next::Probe(closed) = plan.next(now) else { panic!("a probe is due") };
    assert_eq!(silent.timeout, ms(1000));
    plan.handle_reply(now + ms(1), closed.id, Verdict::new(PortState::Closed, Reason::ConnRefused));
    let Next::Wait(Some(at)) = plan.next(now + ms(1)) else { panic!("nothing is due") };
    assert_eq!(at - now, ms(100));
    assert_eq!(plan.next(at), Next::Abandon(silent.id));
    let Next::Probe(retry) = plan.next(at) else { panic!("a retry is due") };
    assert_eq!((retry.try_number, retry.timeout), (1, ms(200)));
    plan.handle_timeout(at, silent.id);
    assert_eq!(plan.in_flight(), 1, "what comes of the abandoned probe is ignored");
}

#[test]
fn a_slow_host_behind_a_fast_one_is_not_cut_off() {
    let slow: IpAddr = "198.18.0.11".parse().unwrap();
    let mut network = one_host(1, SimulatedHost::new(Behavior::Closed));
    network.add(slow, SimulatedHost::new(Behavior::Closed).with_delay(ms(700), ms(100)));
    let report = scan_all(
        settings(Template::Normal, 1..=200, 1),
        CONNECT,
        network,
        [(TARGET, GIVEN_UP), (slow, GIVEN_UP)],
    );
    for host in &report.hosts {
        assert_eq!(host.ports_in(PortState::Closed).len(), 200, "{}", host.address);
    }
}

#[test]
fn sixteen_ports_of_many_hosts_that_all_answer_take_one_probe_each() {
    let mut network = Network::new(1);
    let address = |n: u32| IpAddr::V4(Ipv4Addr::from(0xc612_0000 + n));
    for n in 0..4096 {
        network.add(address(n), with_open(SimulatedHost::new(Behavior::Closed), &[1 + (n % 16) as u16]));
    }
    network.send_cost = Duration::from_micros(1);
    let targets = (0..4096).map(|n| (address(n), GIVEN_UP));
    let report = scan_all(settings(Template::Normal, 1..=16, 1), RAW, network, targets);
    let open = report.hosts.iter().map(|host| host.ports_in(PortState::Open).len()).sum::<usize>();
    assert_eq!(open, 4096);
    assert_eq!(report.statistics.sent, 4096 * 16);
    // A microsecond per probe is what the simulated sender takes.
    assert!(report.elapsed < ms(75), "{:?}", report.elapsed);
}

#[test]
fn many_hosts_two_thirds_silent() {
    let mut network = Network::new(1);
    let address = |n: u32| IpAddr::V4(Ipv4Addr::from(0xc612_0100 + n));
    for n in 0..256 {
        let mut host = SimulatedHost::new(Behavior::Silent);
        for port in (1..=100).filter(|port| port % 3 == 0) {
            host = host.with_port(port, if port == 99 { Behavior::Open } else { Behavior::Closed });
        }
        network.add(address(n), host);
    }
    let targets = (0..256).map(|n| (address(n), GIVEN_UP));
    let report = scan_all(settings(Template::Aggressive, 1..=100, 1), CONNECT, network, targets);
    for host in &report.hosts {
        assert_eq!(host.ports_in(PortState::Open), [99]);
        assert_eq!(host.ports_in(PortState::Closed).len(), 32);
    }
    assert_eq!(report.statistics.sent, 256 * (33 + 2 * 67));
    assert!(report.elapsed < ms(4000), "{:?}", report.elapsed);
}
