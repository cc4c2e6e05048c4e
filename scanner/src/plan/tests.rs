//! Whole scans in virtual time: recall, probes sent, time taken.

mod discovery;
mod limits;
mod local;
mod loss;
mod properties;
mod rates;
mod silence;

use std::net::{IpAddr, Ipv4Addr};
use std::time::{Duration, Instant};

use super::{Driver, HostStart, HostStatus, Next, Plan, Settings};
use crate::simulator::{Behavior, HostReport, Network, Report, SimulatedHost, simulate};
use crate::template::Template;
use crate::verdict::{PortState, Reason};

const TARGET: IpAddr = IpAddr::V4(Ipv4Addr::new(198, 18, 0, 10));
const ROUTER: IpAddr = IpAddr::V4(Ipv4Addr::new(198, 18, 0, 1));
const CONNECT: Driver = Driver::connect(20_000);
const RAW: Driver = Driver::raw(200_000);
const GIVEN_UP: HostStart = HostStart::Up(Reason::UserSet);

const fn ms(value: u64) -> Duration {
    Duration::from_millis(value)
}

#[expect(clippy::disallowed_methods, reason = "tests need some instant to count from")]
fn start() -> Instant {
    Instant::now()
}

fn settings(template: Template, ports: impl IntoIterator<Item = u16>, seed: u64) -> Settings {
    let mut settings = Settings::new(template, ports.into_iter().collect());
    settings.seed = seed;
    settings
}

/// Scans `targets` and checks what holds for every scan.
fn scan_all(
    settings: Settings,
    driver: Driver,
    network: Network,
    targets: impl IntoIterator<Item = (IpAddr, HostStart)>,
) -> Report {
    let ports = settings.ports.len();
    let now = start();
    let mut network = network.seen_by(driver);
    let report = simulate(Plan::new(settings, driver, now), &mut network, targets, now).unwrap();
    assert_eq!(report.strays, 0);
    assert!(report.in_flight_peak <= driver.in_flight_max, "{}", report.in_flight_peak);
    for host in &report.hosts {
        assert_eq!(host.contradictions, 0, "{}", host.address);
        let up = matches!(host.status, Some((HostStatus::Up, _)));
        assert_eq!(host.ports.len(), if up { ports } else { 0 }, "{}", host.address);
    }
    report
}

/// Scans one host that counts as up.
fn scan(settings: Settings, driver: Driver, network: Network) -> Report {
    scan_all(settings, driver, network, [(TARGET, GIVEN_UP)])
}

/// A network with one host at [`TARGET`].
fn one_host(seed: u64, host: SimulatedHost) -> Network {
    let mut network = Network::new(seed);
    network.add(TARGET, host);
    network
}

fn with_open(mut host: SimulatedHost, open: &[u16]) -> SimulatedHost {
    for &port in open {
        host = host.with_port(port, Behavior::Open);
    }
    host
}

fn only(report: &Report) -> &HostReport {
    assert_eq!(report.hosts.len(), 1);
    &report.hosts[0]
}

/// Every `step`-th port from `first`.
fn spread(first: u16, step: usize, count: usize) -> Vec<u16> {
    (first..).step_by(step).take(count).collect()
}

#[test]
fn all_ports_of_a_lan_host_are_found_with_one_probe_each() {
    let open = [22, 80, 443, 65_535];
    for driver in [CONNECT, RAW] {
        let network = one_host(1, with_open(SimulatedHost::new(Behavior::Closed), &open));
        let report = scan(settings(Template::Normal, 1..=65_535, 1), driver, network);
        assert_eq!(only(&report).ports_in(PortState::Open), open);
        assert_eq!(only(&report).ports_in(PortState::Closed).len(), 65_531);
        assert_eq!(report.statistics.sent, 65_535);
        // 10 us per send in the simulator is 0.66 s.
        assert!(report.elapsed < ms(700), "{:?}", report.elapsed);
    }
}

#[test]
fn a_far_host_is_not_slower_than_its_window_allows() {
    let host = SimulatedHost::new(Behavior::Closed).with_delay(ms(80), ms(40));
    let report = scan(settings(Template::Normal, 1..=10_000, 1), CONNECT, one_host(1, host));
    assert_eq!(only(&report).ports_in(PortState::Closed).len(), 10_000);
    assert!(report.statistics.sent <= 10_100, "{:?}", report.statistics);
    assert!(report.elapsed < ms(8000), "{:?}", report.elapsed);
}

#[test]
fn the_same_seed_is_the_same_scan_and_another_is_another_order() {
    let run = |seed| {
        let now = start();
        let mut plan = Plan::new(settings(Template::Normal, 1..=500, seed), CONNECT, now);
        plan.add_host(now, TARGET, GIVEN_UP);
        let mut order = Vec::new();
        while let Next::Probe(probe) = plan.next(now) {
            order.push(probe.kind);
        }
        order
    };
    assert_eq!(run(1), run(1));
    assert_ne!(run(1), run(2));
    assert_eq!(run(1).len(), 50, "the initial window");
}

#[test]
fn the_plan_costs_microseconds_per_probe() {
    #[expect(clippy::disallowed_methods, reason = "processor time is what is measured")]
    let began = Instant::now();
    let host = SimulatedHost::new(Behavior::Silent);
    let report = scan(settings(Template::Normal, 1..=65_535, 1), CONNECT, one_host(1, host));
    assert_eq!(report.statistics.sent, 2 * 65_535);
    // Measured at 0.5 s unoptimized; the rest is for a busy machine.
    assert!(began.elapsed() < Duration::from_secs(8), "{:?}", began.elapsed());
}
