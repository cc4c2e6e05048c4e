//! Many ports of one host, and few of very many.

use std::collections::BTreeMap;
use std::fs::File;
use std::io::{BufRead, BufReader};
use std::path::Path;
use std::process::Command;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;

use testkit::measure::{Ended, Spread, interleaved};
use testkit::{Lab, SCANNER_LINK, SCANNER_V4, TARGETS_V4};

use super::found;
use super::networks::{keep_awake, listen, wide};
use crate::{Bench, Failure, Form, ROLE, Row, Scan, WIDE, checked};

impl Bench {
    /// Every port of a host on the link, five of them open.
    pub(crate) fn all_ports(&mut self) -> Result<(), Failure> {
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
    pub(crate) fn many_hosts(&mut self) -> Result<(), Failure> {
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
}
