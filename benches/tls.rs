//! Ping-pong of 64 bytes in TLS over 1 and 100 connections: nsock against a bare loop of mio and rustls.
//!
//! `cargo bench --bench tls`, or with `-- --smoke` for seconds. The client has one core, the server's threads another.
//! Both clients are connected the whole time and work by turns; the handshakes are not measured.
#![expect(clippy::print_stdout, reason = "a bench shows its figures")]

mod ping;

use std::error::Error;
use std::time::Duration;

use testkit::measure::{Cost, Effort, Spread, Table, interleaved, pin_to_core, two_cores};
use testkit::{TlsServer, TlsSetup};

fn main() -> Result<(), Box<dyn Error>> {
    let effort = Effort::from_args();
    let (ours, theirs) = two_cores()?;
    pin_to_core(ours)?;
    let mut setup = TlsSetup::new()?;
    setup.core = Some(theirs);
    let server = TlsServer::echo(setup)?;
    let mut table = Table::default();
    for (connections, pings) in [(1, 10_000), (100, 50_000)] {
        measure(&mut table, &server, connections, effort.choose(pings, pings / 10), effort.pairs())?;
    }
    println!("{table}");
    Ok(())
}

fn measure(
    table: &mut Table,
    server: &TlsServer,
    connections: usize,
    pings: usize,
    pairs: usize,
) -> Result<(), Box<dyn Error>> {
    let mut nsock = ping::nsock::Client::connect_ssl(server.address(), connections)?;
    let mut bare = ping::bare_tls::Client::connect(server, connections)?;
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
    let what = if connections == 1 { "1 TLS connection" } else { "100 TLS connections" };
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
