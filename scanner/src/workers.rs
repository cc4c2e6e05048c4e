//! How many threads share a scan, and starting them.

use std::num::NonZeroU32;
use std::sync::Arc;
use std::sync::mpsc::channel;
use std::thread;
use std::time::Instant;

use nsock::Pool;
use scanner::cli::{Timing, Work};
use scanner::config::Config;
use scanner::exit::Exit;
use scanner::limits;
use scanner::privilege;
use scanner::raw_side;
use scanner::scan::{Crew, NameService, Options, Scan};
use scanner::target::{HostOrder, Shard, TargetSet, Walk};

use crate::{Stop, failed, setup};

/// Less work than so many probes is done before another thread has started.
const PROBES_MIN: u128 = 32_768;
/// With fewer descriptors each the sockets of the loops would be felt.
const DESCRIPTORS_MIN: usize = 256;
/// More threads than this are not started unasked.
const WORKERS_MAX: usize = 8;

/// How many threads are to share a scan of these targets, and a line for the user where that is not what was asked for.
pub(crate) fn count(config: &Config, targets: &TargetSet, is_traced: bool) -> (u32, Option<String>) {
    let asked = config.workers.map(NonZeroU32::get);
    if let Some(why) = why_alone(config, is_traced) {
        let note = asked.filter(|&asked| asked > 1).map(|_| format!("--workers: {why}; one thread scans"));
        return (1, note);
    }
    if let Some(asked) = asked {
        return (asked, None);
    }
    let probes = targets.span().saturating_mul(config.ports.len() as u128) / u128::from(config.shard.count());
    let cores = thread::available_parallelism().map_or(1, usize::from).min(WORKERS_MAX);
    // Where the system does not tell, the scan fails of that by itself.
    let descriptors = limits::descriptors_for_probes(false).unwrap_or(0);
    let workers = if probes < PROBES_MIN { 1 } else { cores.min(descriptors / DESCRIPTORS_MIN).max(1) };
    (u32::try_from(workers).unwrap_or(1), None)
}

/// Why a scan is one thread's.
fn why_alone(config: &Config, is_traced: bool) -> Option<&'static str> {
    let pace = &config.pace;
    let paced = pace.min_rate.is_some()
        || pace.max_rate.is_some()
        || pace.scan_delay.is_some()
        || pace.parallelism_min.is_some()
        || pace.parallelism_max.is_some();
    if is_traced {
        Some("a trace is of one event loop")
    } else if config.work != Work::Ports {
        Some("only ports are shared, and none are scanned")
    } else if paced || config.timing <= Timing::Polite {
        Some("a pace that is asked for is kept by one")
    } else if !config.proxies.is_empty() {
        Some("proxies are asked by one")
    } else {
        None
    }
}

/// Starts the threads that help, each with the sockets it needs; they have given up their privileges when this returns.
pub(crate) fn start(
    config: &Config,
    options: &Options,
    workers: u32,
    lead: &Pool<Scan>,
    seed: u64,
    started: Instant,
) -> Result<Crew, Stop> {
    let mut crew = Crew::default();
    if workers == 1 {
        return Ok(crew);
    }
    let config = Arc::new(config.clone());
    for number in 1..workers {
        let me = worker(number, workers);
        let (commands, link) = crew.link(lead.waker());
        let (config, options) = (Arc::clone(&config), options.clone());
        let (ready, is_ready) = channel();
        let work = move || match prepare(&config, options, seed, me, started) {
            Ok((mut pool, scan)) => {
                let _lead_waits = ready.send(Ok(pool.waker()));
                // The lead hears of its end by the link.
                let _ended = scan.help(&mut pool, link);
            }
            Err(stop) => drop(ready.send(Err(stop))),
        };
        let thread = thread::Builder::new().name(format!("worker-{number}"));
        thread.spawn(work).map_err(|error| failed("start a worker", &error))?;
        let waker = is_ready.recv().map_err(|error| failed("start a worker", &error))??;
        crew.add(commands, waker);
    }
    Ok(crew)
}

/// The number of a worker, and of how many; there are never as many as these types hold.
pub(crate) fn worker(number: u32, workers: u32) -> (u16, u16) {
    (u16::try_from(number).unwrap_or(0), u16::try_from(workers).unwrap_or(1))
}

/// Makes what a helper needs, on its own thread.
fn prepare(
    config: &Config,
    options: Options,
    seed: u64,
    worker: (u16, u16),
    started: Instant,
) -> Result<(Pool<Scan>, Scan), Stop> {
    let mut pool = setup::pool(config)?;
    // The lead asks who is there, so packets are for ports alone.
    let nobody = TargetSet::default();
    let side = raw_side::open(config, &nobody, &mut pool, false, seed, worker, started)
        .map_err(|refused| Stop(refused.exit, refused.line))?;
    privilege::drop_capabilities().map_err(|error| failed("give up capabilities", &error))?;
    let walk = Walk::new(&nobody, HostOrder::Given, Shard::WHOLE)
        .map_err(|_| Stop(Exit::Failed, "no targets cannot be walked".to_owned()))?;
    let now = pool.now();
    let scan = Scan::new(options, nobody, walk, NameService::None, Vec::new(), now).with_raw(side.raw);
    Ok((pool, scan))
}
