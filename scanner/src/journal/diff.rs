//! What changed between two runs.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write as _;

use serde_json::{Value, json};

use crate::plan::HostStatus;
use crate::ports::Protocol;
use crate::report::{HostReport, align};
use crate::services;
use crate::target::Address;

/// What a run tells of a host, as far as runs are compared.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct Observed {
    /// `up`, `down` or `unknown`.
    pub status: String,
    /// Its names, given or found.
    pub names: BTreeSet<String>,
    /// Its hardware address.
    pub mac: Option<String>,
    /// The states of its ports.
    pub ports: BTreeMap<(Protocol, u16), String>,
}

impl From<&HostReport> for Observed {
    fn from(report: &HostReport) -> Self {
        let status = match report.status {
            Some((HostStatus::Up, _)) => "up",
            Some((HostStatus::Down, _)) => "down",
            _ => "unknown",
        };
        let names = report.given_name.iter().chain(&report.dns_name).chain(&report.other_dns_names);
        let results = report.ports.sorted();
        let ports = results
            .iter()
            .map(|result| ((result.protocol, result.port), result.verdict.state.word().to_owned()));
        Self {
            status: status.to_owned(),
            names: names.cloned().collect(),
            mac: report.mac.map(|mac| mac.to_string()),
            ports: ports.collect(),
        }
    }
}

/// The hosts that differ, each as it was before and is after; one that a run does not know is missing on that side.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct Difference {
    /// By address.
    pub hosts: BTreeMap<Address, (Option<Observed>, Option<Observed>)>,
}

/// Compares two runs. A host that is down is the same as one that is not told, since reports leave such hosts out.
#[must_use]
pub fn difference(before: &BTreeMap<Address, Observed>, after: &BTreeMap<Address, Observed>) -> Difference {
    let addresses: BTreeSet<_> = before.keys().chain(after.keys()).collect();
    let told = |run: &BTreeMap<Address, Observed>, address| {
        run.get(address).filter(|host: &&Observed| host.status != "down").cloned()
    };
    let sides =
        addresses.into_iter().map(|address| (*address, (told(before, address), told(after, address))));
    Difference { hosts: sides.filter(|(_, (before, after))| before != after).collect() }
}

impl Difference {
    /// Whether there is none.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.hosts.is_empty()
    }

    /// Text for people: what was before has a minus, what is after a plus.
    #[must_use]
    pub fn text(&self) -> String {
        let mut text = String::new();
        for (address, sides) in &self.hosts {
            let _ = match sides {
                (None, Some(after)) => writeln!(text, "+{} ({})", title(*address, after), after.status),
                (Some(before), None) => writeln!(text, "-{} ({})", title(*address, before), before.status),
                (Some(_), Some(after)) => writeln!(text, " {}", title(*address, after)),
                (None, None) => Ok(()),
            };
            if let (Some(before), Some(after)) = sides {
                for (name, before, after) in facts(before, after) {
                    let _ = write!(text, "-  {name} {before}\n+  {name} {after}\n");
                }
            }
            let rows = ports(sides).into_iter().flat_map(|((protocol, port), before, after)| {
                let service = services::name(port, protocol).unwrap_or("unknown");
                let row = move |sign: &str, state: &str| {
                    vec![format!("{sign}  {port}/{protocol}"), state.to_owned(), service.to_owned()]
                };
                [before.map(|state| row("-", &state)), after.map(|state| row("+", &state))]
            });
            text.push_str(&align(rows.flatten().collect()));
        }
        text
    }

    /// The same for programs.
    #[must_use]
    pub fn json(&self) -> Value {
        let hosts: Vec<Value> = self
            .hosts
            .iter()
            .map(|(address, sides)| {
                let change = match sides {
                    (None, _) => "added",
                    (_, None) => "removed",
                    _ => "changed",
                };
                let status = |side: &Option<Observed>| side.as_ref().map(|host| host.status.clone());
                let names = |side: &Option<Observed>| {
                    side.as_ref().map(|host| host.names.iter().cloned().collect::<Vec<_>>())
                };
                let mac = |side: &Option<Observed>| side.as_ref().and_then(|host| host.mac.clone());
                let ports: Vec<Value> = ports(sides)
                    .into_iter()
                    .map(|((protocol, port), before, after)| {
                        json!({ "protocol": protocol.name(), "port": port, "before": before, "after": after })
                    })
                    .collect();
                json!({
                    "address": address.to_string(), "change": change,
                    "status": { "before": status(&sides.0), "after": status(&sides.1) },
                    "names": { "before": names(&sides.0), "after": names(&sides.1) },
                    "mac": { "before": mac(&sides.0), "after": mac(&sides.1) },
                    "ports": ports,
                })
            })
            .collect();
        json!({ "same": hosts.is_empty(), "hosts": hosts })
    }
}

fn title(address: Address, host: &Observed) -> String {
    match host.names.first() {
        Some(name) => format!("{name} ({address})"),
        None => address.to_string(),
    }
}

/// What differs besides ports: its name, and the two values.
fn facts(before: &Observed, after: &Observed) -> Vec<(&'static str, String, String)> {
    let names = |host: &Observed| match host.names.is_empty() {
        true => "none".to_owned(),
        false => host.names.iter().cloned().collect::<Vec<_>>().join(" "),
    };
    let mac = |host: &Observed| host.mac.clone().unwrap_or_else(|| "none".to_owned());
    let all = [
        ("status", before.status.clone(), after.status.clone()),
        ("names", names(before), names(after)),
        ("MAC", mac(before), mac(after)),
    ];
    all.into_iter().filter(|(_, before, after)| before != after).collect()
}

type Change = ((Protocol, u16), Option<String>, Option<String>);

/// The ports that differ. Of a host that only one run knows, those that may be open.
fn ports((before, after): &(Option<Observed>, Option<Observed>)) -> Vec<Change> {
    let none = BTreeMap::new();
    let both = before.is_some() && after.is_some();
    let before = before.as_ref().map_or(&none, |host| &host.ports);
    let after = after.as_ref().map_or(&none, |host| &host.ports);
    let all: BTreeSet<_> = before.keys().chain(after.keys()).collect();
    let states = all.into_iter().map(|port| (*port, before.get(port).cloned(), after.get(port).cloned()));
    let tells = |state: &Option<String>| state.as_ref().is_some_and(|state| state.contains("open"));
    states.filter(|(_, before, after)| before != after && (both || tells(before) || tells(after))).collect()
}
