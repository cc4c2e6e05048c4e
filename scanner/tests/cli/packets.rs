//! Scans by packets, in the lab: neighbors on the link, and hosts behind a router.

mod differs;
mod forged;
mod same;
mod wire;

use std::net::{IpAddr, Ipv4Addr, SocketAddr};

use testkit::{FAR_V4, FAR_V6, Far, TARGETS_V4, TARGETS_V6, TcpEcho, UdpEcho};

use crate::network::Network;

/// Nobody on the link has this address.
const ABSENT: Ipv4Addr = Ipv4Addr::new(198, 18, 64, 99);
/// UDP port 9999 echoes, port 9 drops at [`DROPPING`](crate::network::DROPPING), the others are closed.
const UDP_OPEN: u16 = 9999;

/// The lab with a router, more rules, and services on IPv6 and UDP too; the fields are dropped in this order.
struct Wire {
    _services: Vec<TcpEcho>,
    _echoes: Vec<UdpEcho>,
    _far: Far,
    network: Network,
}

impl Wire {
    fn new(name: &str) -> Option<Self> {
        let network = Network::with_nmap(name)?;
        let far = network.lab.far_side().unwrap();
        network.lab.nft_target(include_str!("../fixtures/packets.nft")).unwrap();
        let mut services = Vec::new();
        for ip in [TARGETS_V6[0], TARGETS_V6[2]] {
            let address = SocketAddr::new(IpAddr::V6(ip), 22);
            services.push(network.lab.in_target(|| TcpEcho::start_at(address, None)).unwrap().unwrap());
        }
        for ip in [IpAddr::V4(FAR_V4[0]), IpAddr::V6(FAR_V6[0])] {
            services.push(far.enter(|| TcpEcho::start_at((ip, 22).into(), None)).unwrap().unwrap());
        }
        let at_target = (TARGETS_V4[1], UDP_OPEN).into();
        let at_far = (FAR_V4[0], UDP_OPEN).into();
        let echoes = vec![
            network.lab.in_target(|| UdpEcho::start_at(at_target)).unwrap().unwrap(),
            far.enter(|| UdpEcho::start_at(at_far)).unwrap().unwrap(),
        ];
        let wire = Self { _services: services, _echoes: echoes, _far: far, network };
        wire.find_router();
        Some(wire)
    }

    /// Lets the kernels find the hardware addresses of the router and behind it, so that the first of two scans is not
    /// the only one to find them missing.
    fn find_router(&self) {
        for ip in FAR_V4 {
            let connect = || {
                std::net::TcpStream::connect_timeout(&(ip, 9).into(), std::time::Duration::from_millis(50))
            };
            let _refused = self.network.lab.in_scanner(connect).unwrap();
        }
    }
}
