//! What is on the targets' side.

use std::net::{Ipv4Addr, SocketAddr, TcpListener, UdpSocket};
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::Duration;

use testkit::{Lab, SCANNER_V4, TARGETS_V4};

use crate::{Failure, WIDE};

/// Sends a datagram now and then: masscan does not end while nothing comes.
pub(crate) fn keep_awake(is_over: &AtomicBool) -> std::io::Result<()> {
    let socket = UdpSocket::bind((Ipv4Addr::UNSPECIFIED, 0))?;
    while !is_over.load(Ordering::Relaxed) {
        socket.send_to(b"still here", (SCANNER_V4, 9))?;
        thread::sleep(Duration::from_millis(20));
    }
    Ok(())
}

/// Makes the wide network the target side's own, wholly or in part.
pub(crate) fn wide(lab: &Lab, route: &str) -> Result<(), Failure> {
    lab.ip_scanner(&format!("route add {WIDE} via {}", TARGETS_V4[0]))?;
    target_ip(lab, route)
}

pub(crate) fn target_ip(lab: &Lab, route: &str) -> Result<(), Failure> {
    let status = lab.target_command("ip").args(["route", "add"]).args(route.split(' ')).status()?;
    if status.success() { Ok(()) } else { Err(format!("ip route add {route}: {status}").into()) }
}

/// Adds a rule on the targets' side.
pub(crate) fn rule(lab: &Lab, hook: &str, rule: &str) -> Result<(), Failure> {
    let chain = format!("chain {hook} {{ type filter hook {hook} priority 0; {rule}; }}");
    Ok(lab.nft_target(&format!("table ip situation_{hook} {{ {chain}; }}"))?)
}

/// Listens at these ports of every address of the targets' side; nobody accepts.
pub(crate) fn listen(lab: &Lab, ports: &[u16]) -> Result<Vec<TcpListener>, Failure> {
    let bind = |&port: &u16| TcpListener::bind(SocketAddr::from((Ipv4Addr::UNSPECIFIED, port)));
    Ok(lab.in_target(|| ports.iter().map(bind).collect::<std::io::Result<Vec<_>>>())??)
}
