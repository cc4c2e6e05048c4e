//! The names of addresses, many at once.
//!
//! ```text
//! cargo run --example rdns -- 127.0.0.1 ::1
//! cargo run --example rdns -- --server 127.0.0.1:5353 192.168.1.103      # NSOCK lines on stderr with RUST_LOG=nsock
//! ```
#![expect(clippy::print_stdout, reason = "an example shows what it found")]

use std::net::{IpAddr, SocketAddr};

use dns::{Answer, Driver, Request, Resolver};
use nsock::trace::{Level, Log, Record, Sink};
use nsock::{Io, Pool};

struct Names {
    dns: Driver<Self>,
    waiting: Vec<IpAddr>,
}

impl Names {
    fn answered(&mut self, io: &mut Io<Self>, answer: Answer) {
        if let Request::Reverse(address) = answer.request {
            println!("{address}\t{}", answer.outcome);
        }
        self.fill(io);
    }

    /// Starts as many look-ups as the resolver takes.
    fn fill(&mut self, io: &mut Io<Self>) {
        while let Some(address) = self.waiting.pop() {
            if self.dns.start(io, Request::Reverse(address)).is_err() {
                self.waiting.push(address);
                break;
            }
        }
    }
}

fn main() -> Result<(), Box<dyn std::error::Error>> {
    env_logger::init();
    let (mut servers, mut waiting) = (Vec::<SocketAddr>::new(), Vec::new());
    let mut arguments = std::env::args().skip(1);
    while let Some(argument) = arguments.next() {
        if argument == "--server" {
            servers.push(arguments.next().ok_or("--server needs ADDRESS:PORT")?.parse()?);
        } else {
            waiting.push(argument.parse().map_err(|_| format!("{argument}: give an IP address"))?);
        }
    }
    waiting.reverse();
    let config = if servers.is_empty() { dns::system_config()?.0 } else { dns::config_with_servers(servers) };
    let resolver = Resolver::new(config, dns::unpredictable_ids()?)?;
    let mut pool = Pool::<Names>::new()?;
    let mut log = Log::new(pool.now());
    pool.trace_to(Level::Full, move |record: &Record<'_>| {
        if record.scope == dns::SCOPE {
            log.record(record);
        }
    });
    let dns = Driver::attach(&mut pool, resolver, |names| &mut names.dns, Names::answered);
    let mut names = Names { dns, waiting };
    names.fill(&mut pool);
    pool.run(&mut names, None)?;
    Ok(())
}
