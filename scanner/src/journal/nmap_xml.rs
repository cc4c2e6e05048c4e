//! What a run's XML says of its hosts: ours, or any that Nmap's readers know (spec 2.10).

use std::collections::BTreeMap;

use quick_xml::Reader;
use quick_xml::events::{BytesStart, Event};
use thiserror::Error;

use super::diff::Observed;
use crate::escape::harmless;
use crate::ports::{PortSet, Protocol};
use crate::target::Address;

/// Why a text is not what Nmap or this program writes as XML.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
#[non_exhaustive]
pub enum NotNmapXml {
    /// It is not well-formed.
    #[error("it is no well-formed XML: {0}")]
    NotWellFormed(String),
    /// There is no `nmaprun` in it.
    #[error("it has no element nmaprun")]
    OtherXml,
}

/// A host that is being read.
#[derive(Debug, Default)]
struct Host {
    address: Option<Address>,
    observed: Observed,
    /// States without a list of their ports.
    unlisted: Vec<String>,
    /// The port and the state at hand.
    port: Option<(Protocol, u16)>,
    extra: String,
}

/// Reads the hosts.
///
/// # Errors
/// [`NotNmapXml`]. What is well-formed but not known is passed over.
pub fn read_xml(text: &[u8]) -> Result<BTreeMap<Address, Observed>, NotNmapXml> {
    let broken = |error: &dyn std::fmt::Display| NotNmapXml::NotWellFormed(harmless(&error.to_string()));
    let text = String::from_utf8_lossy(text);
    let mut reader = Reader::from_str(&text);
    let mut hosts = BTreeMap::new();
    let mut scanned: BTreeMap<Protocol, PortSet> = BTreeMap::new();
    let mut host: Option<Host> = None;
    let (mut depth, mut seen) = (0_u32, false);
    loop {
        match reader.read_event().map_err(|error| broken(&error))? {
            Event::Eof if depth > 0 => return Err(broken(&"it ends inside an element")),
            Event::Eof => break,
            Event::Start(tag) => {
                depth += 1;
                seen |= tag.name().as_ref() == "nmaprun";
                if tag.name().as_ref() == "host" {
                    host = Some(Host::default());
                }
                element(&tag, host.as_mut(), &mut scanned).map_err(|error| broken(&error))?;
            }
            Event::Empty(tag) => {
                element(&tag, host.as_mut(), &mut scanned).map_err(|error| broken(&error))?
            }
            Event::End(tag) => {
                depth = depth.saturating_sub(1);
                if tag.name().as_ref() == "host"
                    && let Some(done) = host.take()
                    && let Some(address) = done.address
                {
                    hosts.insert(address, done.finish(&scanned));
                }
            }
            _ => {}
        }
    }
    if seen { Ok(hosts) } else { Err(NotNmapXml::OtherXml) }
}

/// Takes what an element says.
fn element(
    tag: &BytesStart<'_>,
    host: Option<&mut Host>,
    scanned: &mut BTreeMap<Protocol, PortSet>,
) -> Result<(), quick_xml::Error> {
    let mut fields = BTreeMap::new();
    for field in tag.attributes() {
        let field = field?;
        let value = quick_xml::escape::unescape(&field.value).unwrap_or_else(|_| field.value.clone());
        fields.insert(field.key.as_ref().to_owned(), harmless(&value));
    }
    let field = |name: &str| fields.get(name).cloned().unwrap_or_default();
    let protocol = |name: &str| Protocol::named(&field(name));
    let tag = tag.name();
    if tag.as_ref() == "scaninfo" {
        if let (Some(protocol), Ok(ports)) = (protocol("protocol"), field("services").parse::<PortSet>()) {
            scanned.entry(protocol).or_default().extend(ports.iter());
        }
        return Ok(());
    }
    let Some(host) = host else { return Ok(()) };
    match tag.as_ref() {
        "status" => host.observed.status = field("state"),
        "address" => match field("addrtype").as_str() {
            "mac" => host.observed.mac = Some(field("addr").to_uppercase()),
            _ => host.address = field("addr").parse().ok(),
        },
        "hostname" => {
            host.observed.names.insert(field("name"));
        }
        "extraports" => {
            host.extra = field("state");
            host.unlisted.push(field("state"));
        }
        "extrareasons" => {
            if let (Some(protocol), Ok(ports)) = (protocol("proto"), field("ports").parse::<PortSet>())
                && !ports.is_empty()
            {
                host.unlisted.retain(|state| *state != host.extra);
                let extra = &host.extra;
                host.observed.ports.extend(ports.iter().map(|port| ((protocol, port), extra.clone())));
            }
        }
        "port" => host.port = protocol("protocol").zip(field("portid").parse().ok()),
        "state" => {
            if let Some(port) = host.port {
                host.observed.ports.insert(port, field("state"));
            }
        }
        _ => {}
    }
    Ok(())
}

impl Host {
    /// Ports without a word about them are in the one state of which there is only a count.
    fn finish(mut self, scanned: &BTreeMap<Protocol, PortSet>) -> Observed {
        if let [only] = self.unlisted.as_slice() {
            for (protocol, ports) in scanned {
                for port in ports {
                    self.observed.ports.entry((*protocol, port)).or_insert_with(|| only.clone());
                }
            }
        }
        self.observed
    }
}
