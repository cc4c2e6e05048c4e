use super::*;
use crate::{TcpEcho, UdpEcho, closed_port_at};
use std::io::{ErrorKind, Read};
use std::net::{IpAddr, SocketAddr, TcpStream, UdpSocket};
use std::path::Path;
use std::time::Duration;

const LIMIT: Duration = Duration::from_secs(20);

/// Every address of the targets.
fn targets() -> impl Iterator<Item = IpAddr> {
    TARGETS_V4.map(IpAddr::V4).into_iter().chain(TARGETS_V6.map(IpAddr::V6))
}

#[test]
fn the_scanner_reaches_every_target_address_and_refusals_come_back() {
    let Some(lab) = Lab::new("reach").unwrap() else { return };
    for ip in targets() {
        let echo = lab.in_target(|| TcpEcho::start_at(SocketAddr::new(ip, 7), None)).unwrap().unwrap();
        let mut stream =
            lab.in_scanner(|| TcpStream::connect_timeout(&echo.address(), LIMIT)).unwrap().unwrap();
        let scanner: [IpAddr; 2] = [SCANNER_V4.into(), SCANNER_V6.into()];
        assert!(scanner.contains(&stream.local_addr().unwrap().ip()));
        stream.set_read_timeout(Some(LIMIT)).unwrap();
        stream.write_all(b"hi").unwrap();
        stream.read_exact(&mut [0; 2]).unwrap();

        let closed = lab.in_target(|| closed_port_at(ip)).unwrap().unwrap();
        let refused = lab.in_scanner(|| TcpStream::connect_timeout(&closed.address(), LIMIT)).unwrap();
        assert_eq!(refused.unwrap_err().kind(), ErrorKind::ConnectionRefused);
    }
}

#[test]
fn the_far_side_is_two_hops_away_and_the_router_may_refuse() {
    let Some(lab) = Lab::new("far").unwrap() else { return };
    let far = lab.far_side().unwrap();
    let addresses = FAR_V4.map(IpAddr::V4).into_iter().chain(FAR_V6.map(IpAddr::V6));
    for ip in addresses {
        let echo = far.enter(|| TcpEcho::start_at(SocketAddr::new(ip, 7), None)).unwrap().unwrap();
        let hops = |ttl| {
            let connect = || {
                let socket = socket2::Socket::new(
                    socket2::Domain::for_address(echo.address()),
                    socket2::Type::STREAM,
                    None,
                )?;
                match ip {
                    IpAddr::V4(_) => socket.set_ttl_v4(ttl)?,
                    IpAddr::V6(_) => socket.set_unicast_hops_v6(ttl)?,
                }
                socket.connect_timeout(&echo.address().into(), LIMIT)
            };
            lab.in_scanner(connect).unwrap()
        };
        assert!(hops(1).is_err(), "{ip}");
        hops(2).unwrap();
    }
    lab.nft_target(&format!(
        "table inet t {{ chain forward {{ type filter hook forward priority 0;
           ip daddr {} reject with icmp type admin-prohibited; }}; }}",
        FAR_V4[2]
    ))
    .unwrap();
    let refused = lab.in_scanner(|| TcpStream::connect_timeout(&(FAR_V4[2], 7).into(), LIMIT)).unwrap();
    assert_eq!(refused.unwrap_err().kind(), ErrorKind::HostUnreachable);
}

#[test]
fn udp_crosses_the_wire_as_well() {
    let Some(lab) = Lab::new("udp").unwrap() else { return };
    let echo = lab.in_target(|| UdpEcho::start_at((TARGETS_V6[3], 0).into())).unwrap().unwrap();
    let client = lab.in_scanner(|| UdpSocket::bind((SCANNER_V6, 0))).unwrap().unwrap();
    client.set_read_timeout(Some(LIMIT)).unwrap();
    client.send_to(b"hi", echo.address()).unwrap();
    assert_eq!(client.recv(&mut [0; 8]).unwrap(), 2);
}

#[test]
fn a_rule_on_either_side_filters() {
    let Some(lab) = Lab::new("filter").unwrap() else { return };
    let [dropped, refused, free, _] = TARGETS_V4;
    let echo = lab.in_target(|| TcpEcho::start_at("0.0.0.0:7".parse().unwrap(), None)).unwrap().unwrap();
    lab.nft_target(&format!(
        "table inet t {{ chain input {{ type filter hook input priority 0; ip daddr {dropped} tcp dport 7 drop; }}; }}"
    ))
    .unwrap();
    lab.nft_scanner(&format!(
        "table inet t {{ chain output {{ type filter hook output priority 0;
           ip daddr {refused} tcp dport 7 reject with tcp reset; }}; }}"
    ))
    .unwrap();
    let connect = |ip: Ipv4Addr, limit| {
        lab.in_scanner(|| TcpStream::connect_timeout(&(ip, 7).into(), limit))
            .unwrap()
            .map_err(|why| why.kind())
    };
    assert_eq!(connect(dropped, Duration::from_millis(300)).unwrap_err(), ErrorKind::TimedOut);
    assert_eq!(connect(refused, LIMIT).unwrap_err(), ErrorKind::ConnectionRefused);
    // The echo shows that the server has accepted; a connect alone only shows that the kernel has.
    let mut peer = connect(free, LIMIT).unwrap();
    peer.write_all(b"x").unwrap();
    peer.read_exact(&mut [0]).unwrap();
    assert_eq!(echo.accepted(), 1);
}

#[test]
fn a_bad_ruleset_is_an_error_with_the_reason() {
    let Some(lab) = Lab::new("bad-rules").unwrap() else { return };
    let why = lab.nft_target("table inet {").unwrap_err().to_string();
    assert!(why.contains("syntax error"), "{why}");
}

#[test]
fn there_is_no_way_out_and_no_address_outside_the_two_ranges() {
    let Some(lab) = Lab::new("closed").unwrap() else { return };
    for mut ip in [lab.scanner_command("ip"), lab.target_command("ip")] {
        let text = String::from_utf8(ip.args(["-oneline", "address"]).output().unwrap().stdout).unwrap();
        assert!(text.contains("198.18.64.") && text.contains("fd00:64::"), "{text}");
        for line in text.lines() {
            let known = ["inet 198.18.64.", "inet6 fd00:64::", "inet 127.0.0.1/8", "inet6 ::1/128"];
            assert!(known.iter().any(|prefix| line.contains(prefix)), "{line}");
            assert!(!line.contains("tentative"), "{line}");
        }
    }
    for family in ["-4", "-6"] {
        let routes = lab.scanner_command("ip").args([family, "route", "show", "default"]).output().unwrap();
        assert!(routes.stdout.is_empty());
    }
}

#[test]
fn a_panic_leaves_no_namespace_and_no_process() {
    let mut files = Vec::new();
    let mut child = None;
    let panic = panic::catch_unwind(panic::AssertUnwindSafe(|| {
        let Some(lab) = Lab::new("panic").unwrap() else { return };
        files = [&lab.scanner, &lab.target].map(|side| format!("/run/netns/{}", side.name)).to_vec();
        assert!(files.iter().all(|file| Path::new(file).exists()));
        let sleep = child.insert(lab.target_command("sleep").arg("600").spawn().unwrap());
        let pid = Pid::from_child(sleep);
        // `ip` enters the namespace some time after the spawn.
        while !lab.target.processes().contains(&pid) {
            thread::yield_now();
        }
        panic!("on purpose");
    }));
    let Some(mut child) = child else { return };
    assert!(panic.is_err());
    assert_eq!(std::os::unix::process::ExitStatusExt::signal(&child.wait().unwrap()), Some(9));
    assert!(files.iter().all(|file| !Path::new(file).exists()));
}

#[test]
fn a_panic_of_the_closure_is_a_panic_of_the_caller() {
    let Some(lab) = Lab::new("closure").unwrap() else { return };
    let panic = panic::catch_unwind(panic::AssertUnwindSafe(|| lab.in_scanner(|| panic!("on purpose"))));
    assert!(panic.is_err());
}

#[test]
fn a_dns_server_answers_and_the_scanners_side_has_files_of_its_own() {
    let Some(lab) = Lab::new("names").unwrap() else { return };
    let records = ["--host-record=ten.example,198.18.64.10"];
    let Some(_dns) = lab.dnsmasq(&records).unwrap() else { return };
    lab.set_scanner_file("resolv.conf", "nameserver 198.18.64.11\n").unwrap();
    let read = |path: &str| {
        let done = lab.scanner_command("cat").arg(path).output().unwrap();
        String::from_utf8(done.stdout).unwrap()
    };
    assert_eq!(read("/etc/resolv.conf"), "nameserver 198.18.64.11\n");
    // The system's resolver asks the server that the file names.
    lab.set_scanner_file("hosts", "").unwrap();
    let found = lab.scanner_command("getent").args(["ahostsv4", "ten.example"]).output().unwrap();
    assert!(String::from_utf8_lossy(&found.stdout).contains("198.18.64.10"), "{found:?}");
    let folder = lab.scanner.files();
    assert!(folder.exists());
    drop(lab);
    assert!(!folder.exists());
}

#[test]
fn a_program_that_ends_at_once_is_an_error_with_what_it_said() {
    let mut command = Command::new("sh");
    command.args(["-c", "echo no luck >&2"]);
    let why = Service::start(command, "ready").unwrap_err().to_string();
    assert!(why.contains("no luck"), "{why}");
}

#[test]
fn the_scanners_side_can_be_short_of_ports_and_routes() {
    let Some(lab) = Lab::new("short").unwrap() else { return };
    let echo = lab.in_target(|| TcpEcho::start_at("0.0.0.0:7".parse().unwrap(), None)).unwrap().unwrap();
    lab.set_scanner_ports(40_000, 40_000).unwrap();
    let connect = || lab.in_scanner(|| TcpStream::connect((TARGETS_V4[0], echo.address().port()))).unwrap();
    let only = connect().unwrap();
    assert_eq!(only.local_addr().unwrap().port(), 40_000);
    assert_eq!(connect().unwrap_err().kind(), ErrorKind::AddrNotAvailable);
    lab.ip_scanner("route add unreachable 198.19.200.0/24").unwrap();
    let routed = lab.in_scanner(|| TcpStream::connect("198.19.200.1:7")).unwrap();
    assert_eq!(routed.unwrap_err().kind(), ErrorKind::HostUnreachable);
    assert!(lab.ip_scanner("route add nonsense").is_err());
}
