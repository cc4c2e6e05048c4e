//! `scanner -sT` against a bare loop with the same system calls, against Debian's nmap, and on ports that drop all.
//!
//! `cargo bench --bench connect_scan` as root, or with `-- --smoke` for seconds; `-- --with-nmap` scans the dropped ports
//! with nmap too, which takes it two minutes. Everything measured is a process of its own, from its start to its end.
//! The scanned host is a network namespace behind a veth pair: whatever one end sends, the other handles within the
//! sender's system call, so a pair of processes differs by what they compute and by nothing of the wire.
#![expect(clippy::print_stdout, reason = "a bench shows its figures")]

mod connects;

use std::error::Error;
use std::net::{IpAddr, SocketAddr};
use std::path::Path;
use std::process::Command;

use testkit::measure::{Effort, Ended, Spread, Table, build_program, interleaved};
use testkit::{Lab, TARGETS_V4, TcpEcho, need_root, need_tool};

/// Of the system, of a thread in the lab, or of what was measured.
type Failure = Box<dyn Error + Send + Sync>;

/// The argument that makes this program the bare loop.
const ROLE: &str = "--bare";
/// Ports of the scanned host that are open.
const OPEN_PORTS: [u16; 5] = [22, 80, 443, 5_432, 60_000];
/// Dropped ports are scanned this often: a scan takes seconds, and hardly varies.
const DROPPED_RUNS: usize = 3;

fn main() -> Result<(), Failure> {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    if let [role, address, last] = arguments.as_slice()
        && role == ROLE
    {
        let address = SocketAddr::new(address.parse()?, 0);
        println!("{}", connects::bare::scan(address, 1..=last.parse()?)?);
        return Ok(());
    }
    let effort = Effort::from_args();
    let mut table = Table::default();
    if need_root()
        && let Some(lab) = Lab::new("connects")?
    {
        let scanner = build_program("scanner")?;
        lan_host(&mut table, &lab, &scanner, effort)?;
        one_port(&mut table, &scanner, effort)?;
        let with_nmap = arguments.iter().any(|argument| argument == "--with-nmap");
        dropped_ports(&mut table, &lab, &scanner, effort, with_nmap)?;
        println!("{table}");
    }
    Ok(())
}

/// Every port of a host, a few of them open.
fn lan_host(table: &mut Table, lab: &Lab, scanner: &Path, effort: Effort) -> Result<(), Failure> {
    let host = IpAddr::from(TARGETS_V4[0]);
    let last = effort.choose(u16::MAX, 2_000);
    let open_ports: Vec<u16> = OPEN_PORTS.into_iter().filter(|&port| port <= last).collect();
    let _servers = open_ports
        .iter()
        .map(|&port| lab.in_target(|| TcpEcho::start_at(SocketAddr::new(host, port), None))?)
        .collect::<Result<Vec<_>, _>>()?;
    let (open, closed) = (open_ports.len(), usize::from(last) - open_ports.len());
    let bare_program = std::env::current_exe()?;
    let (host, last_text) = (host.to_string(), last.to_string());
    let port_list = effort.choose("-p-", "-p1-2000");
    let ours = || {
        let mut command = Command::new(scanner);
        // The bare loop is one thread's.
        command.args(["--workers", "1", "-sT", "-n", "-Pn", port_list, &host]);
        run_expecting(lab, &mut command, &format!("Not shown: {closed} closed"))
    };
    let bare = || {
        let mut command = Command::new(&bare_program);
        command.args([ROLE, &host, &last_text]);
        run_expecting(lab, &mut command, &format!("{open} open, {closed} closed, 0 other"))
    };
    // The first of all finds the neighbor's hardware address.
    bare()?;
    let pairs = interleaved(effort.pairs(), ours, bare)?;
    let work = format!("{last} ports of a LAN host");
    let (wall, detail) = compare(&pairs, |ended| ended.cost.wall.as_secs_f64() * 1e3);
    table.row(format!("{work}: wall"), "<= 1.05", wall, format!("{detail} ms (bare)"));
    let per_port = 1e6 / f64::from(last);
    let (cpu, detail) = compare(&pairs, |ended| ended.cost.cpu.as_secs_f64() * per_port);
    table.row(format!("{work}: processor time"), "", cpu, format!("{detail} us a port (bare)"));
    let peak = pairs.iter().map(|(ours, _)| ours.peak_bytes).max().unwrap_or(0);
    table.count(format!("{work}: peak memory, MB"), "< 40", peak as f64 / 1e6, "the most of all runs");
    Ok(())
}

/// One port of this machine: what starting and ending costs.
fn one_port(table: &mut Table, scanner: &Path, effort: Effort) -> Result<(), Failure> {
    if !need_tool("nmap") {
        return Ok(());
    }
    let arguments = ["-n", "-sT", "-p", "22", "127.0.0.1"];
    let scan = |program: &Path| Ended::run(Command::new(program).args(arguments));
    let pairs = interleaved(effort.pairs(), || scan(scanner), || scan(Path::new("nmap")))?;
    let (wall, detail) = compare(&pairs, |ended| ended.cost.wall.as_secs_f64() * 1e3);
    table.row("1 port of 127.0.0.1: wall", "<= 0.5", wall, format!("{detail} ms (nmap)"));
    Ok(())
}

/// Ports of a host that answers nothing at all.
fn dropped_ports(
    table: &mut Table,
    lab: &Lab,
    scanner: &Path,
    effort: Effort,
    with_nmap: bool,
) -> Result<(), Failure> {
    let host = TARGETS_V4[1].to_string();
    lab.nft_target(&format!(
        "table ip silent {{ chain input {{ type filter hook input priority 0; ip daddr {host} drop; }}; }}"
    ))?;
    let ports = effort.choose(1_000, 50);
    let port_list = format!("-p1-{ports}");
    let scan = |program: &Path, expected: &str| {
        let mut command = Command::new(program);
        command.args(["-sT", "-n", "-Pn", "-T4", &port_list, &host]);
        run_expecting(lab, &mut command, expected)
    };
    let walls = (0..effort.choose(DROPPED_RUNS, 1))
        .map(|_| Ok(scan(scanner, &format!("Not shown: {ports} filtered"))?.cost.wall.as_secs_f64()))
        .collect::<Result<Vec<_>, Failure>>()?;
    let detail = if with_nmap && need_tool("nmap") {
        let wall = scan(Path::new("nmap"), &format!("Not shown: {ports} filtered"))?.cost.wall;
        format!("nmap {:.1}", wall.as_secs_f64())
    } else {
        String::new()
    };
    let work = format!("{ports} dropped ports of a host, -T4: wall in seconds");
    table.row(work, "<= 5", Spread::of(&walls), detail);
    Ok(())
}

/// Runs a program on the scanner's side of the lab; it must say what is expected, or its time means nothing.
fn run_expecting(lab: &Lab, command: &mut Command, expected: &str) -> Result<Ended, Failure> {
    let ended = lab.in_scanner(|| Ended::run(command))??;
    if !ended.stdout.contains(expected) {
        return Err(format!("{command:?} was to find \"{expected}\", and said: {}", ended.stdout).into());
    }
    Ok(ended)
}

/// The ratios of a figure of the first to that of the second, and the medians of both as text.
fn compare(pairs: &[(Ended, Ended)], figure: impl Fn(&Ended) -> f64) -> (Spread, String) {
    let figures: Vec<(f64, f64)> = pairs.iter().map(|(one, other)| (figure(one), figure(other))).collect();
    let spread = |pick: fn(&(f64, f64)) -> f64| Spread::of(&figures.iter().map(pick).collect::<Vec<_>>());
    let (one, other) = (spread(|pair| pair.0).median, spread(|pair| pair.1).median);
    (spread(|pair| pair.0 / pair.1), format!("{one:.2} against {other:.2}"))
}
