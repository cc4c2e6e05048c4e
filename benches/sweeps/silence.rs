//! Ports and hosts that say nothing, and a router that says why.

use std::path::Path;

use testkit::measure::Spread;
use testkit::{FAR_V4, Lab, TARGETS_V4};

use super::networks::{listen, rule, target_ip, wide};
use crate::{Bench, Failure, Row, WIDE, checked};

impl Bench {
    /// A thousand ports of a host that drops all.
    pub(crate) fn silence(&mut self) -> Result<(), Failure> {
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
    pub(crate) fn two_thirds_silent(&mut self) -> Result<(), Failure> {
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

    /// One host that is not there.
    pub(crate) fn nobody_there(&mut self) -> Result<(), Failure> {
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
    pub(crate) fn prohibited(&mut self) -> Result<(), Failure> {
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
    pub(crate) fn ping_sweep(&mut self) -> Result<(), Failure> {
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
