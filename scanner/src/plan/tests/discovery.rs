//! Is the host there?

use super::*;
use crate::plan::Method;
use crate::verdict::{IcmpError, IcmpVersion, ResetEvidence};

fn discover(template: Template, driver: Driver, network: Network) -> Report {
    scan_all(settings(template, [22], 1), driver, network, [(TARGET, HostStart::Discover)])
}

fn status(report: &Report) -> (HostStatus, Reason) {
    let (status, verdict) = only(report).status.unwrap();
    (status, verdict.reason)
}

#[test]
fn an_accepted_or_refused_connect_means_up() {
    let network = one_host(1, SimulatedHost::new(Behavior::Silent).with_port(443, Behavior::Open));
    assert_eq!(status(&discover(Template::Normal, CONNECT, network)), (HostStatus::Up, Reason::SynAck));
    let report = discover(Template::Normal, CONNECT, one_host(1, SimulatedHost::new(Behavior::Closed)));
    assert_eq!(status(&report), (HostStatus::Up, Reason::ConnRefused));
    assert!(only(&report).latency.is_some());
    assert!(report.elapsed < ms(5), "{:?}", report.elapsed);
}

#[test]
fn a_host_that_is_down_costs_little_more_than_one_timeout() {
    for driver in [CONNECT, RAW] {
        for (template, limit) in [(Template::Normal, ms(1250)), (Template::Aggressive, ms(650))] {
            let report = discover(template, driver, Network::new(1));
            assert_eq!(status(&report), (HostStatus::Down, Reason::NoResponse));
            assert_eq!(report.statistics.sent, 4);
            assert_eq!(report.statistics.hosts_down, 1);
            assert!(report.elapsed <= limit, "{template:?} {:?}", report.elapsed);
        }
    }
}

#[test]
fn a_router_that_prohibits_both_probes_decides_at_once() {
    let icmp = IcmpError::new(IcmpVersion::V4, 3, 13, Some(ROUTER));
    let report = discover(Template::Normal, CONNECT, one_host(1, SimulatedHost::new(Behavior::Reject(icmp))));
    assert_eq!(status(&report), (HostStatus::Down, Reason::AdminProhibited));
    assert_eq!(only(&report).status.unwrap().1.from, Some(ROUTER));
    assert_eq!(report.statistics.sent, 2);
    assert!(report.elapsed < ms(200), "{:?}", report.elapsed);
}

#[test]
fn what_a_router_said_outlasts_silence() {
    let icmp = IcmpError::new(IcmpVersion::V4, 3, 13, Some(ROUTER));
    let host = SimulatedHost::new(Behavior::Silent).with_port(80, Behavior::Reject(icmp));
    let report = discover(Template::Normal, CONNECT, one_host(1, host));
    assert_eq!(status(&report), (HostStatus::Down, Reason::AdminProhibited));
    assert_eq!(report.statistics.sent, 3, "the rejected probe is not repeated");
}

#[test]
fn a_router_that_calls_the_whole_host_unreachable_decides_soon_unless_the_host_answers() {
    let icmp = IcmpError::new(IcmpVersion::V4, 3, 1, Some(ROUTER));
    let host = SimulatedHost::new(Behavior::Silent).with_port(80, Behavior::Reject(icmp));
    for driver in [CONNECT, RAW] {
        let report = discover(Template::Normal, driver, one_host(1, host.clone()));
        assert_eq!(status(&report), (HostStatus::Down, Reason::HostUnreach));
        assert_eq!(report.statistics.sent, 2);
        assert!(report.elapsed < ms(100), "{:?}", report.elapsed);
    }
    let host = host.with_port(443, Behavior::Open);
    let report = discover(Template::Normal, RAW, one_host(1, host));
    assert_eq!(status(&report), (HostStatus::Up, Reason::SynAck));
}

#[test]
fn neighbors_and_hosts_far_away_in_one_plan_are_asked_in_their_own_ways() {
    let far: IpAddr = "198.19.0.10".parse().unwrap();
    let mut network = one_host(1, SimulatedHost::new(Behavior::Closed));
    network.add(far, SimulatedHost::new(Behavior::Closed));
    let absent: IpAddr = "198.18.0.99".parse().unwrap();
    let mut settings = settings(Template::Normal, [22], 1);
    settings.methods = FOUR.to_vec();
    let targets = [
        (TARGET, HostStart::Neighbor),
        (far, HostStart::Discover),
        (absent, HostStart::NeighborOrUp(Reason::UserSet)),
    ];
    // The hosts are found by packets, whatever the ports are scanned by.
    for driver in [CONNECT, RAW] {
        let report = scan_all(settings.clone(), driver, network.clone(), targets);
        let statuses: Vec<_> = report.hosts.iter().map(|host| host.status.unwrap().0).collect();
        assert_eq!(statuses, [HostStatus::Up; 3], "{driver:?}");
        assert_eq!(report.hosts[2].status.unwrap().1.reason, Reason::UserSet);
        assert_eq!(report.hosts[2].ports[&22].reason, Reason::NoResponse);
        // One, four and two for the hosts; one, one and two for the ports.
        assert_eq!(report.statistics.sent, 11, "{driver:?}");
    }
}

#[test]
fn an_unreachable_of_the_target_itself_means_up() {
    let icmp = IcmpError::new(IcmpVersion::V4, 3, 3, Some(TARGET));
    let report = discover(Template::Normal, CONNECT, one_host(1, SimulatedHost::new(Behavior::Reject(icmp))));
    assert_eq!(status(&report), (HostStatus::Up, Reason::PortUnreach));
}

#[test]
fn ignored_resets_prove_nothing() {
    let mut settings = settings(Template::Normal, [22], 1);
    settings.resets = ResetEvidence::Ignored;
    let network = one_host(1, SimulatedHost::new(Behavior::Closed));
    let report = scan_all(settings, CONNECT, network, [(TARGET, HostStart::Discover)]);
    assert_eq!(status(&report), (HostStatus::Down, Reason::NoResponse));
    assert_eq!(report.statistics.sent, 2);
}

#[test]
fn a_host_declared_up_is_never_down() {
    let report = scan(settings(Template::Normal, [80], 1), CONNECT, Network::new(1));
    assert_eq!(status(&report), (HostStatus::Up, Reason::UserSet));
    assert_eq!(only(&report).ports[&80].reason, Reason::NoResponse);
    assert!(report.elapsed <= ms(3001), "{:?}", report.elapsed);
}

#[test]
fn two_hosts_one_down_are_reported_in_the_order_given() {
    let down: IpAddr = "198.18.0.99".parse().unwrap();
    for targets in [[down, TARGET], [TARGET, down]] {
        let network = one_host(1, with_open(SimulatedHost::new(Behavior::Closed), &[22]));
        let report = scan_all(
            settings(Template::Normal, 1..=100, 1),
            CONNECT,
            network,
            targets.map(|address| (address, HostStart::Discover)),
        );
        assert_eq!(report.hosts.iter().map(|host| host.address).collect::<Vec<_>>(), targets);
        for host in &report.hosts {
            let up = host.address == TARGET;
            assert_eq!(host.status.unwrap().0 == HostStatus::Up, up);
            assert_eq!(host.ports_in(PortState::Open), if up { vec![22] } else { vec![] });
        }
        assert!(report.elapsed < ms(1250), "{:?}", report.elapsed);
    }
}

#[test]
fn a_sweep_of_65536_addresses_keeps_few_at_hand_and_finds_every_host() {
    let mut network = Network::new(1);
    let address = |n: u32| IpAddr::V4(Ipv4Addr::from(0xc612_0000 + n));
    for n in (0..65_536).step_by(101) {
        network.add(address(n), SimulatedHost::new(Behavior::Closed).with_delay(ms(5), ms(5)));
    }
    network.send_cost = Duration::from_micros(1);
    let mut settings = Settings::new(Template::Aggressive, Vec::new());
    settings.methods = vec![Method::Syn(443)];
    let group = settings.asked_max() as usize;
    let targets = (0..65_536).map(|n| (address(n), HostStart::Discover));
    let report = scan_all(settings, RAW, network, targets);
    assert_eq!(report.statistics.hosts_up, 649);
    assert_eq!(report.statistics.hosts_down, 65_536 - 649);
    assert!(report.in_flight_peak <= 2 * group, "{}", report.in_flight_peak);
    assert!(report.elapsed < ms(20_000), "{:?}", report.elapsed);
}

#[test]
fn many_ports_do_not_slow_the_search_for_hosts() {
    let address = |n: u32| IpAddr::V4(Ipv4Addr::from(0xc612_0000 + n));
    for (driver, limit) in [(Driver::connect(1000), ms(20_000)), (CONNECT, ms(4000)), (RAW, ms(4000))] {
        let mut network = Network::new(1);
        for n in (0..4096).step_by(101) {
            network.add(address(n), SimulatedHost::new(Behavior::Closed).with_delay(ms(5), ms(5)));
        }
        let targets = (0..4096).map(|n| (address(n), HostStart::Discover));
        let report = scan_all(settings(Template::Normal, 1..=1000, 1), driver, network, targets);
        assert_eq!(report.statistics.hosts_up, 41);
        assert!(report.elapsed < limit, "{driver:?} {:?}", report.elapsed);
        assert!(report.hosts.iter().map(|host| host.address).eq((0..4096).map(address)));
    }
}

const FOUR: [Method; 4] = [Method::Echo, Method::Syn(443), Method::Ack(80), Method::Timestamp];

fn sweep(template: Template, methods: &[Method]) -> Settings {
    let mut settings = Settings::new(template, Vec::new());
    settings.methods = methods.to_vec();
    settings
}

#[test]
fn a_neighbor_that_is_not_there_costs_half_a_second() {
    let settings = sweep(Template::Normal, &[Method::Neighbor]);
    let report = scan_all(settings, RAW, Network::new(1), [(TARGET, HostStart::Discover)]);
    assert_eq!(status(&report), (HostStatus::Down, Reason::NoResponse));
    assert_eq!(report.statistics.sent, 2);
    assert!(report.elapsed <= ms(600), "{:?}", report.elapsed);
}

#[test]
fn a_router_that_prohibits_all_four_probes_decides_at_once() {
    let icmp = IcmpError::new(IcmpVersion::V4, 3, 13, Some(ROUTER));
    let network = one_host(1, SimulatedHost::new(Behavior::Reject(icmp)));
    let targets = [(TARGET, HostStart::Discover)];
    let report = scan_all(sweep(Template::Normal, &FOUR), RAW, network, targets);
    assert_eq!(status(&report), (HostStatus::Down, Reason::AdminProhibited));
    assert_eq!(report.statistics.sent, 4);
    assert!(report.elapsed < ms(200), "{:?}", report.elapsed);
}
