//! Scans ports of one address by TCP connect, at most so many at a time, and prints those that are open.
//!
//! ```text
//! cargo run --example connect_scan -- 127.0.0.1 22 80 8000-8100
//! ```
#![expect(clippy::print_stdout, reason = "an example shows what it found")]

use std::net::{IpAddr, SocketAddr};
use std::time::Duration;

use nsock::{Connected, Event, Fault, Io, Pool, SocketOptions};

const CONNECT_LIMIT: Option<Duration> = Some(Duration::from_secs(2));

/// Connects under way at a time: bounds the descriptors, and is plenty on a local network.
const IN_FLIGHT_MAX: usize = 128;

struct Scan {
    target: IpAddr,
    ports: std::vec::IntoIter<u16>,
    open: usize,
    not_open: usize,
    failed: usize,
}

impl Scan {
    fn next(&mut self, io: &mut Io<Self>) {
        if let Some(port) = self.ports.next() {
            let iod = io.iod_new();
            io.connect_tcp(iod, SocketAddr::new(self.target, port), CONNECT_LIMIT, Self::connected);
        }
    }

    fn connected(&mut self, io: &mut Io<Self>, ev: Event<Connected>) {
        match ev.outcome {
            // The system may choose the very port that is looked at for our own end: then we talk to ourselves.
            Ok(connected) if io.iod_local(ev.iod) == Some(connected.peer) => self.not_open += 1,
            Ok(connected) => {
                self.open += 1;
                println!("{}/tcp open", connected.peer.port());
            }
            // The peer, or nobody, answered; anything else says nothing about the port.
            Err(why) if why.fault() == Fault::Peer => self.not_open += 1,
            Err(why) => {
                self.failed += 1;
                println!("a port could not be scanned: {why}");
            }
        }
        io.iod_delete(ev.iod);
        self.next(io);
    }
}

/// A port, or a range such as `8000-8100`.
fn ports(text: &str) -> Result<std::ops::RangeInclusive<u16>, std::num::ParseIntError> {
    let (first, last) = text.split_once('-').unwrap_or((text, text));
    Ok(first.parse()?..=last.parse()?)
}

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let mut arguments = std::env::args().skip(1);
    let target = arguments.next().ok_or("give an address and ports: 127.0.0.1 22 80 8000-8100")?.parse()?;
    let mut list = Vec::new();
    for argument in arguments {
        list.extend(ports(&argument).map_err(|why| format!("{argument}: {why}"))?);
    }
    let mut scan = Scan { target, ports: list.into_iter(), open: 0, not_open: 0, failed: 0 };
    let mut pool = Pool::<Scan>::new()?;
    let mut options = SocketOptions::default();
    // Closing resets the connection: no port of ours is left in TIME_WAIT.
    options.linger = Some(Duration::ZERO);
    pool.set_options(options);
    for _ in 0..IN_FLIGHT_MAX {
        scan.next(&mut pool);
    }
    pool.run(&mut scan, None)?;
    println!("{} open, {} not open, {} unknown", scan.open, scan.not_open, scan.failed);
    Ok(())
}
