//! What a run needs before it starts: a source that works, targets with their names looked up, somebody to look up more.

use std::net::{SocketAddr, UdpSocket};

use dns::{Driver, Resolver};
use nsock::Pool;
use scanner::cli::NameLookup;
use scanner::config::{Config, NameSource};
use scanner::counted::counted;
use scanner::exit::Exit;
use scanner::lookup::{NameTable, SystemDirectory, look_up, look_up_by_system, system_name};
use scanner::route::kernel::Kernel;
use scanner::scan::{NameService, Scan, SystemNames};
use scanner::target::{Directory, TargetSet};
use scanner::tracing::Tracing;

use crate::{Stop, failed, template};

/// Whether packets can come from where the user wants them to.
pub(crate) fn check_origin(config: &Config) -> Result<(), Stop> {
    if let Some(source) = config.source {
        UdpSocket::bind((source, 0)).map_err(|error| {
            Stop(
                Exit::Failed,
                format!("-S: cannot send from {source}: {error}; --iflist shows the addresses there are"),
            )
        })?;
    }
    let Some(name) = &config.interface else { return Ok(()) };
    let kernel = Kernel::new().map_err(|error| failed("ask for the interfaces", &error))?;
    match kernel.interface_named(name) {
        Some(interface) if interface.is_up => Ok(()),
        Some(_) => Err(Stop(
            Exit::Failed,
            format!("-e: the interface {name} is down; `ip link set {name} up` starts it"),
        )),
        None => {
            let name = scanner::escape::Escaped::new(name.as_bytes());
            Err(Stop(
                Exit::Failed,
                format!("-e: there is no interface {name}; --iflist shows those there are"),
            ))
        }
    }
}

/// What to do where the system has no name servers for us.
const NAME_SERVERS_ADVICE: &str = "name servers with --dns-servers, or use -n or --system-dns";

/// How our own resolver is set up, and the search list for names.
fn resolver_config(config: &Config) -> Result<(dns::Config, dns::ResolvConf), String> {
    let (mut resolver, conf) = match &config.name_source {
        NameSource::Servers(servers) => {
            let (mut addresses, mut by_tcp) = (Vec::new(), Vec::new());
            for server in servers {
                let sockets = server.sockets(&mut SystemDirectory);
                let sockets = sockets.map_err(|why| format!("--dns-servers: {server}: {why}"))?;
                if server.by_tcp {
                    by_tcp.extend(sockets.iter().copied());
                }
                addresses.extend(sockets);
            }
            let mut resolver = dns::config_with_servers(addresses);
            resolver.by_tcp.extend(by_tcp);
            (resolver, dns::ResolvConf::default())
        }
        _ => dns::system_config()
            .map_err(|error| format!("/etc/resolv.conf: {error}; {NAME_SERVERS_ADVICE}"))?,
    };
    resolver.rate_max = config.dns_rate_max;
    resolver.window_max = resolver.window_max.min(template(config.timing).dns_window_max());
    Ok((resolver, conf))
}

/// Looks up the names among the targets; bad ones are told and counted, the others are scanned.
pub(crate) fn targets(config: &Config, tracing: &Tracing) -> Result<(TargetSet, usize), Stop> {
    let names: std::collections::BTreeSet<String> =
        config.targets.names().map(|name| name.to_string()).collect();
    let mut table = if names.is_empty() {
        NameTable::default()
    } else if config.name_source == NameSource::SystemResolver {
        look_up_by_system(names)
    } else {
        let (dns, conf) = resolver_config(config).map_err(|why| Stop(Exit::Failed, why))?;
        look_up(names, dns, &conf.search, conf.ndots, tracing)
            .map_err(|error| failed("look up names", &error))?
    };
    let resolved = config
        .targets
        .clone()
        .resolve(&mut table, config.addresses)
        .map_err(|problem| Stop(Exit::Usage, problem.to_string()))?;
    let mut lines: Vec<String> =
        config.targets.problems().iter().chain(&resolved.problems).map(ToString::to_string).collect();
    let bad = lines.len();
    let dropped = config.targets.problems_dropped();
    if dropped > 0 {
        lines.push(format!("and {}", counted(dropped, "more bad target", "more bad targets")));
    }
    // What leaves nothing to do is the last line said.
    let last = if resolved.set.is_empty() { lines.pop() } else { None };
    for line in &lines {
        eprintln!("scanner: {line}");
    }
    match (resolved.set.is_empty(), last) {
        (false, _) => Ok((resolved.set, bad)),
        (true, Some(last)) => Err(Stop(Exit::Usage, format!("{last}; no targets are left to scan"))),
        (true, None) => {
            let why = "no targets are left to scan: --exclude and --excludefile take all of them away";
            Err(Stop(Exit::Usage, why.to_owned()))
        }
    }
}

/// Who looks up the names of the hosts found.
pub(crate) fn name_service(config: &Config, pool: &mut Pool<Scan>) -> Result<NameService, Stop> {
    if config.name_lookup == NameLookup::Never {
        return Ok(NameService::None);
    }
    if config.name_source == NameSource::SystemResolver {
        return Ok(NameService::System(SystemNames::start(pool.waker(), system_name)));
    }
    let dns = match resolver_config(config) {
        Ok((dns, _)) => {
            if dns.servers.is_empty() {
                let why = "/etc/resolv.conf names no server";
                eprintln!(
                    "scanner: WARNING: only the hosts file is asked for names: {why}; {NAME_SERVERS_ADVICE}"
                );
            }
            dns
        }
        Err(why) if config.name_source == NameSource::ConfiguredServers => {
            eprintln!("scanner: WARNING: no names are looked up: {why}");
            return Ok(NameService::None);
        }
        Err(why) => return Err(Stop(Exit::Failed, why)),
    };
    let ids = dns::unpredictable_ids().map_err(|error| failed("look up names", &error))?;
    let resolver = Resolver::new(dns, ids).map_err(|error| failed("look up names", &error))?;
    Ok(NameService::Resolver(Box::new(Driver::attach(pool, resolver, Scan::dns, Scan::name_answered))))
}

/// An event loop whose sockets are as the user wants them.
pub(crate) fn pool(config: &Config) -> Result<Pool<Scan>, Stop> {
    let mut pool = Pool::<Scan>::new().map_err(|error| failed("start the event loop", &error))?;
    let mut probes = nsock::SocketOptions::default();
    probes.icmp_errors = true;
    probes.local = config.source.map(|source| SocketAddr::new(source, 0));
    probes.device.clone_from(&config.interface);
    probes.ip_options.clone_from(&config.raw.ip_options);
    pool.set_options(probes);
    Ok(pool)
}

/// The proxies, the first of them with its address: the others are looked up by the one before them.
pub(crate) fn proxies(config: &Config) -> Result<nsock::ProxyChain, Stop> {
    let chain = config.proxies.clone();
    let Some(name) = chain.first_name() else { return Ok(chain) };
    let found =
        SystemDirectory.addresses(name).and_then(|found| found.first().copied().ok_or_else(String::new));
    match found {
        Ok(address) => Ok(chain.with_first_address(address.ip())),
        Err(why) => Err(Stop(Exit::Failed, format!("--proxies: {name}: {why}"))),
    }
}
