//! What the trace costs: ping-pong over 100 connections without any trace code, with the trace off, with the ring on.
//!
//! `cargo bench --bench trace`, or with `-- --smoke` for a short run. A build of nsock in which the trace is known to
//! be off is needed for comparison, so the bench first builds itself again, into `target/no-trace`. Each measurement
//! is a process of its own, because where a program happens to lie in memory is part of the noise.
#![expect(clippy::print_stdout, reason = "a bench shows its figures")]

mod ping;

use std::error::Error;
use std::path::PathBuf;
use std::process::{Command, Stdio};
use std::time::Duration;

use testkit::measure::{Cost, EchoProcess, Effort, Spread, Table, interleaved, pin_to_core, two_cores};

const CONNECTIONS: usize = 100;
/// Records the ring keeps.
const RING_RECORDS: usize = 1024;
/// The argument that makes this program a client whose cost is measured.
const ROLE: &str = "--client";

fn main() -> Result<(), Box<dyn Error>> {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    if EchoProcess::serve_if_asked()? {
        return Ok(());
    }
    if let [role, ring, server, pings] = arguments.as_slice()
        && role == ROLE
    {
        return client(ring == "ring", server.parse()?, pings.parse()?);
    }
    let effort = Effort::from_args();
    let with_trace = std::env::current_exe()?;
    let without_trace = build_without_trace()?;
    let server = EchoProcess::start(two_cores()?.1, 1)?;
    let pings = effort.choose(50_000, 5_000).to_string();
    let run = |program: &PathBuf, ring: &str| {
        let arguments = [ROLE, ring, &server.address().to_string(), &pings];
        cost(Command::new(program).args(arguments))
    };
    let off = || run(&with_trace, "off");
    let mut table = Table::default();
    let pairs = interleaved(effort.pairs(), off, || run(&without_trace, "off"))?;
    rows(&mut table, "trace off against no trace code", "noise", &pairs);
    let pairs = interleaved(effort.pairs(), || run(&with_trace, "ring"), off)?;
    rows(&mut table, "ring on against trace off", ">= 0.93", &pairs);
    println!("{table}");
    Ok(())
}

/// Measures one run in this process and writes its cost: nanoseconds on the clock and of the processor.
fn client(ring: bool, server: std::net::SocketAddr, pings: usize) -> Result<(), Box<dyn Error>> {
    pin_to_core(two_cores()?.0)?;
    let mut client = ping::nsock::Client::connect(server, CONNECTIONS, None)?;
    if ring {
        client.trace_ring(RING_RECORDS);
    }
    client.run(pings / 4)?;
    let cost = Cost::of(|| client.run(pings))?;
    println!("{} {}", cost.wall.as_nanos(), cost.cpu.as_nanos());
    Ok(())
}

/// What a client process measured.
fn cost(client: &mut Command) -> Result<Cost, Box<dyn Error>> {
    let output = client.stderr(Stdio::inherit()).output()?;
    let text = String::from_utf8(output.stdout)?;
    match text.split_whitespace().map(str::parse).collect::<Result<Vec<u64>, _>>()?.as_slice() {
        &[wall, cpu] => Ok(Cost::new(Duration::from_nanos(wall), Duration::from_nanos(cpu))),
        _ => Err(format!("a client process failed: {}", output.status).into()),
    }
}

fn rows(table: &mut Table, work: &str, bar: &str, pairs: &[(Cost, Cost)]) {
    for (what, ratio) in
        [("rate", Cost::rate_against as fn(Cost, Cost) -> f64), ("processor time", Cost::thrift_against)]
    {
        let ratios: Vec<f64> = pairs.iter().map(|&(one, other)| ratio(one, other)).collect();
        table.row(format!("{work}: {what}"), bar, Spread::of(&ratios), "");
    }
}

/// Builds this bench again with a compiler flag that takes the trace out of nsock, and gives the program.
fn build_without_trace() -> Result<PathBuf, Box<dyn Error>> {
    let root = PathBuf::from(env!("CARGO_MANIFEST_DIR"));
    let target = std::env::var_os("CARGO_TARGET_DIR").map_or_else(|| root.join("target"), PathBuf::from);
    println!("building the bench a second time, without the trace");
    let output = Command::new(std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into()))
        .args(["bench", "--bench", "trace", "--no-run", "--message-format", "json", "--target-dir"])
        .arg(target.join("no-trace"))
        .env("RUSTFLAGS", "--cfg nsock_no_trace")
        .env_remove("CARGO_ENCODED_RUSTFLAGS")
        .current_dir(root)
        .stderr(Stdio::inherit())
        .output()?;
    let messages = String::from_utf8(output.stdout)?;
    let mut program = messages.lines().filter_map(|line| {
        let message: serde_json::Value = serde_json::from_str(line).ok()?;
        let is_this = message["target"]["name"] == "trace" && message["target"]["kind"][0] == "bench";
        message["executable"].as_str().filter(|_| is_this).map(PathBuf::from)
    });
    program.next_back().ok_or_else(|| format!("the build without the trace failed: {}", output.status).into())
}
