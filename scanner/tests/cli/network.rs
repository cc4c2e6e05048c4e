//! The lab that the scans here run in: four targets with known ports, and a DNS server that knows their names.

use std::net::{Ipv4Addr, TcpStream};
use std::process::Command;
use std::time::Duration;

use testkit::{Lab, Service, TARGETS_V4, TcpEcho, need_tool};

use crate::support::{Run, SCANNER, by_connects, run, words};

/// Ports 22 and 80 are open, all others closed; port 53 is the DNS server's.
pub(crate) const PLAIN: Ipv4Addr = TARGETS_V4[0];
/// Ports 22 and 80 are open, 81 is closed, the others drop everything.
pub(crate) const DROPPING: Ipv4Addr = TARGETS_V4[1];
/// Ports 1 to 13 refuse with an ICMP error each, 20 drops, 21 resets, 22 and 80 are open.
pub(crate) const REJECTING: Ipv4Addr = TARGETS_V4[2];
/// Drops every TCP segment.
pub(crate) const SILENT: Ipv4Addr = TARGETS_V4[3];

const RULES: &str = include_str!("../fixtures/targets.nft");

const RECORDS: [&str; 5] = [
    "--ptr-record=10.64.18.198.in-addr.arpa,plain.example",
    "--ptr-record=11.64.18.198.in-addr.arpa,dropping.example",
    "--ptr-record=12.64.18.198.in-addr.arpa,rejecting.example",
    "--ptr-record=13.64.18.198.in-addr.arpa,silent.example",
    "--address=/plain.example/198.18.64.10",
];

/// A lab with its services; the fields are dropped in this order.
#[derive(Debug)]
pub(crate) struct Network {
    _services: [TcpEcho; 2],
    _dns: Service,
    pub(crate) lab: Lab,
}

impl Network {
    /// Builds it, or says loudly why not.
    pub(crate) fn new(name: &str) -> Option<Self> {
        let lab = Lab::new(name).unwrap()?;
        lab.lift_icmp_limits().unwrap();
        lab.nft_target(RULES).unwrap();
        let dns = lab.dnsmasq(&RECORDS).unwrap()?;
        lab.set_scanner_file("resolv.conf", "nameserver 198.18.64.10\n").unwrap();
        lab.set_scanner_file("hosts", "127.0.0.1 localhost\n::1 localhost\n").unwrap();
        let services = [22, 80].map(|port| {
            let address = (Ipv4Addr::UNSPECIFIED, port).into();
            lab.in_target(|| TcpEcho::start_at(address, None)).unwrap().unwrap()
        });
        // The first of two scans must not be the only one to find the hardware addresses missing. The port is closed or
        // drops: an accepted connection would leave a trace in the tables.
        for target in TARGETS_V4 {
            let warm = || TcpStream::connect_timeout(&(target, 9).into(), Duration::from_millis(5));
            let _fails = lab.in_scanner(warm).unwrap();
        }
        Some(Self { _services: services, _dns: dns, lab })
    }

    /// As [`Self::new`], where `nmap` is needed as well.
    pub(crate) fn with_nmap(name: &str) -> Option<Self> {
        if need_tool("nmap") { Self::new(name) } else { None }
    }

    /// Runs the scanner on its side of the lab.
    pub(crate) fn scan(&self, line: &str) -> Run {
        run(&self.scanner(line))
    }

    /// The command that [`Self::scan`] runs.
    pub(crate) fn scanner(&self, line: &str) -> Command {
        let mut command = self.lab.scanner_command(SCANNER);
        command.args(by_connects(words(line)));
        command
    }

    /// Runs a line of shell on the scanner's side; `$SCANNER` is the program.
    pub(crate) fn shell(&self, line: &str) -> Run {
        let mut command = self.lab.scanner_command("sh");
        run(command.args(["-c", line]).env("SCANNER", SCANNER))
    }
}
