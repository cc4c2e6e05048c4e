//! The resolver and the real servers of Debian: names, absence, refusal, failure, answers too long for a datagram,
//! aliases, cookies.

use std::net::{IpAddr, SocketAddr};
use std::time::Duration;

use dns::{Answer, Config, Counters, Driver, Family, Outcome, Request, Resolver, ServerFault};
use nsock::{Io, Pool};
use testkit::{MANY_NAMES, NameServer};

const LIMIT: Option<Duration> = Some(Duration::from_secs(20));

struct Names {
    dns: Driver<Self>,
    found: Vec<Answer>,
}

impl Names {
    fn answered(&mut self, _: &mut Io<Self>, answer: Answer) {
        self.found.push(answer);
    }
}

/// Asks these servers, one question after the other, so that the later ones are dressed as what was learned asks.
fn ask(servers: &[SocketAddr], requests: Vec<Request>) -> (Vec<Outcome>, Counters) {
    let mut pool = Pool::<Names>::new().unwrap();
    let resolver = Resolver::new(Config::new(servers.to_vec()), dns::unpredictable_ids().unwrap()).unwrap();
    let dns = Driver::attach(&mut pool, resolver, |names| &mut names.dns, Names::answered);
    let mut names = Names { dns, found: Vec::new() };
    for request in requests {
        names.dns.start(&mut pool, request).unwrap();
        pool.run(&mut names, LIMIT).unwrap();
    }
    let counters = *names.dns.resolver().counters();
    (names.found.into_iter().map(|answer| answer.outcome).collect(), counters)
}

fn reverse(addresses: &[&str]) -> Vec<Request> {
    addresses.iter().map(|address| Request::Reverse(address.parse::<IpAddr>().unwrap())).collect()
}

/// What there is in the zones, in the words of [`Outcome`].
fn expect_the_zones(server: &NameServer) -> Counters {
    let addresses =
        ["198.18.0.1", "fd00::1", "198.18.0.2", "198.18.0.5", "198.18.0.4", "198.18.9.1", "198.18.0.3"];
    let (outcomes, counters) = ask(&[server.address()], reverse(&addresses));
    let texts: Vec<String> = outcomes.iter().map(ToString::to_string).collect();
    assert_eq!(
        texts[..6],
        [
            "one.example",
            "one.example",
            "no record of this kind",
            "no such name",
            "four.example",
            "nine.example"
        ]
    );
    let Outcome::Names(many) = &outcomes[6] else { panic!("{outcomes:?}") };
    // All came by TCP; the first 32 are kept.
    assert_eq!(many.len(), MANY_NAMES.min(32));
    assert!(many.iter().all(|name| name.to_string().ends_with(".of.many.example")), "{many:?}");
    assert_eq!((counters.discarded, counters.found, counters.absent), (0, 5, 2), "{counters:?}");
    // One datagram for each, and one question by TCP.
    assert_eq!(counters.transmitted, 8, "{counters:?}");
    counters
}

#[test]
fn nsd_has_everything_and_refuses_the_rest() {
    let Some(server) = NameServer::nsd().unwrap() else { return };
    expect_the_zones(&server);
    let (outcomes, counters) = ask(&[server.address()], reverse(&["203.0.113.1"]));
    assert_eq!((outcomes, counters.transmitted), (vec![Outcome::Refused], 1));
}

#[test]
fn bind_has_everything_gives_cookies_and_fails_for_a_zone_that_is_not_there() {
    let Some(server) = NameServer::bind().unwrap() else { return };
    expect_the_zones(&server);
    // The first query is plain, the second has a cookie of ours, and from the third on there is the server's.
    let addresses = ["198.18.0.1", "198.19.0.1", "198.18.0.2", "198.18.0.6"];
    let (outcomes, counters) = ask(&[server.address()], reverse(&addresses));
    assert_eq!(outcomes[1], Outcome::ServerFailure(ServerFault::Rcode(2)));
    assert_eq!((counters.discarded, counters.transmitted), (0, 4));
}

#[test]
fn unbound_asks_on_and_fails_where_nobody_answers() {
    let Some(upstream) = NameServer::nsd().unwrap() else { return };
    let Some(server) = NameServer::unbound(upstream.address()).unwrap() else { return };
    expect_the_zones(&server);
    let (outcomes, _) = ask(&[server.address()], reverse(&["198.19.0.1"]));
    assert_eq!(outcomes, [Outcome::ServerFailure(ServerFault::Rcode(2))]);
    // A server that fails costs nothing where another knows.
    let (outcomes, counters) = ask(&[server.address(), upstream.address()], reverse(&["198.18.0.1"]));
    assert_eq!((outcomes[0].to_string().as_str(), counters.transmitted), ("one.example", 1));
}

#[test]
fn dnsmasq_knows_names_both_ways() {
    let Some(server) = NameServer::dnsmasq().unwrap() else { return };
    let mut requests = reverse(&["198.18.0.1", "fd00::1", "198.18.0.9"]);
    for family in [Family::V4, Family::V6] {
        requests.push(Request::Forward("One.Example.".to_owned(), family));
    }
    let (outcomes, counters) = ask(&[server.address()], requests);
    let texts: Vec<String> = outcomes.iter().map(ToString::to_string).collect();
    assert_eq!(texts, ["one.example", "one.example", "no such name", "198.18.0.1", "fd00::1"]);
    assert_eq!((counters.discarded, counters.transmitted), (0, 5));
}

#[test]
fn a_refusing_and_a_failing_server_leave_the_word_to_one_that_knows() {
    let Some(nsd) = NameServer::nsd().unwrap() else { return };
    let Some(unbound) = NameServer::unbound(testkit::closed_port().unwrap().address()).unwrap() else {
        return;
    };
    // Unbound finds nobody to ask, and NSD has the zone.
    let (outcomes, counters) = ask(&[unbound.address(), nsd.address()], reverse(&["198.18.0.1"]));
    assert_eq!(outcomes[0].to_string(), "one.example", "{counters:?}");
}
