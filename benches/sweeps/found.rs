//! What a scan has found, read from its files: Nmap's and ours have the same forms.

use std::collections::BTreeMap;
use std::fs::File;
use std::io::{self, BufRead, BufReader};

/// How many ports are in which state, by the XML file; hosts that are up count as `up`.
pub(crate) fn in_xml(file: File) -> io::Result<BTreeMap<String, usize>> {
    let xml = io::read_to_string(file)?;
    let mut states = BTreeMap::new();
    for element in xml.split('<') {
        let attribute = |name: &str| {
            let (_, rest) = element.split_once(&format!(" {name}=\""))?;
            rest.split('"').next()
        };
        let (word, count) = match element.split(' ').next() {
            Some("state") => (attribute("state"), 1),
            Some("extraports") => {
                (attribute("state"), attribute("count").and_then(|count| count.parse().ok()).unwrap_or(0))
            }
            Some("status") => (attribute("state").filter(|&state| state == "up"), 1),
            _ => continue,
        };
        *states.entry(word.unwrap_or_default().to_owned()).or_default() += count;
    }
    Ok(states)
}

/// As [`in_xml`], by the lines of the grepable file, for scans whose states are all shown. It may be long, and is not kept.
pub(crate) fn in_lines(file: File) -> io::Result<BTreeMap<String, usize>> {
    let mut states = BTreeMap::new();
    for line in BufReader::new(file).lines() {
        let line = line?;
        let Some((_, ports)) = line.split_once("\tPorts: ") else { continue };
        let items = ports.split('\t').next().unwrap_or_default().split(", ");
        for state in items.filter_map(|port| port.split('/').nth(1)) {
            *states.entry(state.to_owned()).or_default() += 1;
        }
    }
    Ok(states)
}
