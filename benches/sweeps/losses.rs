//! Networks that lose packets, and a host that limits its answers.

use std::path::Path;

use testkit::measure::{Spread, interleaved};
use testkit::{Lab, TARGETS_V4};

use super::networks::{listen, rule};
use crate::{Bench, Failure, Row, Scan, checked};

impl Bench {
    /// 10,000 ports, and one SYN in twenty is lost.
    pub(crate) fn some_loss(&mut self) -> Result<(), Failure> {
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
    pub(crate) fn heavy_loss(&mut self) -> Result<(), Failure> {
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
    pub(crate) fn limited_resets(&mut self) -> Result<(), Failure> {
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
}
