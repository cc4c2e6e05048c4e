//! Which ports are likeliest to be open: our own ranking.
//!
//! # How it was made
//! By hand, from public knowledge of what runs on which port: the IANA registry, the documentation of products and
//! their default configurations. It is neither measured nor taken from the list of any other scanner. Ports were
//! gathered in groups and the groups ordered by how often such a machine is met on today's networks: first what nearly
//! every machine offers, then what servers, containers and devices of the present offer most, then Windows services,
//! container platforms, monitoring, databases, old Unix services, queues and big data, voice, video and home devices,
//! storage, the other numbers of the web, and last chat, games and remote control. Inside a group the order is a
//! judgement too. A port that belongs to several groups stands in the first.
//!
//! The lists end at 1000 TCP and 200 UDP ports. [`ranking`] goes on beyond their ends by rule: the ports that have a
//! registered name, then all others, both by ascending number.

mod lists;

use crate::ports::{PortSet, Protocol};
use crate::services;

/// How many ports of each protocol a scan looks at unless told otherwise.
pub const DEFAULT_COUNT: usize = 1000;
/// How many `-F` looks at.
pub const FAST_COUNT: usize = 100;

/// Returns the hand-made list for `protocol`, the likeliest port first. There is none for SCTP.
///
/// ```
/// use scanner::ports::Protocol;
///
/// assert!(scanner::top_ports::listed(Protocol::Tcp)[..10].contains(&22));
/// ```
pub fn listed(protocol: Protocol) -> &'static [u16] {
    match protocol {
        Protocol::Tcp => &lists::TCP,
        Protocol::Udp => &lists::UDP,
        Protocol::Sctp => &[],
    }
}

/// Yields all 65,535 ports once each, the likeliest first: the list, then ports with a name, then the rest.
///
/// Port 0 is left out; it is scanned only where it is asked for.
pub fn ranking(protocol: Protocol) -> impl Iterator<Item = u16> {
    let mut rest = PortSet::new();
    rest.insert_range(1, u16::MAX);
    let mut named = PortSet::new();
    for (port, _) in services::all(protocol) {
        named.insert(port);
    }
    for port in listed(protocol) {
        named.remove(*port);
        rest.remove(*port);
    }
    named.remove(0);
    for port in &named {
        rest.remove(port);
    }
    listed(protocol).iter().copied().chain(named).chain(rest)
}

#[cfg(test)]
mod tests {
    use super::*;

    const TCP_MUSTS: &[u16] = &[
        21, 22, 23, 25, 53, 80, 88, 110, 111, 135, 139, 143, 389, 443, 445, 465, 515, 548, 554, 587, 631,
        636, 873, 993, 995, 1080, 1433, 1521, 1723, 1883, 2049, 2181, 2222, 2375, 2376, 2379, 2380, 3000,
        3128, 3268, 3306, 3389, 5000, 5060, 5222, 5432, 5601, 5672, 5900, 5985, 5986, 6379, 6443, 8000, 8008,
        8080, 8081, 8443, 8500, 8883, 8888, 9000, 9042, 9090, 9092, 9100, 9200, 9300, 9443, 10000, 10250,
        11211, 15672, 25565, 27017, 32400, 49152, 50000, 61616,
    ];
    const UDP_MUSTS: &[u16] = &[
        53, 67, 69, 88, 111, 123, 137, 161, 389, 443, 500, 514, 520, 623, 1194, 1434, 1645, 1701, 1812, 1900,
        3478, 3702, 4500, 5060, 5353, 5355, 5683, 11211, 27015, 47808, 51820,
    ];

    #[test]
    fn the_lists_have_their_exact_lengths_and_no_duplicates() {
        for (protocol, length) in [(Protocol::Tcp, 1000), (Protocol::Udp, 200), (Protocol::Sctp, 0)] {
            let list = listed(protocol);
            assert_eq!(list.len(), length);
            assert_eq!(list.iter().copied().collect::<PortSet>().len(), length);
            assert!(!list.contains(&0));
        }
    }

    #[test]
    fn ports_nobody_may_miss_are_listed() {
        for must in TCP_MUSTS {
            assert!(listed(Protocol::Tcp).contains(must), "{must}/tcp");
        }
        for must in UDP_MUSTS {
            assert!(listed(Protocol::Udp).contains(must), "{must}/udp");
        }
    }

    #[test]
    fn the_first_hundred_hold_what_a_fast_scan_is_for() {
        let fast = &listed(Protocol::Tcp)[..FAST_COUNT];
        for port in [
            21, 22, 25, 53, 80, 443, 445, 2375, 3306, 3389, 5432, 5985, 6379, 6443, 8080, 9200, 10250, 11211,
            27017,
        ] {
            assert!(fast.contains(&port), "{port}");
        }
    }

    #[test]
    fn the_ranking_goes_on_to_every_port_once() {
        for protocol in Protocol::ALL {
            let order: Vec<u16> = ranking(protocol).collect();
            assert_eq!(order.len(), 65_535);
            assert_eq!(order.iter().copied().collect::<PortSet>().len(), 65_535);
            assert!(order.starts_with(listed(protocol)));
            let first_unnamed =
                order.iter().skip(1000).position(|port| services::name(*port, protocol).is_none());
            let last_named =
                order.iter().skip(1000).rposition(|port| services::name(*port, protocol).is_some());
            assert!(last_named.is_none_or(|last| last < first_unnamed.unwrap()));
        }
    }
}
