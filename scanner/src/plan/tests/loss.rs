//! Loss both ways, told apart from silence.

use super::*;

#[test]
fn five_percent_loss_both_ways_loses_no_open_port() {
    let open = spread(7, 33, 30);
    for seed in 0..20 {
        for driver in [CONNECT, RAW] {
            let host = with_open(SimulatedHost::new(Behavior::Closed).with_loss(0.05, 0.05), &open);
            let report = scan(settings(Template::Normal, 1..=1000, seed), driver, one_host(seed, host));
            assert_eq!(only(&report).ports_in(PortState::Open), open, "seed {seed}");
            assert_eq!(only(&report).ports_in(PortState::Filtered), Vec::<u16>::new(), "seed {seed}");
            assert!(report.statistics.sent < 1250, "{:?}", report.statistics);
            assert!(report.elapsed < ms(2500), "{:?}", report.elapsed);
        }
    }
}

#[test]
fn ten_thousand_ports_with_five_percent_of_probes_dropped() {
    let open = spread(11, 97, 100);
    for seed in 0..20 {
        let host = with_open(SimulatedHost::new(Behavior::Closed).with_loss(0.05, 0.0), &open);
        let report = scan(settings(Template::Normal, 1..=10_000, seed), CONNECT, one_host(seed, host));
        assert_eq!(only(&report).ports_in(PortState::Open), open, "seed {seed}");
        assert!(report.elapsed < ms(1500), "{:?}", report.elapsed);
    }
}

#[test]
fn twenty_percent_loss_both_ways_keeps_recall() {
    let open = spread(3, 10, 100);
    let mut found = 0;
    for seed in 0..20 {
        let host = with_open(SimulatedHost::new(Behavior::Closed).with_loss(0.2, 0.2), &open);
        let report = scan(settings(Template::Normal, 1..=1000, seed), RAW, one_host(seed, host));
        found += only(&report).ports_in(PortState::Open).len();
        assert!(report.elapsed < ms(6000), "{:?}", report.elapsed);
    }
    assert!(found >= 1998, "{found} of 2000");
}

#[test]
fn loss_among_silent_ports_raises_the_tries_and_no_more_than_needed() {
    let open = spread(3, 10, 100);
    for seed in 0..5 {
        let host = with_open(SimulatedHost::new(Behavior::Silent).with_loss(0.1, 0.1), &open);
        let report = scan(settings(Template::Normal, 1..=1000, seed), CONNECT, one_host(seed, host));
        let found = only(&report).ports_in(PortState::Open).len();
        assert!(found >= 99, "{found} of 100");
        assert!(report.elapsed < ms(10_000), "{:?}", report.elapsed);
        assert!((4 * 900..=9 * 900).contains(&report.statistics.sent), "{:?}", report.statistics);
    }
}

#[test]
fn insane_keeps_its_cap_on_retries() {
    let host = SimulatedHost::new(Behavior::Closed).with_loss(0.4, 0.4);
    let report = scan(settings(Template::Insane, 1..=1000, 1), CONNECT, one_host(1, host));
    assert!(report.statistics.sent <= 3000);
}

#[test]
fn loss_does_not_choke_a_far_host() {
    for (loss, limit) in [(0.02, ms(5000)), (0.05, ms(6000)), (0.1, ms(7000)), (0.2, ms(11_000))] {
        let host = SimulatedHost::new(Behavior::Closed).with_loss(loss, loss).with_delay(ms(60), ms(20));
        let report = scan(settings(Template::Normal, 1..=10_000, 1), RAW, one_host(1, host));
        assert_eq!(only(&report).ports_in(PortState::Closed).len(), 10_000, "{loss}");
        assert!(report.elapsed < limit, "{loss} {:?}", report.elapsed);
        assert_eq!(only(&report).summary.unwrap().answers_limited, None);
    }
}
