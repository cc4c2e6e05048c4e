//! The `scanner` program: reads the command line, runs the scan, prints the port table.
#![expect(clippy::print_stderr, reason = "a program talks to its user")]

use std::io::{self, Write};
use std::net::{IpAddr, SocketAddr};
use std::process::ExitCode;
use std::time::Instant;

use clap::{Arg, ArgAction, Command};
use nsock::Pool;
use nsock::trace::{Classic, Level};
use scanner::connect::ConnectScan;

/// What a scan without `-p` looks at.
const DEFAULT_PORTS: &str = "1-1024";

/// Exit code for a command line that makes no sense.
const USAGE: u8 = 2;

fn main() -> ExitCode {
    #[expect(clippy::disallowed_methods, reason = "the program's own clock starts here")]
    let start = Instant::now();
    let matches = command().get_matches();
    let targets: Result<Vec<IpAddr>, String> = matches
        .get_many::<String>("target")
        .into_iter()
        .flatten()
        .map(|target| target.parse().map_err(|_| format!("target {target:?} is not an IP address")))
        .collect();
    let ports = ports(matches.get_one::<String>("ports").map_or(DEFAULT_PORTS, |ports| ports));
    let (targets, ports) = match (targets, ports) {
        (Ok(targets), Ok(ports)) => (targets, ports),
        (Err(error), _) | (_, Err(error)) => {
            eprintln!("scanner: {error}");
            return ExitCode::from(USAGE);
        }
    };
    let trace = matches.get_one::<String>("packet-trace").map(String::as_str);
    match scan(&targets, &ports, trace, start) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("scanner: {error}");
            ExitCode::FAILURE
        }
    }
}

fn command() -> Command {
    Command::new("scanner")
        .version(env!("CARGO_PKG_VERSION"))
        .about("A TCP connect scanner")
        .arg(Arg::new("type").short('s').value_parser(["T"]).required(true).help("T: TCP connect scan"))
        .arg(Arg::new("ports").short('p').help("Ports: 22,80,8000-8100"))
        .arg(
            Arg::new("packet-trace")
                .long("packet-trace")
                .num_args(0..=1)
                .require_equals(true)
                .default_missing_value("net")
                .value_parser(["net", "all"])
                .help("Show every connect; =all: and every step of the event library"),
        )
        .arg(Arg::new("target").required(true).action(ArgAction::Append).help("IP addresses"))
}

/// Reads `22,80,8000-8100`.
fn ports(list: &str) -> Result<Vec<u16>, String> {
    let wrong =
        |part: &str| format!("port list {list:?}: {part:?} is not a port or range between 0 and 65535");
    let mut ports = Vec::new();
    for part in list.split(',') {
        let (first, last) = part.split_once('-').unwrap_or((part, part));
        match (first.parse::<u16>(), last.parse::<u16>()) {
            (Ok(first), Ok(last)) if first <= last => ports.extend(first..=last),
            _ => return Err(wrong(part)),
        }
    }
    Ok(ports)
}

fn scan(
    targets: &[IpAddr],
    ports: &[u16],
    trace: Option<&str>,
    start: Instant,
) -> Result<(), Box<dyn std::error::Error>> {
    let addresses =
        targets.iter().flat_map(|&ip| ports.iter().map(move |&port| SocketAddr::new(ip, port))).collect();
    let mut pool = Pool::new()?;
    if trace == Some("all") {
        pool.trace_to(Level::Info, Classic::new(io::stderr(), start, Level::Info));
    }
    let mut scan = ConnectScan::new(addresses, trace.map(|_| io::stdout()), start);
    scan.run(&mut pool)?;
    let mut out = io::stdout().lock();
    for (address, ports) in scan.results() {
        writeln!(out, "Scan report for {address}\n\nPORT      STATE")?;
        for (port, state) in ports {
            writeln!(out, "{:<9} {state}", format!("{port}/tcp"))?;
        }
        writeln!(out)?;
    }
    Ok(())
}
