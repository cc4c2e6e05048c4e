//! The resolver against a bare sweep with the same system calls and against Debian's nmap, with delay, loss, silence and
//! refusal; and what it takes of memory.
//!
//! `cargo bench --bench dns`, or with `-- --smoke` for seconds; nmap asks port 53 alone, so that row needs root. The
//! servers are threads of this process on loopback, on the other core. Rows with a delay are bound by it, not by the
//! processor, and stand as times: median and spread of runs.
#![expect(clippy::print_stdout, reason = "a bench shows its figures")]
#![expect(clippy::disallowed_methods, reason = "a driver: this is the stopwatch")]

mod names;

use std::error::Error;
use std::net::{Ipv4Addr, SocketAddr, UdpSocket};
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use dns::{Config, Request, Resolver};
use names::bare;
use names::ours::{Swept, sweep};
use testkit::measure::{Cost, Effort, Spread, Table, interleaved, pin_to_core, two_cores};
use testkit::{CountingAllocator, DnsConditions, DnsResponder, LOOPBACK_V4, need_root, need_tool};

#[global_allocator]
static ALLOCATOR: CountingAllocator = CountingAllocator::new();

type Failure = Box<dyn Error + Send + Sync>;

/// The first address whose name is asked for.
const FIRST: Ipv4Addr = Ipv4Addr::new(198, 18, 0, 0);
/// Where nmap finds a server: an address of loopback that nothing else has.
const PORT_53: SocketAddr = SocketAddr::new(std::net::IpAddr::V4(Ipv4Addr::new(127, 53, 0, 53)), 53);

fn main() -> Result<(), Failure> {
    let effort = Effort::from_args();
    let (ours, theirs) = two_cores()?;
    pin_to_core(ours)?;
    let mut table = Table::default();
    let at_once = DnsConditions::default().on_core(theirs);
    bare_sweep(&mut table, effort, at_once)?;
    nmap(&mut table, effort, at_once)?;
    distances(&mut table, effort, at_once)?;
    silent_first(&mut table, effort, at_once)?;
    refused(&mut table, effort)?;
    memory(&mut table, effort, at_once)?;
    println!("{table}");
    Ok(())
}

/// Fails unless every name came.
fn all_named(swept: Swept, count: usize) -> Result<Swept, Failure> {
    if swept.named == count { Ok(swept) } else { Err(format!("{count} names: {swept:?}").into()) }
}

fn bare_sweep(table: &mut Table, effort: Effort, at_once: DnsConditions) -> Result<(), Failure> {
    let server = DnsResponder::start_at(LOOPBACK_V4, at_once)?;
    let count = effort.choose(65_536, 4_096);
    let mut sent = 0;
    let costs = interleaved(
        effort.pairs(),
        || {
            let swept = all_named(sweep(&[server.address()], FIRST, count)?, count)?;
            sent = swept.sent;
            Ok::<_, Failure>(swept.took)
        },
        || Ok(bare::sweep(server.address(), FIRST, count)?),
    )?;
    let ratios: Vec<f64> = costs.iter().map(|(ours, bare)| ours.as_secs_f64() / bare.as_secs_f64()).collect();
    let rate = |pick: fn(&(Duration, Duration)) -> Duration| {
        let rates: Vec<f64> = costs.iter().map(|pair| count as f64 / pick(pair).as_secs_f64()).collect();
        Spread::of(&rates).median
    };
    let detail =
        format!("{:.0} names/s, bare {:.0}; {sent} datagrams", rate(|pair| pair.0), rate(|pair| pair.1));
    table.row(format!("{count} PTR: wall over a bare sweep's"), "<= 1.15", Spread::of(&ratios), detail);
    Ok(())
}

fn nmap(table: &mut Table, effort: Effort, at_once: DnsConditions) -> Result<(), Failure> {
    if !(need_root() && need_tool("nmap")) {
        return Ok(());
    }
    let server = DnsResponder::start_at(PORT_53, at_once)?;
    let (count, network) = effort.choose((65_536, "198.18.0.0/16"), (256, "198.18.0.0/24"));
    let servers = PORT_53.ip().to_string();
    let costs = interleaved(
        effort.choose(3, 1),
        || Ok::<_, Failure>(all_named(sweep(&[server.address()], FIRST, count)?, count)?.took),
        || {
            let start = Instant::now();
            let arguments = ["-sL", "--dns-servers", &servers, network];
            let status = Command::new("nmap").args(arguments).stdout(Stdio::null()).status()?;
            if status.success() { Ok(start.elapsed()) } else { Err(format!("nmap: {status}").into()) }
        },
    )?;
    let ratios: Vec<f64> = costs.iter().map(|(ours, nmap)| ours.as_secs_f64() / nmap.as_secs_f64()).collect();
    let times: Vec<f64> = costs.iter().map(|(_, nmap)| nmap.as_secs_f64()).collect();
    let detail = format!("nmap -sL {:.2} s", Spread::of(&times).median);
    table.row(format!("{count} PTR: wall over nmap's"), "<= 0.5", Spread::of(&ratios), detail);
    Ok(())
}

/// Servers 20 ms away, without and with loss.
fn distances(table: &mut Table, effort: Effort, at_once: DnsConditions) -> Result<(), Failure> {
    let far = at_once.with_delay(Duration::from_millis(20));
    for (count, loss, bar) in [(4_096, 0, "<= 0.5"), (4_096, 1, "<= 0.8"), (16_384, 5, "<= 2")] {
        let mut times = Vec::new();
        for run in 0..effort.choose(7, 1) {
            let server = DnsResponder::start_at(LOOPBACK_V4, far.with_loss(loss, run))?;
            times.push(all_named(sweep(&[server.address()], FIRST, count)?, count)?.took.as_secs_f64());
        }
        let work = format!("seconds for {count} PTR at 20 ms, {loss} % of the queries lost");
        let times = Spread::of(&times);
        table.row(work, bar, times, "none missing".to_owned());
    }
    Ok(())
}

/// The first of two servers is silent, and nothing is known about either.
fn silent_first(table: &mut Table, effort: Effort, at_once: DnsConditions) -> Result<(), Failure> {
    let silent = UdpSocket::bind(LOOPBACK_V4)?;
    let mut times = Vec::new();
    for _ in 0..effort.choose(7, 1) {
        let server = DnsResponder::start_at(LOOPBACK_V4, at_once)?;
        let servers = [silent.local_addr()?, server.address()];
        times.push(all_named(sweep(&servers, FIRST, 1)?, 1)?.first.as_secs_f64());
    }
    let work = "seconds to the first answer, the first of two servers being silent";
    table.row(work.to_owned(), "<= 0.45", Spread::of(&times), "one name".to_owned());
    Ok(())
}

/// Both servers refuse by ICMP.
fn refused(table: &mut Table, effort: Effort) -> Result<(), Failure> {
    let mut costs = Vec::new();
    let count = 4_096;
    for _ in 0..effort.choose(7, 1) {
        let closed: Vec<SocketAddr> =
            (0..2).map(|_| UdpSocket::bind(LOOPBACK_V4)?.local_addr()).collect::<Result<_, _>>()?;
        let mut settled = 0;
        costs.push(Cost::of(|| {
            settled = sweep(&closed, FIRST, count)?.settled;
            Ok::<_, Failure>(())
        })?);
        if settled != count {
            return Err(format!("{settled} of {count} settled").into());
        }
    }
    let walls: Vec<f64> = costs.iter().map(|cost| cost.wall.as_secs_f64() * 1e3).collect();
    let cpus: Vec<f64> = costs.iter().map(|cost| cost.cpu.as_secs_f64() * 1e3).collect();
    let detail = format!("{:.1} ms of processor time", Spread::of(&cpus).median);
    table.row(
        format!("milliseconds to settle {count} PTR, all refused"),
        "<= 50",
        Spread::of(&walls),
        detail,
    );
    Ok(())
}

/// The state of names in flight, and the peak of a million that stream through.
fn memory(table: &mut Table, effort: Effort, at_once: DnsConditions) -> Result<(), Failure> {
    let held = 65_536;
    let ids = dns::unpredictable_ids()?;
    let mut config = Config::new(vec![LOOPBACK_V4]);
    config.window_max = 256;
    let mut resolver = Resolver::new(config, ids)?;
    let before = ALLOCATOR.live_bytes();
    let now = Instant::now();
    for index in 0..held {
        let address = Ipv4Addr::from_bits(FIRST.to_bits() + index);
        resolver.start(now, Request::Reverse(address.into()))?;
    }
    let waiting = (ALLOCATOR.live_bytes() - before) as f64 / f64::from(held);
    let transmits: Vec<_> = std::iter::from_fn(|| resolver.poll_transmit(now)).collect();
    let detail = format!("{held} held, {} sent", transmits.len());
    drop(transmits);
    table.count("bytes of state per name that is waited for", "<= 160", waiting, detail);
    drop(resolver);
    let count = effort.choose(1_000_000, 10_000);
    let server = DnsResponder::start_at(LOOPBACK_V4, at_once)?;
    ALLOCATOR.reset_peak();
    let before = ALLOCATOR.live_bytes();
    all_named(sweep(&[server.address()], Ipv4Addr::new(10, 0, 0, 0), count)?, count)?;
    let peak = (ALLOCATOR.peak_bytes() - before) as f64 / (1 << 20) as f64;
    table.count(format!("MiB at the peak of {count} PTR"), "<= 64", peak, String::new());
    Ok(())
}
