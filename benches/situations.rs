//! What a network may be like, and how long scans of it take: beside Debian's nmap and masscan, and a bare loop.
//!
//! `cargo bench --bench situations` as root takes about an hour, most of it nmap's; `-- --without-nmap` takes minutes,
//! `-- --smoke` seconds, and `-- --only WORDS` runs the rows whose names have these words. Every scan is a
//! process of its own, from its start to its end, and has to find what is there. The scanned hosts are in a network
//! namespace behind a veth pair.
#![expect(
    clippy::print_stdout,
    clippy::print_stderr,
    reason = "a bench shows its figures, and what it is at"
)]

mod sweeps;

use std::collections::BTreeMap;
use std::error::Error;
use std::fs::File;
use std::io::{BufRead, BufReader};
use std::net::{Ipv4Addr, SocketAddr, TcpListener, UdpSocket};
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::Duration;

use sweeps::bare;
use sweeps::found;
use tempfile::TempDir;
use testkit::measure::{Effort, Ended, Spread, Table, build_program, interleaved, raise_descriptor_limit};
use testkit::{FAR_V4, Lab, SCANNER_LINK, SCANNER_V4, TARGETS_V4, need_root, need_tool};

/// Of the system, of a thread in the lab, or of what was measured.
type Failure = Box<dyn Error + Send + Sync>;

/// The argument that makes this program the bare loop.
const ROLE: &str = "--bare-syn";
/// A network of which every address is one of the targets' side.
const WIDE: &str = "198.19.0.0/16";
/// The hardware addresses of the lab's wire.
const OWN_MAC: [u8; 6] = [2, 0, 0, 0, 0x64, 5];
const NEXT_MAC: [u8; 6] = [2, 0, 0, 0, 0x64, 0x10];

fn main() -> Result<(), Failure> {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    if let [role, hosts] = arguments.as_slice()
        && role == ROLE
    {
        let (open, closed) =
            bare::scan(Ipv4Addr::new(198, 19, 0, 0), hosts.parse()?, 20..=35, OWN_MAC, NEXT_MAC)?;
        println!("{open} open, {closed} closed");
        return Ok(());
    }
    if !(need_root() && need_tool("nmap") && need_tool("masscan")) {
        return Ok(());
    }
    raise_descriptor_limit(20_000);
    let word = |name: &str| arguments.iter().position(|argument| argument == name);
    let mut bench = Bench {
        scanner: build_program("scanner")?,
        effort: Effort::from_args(),
        with_nmap: word("--without-nmap").is_none(),
        only: word("--only").and_then(|at| arguments.get(at + 1).cloned()),
        folder: tempfile::tempdir()?,
        table: Table::default(),
    };
    bench.all_ports()?;
    bench.many_hosts()?;
    bench.silence()?;
    bench.two_thirds_silent()?;
    bench.some_loss()?;
    bench.heavy_loss()?;
    bench.limited_resets()?;
    bench.nobody_there()?;
    bench.prohibited()?;
    bench.ping_sweep()?;
    println!("{}", bench.table);
    Ok(())
}

struct Bench {
    scanner: PathBuf,
    effort: Effort,
    with_nmap: bool,
    only: Option<String>,
    folder: TempDir,
    table: Table,
}

/// A form of file, and how states are counted in it.
type Form = (&'static str, fn(File) -> std::io::Result<BTreeMap<String, usize>>);

/// A scan that has ended, and what it found.
#[derive(Debug)]
struct Scan {
    ended: Ended,
    states: BTreeMap<String, usize>,
}

impl Scan {
    fn wall(&self) -> f64 {
        self.ended.cost.wall.as_secs_f64()
    }

    fn count(&self, state: &str) -> usize {
        self.states.get(state).copied().unwrap_or(0)
    }
}

/// By what a row is measured.
#[derive(Debug, Clone, Copy)]
struct Row<'a> {
    name: &'a str,
    bar: &'a str,
    /// What a scan has to come to, or its time means nothing.
    expected: &'a [(&'a str, usize)],
    pairs: usize,
}

impl Bench {
    fn wants(&self, name: &str) -> bool {
        let wanted = self.only.as_deref().is_none_or(|words| name.contains(words));
        if wanted {
            eprintln!("{name}");
        }
        wanted
    }

    fn pairs(&self, full: usize) -> usize {
        self.effort.choose(full, 1)
    }

    fn scan(&self, lab: &Lab, program: &Path, arguments: &str) -> Result<Scan, Failure> {
        let xml: Form = ("-oX", found::in_xml);
        self.scan_into(lab, program, arguments, xml)
    }

    fn scan_into(
        &self,
        lab: &Lab,
        program: &Path,
        arguments: &str,
        (option, states): Form,
    ) -> Result<Scan, Failure> {
        let file = self.folder.path().join("scan");
        let mut command = Command::new(program);
        command.args(arguments.split_whitespace()).arg(option).arg(&file);
        let ended = lab.in_scanner(|| match option {
            "-oG" => Ended::run_unheard(&mut command),
            _ => Ended::run(&mut command),
        })??;
        Ok(Scan { ended, states: states(File::open(&file)?)? })
    }

    /// Scans by the scanner and nmap in turns, with the same arguments, and makes a row of the ratio of their times.
    fn beside_nmap(&mut self, lab: &Lab, row: Row<'_>, arguments: &str) -> Result<(), Failure> {
        self.compare(lab, row, (&self.scanner.clone(), arguments), (Path::new("nmap"), arguments), "nmap")
    }

    fn compare(
        &mut self,
        lab: &Lab,
        row: Row<'_>,
        (one, first): (&Path, &str),
        (other, second): (&Path, &str),
        name: &str,
    ) -> Result<(), Failure> {
        if name == "nmap" && !self.with_nmap {
            let walls = (0..row.pairs)
                .map(|_| Ok(checked(self.scan(lab, one, first)?, row.expected, first)?.wall()))
                .collect::<Result<Vec<_>, Failure>>()?;
            self.table.row(format!("{}, seconds", row.name), "", Spread::of(&walls), "nmap was left out");
            return Ok(());
        }
        let pairs = interleaved(
            self.pairs(row.pairs),
            || checked(self.scan(lab, one, first)?, row.expected, first),
            || self.scan(lab, other, second),
        )?;
        let ratios: Vec<f64> = pairs.iter().map(|(one, other)| one.wall() / other.wall()).collect();
        let median =
            |pick: fn(&(Scan, Scan)) -> f64| Spread::of(&pairs.iter().map(pick).collect::<Vec<_>>()).median;
        let missed = pairs.iter().filter(|(_, other)| checked_states(other, row.expected).is_err()).count();
        let wrong = if missed > 0 {
            format!("; {name} came to something else {missed} times")
        } else {
            String::new()
        };
        let detail = format!(
            "{:.2} s against {:.2} s ({name}){wrong}",
            median(|pair| pair.0.wall()),
            median(|pair| pair.1.wall())
        );
        self.table.row(row.name, row.bar, Spread::of(&ratios), detail);
        Ok(())
    }

    /// Every port of a host on the link, five of them open.
    fn all_ports(&mut self) -> Result<(), Failure> {
        if !self.wants("-p- of one host") {
            return Ok(());
        }
        let Some(lab) = Lab::new("all-ports")? else { return Ok(()) };
        let host = TARGETS_V4[0];
        let _open = listen(&lab, &[22, 80, 443, 5_432, 60_000])?;
        let last = self.effort.choose(65_535, 2_000);
        let open = if last == 65_535 { 5 } else { 3 };
        let expected = [("open", open), ("closed", last - open)];
        let row = |name, bar| Row { name, bar, expected: &expected, pairs: 9 };
        let scanner = self.scanner.clone();
        let connects = format!("-sT -n -Pn -p1-{last} {host}");
        let (alone, two) = (format!("--workers 1 {connects}"), format!("--workers 2 {connects}"));
        let name = "-sT -p- of one host, two workers: wall over that of one";
        self.compare(&lab, row(name, "<= 0.65"), (&scanner, &two), (&scanner, &alone), "one worker")?;
        let name = "-sT -p- of one host, two workers: wall over nmap's";
        self.compare(&lab, row(name, "<= 0.6"), (&scanner, &two), (Path::new("nmap"), &connects), "nmap")?;
        self.beside_nmap(
            &lab,
            row("-sS -p- of one host: wall over nmap's", "<= 0.6"),
            &format!("-sS -n -p1-{last} {host}"),
        )
    }

    /// Sixteen ports of each address of a /16, all answered.
    fn many_hosts(&mut self) -> Result<(), Failure> {
        if !self.wants("16 ports of a /16") {
            return Ok(());
        }
        let Some(lab) = Lab::new("many-hosts")? else { return Ok(()) };
        wide(&lab, "local 198.19.0.0/16 dev lo")?;
        let _open = listen(&lab, &[22])?;
        let (hosts, targets) = self.effort.choose((65_536, WIDE), (256, "198.19.0.0/24"));
        let expected = [("open", hosts), ("closed", 15 * hosts)];
        let bare_program = std::env::current_exe()?;
        let hosts_text = hosts.to_string();
        let bare = || {
            let mut command = Command::new(&bare_program);
            let ended = lab.in_scanner(|| Ended::run(command.args([ROLE, &hosts_text])))??;
            match ended.stdout.trim() == format!("{hosts} open, {} closed", 15 * hosts) {
                true => Ok(Scan { ended, states: BTreeMap::new() }),
                false => Err(Failure::from(format!("the bare loop came to {}", ended.stdout))),
            }
        };
        bare()?;
        let arguments = format!("-sS -n -Pn -p20-35 {targets}");
        let lines: Form = ("-oG", found::in_lines);
        let ours = || checked(self.scan_into(&lab, &self.scanner, &arguments, lines)?, &expected, &arguments);
        let pairs = interleaved(self.pairs(7), ours, bare)?;
        let ratios: Vec<f64> = pairs.iter().map(|(ours, bare)| bare.wall() / ours.wall()).collect();
        let rate = |walls: Vec<f64>| 16.0 * hosts as f64 / Spread::of(&walls).median;
        let detail = format!(
            "{:.0} probes/s, bare {:.0}; all found",
            rate(pairs.iter().map(|pair| pair.0.wall()).collect()),
            rate(pairs.iter().map(|pair| pair.1.wall()).collect())
        );
        self.table.row(
            "-sS, 16 ports of a /16, all answered: rate over a bare loop's",
            ">= 0.75",
            Spread::of(&ratios),
            detail,
        );
        let peak = pairs.iter().map(|pair| pair.0.ended.peak_bytes).max().unwrap_or(0);
        self.table.count(
            "-sS, 16 ports of a /16: peak memory, MB",
            "<= 64",
            peak as f64 / 1e6,
            "the most of all runs",
        );
        let file = self.folder.path().join("masscan.gnmap");
        let line = format!(
            "timeout -k 5 -s INT 60 masscan {targets} -p20-35 --rate 10000000 --wait 1 -e {SCANNER_LINK} \
             --adapter-ip {SCANNER_V4} --router-mac 02-00-00-00-64-10 -oG {} 2>/dev/null; true",
            file.display()
        );
        let is_over = AtomicBool::new(false);
        thread::scope(|scope| {
            scope.spawn(|| lab.in_target(|| keep_awake(&is_over)));
            let ended = lab.in_scanner(|| Ended::run(Command::new("sh").args(["-c", &line])));
            is_over.store(true, Ordering::Relaxed);
            ended
        })??;
        let lines = BufReader::new(File::open(&file)?).lines();
        let found = lines.filter(|line| line.as_ref().is_ok_and(|line| line.contains("22/open"))).count();
        self.table.count(
            "masscan at full speed: part of the open ports it finds",
            "",
            found as f64 / hosts as f64,
            "",
        );
        Ok(())
    }

    /// A thousand ports of a host that drops all.
    fn silence(&mut self) -> Result<(), Failure> {
        if !self.wants("1000 silent ports") {
            return Ok(());
        }
        let Some(lab) = Lab::new("silence")? else { return Ok(()) };
        let host = TARGETS_V4[1];
        rule(&lab, "input", &format!("ip daddr {host} meta l4proto tcp drop"))?;
        let ports = self.effort.choose(1_000, 50);
        for (scan, pace, bar) in
            [("-sS", "-T3", "<= 5"), ("-sS", "-T4", "<= 3"), ("-sT", "-T3", "<= 5"), ("-sT", "-T4", "<= 3")]
        {
            let arguments = format!("{scan} -n -Pn {pace} -p1-{ports} {host}");
            let expected = [("filtered", ports)];
            let walls = (0..self.pairs(3))
                .map(|_| {
                    Ok(checked(self.scan(&lab, &self.scanner, &arguments)?, &expected, &arguments)?.wall())
                })
                .collect::<Result<Vec<_>, Failure>>()?;
            let name = format!("{ports} silent ports, {scan} {pace}: seconds");
            self.table.row(
                name,
                bar,
                Spread::of(&walls),
                if pace == "-T3" { "nmap 201" } else { "nmap 101" },
            );
        }
        Ok(())
    }

    /// 256 hosts of which two thirds of 100 ports are silent.
    fn two_thirds_silent(&mut self) -> Result<(), Failure> {
        if !self.wants("256 hosts x 100 ports") {
            return Ok(());
        }
        let Some(lab) = Lab::new("two-thirds")? else { return Ok(()) };
        wide(&lab, "local 198.19.0.0/16 dev lo")?;
        let heard: Vec<String> = (1..=100).step_by(3).map(|port: u16| port.to_string()).collect();
        rule(&lab, "input", &format!("tcp dport != {{ {} }} drop", heard.join(", ")))?;
        let _open = listen(&lab, &[22, 25, 79])?;
        let (hosts, targets) = self.effort.choose((256, "198.19.7.0/24"), (4, "198.19.7.0/30"));
        let expected = [("open", 3 * hosts), ("closed", 31 * hosts), ("filtered", 66 * hosts)];
        let name = "256 hosts x 100 ports, two thirds silent, -T4: wall over nmap's";
        let row = Row { name, bar: "<= 0.25", expected: &expected, pairs: 3 };
        self.beside_nmap(&lab, row, &format!("-sS -n -Pn -T4 -p1-100 {targets}"))
    }

    /// 10,000 ports, and one SYN in twenty is lost.
    fn some_loss(&mut self) -> Result<(), Failure> {
        if !self.wants("5 % of the SYNs dropped") {
            return Ok(());
        }
        let Some(lab) = Lab::new("some-loss")? else { return Ok(()) };
        let host = TARGETS_V4[0];
        rule(&lab, "input", "tcp flags & (syn | ack) == syn numgen random mod 100 < 5 drop")?;
        let open: Vec<u16> = (1..=100).map(|place| 97 * place).collect();
        let last = self.effort.choose(10_000, 500);
        let _open = listen(&lab, &open)?;
        let open = open.iter().filter(|&&port| usize::from(port) <= last).count();
        for scan in ["-sS", "-sT"] {
            let arguments = format!("{scan} -n -Pn -p1-{last} {host}");
            let mut found = 0;
            let seeds = self.pairs(20);
            let walls = (0..seeds)
                .map(|seed| {
                    let arguments = format!("--seed {seed} {arguments}");
                    let scan =
                        checked(self.scan(&lab, &self.scanner, &arguments)?, &[("open", open)], &arguments)?;
                    found += usize::from(scan.count("open") == open);
                    Ok(scan.wall())
                })
                .collect::<Result<Vec<_>, Failure>>()?;
            let ours = Spread::of(&walls);
            let name = format!("10,000 ports, 5 % of the SYNs dropped, {scan}: wall over nmap's");
            if !self.with_nmap {
                self.table.row(
                    format!("{name}, seconds"),
                    "",
                    ours,
                    format!("all open ports in {found} of {seeds}"),
                );
                continue;
            }
            let nmap = (0..self.pairs(5))
                .map(|_| Ok(self.scan(&lab, Path::new("nmap"), &arguments)?.wall()))
                .collect::<Result<Vec<_>, Failure>>()?;
            let nmap = Spread::of(&nmap).median;
            let ratios: Vec<f64> = walls.iter().map(|wall| wall / nmap).collect();
            let detail = format!(
                "{:.2} s against {nmap:.2} s (nmap); all open ports in {found} of {seeds} seeds",
                ours.median
            );
            self.table.row(name, "<= 0.4", Spread::of(&ratios), detail);
        }
        Ok(())
    }

    /// A hundred open ports, and one packet in five is lost on the way there and back.
    fn heavy_loss(&mut self) -> Result<(), Failure> {
        if !self.wants("20 % loss both ways") {
            return Ok(());
        }
        let Some(lab) = Lab::new("heavy-loss")? else { return Ok(()) };
        let host = TARGETS_V4[0];
        rule(&lab, "input", "meta l4proto tcp numgen random mod 100 < 20 drop")?;
        rule(&lab, "output", "meta l4proto tcp numgen random mod 100 < 20 drop")?;
        let open: Vec<u16> = (1_001..=1_100).collect();
        let _open = listen(&lab, &open)?;
        let arguments = format!("-sS -n -Pn -p1001-1100 {host}");
        let runs = self.pairs(20);
        let scan = |program: &Path| self.scan(&lab, program, &arguments);
        let pairs = interleaved(
            runs,
            || scan(&self.scanner),
            || match self.with_nmap {
                true => scan(Path::new("nmap")),
                false => scan(&self.scanner),
            },
        )?;
        let recall = |pick: fn(&(Scan, Scan)) -> &Scan| {
            pairs.iter().map(|pair| pick(pair).count("open")).sum::<usize>() as f64 / (100 * runs) as f64
        };
        let wall = |pick: fn(&(Scan, Scan)) -> &Scan| {
            Spread::of(&pairs.iter().map(|pair| pick(pair).wall()).collect::<Vec<_>>()).median
        };
        let (ours, nmap) = (recall(|pair| &pair.0), recall(|pair| &pair.1));
        let detail = format!(
            "of {runs} runs; nmap {nmap:.4}; {:.2} s against {:.2} s",
            wall(|pair| &pair.0),
            wall(|pair| &pair.1)
        );
        self.table.count("20 % loss both ways, 100 open ports: recall", ">= nmap's", ours, detail);
        Ok(())
    }

    /// A host that sends at most 40 resets a second.
    fn limited_resets(&mut self) -> Result<(), Failure> {
        if !self.wants("RST limited to 40/s") {
            return Ok(());
        }
        let Some(lab) = Lab::new("limited")? else { return Ok(()) };
        let host = TARGETS_V4[0];
        rule(&lab, "output", "tcp flags & rst == rst limit rate over 40/second burst 5 packets drop")?;
        let _open = listen(&lab, &[22, 80, 250])?;
        let ports = self.effort.choose(300, 90);
        let open = if ports == 300 { 3 } else { 2 };
        let expected = [("open", open), ("closed", ports - open)];
        let name = "RST limited to 40/s, 300 ports, -T3: wall over nmap's";
        let row = Row { name, bar: "<= 0.6", expected: &expected, pairs: 5 };
        self.beside_nmap(&lab, row, &format!("-sS -n -Pn -p1-{ports} {host}"))
    }

    /// One host that is not there.
    fn nobody_there(&mut self) -> Result<(), Failure> {
        if !self.wants("one host down") {
            return Ok(());
        }
        let Some(lab) = Lab::new("nobody")? else { return Ok(()) };
        let _far = lab.far_side()?;
        rule(&lab, "forward", &format!("ip daddr {} drop", FAR_V4[1]))?;
        let far = FAR_V4[1].to_string();
        for (name, host, bar) in
            [("routed", far.as_str(), "<= 1.2"), ("on the link", "198.18.64.99", "<= 0.6")]
        {
            let arguments = format!("-sS -n {host}");
            let walls = (0..self.pairs(5))
                .map(|_| {
                    Ok(checked(self.scan(&lab, &self.scanner, &arguments)?, &[("up", 0)], &arguments)?.wall())
                })
                .collect::<Result<Vec<_>, Failure>>()?;
            let nmap = match self.with_nmap {
                true => format!("nmap {:.2}", self.scan(&lab, Path::new("nmap"), &arguments)?.wall()),
                false => String::new(),
            };
            self.table.row(format!("one host down, {name}: seconds"), bar, Spread::of(&walls), nmap);
        }
        Ok(())
    }

    /// A router that says so.
    fn prohibited(&mut self) -> Result<(), Failure> {
        if !self.wants("admin-prohibited") {
            return Ok(());
        }
        let Some(lab) = Lab::new("prohibited")? else { return Ok(()) };
        let _far = lab.far_side()?;
        lab.lift_icmp_limits()?;
        rule(&lab, "forward", &format!("ip daddr {} reject with icmp type admin-prohibited", FAR_V4[2]))?;
        let arguments = format!("-sS -n -vv {}", FAR_V4[2]);
        let walls = (0..self.pairs(5))
            .map(|_| {
                let scan = self.scan(&lab, &self.scanner, &arguments)?;
                match scan.ended.stdout.contains("admin-prohibited") {
                    true => Ok(scan.wall()),
                    false => Err(format!("no reason in: {}", scan.ended.stdout).into()),
                }
            })
            .collect::<Result<Vec<_>, Failure>>()?;
        let nmap = match self.with_nmap {
            true => format!("nmap {:.2}", self.scan(&lab, Path::new("nmap"), &arguments)?.wall()),
            false => String::new(),
        };
        self.table.row("router says admin-prohibited: seconds", "<= 0.2", Spread::of(&walls), nmap);
        Ok(())
    }

    /// A /16 of which one address in a hundred answers.
    fn ping_sweep(&mut self) -> Result<(), Failure> {
        if !self.wants("/16 ping sweep") {
            return Ok(());
        }
        let Some(lab) = Lab::new("sweep")? else { return Ok(()) };
        lab.ip_scanner(&format!("route add {WIDE} via {}", TARGETS_V4[0]))?;
        let (third, targets) = self.effort.choose((255, WIDE), (0, "198.19.0.0/24"));
        let up = (0..=third).flat_map(|third| (0..=255).map(move |fourth| (third, fourth)));
        let up: Vec<_> = up.filter(|&(third, fourth)| (256 * third + fourth) % 100 == 37).collect();
        for (third, fourth) in &up {
            target_ip(&lab, &format!("local 198.19.{third}.{fourth} dev lo"))?;
        }
        let expected = [("up", up.len())];
        let row = Row {
            name: "/16 ping sweep, 1 % up: wall over nmap's",
            bar: "<= 0.25",
            expected: &expected,
            pairs: 1,
        };
        self.beside_nmap(&lab, row, &format!("-sn -n {targets}"))
    }
}

/// Sends a datagram now and then: masscan does not end while nothing comes.
fn keep_awake(is_over: &AtomicBool) -> std::io::Result<()> {
    let socket = UdpSocket::bind((Ipv4Addr::UNSPECIFIED, 0))?;
    while !is_over.load(Ordering::Relaxed) {
        socket.send_to(b"still here", (SCANNER_V4, 9))?;
        thread::sleep(Duration::from_millis(20));
    }
    Ok(())
}

/// The scan, if it came to what is there.
fn checked(scan: Scan, expected: &[(&str, usize)], arguments: &str) -> Result<Scan, Failure> {
    match checked_states(&scan, expected) {
        Ok(()) => Ok(scan),
        Err(found) => Err(format!("{arguments}: expected {expected:?}, and found {found:?}").into()),
    }
}

fn checked_states<'a>(scan: &'a Scan, expected: &[(&str, usize)]) -> Result<(), &'a BTreeMap<String, usize>> {
    match expected.iter().all(|&(state, count)| scan.count(state) == count) {
        true => Ok(()),
        false => Err(&scan.states),
    }
}

/// Makes the wide network the target side's own, wholly or in part.
fn wide(lab: &Lab, route: &str) -> Result<(), Failure> {
    lab.ip_scanner(&format!("route add {WIDE} via {}", TARGETS_V4[0]))?;
    target_ip(lab, route)
}

fn target_ip(lab: &Lab, route: &str) -> Result<(), Failure> {
    let status = lab.target_command("ip").args(["route", "add"]).args(route.split(' ')).status()?;
    if status.success() { Ok(()) } else { Err(format!("ip route add {route}: {status}").into()) }
}

/// Adds a rule on the targets' side.
fn rule(lab: &Lab, hook: &str, rule: &str) -> Result<(), Failure> {
    let chain = format!("chain {hook} {{ type filter hook {hook} priority 0; {rule}; }}");
    Ok(lab.nft_target(&format!("table ip situation_{hook} {{ {chain}; }}"))?)
}

/// Listens at these ports of every address of the targets' side; nobody accepts.
fn listen(lab: &Lab, ports: &[u16]) -> Result<Vec<TcpListener>, Failure> {
    let bind = |&port: &u16| TcpListener::bind(SocketAddr::from((Ipv4Addr::UNSPECIFIED, port)));
    Ok(lab.in_target(|| ports.iter().map(bind).collect::<std::io::Result<Vec<_>>>())??)
}
