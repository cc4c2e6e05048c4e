//! Prints a line for each packet of a device, and counts at the end: packets by link type, and what the kernel dropped.
//!
//! `cargo run --example sniff -- lo 10` as root; with `--features libpcap`, a filter behind it, as tcpdump takes it.
#![expect(clippy::print_stdout, reason = "an example shows what it does")]

use std::env;
use std::error::Error;
use std::time::{Duration, UNIX_EPOCH};

use nsock::{Event, Failure, Io, Packet, PcapOptions, Pool};

/// How long to wait for one packet.
const LIMIT: Option<Duration> = Some(Duration::from_secs(60));

/// What was seen so far.
struct Sniff {
    left: usize,
    packets: usize,
    bytes: usize,
    failure: Option<Failure>,
}

impl Sniff {
    fn seen(&mut self, io: &mut Io<Self>, event: Event<Packet>) {
        match event.outcome {
            Ok(packet) => {
                self.packets += 1;
                self.bytes += packet.length;
                show(&packet);
                self.left -= 1;
                if self.left > 0 {
                    io.pcap_read_packet(event.iod, LIMIT, Self::seen);
                }
            }
            Err(failure) => self.failure = Some(failure),
        }
    }
}

fn show(packet: &Packet) {
    let time = packet.time.duration_since(UNIX_EPOCH).unwrap_or_default();
    let (l2, l3) = packet.split();
    let version = l3.first().map_or(0, |first| first >> 4);
    let protocol = match version {
        4 => format!("IPv4 protocol {}", l3.get(9).copied().unwrap_or_default()),
        6 => format!("IPv6 next header {}", l3.get(6).copied().unwrap_or_default()),
        _ => "other".to_owned(),
    };
    println!(
        "{}.{:06} interface {} {}, {} + {} of {} bytes: {protocol}",
        time.as_secs(),
        time.subsec_micros(),
        packet.interface,
        packet.packet_type,
        l2.len(),
        l3.len(),
        packet.length
    );
}

fn main() -> Result<(), Box<dyn Error>> {
    let mut arguments = env::args().skip(1);
    let device = arguments.next().unwrap_or_else(|| "any".to_owned());
    let left = arguments.next().map_or(Ok(10), |count| count.parse())?;
    let filter = arguments.collect::<Vec<_>>().join(" ");
    let mut options = PcapOptions::default();
    if !filter.is_empty() {
        options.filter = Some(expression(filter)?);
    }
    let mut pool = Pool::new()?;
    let iod = pool.iod_new();
    pool.pcap_open(iod, &device, &options)?;
    println!("listening on {device}");
    let mut sniff = Sniff { left, packets: 0, bytes: 0, failure: None };
    if left > 0 {
        pool.pcap_read_packet(iod, LIMIT, Sniff::seen);
    }
    pool.run(&mut sniff, None)?;
    if let Some(failure) = sniff.failure {
        println!("{failure}");
    }
    let stats = pool.iod_pcap_stats(iod)?;
    println!(
        "{} packets of {} bytes; {} passed the filter, {} were dropped",
        sniff.packets, sniff.bytes, stats.received, stats.dropped
    );
    Ok(())
}

#[cfg(feature = "libpcap")]
fn expression(text: String) -> Result<nsock::Filter, Box<dyn Error>> {
    Ok(nsock::Filter::expression(text))
}

#[cfg(not(feature = "libpcap"))]
fn expression(text: String) -> Result<nsock::Filter, Box<dyn Error>> {
    Err(format!("cannot compile '{text}': run it with --features libpcap").into())
}
