//! Limits of the other side.

use super::*;
use crate::simulator::AnswerLimit;
use crate::verdict::{IcmpError, IcmpVersion};

#[test]
fn limited_resets_are_paced_to_and_no_state_is_wrong() {
    for driver in [CONNECT, RAW] {
        for template in [Template::Normal, Template::Aggressive] {
            let host = SimulatedHost::new(Behavior::Closed).with_limit(AnswerLimit::new(40.0, 5.0));
            let host = with_open(host, &[22, 80]);
            let report = scan(settings(template, 1..=300, 1), driver, one_host(1, host));
            assert_eq!(only(&report).ports_in(PortState::Open), [22, 80]);
            assert_eq!(only(&report).ports_in(PortState::Closed).len(), 298, "{template:?} {driver:?}");
            // 7.4 s is the least the limit allows.
            assert!(report.elapsed < ms(8000), "{template:?} {driver:?} {:?}", report.elapsed);
            let limit = only(&report).summary.unwrap().answers_limited.unwrap().probes_per_second();
            assert!((20.0..80.0).contains(&limit), "{limit}");
        }
    }
}

#[test]
fn defied_limits_cost_no_time_and_open_ports_are_found_all_the_same() {
    for driver in [CONNECT, RAW] {
        let host = SimulatedHost::new(Behavior::Closed).with_limit(AnswerLimit::new(40.0, 5.0));
        let mut settings = settings(Template::Normal, 1..=300, 1);
        settings.answer_limits = crate::plan::AnswerLimits::Defied;
        let report = scan(settings, driver, one_host(1, with_open(host, &[22, 80])));
        assert_eq!(only(&report).ports_in(PortState::Open), [22, 80]);
        assert!(report.elapsed < ms(1500), "{driver:?} {:?}", report.elapsed);
        assert!(report.statistics.sent <= 600, "{:?}", report.statistics);
    }
}

#[test]
fn any_limit_is_used_up_and_not_overrun() {
    for (per_second, burst, ports) in [(10.0, 5.0, 150), (200.0, 50.0, 2000), (1000.0, 50.0, 10_000)] {
        let host = SimulatedHost::new(Behavior::Closed).with_limit(AnswerLimit::new(per_second, burst));
        let report = scan(settings(Template::Normal, 1..=ports, 1), RAW, one_host(1, host));
        assert_eq!(only(&report).ports_in(PortState::Closed).len(), usize::from(ports), "{per_second}/s");
        let least = (f64::from(ports) - burst) / per_second;
        assert!(report.elapsed.as_secs_f64() < 1.1 * least + 1.0, "{per_second}/s {:?}", report.elapsed);
        assert!(report.statistics.sent < 8 * u64::from(ports), "{:?}", report.statistics);
    }
}

#[test]
fn limited_resets_among_silent_ports() {
    let mut host = SimulatedHost::new(Behavior::Silent).with_limit(AnswerLimit::new(100.0, 20.0));
    for port in (1..=1000).step_by(5) {
        host = host.with_port(port, Behavior::Closed);
    }
    let report = scan(settings(Template::Normal, 1..=1000, 1), CONNECT, one_host(1, host));
    let closed = only(&report).ports_in(PortState::Closed).len();
    assert!(closed >= 196, "{closed} of 200");
    assert!(report.elapsed < ms(20_000), "{:?}", report.elapsed);
}

#[test]
fn random_loss_is_not_taken_for_a_limit() {
    let host = SimulatedHost::new(Behavior::Closed).with_loss(0.3, 0.2);
    let report = scan(settings(Template::Normal, 1..=10_000, 1), RAW, one_host(1, host));
    assert_eq!(only(&report).summary.unwrap().answers_limited, None);
    assert!(report.elapsed < ms(20_000), "{:?}", report.elapsed);
}

#[test]
fn limited_icmp_rejects_get_their_reason() {
    let icmp = IcmpError::new(IcmpVersion::V4, 3, 13, Some(ROUTER));
    let host = SimulatedHost::new(Behavior::Reject(icmp)).with_limit(AnswerLimit::new(100.0, 10.0));
    let report = scan(settings(Template::Normal, 1..=200, 1), CONNECT, one_host(1, host));
    let rejected = only(&report).ports.values().filter(|v| v.reason == Reason::AdminProhibited).count();
    assert_eq!(rejected, 200);
    assert!(only(&report).ports.values().all(|v| v.from == Some(ROUTER)));
    // 1.9 s is the least, and a router's answers give no round-trip time of the host, so a time-out is 1 s.
    assert!(report.elapsed < ms(14_000), "{:?}", report.elapsed);
}

#[test]
fn a_tarpit_delays_but_does_not_stop_the_scan() {
    let host = SimulatedHost::new(Behavior::Tarpit(ms(400)));
    let report = scan(settings(Template::Normal, 1..=1000, 1), CONNECT, one_host(1, host));
    assert_eq!(only(&report).ports_in(PortState::Open).len(), 1000);
    assert!(report.elapsed < ms(4000), "{:?}", report.elapsed);
}
