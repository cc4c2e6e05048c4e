//! The addresses of target names, looked up all at once before the scan.

use std::collections::{BTreeSet, HashMap};
use std::io;
use std::net::{IpAddr, ToSocketAddrs};

use dns::{Answer, Config, Driver, Family, HostName, Outcome, Request, RequestId, Resolver};
use nsock::{Io, Pool};

use crate::target::{Address, Directory};
use crate::tracing::Tracing;

/// The label of the scope that these look-ups are made in: their pool counts from 1 again.
pub const SCOPE: &str = "dns-forward";

/// The label of the scope of their timer.
const TIMER_SCOPE: &str = "dns-forward-timer";

/// What each name comes to; the text says why it comes to nothing.
#[derive(Debug, Default)]
pub struct NameTable {
    addresses: HashMap<String, Result<Vec<Address>, String>>,
}

impl Directory for NameTable {
    fn addresses(&mut self, name: &str) -> Result<Vec<Address>, String> {
        self.addresses.get(name).cloned().unwrap_or_else(|| Err("it was not looked up".to_owned()))
    }

    fn interface_index(&mut self, name: &str) -> Option<u32> {
        interface_index(name)
    }
}

/// The system's own resolver, which blocks.
#[derive(Debug, Default, Clone, Copy)]
#[expect(clippy::exhaustive_structs, reason = "it has nothing in it, and never will")]
pub struct SystemDirectory;

impl Directory for SystemDirectory {
    fn addresses(&mut self, name: &str) -> Result<Vec<Address>, String> {
        let found = (name, 0).to_socket_addrs().map_err(|error| error.to_string())?;
        let mut addresses = Vec::new();
        for address in found.map(Address::from) {
            if !addresses.contains(&address) {
                addresses.push(address);
            }
        }
        Ok(addresses)
    }

    fn interface_index(&mut self, name: &str) -> Option<u32> {
        interface_index(name)
    }
}

fn interface_index(name: &str) -> Option<u32> {
    if name.is_empty() || name.contains('/') || name.starts_with('.') {
        return None;
    }
    std::fs::read_to_string(format!("/sys/class/net/{name}/ifindex")).ok()?.trim().parse().ok()
}

/// Names under way.
struct Forward {
    dns: Driver<Self>,
    found: HashMap<RequestId, Outcome>,
}

impl Forward {
    fn answered(&mut self, _: &mut Io<Self>, answer: Answer) {
        self.found.insert(answer.id, answer.outcome);
    }
}

/// Asks the servers for the IPv4 and IPv6 addresses of all names at once. `search` is the list of domains to try for
/// names with fewer than `ndots` dots.
///
/// # Errors
/// If this machine cannot do it at all; a name that does not resolve is an entry of the table.
pub fn look_up(
    names: BTreeSet<String>,
    config: Config,
    search: &[HostName],
    ndots: u8,
    tracing: &Tracing,
) -> io::Result<NameTable> {
    let mut pool = Pool::<Forward>::new().map_err(io::Error::other)?;
    tracing.install(&mut pool);
    let resolver = Resolver::new(config, dns::unpredictable_ids()?).map_err(io::Error::other)?;
    let dns = Driver::attach(&mut pool, resolver, |forward| &mut forward.dns, Forward::answered);
    let mut forward = Forward { dns: dns.in_scopes(&mut pool, SCOPE, TIMER_SCOPE), found: HashMap::new() };
    let mut asked = Vec::new();
    for name in names {
        let mut requests = Vec::new();
        for candidate in candidates(&name, search, ndots) {
            for family in [Family::V4, Family::V6] {
                let request = Request::Forward(candidate.clone(), family);
                requests.push(forward.dns.start(&mut pool, request).map_err(io::Error::other)?);
            }
        }
        asked.push((name, requests));
    }
    pool.run(&mut forward, None).map_err(io::Error::other)?;
    let table = asked.into_iter().map(|(name, requests)| (name, addresses_of(&forward, &requests)));
    Ok(NameTable { addresses: table.collect() })
}

/// Asks the system's own resolver, one name after the other.
#[must_use]
pub fn look_up_by_system(names: BTreeSet<String>) -> NameTable {
    let table = names.into_iter().map(|name| {
        let found = SystemDirectory.addresses(&name);
        (name, found)
    });
    NameTable { addresses: table.collect() }
}

/// The names to try, best first (resolv.conf(5), `search` and `ndots`).
fn candidates(name: &str, search: &[HostName], ndots: u8) -> Vec<String> {
    let dots = name.bytes().filter(|&byte| byte == b'.').count();
    if name.ends_with('.') || search.is_empty() {
        return vec![name.to_owned()];
    }
    let mut candidates: Vec<_> = search.iter().map(|domain| format!("{name}.{domain}")).collect();
    let at = if dots >= usize::from(ndots) { 0 } else { candidates.len() };
    candidates.insert(at, name.to_owned());
    candidates
}

/// The addresses of the first candidate that has any: two requests each, IPv4 before IPv6.
fn addresses_of(forward: &Forward, requests: &[RequestId]) -> Result<Vec<Address>, String> {
    let mut why = None;
    for pair in requests.chunks(2) {
        let mut addresses: Vec<Address> = Vec::new();
        for outcome in pair.iter().filter_map(|id| forward.found.get(id)) {
            match outcome {
                Outcome::Addresses(found) => addresses.extend(found.iter().copied().map(Address::new)),
                other => why = Some(other.to_string()),
            }
        }
        if !addresses.is_empty() {
            return Ok(addresses);
        }
    }
    Err(why.unwrap_or_default())
}

/// The name of an address by the system's own resolver, which blocks.
#[must_use]
pub fn system_name(address: IpAddr) -> Option<String> {
    let name = dns_lookup::lookup_addr(&address).ok()?;
    // Without a name the system gives the address back as a text.
    if name.parse::<IpAddr>().is_ok() { None } else { Some(name) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_search_list_is_tried_before_a_short_name_and_after_a_long_one() {
        let search = [HostName::parse("lab.example").unwrap()];
        assert_eq!(candidates("host", &search, 1), ["host.lab.example", "host"]);
        assert_eq!(candidates("host.sub", &search, 1), ["host.sub", "host.sub.lab.example"]);
        assert_eq!(candidates("host.", &search, 1), ["host."]);
        assert_eq!(candidates("host", &[], 1), ["host"]);
    }
}
