//! Which techniques and methods a configuration comes to, with privileges and without.

use super::Config;
use crate::cli::{Discovery, Work};
use crate::plan::Method;
use crate::ports::{Ports, Protocol};
use crate::raw_options::{Data, RawOptions};
use crate::technique::Technique;

/// Discovery methods, and what is to be said about them.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct Methods {
    /// The methods; without any, every target counts as up.
    pub methods: Vec<Method>,
    /// Lines for the user.
    pub warnings: Vec<String>,
}

impl Config {
    /// The techniques of the port scan, in order; none if no ports are scanned. `raw` is whether raw packets may be used.
    #[must_use]
    pub fn techniques(&self, raw: bool) -> Vec<Technique> {
        match self.work {
            Work::Ports if !self.techniques.is_empty() => self.techniques.clone(),
            // Flags of one's own make no sense for a connect.
            Work::Ports if raw || self.raw.flags.is_some() => vec![Technique::Syn],
            Work::Ports => vec![Technique::Connect],
            Work::Discovery | Work::List => Vec::new(),
        }
    }

    /// The option of the user's that cannot be had without raw packets, if there is one.
    #[must_use]
    pub fn needs_raw_packets(&self) -> Option<String> {
        let raw =
            self.techniques.iter().find(|technique| technique.is_raw()).map(|one| one.option().to_owned());
        let udp_ping = matches!(&self.discovery, Discovery::By(methods) if methods.iter().any(is_udp));
        raw.or_else(|| udp_ping.then(|| "-PU".to_owned()))
            .or_else(|| self.raw.flags.is_some().then(|| "--scanflags".to_owned()))
    }

    /// How hosts are to be found.
    #[must_use]
    pub fn methods(&self, raw: bool) -> Methods {
        let mut warnings = Vec::new();
        let usual = if raw {
            vec![Method::Echo, Method::Syn(443), Method::Ack(80), Method::Timestamp]
        } else {
            vec![Method::Connect(80), Method::Connect(443)]
        };
        let asked = match &self.discovery {
            Discovery::Skip => return Methods { methods: Vec::new(), warnings },
            Discovery::Usual => usual,
            Discovery::By(methods) if raw => methods.clone(),
            Discovery::By(methods) => by_connect(methods, &mut warnings),
        };
        let methods: Vec<Method> =
            asked.into_iter().filter(|method| !excludes(&self.excluded, *method)).collect();
        if methods.is_empty() {
            warnings.push(
                "WARNING: --exclude-ports leaves host discovery no port, so all targets count as up, as with -Pn"
                    .to_owned(),
            );
        }
        Methods { methods, warnings }
    }

    /// What to say about options that a scan without raw packets does not honor.
    #[must_use]
    pub fn not_honored(&self, raw: bool) -> Vec<String> {
        let connects = self.techniques(raw).contains(&Technique::Connect);
        if !connects || !shapes_packets(&self.raw) {
            return Vec::new();
        }
        let why = if raw { "for TCP Connect scan." } else { "without the necessary privileges." };
        vec![
            "You have specified some options that require raw socket access.".to_owned(),
            format!("These options will not be honored {why}"),
        ]
    }
}

const fn is_udp(method: &Method) -> bool {
    matches!(method, Method::Udp(_))
}

/// The nearest that connects come to the methods that were asked for.
fn by_connect(methods: &[Method], warnings: &mut Vec<String>) -> Vec<Method> {
    let mut connects = Vec::new();
    for method in methods {
        let port = match method {
            Method::Connect(port) | Method::Syn(port) | Method::Ack(port) => *port,
            _ => {
                let why = "Warning:  You are not root -- using TCP pingscan rather than ICMP";
                if !warnings.iter().any(|known| known == why) {
                    warnings.push(why.to_owned());
                }
                80
            }
        };
        if !connects.contains(&Method::Connect(port)) {
            connects.push(Method::Connect(port));
        }
    }
    connects
}

/// Whether a method asks a port that is to be left alone.
fn excludes(excluded: &Ports, method: Method) -> bool {
    match method {
        Method::Connect(port) | Method::Syn(port) | Method::Ack(port) => {
            excluded.of(Protocol::Tcp).contains(port)
        }
        Method::Udp(port) => excluded.of(Protocol::Udp).contains(port),
        _ => false,
    }
}

/// Whether an option shapes packets of the scanner's own making.
fn shapes_packets(raw: &RawOptions) -> bool {
    let RawOptions { source_port, ttl, bad_checksums, data, fragment_bytes, decoys, spoofed_mac, .. } = raw;
    source_port.is_some()
        || ttl.is_some()
        || *bad_checksums
        || *data != Data::Usual
        || fragment_bytes.is_some()
        || !decoys.is_empty()
        || spoofed_mac.is_some()
}
