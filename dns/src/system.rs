//! What the system is set up to do: its server list, its hosts file, its randomness.

use std::hash::Hasher;
use std::net::{IpAddr, SocketAddr, SocketAddrV6};
use std::path::Path;
use std::{fs, io};

use siphasher::sip::SipHasher13;

use crate::{Config, Hosts, NameServer, ResolvConf};

/// Where the system keeps its server list.
const RESOLV_CONF: &str = "/etc/resolv.conf";

/// Where the system keeps its hosts file.
const HOSTS: &str = "/etc/hosts";

/// The port that DNS servers listen on.
const PORT: u16 = 53;

/// The system's configuration: the servers of `/etc/resolv.conf` and the names of `/etc/hosts`, with what could not be
/// used of them.
///
/// A missing hosts file is an empty one. An empty server list stays empty: guessing a server on this machine would
/// only turn a clear message into a time-out.
///
/// # Errors
/// The system's, if `/etc/resolv.conf` cannot be read.
pub fn system_config() -> io::Result<(Config, ResolvConf)> {
    let conf = ResolvConf::parse(&fs::read(RESOLV_CONF)?);
    let servers = conf.name_servers.iter().filter_map(socket_address).collect();
    let mut config = Config::new(servers).with_resolv_conf(&conf);
    config.hosts = system_hosts();
    Ok((config, conf))
}

/// A configuration with servers of the caller's choice and the names of `/etc/hosts`.
#[must_use]
pub fn config_with_servers(servers: Vec<SocketAddr>) -> Config {
    let mut config = Config::new(servers);
    config.hosts = system_hosts();
    config
}

fn system_hosts() -> Hosts {
    Hosts::parse(&fs::read(HOSTS).unwrap_or_default())
}

/// The address of a server on the usual port; `None` if its scope names no interface of this machine.
#[must_use]
pub fn socket_address(server: &NameServer) -> Option<SocketAddr> {
    match (server.address, &server.scope) {
        (address, None) => Some(SocketAddr::new(address, PORT)),
        (IpAddr::V6(address), Some(scope)) => {
            Some(SocketAddr::V6(SocketAddrV6::new(address, PORT, 0, interface_index(scope)?)))
        }
        (IpAddr::V4(_), Some(_)) => None,
    }
}

/// The number of an interface given by name or number.
fn interface_index(scope: &str) -> Option<u32> {
    if let Ok(index) = scope.parse() {
        return Some(index);
    }
    // A name is one path component: anything else could read a file elsewhere.
    if scope.contains('/') || scope.starts_with('.') {
        return None;
    }
    let path = Path::new("/sys/class/net").join(scope).join("ifindex");
    fs::read_to_string(path).ok()?.trim().parse().ok()
}

/// Query ids that nobody outside can predict: a keyed hash of a counter, with a key from the system.
///
/// # Errors
/// If the system gives no randomness.
pub fn unpredictable_ids() -> io::Result<impl FnMut() -> u16 + Send + 'static> {
    let mut key = [0; 16];
    getrandom::fill(&mut key).map_err(io::Error::other)?;
    let mut counter = 0u64;
    Ok(move || {
        counter += 1;
        let mut hasher = SipHasher13::new_with_key(&key);
        hasher.write_u64(counter);
        let [low, high, ..] = hasher.finish().to_le_bytes();
        u16::from_le_bytes([low, high])
    })
}

#[cfg(test)]
mod tests {
    use std::collections::HashSet;

    use super::*;

    #[test]
    fn ids_differ_from_run_to_run_and_spread() {
        let mut first = unpredictable_ids().unwrap();
        let mut second = unpredictable_ids().unwrap();
        let (first, second): (Vec<_>, Vec<_>) =
            ((0..1000).map(|_| first()).collect(), (0..1000).map(|_| second()).collect());
        assert_ne!(first, second);
        assert!(first.iter().collect::<HashSet<_>>().len() > 950);
    }

    #[test]
    fn a_scope_that_names_no_interface_is_refused() {
        let server =
            |scope: &str| NameServer { address: "fe80::1".parse().unwrap(), scope: Some(scope.into()) };
        assert_eq!(socket_address(&server("../../etc")), None);
        assert_eq!(socket_address(&server("no-such-interface")), None);
        assert_eq!(socket_address(&server("7")).unwrap().to_string(), "[fe80::1%7]:53");
    }
}
