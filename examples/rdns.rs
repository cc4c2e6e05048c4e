//! The names of addresses, from standard input or the arguments, as lines of JSON; any number of them in little memory.
//!
//! ```text
//! seq 1 254 | sed 's/^/198.18.64./' | cargo run --example rdns
//! cargo run --example rdns -- --server 127.0.0.1:5353 192.168.1.103      # NSOCK lines on stderr with RUST_LOG=nsock
//! ```
use std::io::{BufRead, BufWriter, Write, stdin, stdout};
use std::net::{IpAddr, SocketAddr};

use dns::{Answer, Driver, Outcome, Request, Resolver, Source};
use nsock::trace::{Level, Log, Record, Sink};
use nsock::{Io, Pool};
use serde_json::json;

/// Look-ups started ahead: more than all windows take, and not more than memory is worth.
const AHEAD: usize = 4_096;

struct Names {
    dns: Driver<Self>,
    addresses: Box<dyn Iterator<Item = Result<IpAddr, String>>>,
    out: BufWriter<std::io::Stdout>,
    failure: Option<String>,
}

impl Names {
    fn answered(&mut self, io: &mut Io<Self>, answer: Answer) {
        let Request::Reverse(address) = answer.request else { return };
        let names = match &answer.outcome {
            Outcome::Names(names) => names.iter().map(ToString::to_string).collect(),
            _ => Vec::new(),
        };
        let server = match answer.source {
            Source::Server(id) => self.dns.resolver().servers().nth(id.index()).map(|it| it.to_string()),
            _ => None,
        };
        let line = json!({
            "address": address, "names": names, "outcome": answer.outcome.to_string(),
            "rcode": answer.outcome.response_code(), "server": server, "tries": answer.tries,
            "rtt_ms": answer.round_trip.map(|it| it.as_secs_f64() * 1e3),
            "ttl": answer.time_to_live.map(|it| it.as_secs()),
        });
        if let Err(error) = writeln!(self.out, "{line}") {
            self.failure.get_or_insert_with(|| format!("cannot write: {error}"));
            return io.loop_quit();
        }
        self.fill(io);
    }

    /// Starts look-ups until enough are under way.
    fn fill(&mut self, io: &mut Io<Self>) {
        while self.dns.resolver().outstanding() < AHEAD && self.failure.is_none() {
            match self.addresses.next() {
                Some(Ok(address)) => {
                    // There is room: less than a thirtieth of what the resolver holds is under way.
                    let _ = self.dns.start(io, Request::Reverse(address));
                }
                Some(Err(why)) => self.failure = Some(why),
                None => return,
            }
        }
    }
}

fn main() -> Result<(), Box<dyn std::error::Error>> {
    env_logger::init();
    let (mut servers, mut words) = (Vec::<SocketAddr>::new(), Vec::new());
    let mut arguments = std::env::args().skip(1);
    while let Some(argument) = arguments.next() {
        match argument.as_str() {
            "--server" => servers.push(arguments.next().ok_or("--server needs ADDRESS:PORT")?.parse()?),
            _ => words.push(argument),
        }
    }
    let parse = |word: &str| word.parse().map_err(|_| format!("{word:?}: give an IP address"));
    let addresses: Box<dyn Iterator<Item = _>> = if words.is_empty() {
        Box::new(stdin().lock().lines().map(move |line| parse(line.map_err(|it| it.to_string())?.trim())))
    } else {
        Box::new(words.into_iter().map(move |word| parse(&word)))
    };
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
    let mut names = Names { dns, addresses, out: BufWriter::new(stdout()), failure: None };
    names.fill(&mut pool);
    pool.run(&mut names, None)?;
    names.out.flush()?;
    names.failure.map_or(Ok(()), |why| Err(why.into()))
}
