//! UDP datagrams of 64 bytes: nsock's batches against one request for each, and against bare loops of the same calls.
//!
//! `cargo bench --bench batch`, or with `-- --smoke` for seconds. The datagrams go over loopback to a socket that
//! nobody reads, whose buffer is full: the kernel's part is as small as it gets on one machine. What counts is the
//! sender's processor time, the kernel's work for it included.
#![expect(clippy::print_stdout, reason = "a bench shows its figures")]

use std::error::Error;
use std::net::{SocketAddr, UdpSocket};
use std::time::Duration;

use nsock::{Datagram, Destination, Event, Io, IodId, PcapOptions, Pool, Sent};
use testkit::measure::{Cost, Effort, Spread, Table, interleaved, pin_to_core, two_cores};

/// Datagrams in one batch.
const BATCH: usize = 64;

/// What each holds.
const TEXT: [u8; 64] = [7; 64];

/// The state: how many are still to be sent.
struct Left(usize);

fn main() -> Result<(), Box<dyn Error>> {
    let effort = Effort::from_args();
    let (core, _) = two_cores()?;
    pin_to_core(core)?;
    let count = effort.choose(100_000, 5_000);
    let sink = UdpSocket::bind("127.0.0.1:0")?;
    let to = sink.local_addr()?;
    let (mut pool, iod) = sender(to)?;
    let (mut other, single) = sender(to)?;
    let bare = UdpSocket::bind("127.0.0.1:0")?;
    bare.connect(to)?;
    let mut table = Table::default();
    let mut batches = || Cost::of(|| send_batches(&mut pool, iod, count));
    let costs =
        interleaved(effort.pairs(), &mut batches, || Cost::of(|| send_singly(&mut other, single, count)))?;
    row(&mut table, "a batch of 64 against 64 writes", ">= 3", &costs, count);
    let costs = interleaved(effort.pairs(), &mut batches, || {
        Cost::of(|| -> Result<(), Box<dyn Error>> {
            for _ in 0..count {
                bare.send(&TEXT)?;
            }
            Ok(())
        })
    })?;
    row(&mut table, "a batch of 64 against 64 bare `send` calls", "", &costs, count);
    capture(&mut table, effort.choose(100_000, 5_000))?;
    println!("{table}");
    Ok(())
}

fn sender(to: SocketAddr) -> Result<(Pool<Left>, IodId), Box<dyn Error>> {
    let mut pool = Pool::new()?;
    let iod = pool.iod_new();
    pool.connect_udp(iod, to, |_, _, _| ());
    pool.run(&mut Left(0), None)?;
    Ok((pool, iod))
}

fn send_batches(pool: &mut Pool<Left>, iod: IodId, count: usize) -> Result<(), Box<dyn Error>> {
    fn next(left: &mut Left, io: &mut Io<Left>, event: Event<Sent>) {
        left.0 = left.0.saturating_sub(BATCH);
        if left.0 > 0 && event.outcome.is_ok() {
            io.send_batch(event.iod, &[Datagram::new(Destination::Peer, &TEXT); BATCH], None, next);
        }
    }
    let mut left = Left(count);
    pool.send_batch(iod, &[Datagram::new(Destination::Peer, &TEXT); BATCH], None, next);
    pool.run(&mut left, None)?;
    if left.0 > 0 { Err("a batch failed".into()) } else { Ok(()) }
}

fn send_singly(pool: &mut Pool<Left>, iod: IodId, count: usize) -> Result<(), Box<dyn Error>> {
    fn next(left: &mut Left, io: &mut Io<Left>, event: Event<Sent>) {
        left.0 = left.0.saturating_sub(1);
        if left.0 > 0 && event.outcome.is_ok() {
            io.write(event.iod, &TEXT, None, next);
        }
    }
    let mut left = Left(count);
    pool.write(iod, &TEXT, None, next);
    pool.run(&mut left, None)?;
    if left.0 > 0 { Err("a write failed".into()) } else { Ok(()) }
}

fn row(table: &mut Table, work: &str, bar: &str, costs: &[(Cost, Cost)], count: usize) {
    let ratios: Vec<f64> = costs.iter().map(|(batch, single)| batch.thrift_against(*single)).collect();
    let nanos = |cpu: Duration| cpu.as_secs_f64() * 1e9 / count as f64;
    let median = |pick: fn(&(Cost, Cost)) -> Cost| {
        Spread::of(&costs.iter().map(|pair| nanos(pick(pair).cpu)).collect::<Vec<_>>()).median
    };
    let detail = format!("{:.0} ns a datagram, single {:.0}", median(|pair| pair.0), median(|pair| pair.1));
    table.row(format!("{work}: processor time"), bar, Spread::of(&ratios), detail);
}

/// The processor time of taking captured frames, without that of sending them.
fn capture(table: &mut Table, count: usize) -> Result<(), Box<dyn Error>> {
    fn next(left: &mut Left, io: &mut Io<Left>, event: Event<nsock::Packet>) {
        if event.outcome.is_ok() {
            left.0 += 1;
            io.pcap_read_packet(event.iod, Some(Duration::ZERO), next);
        }
    }
    let mut pool = Pool::new()?;
    let iod = pool.iod_new();
    let mut options = PcapOptions::default();
    options.snaplen = 128;
    options.buffer_bytes = 64 << 20;
    if let Err(error) = pool.pcap_open(iod, "lo", &options) {
        println!("{error}: left out");
        return Ok(());
    }
    let socket = UdpSocket::bind("127.0.0.1:0")?;
    let mut times = Vec::new();
    for _ in 0..10 {
        for _ in 0..count / 10 {
            socket.send_to(&TEXT, socket.local_addr()?)?;
        }
        let mut seen = Left(0);
        pool.pcap_read_packet(iod, Some(Duration::ZERO), next);
        let cost = Cost::of(|| pool.run(&mut seen, None).map(drop))?;
        times.push(cost.cpu.as_secs_f64() * 1e9 / seen.0.max(1) as f64);
    }
    let stats = pool.iod_pcap_stats(iod)?;
    let detail = format!("{} frames passed, {} dropped", stats.received, stats.dropped);
    table.count("nanoseconds of processor time a captured frame", "", Spread::of(&times).median, detail);
    Ok(())
}
