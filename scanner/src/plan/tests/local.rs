//! Trouble of the local system is never a port state.

use super::*;
use crate::simulator::{LocalLimits, Refusal};
use crate::verdict::{Errno, Verdict};

const NEVER: Duration = Duration::from_secs(1_000_000);

fn limited(local: LocalLimits) -> Report {
    let open = [22, 80, 443];
    let mut host = with_open(SimulatedHost::new(Behavior::Closed), &open);
    host = host.with_port(25, Behavior::Silent).with_delay(ms(5), ms(2));
    let mut network = one_host(1, host);
    network.local = local;
    let report = scan(settings(Template::Normal, 1..=2000, 1), CONNECT, network);
    assert_eq!(only(&report).ports_in(PortState::Open), open);
    assert_eq!(only(&report).ports_in(PortState::Filtered), [25]);
    assert_eq!(only(&report).ports_in(PortState::Closed).len(), 1996);
    assert_eq!(report.statistics.unknown, 0);
    report
}

#[test]
fn thirty_descriptors_give_every_true_state() {
    let report = limited(LocalLimits { descriptors: Some(30), ..LocalLimits::default() });
    assert!(report.in_flight_peak <= 30);
    assert!(report.local_troubles[&Errno::EMFILE] < 150, "{:?}", report.local_troubles);
    assert!(report.elapsed < ms(1500), "{:?}", report.elapsed);
}

#[test]
fn ten_ephemeral_ports_give_every_true_state() {
    let report = limited(LocalLimits { ephemeral_ports: Some(10), ..LocalLimits::default() });
    assert!(report.local_troubles[&Errno::EADDRNOTAVAIL] < 400, "{:?}", report.local_troubles);
    assert!(report.elapsed < ms(2500), "{:?}", report.elapsed);
}

#[test]
fn a_passing_refusal_is_waited_out() {
    for errno in [Errno::EPERM, Errno::ENETDOWN, Errno::ENOBUFS, Errno::EAGAIN, Errno::ENOMEM] {
        let refusal = Refusal::new(errno, 0..=u16::MAX, ms(400));
        let report = limited(LocalLimits { refusal: Some(refusal), ..LocalLimits::default() });
        assert!(report.local_troubles[&errno] > 0);
        assert!(report.elapsed < ms(2500), "{errno} {:?}", report.elapsed);
    }
}

#[test]
fn a_lasting_refusal_of_some_ports_is_unknown_with_its_errno() {
    let mut network = one_host(1, with_open(SimulatedHost::new(Behavior::Closed), &[22]));
    network.local.refusal = Some(Refusal::new(Errno::EPERM, 100..=199, NEVER));
    let report = scan(settings(Template::Normal, 1..=1000, 1), CONNECT, network);
    assert_eq!(only(&report).ports_in(PortState::Unknown), (100..=199).collect::<Vec<u16>>());
    assert_eq!(only(&report).ports[&150].reason.to_string(), "local-EPERM");
    assert_eq!(only(&report).ports_in(PortState::Closed).len(), 899);
    assert_eq!(report.statistics.unknown, 100);
    assert_eq!(report.statistics.sent, 900);
    assert!(report.elapsed < ms(2000), "{:?}", report.elapsed);
}

#[test]
fn a_system_without_any_resource_is_given_up_after_seconds() {
    for errno in [Errno::EPERM, Errno::EADDRNOTAVAIL] {
        let mut network = one_host(1, SimulatedHost::new(Behavior::Closed));
        network.local.refusal = Some(Refusal::new(errno, 0..=u16::MAX, NEVER));
        let report = scan(settings(Template::Normal, 1..=1000, 1), CONNECT, network);
        assert_eq!(only(&report).ports_in(PortState::Unknown).len(), 1000);
        assert_eq!(report.statistics.sent, 0);
        assert!(report.elapsed < ms(8000), "{errno} {:?}", report.elapsed);
    }
}

#[test]
fn a_host_that_cannot_be_asked_is_unknown_and_not_down() {
    let mut network = one_host(1, SimulatedHost::new(Behavior::Closed));
    network.local.refusal = Some(Refusal::new(Errno::EPERM, 0..=u16::MAX, NEVER));
    let settings = settings(Template::Normal, 1..=10, 1);
    let report = scan_all(settings, CONNECT, network, [(TARGET, HostStart::Discover)]);
    let (status, verdict) = only(&report).status.unwrap();
    assert_eq!(status, HostStatus::Unknown);
    assert_eq!(verdict.reason, Reason::Local(Errno::EPERM));
    assert_eq!(report.statistics.hosts_down, 0);
}

#[test]
fn after_a_shortage_silent_ports_get_back_what_there_is() {
    // 100 probes of a second and 100 of two, 30 at a time, and the half second without any: at least 10.5 s.
    let mut network = one_host(1, SimulatedHost::new(Behavior::Silent));
    network.local = LocalLimits {
        descriptors: Some(30),
        refusal: Some(Refusal::new(Errno::EMFILE, 0..=u16::MAX, ms(500))),
        ..LocalLimits::default()
    };
    let report = scan(settings(Template::Normal, 1..=100, 1), CONNECT, network);
    assert_eq!(report.statistics.sent, 200);
    assert!(report.local_troubles[&Errno::EMFILE] < 60, "{:?}", report.local_troubles);
    assert!(report.elapsed < ms(13_500), "{:?}", report.elapsed);
}

#[test]
fn lost_answers_halve_what_is_in_flight_and_it_comes_back() {
    let mut now = start();
    let mut settings = settings(Template::Normal, 1..=1000, 1);
    settings.min_parallelism = Some(64);
    let mut plan = Plan::new(settings, RAW, now);
    plan.add_host(now, TARGET, GIVEN_UP);
    let mut sent = Vec::new();
    while let Next::Probe(probe) = plan.next(now) {
        sent.push(probe.id);
    }
    let before = plan.in_flight();
    assert!(before >= 50, "{before}");
    plan.handle_lost_answers(now);
    // Nothing more goes out until less than half is under way.
    for id in sent.drain(..before * 2 / 5) {
        plan.handle_reply(now, id, Verdict::new(PortState::Closed, Reason::Reset));
    }
    assert!(matches!(plan.next(now), Next::Wait(_)));
    now += Duration::from_secs(5);
    assert!(matches!(plan.next(now), Next::Probe(_)));
}
