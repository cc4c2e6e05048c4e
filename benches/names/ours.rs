//! The same sweep by the resolver, as a program of its own would write it.

use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::time::{Duration, Instant};

use dns::{Answer, Config, Driver, Outcome, Request, Resolver};
use nsock::{Io, Pool};
use testkit::pointer_name;

/// Look-ups started at once; the others follow as answers come.
const STARTED: usize = 4_096;

/// What came of a sweep.
#[derive(Debug, Default)]
pub(crate) struct Swept {
    /// From the first request to the last answer.
    pub(crate) took: Duration,
    /// From the first request to the first answer.
    pub(crate) first: Duration,
    /// Answers with the right name.
    pub(crate) named: usize,
    /// All answers.
    pub(crate) settled: usize,
    /// Datagrams sent.
    pub(crate) sent: u64,
}

struct Sweep {
    dns: Driver<Self>,
    first: u32,
    next: u32,
    end: u32,
    named: usize,
    settled: usize,
    start: Instant,
    first_after: Option<Duration>,
}

impl Sweep {
    fn answered(&mut self, io: &mut Io<Self>, answer: Answer) {
        self.settled += 1;
        if let (Request::Reverse(address), Outcome::Names(names)) = (&answer.request, &answer.outcome) {
            self.named += usize::from(names.len() == 1 && names[0].to_string() == pointer_name(*address));
        }
        self.first_after.get_or_insert_with(|| self.start.elapsed());
        self.fill(io, 1);
    }

    fn fill(&mut self, io: &mut Io<Self>, count: usize) {
        for _ in 0..count {
            if self.next == self.end {
                return;
            }
            let address = IpAddr::from(Ipv4Addr::from_bits(self.first + self.next));
            if self.dns.start(io, Request::Reverse(address)).is_err() {
                return;
            }
            self.next += 1;
        }
    }
}

/// Asks these servers for the names of that many addresses from `first` on.
pub(crate) fn sweep(
    servers: &[SocketAddr],
    first: Ipv4Addr,
    count: usize,
) -> Result<Swept, Box<dyn std::error::Error + Send + Sync>> {
    let mut pool = Pool::<Sweep>::new()?;
    let mut config = Config::new(servers.to_vec());
    config.cache_entries_max = 0;
    let resolver = Resolver::new(config, dns::unpredictable_ids()?)?;
    let dns = Driver::attach(&mut pool, resolver, |sweep| &mut sweep.dns, Sweep::answered);
    let mut sweep = Sweep {
        dns,
        first: first.to_bits(),
        next: 0,
        end: u32::try_from(count)?,
        named: 0,
        settled: 0,
        start: Instant::now(),
        first_after: None,
    };
    sweep.fill(&mut pool, STARTED);
    pool.run(&mut sweep, None)?;
    Ok(Swept {
        took: sweep.start.elapsed(),
        first: sweep.first_after.unwrap_or_default(),
        named: sweep.named,
        settled: sweep.settled,
        sent: sweep.dns.resolver().counters().transmitted,
    })
}
