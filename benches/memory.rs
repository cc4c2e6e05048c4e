//! What a connected IOD with one pending read takes of the heap.
//!
//! `cargo bench --bench memory`, or with `-- --smoke` for seconds. The connections are TCP, the server has a process
//! of its own, so the heap of this one is nsock's. Tables grow by doubling, so the cost depends on where between two
//! doublings one stands: it is also taken just after each one, where it is worst. Where the descriptor limit does not
//! allow 100,000 connections, it is taken with as many as fill tables of a smaller power of two to the same part.
#![expect(clippy::print_stdout, reason = "a bench shows its figures")]

use std::error::Error;
use std::net::SocketAddr;
use std::time::Duration;

use nsock::{Connected, Event, Failure, Io, Pool, Received};
use testkit::CountingAllocator;
use testkit::measure::{EchoProcess, Effort, Table, raise_descriptor_limit, two_cores};

#[global_allocator]
static ALLOCATOR: CountingAllocator = CountingAllocator::new();

const CONNECTIONS: usize = 100_000;
/// Connects under way: more would overrun the accept queue.
const CONNECTING_MAX: usize = 256;
/// Descriptors besides those of the connections.
const SPARE_DESCRIPTORS: usize = 64;
/// Addresses of the server: each has ports for 28,000 connections from one address of ours.
const SERVER_ADDRESSES: u8 = 8;
/// From here on the fixed costs of a pool, 90 KB, matter little.
const COUNTED_MIN: usize = 2_048;

fn main() -> Result<(), Box<dyn Error>> {
    if EchoProcess::serve_if_asked()? {
        return Ok(());
    }
    let effort = Effort::from_args();
    let server = EchoProcess::start(two_cores()?.1, SERVER_ADDRESSES)?;
    let wanted = effort.choose(CONNECTIONS, CONNECTIONS / 32);
    let allowed = usize::try_from(raise_descriptor_limit((wanted + SPARE_DESCRIPTORS) as u64))
        .unwrap_or(usize::MAX)
        .saturating_sub(SPARE_DESCRIPTORS);
    let mut stand_in = wanted;
    while stand_in > allowed {
        stand_in /= 2;
    }
    if stand_in < CONNECTIONS {
        println!(
            "measured with {stand_in} connections, as full a table as with {CONNECTIONS}; {allowed} are possible"
        );
    }
    let mut table = Table::default();
    for (limit, label) in [(None, "no limit"), (Some(Duration::from_secs(3_600)), "a time limit")] {
        let bytes = fill(server.addresses(), &[stand_in], limit)?;
        let detail = format!("{stand_in} connections");
        let work = format!("bytes per connected IOD, a read pending with {label}");
        table.count(&work, "<= 700", bytes.last().copied().unwrap_or(f64::NAN), detail);
        let doublings: Vec<usize> = std::iter::successors(Some(COUNTED_MIN + 1), |count| Some(count * 2 - 1))
            .take_while(|&count| count <= allowed.min(wanted))
            .collect();
        let worst = fill(server.addresses(), &doublings, limit)?;
        let (at, most) = doublings
            .iter()
            .zip(worst)
            .fold((0, 0.0), |worst, (&at, bytes)| if bytes > worst.1 { (at, bytes) } else { worst });
        table.count(&work, "", most, format!("the worst, at {at} connections"));
    }
    println!("{table}");
    Ok(())
}

/// Connects up to each of the counts in turn, with a read pending on all; the heap bytes per IOD then.
fn fill(
    servers: &[SocketAddr],
    counts: &[usize],
    limit: Option<Duration>,
) -> Result<Vec<f64>, Box<dyn Error>> {
    let before = ALLOCATOR.live_bytes();
    let mut pool = Pool::new()?;
    let servers = servers.to_vec();
    let mut state = Filling { servers, limit, started: 0, reading: 0, target: 0, failure: None };
    let of_the_bench = state.servers.len() * size_of::<SocketAddr>();
    let mut costs = Vec::with_capacity(counts.len());
    let of_the_bench = of_the_bench + counts.len() * size_of::<f64>();
    for &count in counts {
        state.target = count;
        for _ in 0..CONNECTING_MAX {
            state.connect(&mut pool);
        }
        pool.run(&mut state, None)?;
        if let Some(failure) = state.failure {
            return Err(failure.into());
        }
        costs.push((ALLOCATOR.live_bytes() - before - of_the_bench) as f64 / count as f64);
    }
    Ok(costs)
}

/// Connections that are being made.
struct Filling {
    servers: Vec<SocketAddr>,
    /// The time limit of each read.
    limit: Option<Duration>,
    started: usize,
    reading: usize,
    target: usize,
    failure: Option<Failure>,
}

impl Filling {
    fn connect(&mut self, io: &mut Io<Self>) {
        if self.started < self.target {
            let server = self.servers[self.started % self.servers.len()];
            self.started += 1;
            let iod = io.iod_new();
            io.connect_tcp(iod, server, None, Self::connected);
        }
    }

    fn connected(&mut self, io: &mut Io<Self>, event: Event<Connected>) {
        match event.outcome {
            Ok(_) => {
                io.read(event.iod, self.limit, Self::read);
                self.reading += 1;
                self.connect(io);
            }
            Err(failure) => self.failure = Some(failure),
        }
        if self.reading == self.target || self.failure.is_some() {
            io.loop_quit();
        }
    }

    /// The server sends nothing unasked: this is a failure.
    fn read(&mut self, io: &mut Io<Self>, event: Event<Received>) {
        self.failure = Some(event.outcome.err().unwrap_or(Failure::Eof));
        io.loop_quit();
    }
}
