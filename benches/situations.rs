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
use std::net::Ipv4Addr;
use std::path::{Path, PathBuf};
use std::process::Command;

use sweeps::{bare, found};
use tempfile::TempDir;
use testkit::measure::{Effort, Ended, Spread, Table, build_program, interleaved, raise_descriptor_limit};
use testkit::{Lab, need_root, need_tool};

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
