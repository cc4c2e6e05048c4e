//! Ping-pong of 64 bytes over 1, 100 and 5,000 connections: nsock against a bare loop with the same system calls.
//!
//! `cargo bench --bench turn`, or with `-- --smoke` for seconds. The client has one core, the server another and a
//! process of its own. Both clients are connected the whole time and work by turns. At one connection the rate
//! measures how fast the machine wakes a process up, so there the processor time of the client counts.
#![expect(clippy::print_stdout, reason = "a bench shows its figures")]

mod ping;

use std::error::Error;
use std::net::SocketAddr;
use std::time::Duration;

use testkit::measure::{
    Cost, EchoProcess, Effort, Spread, Table, interleaved, pin_to_core, raise_descriptor_limit, two_cores,
};

/// Descriptors besides those of the connections.
const SPARE_DESCRIPTORS: u64 = 100;

/// The limit that the reads have where they have one; it never passes.
const LIMIT: Duration = Duration::from_secs(60);

fn main() -> Result<(), Box<dyn Error>> {
    if EchoProcess::serve_if_asked()? {
        return Ok(());
    }
    let effort = Effort::from_args();
    let (ours, theirs) = two_cores()?;
    pin_to_core(ours)?;
    let server = EchoProcess::start(theirs, 1)?;
    let mut table = Table::default();
    for (connections, pings, limit) in [
        (1, 10_000, None),
        (100, 50_000, None),
        (100, 50_000, Some(LIMIT)),
        (5_000, 50_000, None),
        (5_000, 50_000, Some(LIMIT)),
    ] {
        // The server holds the connections of both clients.
        let needed = 2 * connections as u64 + SPARE_DESCRIPTORS;
        let available = raise_descriptor_limit(needed);
        if available < needed {
            println!(
                "{connections} connections need {needed} descriptors, the limit is {available}: left out"
            );
            continue;
        }
        let pings = effort.choose(pings, pings / 10);
        measure(&mut table, server.address(), connections, pings, limit, effort.pairs())?;
    }
    println!("{table}");
    Ok(())
}

fn measure(
    table: &mut Table,
    server: SocketAddr,
    connections: usize,
    pings: usize,
    limit: Option<Duration>,
    pairs: usize,
) -> Result<(), Box<dyn Error>> {
    let mut nsock = ping::nsock::Client::connect(server, connections, limit)?;
    let mut bare = ping::bare::Client::connect(server, connections)?;
    nsock.run(pings / 4)?;
    bare.run(pings / 4)?;
    let costs = interleaved(pairs, || Cost::of(|| nsock.run(pings)), || Cost::of(|| bare.run(pings)))?;
    let ratios = |ratio: fn(Cost, Cost) -> f64| {
        Spread::of(&costs.iter().map(|&(nsock, bare)| ratio(nsock, bare)).collect::<Vec<_>>())
    };
    let micros = |time: fn(&Cost) -> Duration| {
        let median = |pick: fn(&(Cost, Cost)) -> &Cost| {
            let times: Vec<f64> =
                costs.iter().map(|pair| time(pick(pair)).as_secs_f64() * 1e6 / pings as f64).collect();
            Spread::of(&times).median
        };
        format!("{:.2} us a ping, bare {:.2}", median(|pair| &pair.0), median(|pair| &pair.1))
    };
    let what = match (connections, limit) {
        (1, _) => "1 connection".to_owned(),
        (_, None) => format!("{connections} connections"),
        (_, Some(_)) => format!("{connections} connections, reads with a limit"),
    };
    let (rate_bar, time_bar) = if connections == 1 { ("", ">= 0.9") } else { (">= 0.9", "") };
    table.row(format!("{what}: rate"), rate_bar, ratios(Cost::rate_against), micros(|cost| cost.wall));
    table.row(
        format!("{what}: processor time"),
        time_bar,
        ratios(Cost::thrift_against),
        micros(|cost| cost.cpu),
    );
    Ok(())
}
